//! The cache of analyses and the task that fills it.

use super::session::AnalysisSession;
use super::statement::{Failure, analyse};
use super::{AnalysisKey, Lookup};
use crate::metrics::Metrics;
use crate::registry::Registry;
use dashmap::DashSet;
use moka::sync::Cache;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_postgres::Config;

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
    requests: mpsc::Sender<AnalysisKey>,
}

struct Shared {
    cache: Cache<AnalysisKey, Entry>,
    /// Asked for and not answered yet.
    pending: DashSet<AnalysisKey>,
    registry: Arc<Registry>,
    metrics: Arc<Metrics>,
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
    pub fn start(control: Config, registry: Arc<Registry>, metrics: Arc<Metrics>) -> Analyser {
        let (requests, inbox) = mpsc::channel(WAITING_ANALYSES);
        let cache = Cache::new(CACHED_STATEMENTS);
        let shared = Arc::new(Shared { cache, pending: DashSet::new(), registry, metrics });
        tokio::spawn(run(control, shared.clone(), inbox));
        Analyser { shared, requests }
    }

    /// Never blocks: a miss starts the analysis in the background.
    pub fn lookup(&self, key: &AnalysisKey) -> Lookup {
        if let Some(entry) = self.shared.cache.get(key)
            && entry.epoch == self.shared.registry.epoch()
        {
            return entry.lookup;
        }
        if self.shared.pending.insert(key.clone()) && self.requests.try_send(key.clone()).is_err() {
            self.shared.pending.remove(key);
        }
        Lookup::Pending
    }
}

async fn run(control: Config, shared: Arc<Shared>, mut inbox: mpsc::Receiver<AnalysisKey>) {
    let mut session: Option<AnalysisSession> = None;
    let mut pace = tokio::time::interval(Duration::from_secs(1) / ANALYSES_PER_SECOND);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while let Some(key) = inbox.recv().await {
        pace.tick().await;
        let epoch = shared.registry.epoch();
        let outcome = match open(&mut session, &control).await {
            Ok(session) => analyse(session, &key, &shared.registry, epoch).await,
            Err(failure) => Err(failure),
        };
        match outcome {
            Ok(prepared) => shared.keep(&key, Lookup::Ready(Arc::new(prepared)), epoch),
            Err(Failure::Unsupported { reason, detail }) => {
                tracing::debug!(sql = %key.sql, reason, detail, "memory cannot answer this statement");
                shared.keep(&key, Lookup::Unsupported { reason, detail: detail.into() }, epoch);
            }
            // Asked again at the statement's next execution.
            Err(Failure::Transient(error)) => tracing::debug!(%error, "analysis failed for now"),
            Err(Failure::Broken(error)) => {
                tracing::info!(%error, "the analysis session is lost");
                session = None;
                tokio::time::sleep(RECONNECT_DELAY).await;
            }
        }
        if session.as_ref().is_some_and(AnalysisSession::is_closed) {
            session = None;
        }
        shared.pending.remove(&key);
    }
}

async fn open<'s>(
    session: &'s mut Option<AnalysisSession>,
    control: &Config,
) -> Result<&'s mut AnalysisSession, Failure> {
    match session {
        Some(session) => Ok(session),
        None => Ok(session.insert(AnalysisSession::open(control).await?)),
    }
}

impl Shared {
    fn keep(&self, key: &AnalysisKey, lookup: Lookup, epoch: u64) {
        Metrics::add(&self.metrics.analyses, 1);
        self.cache.insert(key.clone(), Entry { lookup, epoch });
    }
}
