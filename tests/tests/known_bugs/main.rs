//! Bugs that incremental engines have had, one named test each: the numbers are issues of pg_trickle, the rest are cases
//! that its tests and its issues name. `ground` plays the statements and compares memory with the view in Postgres.
//!
//! Elsewhere: TPC-H 4, 7, 12, 15, 17 and 20 as a whole in `tpch`, a slow table beside others in `proxy/tests/maintain`. Not
//! here, for Weir has no such part: an outbox (#660), a cost model that goes over to FULL (#1033), timestamps in Parquet (0.68).

mod aggregates;
mod base_tables;
mod concurrency;
mod ground;
mod joins;
mod names;
mod queries;
mod writes;
