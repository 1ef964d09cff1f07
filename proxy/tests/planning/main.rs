//! Planning against a real Postgres: what it stores is lowered, what is lowered gives Postgres' own answer, and what
//! is not lowered is refused by name.
//!
//! `rig` is a server with a schema and the means to plan and to evaluate; each other file is one concern.

mod analyser;
mod answers;
mod lateral;
mod modifiers;
mod ordered;
mod refusals;
mod rig;
mod scenarios;
mod shapes;
