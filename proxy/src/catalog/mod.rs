//! Weir in the upstream database: installed SQL, the catalog of stream tables, the system catalogue as the planner needs it.
//!
//! `install` puts the SQL of `sql/` there, `check` says what Weir's role lacks, `watch` undoes the watching, `rows` reads the
//! catalog of stream tables, `schedule` its schedules, `system` the system catalogue.

pub mod capture;
pub mod check;
pub mod install;
pub mod over;
pub mod rows;
pub mod schedule;
pub mod system;
pub mod watch;
