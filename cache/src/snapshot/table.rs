//! The publisher's side of one table: the version being prepared, the map from rows to slots, compaction.

use super::chunk::CHUNK_ROWS;
use super::indexes::Indexes;
use super::slot_map::SlotMap;
use super::store::{Slot, Store};
use std::sync::Arc;
use weir_planner::{ColumnType, Row, Value};

/// The least capacity of a chunk: a table of two rows should not hold a thousand dead ones.
const MIN_CHUNK_ROWS: usize = 64;

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
    slots: SlotMap,
    /// The chunk that takes new rows, and how many of its slots are filled.
    tail: Option<(usize, usize)>,
    /// Chunk numbers without rows, to be used again.
    free: Vec<usize>,
    /// Bytes of the rows each chunk holds, dead ones included: they are freed with the chunk.
    held: Vec<usize>,
    /// Live rows with an evaluation error in some column.
    error_rows: usize,
}

impl Table {
    pub(super) fn new(columns: Vec<ColumnType>) -> Table {
        Table {
            columns: columns.into(),
            store: Store::default(),
            indexes: Indexes::default(),
            slots: SlotMap::default(),
            tail: None,
            free: Vec::new(),
            held: Vec::new(),
            error_rows: 0,
        }
    }

    pub(super) fn has_errors(&self) -> bool {
        self.error_rows > 0
    }

    /// Applies a consolidated delta. After an error the table is half changed and must not be published again.
    pub(super) fn apply(&mut self, delta: &[(Row, i64)], generation: u64) -> Result<(), DeltaError> {
        let mut died = Vec::new();
        let mut born = Vec::new();
        for (row, weight) in delta.iter().filter(|(_, weight)| *weight < 0) {
            died.extend(self.remove(row, weight.unsigned_abs())?);
        }
        // Before anything is born: what compaction moves is then older than this delta, and no slot is both.
        self.compact(&mut died, &mut born);
        for (row, weight) in delta.iter().filter(|(_, weight)| *weight > 0) {
            born.extend(self.add(row, weight.unsigned_abs())?);
        }
        self.indexes.follow(&self.store, &died, &born, generation);
        self.release(&died);
        Ok(())
    }

    /// Removes copies of a row; returns its slot when none is left.
    fn remove(&mut self, row: &Row, removed: u64) -> Result<Option<Slot>, DeltaError> {
        let hash = self.slots.hash(row);
        let Some(slot) = self.slots.find(hash, row, &self.store) else {
            return Err(DeltaError::NotPresent { removed, present: 0 });
        };
        let (_, present) = self.store.row_and_count(slot);
        if removed > present {
            return Err(DeltaError::NotPresent { removed, present });
        }
        if removed < present {
            self.store.set_count(slot, present - removed);
            return Ok(None);
        }
        self.store.kill(slot);
        self.slots.remove(hash, slot);
        self.error_rows -= usize::from(row.iter().any(Value::is_error));
        Ok(Some(slot))
    }

    /// Adds copies of a row; returns its slot when the row is new.
    fn add(&mut self, row: &Row, added: u64) -> Result<Option<Slot>, DeltaError> {
        if row.len() != self.columns.len() {
            return Err(DeltaError::Width { found: row.len(), expected: self.columns.len() });
        }
        let hash = self.slots.hash(row);
        if let Some(slot) = self.slots.find(hash, row, &self.store) {
            let (_, present) = self.store.row_and_count(slot);
            self.store.set_count(slot, present + added);
            return Ok(None);
        }
        let slot = self.append(row.clone(), added);
        self.slots.insert(hash, slot);
        self.error_rows += usize::from(row.iter().any(Value::is_error));
        Ok(Some(slot))
    }

    fn append(&mut self, row: Row, count: u64) -> Slot {
        let (chunk, offset) = match self.tail {
            Some((chunk, filled)) if filled < self.store.capacity(chunk) => (chunk, filled),
            _ => (self.new_chunk(), 0),
        };
        self.held[chunk] += row_bytes(&row);
        self.tail = Some((chunk, offset + 1));
        self.store.fill(chunk, offset, row, count)
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
    /// as moves, so a deletion pays for at most one move.
    fn compact(&mut self, died: &mut Vec<Slot>, born: &mut Vec<Slot>) {
        let mut touched: Vec<usize> = died.iter().map(|slot| slot.chunk()).collect();
        touched.sort_unstable();
        touched.dedup();
        for chunk in touched {
            let live = self.store.live_slots(chunk);
            let is_tail = self.tail.is_some_and(|(tail, filled)| tail == chunk && filled < self.store.capacity(chunk));
            if is_tail || live == 0 || live * 2 >= self.store.capacity(chunk) {
                continue;
            }
            let rows: Vec<(Slot, Row, u64)> =
                self.store.iter_chunk(chunk).map(|(slot, row, count)| (slot, row.clone(), count)).collect();
            for (from, row, count) in rows {
                let hash = self.slots.hash(&row);
                self.store.kill(from);
                let to = self.append(row, count);
                self.slots.relocate(hash, from, to);
                died.push(from);
                born.push(to);
            }
        }
    }

    /// Gives up chunks without live rows, once no index refers to them.
    fn release(&mut self, died: &[Slot]) {
        let mut touched: Vec<usize> = died.iter().map(|slot| slot.chunk()).collect();
        touched.sort_unstable();
        touched.dedup();
        for chunk in touched {
            let is_tail = self.tail.is_some_and(|(tail, _)| tail == chunk);
            if !is_tail && self.store.live_slots(chunk) == 0 {
                self.store.place(chunk, 0);
                self.held[chunk] = 0;
                self.free.push(chunk);
            }
        }
    }

    /// Rows (dead ones until their chunk goes), chunks, the map and the indexes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.held.iter().sum::<usize>() + self.store.bytes() + self.slots.bytes() + self.indexes.bytes()
    }
}

/// Bytes of a row: the shared header, the values, and what those own.
fn row_bytes(row: &Row) -> usize {
    const ARC_HEADER: usize = 16;
    ARC_HEADER + size_of_val(&row[..]) + row.iter().map(Value::heap_size).sum::<usize>()
}
