//! The driver matrix: every program in `tests/drivers` runs once directly against Postgres and once through Weir, each time
//! in a fresh copy of one prepared database, and must print the same.
//!
//! `programs` lists the client programs; `stage` prepares databases and runs a program in one; `report` compares the two
//! outputs and tells how many reads of stream tables memory answered.

mod programs;
mod report;
mod stage;

pub use programs::{ALL, Program, cache_directory};
pub use report::{Outcome, table};
pub use stage::Stage;
