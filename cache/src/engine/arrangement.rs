//! Arrangements: a node's present output, indexed by key. Attached to the node that produces the rows, always at
//! that node's present, and shared by every join that looks up by the same key expressions.

use super::bag::{Bag, Identity};
use super::intake::{CHUNK_CHANGES, WORTH_APPROACHING};
use super::memory::{ENTRY_BYTES, row_bytes, touch};
use crate::Delta;
use crate::key::{KeyMap, KeySpec, KeyState};
use smallvec::SmallVec;
use std::hint::black_box;
use weir_planner::eval::EvalContext;
use weir_planner::{Row, Value};

/// Hash index from canonical key to a bag of rows. Rows whose key is NULL or failed match nothing and are left out.
#[derive(Debug)]
pub(crate) struct Arrangement {
    pub key: KeySpec,
    index: KeyMap<Bag>,
    identity: Identity,
    /// Rows that are not in the index because their key is NULL or failed.
    left_out: i64,
    /// False while a backfill has yet to fill it; deltas are not applied before.
    pub filled: bool,
    /// Rows are accounted for by somebody else (a base table): count only our entries.
    shared_rows: bool,
    bytes: usize,
}

impl Arrangement {
    /// `unique`: columns that no two rows of the node share.
    pub fn new(key: KeySpec, shared_rows: bool, unique: Option<Vec<usize>>) -> Arrangement {
        let identity = unique.map_or(Identity::Whole, |columns| Identity::Columns(columns.into()));
        Arrangement { key, index: KeyMap::default(), identity, left_out: 0, filled: false, shared_rows, bytes: 0 }
    }

    pub fn apply(&mut self, delta: &Delta, context: &EvalContext) {
        for chunk in delta.chunks(CHUNK_CHANGES) {
            if chunk.len() > 1 {
                // Of a base table the rows are the same allocations: they are found without being looked at.
                let stored_too = !self.shared_rows;
                self.approach(chunk.iter().map(|(row, weight)| (row, *weight < 0)), stored_too, context);
            }
            for (row, weight) in chunk {
                self.add(row, *weight, context);
            }
        }
    }

    /// Touches what these rows will be put beside or (where the flag is set) taken out from, as
    /// [`super::table::Table::approach`] does. `stored_too`: also the rows among which those are looked for.
    pub fn approach<'r>(&self, rows: impl Iterator<Item = (&'r Row, bool)>, stored_too: bool, context: &EvalContext) {
        if self.index.len() < WORTH_APPROACHING || !self.key.is_columns() {
            return;
        }
        let bag = |row: &Row| self.key.with_key(row, context, |key, _| self.index.get(key));
        let bags: SmallVec<[(&Bag, &Row, bool); 2 * CHUNK_CHANGES]> =
            rows.filter_map(|(row, is_taken)| Some((bag(row)?, row, is_taken))).collect();
        let mut stored: SmallVec<[&Row; 2 * CHUNK_CHANGES]> = SmallVec::new();
        for (bag, row, is_taken) in bags {
            let looks = stored_too && is_taken;
            match bag {
                Bag::Many(many) => {
                    let candidate = many.candidate(self.identity.hash(row));
                    black_box(candidate.is_some());
                    stored.extend(candidate.filter(|_| looks));
                }
                few if looks => stored.extend(few.iter().map(|(row, _)| row)),
                few => _ = black_box(few.iter().next().is_some_and(|(_, weight)| *weight == 0)),
            }
        }
        stored.into_iter().for_each(touch);
    }

    /// False: the row is not in the index, because its key is NULL or failed.
    #[inline]
    pub fn add(&mut self, row: &Row, weight: i64, context: &EvalContext) -> bool {
        let Arrangement { key, index, identity, left_out, bytes, shared_rows, .. } = self;
        key.with_key(row, context, |values, state| {
            if state != KeyState::Present {
                *left_out += weight;
                return false;
            }
            let bag = index.get_or_insert(values, Bag::default);
            bag.add(row, weight, identity);
            if bag.is_empty() {
                index.remove(values);
            }
            let size = ENTRY_BYTES + if *shared_rows { 0 } else { row_bytes(row) };
            *bytes = bytes.saturating_add_signed(size as isize * weight as isize);
            true
        })
    }

    /// Takes the row equal to this image out once; None when it is not in the index.
    pub fn take(&mut self, row: &Row, context: &EvalContext) -> Option<Row> {
        let Arrangement { key, index, identity, bytes, shared_rows, .. } = self;
        key.with_key(row, context, |values, state| {
            let bag = index.get_mut(values).filter(|_| state == KeyState::Present)?;
            let stored = bag.take(row, identity)?;
            if bag.is_empty() {
                index.remove(values);
            }
            let size = ENTRY_BYTES + if *shared_rows { 0 } else { row_bytes(&stored) };
            *bytes = bytes.saturating_sub(size);
            Some(stored)
        })
    }

    /// A row that is not in the index has gone.
    pub fn left_out_goes(&mut self) {
        self.left_out -= 1;
    }

    /// Whether a row is not in the index, or would not be.
    pub fn leaves_out(&self, row: &[Value], context: &EvalContext) -> bool {
        self.key.with_key(row, context, |_, state| state != KeyState::Present)
    }

    /// Takes all rows out of the index, and forgets those that were left out of it.
    pub fn drain(&mut self) -> Delta {
        (self.left_out, self.bytes) = (0, 0);
        let mut rows = Delta::new();
        for (_, bag) in std::mem::take(&mut self.index).into_entries() {
            bag.for_each(|row, weight| rows.push((row.clone(), weight)));
        }
        rows
    }

    #[inline]
    pub fn get(&self, key: &[Value]) -> Option<&Bag> {
        self.index.get(key)
    }

    /// True when no row of the node is in the index.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// True when every row of the node is in the index.
    pub fn is_complete(&self) -> bool {
        self.filled && self.left_out == 0
    }

    pub fn for_each(&self, f: &mut dyn FnMut(&Row, i64)) {
        for (_, bag) in self.index.iter() {
            bag.for_each(|row, weight| f(row, weight));
        }
    }

    /// Up to so many of the rows, from as many keys as there are.
    pub fn some_rows(&self, count: usize) -> impl Iterator<Item = &Row> {
        let of_each = count.div_ceil(self.index.len().max(1));
        self.index.iter().flat_map(move |(_, bag)| bag.iter().take(of_each)).map(|(row, _)| row).take(count)
    }

    pub fn bytes(&self) -> usize {
        self.bytes + self.index.bytes()
    }
}
