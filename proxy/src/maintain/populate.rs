//! From a catalog row to a live table: planning, capture of its base tables, the first evaluation.

use super::full;
use super::history::{Action, Entry, Initiator, Status};
use super::keeper::{Keeper, KeeperError, Notice};
use super::thread::{How, NewView, Work};
use super::upkeep::Progress;
use crate::analysis::{PlanError, plan_view};
use crate::catalog::rows::{self, BaseTable, StreamTableRow};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use weir_planner::settings::SettingSet;
use weir_planner::{Collation, ColumnType, Plan, RelationId};

/// A table that capture keeps shedding is given up after so many attempts; its stream tables are Postgres' then.
const ATTEMPTS: u32 = 3;
/// A table that was captured for so long starts counting anew.
const STEADY_AFTER: Duration = Duration::from_secs(30);

/// A base table under capture.
pub(super) struct Base {
    pub table: BaseTable,
    pub joined: bool,
    pub joined_at: Option<Instant>,
    /// How often capture has shed it in quick succession.
    pub attempts: u32,
}

/// One stream table.
pub(super) struct Managed {
    pub row: StreamTableRow,
    pub generation: u64,
    pub phase: Phase,
    pub how: Maintenance,
    pub columns: Vec<ColumnType>,
    /// Relations whose rows it is made of: those under capture and the stream tables.
    pub sources: Vec<RelationId>,
    pub depends_on: SettingSet,
    /// When the scheduler looks at it next; None for `calculated` over stream tables.
    pub due: Option<Instant>,
    /// When the catalog row last said how fresh it is.
    pub told: Instant,
    /// Postgres is evaluating it now.
    pub evaluating: bool,
}

#[derive(Clone)]
pub(super) enum Maintenance {
    Incremental(Arc<Plan>),
    /// By Postgres, at its schedule. `blind`: some source cannot be followed.
    ByPostgres {
        blind: bool,
    },
    /// Not at all: Postgres answers every read.
    None,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its sources are not all there yet.
    Waiting,
    /// On the engine thread.
    Adding,
    /// First evaluation by Postgres.
    Evaluating,
    Live,
    Out(&'static str),
}

impl Managed {
    pub(super) fn is_unfinished(&self) -> bool {
        matches!(self.phase, Phase::Waiting | Phase::Adding | Phase::Evaluating)
    }
    pub(super) fn is_evaluated(&self) -> bool {
        matches!(self.how, Maintenance::ByPostgres { .. })
    }
    pub(super) fn action(&self) -> Action {
        if self.is_evaluated() || self.row.requested_mode == "FULL" { Action::Full } else { Action::Differential }
    }
}

/// What planning decided.
struct Decision {
    how: Maintenance,
    columns: Vec<ColumnType>,
    sources: Vec<RelationId>,
    depends_on: SettingSet,
    /// Why it is not incremental, for people.
    reason: Option<String>,
    out: Option<&'static str>,
    failed: bool,
}

impl Decision {
    fn out(reason: &'static str, detail: Option<String>) -> Decision {
        Decision {
            how: Maintenance::None,
            columns: Vec::new(),
            sources: Vec::new(),
            depends_on: SettingSet::NONE,
            reason: detail,
            out: Some(reason),
            failed: false,
        }
    }
}

impl Keeper {
    /// Compares the catalog with what is maintained; tears down what is gone or changed, plans what is new.
    pub(super) async fn reconcile(&mut self) -> Result<(), KeeperError> {
        let rows = rows::load(&self.client).await?;
        let present: HashMap<RelationId, &StreamTableRow> = rows.iter().map(|row| (row.id, row)).collect();
        let changed: Vec<RelationId> = self
            .views
            .iter()
            .filter(|(id, view)| present.get(id).is_none_or(|row| must_rebuild(&view.row, row)))
            .map(|(id, _)| *id)
            .collect();
        self.tear_down(&changed);
        self.system.set_stream_tables(rows.iter().map(|row| row.id));
        let mut fresh: Vec<StreamTableRow> = Vec::new();
        for row in rows {
            match self.views.get_mut(&row.id) {
                Some(view) => view.reschedule(row),
                None => fresh.push(row),
            }
        }
        for row in ancestors_first(fresh) {
            self.plan(row).await?;
        }
        self.release_tables();
        Ok(())
    }

    /// Drops views, what reads them first; those still in the catalog come back as new ones.
    pub(super) fn tear_down(&mut self, views: &[RelationId]) {
        let mut doomed: HashSet<RelationId> = views.iter().copied().collect();
        loop {
            let more: Vec<RelationId> = self
                .views
                .iter()
                .filter(|(id, view)| !doomed.contains(id) && view.sources.iter().any(|source| doomed.contains(source)))
                .map(|(id, _)| *id)
                .collect();
            if more.is_empty() {
                break;
            }
            doomed.extend(more);
        }
        doomed.retain(|id| self.views.contains_key(id));
        while !doomed.is_empty() {
            let leaves: Vec<RelationId> = doomed
                .iter()
                .copied()
                .filter(|id| !doomed.iter().any(|other| self.views[other].sources.contains(id)))
                .collect();
            // Views cannot form a cycle in Postgres; if they did, dropping all at once is as good as any order.
            let leaves = if leaves.is_empty() { doomed.iter().copied().collect() } else { leaves };
            for id in leaves {
                doomed.remove(&id);
                self.views.remove(&id);
                let _ = self.work.send(Work::DropView(id));
            }
        }
    }

    /// A base table's rows must be copied again; what reads it is populated again by the next reading of the catalog.
    pub(super) fn resynchronise(&mut self, table: RelationId, reason: &str) {
        let Some(mut base) = self.tables.remove(&table) else { return };
        let readers: Vec<RelationId> =
            self.views.iter().filter(|(_, view)| view.sources.contains(&table)).map(|(id, _)| *id).collect();
        self.tear_down(&readers);
        if base.table.watched {
            self.unwatch(table);
        }
        tracing::info!(table = base.table.spec.name, reason, "a base table is copied again");
        base.joined = false;
        base.table.watched = false;
        self.tables.insert(table, base);
    }

    /// Capture gave the table up.
    pub(super) fn shed(&mut self, table: RelationId, reason: &str) {
        self.resynchronise(table, reason);
        if let Some(base) = self.tables.get_mut(&table) {
            let steady = base.joined_at.take().is_some_and(|since| since.elapsed() > STEADY_AFTER);
            base.attempts = if steady { 1 } else { base.attempts + 1 };
        }
    }

    pub(super) fn joined(&mut self, table: RelationId) {
        if let Some(base) = self.tables.get_mut(&table).filter(|base| base.table.watched) {
            base.joined = true;
            base.joined_at = Some(Instant::now());
        }
    }

    fn unwatch(&self, table: RelationId) {
        if let Some(capture) = self.shared.capture.get() {
            capture.unwatch(table);
        }
        let _ = self.work.send(Work::DropTable(table));
    }

    /// Stops capturing tables that nothing reads any more.
    fn release_tables(&mut self) {
        let used: HashSet<RelationId> = self.views.values().flat_map(|view| view.sources.iter().copied()).collect();
        let idle: Vec<RelationId> = self
            .tables
            .iter()
            .filter(|(id, base)| !used.contains(id) && base.table.watched)
            .map(|(id, _)| *id)
            .collect();
        for table in idle {
            self.tables.remove(&table);
            self.unwatch(table);
        }
    }

    async fn plan(&mut self, row: StreamTableRow) -> Result<(), KeeperError> {
        let decision = self.decide(&row).await?;
        let status = match (&decision.out, decision.failed) {
            (_, true) => Status::Error(decision.reason.clone().unwrap_or_default()),
            (Some("suspended"), _) => Status::Suspended,
            (Some("not populated"), _) => Status::Unpopulated,
            (Some(_), _) => Status::ByPostgres(decision.reason.clone().unwrap_or_default()),
            (None, _) => Status::Initializing,
        };
        status.write(&self.client, row.pgt_id).await?;
        self.generation += 1;
        let view = Managed {
            generation: self.generation,
            phase: decision.out.map_or(Phase::Waiting, Phase::Out),
            how: decision.how,
            columns: decision.columns,
            sources: decision.sources,
            depends_on: decision.depends_on,
            due: Some(Instant::now()),
            told: Instant::now(),
            evaluating: false,
            row,
        };
        if let Some(reason) = &decision.reason {
            tracing::info!(table = %view.row.name, reason, "not maintained incrementally");
        }
        self.views.insert(view.row.id, view);
        Ok(())
    }

    async fn decide(&mut self, row: &StreamTableRow) -> Result<Decision, KeeperError> {
        if row.suspended {
            return Ok(Decision::out("suspended", None));
        }
        if row.row_security {
            return Ok(Decision::out("row level security", Some("a relation below has row-level security".into())));
        }
        if !row.initialize && !row.populated && !self.requested.iter().any(|(pgt_id, _)| *pgt_id == row.pgt_id) {
            return Ok(Decision::out("not populated", None));
        }
        let unsupported = match plan_view(&self.client, &mut self.system, row.id).await {
            Ok(planned) => {
                let bases = self.capture_tables(&planned.sources.base_tables).await?;
                match self.obstacle_below(&planned.sources.stream_tables, &bases) {
                    None => {
                        let mut sources = planned.sources.base_tables;
                        sources.extend(planned.sources.stream_tables);
                        return Ok(Decision {
                            columns: planned.columns.into_iter().map(|column| column.kind).collect(),
                            how: Maintenance::Incremental(Arc::new(planned.plan)),
                            sources,
                            depends_on: planned.uses.settings,
                            reason: None,
                            out: None,
                            failed: false,
                        });
                    }
                    Some(obstacle) => obstacle,
                }
            }
            Err(PlanError::Unsupported { reason, .. }) => reason.to_string(),
            Err(PlanError::Catalog(error)) => return Err(error.into()),
            Err(error) => error.to_string(),
        };
        if matches!(row.requested_mode.as_str(), "DIFFERENTIAL" | "IMMEDIATE") {
            return Ok(Decision { failed: true, ..Decision::out("not maintainable", Some(unsupported)) });
        }
        self.decide_by_postgres(row, unsupported).await
    }

    async fn decide_by_postgres(&mut self, row: &StreamTableRow, reason: String) -> Result<Decision, KeeperError> {
        let obstacle = "SELECT pgtrickle.reader_obstacle($1::oid::regclass)";
        let obstacle: Option<String> = self.client.query_one(obstacle, &[&row.id.0]).await?.get(0);
        if let Some(obstacle) = obstacle {
            return Ok(Decision::out("depends on the reader", Some(format!("{reason}; {obstacle}"))));
        }
        let known: HashSet<RelationId> = self.system_stream_tables(&row.sources);
        if known.iter().any(|id| self.views.get(id).is_none_or(|view| matches!(view.phase, Phase::Out(_)))) {
            return Ok(Decision::out("reads a table that is not in memory", Some(reason)));
        }
        let below: Vec<RelationId> = row.sources.iter().copied().filter(|id| !known.contains(id)).collect();
        let bases = self.capture_tables(&below).await?;
        let followed: Vec<RelationId> = bases.iter().filter(|base| base.watched).map(|base| base.spec.id).collect();
        let columns = rows::columns(&self.client, row.id.0).await?;
        Ok(Decision {
            columns: columns
                .iter()
                .map(|column| self.column_type(column.type_oid, column.typmod, column.collation))
                .collect(),
            how: Maintenance::ByPostgres { blind: followed.len() < below.len() },
            sources: followed.into_iter().chain(known).collect(),
            // What the definition depends on is not known: every setting must be the creator's.
            depends_on: SettingSet::TIME_ZONE
                .union(SettingSet::DATE_STYLE)
                .union(SettingSet::INTERVAL_STYLE)
                .union(SettingSet::EXTRA_FLOAT_DIGITS)
                .union(SettingSet::BYTEA_OUTPUT),
            reason: Some(reason),
            out: None,
            failed: false,
        })
    }

    fn system_stream_tables(&self, sources: &[RelationId]) -> HashSet<RelationId> {
        sources.iter().copied().filter(|id| self.system.is_stream_table(*id)).collect()
    }

    fn column_type(&self, oid: u32, typmod: i32, collation: u32) -> ColumnType {
        /// `DEFAULT_COLLATION_OID` (`pg_collation.dat`).
        const DEFAULT_COLLATION: u32 = 100;
        let catalog = self.system.planner();
        let bytewise = match collation {
            0 => true,
            DEFAULT_COLLATION => catalog.default_collation_is_bytewise,
            other => catalog.collations.get(&other).is_some_and(|known| known.bytewise),
        };
        ColumnType { oid, typmod, collation: if bytewise { Collation::Bytes } else { Collation::Unordered } }
    }

    /// Why a supported plan cannot be fed.
    fn obstacle_below(&self, stream_tables: &[RelationId], bases: &[BaseTable]) -> Option<String> {
        for id in stream_tables {
            match self.views.get(id) {
                Some(view) if view.is_evaluated() => {
                    return Some(format!("it reads {}, which Postgres evaluates", view.row.name));
                }
                Some(view) if matches!(view.phase, Phase::Out(_)) => {
                    return Some(format!("it reads {}, which is not in memory", view.row.name));
                }
                Some(_) => {}
                None => return Some("it reads a stream table that is gone".into()),
            }
        }
        bases.iter().find(|base| !base.watched).map(|base| format!("table {} is not watched", base.spec.name))
    }

    /// Has these tables captured, where that is possible; says how each stands.
    async fn capture_tables(&mut self, ids: &[RelationId]) -> Result<Vec<BaseTable>, KeeperError> {
        let mut found = rows::base_tables(&self.client, ids).await?;
        for base in &mut found {
            let id = base.spec.id;
            let known = self.tables.get(&id);
            let attempts = known.map_or(0, |known| known.attempts);
            base.watched &= attempts < ATTEMPTS;
            if !base.watched {
                continue;
            }
            match known {
                Some(known) if known.table.watched && known.table.spec.columns == base.spec.columns => continue,
                Some(known) if known.table.watched => self.resynchronise(id, "its columns changed"),
                _ => {}
            }
            let _ = self.work.send(Work::AddTable { table: id, key: base.key.clone() });
            if let Some(capture) = self.shared.capture.get() {
                capture.watch(base.spec.clone());
            }
            self.tables.insert(id, Base { table: base.clone(), joined: false, joined_at: None, attempts });
        }
        Ok(found)
    }

    /// Hands every view whose sources are all there to the engine thread; starts what waits for it.
    pub(super) async fn advance(&mut self) -> Result<(), KeeperError> {
        let ready: Vec<RelationId> = self
            .views
            .iter()
            .filter(|(_, view)| {
                view.phase == Phase::Waiting && view.sources.iter().all(|source| self.is_ready(*source))
            })
            .map(|(id, _)| *id)
            .collect();
        for id in ready {
            let Some(view) = self.views.get_mut(&id) else { continue };
            let how = match &view.how {
                Maintenance::Incremental(plan) => {
                    How::Maintained { plan: plan.clone(), settings: view.row.pinned.clone() }
                }
                Maintenance::ByPostgres { blind } => How::Evaluated { blind: *blind },
                Maintenance::None => continue,
            };
            view.phase = Phase::Adding;
            let generation = view.generation;
            let new = NewView { id, columns: view.columns.clone(), sources: view.sources.clone(), how };
            let (done, answer) = oneshot::channel();
            let _ = self.work.send(Work::AddView { view: new, done });
            let notices = self.notices.clone();
            tokio::spawn(async move {
                if let Ok(result) = answer.await {
                    let _ = notices.send(Notice::Added { id, generation, result });
                }
            });
        }
        self.serve_requests().await
    }

    fn is_ready(&self, source: RelationId) -> bool {
        match (self.tables.get(&source), self.views.get(&source)) {
            (Some(base), _) => base.joined,
            (None, Some(view)) => view.phase == Phase::Live,
            (None, None) => false,
        }
    }

    pub(super) async fn added(
        &mut self,
        id: RelationId,
        generation: u64,
        result: Result<Progress, String>,
    ) -> Result<(), KeeperError> {
        let Some(view) = self.views.get_mut(&id).filter(|view| view.generation == generation) else { return Ok(()) };
        let progress = match result {
            Ok(progress) => progress,
            Err(reason) => return self.refused(id, reason).await,
        };
        if view.is_evaluated() {
            view.phase = Phase::Evaluating;
            full::spawn(self, id, Initiator::Initial);
            return Ok(());
        }
        view.phase = Phase::Live;
        let mode = view.row.requested_mode.clone();
        let entry = Entry::completed(view.row.pgt_id, Action::Full, Initiator::Initial, &progress);
        let status =
            Status::Live { effective: if mode == "AUTO" { "DIFFERENTIAL".into() } else { mode }, reason: None };
        status.write(&self.client, entry.pgt_id).await?;
        entry.write_freshness(&self.client).await?;
        self.record(entry);
        self.publish_registry();
        Ok(())
    }

    /// The engine would not take it: Postgres evaluates it, or nothing does.
    async fn refused(&mut self, id: RelationId, reason: String) -> Result<(), KeeperError> {
        let Some(view) = self.views.remove(&id) else { return Ok(()) };
        tracing::warn!(table = view.row.name, reason, "the engine refuses a stream table");
        let decision =
            if matches!(view.row.requested_mode.as_str(), "DIFFERENTIAL" | "IMMEDIATE") || view.is_evaluated() {
                Decision { failed: true, ..Decision::out("not maintainable", Some(reason)) }
            } else {
                self.decide_by_postgres(&view.row, reason).await?
            };
        if decision.failed {
            Status::Error(decision.reason.clone().unwrap_or_default()).write(&self.client, view.row.pgt_id).await?;
        }
        self.generation += 1;
        let again = Managed {
            generation: self.generation,
            phase: decision.out.map_or(Phase::Waiting, Phase::Out),
            how: decision.how,
            columns: decision.columns,
            sources: decision.sources,
            depends_on: decision.depends_on,
            ..view
        };
        self.views.insert(id, again);
        // What reads it was planned for an incremental table.
        let readers: Vec<RelationId> =
            self.views.iter().filter(|(_, view)| view.sources.contains(&id)).map(|(id, _)| *id).collect();
        if !readers.is_empty() {
            self.tear_down(&readers);
            self.reconcile().await?;
        }
        self.publish_registry();
        Ok(())
    }

    pub(super) async fn quarantined(&mut self, id: RelationId, reason: &str) -> Result<(), KeeperError> {
        let Some(view) = self.views.get_mut(&id) else { return Ok(()) };
        view.phase = Phase::Out("quarantined");
        Status::Error(reason.to_owned()).write(&self.client, view.row.pgt_id).await?;
        self.publish_registry();
        Ok(())
    }
}

impl Managed {
    /// Takes over what a change of the row may change without a new plan.
    fn reschedule(&mut self, row: StreamTableRow) {
        if row.schedule_seconds != self.row.schedule_seconds {
            self.due = Some(Instant::now());
        }
        self.row = row;
    }
}

/// A row whose definition, identity or state of being maintained is another one now.
fn must_rebuild(known: &StreamTableRow, row: &StreamTableRow) -> bool {
    known.fingerprint != row.fingerprint || known.pgt_id != row.pgt_id || known.suspended != row.suspended
}

/// Orders rows so that what a stream table reads comes before it.
fn ancestors_first(mut rows: Vec<StreamTableRow>) -> Vec<StreamTableRow> {
    let mut ordered = Vec::with_capacity(rows.len());
    while !rows.is_empty() {
        let pending: HashSet<RelationId> = rows.iter().map(|row| row.id).collect();
        let (free, bound): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| !row.sources.iter().any(|source| pending.contains(source)));
        if free.is_empty() {
            // Postgres lets no cycle of views be created; if one exists, any order will do, planning refuses it.
            ordered.extend(bound);
            return ordered;
        }
        ordered.extend(free);
        rows = bound;
    }
    ordered
}
