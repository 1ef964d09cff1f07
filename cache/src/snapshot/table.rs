//! The publisher's side of one table: the version being prepared, the map from rows to ids, compaction.

use super::chunk::CHUNK_ROWS;
use super::directory::{RowId, Slot};
use super::id_map::IdMap;
use super::indexes::Indexes;
use super::store::Store;
use hashbrown::{HashMap, HashSet};
use smallvec::SmallVec;
use std::sync::Arc;
use weir_planner::{ColumnType, Row, Value};

/// The least capacity of a chunk: a table of two rows should not hold a thousand dead ones.
const MIN_CHUNK_ROWS: usize = 64;

/// Rows whose lookups are prepared together: their cache lines, some 500 bytes each, fit the first-level cache.
const BLOCK_ROWS: usize = 64;

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
    ids: IdMap,
    free_ids: Vec<RowId>,
    /// Ids handed out so far.
    used_ids: u32,
    /// The chunk that takes new rows, and how many of its slots are filled.
    tail: Option<(usize, usize)>,
    /// Chunk numbers without rows, to be used again.
    free: Vec<usize>,
    /// Bytes of the rows each chunk holds, dead ones included: they are freed with the chunk.
    held: Vec<usize>,
    /// Live rows with an evaluation error in some column.
    error_rows: usize,
    /// An evaluation failed without leaving a trace in the rows.
    pub(super) in_error: bool,
}

impl Table {
    pub(super) fn new(columns: Vec<ColumnType>) -> Table {
        Table {
            columns: columns.into(),
            store: Store::default(),
            indexes: Indexes::default(),
            ids: IdMap::default(),
            free_ids: Vec::new(),
            used_ids: 0,
            tail: None,
            free: Vec::new(),
            held: Vec::new(),
            error_rows: 0,
            in_error: false,
        }
    }

    pub(super) fn has_errors(&self) -> bool {
        self.in_error || self.error_rows > 0
    }

    /// Applies a consolidated delta. After an error the table is half changed and must not be published again.
    pub(super) fn apply(&mut self, delta: &[(Row, i64)], generation: u64) -> Result<(), DeltaError> {
        let mut died = Vec::new();
        let mut touched = Vec::new();
        let (removed, added): (Vec<_>, Vec<_>) = delta.iter().partition(|(_, weight)| *weight < 0);
        for block in removed.chunks(BLOCK_ROWS) {
            let hashes = self.approach(block);
            for ((row, weight), hash) in block.iter().zip(hashes) {
                if let Some(id) = self.remove(row, hash, weight.unsigned_abs())? {
                    touched.push(self.store.kill(id));
                    died.push(id);
                }
            }
        }
        touched.sort_unstable();
        touched.dedup();
        // Before anything is born: what compaction moves is then older than this delta.
        self.compact(&touched);
        let mut replaceable = Replaceable::new(&self.indexes, &self.store, &died);
        let mut born = Vec::new();
        for block in added.chunks(BLOCK_ROWS) {
            let hashes = self.approach(block);
            for ((row, weight), hash) in block.iter().zip(hashes) {
                born.extend(self.add(row, hash, weight.unsigned_abs(), &mut replaceable)?);
            }
        }
        replaceable.retain_unused(&mut died);
        self.indexes.follow(&self.store, &died, &born, generation);
        for &id in &died {
            self.store.forget(id);
        }
        self.free_ids.append(&mut died);
        self.release(&touched);
        Ok(())
    }

    /// Hashes a block of rows and brings what a lookup of each will need into the processor's caches. In a large table
    /// every lookup waits for memory four times; in loops this short the waits of a whole block overlap.
    fn approach(&self, block: &[&(Row, i64)]) -> SmallVec<[u32; BLOCK_ROWS]> {
        let hashes: SmallVec<[u32; BLOCK_ROWS]> = block.iter().map(|(row, _)| self.ids.hash(row)).collect();
        if block.len() > 1 {
            let ids: SmallVec<[RowId; BLOCK_ROWS]> = hashes.iter().filter_map(|&hash| self.ids.guess(hash)).collect();
            let slots: SmallVec<[Slot; BLOCK_ROWS]> = ids.iter().map(|&id| self.store.slot(id)).collect();
            let widths = slots.iter().map(|&slot| self.store.row_at(slot).len());
            std::hint::black_box(widths.sum::<usize>());
            for &slot in &slots {
                std::hint::black_box(self.store.row_at(slot).last().is_some_and(Value::is_null));
            }
        }
        hashes
    }

    /// Removes copies of a row; returns its id when none is left.
    fn remove(&mut self, row: &Row, hash: u32, removed: u64) -> Result<Option<RowId>, DeltaError> {
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
        self.ids.remove(hash, id);
        self.error_rows -= usize::from(row.iter().any(Value::is_error));
        Ok(Some(id))
    }

    /// Adds copies of a row; returns its id when the indexes have to learn of it.
    fn add(&mut self, row: &Row, hash: u32, added: u64, dead: &mut Replaceable) -> Result<Option<RowId>, DeltaError> {
        if row.len() != self.columns.len() {
            return Err(DeltaError::Width { found: row.len(), expected: self.columns.len() });
        }
        if let Some(id) = self.ids.find(hash, row, &self.store) {
            let (_, present) = self.store.row_and_count(id);
            self.store.set_count(id, present + added);
            return Ok(None);
        }
        let replaced = dead.take(&self.indexes, &self.store, row);
        let id = replaced.or_else(|| self.free_ids.pop()).unwrap_or_else(|| {
            let id = RowId(self.used_ids);
            self.used_ids = self.used_ids.checked_add(1).expect("2^32 rows of one table do not fit into memory");
            id
        });
        self.append(id, row.clone(), added);
        self.ids.insert(hash, id);
        self.error_rows += usize::from(row.iter().any(Value::is_error));
        Ok(replaced.is_none().then_some(id))
    }

    fn append(&mut self, id: RowId, row: Row, count: u64) {
        let (chunk, offset) = match self.tail {
            Some((chunk, filled)) if filled < self.store.capacity(chunk) => (chunk, filled),
            _ => (self.new_chunk(), 0),
        };
        self.held[chunk] += row_bytes(&row);
        self.tail = Some((chunk, offset + 1));
        self.store.fill(chunk, offset, id, row, count);
    }

    fn new_chunk(&mut self) -> usize {
        let number = self.free.pop().unwrap_or_else(|| self.store.chunks());
        let capacity = self.store.distinct().next_power_of_two().clamp(MIN_CHUNK_ROWS, CHUNK_ROWS);
        self.store.place(number, capacity);
        self.held.resize(self.held.len().max(number + 1), 0);
        self.held[number] = 0;
        number
    }

    /// Moves the rows of chunks that are less than half live to the tail. Each freed chunk had at least as many deaths
    /// as moves, so a deletion pays for at most one move. Ids stay, so no index notices.
    fn compact(&mut self, touched: &[usize]) {
        for &chunk in touched {
            let live = self.store.live_slots(chunk);
            if self.takes_rows(chunk) || live == 0 || live * 2 >= self.store.capacity(chunk) {
                continue;
            }
            let rows: Vec<(RowId, Row, u64)> =
                self.store.iter_chunk(chunk).map(|(id, row, count)| (id, row.clone(), count)).collect();
            for (id, row, count) in rows {
                self.store.kill(id);
                self.append(id, row, count);
            }
        }
    }

    /// Whether this is the tail and has empty slots left.
    fn takes_rows(&self, chunk: usize) -> bool {
        self.tail.is_some_and(|(tail, filled)| tail == chunk && filled < self.store.capacity(chunk))
    }

    /// Gives up chunks without live rows, once no index refers to them.
    fn release(&mut self, touched: &[usize]) {
        for &chunk in touched {
            if !self.takes_rows(chunk) && self.store.live_slots(chunk) == 0 && self.store.capacity(chunk) > 0 {
                self.tail = self.tail.filter(|(tail, _)| *tail != chunk);
                self.store.place(chunk, 0);
                self.held[chunk] = 0;
                self.free.push(chunk);
            }
        }
    }

    /// Rows (dead ones until their chunk goes), chunks, the map and the indexes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.held.iter().sum::<usize>() + self.store.bytes() + self.ids.bytes() + self.indexes.bytes()
    }
}

/// Dead rows whose ids new rows may take over without any index noticing: an update of columns that no index has then
/// costs the indexes nothing, however many there are.
struct Replaceable {
    by_key: HashMap<u64, Vec<RowId>, foldhash::fast::RandomState>,
    used: HashSet<RowId, foldhash::fast::RandomState>,
}

impl Replaceable {
    fn new(indexes: &Indexes, store: &Store, died: &[RowId]) -> Replaceable {
        let mut by_key: HashMap<u64, Vec<RowId>, _> = HashMap::default();
        if let Some(index) = indexes.leading() {
            for &id in died {
                if let Some(key) = index.key(store.row(id)) {
                    by_key.entry(key).or_default().push(id);
                }
            }
        }
        Replaceable { by_key, used: HashSet::default() }
    }

    /// The id of a dead row that agrees with this one in all indexed columns.
    fn take(&mut self, indexes: &Indexes, store: &Store, row: &Row) -> Option<RowId> {
        if self.by_key.is_empty() {
            return None;
        }
        let dead = self.by_key.get_mut(&indexes.leading()?.key(row)?)?;
        let id = *dead.last()?;
        if !indexes.are_same(store.row(id), row) {
            return None;
        }
        dead.pop();
        self.used.insert(id);
        Some(id)
    }

    fn retain_unused(&self, died: &mut Vec<RowId>) {
        if !self.used.is_empty() {
            died.retain(|id| !self.used.contains(id));
        }
    }
}

/// Bytes of a row: the shared header, the values, and what those own.
fn row_bytes(row: &Row) -> usize {
    const ARC_HEADER: usize = 16;
    ARC_HEADER + size_of_val(&row[..]) + row.iter().map(Value::heap_size).sum::<usize>()
}
