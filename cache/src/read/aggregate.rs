//! GROUP BY of one read, on the accumulators the engine maintains its groups with.

use super::ReadError;
use super::keys::KeySet;
use super::op::Op;
use super::run::{Flow, Run, Sink, Stop, fail};
use crate::aggregate::Accumulator;
use std::ops::ControlFlow::{self, Continue};
use weir_planner::eval::Tuple;
use weir_planner::plan::{AggregateCall, AggregateKind};
use weir_planner::{Expr, Value};

/// The groups of one read.
pub(super) struct Groups {
    pub(super) keys: KeySet,
    /// One per group and call, group after group.
    pub(super) states: Vec<Accumulator>,
}

impl Groups {
    /// Gives the groups that have come since their states.
    pub(super) fn add_states(&mut self, calls: &[AggregateCall]) {
        while self.states.len() < self.keys.len() * calls.len() {
            self.states.extend(calls.iter().map(Accumulator::of_read));
        }
    }
}

/// A multiplicity as accumulators take it.
pub(super) fn weight(count: u64) -> ControlFlow<Stop, i64> {
    i64::try_from(count).map_or_else(|_| fail(ReadError::TooLarge), Continue)
}

impl Run<'_> {
    /// Groups come in the order of their first rows; without keys there is exactly one.
    pub(super) fn aggregate(&self, input: &Op, keys: &[Expr], calls: &[AggregateCall], sink: Sink<'_>) -> Flow {
        if let Some(rows) = self.known_count(input, keys, calls)? {
            return sink(Tuple::single(&[Value::Int8(rows)]), 1);
        }
        let mut groups = Groups { keys: KeySet::new(keys.len()), states: Vec::new() };
        if keys.is_empty() {
            groups.keys.number(&[]);
            groups.add_states(calls);
        }
        match input {
            Op::Scan(scan) if let Some(whole) = self.whole(scan)? => {
                self.aggregate_chunks(scan, whole, (keys, calls), &mut groups)?;
            }
            _ => self.aggregate_rows(input, (keys, calls), &mut groups)?,
        }
        let mut row = Vec::with_capacity(keys.len() + calls.len());
        for group in 0..groups.keys.len() {
            row.clear();
            row.extend(groups.keys.shown(group));
            for (state, call) in groups.states[group * calls.len()..].iter_mut().zip(calls) {
                match state.result(call, self.context) {
                    Value::Error(error) => return fail(ReadError::Eval((*error).clone())),
                    value => row.push(value),
                }
            }
            sink(Tuple::single(&row), 1)?;
        }
        Continue(())
    }

    fn aggregate_rows(&self, input: &Op, (keys, calls): (&[Expr], &[AggregateCall]), groups: &mut Groups) -> Flow {
        let mut key = Vec::with_capacity(keys.len());
        self.run(input, &mut |tuple, count| {
            self.values(keys, tuple, &mut key)?;
            let (group, is_new) = groups.keys.number(&key);
            if is_new {
                self.hold(1)?;
                groups.add_states(calls);
            }
            let weight = weight(count)?;
            for (state, call) in groups.states[group * calls.len()..].iter_mut().zip(calls) {
                state.update(call, tuple, weight, self.context);
            }
            Continue(())
        })
    }

    /// `count(*)` of a whole table, which its version knows.
    fn known_count(&self, input: &Op, keys: &[Expr], calls: &[AggregateCall]) -> ControlFlow<Stop, Option<i64>> {
        let [call] = calls else { return Continue(None) };
        let is_plain = call.kind == AggregateKind::CountRows && call.filter.is_none() && !call.distinct;
        match input {
            Op::Scan(scan) if is_plain && keys.is_empty() && scan.filters.is_empty() => {
                Continue(i64::try_from(self.version(scan)?.len()).ok())
            }
            _ => Continue(None),
        }
    }
}
