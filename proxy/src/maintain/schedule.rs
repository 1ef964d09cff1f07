//! The scheduler: which tables are due, manual refreshes, and what of it goes into the history.

use super::full::{self, Evaluation};
use super::history::{self, Entry, Freshness, Initiator, Record, Status};
use super::keeper::{Keeper, KeeperError};
use super::notice::Notice;
use super::populate::{Managed, Phase};
use super::upkeep::Progress;
use super::work::Work;
use crate::catalog::schedule::{Cron, Schedule};
use std::collections::HashSet;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::oneshot;
use weir_cache::Position;
use weir_planner::RelationId;

/// Cadence of a `calculated` or IMMEDIATE table that reads base tables only (pg_trickle's `default_schedule_seconds`).
const DEFAULT_CADENCE: Duration = Duration::from_secs(1);
/// The catalog row of a table in which nothing changes is brought up to date no more often than this: every such update is
/// a write to the application's database.
const QUIET_TELL: Duration = Duration::from_secs(10);

/// Its first evaluation by Postgres failed: it is tried again at its schedule, and when somebody asks for a refresh.
const FAILED_AT_FIRST: Phase = Phase::Out("evaluation failed");

/// Starts a round for the tables that are due. One round runs at a time; all its tables are brought to one position.
pub(super) fn tick(keeper: &mut Keeper) {
    retry_failed(keeper, Instant::now());
    if keeper.refreshing {
        return;
    }
    let due = take_due(keeper, Instant::now());
    if due.is_empty() {
        return;
    }
    let (done, answer) = oneshot::channel();
    if keeper.work.send(Work::Refresh { tables: due, done }).is_err() {
        return;
    }
    keeper.refreshing = true;
    let notices = keeper.notices.clone();
    tokio::spawn(async move {
        let _ = notices.send(Notice::Refreshed(answer.await.unwrap_or_default()));
    });
}

/// Evaluates tables again whose first evaluation failed, when their schedule has come round.
fn retry_failed(keeper: &mut Keeper, now: Instant) {
    let is_due = |view: &Managed| view.phase == FAILED_AT_FIRST && view.due.is_some_and(|due| due <= now);
    let due: Vec<RelationId> = keeper.views.iter().filter(|(_, view)| is_due(view)).map(|(id, _)| *id).collect();
    for id in due {
        retry(keeper, id, Initiator::Initial);
    }
}

fn retry(keeper: &mut Keeper, id: RelationId, initiator: Initiator) {
    if let Some(view) = keeper.views.get_mut(&id) {
        view.phase = Phase::Evaluating;
        full::spawn(keeper, id, initiator);
    }
}

/// When a table is due for the first time after it has become live, or its schedule another one: at once, but at the moment
/// that a cron expression means.
pub(super) fn first_due(schedule: &Schedule) -> Option<Instant> {
    match schedule {
        Schedule::Calculated | Schedule::Every(_) => Some(Instant::now()),
        Schedule::Cron(cron) => moment_of(cron, Instant::now()),
        Schedule::Never => None,
    }
}

/// When it is due again. Turns keep their distance from each other however late one of them is looked at; those that were
/// missed altogether are left out.
fn next_due(schedule: &Schedule, was: Instant, now: Instant) -> Option<Instant> {
    let every = match schedule {
        Schedule::Calculated => DEFAULT_CADENCE,
        Schedule::Every(every) => *every,
        Schedule::Cron(cron) => return moment_of(cron, now),
        Schedule::Never => return None,
    };
    let next = was + every;
    Some(if next > now { next } else { now + every })
}

fn moment_of(cron: &Cron, now: Instant) -> Option<Instant> {
    let clock = SystemTime::now();
    let wait = cron.next_after(clock)?.duration_since(clock).unwrap_or_default();
    now.checked_add(wait)
}

/// Live tables whose schedule has come, and `calculated` ones over them, transitively.
fn take_due(keeper: &mut Keeper, now: Instant) -> Vec<RelationId> {
    let mut due: HashSet<RelationId> = HashSet::new();
    for (id, view) in keeper.views.iter_mut().filter(|(_, view)| view.phase == Phase::Live) {
        let follows = view.row.schedule == Schedule::Calculated
            && view.sources.iter().any(|id| keeper_is_stream(id, &keeper.tables));
        let Some(was) = view.due.filter(|due| !follows && *due <= now) else { continue };
        view.due = next_due(&view.row.schedule, was, now);
        due.insert(*id);
    }
    loop {
        let more: Vec<RelationId> = keeper
            .views
            .iter()
            .filter(|(id, view)| {
                view.phase == Phase::Live
                    && view.row.schedule == Schedule::Calculated
                    && !due.contains(id)
                    && view.sources.iter().any(|source| due.contains(source))
            })
            .map(|(id, _)| *id)
            .collect();
        if more.is_empty() {
            return due.into_iter().collect();
        }
        due.extend(more);
    }
}

fn keeper_is_stream(id: &RelationId, tables: &std::collections::HashMap<RelationId, super::populate::Base>) -> bool {
    !tables.contains_key(id)
}

/// A round is over: history for what changed, evaluation by Postgres for what has moved.
pub(super) fn refreshed(keeper: &mut Keeper, round: Vec<Progress>) {
    keeper.refreshing = false;
    let mut evaluate = Vec::new();
    for progress in round {
        let Some(view) = keeper.views.get_mut(&progress.table) else { continue };
        if view.is_evaluated() {
            if progress.moved && !view.evaluating {
                evaluate.push(progress.table);
            }
            if progress.moved {
                continue;
            }
        }
        let pgt_id = view.row.pgt_id;
        let changed = !progress.is_empty();
        if !changed && view.told.elapsed() < QUIET_TELL {
            continue;
        }
        view.told = Instant::now();
        let action = view.action();
        if changed {
            keeper.record(Entry::completed(pgt_id, action, Initiator::Scheduler, &progress));
        } else {
            let fresh = Freshness { pgt_id, at: SystemTime::now(), position: progress.position.to_string() };
            let _ = keeper.records.send(Record::Fresh(fresh));
        }
    }
    for table in evaluate {
        full::spawn(keeper, table, Initiator::Scheduler);
    }
}

impl Keeper {
    /// Postgres has evaluated a table: its first time makes it live.
    pub(super) async fn evaluated(
        &mut self,
        id: RelationId,
        generation: u64,
        result: Result<Evaluation, String>,
        initiator: Initiator,
    ) -> Result<(), KeeperError> {
        if let Initiator::Manual(position) = initiator {
            self.shared.ledger.close(position);
        }
        let Some(view) = self.views.get_mut(&id).filter(|view| view.generation == generation) else { return Ok(()) };
        view.evaluating = false;
        let (pgt_id, action, first) = (view.row.pgt_id, view.action(), view.phase == Phase::Evaluating);
        let progress = match result {
            Ok(Evaluation { progress, slow }) => {
                view.slow = slow;
                progress
            }
            Err(reason) => {
                tracing::warn!(table = view.row.name, reason, "Postgres could not evaluate a stream table");
                if first {
                    view.phase = FAILED_AT_FIRST;
                    let now = Instant::now();
                    view.due = next_due(&view.row.schedule, now, now);
                    self.publish_registry();
                }
                if history::count_failure(&self.client, pgt_id, &reason).await? {
                    // The row says SUSPENDED now: the next reading takes the table out of service.
                    self.must_read = true;
                }
                self.record(Entry::failed(pgt_id, action, initiator, reason));
                return Ok(());
            }
        };
        view.told = Instant::now();
        let entry = Entry::completed(pgt_id, action, initiator, &progress);
        if first {
            view.phase = Phase::Live;
            let reason = Some("evaluated by Postgres".to_owned());
            Status::Live { effective: "FULL".into(), reason }.write(&self.client, pgt_id).await?;
            entry.write_freshness(&self.client).await?;
            self.plan_readers_again(id);
            self.publish_registry();
        }
        if !progress.is_empty() || initiator != Initiator::Scheduler {
            self.record(entry);
        }
        Ok(())
    }

    /// Tables that were left to Postgres because this one had no rows, or was suspended.
    pub(super) fn plan_readers_again(&mut self, id: RelationId) {
        let reads_it = |view: &Managed| matches!(view.phase, Phase::Out(_)) && view.row.sources.contains(&id);
        let readers: Vec<RelationId> =
            self.views.iter().filter(|(_, view)| reads_it(view)).map(|(id, _)| *id).collect();
        if !readers.is_empty() {
            self.tear_down(&readers);
            self.must_read = true;
        }
    }

    /// Starts the manual refreshes whose table is there.
    pub(super) async fn serve_requests(&mut self) -> Result<(), KeeperError> {
        for (pgt_id, position) in std::mem::take(&mut self.requested) {
            let Some((id, view)) = self.views.iter().find(|(_, view)| view.row.pgt_id == pgt_id) else {
                if self.must_read {
                    self.requested.push((pgt_id, position))
                } else {
                    self.shared.ledger.close(position)
                }
                continue;
            };
            let id = *id;
            match &view.phase {
                Phase::Waiting | Phase::Adding | Phase::Evaluating => self.requested.push((pgt_id, position)),
                Phase::Out("not populated") => {
                    self.requested.push((pgt_id, position));
                    self.tear_down(&[id]);
                    self.must_read = true;
                }
                phase if *phase == FAILED_AT_FIRST => retry(self, id, Initiator::Manual(position)),
                Phase::Out(_) => self.shared.ledger.close(position),
                Phase::Live if view.is_evaluated() && view.evaluating => self.requested.push((pgt_id, position)),
                Phase::Live if view.is_evaluated() => full::spawn(self, id, Initiator::Manual(position)),
                Phase::Live => self.refresh_now(id, pgt_id, position),
            }
        }
        Ok(())
    }

    fn refresh_now(&self, id: RelationId, pgt_id: i64, position: Position) {
        let Some(view) = self.views.get(&id) else { return };
        let action = view.action();
        let (done, answer) = oneshot::channel();
        let _ = self.work.send(Work::Refresh { tables: vec![id], done });
        let (records, notices) = (self.records.clone(), self.notices.clone());
        tokio::spawn(async move {
            for progress in answer.await.unwrap_or_default() {
                let _ = records.send(Record::Refresh(Entry::completed(
                    pgt_id,
                    action,
                    Initiator::Manual(position),
                    &progress,
                )));
            }
            let _ = notices.send(Notice::RefreshDone { position });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However late a turn is looked at, the next one keeps its distance from the moment it was due.
    #[test]
    fn the_cadence_has_no_jitter() {
        let every = Schedule::Every(Duration::from_secs(1));
        let first = Instant::now();
        let mut due = first;
        for turn in 1..=50_u32 {
            let looked_at = due + Duration::from_millis(u64::from(turn * 37 % 100));
            due = next_due(&every, due, looked_at).expect("it comes round");
            assert_eq!(due, first + Duration::from_secs(1) * turn);
        }
        // Turns that were missed altogether are left out: no burst follows a pause.
        let pause = due + Duration::from_secs(3600);
        assert_eq!(next_due(&every, due, pause), Some(pause + Duration::from_secs(1)));
        assert_eq!(next_due(&Schedule::Never, due, pause), None);
        assert_eq!(next_due(&Schedule::Calculated, due, due), Some(due + DEFAULT_CADENCE));
    }
}
