//! Arrangements: a node's present output, indexed by key. Attached to the node that produces the rows, always at
//! that node's present, and shared by every join that looks up by the same key expressions.

use super::bag::{Bag, Identity};
use super::intake::{CHUNK_CHANGES, WORTH_APPROACHING};
use super::memory::{ENTRY_BYTES, row_bytes};
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
    /// Rows are owned by somebody else (a base table's bag): count only our entries.
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
            self.approach(chunk, context);
            for (row, weight) in chunk {
                self.add(row, *weight, context);
            }
        }
    }

    /// Touches what these rows will be put beside, as [`super::table::Table::approach`] does.
    fn approach(&self, rows: &[(Row, i64)], context: &EvalContext) {
        if rows.len() == 1 || self.index.len() < WORTH_APPROACHING || !self.key.is_columns() {
            return;
        }
        let bag = |(row, _): &(Row, i64)| self.key.with_key(row, context, |key, _| self.index.get(key));
        let bags: SmallVec<[(&Bag, bool); CHUNK_CHANGES]> =
            rows.iter().filter_map(|row| Some((bag(row)?, row.1 < 0))).collect();
        for (bag, _) in &bags {
            black_box(bag.iter().next().is_some_and(|(_, weight)| *weight == 0));
        }
        // What is taken out is looked for among these.
        for (bag, _) in bags.iter().filter(|(bag, is_taken)| *is_taken && !matches!(bag, Bag::Many(_))) {
            bag.for_each(|row, _| _ = black_box(row.first().is_some_and(Value::is_null)));
        }
    }

    #[inline]
    pub fn add(&mut self, row: &Row, weight: i64, context: &EvalContext) {
        let Arrangement { key, index, identity, left_out, bytes, shared_rows, .. } = self;
        key.with_key(row, context, |values, state| {
            if state != KeyState::Present {
                *left_out += weight;
                return;
            }
            let bag = index.get_or_insert(values, Bag::default);
            bag.add(row, weight, identity);
            if bag.is_empty() {
                index.remove(values);
            }
            let size = ENTRY_BYTES + if *shared_rows { 0 } else { row_bytes(row) };
            *bytes = bytes.saturating_add_signed(size as isize * weight as isize);
        });
    }

    #[inline]
    pub fn get(&self, key: &[Value]) -> Option<&Bag> {
        self.index.get(key)
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

    pub fn bytes(&self) -> usize {
        self.bytes + self.index.bytes()
    }
}
