//! ROW_NUMBER, RANK and DENSE_RANK: partitions of ordered rows, renumbered from the first changed position on.

use super::graph::NodeId;
use super::memory::{ENTRY_BYTES, row_bytes};
use super::operator::{Batch, Operator, Output, StepContext, rows};
use super::order::OrderedBag;
use super::spec::OrderSpec;
use crate::Delta;
use crate::key::{KeyMap, KeySpec, KeyState};
use smallvec::SmallVec;
use std::cmp::Ordering;
use std::sync::Arc;
use weir_planner::plan::WindowKind;
use weir_planner::{Row, Value};

pub(crate) struct WindowOperator {
    pub partition: KeySpec,
    pub order: OrderSpec,
    pub functions: Vec<WindowKind>,
    /// Columns of the input row that go to the output, before the functions' values.
    pub width: usize,
    partitions: KeyMap<OrderedBag>,
    heap: usize,
}

/// A row (or all its copies) with the functions' values.
struct Numbered {
    row: Row,
    weight: i64,
    numbers: SmallVec<[i64; 2]>,
}

impl WindowOperator {
    pub fn new(partition: KeySpec, order: OrderSpec, functions: Vec<WindowKind>, width: usize) -> WindowOperator {
        WindowOperator { partition, order, functions, width, partitions: KeyMap::default(), heap: 0 }
    }

    fn numbers_copies(&self) -> bool {
        self.functions.contains(&WindowKind::RowNumber)
    }

    /// Calls `f` for the rows of a partition whose position is in `from..to`. Dense ranks are counted from the start; a rank
    /// is known from where its peers begin.
    fn number(&self, bag: &OrderedBag, from: i64, to: i64, mut f: impl FnMut(Numbered)) {
        let ranks = self.functions.contains(&WindowKind::Rank);
        let dense_ranks = self.functions.contains(&WindowKind::DenseRank);
        let mut previous: Option<Row> = None;
        let (mut rank, mut dense) = (0, 0);
        for (position, row, weight) in bag.positions_from(if dense_ranks { 0 } else { from }) {
            if position >= to {
                break;
            }
            if (ranks || dense_ranks)
                && previous.as_ref().is_none_or(|peer| self.order.compare(peer, row) != Ordering::Equal)
            {
                rank = 1 + if previous.is_none() { bag.peers_begin(row, &self.order) } else { position };
                dense += 1;
                previous = Some(row.clone());
            }
            if position + weight <= from {
                continue;
            }
            let numbers = |row_number: i64| {
                self.functions
                    .iter()
                    .map(|kind| match kind {
                        WindowKind::RowNumber => row_number,
                        WindowKind::Rank => rank,
                        WindowKind::DenseRank => dense,
                        other => unreachable!("{other:?} is no ranking function and has another operator"),
                    })
                    .collect()
            };
            if self.numbers_copies() {
                for copy in 0..weight {
                    f(Numbered { row: row.clone(), weight: 1, numbers: numbers(position + copy + 1) });
                }
            } else {
                f(Numbered { row: row.clone(), weight, numbers: numbers(0) });
            }
        }
    }

    fn output(&self, numbered: &Numbered) -> Row {
        let numbers = numbered.numbers.iter().map(|&number| Value::Int8(number));
        numbered.row[..self.width].iter().cloned().chain(numbers).collect()
    }

    /// Emits the difference of two numberings of a partition, both in order.
    fn difference(&self, old: &[Numbered], new: &[Numbered], out: &mut Output) {
        let (mut a, mut b) = (old.iter().peekable(), new.iter().peekable());
        loop {
            let side = match (a.peek(), b.peek()) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => self.order.compare_total(&old.row, &new.row),
            };
            let old = if side == Ordering::Greater { None } else { a.next() };
            let new = if side == Ordering::Less { None } else { b.next() };
            if let (Some(old), Some(new)) = (old, new)
                && old.numbers == new.numbers
            {
                if old.weight != new.weight {
                    out.rows.push((self.output(new), new.weight - old.weight));
                }
                continue;
            }
            if let Some(old) = old {
                out.rows.push((self.output(old), -old.weight));
            }
            if let Some(new) = new {
                out.rows.push((self.output(new), new.weight));
            }
        }
    }
}

/// The changes of a step, by partition. A row whose key or order is an error has no place and is counted as one.
pub(super) fn changes_by_partition(
    partition: &KeySpec,
    order: &OrderSpec,
    input: &[Arc<Batch>],
    context: &StepContext<'_>,
    out: &mut Output,
) -> KeyMap<Delta> {
    let mut changes: KeyMap<Delta> = KeyMap::default();
    for (row, weight) in rows(input) {
        partition.with_key(row, context.eval, |key, state| {
            if state == KeyState::Failed || order.fails(row) {
                out.errors += weight;
            } else {
                changes.get_or_insert(key, Delta::new).push((row.clone(), weight));
            }
        });
    }
    changes
}

impl Operator for WindowOperator {
    fn step(&mut self, inputs: &[Vec<Arc<Batch>>], context: &StepContext<'_>, out: &mut Output) {
        let changes = changes_by_partition(&self.partition, &self.order, &inputs[0], context, out);
        for (key, mut delta) in changes.into_entries() {
            crate::delta::consolidate(&mut delta);
            let mut bag = self.partitions.remove(key.values()).unwrap_or_default();
            let first = delta.iter().map(|(row, _)| bag.position(row, &self.order)).min().unwrap_or(0);
            // When rows only move, row numbers behind the last move stand still, and ranks behind the peers that are there.
            let moves = delta.iter().map(|(_, weight)| weight).sum::<i64>() == 0
                && !self.functions.contains(&WindowKind::DenseRank);
            let to = if moves {
                let shift: i64 = delta.iter().map(|(_, weight)| weight.abs()).sum();
                let last = delta.iter().map(|(row, _)| bag.position(row, &self.order)).max().unwrap_or(0);
                let ranks = self.functions.contains(&WindowKind::Rank);
                if ranks { bag.peers_end(last + shift, &self.order) } else { last + shift }
            } else {
                i64::MAX
            };
            let mut old = vec![];
            self.number(&bag, first, to, |numbered| old.push(numbered));
            for (row, weight) in &delta {
                bag.add(row, *weight, &self.order);
                let size = (ENTRY_BYTES + row_bytes(row)) as isize * *weight as isize;
                self.heap = self.heap.saturating_add_signed(size);
            }
            let mut new = vec![];
            self.number(&bag, first, to, |numbered| new.push(numbered));
            self.difference(&old, &new, out);
            if !bag.is_empty() {
                *self.partitions.get_or_insert(key.values(), OrderedBag::default) = bag;
            }
        }
    }

    fn content(&self, _inputs: &[NodeId], _context: &StepContext<'_>, f: &mut dyn FnMut(&Row, i64)) -> i64 {
        for (_, bag) in self.partitions.iter() {
            self.number(bag, 0, i64::MAX, |numbered| f(&self.output(&numbered), numbered.weight));
        }
        0
    }

    fn is_stateful(&self) -> bool {
        true
    }

    fn bytes(&self) -> usize {
        self.partitions.bytes() + self.heap
    }
}
