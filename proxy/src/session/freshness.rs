//! How new what a read sees must be: a clock compared with the server's, and a snapshot that has reached the position
//! its consistency level asks for.

use super::attempt::Refusal;
use super::bookmark::common_position;
use super::environment::{Consistency, Probed};
use super::reason;
use super::relay::Relay;
use super::statements::Resolved;
use crate::maintain::PullError;
use arc_swap::Guard;
use std::sync::Arc;
use std::time::Duration;
use weir_cache::{Position, Snapshot};
use weir_planner::RelationId;
use weir_planner::settings::SettingSet;

/// How long a read waits for its bookmark before Postgres answers it: longer than any refresh that keeps up, shorter
/// than a user's patience.
const PULL_WAIT: Duration = Duration::from_secs(2);

/// How long the comparison of the local clock with the server's is relied on: clocks that are disciplined drift by
/// less than 0.5 ms in this time.
const CLOCK_TRUST: Duration = Duration::from_secs(1);

impl Relay {
    /// A read that depends on the time needs a clock compared with the server's not long ago.
    pub(super) async fn with_a_fresh_clock(
        &mut self,
        resolved: &[Arc<Resolved>],
        probed: Arc<Probed>,
    ) -> Result<Arc<Probed>, Refusal> {
        let timed = resolved.iter().any(|r| r.prepared.settings.contains(SettingSet::CLOCK));
        if timed && self.state.status == b'T' {
            return Err(reason::CLOCK_IN_TRANSACTION.into());
        }
        if !timed || probed.taken.elapsed() < CLOCK_TRUST {
            return Ok(probed);
        }
        let generation = self.state.generation;
        self.probe().await??;
        if self.state.generation != generation {
            return Err(reason::ANALYSIS_PENDING.into());
        }
        self.state.probed.clone().ok_or(Refusal::Forward(reason::PROBE))
    }

    /// A snapshot fresh enough, and the position whose state it shows of these tables.
    pub(super) async fn snapshot(
        &mut self,
        resolved: &[Arc<Resolved>],
        probed: &Probed,
    ) -> Result<(Guard<Arc<Snapshot>>, Position), Refusal> {
        let one;
        let several: Vec<RelationId>;
        let tables: &[RelationId] = if let [only] = resolved {
            one = only;
            &one.prepared.tables
        } else {
            several = resolved.iter().flat_map(|r| r.prepared.tables.iter().copied()).collect();
            &several
        };
        let wait = match probed.statement_timeout {
            none if none.is_zero() => PULL_WAIT,
            limit => limit.min(PULL_WAIT),
        };
        let at_least = match probed.consistency.ok_or(reason::CONSISTENCY)? {
            Consistency::Scheduled => Position(0),
            Consistency::Session => self.state.bookmark,
            Consistency::Latest => {
                let asked = tokio::time::timeout(wait, self.context.visible_position()).await;
                asked.ok().flatten().ok_or(reason::POSITION)?.max(self.state.bookmark)
            }
        };
        let published = self.context.published.peek();
        if let Some(seen) = common_position(&published, tables, at_least) {
            return Ok((published, seen));
        }
        let known = self.context.registry.peek();
        let is_full = |id| known.by_id.get(id).is_some_and(|table| table.evaluated_by_postgres);
        if published.frontier >= at_least && tables.iter().any(is_full) {
            return Err(reason::FULL_MOVED.into());
        }
        drop((known, published));
        let pull = self.context.maintain.pull(tables, at_least, wait);
        match self.cancel.guard(pull).await {
            None => Err(Refusal::Cancelled),
            Some(Ok(snapshot)) => match common_position(&snapshot, tables, at_least) {
                Some(seen) => Ok((Guard::from_inner(snapshot), seen)),
                None => Err(reason::BEHIND.into()),
            },
            Some(Err(PullError::Timeout)) => Err(reason::BEHIND.into()),
            Some(Err(PullError::NotLive)) => Err(reason::OUT_OF_SERVICE.into()),
        }
    }
}
