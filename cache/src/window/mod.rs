//! Window functions over one partition whose rows are in order: `src/backend/executor/nodeWindowAgg.c` and
//! `src/backend/utils/adt/windowfuncs.c`, row by row. The engine and one-shot reads both evaluate with it; where rows come
//! from, and how they are put in order, is theirs.
//!
//! **Equal rows.** ORDER BY leaves the order of peers open. Where a function's value would depend on it, the value is an
//! error that only Postgres can resolve, never a guess; peers that look alike in all that is read do not matter. ROW_NUMBER may
//! number peers in any order, but not copies of a row that another window has given different values: what these pairs are is
//! Postgres' alone.

mod functions;
mod in_range;
mod partition;
mod range_frame;
mod reach;

pub(crate) use functions::{Growth, PreparedCall, evaluate, evaluate_from, unsettled};
pub(crate) use partition::Partition;
pub(crate) use reach::Reach;
