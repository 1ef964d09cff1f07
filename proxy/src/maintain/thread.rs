//! The engine thread: sole owner of the engine and the publisher. Takes [`Work`] in order, steps, publishes.

use super::arrive::Arriving;
use super::demand::Demands;
use super::hold::Hold;
use super::intake::IntakeLimit;
use super::notice::Notice;
use super::push::{Board, Changed};
use super::server_clock::ServerClock;
use super::upkeep::{Progress, Upkeep, View};
use super::work::{How, NewView, Refusal, Work};
use crate::capture::{Change, Commit};
use crate::metrics::Metrics;
use crate::published::Published;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, watch};
use weir_cache::engine::{Content, EngineError, TableChange};
use weir_cache::read::Heat;
use weir_cache::read::hot::is_hidden;
use weir_cache::{Delta, Engine, Position, Publisher, Snapshot};
use weir_planner::{RelationId, Row};

pub(super) struct Thread {
    pub(super) engine: Engine,
    budget_bytes: Option<usize>,
    pub(super) publisher: Publisher,
    pub(super) published: Arc<Published>,
    pub(super) metrics: Arc<Metrics>,
    /// Ancestors before dependants.
    pub(super) views: Upkeep,
    pub(super) demands: Demands,
    pub(super) hold: Hold,
    /// Rows that Postgres evaluated at a position not reached yet.
    pub(super) arriving: Vec<Arriving>,
    /// Base tables whose rows have not come, and the watch that they will come of. Until then changes of them may be on their way
    /// that an earlier watch has brought; the rows will have them.
    awaited: HashMap<RelationId, u64>,
    /// Base tables that were let go, and the watch of which their rows had come.
    pub(super) let_go: HashMap<RelationId, u64>,
    pub(super) frontier: Position,
    /// Newest commit time applied (µs since 2000): the clock is never behind a commit it shows.
    pub(super) newest_commit_micros: i64,
    /// The server's clock as of which views are brought to the present in this step (microseconds since 2000-01-01 UTC).
    pub(super) clock: i64,
    server_clock: Arc<ServerClock>,
    /// When rows next come or leave by time alone.
    due: watch::Sender<Option<i64>>,
    /// Times of the commits that no published snapshot has yet.
    unpublished: Vec<i64>,
    /// What reads cost, and which parts of them are maintained.
    pub(super) heat: Arc<Heat>,
    /// A [`Work::Tend`] is on its way.
    tending: Arc<AtomicBool>,
    /// How long the last step took, its intake apart.
    last_step: Duration,
    /// When idle hidden views were last looked for.
    pub(super) swept: Instant,
    /// Quarantines already reported.
    reported: HashMap<RelationId, String>,
    /// For those who subscribe to tables.
    board: Arc<Board>,
    pub(super) notices: mpsc::UnboundedSender<Notice>,
}

/// Where the thread leaves what it has done.
pub(super) struct Outputs {
    pub published: Arc<Published>,
    pub metrics: Arc<Metrics>,
    pub board: Arc<Board>,
    pub notices: mpsc::UnboundedSender<Notice>,
    pub due: watch::Sender<Option<i64>>,
    pub clock: Arc<ServerClock>,
}

/// Starts the thread. It ends when all senders of `work` are gone.
pub(super) fn start(
    work: mpsc::UnboundedReceiver<Work>,
    Outputs { published, metrics, board, notices, due, clock }: Outputs,
    (heat, tending): (Arc<Heat>, Arc<AtomicBool>),
    budget_bytes: Option<usize>,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name("weir-engine".into()).spawn(move || {
        let mut thread = Thread {
            engine: engine_within(budget_bytes),
            budget_bytes,
            publisher: Publisher::new(),
            published,
            metrics,
            views: Upkeep::default(),
            demands: Demands::default(),
            hold: Hold::default(),
            arriving: Vec::new(),
            awaited: HashMap::new(),
            let_go: HashMap::new(),
            frontier: Position::default(),
            newest_commit_micros: 0,
            clock: 0,
            server_clock: clock,
            due,
            unpublished: Vec::new(),
            heat,
            tending,
            last_step: Duration::ZERO,
            swept: Instant::now(),
            reported: HashMap::new(),
            board,
            notices,
        };
        thread.run(work);
    })
}

impl Thread {
    fn run(&mut self, mut work: mpsc::UnboundedReceiver<Work>) {
        while let Some(first) = self.next(&mut work) {
            // A panic here is a defect of Weir, not a reason to stop answering: what is held is thrown away, reads are
            // forwarded, the keeper populates everything anew.
            let survived = catch_unwind(AssertUnwindSafe(|| self.turn(first, &mut work)));
            if let Err(panic) = survived {
                let reason = panic_text(&*panic);
                tracing::error!(reason, "the engine thread panicked; everything is populated anew");
                self.reset();
                let _ = self.notices.send(Notice::EngineFailed { reason });
            }
        }
    }

    /// Waits for work; while readers wait for indexes, idle turns build them slice by slice.
    fn next(&mut self, work: &mut mpsc::UnboundedReceiver<Work>) -> Option<Work> {
        if !self.publisher.has_demands() {
            return work.blocking_recv();
        }
        match work.try_recv() {
            Ok(first) => Some(first),
            Err(TryRecvError::Empty) => Some(Work::Tend),
            Err(TryRecvError::Disconnected) => None,
        }
    }

    fn turn(&mut self, first: Work, work: &mut mpsc::UnboundedReceiver<Work>) {
        let intake = IntakeLimit::after(self.last_step);
        let started = Instant::now();
        self.take(first);
        for taken in 1.. {
            if intake.is_reached(taken, started.elapsed()) {
                break;
            }
            let Ok(next) = work.try_recv() else { break };
            self.take(next);
        }
        let started = Instant::now();
        self.step();
        self.last_step = started.elapsed();
    }

    pub(super) fn take(&mut self, work: Work) {
        let Some(work) = self.hold.intercept(work) else { return };
        match work {
            Work::Commits { commits, frontier, permit } => {
                self.apply_commits(commits);
                self.frontier = self.frontier.max(frontier);
                drop(permit);
            }
            Work::Frontier(frontier) => self.frontier = self.frontier.max(frontier),
            Work::AddTable { table, life, key } => {
                self.awaited.insert(table, life);
                if let Err(error) = self.engine.add_table(table, key) {
                    tracing::error!(?table, %error, "a base table could not be added to the engine");
                }
            }
            Work::Joined { table, life, rows, late, position } => self.join((table, life), rows, late, position),
            Work::Shed(table) => self.shed(table),
            Work::LetGo { table, life } => self.let_go(table, life),
            Work::DropTable(table) => {
                self.awaited.remove(&table);
                self.forget_let_go(table);
                if let Err(error) = self.engine.drop_table(table) {
                    tracing::debug!(?table, %error, "a base table could not be dropped from the engine");
                }
            }
            Work::AddView { view, done } => {
                let _ = done.send(self.add_view(view));
            }
            Work::DropView(view) => self.drop_view(view),
            Work::BeginEvaluation(table) => self.views.begin_evaluation(table),
            Work::SetRows(rows) => self.arriving.push(rows),
            Work::Demand(demand) => self.demands.add(demand),
            // The step does the rest.
            Work::ClockDue => {}
            Work::Tend => {
                self.tending.store(false, Ordering::Release);
                self.install_hidden();
            }
            Work::Refresh { tables, done } => {
                self.set_clock();
                self.refresh(&tables);
                self.publish();
                let progress = tables.iter().filter_map(|table| self.views.take_progress(*table, self.frontier));
                let _ = done.send(progress.collect());
            }
            Work::Hold(done) => {
                let _ = done.send(self.hold.begin(self.frontier));
            }
            Work::Settle { table, settlement, done } => self.hold.settle(table, settlement, done),
            Work::Release => self.release_hold(),
            Work::Memory(done) => {
                let mut memory: HashMap<RelationId, usize> = self.engine.memory().into_iter().collect();
                for (table, bytes) in self.publisher.memory() {
                    *memory.entry(table).or_default() += bytes;
                }
                let _ = done.send(memory.into_iter().collect());
            }
            Work::Reset => self.reset(),
        }
    }

    /// One step: refresh what is due or demanded, publish, tell who waits.
    fn step(&mut self) {
        self.set_clock();
        self.settle_hold();
        self.take_arrived();
        let wanted = self.with_hidden(self.demands.wanted(self.frontier));
        self.refresh(&wanted);
        self.refresh_cheap();
        self.sweep_hidden();
        self.publish();
        self.demands.forget_satisfied(&self.published.load());
        let due = self.views.next_due(&self.engine);
        self.due.send_if_modified(|known| std::mem::replace(known, due) != due);
    }

    /// Takes the server's clock for what follows: at its latest, so that it is never behind a commit that is shown, and not
    /// before what a reader waits for.
    pub(super) fn set_clock(&mut self) {
        let known = self.server_clock.now().map(|reading| reading.latest);
        let now = known.unwrap_or_else(|| self.now_micros());
        self.clock = self.demands.clock().map_or(now, |demanded| demanded.max(now));
    }

    pub(super) fn apply_commits(&mut self, commits: Vec<Commit>) {
        let mut changes: Vec<(RelationId, Vec<TableChange>)> = Vec::new();
        let mut count = 0;
        let commits_applied = commits.len() as u64;
        for commit in commits {
            self.newest_commit_micros = self.newest_commit_micros.max(commit.time_micros);
            self.unpublished.push(commit.time_micros);
            // Changes come in runs of one table: what is known of it is asked once for each.
            let mut run: Option<(RelationId, Option<usize>)> = None;
            for change in commit.changes {
                let (table, change) = match change {
                    Change::Row { table, old, new } => (table, Some(TableChange::Row { old, new })),
                    Change::Truncate { table } => (table, Some(TableChange::Truncate)),
                    Change::Touched { table } => (table, None),
                    Change::Mark(_) => continue,
                };
                let place = match run {
                    Some((known, place)) if known == table => place,
                    _ => {
                        self.views.source_changed(table, commit.xid, commit.position);
                        (!self.awaited.contains_key(&table)).then(|| {
                            changes.iter().position(|(known, _)| *known == table).unwrap_or_else(|| {
                                changes.push((table, Vec::new()));
                                changes.len() - 1
                            })
                        })
                    }
                };
                run = Some((table, place));
                if let (Some(place), Some(change)) = (place, change) {
                    count += 1;
                    changes[place].1.push(change);
                }
            }
        }
        Metrics::add(&self.metrics.commits_applied, commits_applied);
        Metrics::add(&self.metrics.changes_applied, count);
        let started = Instant::now();
        for (table, changes) in changes {
            match self.engine.apply(table, changes) {
                Ok(()) => {}
                Err(error @ EngineError::MissingRow(_)) => self.disown(table, &error),
                Err(EngineError::NotKept(_)) => self.miss_rows(table),
                // A table that was unwatched meanwhile may still have changes on their way.
                Err(error) => tracing::debug!(?table, %error, "changes of a table the engine does not know"),
            }
        }
        Metrics::add(&self.metrics.engine_nanos, started.elapsed().as_nanos() as u64);
    }

    fn join(&mut self, (table, life): (RelationId, u64), rows: Vec<Row>, late: Vec<Change>, position: Position) {
        self.frontier = self.frontier.max(position);
        if self.awaited.get(&table) != Some(&life) {
            tracing::debug!(?table, life, "rows of an earlier watch");
            return;
        }
        self.awaited.remove(&table);
        let loaded = self.engine.load(table, rows);
        let late: Vec<TableChange> = late
            .into_iter()
            .filter_map(|change| match change {
                Change::Row { old, new, .. } => Some(TableChange::Row { old, new }),
                Change::Truncate { .. } => Some(TableChange::Truncate),
                Change::Touched { .. } | Change::Mark(_) => None,
            })
            .collect();
        match loaded.and_then(|()| self.engine.apply(table, late)) {
            Ok(()) => {}
            Err(error @ EngineError::MissingRow(_)) => self.disown(table, &error),
            Err(error) => tracing::error!(?table, %error, "a base table could not be loaded"),
        }
    }

    /// Stored rows and stream disagree: nothing above the table is answered until it has been copied again.
    fn disown(&mut self, table: RelationId, error: &EngineError) {
        self.shed(table);
        let _ = self.notices.send(Notice::Shed { table, reason: error.to_string() });
    }

    pub(super) fn shed(&mut self, table: RelationId) {
        self.drop_hidden_above(table);
        for view in self.views.above(table) {
            self.publisher.remove(view);
            self.views.withhold(view);
        }
    }

    pub(super) fn add_view(&mut self, new: NewView) -> Result<Progress, Refusal> {
        let started = Instant::now();
        let NewView { id, generation, columns, sources, how } = new;
        let mut rows = Delta::new();
        if let How::Maintained { plan, settings } = &how {
            self.set_clock();
            let ancestors: Vec<RelationId> = sources.iter().copied().filter(|id| self.views.contains(*id)).collect();
            self.refresh(&ancestors);
            self.publish();
            let content = PublishedContent(self.published.load());
            self.engine.set_clock(self.clock);
            let (changes, refusal) = match self.engine.add_view_under(id, plan, &content, settings) {
                Ok(changes) => (changes, None),
                // What others have got on the way is theirs all the same.
                Err(error) => (self.engine.take_unreported(), Some(Refusal::from(error))),
            };
            for (changed, change) in changes {
                if changed == id {
                    rows.extend(change.delta);
                } else {
                    self.publisher.apply(changed, &change.delta);
                    self.views.account(changed, &change.delta);
                }
            }
            if let Some(refusal) = refusal {
                return Err(refusal);
            }
        }
        self.publisher.add(id, columns);
        self.publisher.apply(id, &rows);
        let mut view = View::new(id, sources, &how);
        view.generation = generation;
        self.views.add(view);
        self.server_clock.want(self.views.is_any_timed(&self.engine));
        if matches!(how, How::Maintained { .. }) && !self.engine.is_in_error(id) {
            self.publisher.stamp_during(id, self.frontier, self.engine.clock_span(id));
        }
        self.views.account(id, &rows);
        self.views.spend(id, started.elapsed());
        self.publish();
        Ok(self.views.take_progress(id, self.frontier).unwrap_or_else(|| Progress::none(id)))
    }

    pub(super) fn drop_view(&mut self, view: RelationId) {
        self.drop_hidden_above(view);
        let Some(known) = self.views.remove(view) else { return };
        self.publisher.remove(view);
        self.reported.remove(&view);
        if !known.is_evaluated()
            && let Err(error) = self.engine.drop_view(view)
        {
            tracing::error!(?view, %error, "a stream table could not be dropped from the engine");
        }
        self.server_clock.want(self.views.is_any_timed(&self.engine));
        self.publish();
    }

    fn reset(&mut self) {
        self.engine = engine_within(self.budget_bytes);
        self.publisher = Publisher::new();
        self.views = Upkeep::default();
        self.demands = Demands::default();
        self.hold = Hold::default();
        self.arriving.clear();
        self.awaited.clear();
        self.let_go.clear();
        self.count_let_go();
        self.reported.clear();
        let hidden = self.heat.hidden();
        hidden.views.values().for_each(|id| self.heat.removed(*id));
        self.frontier = Position::default();
        self.publish();
    }

    pub(super) fn publish(&mut self) {
        for view in self.views.unmoved(&self.engine) {
            self.publisher.stamp_during(view, self.frontier, self.engine.clock_span(view));
        }
        let snapshot = self.publisher.publish(self.frontier);
        self.published.publish(snapshot.clone(), self.views.in_error(&self.engine));
        let now = self.now_micros();
        for committed in self.unpublished.drain(..) {
            // Clocks of two machines may differ.
            self.metrics.commit_to_visible.record(u64::try_from(now - committed).unwrap_or(0));
        }
        for (table, inserted, deleted) in self.views.take_changes() {
            let position = snapshot.tables.get(&table).map_or(self.frontier, |version| version.as_of);
            self.board.note(table, Changed { inserted, deleted, position });
        }
        let mut failed = self.engine.quarantined();
        failed.extend(self.publisher.broken());
        for (table, reason) in failed {
            if is_hidden(table) {
                self.abandon_hidden(table);
                continue;
            }
            if self.reported.get(&table) != Some(&reason) {
                tracing::error!(?table, reason, "a stream table was quarantined; Postgres answers its reads");
                self.publisher.remove(table);
                self.views.withhold(table);
                self.reported.insert(table, reason.clone());
                if let Some(generation) = self.views.generation(table) {
                    let _ = self.notices.send(Notice::Quarantined { id: table, generation, reason });
                }
            }
        }
    }
}

fn engine_within(budget_bytes: Option<usize>) -> Engine {
    let mut engine = Engine::new();
    engine.set_memory_budget(budget_bytes);
    engine
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}

/// Published rows of stream tables, for views that read them.
struct PublishedContent(Arc<Snapshot>);

impl Content for PublishedContent {
    fn is_present(&self, relation: RelationId) -> bool {
        self.0.tables.get(&relation).is_some_and(|table| table.valid_to == self.0.frontier)
    }

    fn for_each(&self, relation: RelationId, f: &mut dyn FnMut(&Row, i64)) {
        if let Some(table) = self.0.tables.get(&relation) {
            table.for_each(f);
        }
    }
}
