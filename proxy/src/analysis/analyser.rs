//! The cache of analyses and the task that fills it.

use super::session::AnalysisSession;
use super::statement::{Failure, analyse};
use super::{AnalysisKey, Example, Lookup, literals};
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::upstream::Upstream;
use dashmap::DashSet;
use moka::sync::Cache;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Statements whose analysis is kept. An entry is a plan and its text, some kilobytes: tens of megabytes at most.
const CACHED_STATEMENTS: u64 = 8192;

/// Analyses that may wait. Beyond that a statement is forwarded and asks again at its next execution.
const WAITING_ANALYSES: usize = 256;

/// At most this many analyses a second: each costs the server 0.5 ms, a transaction id and some dead catalogue rows, and
/// clients that put every literal into the text would ask for one per statement.
const ANALYSES_PER_SECOND: u32 = 200;

/// How long to wait before the control session is opened again after a failure.
const RECONNECT_DELAY: Duration = Duration::from_millis(500);

/// Hands out analyses; cheap to clone.
#[derive(Clone)]
pub struct Analyser {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
}

/// A statement to analyse; with an example where its parameters stand for literals.
struct Request {
    key: AnalysisKey,
    example: Option<Example>,
}

struct Shared {
    statements: Kept,
    /// Texts whose literals were taken out: their parameters stand for literals of one example.
    without_literals: Kept,
    registry: Arc<Registry>,
    metrics: Arc<Metrics>,
}

struct Kept {
    cache: Cache<AnalysisKey, Entry>,
    /// Asked for and not answered yet.
    pending: DashSet<AnalysisKey>,
}

impl Kept {
    fn new() -> Kept {
        Kept { cache: Cache::new(CACHED_STATEMENTS), pending: DashSet::new() }
    }
}

#[derive(Clone)]
struct Entry {
    lookup: Lookup,
    epoch: u64,
}

impl Analyser {
    /// Starts the analysing task on its own control session, opened when first needed. Ends when the last clone goes.
    ///
    /// Must be called within a tokio runtime.
    pub fn start(control: impl Into<Upstream>, registry: Arc<Registry>, metrics: Arc<Metrics>) -> Analyser {
        let control = control.into();
        let (requests, inbox) = mpsc::channel(WAITING_ANALYSES);
        let shared = Arc::new(Shared { statements: Kept::new(), without_literals: Kept::new(), registry, metrics });
        tokio::spawn(run(control, shared.clone(), inbox));
        Analyser { shared, requests }
    }

    /// Never blocks: a miss starts the analysis in the background.
    pub fn lookup(&self, key: &AnalysisKey) -> Lookup {
        self.look_up(&self.shared.statements, key, || None)
    }

    /// As [`Analyser::lookup`] for a text whose literals were taken out. It is ready only if Postgres makes of the
    /// example's own text exactly what it makes of this one with the literals as parameters.
    pub fn lookup_without_literals(&self, key: &AnalysisKey, example: impl FnOnce() -> Example) -> Lookup {
        self.look_up(&self.shared.without_literals, key, || Some(example()))
    }

    fn look_up(&self, kept: &Kept, key: &AnalysisKey, example: impl FnOnce() -> Option<Example>) -> Lookup {
        if let Some(entry) = kept.cache.get(key)
            && entry.epoch == self.shared.registry.epoch()
        {
            return entry.lookup;
        }
        let request = || Request { key: key.clone(), example: example() };
        if kept.pending.insert(key.clone()) && self.requests.try_send(request()).is_err() {
            kept.pending.remove(key);
        }
        Lookup::Pending
    }
}

async fn run(control: Upstream, shared: Arc<Shared>, mut inbox: mpsc::Receiver<Request>) {
    let mut session: Option<AnalysisSession> = None;
    let mut pace = tokio::time::interval(Duration::from_secs(1) / ANALYSES_PER_SECOND);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while let Some(Request { key, example }) = inbox.recv().await {
        pace.tick().await;
        let epoch = shared.registry.epoch();
        let kept = if example.is_some() { &shared.without_literals } else { &shared.statements };
        let keep = |lookup| {
            Metrics::add(&shared.metrics.analyses, 1);
            kept.cache.insert(key.clone(), Entry { lookup, epoch });
        };
        let outcome = match open(&mut session, &control).await {
            Ok(session) => match &example {
                None => analyse(session, &key, &shared.registry, epoch).await,
                Some(example) => {
                    // The text as it came has been analysed on the way.
                    let keep_exact = |key, exact| {
                        let lookup = Lookup::Ready(exact);
                        shared.statements.cache.insert(key, Entry { lookup, epoch });
                    };
                    literals::analyse(session, &key, example, &shared.registry, epoch, keep_exact).await
                }
            },
            Err(failure) => Err(failure),
        };
        match outcome {
            Ok(prepared) => keep(Lookup::Ready(Arc::new(prepared))),
            Err(Failure::Unsupported { reason, detail }) => {
                tracing::debug!(sql = %key.sql, reason, detail, "memory cannot answer this statement");
                keep(Lookup::Unsupported { reason, detail: detail.into() });
            }
            // Asked again at the statement's next execution.
            Err(Failure::Transient(error)) => tracing::debug!(%error, "analysis failed for now"),
            Err(Failure::Broken(error)) => {
                tracing::info!(%error, sql = %key.sql, "the analysis session is lost");
                session = None;
                tokio::time::sleep(RECONNECT_DELAY).await;
            }
        }
        if session.as_ref().is_some_and(AnalysisSession::is_closed) {
            session = None;
        }
        kept.pending.remove(&key);
    }
}

async fn open<'s>(
    session: &'s mut Option<AnalysisSession>,
    control: &Upstream,
) -> Result<&'s mut AnalysisSession, Failure> {
    match session {
        Some(session) => Ok(session),
        None => Ok(session.insert(AnalysisSession::open(control).await?)),
    }
}
