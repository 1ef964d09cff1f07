//! The maintenance of stream tables: owns the engine and the publisher on one thread, follows the catalog, schedules
//! refreshes, writes status and history. Sessions talk to it through [`Handle`].
//!
//! `follow` takes capture's events: data goes to the `thread` (engine), marks to the `keeper` (catalog, `populate`,
//! `schedule`, `full`, `questions`, `let_go`). Nothing is answered from memory between a mark and its reading (`suspension`). `push` tells subscribers.

mod alarm;
mod arrive;
mod copy;
mod demand;
mod explain;
mod follow;
mod full;
mod hidden;
mod history;
mod hold;
mod intake;
mod keeper;
mod ledger;
mod let_go;
mod notice;
mod planning;
mod populate;
mod push;
mod questions;
mod reconcile;
mod schedule;
pub mod server_clock;
mod suspension;
mod thread;
mod upkeep;
mod validate;
mod verify;
mod work;

use crate::capture::Capture;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::published::Published;
use crate::registry::{Registry, State};
use server_clock::{Reading, ServerClock};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use weir_cache::read::Heat;
use weir_cache::{Position, Snapshot};
use weir_planner::RelationId;
use work::Work;

/// What sessions may ask of the maintenance.
#[derive(Clone)]
pub struct Handle {
    published: Arc<Published>,
    registry: Arc<Registry>,
    work: mpsc::UnboundedSender<Work>,
    shared: Arc<Shared>,
    heat: Arc<Heat>,
    /// A [`Work::Tend`] is on its way.
    tending: Arc<AtomicBool>,
    settled: watch::Receiver<Settled>,
}

/// A reader waits until `tables` are right at one position ≥ `at_least`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    pub tables: Vec<RelationId>,
    pub at_least: Position,
    /// And at a value of the server's clock that is not before this one.
    pub clock: Option<i64>,
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

/// What the tasks of the maintenance share.
pub(crate) struct Shared {
    config: Arc<Config>,
    registry: Arc<Registry>,
    metrics: Arc<Metrics>,
    capture: OnceLock<Capture>,
    ledger: ledger::Ledger,
    /// Events arrive: what is put into the stream will be seen soon.
    stream_is_open: AtomicBool,
    suspension: suspension::Suspension,
    board: Arc<push::Board>,
    /// Evaluations by Postgres.
    lanes: full::Lanes,
    clock: Arc<ServerClock>,
}

/// The publication all watched tables are members of.
const PUBLICATION: &str = "weir";
/// Events of capture that may wait for the follower; small, for commits wait in Postgres at no cost.
const EVENTS_IN_FLIGHT: usize = 256;

/// Starts the maintenance: installs Weir's SQL where it may, starts the capture, populates what the catalog names,
/// and keeps doing so across restarts of Postgres. Returns at once; until tables are live, reads are forwarded.
/// What stands in the way is in [`Registry::problems`].
///
/// Must be called within a tokio runtime. Err: the engine's thread could not be started.
pub fn start(
    config: Arc<Config>,
    registry: Arc<Registry>,
    published: Arc<Published>,
    metrics: Arc<Metrics>,
) -> std::io::Result<Handle> {
    let (ledger, settled) = ledger::Ledger::new();
    let board = Arc::new(push::Board::default());
    let shared = Arc::new(Shared {
        config,
        registry: registry.clone(),
        metrics: metrics.clone(),
        capture: OnceLock::new(),
        ledger,
        stream_is_open: AtomicBool::new(false),
        suspension: suspension::Suspension::new(registry.clone()),
        board: board.clone(),
        lanes: full::Lanes::new(),
        clock: Arc::default(),
    });
    let (work, queue) = mpsc::unbounded_channel();
    let (notices, inbox) = mpsc::unbounded_channel();
    let (events, followed) = mpsc::channel(EVENTS_IN_FLIGHT);
    let heat = Arc::new(Heat::new());
    let tending = Arc::new(AtomicBool::new(false));
    let budget_bytes = shared.config.memory_budget_bytes;
    let tended = (heat.clone(), tending.clone());
    let (due, alarm) = watch::channel(None);
    let outputs = thread::Outputs {
        published: published.clone(),
        metrics,
        board: board.clone(),
        notices: notices.clone(),
        due,
        clock: shared.clock.clone(),
    };
    thread::start(queue, outputs, tended, budget_bytes)?;
    tokio::spawn(shared.clock.clone().follow(shared.config.upstream.clone()));
    tokio::spawn(alarm::run(shared.clock.clone(), alarm, work.clone()));
    tokio::spawn(push::run(shared.config.upstream.clone(), board));
    tokio::spawn(follow::follow(shared.clone(), followed, work.clone(), notices.clone()));
    tokio::spawn(keeper::run(keeper::Inputs { shared: shared.clone(), work: work.clone(), notices, inbox, events }));
    Ok(Handle { published, registry, work, shared, heat, tending, settled })
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
        self.pull_at(tables, at_least, None, wait).await
    }

    /// [`Handle::pull`], with the tables right at a value of the server's clock not before `clock` (microseconds since
    /// 2000-01-01 UTC).
    pub async fn pull_at(
        &self,
        tables: &[RelationId],
        at_least: Position,
        clock: Option<i64>,
        wait: Duration,
    ) -> Result<Arc<Snapshot>, PullError> {
        let snapshot = self.published.load();
        if is_right(&snapshot, tables, at_least, clock) {
            return self.if_live(snapshot, tables);
        }
        // Subscribed before the second look, so that no publication falls between the two.
        let mut changed = self.published.subscribe();
        if self.work.send(Work::Demand(Demand { tables: tables.to_vec(), at_least, clock })).is_err() {
            return Err(PullError::NotLive);
        }
        if snapshot.frontier < at_least
            && let Some(capture) = self.shared.capture.get()
        {
            capture.reach(at_least);
        }
        let waited = tokio::time::timeout(wait, async {
            loop {
                let snapshot = self.published.load();
                if is_right(&snapshot, tables, at_least, clock) {
                    return self.if_live(snapshot, tables);
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

    /// Asked after the snapshot was loaded: a mark in the stream withholds its tables before its position is published, so
    /// what is live now was not touched by anything up to the snapshot's frontier.
    fn if_live(&self, snapshot: Arc<Snapshot>, tables: &[RelationId]) -> Result<Arc<Snapshot>, PullError> {
        let known = self.registry.tables();
        let live = |id: &RelationId| known.by_id.get(id).is_some_and(|table| table.state == State::Live);
        if tables.iter().all(live) { Ok(snapshot) } else { Err(PullError::NotLive) }
    }

    /// A position whose state shows everything that was visible in Postgres before this call, where positions say when a
    /// snapshot was taken (capture by triggers). None: they are WAL positions, and Postgres must be asked.
    pub fn position_now(&self) -> Option<Position> {
        let capture = self.shared.capture.get().filter(|capture| capture.is_by_snapshot())?;
        Some(capture.position_after(Position(0)))
    }

    /// Postgres' clock. None: it is not known at the moment.
    pub fn clock(&self) -> Option<Reading> {
        self.shared.clock.now()
    }

    /// What parts of reads have cost, and which of them are maintained as hidden views.
    pub fn heat(&self) -> &Heat {
        &self.heat
    }

    /// A read was slow: the engine thread looks what indexes readers wait for and what parts of reads are worth
    /// maintaining. Cheap, and at most one request is on its way.
    pub fn tend(&self) {
        if !self.tending.swap(true, Ordering::AcqRel) && self.work.send(Work::Tend).is_err() {
            self.tending.store(false, Ordering::Release);
        }
    }

    /// Accounted bytes per stream table (rows, indexes, operators) and per base table; empty when the thread is busy for
    /// longer than a second.
    pub async fn memory(&self) -> Vec<(RelationId, usize)> {
        let (done, answer) = oneshot::channel();
        let _ = self.work.send(Work::Memory(done));
        tokio::time::timeout(Duration::from_secs(1), answer).await.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// No refresh will make this true soon: a table is not live, or Postgres evaluates it and its sources have moved.
    fn is_hopeless(&self, snapshot: &Snapshot, tables: &[RelationId], at_least: Position) -> bool {
        let known = self.registry.tables();
        tables.iter().any(|id| match (known.by_id.get(id), snapshot.tables.get(id)) {
            (Some(table), Some(version)) => {
                table.state != State::Live
                    || self.published.is_in_error(*id)
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
        if let Some(capture) = self.shared.capture.get() {
            capture.reach(position);
        }
        match tokio::time::timeout(wait, settled.wait_for(|state| state.covers(position))).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(PullError::NotLive),
            Err(_) => Err(PullError::Timeout),
        }
    }
}

/// True when one position ≥ `at_least`, and one value of the clock ≥ `clock`, lie in the validity of every table.
fn is_right(snapshot: &Snapshot, tables: &[RelationId], at_least: Position, clock: Option<i64>) -> bool {
    let span = snapshot.clock_span(tables);
    if clock.is_some_and(|clock| span.until <= clock.max(span.from)) {
        return false;
    }
    let mut from = at_least;
    let mut to = Position(u64::MAX);
    for id in tables {
        let Some(version) = snapshot.tables.get(id) else { return false };
        from = from.max(version.as_of);
        to = to.min(version.valid_to);
    }
    if tables.is_empty() { snapshot.frontier >= at_least } else { from <= to }
}
