//! Everything of weir that touches the outside. The way of a delta: `capture` (WAL) → `maintain` (engine thread,
//! scheduler) → `published` (snapshot) → `session` (client). The way of a statement: `session` → `analysis` (Postgres'
//! own tree, planned) → memory, or upstream byte for byte.

pub mod analysis;
pub mod auth;
pub mod capture;
pub mod catalog;
pub mod config;
pub mod control;
pub mod http;
pub mod maintain;
pub mod metrics;
pub mod published;
pub mod registry;
pub mod server;
pub mod session;
pub mod tls;
pub mod upstream;
pub mod wire;
mod words;
