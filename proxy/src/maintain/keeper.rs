//! Keeps what is maintained in step with the catalog in Postgres: reads it again after every mark, plans what is new, has its
//! tables captured, hands it to the engine thread, and says in the registry which tables memory may speak for.

use super::history::{Entry, Record, Status};
use super::notice::Notice;
use super::populate::{Base, Managed, Phase};
use super::push::Subscribers;
use super::work::Work;
use super::{Shared, history, questions, schedule};
use crate::analysis::CreatorSession;
use crate::capture::Method;
use crate::catalog::install;
use crate::catalog::system::{CatalogError, SystemCatalog};
use crate::registry::{State, StreamTable};
use crate::{capture, catalog, control};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_postgres::Client;
use weir_cache::Position;
use weir_planner::RelationId;

/// Pause before another attempt to reach Postgres.
const RETRY: Duration = Duration::from_secs(1);
/// Pace of the scheduler, and so the shortest schedule (`pgtrickle.schedule_milliseconds`).
const TICK: Duration = Duration::from_millis(100);

/// The catalog is read again after so long even if nothing asked for it: a row that was committed while the stream was
/// being opened, and not yet visible when that was answered, is found then.
const READ_AGAIN: Duration = Duration::from_secs(5);
/// What was made while the stream was being opened is waited for so long, with everything that is populated then: those who
/// made it wait no longer (`session::hold`).
const OPENING_WAIT: Duration = Duration::from_secs(5);
/// A view planned within this time may be what a mark is about.
const RECENT: Duration = Duration::from_secs(2);
/// Panics of the engine thread after which its tables are left to Postgres until Weir is restarted.
const ENGINE_FAILURES: u32 = 3;

#[derive(Debug, thiserror::Error)]
pub(super) enum KeeperError {
    #[error("control connection: {0}")]
    Control(#[from] control::ControlError),
    #[error("{}", install::describe(.0))]
    Postgres(#[from] tokio_postgres::Error),
    #[error(transparent)]
    Install(#[from] install::InstallError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// Nothing can be maintained until somebody mends this.
    #[error("{0}")]
    Missing(String),
}

pub(super) struct Keeper {
    pub(super) shared: Arc<Shared>,
    pub(super) client: Client,
    pub(super) system: SystemCatalog,
    pub(super) creators: CreatorSession,
    /// The registry's epoch when bodies of text were last compared with what they meant.
    pub(super) texts_read_at: Option<u64>,
    /// Event triggers tell of every change of a definition, in the stream.
    pub(super) has_marks: bool,
    pub(super) work: mpsc::UnboundedSender<Work>,
    pub(super) notices: mpsc::UnboundedSender<Notice>,
    pub(super) records: mpsc::UnboundedSender<Record>,
    pub(super) tables: HashMap<RelationId, Base>,
    pub(super) views: HashMap<RelationId, Managed>,
    /// Names of ordinary views and functions through which stream tables are read.
    pub(super) over: Vec<String>,
    /// Counts managed views, so that late outcomes of a replaced one are recognised.
    pub(super) generation: u64,
    /// Counts the watches of base tables.
    pub(super) lives: u64,
    /// Catalog changes read but not in effect.
    unsettled: Vec<Unsettled>,
    /// Catalog changes not read yet.
    marked: Vec<Position>,
    /// Openings of the stream behind which the catalog has not been read yet.
    opened: Vec<Position>,
    pub(super) must_read: bool,
    last_read: Instant,
    /// Manual refreshes that wait for their table.
    pub(super) requested: Vec<(i64, Position)>,
    pub(super) refreshing: bool,
    /// Questions that are not answered yet.
    pub(super) asked: Vec<questions::Question>,
    /// Panics of the engine thread.
    failures: u32,
}

/// A change of the catalog that has been read.
struct Unsettled {
    position: Position,
    /// The views it waits for.
    waiting: HashSet<RelationId>,
    /// It waits no longer than this.
    until: Option<Instant>,
}

/// Everything the keeper is started with.
pub(super) struct Inputs {
    pub shared: Arc<Shared>,
    pub work: mpsc::UnboundedSender<Work>,
    pub notices: mpsc::UnboundedSender<Notice>,
    pub inbox: mpsc::UnboundedReceiver<Notice>,
    pub events: mpsc::Sender<capture::Event>,
}

/// Runs for as long as the process; a lost connection is opened again.
pub(super) async fn run(mut inputs: Inputs) {
    let (records, written) = mpsc::unbounded_channel();
    tokio::spawn(history::write(inputs.shared.config.upstream.clone(), written));
    let mut keeper: Option<Keeper> = None;
    loop {
        let error = match attend(&mut inputs, &mut keeper, &records).await {
            Ok(()) => return,
            Err(error) => error,
        };
        let problem = error.to_string();
        if inputs.shared.registry.problems().first() != Some(&problem) {
            tracing::warn!(%error, "stream tables are not maintained at the moment; everything is forwarded");
        }
        inputs.shared.registry.set_problems(vec![problem]);
        tokio::time::sleep(RETRY).await;
    }
}

/// One life of the control connection.
async fn attend(
    inputs: &mut Inputs,
    kept: &mut Option<Keeper>,
    records: &mpsc::UnboundedSender<Record>,
) -> Result<(), KeeperError> {
    let client = control::connect(&inputs.shared.config.upstream, "catalog").await?;
    let findings = catalog::check::check(&client, inputs.shared.config.capture).await?;
    if let Some(finding) = findings.iter().find(|finding| finding.fatal) {
        // Installing what can be installed lets the SQL functions themselves say what is missing.
        let _ = install::install(&client).await;
        return Err(KeeperError::Missing(format!("{} (remedy: {})", finding.problem, finding.remedy)));
    }
    let installed = install::install(&client).await?;
    if !installed.has_marks {
        tracing::info!("no event triggers: DDL and revoked privileges take effect when the catalogue stamp is polled");
    }
    let system = SystemCatalog::load(&client).await?;
    let keeper = match kept {
        Some(keeper) => {
            keeper.client = client;
            keeper.system = system;
            keeper.has_marks = installed.has_marks;
            keeper.must_read = true;
            keeper
        }
        None => kept.insert(Keeper {
            shared: inputs.shared.clone(),
            client,
            system,
            creators: CreatorSession::new(inputs.shared.config.upstream.clone(), inputs.shared.registry.clone()),
            texts_read_at: None,
            has_marks: installed.has_marks,
            work: inputs.work.clone(),
            notices: inputs.notices.clone(),
            records: records.clone(),
            tables: HashMap::new(),
            views: HashMap::new(),
            over: Vec::new(),
            generation: 0,
            lives: 0,
            unsettled: Vec::new(),
            marked: Vec::new(),
            opened: Vec::new(),
            must_read: true,
            last_read: Instant::now(),
            requested: Vec::new(),
            refreshing: false,
            asked: Vec::new(),
            failures: 0,
        }),
    };
    let method = keeper.capture_method().await?;
    inputs.shared.capture.get_or_init(|| {
        capture::start(inputs.shared.config.upstream.clone(), method, super::PUBLICATION, inputs.events.clone())
    });
    inputs.shared.registry.set_problems(Vec::new());
    let bell = tokio::spawn(questions::answer_the_bell(inputs.shared.clone(), inputs.notices.clone()));
    let result = keeper.attend(&mut inputs.inbox).await;
    bell.abort();
    result
}

impl Keeper {
    async fn attend(&mut self, inbox: &mut mpsc::UnboundedReceiver<Notice>) -> Result<(), KeeperError> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            if self.must_read {
                self.read_catalog().await?;
            }
            self.advance().await?;
            self.settle();
            self.let_go_of_idle();
            questions::serve(self);
            tokio::select! {
                notice = inbox.recv() => {
                    let Some(notice) = notice else { return Ok(()) };
                    self.take(notice).await?;
                    // One reading of the catalog serves all marks that have arrived.
                    while let Ok(notice) = inbox.try_recv() {
                        self.take(notice).await?;
                    }
                }
                _ = tick.tick() => {
                    if self.client.is_closed() {
                        return Err(control::ControlError::Gone.into());
                    }
                    schedule::tick(self);
                    self.must_read |= self.last_read.elapsed() > READ_AGAIN;
                }
            }
        }
    }

    async fn take(&mut self, notice: Notice) -> Result<(), KeeperError> {
        match notice {
            Notice::Opened { position } => {
                self.opened.push(position);
                self.must_read = true;
            }
            Notice::Marked { position } => {
                self.marked.push(position);
                self.must_read = true;
            }
            Notice::Rewritten { table, position } => {
                self.marked.push(position);
                self.must_read = true;
                self.resynchronise(table, "its rows were rewritten");
            }
            Notice::CatalogChanged => self.must_read = true,
            Notice::RefreshRequested { pgt_id, position } => self.requested.push((pgt_id, position)),
            Notice::Asked(question) => self.asked.extend(questions::Question::read(&question)),
            Notice::Joined { table, life } => self.joined(table, life),
            Notice::Shed { table, reason } => {
                tracing::warn!(?table, reason, "a table can no longer be captured; trying again");
                self.shed(table, &reason);
                self.must_read = true;
            }
            Notice::LetGo { table, life, is_gone, needs } => self.let_go(table, life, is_gone, needs),
            Notice::RowsMissed { table, life } => {
                if self.tables.get(&table).is_some_and(|base| base.is_life(life)) {
                    self.bring_in(table, "its rows were taken away, and it had been let go");
                }
            }
            Notice::Interrupted { reason } => {
                tracing::warn!(reason, "the replication stream broke");
                self.shared.registry.set_problems(vec![format!("the replication stream broke: {reason}")]);
            }
            Notice::Restarted { reason } => {
                tracing::info!(reason, "the replication stream starts afresh; all stream tables are populated again");
                self.shared.registry.set_problems(Vec::new());
                self.forget_everything();
            }
            Notice::Added { id, generation, result } => self.added(id, generation, result).await?,
            Notice::Evaluated { id, generation, result, initiator } => {
                self.evaluated(id, generation, result, initiator).await?;
            }
            Notice::Refreshed(progress) => schedule::refreshed(self, progress),
            Notice::RefreshDone { position } => self.shared.ledger.close(position),
            Notice::Quarantined { id, generation, reason } => self.quarantined(id, generation, &reason).await?,
            Notice::EngineFailed { reason } => self.engine_failed(&reason).await?,
        }
        Ok(())
    }

    /// The way of capturing that is wanted; the installed SQL is told.
    async fn capture_method(&self) -> Result<Method, KeeperError> {
        Ok(catalog::capture::settle(&self.client, self.shared.config.capture).await?)
    }

    /// Reads the catalog and brings what is maintained in line with it.
    async fn read_catalog(&mut self) -> Result<(), KeeperError> {
        let started = Instant::now();
        let unread = self.shared.suspension.unread();
        let method = self.capture_method().await?;
        if let Some(capture) = self.shared.capture.get() {
            capture.switch(method);
            if capture.is_by_snapshot() == (method == Method::Trigger) {
                catalog::capture::release_other_method(&self.client).await?;
            }
        }
        self.reconcile().await?;
        if method == Method::Wal {
            catalog::capture::release_endangered(&self.client).await?;
        }
        self.must_read = false;
        tracing::debug!(elapsed = ?started.elapsed(), stream_tables = self.views.len(), "the catalog was read");
        self.last_read = Instant::now();
        self.shared.suspension.read(unread);
        let waiting = self.just_planned();
        for position in std::mem::take(&mut self.marked) {
            self.unsettled.push(Unsettled { position, waiting: waiting.clone(), until: None });
        }
        // Any of those that are not there yet may have been made while the stream was being opened.
        let unfinished = self.views.iter().filter(|(_, view)| view.is_unfinished());
        let unfinished: HashSet<RelationId> = unfinished.map(|(id, _)| *id).collect();
        for position in std::mem::take(&mut self.opened) {
            let until = Some(Instant::now() + OPENING_WAIT);
            self.unsettled.push(Unsettled { position, waiting: unfinished.clone(), until });
        }
        self.publish_registry();
        Ok(())
    }

    /// Views under way that the changes just read may be about. An earlier reading may have found them first, so recent
    /// ones count too; those that wait longer (for an open transaction, say) hold nobody else up.
    fn just_planned(&self) -> HashSet<RelationId> {
        let recent = |view: &Managed| view.is_unfinished() && view.told.elapsed() < RECENT;
        self.views.iter().filter(|(_, view)| recent(view)).map(|(id, _)| *id).collect()
    }

    /// Reports catalog changes that have taken effect.
    fn settle(&mut self) {
        let views = &self.views;
        let ledger = &self.shared.ledger;
        let now = Instant::now();
        self.unsettled.retain_mut(|Unsettled { position, waiting, until }| {
            waiting.retain(|id| views.get(id).is_some_and(Managed::is_unfinished));
            let is_settled = waiting.is_empty() || until.is_some_and(|until| until < now);
            if is_settled {
                ledger.close(*position);
            }
            !is_settled
        });
    }

    /// Populates everything anew, a few times: a defect that comes back at once is not tried for ever.
    async fn engine_failed(&mut self, reason: &str) -> Result<(), KeeperError> {
        self.failures += 1;
        if let Some(capture) = self.shared.capture.get() {
            self.tables.keys().for_each(|table| capture.unwatch(*table));
        }
        if self.failures <= ENGINE_FAILURES {
            self.forget_everything();
            return Ok(());
        }
        self.tables.clear();
        self.shared.registry.set_problems(vec![format!("the engine failed: {reason}")]);
        for view in self.views.values_mut() {
            view.phase = Phase::Out("engine failed");
            Status::Error(format!("the engine failed: {reason}")).write(&self.client, view.row.pgt_id).await?;
        }
        self.publish_registry();
        Ok(())
    }

    fn forget_everything(&mut self) {
        self.tables.clear();
        self.views.clear();
        self.unsettled.drain(..).for_each(|change| self.shared.ledger.close(change.position));
        self.marked.drain(..).for_each(|position| self.shared.ledger.close(position));
        self.requested.drain(..).for_each(|(_, position)| self.shared.ledger.close(position));
        self.refreshing = false;
        self.must_read = true;
    }

    /// Tells sessions which tables memory may speak for.
    pub(super) fn publish_registry(&self) {
        let tables = self.views.values().map(|view| StreamTable {
            id: view.row.id,
            pgt_id: view.row.pgt_id,
            schema: view.row.schema.clone(),
            name: view.row.name.clone(),
            state: match &view.phase {
                Phase::Live => State::Live,
                Phase::Out(reason) => State::Out { reason },
                Phase::Waiting | Phase::Adding | Phase::Evaluating => State::Populating,
            },
            depends_on: view.depends_on,
            pinned: view.row.pinned.settings.clone(),
            evaluated_by_postgres: view.is_evaluated(),
            determined: view.determined,
            bodies: view.bodies.clone(),
            texts: view.all_texts.clone(),
        });
        self.shared.suspension.publish(tables.collect(), &self.over);
        self.publish_base_tables();
        let subscribed = self.views.values().filter(|view| !view.row.channels.is_empty()).map(|view| {
            let name = format!("{}.{}", view.row.schema, view.row.name);
            (view.row.id, Subscribers { name, channels: view.row.channels.clone() })
        });
        self.shared.board.subscribe(subscribed.collect());
    }

    pub(super) fn record(&self, entry: Entry) {
        let _ = self.records.send(Record::Refresh(entry));
    }
}
