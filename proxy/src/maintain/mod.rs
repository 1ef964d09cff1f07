//! The maintenance of stream tables: owns the engine and the publisher on one thread, follows the catalog, schedules
//! refreshes, writes status and history. Sessions talk to it through [`Handle`].

use crate::config::Config;
use crate::metrics::Metrics;
use crate::published::Published;
use crate::registry::{Registry, State};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use weir_cache::{Position, Snapshot};
use weir_planner::RelationId;

/// What sessions may ask of the maintenance.
#[derive(Clone)]
pub struct Handle {
    published: Arc<Published>,
    registry: Arc<Registry>,
    demands: mpsc::UnboundedSender<Demand>,
    settled: watch::Receiver<Settled>,
}

/// A reader waits until `tables` are right at one position ≥ `at_least`.
#[derive(Debug)]
pub struct Demand {
    pub tables: Vec<RelationId>,
    pub at_least: Position,
}

/// How far the catalog's changes have taken effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The stream has been followed up to here.
    pub reached: Position,
    /// The oldest catalog change that has not taken effect yet.
    pub unfinished: Option<Position>,
}

impl Settled {
    fn covers(&self, position: Position) -> bool {
        self.reached >= position && self.unfinished.is_none_or(|oldest| oldest > position)
    }
}

/// Why a read did not get a snapshot; the statement is then forwarded with this reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullError {
    Timeout,
    NotLive,
}

/// Starts the maintenance: installs Weir's SQL where it may, starts the capture, populates what the catalog names,
/// and keeps doing so across restarts of Postgres. Returns at once; until tables are live, reads are forwarded.
/// What stands in the way is in [`Registry::problems`].
///
/// Must be called within a tokio runtime.
pub fn start(
    config: Arc<Config>,
    registry: Arc<Registry>,
    published: Arc<Published>,
    _metrics: Arc<Metrics>,
) -> Handle {
    let (demands, _demanded) = mpsc::unbounded_channel();
    let (_settle, settled) = watch::channel(Settled::default());
    let _ = config;
    Handle { published, registry, demands, settled }
}

impl Handle {
    /// A snapshot in which all `tables` are right at one position ≥ `at_least`. Returns at once when the published one
    /// will do; otherwise asks for a frontier and a refresh and waits, at most `wait`.
    pub async fn pull(
        &self,
        tables: &[RelationId],
        at_least: Position,
        wait: Duration,
    ) -> Result<Arc<Snapshot>, PullError> {
        let snapshot = self.published.load();
        if is_right(&snapshot, tables, at_least) {
            return Ok(snapshot);
        }
        // Subscribed before the second look, so that no publication falls between the two.
        let mut changed = self.published.subscribe();
        if self.demands.send(Demand { tables: tables.to_vec(), at_least }).is_err() {
            return Err(PullError::NotLive);
        }
        let waited = tokio::time::timeout(wait, async {
            loop {
                let snapshot = self.published.load();
                if is_right(&snapshot, tables, at_least) {
                    return Ok(snapshot);
                }
                if self.is_hopeless(&snapshot, tables, at_least) {
                    return Err(PullError::NotLive);
                }
                if changed.changed().await.is_err() {
                    return Err(PullError::NotLive);
                }
            }
        });
        waited.await.unwrap_or(Err(PullError::Timeout))
    }

    /// No refresh will make this true soon: a table is not live, or Postgres evaluates it and its sources have moved.
    fn is_hopeless(&self, snapshot: &Snapshot, tables: &[RelationId], at_least: Position) -> bool {
        let known = self.registry.tables();
        tables.iter().any(|id| match (known.by_id.get(id), snapshot.tables.get(id)) {
            (Some(table), Some(version)) => {
                table.state != State::Live
                    || (table.evaluated_by_postgres
                        && snapshot.frontier >= at_least
                        && version.valid_to < at_least.max(version.as_of))
            }
            _ => true,
        })
    }

    /// Waits (at most `wait`) until everything committed up to `position` in Weir's catalog has taken effect: tables
    /// created are live or given up, altered ones re-planned, dropped ones gone, requested refreshes done.
    /// Err: still going on.
    pub async fn settled(&self, position: Position, wait: Duration) -> Result<(), PullError> {
        let mut settled = self.settled.clone();
        if settled.borrow_and_update().covers(position) {
            return Ok(());
        }
        // An empty demand asks for a frontier only.
        let _ = self.demands.send(Demand { tables: Vec::new(), at_least: position });
        match tokio::time::timeout(wait, settled.wait_for(|state| state.covers(position))).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(PullError::NotLive),
            Err(_) => Err(PullError::Timeout),
        }
    }
}

/// True when one position ≥ `at_least` lies in the validity of every table.
fn is_right(snapshot: &Snapshot, tables: &[RelationId], at_least: Position) -> bool {
    let mut from = at_least;
    let mut to = Position(u64::MAX);
    for id in tables {
        let Some(version) = snapshot.tables.get(id) else { return false };
        from = from.max(version.as_of);
        to = to.min(version.valid_to);
    }
    if tables.is_empty() { snapshot.frontier >= at_least } else { from <= to }
}
