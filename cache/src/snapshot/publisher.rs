//! The owner of all versions: takes deltas, stamps positions, gives snapshots.

use super::table::Table;
use super::version::{Contents, Snapshot, TableVersion};
use crate::clock::ClockSpan;
use crate::{Delta, Position};
use std::collections::HashMap;
use std::sync::Arc;
use tracing::error;
use weir_planner::{ColumnType, RelationId};

/// Rows that one publish spends on building indexes, some 10 ms: a wanted index on a million rows is there after
/// sixteen publishes, and none of them is late by more than that.
pub const BUILD_ROWS_PER_PUBLISH: usize = 65_536;

#[derive(Debug)]
struct Entry {
    table: Table,
    /// Changed since the last stamp.
    is_changed: bool,
    /// Its rows may have been others since the last stamp, though they are the same again.
    is_touched: bool,
    /// What the next snapshot holds; None until the first stamp.
    current: Option<Arc<TableVersion>>,
    /// Why the table is no longer published.
    broken: Option<String>,
}

/// Owner of the versions: takes deltas, gives snapshots. Lives with the engine, on its thread.
///
/// The order per step: [`apply`](Publisher::apply) what changed, [`stamp`](Publisher::stamp) what is right,
/// [`publish`](Publisher::publish). A change becomes visible with the stamp after it, so no snapshot ever shows rows
/// under a position that does not belong to them.
#[derive(Debug, Default)]
pub struct Publisher {
    tables: HashMap<RelationId, Entry>,
    /// Number of publishes so far: the clock by which indexes age.
    generation: u64,
}

impl Publisher {
    pub fn new() -> Publisher {
        Publisher::default()
    }

    /// Adds an empty table (in place of one of that id). It is in no snapshot until it is stamped.
    pub fn add(&mut self, id: RelationId, columns: Vec<ColumnType>) {
        let entry =
            Entry { table: Table::new(columns), is_changed: true, is_touched: false, current: None, broken: None };
        self.tables.insert(id, entry);
    }

    pub fn remove(&mut self, id: RelationId) {
        self.tables.remove(&id);
    }

    /// Applies a consolidated delta to the next version of a table.
    ///
    /// A delta that does not fit (a row removed that is not there) means that engine and publisher disagree: the table
    /// is left out of all further snapshots, so that its reads are forwarded, and named by [`Publisher::broken`].
    pub fn apply(&mut self, id: RelationId, delta: &Delta) {
        let Some(entry) = self.tables.get_mut(&id) else {
            error!(?id, "a delta for a table that is not published is lost");
            return;
        };
        if delta.is_empty() || entry.broken.is_some() {
            return;
        }
        entry.is_changed = true;
        if let Err(cause) = entry.table.apply(delta, self.generation) {
            error!(?id, %cause, "a delta does not fit the published rows");
            entry.broken = Some(cause.to_string());
            entry.current = None;
        }
    }

    /// States whether some row's evaluation failed inside a view without showing in its rows (a condition, a join key):
    /// Postgres then raises an error for reads of it, so memory answers none. Takes effect with the next stamp.
    pub fn set_in_error(&mut self, id: RelationId, in_error: bool) {
        let Some(entry) = self.tables.get_mut(&id) else { return };
        if entry.table.in_error != in_error {
            entry.table.in_error = in_error;
            entry.is_changed = true;
        }
    }

    /// States that something this table reads has changed since the last stamp, whether or not anything came of it: one commit
    /// may have taken back what another did. The version before is right no longer than it was known to be.
    pub fn touch(&mut self, id: RelationId) {
        if let Some(entry) = self.tables.get_mut(&id) {
            entry.is_touched = true;
        }
    }

    /// States that a table is right at `position` (call for refreshed and for provably unchanged tables).
    pub fn stamp(&mut self, id: RelationId, position: Position) {
        self.stamp_during(id, position, ClockSpan::ALWAYS);
    }

    /// [`Publisher::stamp`] of a table whose rows depend on the time: it is right at `position` while the server's clock is
    /// within `clock`.
    pub fn stamp_during(&mut self, id: RelationId, position: Position, clock: ClockSpan) {
        let Some(entry) = self.tables.get_mut(&id) else { return };
        let goes_on = |current: &Arc<TableVersion>| !entry.is_changed && !entry.is_touched && clock == current.clock;
        let is_stamped = |current: &Arc<TableVersion>| goes_on(current) && position <= current.valid_to;
        if entry.broken.is_some() || entry.current.as_ref().is_some_and(is_stamped) {
            return;
        }
        entry.current = Some(Arc::new(match &entry.current {
            Some(current) if goes_on(current) => TableVersion {
                as_of: current.as_of,
                valid_to: position.max(current.valid_to),
                clock,
                columns: current.columns.clone(),
                contents: current.contents.clone(),
            },
            // The same rows again, or in another span of time: when that began, between positions, is not known.
            Some(current) if !entry.is_changed => TableVersion {
                as_of: position,
                valid_to: position,
                clock,
                columns: current.columns.clone(),
                contents: current.contents.clone(),
            },
            _ => TableVersion {
                as_of: position,
                valid_to: position,
                clock,
                columns: entry.table.columns.clone(),
                contents: Arc::new(Contents::of(&entry.table, self.generation)),
            },
        }));
        entry.is_changed = false;
        entry.is_touched = false;
    }

    /// The snapshot of everything stamped so far; cheap (structure is shared with earlier ones). Spends up to
    /// [`BUILD_ROWS_PER_PUBLISH`] rows on indexes that readers of earlier snapshots have asked for.
    pub fn publish(&mut self, frontier: Position) -> Arc<Snapshot> {
        self.generation += 1;
        self.build_demanded(BUILD_ROWS_PER_PUBLISH);
        let tables = self.tables.iter().filter_map(|(id, entry)| Some((*id, entry.current.clone()?))).collect();
        Arc::new(Snapshot { frontier, tables })
    }

    /// Whether readers wait for an index: an idle owner should then call [`Publisher::build_demanded`] and publish.
    pub fn has_demands(&self) -> bool {
        self.tables.values().any(|entry| entry.current.is_some() && entry.table.indexes.has_work())
    }

    /// Spends up to `rows` rows (about 150 ns each) on indexes that readers asked for. True when a finished one is
    /// waiting to be published.
    pub fn build_demanded(&mut self, rows: usize) -> bool {
        let mut rows = rows;
        let mut finished = false;
        for entry in self.tables.values_mut() {
            if rows == 0 {
                break;
            }
            let Some(current) = &entry.current else { continue };
            let Table { store, indexes, .. } = &mut entry.table;
            if !indexes.has_work() || !indexes.build(store, &mut rows, self.generation) {
                continue;
            }
            finished = true;
            // Between apply and stamp the index describes rows that must not be seen yet; the stamp will take it.
            if !entry.is_changed {
                entry.current = Some(Arc::new(TableVersion {
                    as_of: current.as_of,
                    valid_to: current.valid_to,
                    clock: current.clock,
                    columns: current.columns.clone(),
                    contents: Arc::new(Contents::of(&entry.table, self.generation)),
                }));
            }
        }
        finished
    }

    /// Frees a slice (some 0.1 ms) of the rows that no version shows any more; true while there is more. For idle moments:
    /// what is not freed by then goes later, when too much has gathered.
    pub fn reclaim(&mut self) -> bool {
        let _freed = self.tables.values_mut().any(|entry| entry.table.space.reclaim());
        self.tables.values().any(|entry| entry.table.space.has_retired())
    }

    /// Tables that a delta did not fit, with the reason. They are in no snapshot until added anew.
    pub fn broken(&self) -> Vec<(RelationId, String)> {
        self.tables.iter().filter_map(|(id, entry)| Some((*id, entry.broken.clone()?))).collect()
    }

    /// Accounted bytes per table (rows and indexes). Rows shared with the engine are counted in full.
    pub fn memory(&self) -> Vec<(RelationId, usize)> {
        self.tables.iter().map(|(id, entry)| (*id, entry.table.bytes())).collect()
    }
}
