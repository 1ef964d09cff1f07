//! Reads that look at many rows are executed on a thread of their own. The sessions of one thread wait for one another, and
//! none should wait for another one's scan of a million rows.

use super::answer::{self, refusal_of};
use super::attempt::Refusal;
use super::environment::Probed;
use super::hidden::HiddenRead;
use super::reason;
use super::relay::Relay;
use super::statements::Resolved;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use weir_cache::Snapshot;
use weir_cache::read::{Budget, Compiled};
use weir_planner::eval::EvalContext;

/// What a session's thread does of one execution itself: as many tuples as it looks at in a millisecond or two.
pub(super) const AT_HOME: Budget<'static> = Budget::short(16 * 1024);

/// An execution that was too long for the session's thread, with what it needs.
pub(super) struct Execution {
    pub(super) resolved: Arc<Resolved>,
    pub(super) hidden: Option<Arc<HiddenRead>>,
    pub(super) evaluation: EvalContext,
}

impl Execution {
    pub(super) fn compiled(&self) -> &Compiled {
        compiled(&self.resolved, self.hidden.as_ref())
    }
}

/// The read over what is maintained for it, if something is.
pub(super) fn compiled<'a>(resolved: &'a Resolved, hidden: Option<&'a Arc<HiddenRead>>) -> &'a Compiled {
    hidden.and_then(|read| read.compiled.as_ref()).unwrap_or(&resolved.compiled)
}

/// The DataRows of an execution.
pub(super) struct Made {
    pub(super) bytes: Vec<u8>,
    /// Where each row ends in `bytes`.
    pub(super) ends: Vec<usize>,
    /// What finding the rows took.
    pub(super) took: Duration,
}

/// The executions of one candidate that are made elsewhere. The candidate is said once more with every one that has been
/// made, until nothing is missing.
#[derive(Default)]
pub(super) struct Elsewhere {
    /// With the number of the execution within the candidate.
    made: Vec<(usize, Made)>,
    /// The number of the execution that is said.
    at: usize,
    pub(super) missing: Option<Missing>,
}

/// An execution whose rows are still to be found and written in these formats.
pub(super) struct Missing {
    execution: Execution,
    formats: Vec<i16>,
}

impl Elsewhere {
    /// The next execution, if it has been made elsewhere.
    pub(super) fn next(&mut self) -> Option<&Made> {
        self.at += 1;
        self.made.iter().find(|(at, _)| *at == self.at).map(|(_, made)| made)
    }

    /// This execution is to be made elsewhere, with these result formats.
    pub(super) fn want(&mut self, execution: Execution, formats: Vec<i16>) -> Refusal {
        self.missing = Some(Missing { execution, formats });
        Refusal::Forward(reason::NOT_AT_HOME)
    }

    /// What was wanted; the candidate is said anew.
    pub(super) fn add(&mut self, made: Made) {
        self.made.push((self.at, made));
        self.at = 0;
    }
}

/// Ends the work when nobody waits for it any more.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Relay {
    /// Finds and writes the rows of an execution.
    pub(super) async fn make(
        &self,
        Missing { execution, formats }: Missing,
        snapshot: &Arc<Snapshot>,
        probed: &Arc<Probed>,
    ) -> Result<Made, Refusal> {
        let (snapshot, renderer) = (snapshot.clone(), probed.renderer.clone());
        let made = self.elsewhere(probed, move |budget| {
            let started = Instant::now();
            let rows = execution.compiled().execute_within(budget, &snapshot, &execution.evaluation);
            let rows = rows.map_err(refusal_of)?;
            let mut made = Made { bytes: Vec::new(), ends: Vec::with_capacity(rows.len()), took: started.elapsed() };
            answer::write(&execution.resolved, &rows, &formats, &renderer, &mut made.bytes, Some(&mut made.ends))?;
            Ok(made)
        });
        made.await?.map_err(Refusal::Forward)
    }

    /// Does `work` on another thread; there are as many of them as cores. A cancel request or the session's statement timeout ends
    /// it: what the timeout's error says is Postgres' to say.
    pub(super) async fn elsewhere<T: Send + 'static>(
        &self,
        probed: &Probed,
        work: impl FnOnce(Budget<'_>) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let stop = StopOnDrop(Arc::default());
        let flag = stop.0.clone();
        self.context.metrics.executed_elsewhere.add(1);
        let done = async {
            let place = self.context.places_elsewhere.clone().acquire_owned().await;
            // The place is the work's, which goes on for a moment when nobody waits for it any more.
            let work = move || {
                let _place = place;
                work(Budget::until(&flag))
            };
            tokio::task::spawn_blocking(work).await
        };
        let timeout = probed.statement_timeout;
        let in_time = async {
            match timeout.is_zero() {
                true => Ok(done.await),
                false => tokio::time::timeout(timeout, done).await,
            }
        };
        match self.cancel.guard(in_time).await {
            None => Err(Refusal::Cancelled),
            Some(Err(_)) => Err(reason::STATEMENT_TIMEOUT.into()),
            Some(Ok(Ok(done))) => Ok(done),
            // It panicked: a defect, and Postgres' answer is right in any case.
            Some(Ok(Err(failed))) => {
                tracing::error!(%failed, "a read from memory failed");
                Err(reason::EVALUATION.into())
            }
        }
    }
}
