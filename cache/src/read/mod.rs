//! One-shot evaluation of a plan over a snapshot.
//!
//! A statement is compiled once ([`Compiled`]): expressions are folded into few operators over stored rows. Each
//! execution picks indexes by what the snapshot has, and asks the publisher for those it missed. Nothing here waits,
//! or answers an error: what fails is forwarded, and Postgres says what it says.

mod access;
mod aggregate;
mod chunked;
mod comparison;
mod compile;
mod compiled;
pub mod hot;
mod join;
mod keys;
mod mask;
mod op;
mod proof;
mod rewrite;
mod rows;
mod run;
mod sort;
mod totals;
mod window;

pub use compiled::Compiled;
pub use hot::{Heat, Hidden};
pub use rows::{RowRef, Rows};
pub use run::{Budget, MAX_HELD_ROWS, MAX_VISITED_ROWS};

use crate::Snapshot;
use weir_planner::eval::EvalContext;
use weir_planner::{EvalError, Plan, RelationId, Row};

/// Why memory did not answer; the statement is then forwarded and Postgres says what it says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("relation {0:?} is not in the snapshot")]
    NotPublished(RelationId),
    #[error("evaluation failed: {0}")]
    Eval(#[source] EvalError),
    #[error("not supported in memory: {0}")]
    Unsupported(String),
    #[error("the read would exceed its row budget")]
    TooLarge,
    #[error("the read takes longer than this thread may be held up")]
    TooLong,
    #[error("nobody waits for the answer any more")]
    Stopped,
}

/// Rows in answer order. Compiles the plan first: statements that are executed again keep a [`Compiled`].
pub fn execute(plan: &Plan, snapshot: &Snapshot, context: &EvalContext) -> Result<Vec<Row>, ReadError> {
    Ok(Compiled::new(plan)?.execute(snapshot, context)?.to_rows())
}
