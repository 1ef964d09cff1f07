//! GROUP BY of one read, on the accumulators the engine maintains its groups with.

use super::ReadError;
use super::keys::KeySet;
use super::op::Op;
use super::run::{Flow, Run, Sink, fail};
use crate::aggregate::Accumulator;
use std::ops::ControlFlow::{self, Continue};
use weir_planner::eval::Tuple;
use weir_planner::plan::{AggregateCall, AggregateKind};
use weir_planner::{Expr, Value};

impl Run<'_> {
    /// Groups come in the order of their first rows; without keys there is exactly one.
    pub(super) fn aggregate(&self, input: &Op, keys: &[Expr], calls: &[AggregateCall], sink: Sink<'_>) -> Flow {
        if let Some(rows) = self.known_count(input, keys, calls)? {
            return sink(Tuple::single(&[Value::Int8(rows)]), 1);
        }
        let mut groups = KeySet::new(keys.len());
        // One per group and call, group after group.
        let mut states: Vec<Accumulator> = Vec::new();
        if keys.is_empty() {
            groups.number(&[]);
            states.extend(calls.iter().map(Accumulator::new));
        }
        let mut key = Vec::with_capacity(keys.len());
        self.run(input, &mut |tuple, count| {
            self.values(keys, tuple, &mut key)?;
            let (group, is_new) = groups.number(&key);
            if is_new && !keys.is_empty() {
                self.hold(1)?;
                states.extend(calls.iter().map(Accumulator::new));
            }
            let Ok(weight) = i64::try_from(count) else { return fail(ReadError::TooLarge) };
            for (state, call) in states[group * calls.len()..].iter_mut().zip(calls) {
                state.update(call, tuple, weight, self.context);
            }
            Continue(())
        })?;
        let mut row = Vec::with_capacity(keys.len() + calls.len());
        for group in 0..groups.len() {
            row.clear();
            row.extend_from_slice(groups.key(group));
            for (state, call) in states[group * calls.len()..].iter_mut().zip(calls) {
                match state.result(call, self.context) {
                    Value::Error(error) => return fail(ReadError::Eval((*error).clone())),
                    value => row.push(value),
                }
            }
            sink(Tuple::single(&row), 1)?;
        }
        Continue(())
    }

    /// `count(*)` of a whole table, which its version knows.
    fn known_count(
        &self,
        input: &Op,
        keys: &[Expr],
        calls: &[AggregateCall],
    ) -> ControlFlow<super::run::Stop, Option<i64>> {
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
