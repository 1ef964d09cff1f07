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

/// For a query over `pg_attribute`: the type whose images a column's values have. A domain may stand over another one.
const VALUE_TYPE: &str = "(WITH RECURSIVE below (type, base) AS (
         SELECT t.oid, t.typbasetype FROM pg_type t WHERE t.oid = atttypid
         UNION ALL SELECT t.oid, t.typbasetype FROM below b JOIN pg_type t ON t.oid = b.base)
     SELECT type FROM below WHERE base = 0)";
