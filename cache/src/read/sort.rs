//! ORDER BY … LIMIT … OFFSET: by an ordered index of a scanned table, or by keeping the first rows seen so far.
//! Ties go by row id where an index could answer, else by the order the rows came in: equal reads of one version give
//! equal answers, with an index or without.

use super::ReadError;
use super::op::{Op, Scan, Sort};
use super::run::{Flow, Run, Sink, Stop, fail};
use crate::snapshot::{IndexSpec, OrderedColumn, RowId, compare_rows};
use std::cmp::Ordering;
use std::ops::ControlFlow::{self, Continue};
use weir_planner::eval::Tuple;
use weir_planner::plan::SortKey;
use weir_planner::value::compare_sort_keys;
use weir_planner::{EvalError, Expr, Row, Value};

/// Which rows of the sorted input are wanted, counted with multiplicity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) offset: u64,
    /// None: all.
    pub(super) limit: Option<u64>,
}

impl Window {
    /// Rows from the start of the order that have to be known; None: all.
    fn reach(&self) -> Option<u64> {
        self.limit.map(|limit| self.offset.saturating_add(limit))
    }

    /// Calls `f` with what the window keeps of each row.
    pub(super) fn cut<T>(self, rows: impl IntoIterator<Item = (T, u64)>, mut f: impl FnMut(T, u64) -> Flow) -> Flow {
        let mut skip = self.offset;
        let mut left = self.limit.unwrap_or(u64::MAX);
        for (row, count) in rows {
            let skipped = skip.min(count);
            skip -= skipped;
            let kept = (count - skipped).min(left);
            left -= kept;
            if kept > 0 {
                f(row, kept)?;
            }
            if left == 0 {
                break;
            }
        }
        Continue(())
    }
}

/// The least items of all that were offered, at most `most`, without holding many more.
struct Least<T, F> {
    most: usize,
    compare: F,
    items: Vec<T>,
    /// `items[..most]` once they were the least: nothing that is not less than the greatest of them is wanted.
    is_bounded: bool,
}

impl<T, F: Fn(&T, &T) -> Ordering> Least<T, F> {
    fn new(most: Option<u64>, compare: F) -> Least<T, F> {
        let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        Least { most, compare, items: Vec::new(), is_bounded: false }
    }

    /// The item that new ones have to beat.
    fn bound(&self) -> Option<&T> {
        if self.is_bounded { self.items.get(self.most - 1) } else { None }
    }

    fn offer(&mut self, item: T) {
        /// Items gathered before the least are picked out: each picking costs their number.
        const SLACK: usize = 64;
        self.items.push(item);
        if self.most > 0 && self.items.len() >= self.most.saturating_mul(2).max(self.most.saturating_add(SLACK)) {
            self.items.select_nth_unstable_by(self.most - 1, &self.compare);
            self.items.truncate(self.most);
            self.is_bounded = true;
        }
    }

    fn sorted(mut self) -> Vec<T> {
        self.items.sort_unstable_by(&self.compare);
        self.items.truncate(self.most);
        self.items
    }
}

impl<'a> Run<'a> {
    /// LIMIT and OFFSET; NULL means none, negative is Postgres' error (`nodeLimit.c`).
    pub(super) fn limits(&self, sort: &Sort) -> ControlFlow<Stop, Window> {
        let limit = self.count(&sort.limit, "2201W", "LIMIT must not be negative")?;
        let offset = self.count(&sort.offset, "2201X", "OFFSET must not be negative")?.unwrap_or(0);
        Continue(Window { offset, limit })
    }

    fn count(&self, expr: &Option<Expr>, state: &'static str, text: &'static str) -> ControlFlow<Stop, Option<u64>> {
        let Some(expr) = expr else { return Continue(None) };
        let number = match self.value(expr, Tuple::single(&[]))? {
            Value::Null => return Continue(None),
            Value::Int8(number) => number,
            Value::Int4(number) => i64::from(number),
            Value::Int2(number) => i64::from(number),
            _ => return fail(ReadError::Unsupported("LIMIT or OFFSET is not an integer".into())),
        };
        match u64::try_from(number) {
            Ok(number) => Continue(Some(number)),
            Err(_) => fail(ReadError::Eval(EvalError::new(state, text))),
        }
    }

    pub(super) fn sort(&self, sort: &Sort, sink: Sink<'_>) -> Flow {
        let window = self.limits(sort)?;
        let mut values = Vec::with_capacity(sort.outputs.len());
        if let Op::Scan(scan) = &sort.input {
            let rows = self.sort_scan(scan, sort, window)?;
            return window.cut(rows, |row, count| {
                self.values(&sort.outputs, Tuple::single(row), &mut values)?;
                sink(Tuple::single(&values), count)
            });
        }
        if sort.keys.is_empty() {
            return self.first(sort, window, sink);
        }
        type Item = (Vec<Value>, Vec<Value>, u64, usize);
        let compare = |a: &Item, b: &Item| compare_sort_keys(&a.0, &b.0, &sort.keys).then(a.3.cmp(&b.3));
        let mut least = Least::new(window.reach(), compare);
        let exprs: Vec<Expr> = sort.keys.iter().map(|key| key.expr.clone()).collect();
        let mut keys = Vec::new();
        let mut number = 0;
        self.run(&sort.input, &mut |tuple, count| {
            number += 1;
            self.values(&exprs, tuple, &mut keys)?;
            // A later row that ties with the bound comes after it.
            if least.bound().is_some_and(|bound| compare_sort_keys(&keys, &bound.0, &sort.keys).is_ge()) {
                return Continue(());
            }
            self.values(&sort.outputs, tuple, &mut values)?;
            if !least.is_bounded {
                self.hold(1)?;
            }
            least.offer((std::mem::take(&mut keys), values.clone(), count, number));
            Continue(())
        })?;
        let rows = least.sorted().into_iter().map(|(_, values, count, _)| (values, count));
        window.cut(rows, |values, count| sink(Tuple::single(&values), count))
    }

    /// LIMIT without ORDER BY: the input ends when there is enough.
    fn first(&self, sort: &Sort, window: Window, sink: Sink<'_>) -> Flow {
        let mut skip = window.offset;
        let mut left = window.limit.unwrap_or(u64::MAX);
        if left == 0 {
            return Continue(());
        }
        let mut values = Vec::with_capacity(sort.outputs.len());
        let flow = self.run(&sort.input, &mut |tuple, count| {
            let skipped = skip.min(count);
            skip -= skipped;
            let kept = (count - skipped).min(left);
            if kept == 0 {
                return Continue(());
            }
            left -= kept;
            self.values(&sort.outputs, tuple, &mut values)?;
            sink(Tuple::single(&values), kept)?;
            if left == 0 { ControlFlow::Break(Stop::Enough) } else { Continue(()) }
        });
        match flow {
            ControlFlow::Break(Stop::Enough) if left == 0 => Continue(()),
            other => other,
        }
    }

    /// The rows of a scan in order, as many as the window reaches.
    pub(super) fn sort_scan(&self, scan: &Scan, sort: &Sort, window: Window) -> ControlFlow<Stop, Vec<(&'a Row, u64)>> {
        let (keys, reach) = (&sort.keys, window.reach());
        if keys.is_empty() {
            return self.first_of_scan(scan, reach);
        }
        // Where nothing is wanted, Postgres does not begin.
        if window.limit != Some(0) && !self.is_proved(&sort.unseen, scan)? {
            let mut values = Vec::new();
            self.scan(scan, &mut |row, _, _| self.values(sort.unseen.exprs(), Tuple::single(row), &mut values))?;
        }
        match plain_order(keys) {
            Some(order) => self.sort_scan_by_columns(scan, &order, reach),
            None => self.sort_scan_by_values(scan, keys, reach),
        }
    }

    fn first_of_scan(&self, scan: &Scan, reach: Option<u64>) -> ControlFlow<Stop, Vec<(&'a Row, u64)>> {
        let mut rows = Vec::new();
        let mut left = reach.unwrap_or(u64::MAX);
        if left == 0 {
            return Continue(rows);
        }
        let flow = self.scan(scan, &mut |row, count, _| {
            self.hold(1)?;
            rows.push((row, count));
            left = left.saturating_sub(count);
            if left == 0 { ControlFlow::Break(Stop::Enough) } else { Continue(()) }
        });
        match flow {
            ControlFlow::Break(Stop::Enough) | Continue(()) => Continue(rows),
            ControlFlow::Break(stop) => ControlFlow::Break(stop),
        }
    }

    fn sort_scan_by_columns(
        &self,
        scan: &Scan,
        order: &[OrderedColumn],
        reach: Option<u64>,
    ) -> ControlFlow<Stop, Vec<(&'a Row, u64)>> {
        /// Rows that a lookup by equality may give before an ordered index is preferred to sorting them.
        const FEW: usize = 4096;
        type Item<'r> = (&'r Row, u64, RowId);
        let version = self.version(scan)?;
        let compare = |a: &Item, b: &Item| compare_rows(order, a.0, b.0).then(a.2.cmp(&b.2));
        let mut least = Least::new(reach, compare);
        if reach.is_some()
            && let Some(ids) = self.lookup(scan, version, FEW)?
        {
            for id in ids {
                let (row, count) = version.row(id);
                if self.row_passes(scan, row)? {
                    least.offer((row, count, id));
                }
            }
            return Continue(least.sorted().into_iter().map(|(row, count, _)| (row, count)).collect());
        }
        if let Some(wanted) = reach
            && let Some(rows) = self.first_in_order(scan, order, wanted)?
        {
            return Continue(rows);
        }
        let mut passed = 0;
        self.scan(scan, &mut |row, count, id| {
            passed += 1;
            let is_late = |bound: &Item| compare_rows(order, row, bound.0).then(id.cmp(&bound.2)).is_ge();
            if least.bound().is_some_and(is_late) {
                return Continue(());
            }
            if !least.is_bounded {
                self.hold(1)?;
            }
            least.offer((row, count, id));
            Continue(())
        })?;
        // With an index the walk would have ended after about reach / (passed / rows) entries.
        if let Some(wanted) = reach
            && wanted.saturating_mul(4) < passed as u64
        {
            version.wish(|| IndexSpec::Ordered(order.to_vec()));
        }
        Continue(least.sorted().into_iter().map(|(row, count, _)| (row, count)).collect())
    }

    fn sort_scan_by_values(
        &self,
        scan: &Scan,
        keys: &[SortKey],
        reach: Option<u64>,
    ) -> ControlFlow<Stop, Vec<(&'a Row, u64)>> {
        type Item<'r> = (Vec<Value>, &'r Row, u64, usize);
        let compare = |a: &Item, b: &Item| compare_sort_keys(&a.0, &b.0, keys).then(a.3.cmp(&b.3));
        let mut least = Least::new(reach, compare);
        let exprs: Vec<Expr> = keys.iter().map(|key| key.expr.clone()).collect();
        let mut values = Vec::new();
        let mut number = 0;
        self.scan(scan, &mut |row, count, _| {
            number += 1;
            self.values(&exprs, Tuple::single(row), &mut values)?;
            if least.bound().is_some_and(|bound| compare_sort_keys(&values, &bound.0, keys).is_ge()) {
                return Continue(());
            }
            if !least.is_bounded {
                self.hold(1)?;
            }
            least.offer((std::mem::take(&mut values), row, count, number));
            Continue(())
        })?;
        Continue(least.sorted().into_iter().map(|(_, row, count, _)| (row, count)).collect())
    }
}

/// The order as columns of the stored row, if the keys are nothing but columns.
fn plain_order(keys: &[SortKey]) -> Option<Vec<OrderedColumn>> {
    keys.iter()
        .map(|key| match key.expr {
            Expr::Column(column) => {
                Some(OrderedColumn { column, descending: key.descending, nulls_first: key.nulls_first })
            }
            _ => None,
        })
        .collect()
}
