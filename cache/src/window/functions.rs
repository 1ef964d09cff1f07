//! The functions themselves.

use super::partition::Partition;
use super::range_frame::Frame;
use crate::aggregate::Accumulator;
use std::ops::Range;
use weir_planner::eval::{EvalContext, Tuple};
use weir_planner::plan::{AggregateCall, AggregateKind, Exclusion, SortKey, WindowCall, WindowKind};
use weir_planner::types::oid;
use weir_planner::{ColumnType, EvalError, Value};

/// A call with what does not depend on the rows worked out.
#[derive(Debug)]
pub(crate) struct PreparedCall {
    call: WindowCall,
    frame: Frame,
    aggregate: Option<AggregateCall>,
}

impl PreparedCall {
    /// `Err` names what only Postgres can do (or refuse).
    pub fn new(call: &WindowCall, context: &EvalContext) -> Result<PreparedCall, String> {
        let aggregate = match call.kind {
            WindowKind::Aggregate(kind) => Some(AggregateCall {
                kind,
                args: call.args.clone(),
                distinct: false,
                filter: call.filter.clone(),
                order: listed_order(kind, call),
                input: call.input.clone(),
                output: call.output.clone(),
            }),
            _ => None,
        };
        Ok(PreparedCall { call: call.clone(), frame: Frame::resolve(call, context)?, aggregate })
    }

    pub(super) fn call(&self) -> &WindowCall {
        &self.call
    }

    pub(super) fn frame(&self) -> &Frame {
        &self.frame
    }
}

/// In which order a list takes the rows of a frame: the window's. Members that jsonb sorts itself come by their keys first, so that only
/// of equal keys it matters which comes last.
fn listed_order(kind: AggregateKind, call: &WindowCall) -> Vec<SortKey> {
    let key = call.args.first().filter(|_| kind == AggregateKind::JsonbObjectAgg).map(|key| SortKey {
        expr: key.clone(),
        kind: ColumnType::new(oid::TEXT),
        descending: false,
        nulls_first: false,
    });
    let order = call.order.iter().filter(|_| kind.is_listed()).cloned();
    key.into_iter().chain(order).collect()
}

/// States of an aggregate whose frame grows from the first row to the current one.
pub(crate) struct Growth<'g> {
    /// The state over the rows before the ones at hand.
    pub before: Option<&'g Accumulator>,
    /// First rows of peer groups, ascending, at which the state over all rows before them is wanted.
    pub marks: &'g [usize],
    /// Those states, in the order of the marks.
    pub states: Vec<Accumulator>,
}

impl Growth<'_> {
    const NONE: Growth<'static> = Growth { before: None, marks: &[], states: vec![] };
}

/// The call's value for every row of the partition.
pub(crate) fn evaluate(call: &PreparedCall, partition: &Partition<'_>, context: &EvalContext) -> Vec<Value> {
    evaluate_from(call, partition, &mut Growth { ..Growth::NONE }, context)
}

/// The same for some rows of a partition in a row, beginning and ending with a peer group. Right for rows whose frames lie
/// within them, and for aggregates whose frame grows from the first row, given the state before.
pub(crate) fn evaluate_from(
    call: &PreparedCall,
    partition: &Partition<'_>,
    growth: &mut Growth<'_>,
    context: &EvalContext,
) -> Vec<Value> {
    let evaluation = Evaluation { call, partition, context };
    let values = match call.call.kind {
        WindowKind::RowNumber => Ok((0..partition.len()).map(|row| Value::Int8(row as i64 + 1)).collect()),
        WindowKind::Rank => Ok(evaluation.by_group(|_, peers| Value::Int8(peers.start as i64 + 1))),
        WindowKind::DenseRank => Ok(evaluation.by_group(|group, _| Value::Int8(group as i64 + 1))),
        WindowKind::PercentRank => Ok(evaluation.by_group(|_, peers| match partition.len() {
            0 | 1 => Value::Float8(0.0),
            count => Value::Float8(peers.start as f64 / (count - 1) as f64),
        })),
        WindowKind::CumeDist => {
            Ok(evaluation.by_group(|_, peers| Value::Float8(peers.end as f64 / partition.len() as f64)))
        }
        WindowKind::Ntile => evaluation.ntile(),
        WindowKind::Lag => evaluation.neighbour(-1),
        WindowKind::Lead => evaluation.neighbour(1),
        WindowKind::FirstValue | WindowKind::LastValue | WindowKind::NthValue => evaluation.of_frame(),
        WindowKind::Aggregate(_) => evaluation.aggregate(growth),
    };
    values.unwrap_or_else(|error| vec![error.into(); partition.len()])
}

/// Peers that differ stand where the value is decided.
#[cold]
pub(crate) fn unsettled() -> EvalError {
    EvalError::unsettled("a window function whose value depends on the order of equal rows")
}

struct Evaluation<'e> {
    call: &'e PreparedCall,
    partition: &'e Partition<'e>,
    context: &'e EvalContext,
}

type Values = Result<Vec<Value>, EvalError>;

impl Evaluation<'_> {
    fn by_group(&self, value: impl Fn(usize, Range<usize>) -> Value) -> Vec<Value> {
        let groups = 0..self.partition.groups();
        groups
            .flat_map(|group| {
                let peers = self.partition.group(group);
                let count = peers.len();
                std::iter::repeat_n(value(group, peers), count)
            })
            .collect()
    }

    /// Argument `index` over a row; NULL for one that was not given.
    fn argument(&self, index: usize, row: usize) -> Value {
        match self.call.call.args.get(index) {
            Some(expr) => expr.eval(Tuple::single(self.partition.row(row)), self.context),
            None => Value::Null,
        }
    }

    /// The first argument at `row`, where all its peers give the same.
    fn settled_argument(&self, row: usize) -> Value {
        let value = self.argument(0, row);
        let is_settled =
            self.partition.is_settled(row) || self.partition.peers(row).all(|peer| self.argument(0, peer) == value);
        if is_settled { value } else { unsettled().into() }
    }

    /// `window_ntile`.
    fn ntile(&self) -> Values {
        let count = self.partition.len() as i64;
        if count == 0 {
            return Ok(vec![]);
        }
        let buckets = match self.argument(0, 0) {
            Value::Null => return Ok(vec![Value::Null; count as usize]),
            Value::Int4(buckets) if buckets > 0 => i64::from(buckets),
            Value::Int4(_) => return Err(EvalError::new("22014", "argument of ntile must be greater than zero")),
            Value::Error(error) => return Err((*error).clone()),
            _ => return Err(EvalError::unsupported("ntile of something else than an integer")),
        };
        // The first `longer` buckets have one row more.
        let (size, longer) = (count / buckets, count % buckets);
        let bucket = |row: usize| {
            let row = row as i64;
            let in_longer = longer * (size + 1);
            let at = if row < in_longer { row / (size + 1) } else { longer + (row - in_longer) / size.max(1) };
            i32::try_from(at + 1).unwrap_or(i32::MAX)
        };
        let value = |row: usize| {
            let peers = self.partition.peers(row);
            if self.partition.is_settled(row) || bucket(peers.start) == bucket(peers.end - 1) {
                Value::Int4(bucket(row))
            } else {
                unsettled().into()
            }
        };
        Ok((0..self.partition.len()).map(value).collect())
    }

    /// `lag` (direction -1) and `lead` (1), with offset and default.
    fn neighbour(&self, direction: i64) -> Values {
        let value = |row: usize| {
            let offset = match self.call.call.args.len() {
                1 => 1,
                _ => match self.argument(1, row) {
                    Value::Int4(offset) => i64::from(offset),
                    other @ (Value::Null | Value::Error(_)) => return other,
                    _ => return EvalError::unsupported("an offset that is no integer").into(),
                },
            };
            if offset != 0 && !self.partition.is_settled(row) {
                return unsettled().into();
            }
            match usize::try_from(row as i64 + direction * offset) {
                Ok(at) if at == row => self.argument(0, row),
                Ok(at) if at < self.partition.len() => self.settled_argument(at),
                _ => self.argument(2, row),
            }
        };
        Ok((0..self.partition.len()).map(value).collect())
    }

    /// What EXCLUDE takes out of a row's frame: up to two ranges.
    fn excluded(&self, row: usize, head: usize, tail: usize) -> [Range<usize>; 2] {
        let within = |range: Range<usize>| range.start.clamp(head, tail)..range.end.clamp(head, tail);
        let peers = self.partition.peers(row);
        match self.call.frame.exclusion {
            Exclusion::None => [0..0, 0..0],
            Exclusion::CurrentRow => [within(row..row + 1), 0..0],
            Exclusion::Group => [within(peers), 0..0],
            Exclusion::Ties => [within(peers.start..row), within(row + 1..peers.end)],
        }
    }

    /// Whether the rows of `[head, tail)` could be others, were peers in another order.
    fn frame_is_open(&self, row: usize, head: usize, tail: usize) -> bool {
        let parted = |at: usize| {
            at < self.partition.len() && self.partition.peers(at).start < at && !self.partition.is_settled(at)
        };
        self.call.frame.parts_peers() && (!self.partition.is_settled(row) || parted(head) || parted(tail))
    }

    /// `first_value`, `last_value`, `nth_value`.
    fn of_frame(&self) -> Values {
        let bounds = self.call.frame.bounds(self.partition, self.context)?;
        let value = |(row, (head, tail)): (usize, (usize, usize))| {
            let excluded = self.excluded(row, head, tail);
            if self.frame_is_open(row, head, tail)
                || (self.call.frame.exclusion != Exclusion::None && !self.partition.is_settled(row))
            {
                return unsettled().into();
            }
            let is_excluded = |at: &usize| excluded.iter().any(|range| range.contains(at));
            let mut left = (head..tail).filter(|at| !is_excluded(at));
            let found = match self.call.call.kind {
                WindowKind::FirstValue => left.next(),
                WindowKind::LastValue => left.next_back(),
                _ => match self.argument(1, row) {
                    Value::Int4(n) if n > 0 => left.nth(n as usize - 1),
                    Value::Int4(_) => {
                        return EvalError::new("22016", "argument of nth_value must be greater than zero").into();
                    }
                    other @ (Value::Null | Value::Error(_)) => return other,
                    _ => return EvalError::unsupported("nth_value of something else than an integer").into(),
                },
            };
            found.map_or(Value::Null, |at| self.settled_argument(at))
        };
        Ok(bounds.into_iter().enumerate().map(value).collect())
    }

    /// An aggregate over the frame: rows enter and leave one accumulator as the frame moves.
    fn aggregate(&self, growth: &mut Growth<'_>) -> Values {
        let Some(call) = &self.call.aggregate else {
            return Err(EvalError::unsupported("an aggregate without a kind"));
        };
        let bounds = self.call.frame.bounds(self.partition, self.context)?;
        let known = growth.before.and_then(Accumulator::small_copy);
        let mut state = known.unwrap_or_else(|| Accumulator::new(call));
        let mut marks = growth.marks.iter().copied().peekable();
        let change = |state: &mut Accumulator, rows: Range<usize>, weight: i64| {
            for row in rows {
                state.update(call, Tuple::single(self.partition.row(row)), weight, self.context);
            }
        };
        let mut held = 0..0;
        let mut values: Vec<Value> = Vec::with_capacity(bounds.len());
        for (row, (head, tail)) in bounds.into_iter().enumerate() {
            if marks.next_if_eq(&row).is_some() {
                growth.states.extend(state.small_copy());
            }
            let same = row > 0 && held == (head..tail) && self.call.frame.exclusion == Exclusion::None;
            if head >= held.end {
                // Nothing in common with the frame before.
                if !held.is_empty() {
                    state = Accumulator::new(call);
                }
                change(&mut state, head..tail, 1);
            } else {
                change(&mut state, held.end..tail, 1);
                change(&mut state, held.start..head, -1);
            }
            held = head..tail;
            if self.frame_is_open(row, head, tail) {
                values.push(unsettled().into());
                continue;
            }
            if same && let Some(last) = values.last().filter(|last| !last.is_error()) {
                values.push(last.clone());
                continue;
            }
            let excluded = self.excluded(row, head, tail);
            excluded.iter().for_each(|range| change(&mut state, range.clone(), -1));
            values.push(state.result(call, self.context));
            excluded.iter().for_each(|range| change(&mut state, range.clone(), 1));
        }
        Ok(values)
    }
}
