//! From a catalog row to a live table: planning, capture of its base tables, the first evaluation.

use super::full;
use super::history::{Action, Entry, Initiator, Status};
use super::keeper::{Keeper, KeeperError};
use super::let_go::Rows;
use super::notice::Notice;
use super::planning::Decision;
use super::schedule;
use super::upkeep::Progress;
use super::work::{How, NewView, Refusal, Work};
use crate::analysis::Texts;
use crate::catalog::capture::{self, Again};
use crate::catalog::rows::{self, BaseTable, StreamTableRow};

use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;
use weir_planner::settings::SettingSet;
use weir_planner::{ColumnType, Plan, RelationId};

/// A table that capture keeps shedding is given up after so many attempts; its stream tables are Postgres' then.
pub(super) const ATTEMPTS: u32 = 3;
/// A base table under capture.
pub(super) struct Base {
    pub table: BaseTable,
    pub joined: bool,
    pub joined_at: Option<Instant>,
    /// How often capture has shed it in quick succession.
    pub attempts: u32,
    pub rows: Rows,
}

impl Base {
    /// It is watched, and this is the watch.
    pub(super) fn is_life(&self, life: u64) -> bool {
        self.table.watched && self.table.spec.life == life
    }
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
    /// Its plan, and those below it, have one answer.
    pub determined: bool,
    /// Users' functions whose bodies its plan, or one below it, holds.
    pub bodies: Vec<u32>,
    /// Bodies of text that its definition calls, as its creator means them.
    pub texts: Texts,
    /// With those of the stream tables that it reads.
    pub all_texts: Texts,
    /// It would be maintained incrementally if these tables were watched.
    pub unwatched: Vec<RelationId>,
    /// When the scheduler looks at it next; None: never. (`calculated` tables over stream tables follow those.)
    pub due: Option<Instant>,
    /// When the catalog row last said how fresh it is.
    pub told: Instant,
    /// Postgres is evaluating it now.
    pub evaluating: bool,
    /// Its last evaluation took long.
    pub slow: bool,
}

#[derive(Clone)]
pub(super) enum Maintenance {
    Incremental(Arc<Plan>),
    /// By Postgres, at its schedule. `blind`: some source cannot be followed, or it is the clock.
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

impl Keeper {
    pub(super) async fn plan(&mut self, row: StreamTableRow) -> Result<(), KeeperError> {
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
            determined: decision.determined,
            bodies: decision.bodies,
            texts: decision.texts,
            all_texts: decision.all_texts,
            unwatched: decision.unwatched,
            due: schedule::first_due(&row.schedule),
            told: Instant::now(),
            evaluating: false,
            slow: false,
            row,
        };
        match &view.row.sink {
            Ok(None) => {}
            Ok(Some(sink)) => {
                tracing::info!(table = %view.row.name, ?sink, "a sink is recorded; files are not written yet")
            }
            Err(error) => tracing::warn!(table = %view.row.name, %error, "the sink in the catalog row is not usable"),
        }
        if let Some(reason) = &decision.reason {
            tracing::info!(table = %view.row.name, reason, "not maintained incrementally");
        }
        self.views.insert(view.row.id, view);
        Ok(())
    }

    /// Has these tables captured, where that is possible; says how each stands.
    /// `named`: the relations as the definition names them, among them the partitioned tables of which `ids` are leaves. They are
    /// in the answer as well.
    pub(super) async fn capture_tables(
        &mut self,
        named: &[RelationId],
        ids: &[RelationId],
    ) -> Result<Vec<BaseTable>, KeeperError> {
        // A partitioned table is watched as such, so that its leaves to come are.
        let mut all: Vec<RelationId> = named.to_vec();
        all.extend(ids.iter().filter(|id| !named.contains(id)));
        let oids: Vec<u32> = all.iter().map(|id| id.0).collect();
        capture::watch(&self.client, &oids, Again::No).await?;
        let mut found = rows::base_tables(&self.client, &all).await?;
        for base in found.iter_mut().filter(|base| ids.contains(&base.spec.id)) {
            let id = base.spec.id;
            let known = self.tables.get(&id);
            // What was shed because it was changed is another table now.
            let is_same = known.is_some_and(|known| known.table.is_same(base));
            let attempts = known.filter(|_| is_same).map_or(0, |known| known.attempts);
            base.watched &= attempts < ATTEMPTS;
            if !base.watched {
                continue;
            }
            match known {
                Some(known) if known.table.watched && is_same => continue,
                Some(known) if known.table.watched => self.resynchronise(id, "its definition changed"),
                _ => {}
            }
            self.lives += 1;
            base.spec.life = self.lives;
            let _ = self.work.send(Work::AddTable { table: id, life: self.lives, key: base.key.clone() });
            if let Some(capture) = self.shared.capture.get() {
                capture.watch(base.spec.clone());
            }
            let rows = Rows::Kept(self.keep_until());
            self.tables.insert(id, Base { table: base.clone(), joined: false, joined_at: None, attempts, rows });
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
                    How::Maintained { plan: plan.clone(), settings: view.row.pinned.settings.clone() }
                }
                Maintenance::ByPostgres { blind } => How::Evaluated { blind: *blind },
                Maintenance::None => continue,
            };
            view.phase = Phase::Adding;
            let generation = view.generation;
            let new = NewView { id, generation, columns: view.columns.clone(), sources: view.sources.clone(), how };
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
        result: Result<Progress, Refusal>,
    ) -> Result<(), KeeperError> {
        let Some(view) = self.views.get(&id).filter(|view| view.generation == generation) else { return Ok(()) };
        let progress = match result {
            Ok(progress) => progress,
            Err(Refusal::NotKept(table)) => {
                self.bring_in_for(id, table);
                return Ok(());
            }
            Err(Refusal::Engine(reason)) => return self.refused(id, reason).await,
        };
        self.keep_for_a_while(&view.sources.clone());
        let Some(view) = self.views.get_mut(&id) else { return Ok(()) };
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
        self.plan_readers_again(id);
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
            determined: decision.determined,
            bodies: decision.bodies,
            texts: decision.texts,
            all_texts: decision.all_texts,
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

    pub(super) async fn quarantined(
        &mut self,
        id: RelationId,
        generation: u64,
        reason: &str,
    ) -> Result<(), KeeperError> {
        // What has been built again since is another view.
        let Some(view) = self.views.get_mut(&id).filter(|view| view.generation == generation) else { return Ok(()) };
        view.phase = Phase::Out("quarantined");
        Status::Error(reason.to_owned()).write(&self.client, view.row.pgt_id).await?;
        self.publish_registry();
        Ok(())
    }
}
