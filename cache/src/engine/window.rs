//! ROW_NUMBER, RANK and DENSE_RANK: partitions of ordered rows, renumbered from the first changed position on.

use super::graph::NodeId;
use super::memory::{ENTRY_BYTES, row_bytes};
use super::operator::{Batch, Operator, Output, StepContext, rows};
use super::order::OrderedBag;
use super::spec::OrderSpec;
use crate::Delta;
use crate::key::{KeyMap, KeySpec, KeyState};
use crate::window::unsettled;
use smallvec::SmallVec;
use std::cmp::Ordering;
use std::sync::Arc;
use weir_planner::plan::WindowKind;
use weir_planner::{Row, Value};

/// What is numbered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Numbering {
    pub partition: KeySpec,
    pub order: OrderSpec,
    pub functions: Vec<WindowKind>,
    /// Columns that functions over other windows have made: copies of a row differ in these alone.
    pub told: Vec<usize>,
    /// Columns of the input row that go to the output, before the functions' values.
    pub width: usize,
}

pub(crate) struct WindowOperator {
    numbering: Numbering,
    partitions: KeyMap<OrderedBag>,
    heap: usize,
}

/// A row (or all its copies) with the functions' values.
struct Numbered {
    row: Row,
    weight: i64,
    numbers: SmallVec<[i64; 2]>,
    /// Which of the copies of the row, told apart by other windows, has which row number is not settled.
    is_open: bool,
}

impl std::ops::Deref for WindowOperator {
    type Target = Numbering;
    fn deref(&self) -> &Numbering {
        &self.numbering
    }
}

impl Numbering {
    fn numbers_copies(&self) -> bool {
        self.functions.contains(&WindowKind::RowNumber)
    }

    /// Copies of a row may be told apart, which matters.
    fn may_be_open(&self) -> bool {
        !self.told.is_empty() && self.numbers_copies()
    }

    /// Peers that are copies of one row but for what other windows have given them.
    fn are_told_apart(&self, a: &Row, b: &Row) -> bool {
        let is_base = |at: &usize| !self.told.contains(at);
        self.order.compare(a, b) == Ordering::Equal
            && (0..self.width.min(a.len())).filter(is_base).all(|at| a[at] == b[at])
    }
}

impl WindowOperator {
    pub fn new(numbering: Numbering) -> WindowOperator {
        WindowOperator { numbering, partitions: KeyMap::default(), heap: 0 }
    }

    /// Calls `f` for the rows of a partition whose position is in `from..to`. Dense ranks are counted from the start; a rank
    /// is known from where its peers begin.
    fn number(&self, bag: &OrderedBag, from: i64, to: i64, mut f: impl FnMut(Numbered)) {
        let ranks = self.functions.contains(&WindowKind::Rank);
        let dense_ranks = self.functions.contains(&WindowKind::DenseRank);
        let mut previous: Option<Row> = None;
        let (mut rank, mut dense) = (0, 0);
        let mut before: Option<&Row> = None;
        let mut ahead = bag.positions_from(if dense_ranks { 0 } else { from }).peekable();
        while let Some((position, row, weight)) = ahead.next() {
            if position >= to {
                break;
            }
            let is_open = self.may_be_open() && {
                let next = ahead.peek().map(|(_, row, _)| *row);
                before.replace(row).into_iter().chain(next).any(|other| self.are_told_apart(other, row))
            };
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
                    f(Numbered { row: row.clone(), weight: 1, numbers: numbers(position + copy + 1), is_open });
                }
            } else {
                f(Numbered { row: row.clone(), weight, numbers: numbers(0), is_open });
            }
        }
    }

    fn output(&self, numbered: &Numbered) -> Row {
        let value = |(kind, number): (&WindowKind, &i64)| match kind {
            WindowKind::RowNumber if numbered.is_open => unsettled().into(),
            _ => Value::Int8(*number),
        };
        let numbers = self.functions.iter().zip(&numbered.numbers).map(value);
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
                && old.is_open == new.is_open
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
            // Of copies that are told apart, one may open or settle all others.
            let start = |row: &Row| match self.may_be_open() {
                true => bag.peers_begin(row, &self.order),
                false => bag.position(row, &self.order),
            };
            let first = delta.iter().map(|(row, _)| start(row)).min().unwrap_or(0);
            // When rows only move, row numbers behind the last move stand still, and ranks behind the peers that are there.
            let moves = delta.iter().map(|(_, weight)| weight).sum::<i64>() == 0
                && !self.functions.contains(&WindowKind::DenseRank);
            let to = if moves {
                let shift: i64 = delta.iter().map(|(_, weight)| weight.abs()).sum();
                let last = delta.iter().map(|(row, _)| bag.position(row, &self.order)).max().unwrap_or(0);
                let by_peers = self.functions.contains(&WindowKind::Rank) || self.may_be_open();
                if by_peers { bag.peers_end(last + shift, &self.order) } else { last + shift }
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
