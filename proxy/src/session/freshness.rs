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
use weir_cache::{ClockSpan, Position, Snapshot};
use weir_planner::RelationId;
use weir_planner::settings::SettingSet;

/// How long a read waits for its bookmark before Postgres answers it: longer than any refresh that keeps up, shorter
/// than a user's patience.
pub(super) const PULL_WAIT: Duration = Duration::from_secs(2);

/// How long the comparison of the local clock with the server's is relied on: clocks that are disciplined drift by
/// less than 0.5 ms in this time.
const CLOCK_TRUST: Duration = Duration::from_secs(1);

/// What lies no further ahead on the server's clock is waited for: some round trips' doubt about it, and a pause.
const SOON_MICROS: i64 = 50_000;

/// What a snapshot shows of the tables read.
#[derive(Clone, Copy)]
pub(super) struct Shown {
    pub(super) position: Position,
    /// The value of the server's clock as of which, where it matters.
    pub(super) moment: Option<i64>,
}

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

    /// A snapshot fresh enough of these tables, and what it shows.
    pub(super) async fn snapshot(
        &mut self,
        resolved: &[Arc<Resolved>],
        probed: &Probed,
    ) -> Result<(Guard<Arc<Snapshot>>, Shown), Refusal> {
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
        let level = probed.consistency.ok_or(reason::CONSISTENCY)?;
        let at_least = match level {
            Consistency::Scheduled => Position(0),
            Consistency::Session => self.state.bookmark,
            Consistency::Latest => {
                let asked = tokio::time::timeout(wait, self.context.visible_position()).await;
                asked.ok().flatten().ok_or(reason::POSITION)?.max(self.state.bookmark)
            }
        };
        let (snapshot, position) = self.at_position(tables, at_least, None, wait).await?;
        let span = snapshot.clock_span(tables);
        if span.is_always() || (level == Consistency::Scheduled && span.from < span.until) {
            return Ok((snapshot, Shown { position, moment: None }));
        }
        if self.state.status == b'T' {
            return Err(reason::CLOCK_IN_TRANSACTION.into());
        }
        // Postgres would read its clock between now and its reply. Whatever this session has seen before was earlier.
        let asked = self.context.maintain.clock().ok_or(reason::CLOCK)?.latest;
        // A read that tells the time itself must not tell one that is still to come.
        let is_told = resolved.iter().any(|r| r.prepared.settings.contains(SettingSet::CLOCK));
        if let Some(moment) = self.moment_within(span, asked, is_told).await? {
            return Ok((snapshot, Shown { position, moment: Some(moment) }));
        }
        drop(snapshot);
        let (snapshot, position) = self.at_position(tables, at_least, Some(asked), wait).await?;
        match self.moment_within(snapshot.clock_span(tables), asked, is_told).await? {
            Some(moment) => Ok((snapshot, Shown { position, moment: Some(moment) })),
            None => Err(reason::CLOCK_BEHIND.into()),
        }
    }

    /// A moment within this span that lies between `asked` and now on the server's clock, waited for where it is about to
    /// come. None: there is none, or not soon. Where nothing but the span depends on it, the moment may be any that is
    /// possible now.
    async fn moment_within(&self, span: ClockSpan, asked: i64, is_told: bool) -> Result<Option<i64>, Refusal> {
        let moment = span.from.max(asked);
        loop {
            let now = self.context.maintain.clock().ok_or(reason::CLOCK)?;
            if !is_told && span.from <= now.earliest && now.latest < span.until {
                return Ok(Some(now.latest));
            }
            if moment >= span.until {
                return Ok(None);
            }
            match moment - now.earliest {
                ..=0 => return Ok(Some(moment)),
                // Shorter than a timer can tell.
                1..=1_000 => tokio::task::yield_now().await,
                soon @ ..=SOON_MICROS => tokio::time::sleep(Duration::from_micros(soon as u64)).await,
                _ => return Ok(None),
            }
        }
    }

    /// A snapshot in which these tables are right at one position ≥ `at_least`, and one value of the server's clock ≥
    /// `clock`; and that position.
    pub(super) async fn at_position(
        &self,
        tables: &[RelationId],
        at_least: Position,
        clock: Option<i64>,
        wait: Duration,
    ) -> Result<(Guard<Arc<Snapshot>>, Position), Refusal> {
        let published = self.context.published.peek();
        match common_position(&published, tables, at_least) {
            Some(seen) if clock.is_none() => return Ok((published, seen)),
            Some(_) => {}
            None => {
                let known = self.context.registry.peek();
                let is_full = |id| known.by_id.get(id).is_some_and(|table| table.evaluated_by_postgres);
                if published.frontier >= at_least && tables.iter().any(is_full) {
                    return Err(reason::FULL_MOVED.into());
                }
            }
        }
        drop(published);
        let pull = self.context.maintain.pull_at(tables, at_least, clock, wait);
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
