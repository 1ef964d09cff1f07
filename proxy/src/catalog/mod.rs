//! Weir in the upstream database: installed SQL, the catalog of stream tables, the system catalogue as the planner needs it.

pub mod system;
