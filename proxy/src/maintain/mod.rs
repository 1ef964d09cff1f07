//! The maintenance of stream tables: owns the engine and the publisher on one thread, follows the catalog, schedules
//! refreshes, writes status and history. Sessions talk to it through [`Handle`].

use std::sync::Arc;
use std::time::Duration;
use weir_cache::{Position, Snapshot};
use weir_planner::RelationId;

/// What sessions may ask of the maintenance.
#[derive(Clone)]
pub struct Handle {}

/// Why a read did not get a snapshot; the statement is forwarded with this reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullError {
    Timeout,
    NotLive,
}

impl Handle {
    /// A snapshot in which all `tables` are right at one position ≥ `at_least`. Returns at once when the published one
    /// will do; otherwise asks for a frontier and a refresh and waits, at most `wait`.
    pub async fn pull(
        &self,
        _tables: &[RelationId],
        _at_least: Position,
        _wait: Duration,
    ) -> Result<Arc<Snapshot>, PullError> {
        todo!()
    }

    /// Waits (at most `wait`) until everything committed up to `position` in Weir's catalog has taken effect: tables
    /// created are live or given up, altered ones re-planned, dropped ones gone, requested refreshes done.
    /// Err: still going on.
    pub async fn settled(&self, _position: Position, _wait: Duration) -> Result<(), PullError> {
        todo!()
    }
}
