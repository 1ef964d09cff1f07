//! What `count`, `sum`, `avg`, `min` and `max` of a plain column make of a chunk's columns, before it goes into the groups'
//! accumulators.

use crate::aggregate::Accumulator;
use crate::snapshot::{Chunk, Column, Kind, Numbers};
use weir_planner::plan::{AggregateCall, AggregateKind};
use weir_planner::{Expr, Value};

/// One call over all groups, as far as it has not gone into their accumulators.
pub(super) struct Totals {
    what: What,
    /// What the numbers held here stand for.
    kind: Option<Kind>,
    /// Per group: how many there were.
    counts: Vec<i64>,
    /// Per group: their sum, or for an extreme the extreme.
    sums: Vec<i128>,
}

#[derive(Clone, Copy)]
enum What {
    Rows,
    Count(usize),
    Sum(usize),
    Least(usize),
    Greatest(usize),
}

impl Totals {
    /// None: the call asks for more than a column.
    pub(super) fn of(call: &AggregateCall) -> Option<Totals> {
        if call.filter.is_some() || (call.distinct && !matches!(call.kind, AggregateKind::Min | AggregateKind::Max)) {
            return None;
        }
        let what = match (call.kind, &call.args[..]) {
            (AggregateKind::CountRows, []) => What::Rows,
            (AggregateKind::Count, [Expr::Column(column)]) => What::Count(*column),
            (
                AggregateKind::SumInt
                | AggregateKind::SumInt8
                | AggregateKind::SumNumeric
                | AggregateKind::AvgInt
                | AggregateKind::AvgNumeric,
                [Expr::Column(column)],
            ) => What::Sum(*column),
            (AggregateKind::Min, [Expr::Column(column)]) => What::Least(*column),
            (AggregateKind::Max, [Expr::Column(column)]) => What::Greatest(*column),
            _ => return None,
        };
        Some(Totals { what, kind: None, counts: Vec::new(), sums: Vec::new() })
    }

    /// Adds rows of a chunk in which each occurs once: `members` are the groups of those at `offsets`, below `groups`. False:
    /// the chunk has no such column. `into`: the accumulators that get what cannot be held together with it.
    pub(super) fn add(
        &mut self,
        chunk: &Chunk,
        (offsets, members): (&[u16], &[u32]),
        groups: usize,
        into: impl FnMut(usize, &dyn Fn(&mut Accumulator)),
    ) -> bool {
        let column = match self.what {
            What::Rows => None,
            What::Count(column) | What::Sum(column) | What::Least(column) | What::Greatest(column) => {
                let Some(found) = chunk.column(column) else { return false };
                Some(found)
            }
        };
        match (self.what, column) {
            (What::Rows, _) => {
                self.widen(groups);
                members.iter().for_each(|member| self.counts[*member as usize] += 1);
            }
            (What::Count(_), Some(Column::Numbers(numbers))) => {
                self.widen(groups);
                for (offset, member) in pairs(offsets, members) {
                    self.counts[member] += i64::from(!numbers.is_null(offset));
                }
            }
            (What::Count(_), Some(Column::Codes(codes))) => {
                self.widen(groups);
                let null = codes.values.iter().position(Value::is_null);
                for (offset, member) in pairs(offsets, members) {
                    self.counts[member] += i64::from(Some(usize::from(codes.codes[offset])) != null);
                }
            }
            (_, Some(Column::Numbers(numbers))) => {
                if self.kind.is_some_and(|kind| kind != numbers.kind) {
                    self.flush(into);
                }
                self.kind = Some(numbers.kind);
                self.widen(groups);
                self.add_numbers(numbers, offsets, members);
            }
            _ => return false,
        }
        true
    }

    fn widen(&mut self, groups: usize) {
        self.counts.resize(groups, 0);
        self.sums.resize(groups, 0);
    }

    fn add_numbers(&mut self, numbers: &Numbers, offsets: &[u16], members: &[u32]) {
        for (offset, member) in pairs(offsets, members) {
            if numbers.is_null(offset) {
                continue;
            }
            let number = i128::from(numbers.values[offset]);
            let (count, sum) = (&mut self.counts[member], &mut self.sums[member]);
            match self.what {
                What::Least(_) if *count > 0 => *sum = (*sum).min(number),
                What::Greatest(_) if *count > 0 => *sum = (*sum).max(number),
                // Of 2^63 numbers no sum of theirs overflows.
                _ => *sum += number,
            }
            *count += 1;
        }
    }

    /// Hands over what is held, group by group.
    pub(super) fn flush(&mut self, mut into: impl FnMut(usize, &dyn Fn(&mut Accumulator))) {
        for (group, (count, sum)) in self.counts.drain(..).zip(self.sums.drain(..)).enumerate() {
            match (self.what, self.kind) {
                _ if count == 0 => {}
                (What::Least(_) | What::Greatest(_), Some(kind)) => {
                    // It was a number of the column.
                    let extreme = kind.value(sum as i64);
                    into(group, &|state| state.add(&extreme, 1));
                }
                (_, kind) => into(group, &|state| state.add_total(count, sum, kind.map_or(0, Kind::dscale))),
            }
        }
    }
}

fn pairs<'m>(offsets: &'m [u16], members: &'m [u32]) -> impl Iterator<Item = (usize, usize)> + 'm {
    offsets.iter().zip(members).map(|(offset, member)| (usize::from(*offset), *member as usize))
}
