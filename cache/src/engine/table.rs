//! Base tables and given relations: the rows themselves, as a bag, until they are let go.

use super::bag::HashedBag;
use super::intake::{CHUNK_CHANGES, WORTH_APPROACHING};
use super::memory::{ENTRY_BYTES, row_bytes};
use super::{EngineError, TableChange};
use crate::Delta;
use crate::delta::{hash_columns, hash_values};
use smallvec::SmallVec;
use std::hint::black_box;
use weir_planner::{RelationId, Row, Value};

/// A stored relation.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: HashedBag,
    /// Primary key positions: hashing only these is cheaper than hashing whole rows.
    key: Option<Vec<usize>>,
    row_bytes: usize,
    /// Its rows are not here any more: changes pass through as they come.
    is_let_go: bool,
}

impl Table {
    pub fn new(key: Option<Vec<usize>>) -> Table {
        Table { key: key.filter(|key| !key.is_empty()), ..Table::default() }
    }

    /// Primary key positions, if any.
    pub fn key(&self) -> Option<&[usize]> {
        self.key.as_deref()
    }

    fn hash(key: &Option<Vec<usize>>, row: &[Value]) -> u64 {
        match key.as_deref() {
            Some(positions) => hash_columns(row, positions),
            None => hash_values(row),
        }
    }

    pub fn add(&mut self, row: &Row, weight: i64) -> i64 {
        let key = &self.key;
        let size = row_bytes(row) as isize * weight as isize;
        self.row_bytes = self.row_bytes.saturating_add_signed(size);
        self.rows.add(row, weight, Table::hash(key, row), |other| Table::hash(key, other))
    }

    /// Touches what these changes will look up, all of it before any of it is needed: the processor then waits for memory once
    /// instead of for each row.
    pub fn approach(&self, changes: &[TableChange]) {
        /// Values in a cache line, nearly.
        const STRIDE: usize = 2;
        // Of rows without a key the hash alone costs more.
        if changes.len() == 1 || self.rows.len() < WORTH_APPROACHING || self.key.is_none() {
            return;
        }
        let touch = |row: &Row| row.iter().step_by(STRIDE).for_each(|value| _ = black_box(value.is_null()));
        let mut stored: SmallVec<[&Row; CHUNK_CHANGES]> = SmallVec::new();
        for change in changes {
            let TableChange::Row { old, new } = change else { continue };
            old.iter().chain(new).for_each(touch);
        }
        for change in changes {
            let TableChange::Row { old, new } = change else { continue };
            stored.extend(old.iter().filter_map(|old| self.rows.candidate(Table::hash(&self.key, old))));
            if let Some(new) = new {
                black_box(self.rows.candidate(Table::hash(&self.key, new)).is_some());
            }
        }
        stored.into_iter().for_each(touch);
    }

    /// Applies one change and appends what it did. A row to delete that is not present is an error and changes nothing; where
    /// the rows were let go, nobody can tell.
    pub fn change(&mut self, id: RelationId, change: TableChange, delta: &mut Delta) -> Result<(), EngineError> {
        match change {
            TableChange::Truncate if self.is_let_go => return Err(EngineError::NotKept(id)),
            TableChange::Row { old, new } if self.is_let_go => {
                delta.extend(old.map(|old| (old, -1)));
                delta.extend(new.map(|new| (new, 1)));
            }
            TableChange::Truncate => {
                self.row_bytes = 0;
                delta.extend(self.rows.drain().into_iter().map(|(row, weight)| (row, -weight)));
            }
            TableChange::Row { old, new } => {
                if let Some(old) = old {
                    // The stored allocation is the one the indexes hold: comparing pointers is then enough for them.
                    let Some(stored) = self.rows.take(&old, Table::hash(&self.key, &old)) else {
                        return Err(EngineError::MissingRow(id));
                    };
                    self.row_bytes = self.row_bytes.saturating_sub(row_bytes(&stored));
                    delta.push((stored, -1));
                }
                if let Some(new) = new {
                    self.add(&new, 1);
                    delta.push((new, 1));
                }
            }
        }
        Ok(())
    }

    /// The difference that makes the table hold exactly `rows`; applied and returned consolidated.
    pub fn replace(&mut self, rows: Vec<Row>) -> Delta {
        let mut delta: Delta = Vec::with_capacity(rows.len() + self.rows.len());
        self.rows.for_each(|row, weight| delta.push((row.clone(), -weight)));
        delta.extend(rows.into_iter().map(|row| (row, 1)));
        crate::delta::consolidate(&mut delta);
        for (row, weight) in &delta {
            self.add(row, *weight);
        }
        delta
    }

    /// Takes the rows out; from now on only their changes are known.
    pub fn let_go(&mut self) -> HashedBag {
        (self.is_let_go, self.row_bytes) = (true, 0);
        std::mem::take(&mut self.rows)
    }

    pub fn is_kept(&self) -> bool {
        !self.is_let_go
    }

    /// Up to so many of the rows, whichever.
    pub fn some_rows(&self, count: usize) -> impl Iterator<Item = &Row> {
        self.rows.rows().take(count)
    }

    pub fn for_each(&self, f: &mut dyn FnMut(&Row, i64)) {
        self.rows.for_each(f);
    }

    pub fn bytes(&self) -> usize {
        self.row_bytes + self.rows.len() * ENTRY_BYTES
    }
}
