//! Base tables whose rows nothing has needed for a while are let go: the engine then only hands their changes on, and the
//! capture leaves out of them what no reader needs. When a stream table is to be filled from them, or TRUNCATE takes away what
//! is not known, the table is brought in as any other joins (copied, with the changes since), and all stream tables over it are
//! built again from the copy: it is of a later moment than the one at which they stand. Postgres answers their reads meanwhile.

use super::keeper::Keeper;
use super::notice::Notice;
use super::populate::Base;
use super::thread::Thread;
use super::work::Work;
use crate::metrics::Metrics;
use crate::registry::BaseTable;
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use weir_cache::engine::TableNeeds;
use weir_planner::RelationId;

/// A table that could not be let go, because it is looked up by key, is asked for again after this time at the earliest.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// The rows of a base table in memory, as far as the keeper knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    /// Until this moment at least, where tables are let go at all.
    Kept(Instant),
    /// The engine has been asked to let them go.
    Asked,
    LetGo,
}

impl Rows {
    fn describe(self) -> &'static str {
        match self {
            Rows::Kept(_) | Rows::Asked => "kept",
            Rows::LetGo => "let go",
        }
    }
}

impl Base {
    /// How its rows stand, for people.
    pub(super) fn describe_rows(&self) -> &'static str {
        if self.joined { self.rows.describe() } else { "being copied" }
    }
}

impl Keeper {
    /// The moment until which rows that are needed now are kept.
    pub(super) fn keep_until(&self) -> Instant {
        Instant::now() + self.shared.config.let_go_after.unwrap_or_default()
    }

    /// A stream table was filled from these relations, or looks them up no more.
    pub(super) fn keep_for_a_while(&mut self, sources: &[RelationId]) {
        let until = self.keep_until();
        for source in sources {
            if let Some(Base { rows: Rows::Kept(known), .. }) = self.tables.get_mut(source) {
                *known = until;
            }
        }
    }

    /// Asks the engine to let go of tables whose rows nothing has needed for a while. Where no marks tell of changed definitions
    /// (an enum's label that is another now), that a change names a row which is not there is what tells of them: all is kept.
    pub(super) fn let_go_of_idle(&mut self) {
        if self.shared.config.let_go_after.is_none() || !self.has_marks {
            return;
        }
        let now = Instant::now();
        let is_idle = |base: &Base| base.joined && matches!(base.rows, Rows::Kept(until) if until <= now);
        if !self.tables.values().any(is_idle) {
            return;
        }
        let below_unfinished = self.below_unfinished();
        for (table, base) in &mut self.tables {
            if is_idle(base) && !below_unfinished.contains(table) {
                base.rows = Rows::Asked;
                let _ = self.work.send(Work::LetGo { table: *table, life: base.table.spec.life });
            }
        }
    }

    /// What is read, directly or not, by a stream table that is not filled yet. All of it is kept until the last one is.
    fn below_unfinished(&self) -> HashSet<RelationId> {
        let mut open: Vec<RelationId> =
            self.views.iter().filter(|(_, view)| view.is_unfinished()).map(|(id, _)| *id).collect();
        let mut found = HashSet::new();
        while let Some(view) = open.pop().and_then(|id| self.views.get(&id)) {
            for source in &view.sources {
                if found.insert(*source) && self.views.contains_key(source) {
                    open.push(*source);
                }
            }
        }
        found
    }

    /// The engine has let a table go, or keeps it.
    pub(super) fn let_go(&mut self, table: RelationId, life: u64, is_gone: bool, needs: Option<TableNeeds>) {
        let again = Instant::now() + self.shared.config.let_go_after.unwrap_or_default().max(ASK_AGAIN);
        if let Some(base) = self.tables.get_mut(&table).filter(|base| base.is_life(life)) {
            base.rows = if is_gone { Rows::LetGo } else { Rows::Kept(again) };
            if let (Some(needs), Some(capture)) = (needs, self.shared.capture.get()) {
                capture.needs(table, life, needs, self.shared.metrics.clone());
            }
            if is_gone {
                tracing::info!(table = base.table.spec.name, "the rows of a base table are let go: nothing needs them");
                self.publish_base_tables();
            }
        }
    }

    /// The rows of a table are needed that were let go: it is copied, and what reads it populated, by the next reading of the
    /// catalog.
    pub(super) fn bring_in(&mut self, table: RelationId, reason: &str) {
        self.resynchronise(table, reason);
        self.must_read = true;
    }

    /// A stream table cannot be filled without the rows of this one. All that it reads itself are brought in together: a
    /// partitioned table may have any number of leaves, and they are found missing one by one.
    pub(super) fn bring_in_for(&mut self, view: RelationId, missing: RelationId) {
        let Some(view) = self.views.get(&view) else { return };
        let reason = format!("{} is to be filled from its rows", view.row.name);
        let is_let_go = |id: &RelationId| self.tables.get(id).is_some_and(|base| base.rows == Rows::LetGo);
        let mut tables: Vec<RelationId> = view.sources.iter().copied().filter(is_let_go).collect();
        if !tables.contains(&missing) {
            tables = vec![missing];
        }
        tables.into_iter().for_each(|table| self.bring_in(table, &reason));
    }

    /// Says in the registry how the rows of base tables stand.
    pub(super) fn publish_base_tables(&self) {
        let tables = self.tables.values().filter(|base| base.table.watched).map(|base| {
            let name = format!("{}.{}", base.table.spec.schema, base.table.spec.name);
            BaseTable { name, rows: base.describe_rows() }
        });
        self.shared.registry.set_base_tables(tables.collect());
    }
}

impl Thread {
    /// Lets a table's rows go, unless they are looked up by key.
    pub(super) fn let_go(&mut self, table: RelationId, life: u64) {
        let rows = self.engine.let_go_of(table).ok().flatten();
        let is_gone = rows.is_some();
        if let Some(rows) = rows {
            self.let_go.insert(table, life);
            Metrics::add(&self.metrics.tables_let_go, 1);
            // That takes a while, and readers wait for this thread. Where no other can be started, it is done here.
            let _ = std::thread::Builder::new().name("weir-let-go".into()).spawn(move || drop(rows));
        }
        self.count_let_go();
        let needs = self.engine.needs_of(table);
        let _ = self.notices.send(Notice::LetGo { table, life, is_gone, needs });
    }

    /// Rows that were let go were needed to take in a change: nothing above the table is answered until it has been copied.
    pub(super) fn miss_rows(&mut self, table: RelationId) {
        self.shed(table);
        if let Some(life) = self.let_go.get(&table) {
            let _ = self.notices.send(Notice::RowsMissed { table, life: *life });
        }
    }

    /// What was let go comes back as a new table, if at all.
    pub(super) fn forget_let_go(&mut self, table: RelationId) {
        self.let_go.remove(&table);
        self.count_let_go();
    }

    pub(super) fn count_let_go(&self) {
        self.metrics.base_tables_let_go.store(self.let_go.len() as u64, Ordering::Relaxed);
    }
}
