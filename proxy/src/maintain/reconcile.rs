//! Brings what is maintained in line with the catalog: tears down what is gone or changed, dependants first, and has new
//! rows planned, ancestors first.

use super::keeper::{Keeper, KeeperError};
use super::let_go::Rows;
use super::populate::{Managed, Phase};
use super::schedule;
use super::work::Work;
use crate::catalog::capture::{self, Again};
use crate::catalog::over;
use crate::catalog::rows::{self, StreamTableRow};
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use weir_planner::RelationId;

/// A table that was captured for so long starts counting anew.
const STEADY_AFTER: Duration = Duration::from_secs(30);

impl Keeper {
    /// Compares the catalog with what is maintained; tears down what is gone or changed, plans what is new.
    pub(super) async fn reconcile(&mut self) -> Result<(), KeeperError> {
        let rows = rows::load(&self.client).await?;
        self.over = over::names(&self.client).await?;
        let present: HashMap<RelationId, &StreamTableRow> = rows.iter().map(|row| (row.id, row)).collect();
        let watchable = self.watch_again().await?;
        let reread = self.other_texts().await;
        let may_be_incremental = |view: &Managed| view.unwatched.iter().any(|table| watchable.contains(table));
        let changed: Vec<RelationId> = self
            .views
            .iter()
            .filter(|(id, view)| {
                let is_another = present.get(id).is_none_or(|row| must_rebuild(view, row));
                is_another || may_be_incremental(view) || reread.contains(id)
            })
            .map(|(id, _)| *id)
            .collect();
        // Rows in memory hold labels as they were: a renamed one is not written anew.
        let relabelled =
            changed.iter().filter(|id| present.get(id).is_some_and(|row| row.labels != self.views[id].row.labels));
        let relabelled: HashSet<RelationId> =
            relabelled.flat_map(|id| self.views[id].sources.iter().copied()).collect();
        self.tear_down(&changed);
        for table in relabelled {
            self.resynchronise(table, "the labels of an enum changed");
        }
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

    /// Views that call functions whose text has come to mean something else: what a name in it stands for has changed, or the
    /// text itself, in whatever it calls.
    async fn other_texts(&mut self) -> HashSet<RelationId> {
        let epoch = self.shared.registry.epoch();
        if self.texts_read_at.replace(epoch) == Some(epoch) {
            return HashSet::new();
        }
        let mut changed = HashSet::new();
        for (id, view) in &self.views {
            let texts = self.creators.texts(view.texts.functions.clone(), &view.row.pinned).await;
            if texts != view.texts {
                changed.insert(*id);
            }
        }
        changed
    }

    /// Tries once more to watch what could not be watched; says what can be now.
    async fn watch_again(&self) -> Result<HashSet<RelationId>, KeeperError> {
        let unwatched: HashSet<RelationId> = self.views.values().flat_map(|view| view.unwatched.clone()).collect();
        if unwatched.is_empty() {
            return Ok(HashSet::new());
        }
        let unwatched: Vec<RelationId> = unwatched.into_iter().collect();
        let oids: Vec<u32> = unwatched.iter().map(|table| table.0).collect();
        capture::watch(&self.client, &oids, Again::Yes).await?;
        let tables = rows::base_tables(&self.client, &unwatched).await?;
        Ok(tables.into_iter().filter(|table| table.watched).map(|table| table.spec.id).collect())
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
                if let Some(view) = self.views.remove(&id) {
                    self.keep_for_a_while(&view.sources);
                }
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
        // Told more than once, it is given up once.
        let was_watched = self.tables.get(&table).is_some_and(|base| base.table.watched);
        self.resynchronise(table, reason);
        if let Some(base) = self.tables.get_mut(&table).filter(|_| was_watched) {
            let steady = base.joined_at.take().is_some_and(|since| since.elapsed() > STEADY_AFTER);
            base.attempts = if steady { 1 } else { base.attempts + 1 };
        }
    }

    pub(super) fn joined(&mut self, table: RelationId, life: u64) {
        let rows = Rows::Kept(self.keep_until());
        if let Some(base) = self.tables.get_mut(&table).filter(|base| base.is_life(life)) {
            base.joined = true;
            base.joined_at = Some(Instant::now());
            base.rows = rows;
            self.publish_base_tables();
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
}

impl Managed {
    /// Takes over what a change of the row may change without a new plan.
    fn reschedule(&mut self, row: StreamTableRow) {
        if row.schedule != self.row.schedule {
            self.due = schedule::first_due(&row.schedule);
        }
        self.row = row;
    }
}

/// A row whose definition, identity or state of being maintained is another one now.
fn must_rebuild(view: &Managed, row: &StreamTableRow) -> bool {
    let known = &view.row;
    // Paused and resumed between two readings: only what the resumption wrote still tells of it.
    let is_settled = match view.phase {
        Phase::Live => true,
        Phase::Out(reason) => reason != "not populated",
        Phase::Waiting | Phase::Adding | Phase::Evaluating => false,
    };
    let was_resumed = row.initializing && is_settled;
    known.fingerprint != row.fingerprint
        || known.pgt_id != row.pgt_id
        || known.suspended != row.suspended
        || was_resumed
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
