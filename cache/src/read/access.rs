//! How a scan finds its rows: by a hash index, by a range of an ordered index, or by looking at all.

use super::ReadError;
use super::chunked::LEAST_ROWS;
use super::comparison::{Comparison, Operator, Values, as_column_type, comparison};
use super::op::Scan;
use super::proof::Proof;
use super::run::{Flow, Run, Stop, fail};
use crate::TableVersion;
use crate::snapshot::{CHUNK_ROWS, IndexSpec, OrderedColumn, RowId, offsets};
use smallvec::SmallVec;
use std::ops::ControlFlow::{self, Continue};
use weir_planner::eval::Tuple;
use weir_planner::optimize::{as_asked, is_certain};
use weir_planner::value::compare;
use weir_planner::{Expr, Row, Value};

/// Keys one IN list may look up in an index; more than that and the scan is not much slower.
const MAX_LOOKUPS: usize = 1024;
/// An index range is followed while it has less than this fraction of the table's rows: beyond, a scan in slot order
/// is quicker than visiting the rows one by one.
const RANGE_FRACTION: usize = 8;
/// A scan of which less than this fraction passed wishes for an index.
const WISH_FRACTION: usize = 16;

pub(super) type RowIds = SmallVec<[RowId; 8]>;
/// Keys to look up, each with a value per column of the index.
type Keys = SmallVec<[SmallVec<[Value; 2]>; 1]>;

impl Scan {
    /// Has the scan ask these conditions, too.
    pub(super) fn add(&mut self, conjuncts: Vec<Expr>) {
        self.filters.extend(conjuncts);
        as_asked(&mut self.filters);
        self.doubts = Proof::of(&self.filters);
        let certain = self.filters.iter().take_while(|filter| is_certain(filter)).count();
        let (first, later) = self.filters.split_at(certain);
        let found = |filters: &[Expr]| -> Vec<Comparison> { filters.iter().filter_map(comparison).collect() };
        self.comparisons = found(first);
        self.always = self.comparisons.len();
        self.comparisons.extend(found(later));
    }
}

impl<'a> Run<'a> {
    /// The version a scan reads. A table with evaluation errors is not read from memory at all: which reads of it
    /// Postgres would let pass depends on its plan.
    pub(super) fn version(&self, scan: &Scan) -> ControlFlow<Stop, &'a TableVersion> {
        let Some(version) = self.snapshot.tables.get(&scan.relation) else {
            return fail(ReadError::NotPublished(scan.relation));
        };
        if version.columns.len() < scan.width {
            return fail(ReadError::Unsupported("the table has fewer columns than the plan".into()));
        }
        if version.has_errors() {
            return fail(ReadError::Unsupported("the table holds a row whose evaluation failed".into()));
        }
        Continue(version)
    }

    /// Pushes all rows that pass, in slot order.
    pub(super) fn scan(&self, scan: &Scan, f: &mut dyn FnMut(&'a Row, u64, RowId) -> Flow) -> Flow {
        let version = self.version(scan)?;
        if let Some(ids) = self.lookup(scan, version, usize::MAX)? {
            self.visit(ids.len())?;
            for id in ids {
                let (row, count) = version.row(id);
                if self.row_passes(scan, row)? {
                    f(row, count, id)?;
                }
            }
            return Continue(());
        }
        let mut passed = 0;
        if version.distinct() >= LEAST_ROWS && !scan.filters.is_empty() {
            let tests = self.tests(scan);
            for chunk in version.all_chunks() {
                self.visit(CHUNK_ROWS)?;
                for offset in offsets(&self.mask(&tests, chunk)?) {
                    let (row, id) = chunk.entry(offset);
                    passed += 1;
                    f(row, chunk.count(offset), *id)?;
                }
            }
        } else {
            for (at, (id, row, count)) in version.scan().enumerate() {
                if at % CHUNK_ROWS == 0 {
                    self.visit(CHUNK_ROWS)?;
                }
                if self.row_passes(scan, row)? {
                    passed += 1;
                    f(row, count, id)?;
                }
            }
        }
        self.wish_if_few(scan, version, passed);
        Continue(())
    }

    /// A scan of which few rows passed would rather have gone by an index.
    pub(super) fn wish_if_few(&self, scan: &Scan, version: &TableVersion, passed: usize) {
        if passed * WISH_FRACTION < version.distinct() {
            wish_for_lookup(scan, version);
        }
    }

    #[inline]
    pub(super) fn row_passes(&self, scan: &Scan, row: &Row) -> ControlFlow<Stop, bool> {
        for filter in &scan.filters {
            if !self.passes(filter, Tuple::single(row))? {
                return Continue(false);
            }
        }
        Continue(true)
    }

    /// The rows an index offers for the scan's conditions, each once, as a scan would meet them; a superset of what passes. None:
    /// no index serves, or it would offer more than `most`.
    pub(super) fn lookup(&self, scan: &Scan, version: &TableVersion, most: usize) -> ControlFlow<Stop, Option<RowIds>> {
        let comparisons = self.usable(scan)?;
        if comparisons.is_empty() {
            return Continue(None);
        }
        let equal: SmallVec<[usize; 4]> = equalities(comparisons).map(|comparison| comparison.column).collect();
        if !equal.is_empty()
            && let Some((index, columns)) = version.hash_index(&equal)
            && let Some(keys) = self.keys(comparisons, version, columns)?
        {
            let mut hashes: SmallVec<[u64; 4]> = keys.iter().filter_map(|key| index.hash(key.iter())).collect();
            hashes.sort_unstable();
            hashes.dedup();
            let mut ids = RowIds::new();
            for &hash in &hashes {
                for id in index.with_hash(hash) {
                    if ids.len() == most {
                        return Continue(None);
                    }
                    ids.push(id);
                }
            }
            if ids.len() > 1 {
                version.sort_as_scanned(&mut ids);
            }
            return Continue(Some(ids));
        }
        self.range(comparisons, version, most)
    }

    /// The comparisons that an index may answer: what it passes over is not asked the other filters.
    fn usable<'s>(&self, scan: &'s Scan) -> ControlFlow<Stop, &'s [Comparison]> {
        let all = scan.always == scan.comparisons.len() || self.is_proved(&scan.doubts, scan)?;
        Continue(if all { &scan.comparisons } else { &scan.comparisons[..scan.always] })
    }

    /// All keys the equality conditions allow for these columns; None when one cannot be said in the column's type.
    fn keys(
        &self,
        comparisons: &[Comparison],
        version: &TableVersion,
        columns: &[usize],
    ) -> ControlFlow<Stop, Option<Keys>> {
        let mut keys: Keys = smallvec::smallvec![SmallVec::new()];
        for &column in columns {
            let Some(comparison) = equalities(comparisons).find(|comparison| comparison.column == column) else {
                return Continue(None);
            };
            let Some(values) = self.looked_up(&comparison.values, MAX_LOOKUPS / keys.len().max(1))? else {
                return Continue(None);
            };
            let mut longer = SmallVec::new();
            for value in values {
                let Some(value) = as_column_type(value, version.columns[column].oid) else {
                    return Continue(None);
                };
                for key in &keys {
                    let mut key = key.clone();
                    key.push(value.clone());
                    longer.push(key);
                }
            }
            keys = longer;
        }
        Continue(Some(keys))
    }

    /// The values of an equality's other side; None when they are more than `most`.
    fn looked_up(&self, values: &Values, most: usize) -> ControlFlow<Stop, Option<SmallVec<[Value; 4]>>> {
        let list = match values {
            Values::List(list) => list,
            Values::Array(array) => {
                return Continue(match self.value(array, Tuple::single(&[]))? {
                    Value::Array(array) if array.elements.len() <= most => {
                        Some(array.elements.iter().cloned().collect())
                    }
                    // Equal to nothing.
                    Value::Null => Some(SmallVec::new()),
                    _ => None,
                });
            }
        };
        if list.len() > most {
            return Continue(None);
        }
        let mut found = SmallVec::with_capacity(list.len());
        for expr in list {
            found.push(self.value(expr, Tuple::single(&[]))?);
        }
        Continue(Some(found))
    }

    /// The rows of a range of an ascending index, as a scan would meet them.
    fn range(
        &self,
        comparisons: &[Comparison],
        version: &TableVersion,
        most: usize,
    ) -> ControlFlow<Stop, Option<RowIds>> {
        for comparison in comparisons {
            let column = OrderedColumn { column: comparison.column, descending: false, nulls_first: false };
            let Some(index) = version.index_led_by(column) else { continue };
            let mut low = None;
            let mut high = None;
            for bound in comparisons.iter().filter(|bound| bound.column == comparison.column) {
                let Some(expr) = bound.values.single() else { continue };
                let value = self.value(expr, Tuple::single(&[]))?;
                let Some(value) = as_column_type(value, version.columns[bound.column].oid) else { continue };
                if value.is_null() {
                    return Continue(Some(RowIds::new()));
                }
                let (is_low, is_high) = match bound.operator {
                    Operator::Equal => (true, true),
                    Operator::Greater | Operator::GreaterOrEqual => (true, false),
                    Operator::Less | Operator::LessOrEqual => (false, true),
                };
                if is_low && low.as_ref().is_none_or(|low| compare(low, &value).is_lt()) {
                    low = Some(value.clone());
                }
                if is_high && high.as_ref().is_none_or(|high| compare(high, &value).is_gt()) {
                    high = Some(value);
                }
            }
            if low.is_none() && high.is_none() {
                continue;
            }
            let stored = |id| &version.row(id).0[column.column];
            let entries = match &low {
                Some(low) => {
                    let prefix = column.prefix(low);
                    index.seek(|entry| {
                        entry.key < prefix || (entry.key == prefix && column.compare(stored(entry.id), low).is_lt())
                    })
                }
                None => index.iter(),
            };
            let most = most.min(version.distinct() / RANGE_FRACTION);
            let mut ids = RowIds::new();
            for entry in entries {
                if let Some(high) = &high {
                    let prefix = column.prefix(high);
                    if entry.key > prefix || (entry.key == prefix && column.compare(stored(entry.id), high).is_gt()) {
                        break;
                    }
                }
                if ids.len() == most {
                    return Continue(None);
                }
                ids.push(entry.id);
            }
            version.sort_as_scanned(&mut ids);
            return Continue(Some(ids));
        }
        Continue(None)
    }

    /// The first `wanted` rows (counted with multiplicity) of a scan in this order, by an ordered index. None: there is
    /// no such index, or so few rows pass that a scan is quicker.
    pub(super) fn first_in_order(
        &self,
        scan: &Scan,
        order: &[OrderedColumn],
        wanted: u64,
    ) -> ControlFlow<Stop, Option<Vec<(&'a Row, u64)>>> {
        /// Entries that may be passed over before a scan, which reads rows in slot order, is the better way.
        const MIN_PATIENCE: usize = 1024;
        let version = self.version(scan)?;
        let Some(index) = version.ordered_index(order) else { return Continue(None) };
        // Postgres sorts, and asks every row before.
        if !self.is_proved(&scan.doubts, scan)? {
            return Continue(None);
        }
        let patience = (version.distinct() / RANGE_FRACTION).max(MIN_PATIENCE);
        let mut rows = Vec::new();
        let mut found = 0;
        if wanted == 0 {
            return Continue(Some(rows));
        }
        for (visited, entry) in index.iter().enumerate() {
            if visited >= patience && !scan.filters.is_empty() {
                return Continue(None);
            }
            let (row, count) = version.row(entry.id);
            if self.row_passes(scan, row)? {
                self.hold(1)?;
                rows.push((row, count));
                found += count;
                if found >= wanted {
                    break;
                }
            }
        }
        Continue(Some(rows))
    }
}

fn equalities(comparisons: &[Comparison]) -> impl Iterator<Item = &Comparison> {
    comparisons.iter().filter(|comparison| comparison.operator == Operator::Equal)
}

/// Asks for the index that would have answered the scan's conditions.
fn wish_for_lookup(scan: &Scan, version: &TableVersion) {
    let mut equal: Vec<usize> = equalities(&scan.comparisons).map(|comparison| comparison.column).collect();
    equal.sort_unstable();
    equal.dedup();
    if !equal.is_empty() {
        version.wish(|| IndexSpec::Hash(equal));
    } else if let Some(range) = scan.comparisons.first() {
        let column = OrderedColumn { column: range.column, descending: false, nulls_first: false };
        version.wish(|| IndexSpec::Ordered(vec![column]));
    }
}
