//! GROUP BY: hash groups of retractable accumulators.

use super::graph::NodeId;
use super::images::Images;
use super::memory::row_bytes;
use super::operator::{Batch, Operator, Output, StepContext, evaluate, rows};
use crate::aggregate::Accumulator;
use crate::key::{KeyMap, KeySpec, KeyState, KeyValues};
use std::sync::Arc;
use weir_planner::eval::{EvalContext, Tuple};
use weir_planner::plan::AggregateCall;
use weir_planner::{Expr, Row, Value};

pub(crate) struct AggregateOperator {
    keys: KeySpec,
    calls: Vec<AggregateCall>,
    many_images: bool,
    /// Columns that keys, arguments and filters read.
    reads: Vec<usize>,
    groups: KeyMap<Group>,
    /// Keys of the groups this step has changed.
    touched: Vec<KeyValues>,
    heap: usize,
}

struct Group {
    rows: i64,
    /// Only for key types whose equal values can look different.
    images: Option<Box<Images>>,
    accumulators: Box<[Accumulator]>,
    /// What was last emitted for the group.
    emitted: Option<Row>,
    touched: bool,
    /// Heap bytes last accounted.
    heap: usize,
}

impl AggregateOperator {
    pub fn new(keys: KeySpec, calls: Vec<AggregateCall>, many_images: bool) -> AggregateOperator {
        let exprs = calls.iter().flat_map(AggregateCall::exprs);
        let mut reads: Vec<usize> = keys.exprs.iter().chain(exprs).flat_map(Expr::columns).collect();
        reads.sort_unstable();
        reads.dedup();
        let mut operator =
            AggregateOperator { keys, calls, many_images, reads, groups: KeyMap::default(), touched: vec![], heap: 0 };
        if operator.is_global() {
            // Without keys there is one row, whatever the input.
            let mut group = Group::new(&operator.calls, false);
            group.emitted = group.output(&[], &operator.calls, &EvalContext::default());
            operator.groups.get_or_insert(&[], || group);
        }
        operator
    }

    fn is_global(&self) -> bool {
        self.keys.exprs.is_empty()
    }

    #[inline]
    fn change(&mut self, row: &Row, weight: i64, eval: &EvalContext) -> Result<(), ()> {
        let AggregateOperator { keys, calls, many_images, groups, touched, .. } = self;
        keys.with_key(row, eval, |key, state| {
            if state == KeyState::Failed {
                return Err(());
            }
            let group = groups.get_or_insert(key, || Group::new(calls, *many_images));
            if !group.touched {
                group.touched = true;
                touched.push(KeyValues::from(key));
            }
            group.rows += weight;
            if let Some(images) = &mut group.images {
                let image: KeyValues = keys.exprs.iter().map(|expr| evaluate(expr, Tuple::single(row), eval)).collect();
                images.add(&image, weight);
            }
            for (accumulator, call) in group.accumulators.iter_mut().zip(calls.iter()) {
                accumulator.update(call, Tuple::single(row), weight, eval);
            }
            Ok(())
        })
    }
}

impl Group {
    fn new(calls: &[AggregateCall], many_images: bool) -> Group {
        Group {
            rows: 0,
            images: many_images.then(|| Box::new(Images::new())),
            accumulators: calls.iter().map(Accumulator::new).collect(),
            emitted: None,
            touched: false,
            heap: 0,
        }
    }

    /// The group's output row. The canonical key is the image for types that have only one.
    fn output(&mut self, key: &[Value], calls: &[AggregateCall], eval: &EvalContext) -> Option<Row> {
        let mut values: KeyValues = match &self.images {
            None => KeyValues::from(key),
            Some(images) => KeyValues::from(&images.shown()?[..]),
        };
        values
            .extend(self.accumulators.iter_mut().zip(calls).map(|(accumulator, call)| accumulator.result(call, eval)));
        Some(Row::from(values.as_slice()))
    }

    fn measure(&self) -> usize {
        let accumulators: usize =
            self.accumulators.iter().map(|state| size_of::<Accumulator>() + state.heap_size()).sum();
        accumulators + self.emitted.as_ref().map_or(0, row_bytes)
    }
}

impl Operator for AggregateOperator {
    fn step(&mut self, inputs: &[Vec<Arc<Batch>>], context: &StepContext<'_>, out: &mut Output) {
        // One row per changed group out, one in: nothing is emitted twice.
        out.consolidated = true;
        let mut changes = rows(&inputs[0]).peekable();
        while let Some((row, weight)) = changes.next() {
            // An update that leaves alone all that is read here comes as a row and its opposite, side by side.
            if let Some((next, next_weight)) = changes.peek()
                && *next_weight == -weight
                && self.reads.iter().all(|&column| row[column] == next[column])
            {
                changes.next();
                continue;
            }
            if self.change(row, weight, context.eval).is_err() {
                out.errors += weight;
            }
        }
        let is_global = self.is_global();
        for key in std::mem::take(&mut self.touched) {
            let Some(group) = self.groups.get_mut(&key) else { continue };
            group.touched = false;
            let lives = group.rows != 0 || is_global;
            let new = if lives { group.output(&key, &self.calls, context.eval) } else { None };
            if new != group.emitted {
                // Two groups whose keys are not known to look like anything may be emitted as the same row.
                let shown = group.emitted.iter().chain(&new).flat_map(|row| &row[..key.len()]);
                out.consolidated &= group.images.is_none() || !shown.into_iter().any(Value::is_error);
                if let Some(old) = group.emitted.take() {
                    out.rows.push((old, -1));
                }
                if let Some(new) = &new {
                    out.rows.push((new.clone(), 1));
                }
                group.emitted = new;
            }
            self.heap -= group.heap;
            if lives {
                group.heap = group.measure();
                self.heap += group.heap;
            } else {
                self.groups.remove(&key);
            }
        }
    }

    fn content(&self, _inputs: &[NodeId], _context: &StepContext<'_>, f: &mut dyn FnMut(&Row, i64)) -> i64 {
        for (_, group) in self.groups.iter() {
            if let Some(row) = &group.emitted {
                f(row, 1);
            }
        }
        0
    }

    fn is_stateful(&self) -> bool {
        true
    }

    fn bytes(&self) -> usize {
        self.groups.bytes() + self.heap
    }
}
