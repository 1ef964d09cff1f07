//! GROUP BY over a scan of a large table, chunk by chunk: conditions, groups and sums by columns where the chunk has them,
//! by its rows where it has not.

use super::aggregate::Groups;
use super::keys::KeySet;
use super::mask::Test;
use super::op::Scan;
use super::run::{Flow, Run, Stop};
use super::totals::Totals;
use crate::TableVersion;
use crate::snapshot::{CHUNK_ROWS, Chunk, Codes, Column, Kind, MAX_CODES, offsets as set_offsets};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::ops::ControlFlow::{self, Continue};
use weir_planner::eval::Tuple;
use weir_planner::plan::AggregateCall;
use weir_planner::{Expr, Value};

/// Tables with fewer rows are looked at row by row: they are quick to go through, and often another one the next time.
pub(super) const LEAST_ROWS: usize = 8 * CHUNK_ROWS;

type Map<K> = HashMap<K, u32, foldhash::fast::RandomState>;

/// Finds the groups of a chunk's rows.
struct Grouping<'p> {
    keys: &'p [Expr],
    /// The columns they are, when they are nothing but columns.
    columns: Option<SmallVec<[usize; 4]>>,
    /// Groups by the one key, where that is a number of a kind that all chunks have.
    by_number: Map<Option<i64>>,
    /// Groups by what the columns of one chunk say.
    by_parts: Map<SmallVec<[i64; 4]>>,
    values: Vec<Value>,
}

impl Run<'_> {
    /// The table and the tests of a scan that goes through all of a large table; None: it goes another way.
    pub(super) fn whole<'p>(&self, scan: &'p Scan) -> ControlFlow<Stop, Option<(&TableVersion, Vec<Test<'p>>)>> {
        let version = self.version(scan)?;
        if version.distinct() < LEAST_ROWS || self.lookup(scan, version, usize::MAX)?.is_some() {
            return Continue(None);
        }
        Continue(Some((version, self.tests(scan))))
    }

    pub(super) fn aggregate_chunks(
        &self,
        scan: &Scan,
        (version, tests): (&TableVersion, Vec<Test<'_>>),
        (keys, calls): (&[Expr], &[AggregateCall]),
        groups: &mut Groups,
    ) -> Flow {
        let mut totals: Vec<Option<Totals>> = calls.iter().map(Totals::of).collect();
        let mut grouping = Grouping::new(keys);
        let (mut offsets, mut members) = (Vec::with_capacity(CHUNK_ROWS), Vec::with_capacity(CHUNK_ROWS));
        let mut passed = 0;
        for chunk in version.all_chunks() {
            self.visit(CHUNK_ROWS)?;
            let mask = self.mask(&tests, chunk)?;
            offsets.clear();
            // A chunk has fewer slots than 2^16.
            offsets.extend(set_offsets(&mask).map(|offset| offset as u16));
            passed += offsets.len();
            let known = groups.keys.len();
            members.clear();
            grouping.find(self, scan, chunk, &offsets, (&mut groups.keys, &mut members))?;
            self.hold((groups.keys.len() - known) as u64)?;
            groups.add_states(calls);
            let count = groups.keys.len();
            for (at, (call, totals)) in calls.iter().zip(&mut totals).enumerate() {
                if let Some(totals) = totals
                    && chunk.is_set()
                    && totals.add(chunk, (&offsets, &members), count, |group, add| {
                        add(&mut groups.states[group * calls.len() + at]);
                    })
                {
                    continue;
                }
                for (offset, member) in offsets.iter().zip(&members) {
                    let offset = usize::from(*offset);
                    let tuple = Tuple::single(&chunk.row(offset)[..scan.width]);
                    let state = &mut groups.states[*member as usize * calls.len() + at];
                    state.update(call, tuple, super::aggregate::weight(chunk.count(offset))?, self.context);
                }
            }
        }
        for (at, totals) in totals.iter_mut().enumerate() {
            if let Some(totals) = totals {
                totals.flush(|group, add| add(&mut groups.states[group * calls.len() + at]));
            }
        }
        self.wish_if_few(scan, version, passed);
        Continue(())
    }
}

impl<'p> Grouping<'p> {
    fn new(keys: &'p [Expr]) -> Grouping<'p> {
        let columns = keys.iter().map(|key| if let Expr::Column(column) = key { Some(*column) } else { None });
        Grouping {
            keys,
            columns: columns.collect(),
            by_number: Map::default(),
            by_parts: Map::default(),
            values: Vec::with_capacity(keys.len()),
        }
    }

    /// The groups of the rows at `offsets`, one after the other, into `members`.
    fn find(
        &mut self,
        run: &Run<'_>,
        scan: &Scan,
        chunk: &Chunk,
        offsets: &[u16],
        (groups, members): (&mut KeySet, &mut Vec<u32>),
    ) -> Flow {
        let columns = self.columns.as_ref().and_then(|columns| {
            columns.iter().map(|column| chunk.column(*column)).collect::<Option<SmallVec<[&Column; 4]>>>()
        });
        match columns.as_deref() {
            Some([]) => members.resize(offsets.len(), 0),
            Some([Column::Codes(codes)]) => by_code(codes, offsets, groups, members),
            Some([Column::Numbers(numbers)]) if !matches!(numbers.kind, Kind::Numeric(_)) => {
                members.extend(offsets.iter().map(|offset| {
                    let offset = usize::from(*offset);
                    let number = (!numbers.is_null(offset)).then(|| numbers.values[offset]);
                    *self.by_number.entry(number).or_insert_with(|| {
                        let value = number.map_or(Value::Null, |number| numbers.kind.value(number));
                        groups.number(&[value]).0 as u32
                    })
                }));
            }
            Some(columns) => {
                self.by_parts.clear();
                for offset in offsets {
                    let offset = usize::from(*offset);
                    let parts = columns.iter().flat_map(|column| match column {
                        Column::Codes(codes) => [i64::from(codes.codes[offset]), 0],
                        Column::Numbers(numbers) => [numbers.values[offset], i64::from(numbers.is_null(offset))],
                    });
                    let member = *self.by_parts.entry(parts.collect()).or_insert_with(|| {
                        let key = columns.iter().map(|column| match column {
                            Column::Codes(codes) => codes.values[usize::from(codes.codes[offset])].clone(),
                            Column::Numbers(numbers) if numbers.is_null(offset) => Value::Null,
                            Column::Numbers(numbers) => numbers.kind.value(numbers.values[offset]),
                        });
                        groups.number(&key.collect::<SmallVec<[Value; 4]>>()).0 as u32
                    });
                    members.push(member);
                }
            }
            None => {
                for offset in offsets {
                    let row = Tuple::single(&chunk.row(usize::from(*offset))[..scan.width]);
                    run.values(self.keys, row, &mut self.values)?;
                    members.push(groups.number(&self.values).0 as u32);
                }
            }
        }
        Continue(())
    }
}

fn by_code(codes: &Codes, offsets: &[u16], groups: &mut KeySet, members: &mut Vec<u32>) {
    const UNKNOWN: u32 = u32::MAX;
    let mut known = [UNKNOWN; MAX_CODES];
    members.extend(offsets.iter().map(|offset| {
        let code = usize::from(codes.codes[usize::from(*offset)]);
        if known[code] == UNKNOWN {
            known[code] = groups.number(std::slice::from_ref(&codes.values[code])).0 as u32;
        }
        known[code]
    }));
}
