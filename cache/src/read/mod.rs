//! One-shot evaluation of a plan over a snapshot.

use crate::Snapshot;
use weir_planner::eval::EvalContext;
use weir_planner::{EvalError, Plan, RelationId, Row};

/// Why memory did not answer; the statement is then forwarded and Postgres says what it says.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("relation {0:?} is not in the snapshot")]
    NotPublished(RelationId),
    #[error("evaluation failed: {0}")]
    Eval(EvalError),
    #[error("not supported in memory: {0}")]
    Unsupported(String),
    #[error("the read would exceed its row budget")]
    TooLarge,
}

/// Rows in answer order.
pub fn execute(_plan: &Plan, _snapshot: &Snapshot, _context: &EvalContext) -> Result<Vec<Row>, ReadError> {
    todo!()
}
