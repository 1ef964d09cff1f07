//! Base tables and given relations: the rows themselves, until they are let go. Where an index of a join has them, they are
//! there and nowhere else: a change then has one place less to be entered in. What an index leaves out (its key is NULL or
//! failed) is in the table's own bag, and all of it where no index has them.

use super::arrangement::Arrangement;
use super::bag::HashedBag;
use super::graph::{Body, Graph, Node, NodeId, SlotId};
use super::intake::{CHUNK_CHANGES, WORTH_APPROACHING};
use super::memory::{ENTRY_BYTES, row_bytes, touch, touch_owned};
use super::{EngineError, TableChange};
use crate::Delta;
use crate::delta::{hash_columns, hash_values};
use smallvec::SmallVec;
use std::hint::black_box;
use weir_planner::eval::EvalContext;
use weir_planner::{RelationId, Row, Value};

/// A stored relation.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// All rows, or those that the holder leaves out.
    rows: HashedBag,
    /// Which of the node's arrangements has the rows, if one does.
    holder: Option<usize>,
    /// Primary key positions: hashing only these is cheaper than hashing whole rows.
    key: Option<Vec<usize>>,
    /// Of all rows, wherever they are.
    row_bytes: usize,
    /// Its rows are not here any more: changes pass through as they come.
    is_let_go: bool,
}

/// The arrangement that has a table's rows, with what its key is evaluated under.
pub(crate) type Holder<'a> = Option<(&'a mut Arrangement, &'a EvalContext)>;

impl Table {
    pub fn new(key: Option<Vec<usize>>) -> Table {
        Table { key: key.filter(|key| !key.is_empty()), ..Table::default() }
    }

    /// Primary key positions, if any.
    pub fn key(&self) -> Option<&[usize]> {
        self.key.as_deref()
    }

    /// Position of the arrangement that has the rows.
    pub fn holder(&self) -> Option<usize> {
        self.holder
    }

    fn hash(key: &Option<Vec<usize>>, row: &[Value]) -> u64 {
        match key.as_deref() {
            Some(positions) => hash_columns(row, positions),
            None => hash_values(row),
        }
    }

    fn add(&mut self, row: &Row, weight: i64, holder: &mut Holder<'_>) {
        let size = row_bytes(row) as isize * weight as isize;
        self.row_bytes = self.row_bytes.saturating_add_signed(size);
        let is_held = holder.as_mut().is_some_and(|(index, context)| index.add(row, weight, context));
        if !is_held {
            self.add_own(row, weight);
        }
    }

    fn add_own(&mut self, row: &Row, weight: i64) {
        let key = &self.key;
        self.rows.add(row, weight, Table::hash(key, row), |other| Table::hash(key, other));
    }

    /// Takes the row equal to this image out once. What comes is the stored allocation, the one that all indexes have: they
    /// then need not compare rows but pointers.
    fn take(&mut self, image: &Row, holder: &mut Holder<'_>) -> Option<Row> {
        let own = if self.rows.is_empty() { None } else { self.rows.take(image, Table::hash(&self.key, image)) };
        let stored = match (own, holder) {
            (Some(own), None) => own,
            (Some(own), Some((index, _))) => {
                index.left_out_goes();
                own
            }
            (None, Some((index, context))) => index.take(image, context)?,
            (None, None) => return None,
        };
        self.row_bytes = self.row_bytes.saturating_sub(row_bytes(&stored));
        Some(stored)
    }

    /// Touches what these changes will look up, all of it before any of it is needed: the processor then waits for memory once
    /// instead of for each row.
    pub fn approach(&self, changes: &[TableChange], holder: &Holder<'_>) {
        if changes.len() == 1 {
            return;
        }
        let rows = || {
            changes.iter().flat_map(|change| match change {
                TableChange::Row { old, new } => {
                    [old.as_ref().map(|row| (row, true)), new.as_ref().map(|row| (row, false))]
                }
                TableChange::Truncate => [None, None],
            })
        };
        // Another core has just made them.
        rows().flatten().for_each(|(row, _)| touch(row));
        rows().flatten().filter(|(_, is_taken)| *is_taken).for_each(|(row, _)| touch_owned(row));
        if let Some((index, context)) = holder {
            return index.approach(rows().flatten(), true, context);
        }
        // Of rows without a key the hash alone costs more.
        if self.rows.len() < WORTH_APPROACHING || self.key.is_none() {
            return;
        }
        let mut stored: SmallVec<[&Row; CHUNK_CHANGES]> = SmallVec::new();
        for (row, is_taken) in rows().flatten() {
            let candidate = self.rows.candidate(Table::hash(&self.key, row));
            black_box(candidate.is_some());
            stored.extend(candidate.filter(|_| is_taken));
        }
        stored.iter().copied().for_each(touch);
        stored.into_iter().for_each(touch_owned);
    }

    /// Applies one change and appends what it did. A row to delete that is not present is an error and changes nothing; where
    /// the rows were let go, nobody can tell.
    pub fn change(
        &mut self,
        id: RelationId,
        change: TableChange,
        holder: &mut Holder<'_>,
        delta: &mut Delta,
    ) -> Result<(), EngineError> {
        match change {
            TableChange::Truncate if self.is_let_go => return Err(EngineError::NotKept(id)),
            TableChange::Row { old, new } if self.is_let_go => {
                delta.extend(old.map(|old| (old, -1)));
                delta.extend(new.map(|new| (new, 1)));
            }
            TableChange::Truncate => {
                self.row_bytes = 0;
                let held = holder.as_mut().map(|(index, _)| index.drain()).unwrap_or_default();
                delta.extend(self.rows.drain().into_iter().chain(held).map(|(row, weight)| (row, -weight)));
            }
            TableChange::Row { old, new } => {
                if let (Some(old), Some(new), Some((index, context))) = (&old, &new, holder.as_mut())
                    && let Some(stored) = index.exchange(old, new, context)
                {
                    self.row_bytes = (self.row_bytes + row_bytes(new)).saturating_sub(row_bytes(&stored));
                    delta.extend([(stored, -1), (new.clone(), 1)]);
                    return Ok(());
                }
                if let Some(old) = old {
                    delta.push((self.take(&old, holder).ok_or(EngineError::MissingRow(id))?, -1));
                }
                if let Some(new) = new {
                    self.add(&new, 1, holder);
                    delta.push((new, 1));
                }
            }
        }
        Ok(())
    }

    /// The difference that makes the table hold exactly `rows`; applied and returned consolidated.
    pub fn replace(&mut self, rows: Vec<Row>, holder: &mut Holder<'_>) -> Delta {
        let mut delta: Delta = Vec::with_capacity(rows.len() + self.rows.len());
        self.for_each(holder.as_ref().map(|(index, _)| &**index), &mut |row, weight| {
            delta.push((row.clone(), -weight))
        });
        delta.extend(rows.into_iter().map(|row| (row, 1)));
        crate::delta::consolidate(&mut delta);
        for (row, weight) in &delta {
            self.add(row, *weight, holder);
        }
        delta
    }

    /// Takes the rows out, but those that the holder has; from now on only their changes are known.
    pub fn let_go(&mut self) -> HashedBag {
        (self.is_let_go, self.row_bytes, self.holder) = (true, 0, None);
        std::mem::take(&mut self.rows)
    }

    pub fn is_kept(&self) -> bool {
        !self.is_let_go
    }

    fn for_each(&self, holder: Option<&Arrangement>, f: &mut dyn FnMut(&Row, i64)) {
        if let Some(index) = holder {
            index.for_each(f);
        }
        self.rows.for_each(f);
    }

    pub fn bytes(&self) -> usize {
        self.row_bytes + self.rows.len() * ENTRY_BYTES
    }
}

impl Node {
    /// The node's table, with what has its rows.
    pub fn table_mut(&mut self) -> Option<(&mut Table, Holder<'_>)> {
        let Body::Table(table) = &mut self.body else { return None };
        let held = table.holder.map(|index| self.slots[index].as_mut().expect("what has a table's rows stays"));
        Some((table, held.map(|slot| (&mut slot.arrangement, &*slot.context))))
    }

    /// What has the rows of the node's table.
    fn holder(&self, table: &Table) -> Option<&Arrangement> {
        table.holder.map(|index| &self.slots[index].as_ref().expect("what has a table's rows stays").arrangement)
    }

    /// Calls `f` with every row of a table and its multiplicity.
    pub fn each_row(&self, table: &Table, f: &mut dyn FnMut(&Row, i64)) {
        table.for_each(self.holder(table), f);
    }

    /// Up to so many rows of the node's table, whichever.
    pub fn some_rows(&self, count: usize) -> impl Iterator<Item = &Row> {
        let table = match &self.body {
            Body::Table(table) => Some(table),
            Body::Operator(_) => None,
        };
        let held = table.and_then(|table| self.holder(table)).map(|index| index.some_rows(count));
        held.into_iter().flatten().chain(table.into_iter().flat_map(|table| table.rows.rows())).take(count)
    }

    /// A join looks the node's rows up by key.
    pub fn is_looked_up(&self) -> bool {
        self.slots.iter().flatten().any(|slot| slot.users > 0)
    }
}

impl Graph {
    /// An arrangement of a table has been filled: where none has the table's rows, or only one that nothing looks up any more,
    /// this one has them from now on.
    pub fn hold_rows(&mut self, slot: SlotId) {
        let node = self.node_mut(slot.node);
        let Body::Table(table) = &node.body else { return };
        let is_used = |index: usize| node.slots[index].as_ref().is_some_and(|slot| slot.users > 0);
        if table.is_let_go || table.holder.is_some_and(is_used) {
            return;
        }
        let Some(held) = &node.slots[slot.index] else { return };
        // A key that has to be computed costs more than a bag.
        if !held.arrangement.filled || !held.arrangement.key.is_columns() {
            return;
        }
        let mut left_out = Delta::new();
        if !held.arrangement.is_complete() {
            node.each_row(table, &mut |row, weight| {
                if held.arrangement.leaves_out(row, &held.context) {
                    left_out.push((row.clone(), weight));
                }
            });
        }
        let Body::Table(table) = &mut node.body else { return };
        let before = table.holder.replace(slot.index);
        table.rows = HashedBag::default();
        left_out.iter().for_each(|(row, weight)| table.add_own(row, *weight));
        if let Some(before) = before {
            node.slots[before] = None;
        }
    }

    /// Nothing looks an arrangement of a table up any more. Where it has the rows, another takes them over if there is one; else
    /// it stays for them, if there are any.
    pub fn pass_rows_on(&mut self, node: NodeId) {
        for index in 0..self.node(node).slots.len() {
            if self.node(node).slots[index].as_ref().is_some_and(|slot| slot.users > 0) {
                self.hold_rows(SlotId { node, index });
            }
        }
        let node = self.node_mut(node);
        let Body::Table(table) = &mut node.body else { return };
        if let Some(index) = table.holder
            && node.slots[index].as_ref().is_some_and(|slot| slot.users == 0 && slot.arrangement.is_empty())
        {
            (table.holder, node.slots[index]) = (None, None);
        }
    }
}

#[cfg(test)]
impl super::Engine {
    /// Which of a table's indexes has its rows, and how many it leaves to the table itself.
    pub fn holder_of(&self, id: RelationId) -> Option<(usize, usize)> {
        match &self.graph.node(self.table_node(id).ok()?).body {
            Body::Table(table) => Some((table.holder?, table.rows.len())),
            Body::Operator(_) => None,
        }
    }
}
