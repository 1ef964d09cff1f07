//! Arrangements: a node's present output, indexed by key. Attached to the node that produces the rows, always at
//! that node's present, and shared by every join that looks up by the same key expressions.

use super::bag::{Bag, Identity};
use super::intake::{CHUNK_CHANGES, WORTH_APPROACHING};
use super::memory::{ENTRY_BYTES, row_bytes, touch, touch_owned};
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
            let mut rest = chunk;
            while let Some(((row, weight), others)) = rest.split_first() {
                rest = others;
                // An update comes as a row and its successor, mostly under the same key.
                if let Some(((next, next_weight), others)) = others.split_first()
                    && *weight < 0
                    && self.key.is_same(row, next)
                {
                    rest = others;
                    self.add_both((row, *weight), (next, *next_weight), context);
                } else {
                    self.add(row, *weight, context);
                }
            }
        }
    }

    /// Touches what these rows will be put beside or (where the flag is set) taken out from, as
    /// [`super::table::Table::approach`] does. `stored_too`: also the rows among which those are looked for.
    pub fn approach<'r>(&self, rows: impl Iterator<Item = (&'r Row, bool)>, stored_too: bool, context: &EvalContext) {
        if self.index.len() < WORTH_APPROACHING || !self.key.is_columns() {
            return;
        }
        let find = |row: &Row| self.key.with_key(row, context, |key, _| self.index.get(key));
        let mut bags: SmallVec<[(&Bag, &Row, bool); 2 * CHUNK_CHANGES]> = SmallVec::new();
        for (row, is_taken) in rows {
            let found = match bags.last() {
                Some((bag, before, _)) if self.key.is_same(before, row) => Some(*bag),
                _ => find(row),
            };
            bags.extend(found.map(|bag| (bag, row, is_taken)));
        }
        for (bag, _, _) in &bags {
            black_box(bag.iter().next().is_some_and(|(_, weight)| *weight == 0));
        }
        bags.retain(|(_, _, is_taken)| *is_taken && stored_too);
        for (bag, row, _) in &bags {
            match bag {
                Bag::Many(_) => _ = black_box(bag.candidate(row, &self.identity).is_some()),
                few => few.for_each(|own, _| _ = black_box(own.first().is_some_and(Value::is_null))),
            }
        }
        let candidates = bags.iter().filter_map(|(bag, row, _)| bag.candidate(row, &self.identity));
        let candidates: SmallVec<[&Row; 2 * CHUNK_CHANGES]> = candidates.collect();
        candidates.iter().copied().for_each(touch);
        candidates.into_iter().for_each(touch_owned);
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
            *bytes = bytes.saturating_add_signed(size(row, *shared_rows) as isize * weight as isize);
            true
        })
    }

    /// Adds a row and another one of the same key.
    fn add_both(&mut self, one: (&Row, i64), other: (&Row, i64), context: &EvalContext) {
        let Arrangement { key, index, identity, left_out, bytes, shared_rows, .. } = self;
        key.with_key(one.0, context, |values, state| {
            if state != KeyState::Present {
                *left_out += one.1 + other.1;
                return;
            }
            let bag = index.get_or_insert(values, Bag::default);
            for (row, weight) in [one, other] {
                bag.add(row, weight, identity);
                *bytes = bytes.saturating_add_signed(size(row, *shared_rows) as isize * weight as isize);
            }
            if bag.is_empty() {
                index.remove(values);
            }
        });
    }

    /// Takes the row equal to `old` out once, for `new`. None, with nothing done, where it is not in the index or their keys
    /// may differ.
    pub fn exchange(&mut self, old: &Row, new: &Row, context: &EvalContext) -> Option<Row> {
        let Arrangement { key, index, identity, bytes, shared_rows, .. } = self;
        if !key.is_same(old, new) {
            return None;
        }
        key.with_key(old, context, |values, state| {
            let bag = index.get_mut(values).filter(|_| state == KeyState::Present)?;
            let stored = bag.take(old, identity)?;
            bag.add(new, 1, identity);
            *bytes = (*bytes + size(new, *shared_rows)).saturating_sub(size(&stored, *shared_rows));
            Some(stored)
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
            *bytes = bytes.saturating_sub(size(&stored, *shared_rows));
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

/// What a row and its entry occupy; rows that somebody else accounts for, only their entry.
#[inline]
fn size(row: &Row, shared_rows: bool) -> usize {
    ENTRY_BYTES + if shared_rows { 0 } else { row_bytes(row) }
}
