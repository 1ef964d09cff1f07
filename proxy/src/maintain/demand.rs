//! Readers that wait for tables to reach a position.

use super::{Demand, is_right};
use std::time::{Duration, Instant};
use weir_cache::{Position, Snapshot};
use weir_planner::RelationId;

/// No reader waits longer than this; its demand is then nobody's.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Demands {
    open: Vec<(Demand, Instant)>,
}

impl Demands {
    pub(super) fn add(&mut self, demand: Demand) {
        // Many readers wait for the same tables; the furthest position serves the nearer ones only when it is reached,
        // so each position stays, but equal ones are one.
        if !demand.tables.is_empty() && !self.open.iter().any(|(known, _)| *known == demand) {
            self.open.push((demand, Instant::now()));
        }
    }

    /// Tables that somebody waits for and that may be refreshed now.
    pub(super) fn wanted(&self, frontier: Position) -> Vec<RelationId> {
        let mut wanted = Vec::new();
        for (demand, _) in self.open.iter().filter(|(demand, _)| demand.at_least <= frontier) {
            for table in &demand.tables {
                if !wanted.contains(table) {
                    wanted.push(*table);
                }
            }
        }
        wanted
    }

    /// The latest value of the server's clock that somebody waits for.
    pub(super) fn clock(&self) -> Option<i64> {
        self.open.iter().filter_map(|(demand, _)| demand.clock).max()
    }

    pub(super) fn forget_satisfied(&mut self, snapshot: &Snapshot) {
        self.open.retain(|(demand, since)| {
            since.elapsed() < FORGOTTEN_AFTER && !is_right(snapshot, &demand.tables, demand.at_least, demand.clock)
        });
    }
}
