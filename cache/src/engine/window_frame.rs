//! Window functions with arguments or frames. Of a partition in which something changed, the rows are evaluated anew that
//! the change can reach ([`Reach`]), from the last checkpoint before them where a value grows from row to row.

use super::checkpoints::{Checkpoints, States};
use super::graph::NodeId;
use super::memory::{ENTRY_BYTES, row_bytes};
use super::operator::{Batch, Operator, Output, StepContext};
use super::order::OrderedBag;
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
    /// What a change reaches, by all calls together; None: everything.
    span: Option<Span>,
    /// Rows before its own that a value can depend on, growing aggregates apart.
    looks_back: i64,
    /// Columns of the input row that anything reads: rows that are alike in these are not told apart.
    read: Vec<usize>,
    /// Columns of the input row that go to the output, before the functions' values.
    width: usize,
    partitions: KeyMap<Held>,
    heap: usize,
}

/// Rows before and behind the changed one's peers that a change can reach, when not all are.
#[derive(Clone, Copy)]
struct Span {
    before: i64,
    /// None: to the end.
    behind: Option<i64>,
}

/// One partition.
#[derive(Debug, Default)]
struct Held {
    rows: OrderedBag,
    checkpoints: Checkpoints,
}

/// Input rows in total order, each copy for itself, with the functions' values.
type Evaluated = Vec<(Row, Vec<Value>)>;

/// What to evaluate: rows by position, of which those in `affected` may have other values than before.
struct Slice {
    rows: Range<i64>,
    affected: Range<i64>,
}

impl Slice {
    const ALL: Slice = Slice { rows: 0..i64::MAX, affected: 0..i64::MAX };

    fn affected<'a>(&self, evaluated: &'a Evaluated) -> &'a [(Row, Vec<Value>)] {
        let at = |position: i64| evaluated.len().min(usize::try_from(position - self.rows.start).unwrap_or(usize::MAX));
        &evaluated[at(self.affected.start)..at(self.affected.end)]
    }
}

/// What changes of rows can reach by all of these calls together; None: everything.
fn span(calls: &[PreparedCall]) -> Option<Span> {
    let mut span = Span { before: 0, behind: Some(0) };
    for call in calls {
        match call.reach() {
            Reach::Near { before, behind } => {
                span.before = span.before.max(before as i64);
                span.behind = span.behind.map(|own| own.max(behind as i64));
            }
            Reach::Running => span.behind = None,
            Reach::Partition => return None,
        }
    }
    Some(span)
}

impl FrameOperator {
    pub fn new(
        partition: KeySpec,
        order: OrderSpec,
        calls: Vec<PreparedCall>,
        read: Vec<usize>,
        width: usize,
    ) -> FrameOperator {
        let span = span(&calls);
        let farthest = |call: &PreparedCall| match call.reach() {
            Reach::Near { behind, .. } => behind as i64,
            _ => 0,
        };
        let looks_back = calls.iter().map(farthest).max().unwrap_or(0);
        FrameOperator { partition, order, calls, span, looks_back, read, width, partitions: KeyMap::default(), heap: 0 }
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
    fn reached(&self, held: &Held, delta: &Delta) -> Option<Slice> {
        let (bag, order) = (&held.rows, &self.order);
        let span = self.span.filter(|_| bag.is_whole())?;
        let first = delta.iter().map(|(row, _)| row).min_by(|a, b| order.compare(a, b))?;
        let last = delta.iter().map(|(row, _)| row).max_by(|a, b| order.compare(a, b))?;
        let total = bag.total();
        let start = (bag.peers_begin(first, order) - span.before).max(0);
        let end = span.behind.map_or(total, |behind| (bag.peers_finish(last, order) + behind).min(total));
        // A row sees as far back as a change reaches behind it, and as far ahead as one reaches before it. What lies at an
        // edge of a frame is looked at with all its peers.
        let seen = start - self.looks_back;
        let from = self.peers_begin_at(bag, seen);
        let from = if span.behind.is_none() { held.checkpoints.before(from) } else { from };
        let to = self.peers_end_at(bag, end + span.before);
        Some(Slice { rows: from..to, affected: start..end })
    }

    /// First position of the peers of the row at a position.
    fn peers_begin_at(&self, bag: &OrderedBag, position: i64) -> i64 {
        let row = bag.positions_from(position.max(0)).next();
        row.map_or_else(|| bag.total(), |(_, row, _)| bag.peers_begin(row, &self.order))
    }

    /// Position behind the peers of the row at a position.
    fn peers_end_at(&self, bag: &OrderedBag, position: i64) -> i64 {
        let row = bag.positions_from(position).next();
        row.map_or_else(|| bag.total(), |(_, row, _)| bag.peers_finish(row, &self.order))
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
        let mut before = self.reached(held, delta);
        let mut old = self.evaluate(held, &before.as_ref().unwrap_or(&Slice::ALL).rows, None, eval);
        self.add(held, delta, 1);
        if before.is_some() && !held.rows.is_whole() {
            // Positions do not count rows any more.
            self.add(held, delta, -1);
            old = self.evaluate(held, &Slice::ALL.rows, None, eval);
            self.add(held, delta, 1);
            before = None;
        }
        let slice = before.as_ref().and_then(|_| self.reached(held, delta)).unwrap_or(Slice::ALL);
        self.heap = self.heap.saturating_sub(held.checkpoints.bytes());
        held.checkpoints.cut(slice.affected.start);
        let keeps = self.span.is_some_and(|span| span.behind.is_none()) && held.rows.is_whole();
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
