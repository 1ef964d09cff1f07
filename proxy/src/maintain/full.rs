//! Tables that Postgres evaluates: a few at a time, each in one snapshot, published as of that snapshot.
//!
//! A table is evaluated again only when its evaluation has ended, and a quick one does not wait behind slow ones: those
//! that take longer than a second have a lane of their own.

use super::arrive::Arriving;
use super::history::Initiator;
use super::keeper::Keeper;
use super::notice::Notice;
use super::upkeep::Progress;
use super::work::Work;
use super::{Shared, copy};
use crate::catalog::rows::StreamTableRow;
use crate::control;
use std::time::{Duration, Instant};
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit, mpsc, oneshot};
use weir_planner::{ColumnType, RelationId};

/// Evaluations in each lane; together pg_trickle's default for concurrent refreshes. Postgres has its own work to do.
const AT_ONCE: usize = 2;
/// An evaluation that takes longer than this is a slow one.
const SLOW: Duration = Duration::from_secs(1);

/// A commit overtakes a snapshot in the moment between its flush and its visibility: seldom, and hardly ever twice.
const ATTEMPTS: usize = 10;

/// What an evaluation came to.
#[derive(Debug)]
pub(super) struct Evaluation {
    pub progress: Progress,
    /// The next one starts in the slow lane.
    pub slow: bool,
}

/// Who may be evaluated now.
pub(super) struct Lanes {
    quick: Semaphore,
    slow: Semaphore,
    slow_after: Duration,
}

impl Lanes {
    pub(super) fn new() -> Lanes {
        Lanes { quick: Semaphore::new(AT_ONCE), slow: Semaphore::new(AT_ONCE), slow_after: SLOW }
    }

    async fn enter(&self, slow: bool) -> Result<SemaphorePermit<'_>, AcquireError> {
        if slow { self.slow.acquire().await } else { self.quick.acquire().await }
    }

    /// Runs `evaluation` in its lane; one that turns out to be slow makes room for the quick ones, unless the slow lane is
    /// full as well.
    async fn run<T>(&self, was_slow: bool, evaluation: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        let permit = self.enter(was_slow).await.map_err(|error| error.to_string())?;
        tokio::pin!(evaluation);
        if let Ok(done) = tokio::time::timeout(self.slow_after, &mut evaluation).await {
            return done;
        }
        let _changed_over = if was_slow { Ok(permit) } else { self.slow.try_acquire().map_err(|_| permit) };
        evaluation.await
    }
}

/// Starts an evaluation; it ends in [`Notice::Evaluated`].
pub(super) fn spawn(keeper: &mut Keeper, id: RelationId, initiator: Initiator) {
    let Some(view) = keeper.views.get_mut(&id) else { return };
    view.evaluating = true;
    let (generation, was_slow) = (view.generation, view.slow);
    let (row, columns) = (view.row.clone(), view.columns.clone());
    let (shared, work, notices) = (keeper.shared.clone(), keeper.work.clone(), keeper.notices.clone());
    tokio::spawn(async move {
        let evaluation = async {
            let started = Instant::now();
            let progress = evaluate(&shared, &work, &row, &columns).await?;
            Ok(Evaluation { progress, slow: started.elapsed() > SLOW })
        };
        let result = shared.lanes.run(was_slow, evaluation).await;
        let _ = notices.send(Notice::Evaluated { id, generation, result, initiator });
    });
}

async fn evaluate(
    shared: &Shared,
    work: &mpsc::UnboundedSender<Work>,
    row: &StreamTableRow,
    columns: &[ColumnType],
) -> Result<Progress, String> {
    let client = control::connect(&shared.config.upstream, "evaluation").await.map_err(|error| error.to_string())?;
    for _ in 0..ATTEMPTS {
        let _ = work.send(Work::BeginEvaluation(row.id));
        copy::begin(&client, row).await.map_err(|error| error.to_string())?;
        let settlement = copy::settlement(&client, shared.capture.get()).await.map_err(|error| error.to_string())?;
        let rows = copy::rows(&client, row, columns).await.map_err(|error| error.to_string())?;
        client.batch_execute("ROLLBACK").await.map_err(|error| error.to_string())?;
        if let Some(capture) = shared.capture.get() {
            capture.reach(settlement.position);
        }
        let (done, answer) = oneshot::channel();
        let _ = work.send(Work::SetRows(Arriving { table: row.id, rows, settlement, done }));
        if let Some(progress) = answer.await.map_err(|error| error.to_string())?? {
            return Ok(progress);
        }
        tracing::debug!(table = row.name, "a commit overtook the snapshot of an evaluation");
    }
    Err(format!("commits became visible behind {ATTEMPTS} snapshots taken after them"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;
    use std::cell::Cell;
    use std::future::{pending, ready};

    fn lanes(slow_after: Duration) -> Lanes {
        Lanes { slow_after, ..Lanes::new() }
    }

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(test);
    }

    #[test]
    fn a_quick_one_does_not_wait_behind_slow_ones() {
        run(async {
            let lanes = lanes(Duration::MAX);
            let slow = join_all((0..9).map(|_| lanes.run(true, pending::<Result<(), String>>())));
            tokio::select! {
                biased;
                _ = slow => unreachable!("they last for ever"),
                done = lanes.run(false, ready(Ok(()))) => assert_eq!(done, Ok(())),
            }
        });
    }

    #[test]
    fn one_that_turns_out_to_be_slow_makes_room() {
        run(async {
            let lanes = lanes(Duration::from_millis(1));
            let stuck = join_all((0..AT_ONCE).map(|_| lanes.run(false, pending::<Result<(), String>>())));
            tokio::select! {
                biased;
                _ = stuck => unreachable!("they last for ever"),
                done = lanes.run(false, ready(Ok(()))) => assert_eq!(done, Ok(())),
            }
            assert_eq!(lanes.slow.available_permits(), AT_ONCE, "given back");
        });
    }

    #[test]
    fn no_more_run_than_the_lanes_hold() {
        run(async {
            let lanes = lanes(Duration::from_millis(1));
            let (running, most) = (Cell::new(0), Cell::new(0));
            let counted = |length: u64| {
                let (running, most) = (&running, &most);
                async move {
                    running.set(running.get() + 1);
                    most.set(most.get().max(running.get()));
                    tokio::time::sleep(Duration::from_millis(length)).await;
                    running.set(running.get() - 1);
                    Ok::<(), String>(())
                }
            };
            join_all((0..40).map(|at| lanes.run(at % 3 == 0, counted(at % 5)))).await;
            assert!((AT_ONCE..=2 * AT_ONCE).contains(&most.get()), "{} at once", most.get());
        });
    }
}
