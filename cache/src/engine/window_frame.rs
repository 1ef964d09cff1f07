//! Window functions with arguments or frames. Of a partition in which something changed, the rows are evaluated anew that
//! the change can reach ([`reached`](super::reached)), from the last checkpoint before them where a value grows from row to row.

use super::checkpoints::{Checkpoints, States};
use super::graph::NodeId;
use super::memory::{ENTRY_BYTES, row_bytes};
use super::operator::{Batch, Operator, Output, StepContext};
use super::order::OrderedBag;
use super::reached::{Change, Slice};
use super::spec::OrderSpec;
use super::window::changes_by_partition;
use crate::Delta;
use crate::key::{KeyMap, KeySpec};
use crate::window::{Growth, Partition, PreparedCall, Reach, evaluate_from};
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;
use weir_planner::eval::EvalContext;
use weir_planner::{Row, Value};

pub(crate) struct FrameOperator {
    partition: KeySpec,
    order: OrderSpec,
    calls: Vec<PreparedCall>,
    /// Some value grows from row to row.
    has_growing: bool,
    /// Columns of the input row that anything reads: rows that are alike in these are not told apart.
    read: Vec<usize>,
    /// Columns of the input row that go to the output, before the functions' values.
    width: usize,
    partitions: KeyMap<Held>,
    heap: usize,
}

/// One partition.
#[derive(Debug, Default)]
struct Held {
    rows: OrderedBag,
    checkpoints: Checkpoints,
}

/// Input rows in total order, each copy for itself, with the functions' values.
type Evaluated = Vec<(Row, Vec<Value>)>;

impl Slice {
    fn affected<'a>(&self, evaluated: &'a Evaluated) -> &'a [(Row, Vec<Value>)] {
        let at = |position: i64| evaluated.len().min(usize::try_from(position - self.rows.start).unwrap_or(usize::MAX));
        &evaluated[at(self.affected.start)..at(self.affected.end)]
    }
}

impl FrameOperator {
    pub fn new(
        partition: KeySpec,
        order: OrderSpec,
        calls: Vec<PreparedCall>,
        read: Vec<usize>,
        width: usize,
    ) -> FrameOperator {
        let has_growing = calls.iter().any(|call| call.reach() == Reach::Running);
        FrameOperator { partition, order, calls, has_growing, read, width, partitions: KeyMap::default(), heap: 0 }
    }

    /// Evaluates the rows of a partition at these positions, which begin at a checkpoint if a value grows. With `marked`,
    /// states worth keeping are added to it.
    fn evaluate(
        &self,
        held: &Held,
        rows: &Range<i64>,
        marked: Option<&mut Vec<(i64, States)>>,
        eval: &EvalContext,
    ) -> Evaluated {
        let mut partition = Partition::new();
        let mut whole: Vec<&Row> = vec![];
        for (_, row, weight) in held.rows.positions_from(rows.start).take_while(|(position, ..)| *position < rows.end) {
            let last = whole.last();
            let is_peer = last.is_some_and(|last| self.order.compare(last, row) == Ordering::Equal);
            let is_alike = last.is_some_and(|last| self.read.iter().all(|&column| last[column] == row[column]));
            // A negative weight is a row whose insertion is still to come; it has no place yet.
            let copies = usize::try_from(weight).unwrap_or(0);
            partition.push(row, copies, is_peer, is_alike);
            whole.extend(std::iter::repeat_n(row, copies));
        }
        let known = held.checkpoints.at(rows.start);
        let marks = if marked.is_some() { held.checkpoints.wanted(rows.start, &partition) } else { vec![] };
        let mut states: Vec<States> = marks.iter().map(|_| Vec::with_capacity(self.calls.len())).collect();
        let mut values: Vec<Vec<Value>> = whole.iter().map(|_| Vec::with_capacity(self.calls.len())).collect();
        for (index, call) in self.calls.iter().enumerate() {
            let grows = call.reach() == Reach::Running;
            let before = known.filter(|_| grows).and_then(|states| states[index].as_ref());
            let mut growth = Growth { before, marks: if grows { &marks } else { &[] }, states: vec![] };
            for (row, value) in evaluate_from(call, &partition, &mut growth, eval).into_iter().enumerate() {
                values[row].push(value);
            }
            let mut found = growth.states.into_iter();
            states.iter_mut().for_each(|states| states.push(found.next()));
        }
        if let Some(marked) = marked {
            marked.extend(marks.iter().map(|&mark| rows.start + mark as i64).zip(states));
        }
        whole.into_iter().cloned().zip(values).collect()
    }

    /// What these changes can reach in a partition, before they are made or after; None: all of it.
    fn reached(&self, held: &Held, delta: &Delta, eval: &EvalContext) -> Option<Slice> {
        if !held.rows.is_whole() {
            return None;
        }
        let rows = || delta.iter().map(|(row, _)| row);
        let first = rows().min_by(|a, b| self.order.compare(a, b))?;
        let last = rows().max_by(|a, b| self.order.compare(a, b))?;
        let mut slice = Change { bag: &held.rows, order: &self.order, first, last, eval }.reaches(&self.calls)?;
        if self.has_growing {
            slice.rows.start = held.checkpoints.before(slice.rows.start);
        }
        Some(slice)
    }

    fn output(&self, row: &Row, values: &[Value]) -> Row {
        row[..self.width].iter().chain(values).cloned().collect()
    }

    /// Emits the difference of two evaluations of a partition, both in order.
    fn difference(&self, old: &[(Row, Vec<Value>)], new: &[(Row, Vec<Value>)], out: &mut Output) {
        let (mut a, mut b) = (old.iter().peekable(), new.iter().peekable());
        loop {
            let side = match (a.peek(), b.peek()) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => self.order.compare_total(&old.0, &new.0),
            };
            let old = if side == Ordering::Greater { None } else { a.next() };
            let new = if side == Ordering::Less { None } else { b.next() };
            if let (Some(old), Some(new)) = (old, new)
                && old.1 == new.1
            {
                continue;
            }
            if let Some((row, values)) = old {
                out.rows.push((self.output(row, values), -1));
            }
            if let Some((row, values)) = new {
                out.rows.push((self.output(row, values), 1));
            }
        }
    }

    fn add(&mut self, held: &mut Held, delta: &Delta, sign: i64) {
        for (row, weight) in delta {
            held.rows.add(row, sign * weight, &self.order);
            let size = (ENTRY_BYTES + row_bytes(row)) as isize * (sign * weight) as isize;
            self.heap = self.heap.saturating_add_signed(size);
        }
    }

    /// Changes one partition.
    fn change(&mut self, held: &mut Held, delta: &Delta, eval: &EvalContext, out: &mut Output) {
        let mut before = self.reached(held, delta, eval);
        let mut old = self.evaluate(held, &before.as_ref().unwrap_or(&Slice::ALL).rows, None, eval);
        self.add(held, delta, 1);
        if before.is_some() && !held.rows.is_whole() {
            // Positions do not count rows any more.
            self.add(held, delta, -1);
            old = self.evaluate(held, &Slice::ALL.rows, None, eval);
            self.add(held, delta, 1);
            before = None;
        }
        let slice = before.as_ref().and_then(|_| self.reached(held, delta, eval)).unwrap_or(Slice::ALL);
        self.heap = self.heap.saturating_sub(held.checkpoints.bytes());
        held.checkpoints.cut(slice.affected.start);
        let keeps = self.has_growing && held.rows.is_whole();
        let mut marked = keeps.then(Vec::new);
        let new = self.evaluate(held, &slice.rows, marked.as_mut(), eval);
        held.checkpoints.extend(marked.into_iter().flatten());
        self.heap += held.checkpoints.bytes();
        self.difference(before.unwrap_or(Slice::ALL).affected(&old), slice.affected(&new), out);
    }
}

impl Operator for FrameOperator {
    fn step(&mut self, inputs: &[Vec<Arc<Batch>>], context: &StepContext<'_>, out: &mut Output) {
        let changes = changes_by_partition(&self.partition, &self.order, &inputs[0], context, out);
        for (key, mut delta) in changes.into_entries() {
            crate::delta::consolidate(&mut delta);
            if delta.is_empty() {
                continue;
            }
            let mut held = self.partitions.remove(key.values()).unwrap_or_default();
            self.change(&mut held, &delta, context.eval, out);
            if !held.rows.is_empty() {
                *self.partitions.get_or_insert(key.values(), Held::default) = held;
            }
        }
    }

    fn content(&self, _inputs: &[NodeId], context: &StepContext<'_>, f: &mut dyn FnMut(&Row, i64)) -> i64 {
        for (_, held) in self.partitions.iter() {
            for (row, values) in self.evaluate(held, &Slice::ALL.rows, None, context.eval) {
                f(&self.output(&row, &values), 1);
            }
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
