//! Joins of one read: by lookups in an index of the right table when the left side is small, else by a hash table
//! over the right side.

use super::keys::{KeySet, same};
use super::op::{Join, Op, Scan};
use super::rows::Flat;
use super::run::{Flow, Run, Sink, Stop};
use crate::TableVersion;
use crate::snapshot::{Index, IndexSpec};
use std::ops::ControlFlow::{self, Continue};
use weir_planner::eval::Tuple;
use weir_planner::plan::JoinKind;
use weir_planner::{Expr, Row, Value};

/// A lookup by index costs about as much as hashing this many rows of the right side.
const LOOKUP_COST: usize = 8;

/// The right side, numbered.
enum Right<'a> {
    /// Stored rows, not copied.
    Stored(Vec<(&'a Row, u64)>, usize),
    Copied(Flat, Vec<u64>),
}

impl Right<'_> {
    fn len(&self) -> usize {
        match self {
            Right::Stored(rows, _) => rows.len(),
            Right::Copied(_, counts) => counts.len(),
        }
    }
    #[inline]
    fn row(&self, number: usize) -> (&[Value], u64) {
        match self {
            Right::Stored(rows, width) => (&rows[number].0[..*width], rows[number].1),
            Right::Copied(rows, counts) => (rows.row(number), counts[number]),
        }
    }
}

/// Right rows by key: a chain of row numbers per key number.
struct Chains {
    keys: KeySet,
    first: Vec<u32>,
    next: Vec<u32>,
}

const END: u32 = u32::MAX;

impl<'a> Run<'a> {
    pub(super) fn join(&self, join: &Join, sink: Sink<'_>) -> Flow {
        let (left, left_counts) = self.collect(&join.left, join.left_width)?;
        if let Op::Scan(scan) = &join.right
            && !matches!(join.kind, JoinKind::Right | JoinKind::Full)
        {
            let version = self.version(scan)?;
            if left.len() * LOOKUP_COST < version.distinct()
                && let Some(columns) = plain_columns(&join.right_keys)
            {
                // Rows that are not looked up are not asked the scan's filters.
                if let Some((index, of)) = version.hash_index(&columns)
                    && self.is_proved(&scan.doubts, scan)?
                {
                    let lookup = Lookup { scan, version, index, of, columns: &columns };
                    return self.join_by_index(join, &left, &left_counts, &lookup, sink);
                }
                version.wish(|| IndexSpec::Hash(sorted(&columns)));
            }
        }
        self.join_by_hash(join, &left, &left_counts, sink)
    }

    fn join_by_index(
        &self,
        join: &Join,
        left: &Flat,
        left_counts: &[u64],
        lookup: &Lookup<'a, '_>,
        sink: Sink<'_>,
    ) -> Flow {
        let nulls = vec![Value::Null; join.right_width];
        let mut key = Vec::new();
        for (number, &left_count) in left_counts.iter().enumerate() {
            let left_row = left.row(number);
            self.values(&join.left_keys, Tuple::single(left_row), &mut key)?;
            let wanted = lookup.of.iter().map(|column| {
                let position = lookup.columns.iter().position(|key| key == column);
                &key[position.expect("the index was chosen by these key columns")]
            });
            let mut matched = false;
            if !key.iter().any(Value::is_null)
                && let Some(hash) = lookup.index.hash(wanted)
            {
                for id in lookup.index.with_hash(hash) {
                    self.visit(1)?;
                    let (row, count) = lookup.version.row(id);
                    let is_equal =
                        lookup.columns.iter().zip(&key).all(|(&column, value)| {
                            same(std::slice::from_ref(&row[column]), std::slice::from_ref(value))
                        });
                    if !is_equal || !self.row_passes(lookup.scan, row)? {
                        continue;
                    }
                    let pair = Tuple::pair(left_row, &row[..join.right_width]);
                    if !self.residual(join, pair)? {
                        continue;
                    }
                    matched = true;
                    match join.kind {
                        JoinKind::Semi | JoinKind::Anti => break,
                        _ => sink(pair, left_count * count)?,
                    }
                }
            }
            unmatched_or_semi(join.kind, matched, left_row, &nulls, left_count, sink)?;
        }
        Continue(())
    }

    fn join_by_hash(&self, join: &Join, left: &Flat, left_counts: &[u64], sink: Sink<'_>) -> Flow {
        let right = self.right(join)?;
        let chains = self.chains(join, &right)?;
        let keeps_right = matches!(join.kind, JoinKind::Right | JoinKind::Full);
        let mut right_matched = vec![false; if keeps_right { right.len() } else { 0 }];
        let nulls = vec![Value::Null; join.right_width];
        let mut key = Vec::new();
        for (number, &left_count) in left_counts.iter().enumerate() {
            let left_row = left.row(number);
            self.values(&join.left_keys, Tuple::single(left_row), &mut key)?;
            let found = if key.iter().any(Value::is_null) { None } else { chains.keys.find(&key) };
            let mut at = found.map_or(END, |number| chains.first[number]);
            let mut matched = false;
            while at != END {
                self.visit(1)?;
                let (right_row, right_count) = right.row(at as usize);
                let pair = Tuple::pair(left_row, right_row);
                if self.residual(join, pair)? {
                    matched = true;
                    if keeps_right {
                        right_matched[at as usize] = true;
                    }
                    match join.kind {
                        JoinKind::Semi | JoinKind::Anti => break,
                        _ => sink(pair, left_count * right_count)?,
                    }
                }
                at = chains.next[at as usize];
            }
            unmatched_or_semi(join.kind, matched, left_row, &nulls, left_count, sink)?;
        }
        let nulls = vec![Value::Null; join.left_width];
        for (number, _) in right_matched.iter().enumerate().filter(|(_, matched)| !**matched) {
            let (row, count) = right.row(number);
            sink(Tuple::pair(&nulls, row), count)?;
        }
        Continue(())
    }

    fn right(&self, join: &Join) -> ControlFlow<Stop, Right<'a>> {
        let Op::Scan(scan) = &join.right else {
            let (rows, counts) = self.collect(&join.right, join.right_width)?;
            return Continue(Right::Copied(rows, counts));
        };
        let mut rows = Vec::new();
        self.scan(scan, &mut |row, count, _| {
            self.hold(1)?;
            rows.push((row, count));
            Continue(())
        })?;
        Continue(Right::Stored(rows, scan.width))
    }

    /// Chains of the right rows, each in row order. Rows with a NULL in their key are in none.
    fn chains(&self, join: &Join, right: &Right<'_>) -> ControlFlow<Stop, Chains> {
        let mut chains =
            Chains { keys: KeySet::new(join.right_keys.len()), first: Vec::new(), next: vec![END; right.len()] };
        let mut key = Vec::new();
        for number in (0..right.len()).rev() {
            self.values(&join.right_keys, Tuple::single(right.row(number).0), &mut key)?;
            if key.iter().any(Value::is_null) {
                continue;
            }
            let (chain, is_new) = chains.keys.number(&key);
            let this = u32::try_from(number).expect("the row budget of a read is below 2^32");
            if is_new {
                chains.first.push(this);
            } else {
                chains.next[number] = std::mem::replace(&mut chains.first[chain], this);
            }
        }
        Continue(chains)
    }

    fn residual(&self, join: &Join, pair: Tuple<'_>) -> ControlFlow<Stop, bool> {
        match &join.residual {
            Some(residual) => self.passes(residual, pair),
            None => Continue(true),
        }
    }
}

/// How to find the right rows of a key.
struct Lookup<'a, 'j> {
    scan: &'j Scan,
    version: &'a TableVersion,
    index: &'a Index,
    /// The index's columns, a subset of `columns`.
    of: &'a [usize],
    /// The stored columns that the right keys are.
    columns: &'j [usize],
}

/// What a left row yields besides its matches.
fn unmatched_or_semi(
    kind: JoinKind,
    matched: bool,
    left: &[Value],
    nulls: &[Value],
    count: u64,
    sink: Sink<'_>,
) -> Flow {
    match (kind, matched) {
        (JoinKind::Left | JoinKind::Full, false) => sink(Tuple::pair(left, nulls), count),
        (JoinKind::Semi, true) | (JoinKind::Anti, false) => sink(Tuple::single(left), count),
        _ => Continue(()),
    }
}

/// The columns these keys are, if they are nothing but columns.
fn plain_columns(keys: &[Expr]) -> Option<Vec<usize>> {
    if keys.is_empty() {
        return None;
    }
    keys.iter().map(|key| if let Expr::Column(column) = key { Some(*column) } else { None }).collect()
}

fn sorted(columns: &[usize]) -> Vec<usize> {
    let mut columns = columns.to_vec();
    columns.sort_unstable();
    columns.dedup();
    columns
}
