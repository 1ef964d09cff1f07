//! Window functions with arguments or frames: a partition in which something changed is evaluated anew.

use super::graph::NodeId;
use super::memory::{ENTRY_BYTES, row_bytes};
use super::operator::{Batch, Operator, Output, StepContext};
use super::order::OrderedBag;
use super::spec::OrderSpec;
use super::window::changes_by_partition;
use crate::key::{KeyMap, KeySpec};
use crate::window::{Partition, PreparedCall, evaluate};
use std::cmp::Ordering;
use std::sync::Arc;
use weir_planner::eval::EvalContext;
use weir_planner::{Row, Value};

pub(crate) struct FrameOperator {
    partition: KeySpec,
    order: OrderSpec,
    calls: Vec<PreparedCall>,
    /// Columns of the input row that anything reads: rows that are alike in these are not told apart.
    read: Vec<usize>,
    /// Columns of the input row that go to the output, before the functions' values.
    width: usize,
    partitions: KeyMap<OrderedBag>,
    heap: usize,
}

/// Input rows in total order, each copy for itself, with the functions' values.
type Evaluated = Vec<(Row, Vec<Value>)>;

impl FrameOperator {
    pub fn new(
        partition: KeySpec,
        order: OrderSpec,
        calls: Vec<PreparedCall>,
        read: Vec<usize>,
        width: usize,
    ) -> FrameOperator {
        FrameOperator { partition, order, calls, read, width, partitions: KeyMap::default(), heap: 0 }
    }

    fn evaluate(&self, bag: &OrderedBag, context: &EvalContext) -> Evaluated {
        let mut partition = Partition::new();
        let mut whole: Vec<&Row> = vec![];
        for (_, row, weight) in bag.positions_from(0) {
            let last = whole.last();
            let is_peer = last.is_some_and(|last| self.order.compare(last, row) == Ordering::Equal);
            let is_alike = last.is_some_and(|last| self.read.iter().all(|&column| last[column] == row[column]));
            // A negative weight is a row whose insertion is still to come; it has no place yet.
            let copies = usize::try_from(weight).unwrap_or(0);
            partition.push(row, copies, is_peer, is_alike);
            whole.extend(std::iter::repeat_n(row, copies));
        }
        let mut values: Vec<Vec<Value>> = vec![Vec::with_capacity(self.calls.len()); whole.len()];
        for call in &self.calls {
            for (row, value) in evaluate(call, &partition, context).into_iter().enumerate() {
                values[row].push(value);
            }
        }
        whole.into_iter().cloned().zip(values).collect()
    }

    fn output(&self, row: &Row, values: &[Value]) -> Row {
        row[..self.width].iter().chain(values).cloned().collect()
    }

    /// Emits the difference of two evaluations of a partition, both in order.
    fn difference(&self, old: &Evaluated, new: &Evaluated, out: &mut Output) {
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
}

impl Operator for FrameOperator {
    fn step(&mut self, inputs: &[Vec<Arc<Batch>>], context: &StepContext<'_>, out: &mut Output) {
        let changes = changes_by_partition(&self.partition, &self.order, &inputs[0], context, out);
        for (key, mut delta) in changes.into_entries() {
            crate::delta::consolidate(&mut delta);
            if delta.is_empty() {
                continue;
            }
            let mut bag = self.partitions.remove(key.values()).unwrap_or_default();
            let old = self.evaluate(&bag, context.eval);
            for (row, weight) in &delta {
                bag.add(row, *weight, &self.order);
                let size = (ENTRY_BYTES + row_bytes(row)) as isize * *weight as isize;
                self.heap = self.heap.saturating_add_signed(size);
            }
            let new = self.evaluate(&bag, context.eval);
            self.difference(&old, &new, out);
            if !bag.is_empty() {
                *self.partitions.get_or_insert(key.values(), OrderedBag::default) = bag;
            }
        }
    }

    fn content(&self, _inputs: &[NodeId], context: &StepContext<'_>, f: &mut dyn FnMut(&Row, i64)) -> i64 {
        for (_, bag) in self.partitions.iter() {
            for (row, values) in self.evaluate(bag, context.eval) {
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
