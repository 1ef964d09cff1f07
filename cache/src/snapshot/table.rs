//! The publisher's side of one table: the version being prepared and the map from rows to ids.

use super::directory::{RowId, Slot};
use super::id_map::{IdMap, Place};
use super::indexes::Indexes;
use super::soundness::Soundness;
use super::space::Space;
use super::store::Store;
use smallvec::SmallVec;
use std::sync::Arc;
use weir_planner::{ColumnType, Row, Value};

/// Rows whose lookups are prepared together: their cache lines, some 500 bytes each, fit the first-level cache.
const BLOCK_ROWS: usize = 64;

type Hashes = SmallVec<[u32; BLOCK_ROWS]>;

/// A delta that does not fit the table: the publisher's rows are no longer the engine's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    #[error("a delta removes {removed} of a row that occurs {present} times")]
    NotPresent { removed: u64, present: u64 },
    #[error("a delta has a row of {found} columns for a table of {expected}")]
    Width { found: usize, expected: usize },
}

#[derive(Debug)]
pub(super) struct Table {
    pub(super) columns: Arc<[ColumnType]>,
    pub(super) store: Store,
    pub(super) indexes: Indexes,
    pub(super) space: Space,
    pub(super) soundness: Arc<Soundness>,
    ids: IdMap,
    free_ids: Vec<RowId>,
    /// Ids handed out so far.
    used_ids: u32,
    /// Live rows with an evaluation error in some column.
    error_rows: usize,
    /// An evaluation failed without leaving a trace in the rows.
    pub(super) in_error: bool,
}

/// A row that died in this delta. Its entry stays until it is known whether a new row takes it over.
struct Death {
    id: RowId,
    hash: u32,
}

enum Added {
    /// The row was there already.
    Counted,
    /// It has taken over the id of a dead row.
    Replaced,
    /// The indexes have to learn of it.
    New(RowId),
}

impl Table {
    pub(super) fn new(columns: Vec<ColumnType>) -> Table {
        Table {
            columns: columns.into(),
            store: Store::default(),
            indexes: Indexes::default(),
            space: Space::default(),
            soundness: Arc::default(),
            ids: IdMap::default(),
            free_ids: Vec::new(),
            used_ids: 0,
            error_rows: 0,
            in_error: false,
        }
    }

    pub(super) fn has_errors(&self) -> bool {
        self.in_error || self.error_rows > 0
    }

    /// Applies a consolidated delta. After an error the table is half changed and must not be published again.
    pub(super) fn apply(&mut self, delta: &[(Row, i64)], generation: u64) -> Result<(), DeltaError> {
        if self.ids.is_empty() {
            let added: Vec<&Row> = delta.iter().filter(|(_, weight)| *weight > 0).map(|(row, _)| row).collect();
            self.ids.identify(added.into_iter());
        }
        // Before anything is born: what compaction moves is then older than this delta.
        self.space.compact(&mut self.store);
        let (mut died, mut born, mut replaced) = (Vec::new(), Vec::new(), 0);
        // An update's two rows usually stand side by side: what was looked up for the one is at hand for the other.
        for block in delta.chunks(BLOCK_ROWS) {
            self.relieve(&mut died);
            let hashes = self.approach(block);
            for ((row, weight), &hash) in block.iter().zip(&hashes).filter(|((_, weight), _)| *weight < 0) {
                died.extend(self.remove(row, hash, weight.unsigned_abs())?);
            }
            for ((row, weight), &hash) in block.iter().zip(&hashes).filter(|((_, weight), _)| *weight > 0) {
                match self.add(row, hash, weight.unsigned_abs())? {
                    Added::Counted => {}
                    Added::Replaced => replaced += 1,
                    Added::New(id) => born.push(id),
                }
            }
        }
        if replaced == died.len() {
            died.clear();
        } else {
            died.retain(|death| self.store.live_row(death.id).is_none());
        }
        let dead: Vec<RowId> = died.iter().map(|death| death.id).collect();
        self.indexes.follow(&self.store, &dead, &born, generation);
        for death in died {
            self.ids.remove(death.hash, death.id);
            self.store.forget(death.id);
            self.free_ids.push(death.id);
        }
        self.space.release(&mut self.store);
        Ok(())
    }

    /// Hashes a block of rows and brings what a lookup of each will need into the processor's caches. In a large table
    /// every lookup waits for memory four times; in loops this short the waits of a whole block overlap.
    fn approach(&self, block: &[(Row, i64)]) -> Hashes {
        /// Values of 24 bytes per cache line.
        const VALUES_PER_LINE: usize = 64 / size_of::<Value>();
        let hashes: Hashes = block.iter().map(|(row, _)| self.ids.hash(row)).collect();
        if block.len() > 1 {
            let ids: SmallVec<[RowId; BLOCK_ROWS]> = hashes.iter().filter_map(|&hash| self.ids.guess(hash)).collect();
            let slots: SmallVec<[Slot; BLOCK_ROWS]> = ids.iter().map(|&id| self.store.slot(id)).collect();
            let widths = slots.iter().map(|&slot| self.store.row_at(slot).len());
            std::hint::black_box(widths.sum::<usize>());
            let rows = slots.iter().map(|&slot| self.store.row_at(slot));
            let lines = rows.flat_map(|row| row.iter().step_by(VALUES_PER_LINE));
            std::hint::black_box(lines.filter(|value| value.is_null()).count());
        }
        hashes
    }

    /// Removes copies of a row; says when none is left.
    fn remove(&mut self, row: &Row, hash: u32, removed: u64) -> Result<Option<Death>, DeltaError> {
        let Some(id) = self.ids.find(hash, row, &self.store) else {
            return Err(DeltaError::NotPresent { removed, present: 0 });
        };
        let (_, present) = self.store.row_and_count(id);
        if removed > present {
            return Err(DeltaError::NotPresent { removed, present });
        }
        if removed < present {
            self.store.set_count(id, present - removed);
            return Ok(None);
        }
        self.space.kill(&mut self.store, id);
        self.error_rows -= usize::from(row.iter().any(Value::is_error));
        Ok(Some(Death { id, hash }))
    }

    /// Adds copies of a row. One that differs from a dead row in no column of the identity and of any index takes its id
    /// over, which changes neither the map nor an index.
    fn add(&mut self, row: &Row, hash: u32, added: u64) -> Result<Added, DeltaError> {
        if row.len() != self.columns.len() {
            return Err(DeltaError::Width { found: row.len(), expected: self.columns.len() });
        }
        let Table { store, indexes, ids, .. } = self;
        let place = ids.place(hash, row, store, |dead| indexes.are_same(store.row(dead), row));
        let id = match place {
            Place::Present(id) => {
                let (_, present) = self.store.row_and_count(id);
                self.store.set_count(id, present + added);
                return Ok(Added::Counted);
            }
            Place::Vacated(id) => id,
            Place::New => self.new_id(),
        };
        self.space.append(&mut self.store, id, row.clone(), added);
        self.error_rows += usize::from(row.iter().any(Value::is_error));
        if matches!(place, Place::Vacated(_)) {
            return Ok(Added::Replaced);
        }
        self.ids.insert(hash, id);
        Ok(Added::New(id))
    }

    fn new_id(&mut self) -> RowId {
        self.free_ids.pop().unwrap_or_else(|| {
            let id = RowId(self.used_ids);
            self.used_ids = self.used_ids.checked_add(1).expect("2^32 rows of one table do not fit into memory");
            id
        })
    }

    /// Has other columns hashed when the present ones do not tell the rows apart.
    fn relieve(&mut self, died: &mut [Death]) {
        if !self.ids.is_strained() {
            return;
        }
        let mut rows: Vec<(RowId, &Row)> = self.store.iter().map(|(id, row, _)| (id, row)).collect();
        let dead = died.iter().map(|death| death.id).filter(|&id| self.store.live_row(id).is_none());
        rows.extend(dead.map(|id| (id, self.store.row(id))));
        self.ids.rebuild(&rows);
        for death in died {
            death.hash = self.ids.hash(self.store.row(death.id));
        }
    }

    /// Rows (dead ones until their chunk goes), chunks, the map and the indexes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.space.bytes() + self.store.bytes() + self.ids.bytes() + self.indexes.bytes()
    }
}
