//! Capture against a real Postgres: what the events say is what the tables hold.
//!
//! `rig` starts a server and a capture and keeps the model that the events build; each other file is one concern.

mod decode;
mod gate;
mod join;
mod model;
mod restart;
mod rig;
mod shed;
mod trigger;
mod writers;
