//! Where rows are put: the chunk that is being filled, chunks that became sparse and are emptied, chunks to be used
//! again. Ids stay when rows move, so no index notices any of it.

use super::chunk::{CHUNK_ROWS, Chunk};
use super::directory::RowId;
use super::store::Store;
use std::collections::VecDeque;
use std::sync::Arc;
use weir_planner::{Row, Value};

/// The least capacity of a chunk: a table of two rows should not hold a thousand dead ones.
const MIN_CHUNK_ROWS: usize = 64;

/// Rows moved out of sparse chunks per death. A chunk gets sparse by as many deaths as it has rows left to move, so one
/// would do; two make sure that what was put off is caught up with. Spread like this, no delta pays for many others.
const MOVES_PER_DEATH: usize = 2;

/// Given-up chunks that wait for an idle moment; freeing one takes some 0.1 ms.
const MAX_RETIRED: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Space {
    /// The chunk that takes new rows, and how many of its slots are filled.
    tail: Option<(usize, usize)>,
    /// Chunk numbers without rows, to be used again.
    free: Vec<usize>,
    /// Bytes of the rows each chunk holds, dead ones included: they are freed with the chunk.
    held: Vec<usize>,
    /// Chunks that were less than half live when last looked at, to be emptied.
    sparse: VecDeque<usize>,
    /// Rows that may be moved for those that have died.
    moves: usize,
    /// Chunks without live rows, to be given up.
    empty: Vec<usize>,
    /// Chunks given up, with the bytes of their rows, and not freed yet.
    retired: VecDeque<(Arc<Chunk>, usize)>,
}

impl Space {
    /// Puts a row into the next empty slot, under an id that is new or whose row is dead.
    pub(super) fn append(&mut self, store: &mut Store, id: RowId, row: Row, count: u64) {
        let (chunk, offset) = match self.tail {
            Some((chunk, filled)) if filled < store.capacity(chunk) => (chunk, filled),
            _ => (self.new_chunk(store), 0),
        };
        self.held[chunk] += row_bytes(&row);
        self.tail = Some((chunk, offset + 1));
        store.fill(chunk, offset, id, row, count);
        if !self.takes_rows(store, chunk) && is_sparse(store, chunk, 0) {
            // It became sparse while it was the tail.
            self.sparse.push_back(chunk);
        }
    }

    /// Takes a row out of this version.
    pub(super) fn kill(&mut self, store: &mut Store, id: RowId) {
        let chunk = store.kill(id);
        self.moves += MOVES_PER_DEATH;
        if store.live_slots(chunk) == 0 {
            self.empty.push(chunk);
        } else if is_sparse(store, chunk, 0) && !is_sparse(store, chunk, 1) {
            self.sparse.push_back(chunk);
        }
    }

    /// Moves rows of sparse chunks to the tail, at the pace of the deaths since the last time.
    pub(super) fn compact(&mut self, store: &mut Store) {
        let mut budget = std::mem::take(&mut self.moves);
        while budget > 0
            && let Some(&chunk) = self.sparse.front()
        {
            if self.takes_rows(store, chunk) || store.live_slots(chunk) == 0 || !is_sparse(store, chunk, 0) {
                self.sparse.pop_front();
                continue;
            }
            let rows: Vec<(RowId, Row, u64)> =
                store.iter_chunk(chunk).take(budget).map(|(id, row, count)| (id, row.clone(), count)).collect();
            budget -= rows.len();
            for (id, row, count) in rows {
                store.kill(id);
                self.append(store, id, row, count);
            }
            if store.live_slots(chunk) == 0 {
                self.empty.push(chunk);
            }
        }
    }

    /// Gives up chunks without live rows, once no index refers to them.
    pub(super) fn release(&mut self, store: &mut Store) {
        for chunk in std::mem::take(&mut self.empty) {
            if self.takes_rows(store, chunk) || store.live_slots(chunk) > 0 || store.capacity(chunk) == 0 {
                continue;
            }
            self.tail = self.tail.filter(|(tail, _)| *tail != chunk);
            if let Some(retired) = store.place(chunk, 0) {
                self.retired.push_back((retired, self.held[chunk]));
            }
            self.held[chunk] = 0;
            self.free.push(chunk);
        }
        while self.retired.len() > MAX_RETIRED {
            self.retired.pop_front();
        }
    }

    /// Frees the rows of one chunk that was given up, unless a reader still holds it. False when there is none.
    pub(super) fn reclaim(&mut self) -> bool {
        self.retired.pop_front().is_some()
    }

    pub(super) fn has_retired(&self) -> bool {
        !self.retired.is_empty()
    }

    fn new_chunk(&mut self, store: &mut Store) -> usize {
        let number = self.free.pop().unwrap_or_else(|| store.chunks());
        let capacity = store.distinct().next_power_of_two().clamp(MIN_CHUNK_ROWS, CHUNK_ROWS);
        store.place(number, capacity);
        self.held.resize(self.held.len().max(number + 1), 0);
        self.held[number] = 0;
        number
    }

    /// Whether this is the tail and has empty slots left.
    fn takes_rows(&self, store: &Store, chunk: usize) -> bool {
        self.tail.is_some_and(|(tail, filled)| tail == chunk && filled < store.capacity(chunk))
    }

    /// Bytes of all rows held, dead ones included.
    pub(super) fn bytes(&self) -> usize {
        self.held.iter().sum::<usize>() + self.retired.iter().map(|(_, bytes)| bytes).sum::<usize>()
    }
}

/// Whether less than half of a chunk's slots would be live if it had so many live ones more.
fn is_sparse(store: &Store, chunk: usize, more: usize) -> bool {
    (store.live_slots(chunk) + more) * 2 < store.capacity(chunk)
}

/// Bytes of a row: the shared header, the values, and what those own.
fn row_bytes(row: &Row) -> usize {
    const ARC_HEADER: usize = 16;
    ARC_HEADER + size_of_val(&row[..]) + row.iter().map(Value::heap_size).sum::<usize>()
}
