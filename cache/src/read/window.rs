//! Window functions over the rows of one read.

use super::ReadError;
use super::op::Op;
use super::rows::Flat;
use super::run::{Flow, Run, Sink, Stop, fail};
use crate::aggregate::image_order;
use crate::window::{Partition, PreparedCall, evaluate, unsettled};
use std::cmp::Ordering;
use std::ops::ControlFlow::{self, Continue};
use weir_planner::eval::Tuple;
use weir_planner::plan::{WindowCall, WindowKind};
use weir_planner::value::{compare_nulls, compare_sort_keys};
use weir_planner::{Expr, Value};

impl Run<'_> {
    pub(super) fn window(&self, input: &Op, width: usize, functions: &[WindowCall], sink: Sink<'_>) -> Flow {
        // Copies of a row are rows of their own here: row_number tells them apart.
        let mut rows = Flat::new(width);
        self.run(input, &mut |tuple, count| {
            self.hold(count)?;
            rows.push(tuple.left.iter().cloned());
            rows.repeat_last(count - 1);
            Continue(())
        })?;
        let mut columns: Vec<Vec<Value>> = vec![vec![]; functions.len()];
        let mut done: Vec<usize> = vec![];
        for (index, function) in functions.iter().enumerate() {
            // Functions over the same window are done in one pass, with the first of them.
            let is_same = |other: &WindowCall| other.partition == function.partition && other.order == function.order;
            if functions[..index].iter().any(is_same) {
                continue;
            }
            let same: Vec<usize> = (index..functions.len()).filter(|&other| is_same(&functions[other])).collect();
            self.pass(&rows, functions, &same, &done, &mut columns)?;
            done.extend(same);
        }
        for number in 0..rows.len() {
            let values = columns.iter_mut().map(|column| std::mem::replace(&mut column[number], Value::Null));
            let row: Vec<Value> = rows.row(number).iter().cloned().chain(values).collect();
            sink(Tuple::single(&row), 1)?;
        }
        Continue(())
    }

    /// The values of the functions `same`, all over one window, for every row. Rows to which the functions `done`, over other
    /// windows, have given different values are told apart by them: which of these values meets which of these is open, also
    /// which of them row_number meets, although among rows that differ by themselves it may take any order.
    fn pass(
        &self,
        rows: &Flat,
        functions: &[WindowCall],
        same: &[usize],
        done: &[usize],
        columns: &mut [Vec<Value>],
    ) -> Flow {
        let window = &functions[same[0]];
        let order_exprs: Vec<Expr> = window.order.iter().map(|key| key.expr.clone()).collect();
        let partitions = self.keys_of(rows, &window.partition)?;
        let orders = self.keys_of(rows, &order_exprs)?;
        let mut prepared = Vec::with_capacity(same.len());
        for &function in same {
            match PreparedCall::new(&functions[function], self.context) {
                Ok(call) => prepared.push(call),
                Err(reason) => return fail(ReadError::Unsupported(reason)),
            }
            columns[function] = vec![Value::Null; rows.len()];
        }
        let numbers = !done.is_empty() && same.iter().any(|&at| functions[at].kind == WindowKind::RowNumber);
        let mut sorted: Vec<usize> = (0..rows.len()).collect();
        sorted.sort_by(|&a, &b| {
            compare_partitions(&partitions[a], &partitions[b])
                .then_with(|| compare_sort_keys(&orders[a], &orders[b], &window.order))
                // Copies beside one another.
                .then_with(|| if numbers { compare_images(rows.row(a), rows.row(b)) } else { Ordering::Equal })
        });
        for members in sorted.chunk_by(|&a, &b| compare_partitions(&partitions[a], &partitions[b]).is_eq()) {
            let mut partition = Partition::new();
            let mut last: Option<usize> = None;
            for &row in members {
                let is_peer =
                    last.is_some_and(|last| compare_sort_keys(&orders[last], &orders[row], &window.order).is_eq());
                let is_copy = last.is_some_and(|last| rows.row(last) == rows.row(row));
                let told = |last: usize| done.iter().any(|&function| columns[function][last] != columns[function][row]);
                let is_alike = is_copy && !last.is_some_and(told);
                if numbers && is_copy && !is_alike {
                    return fail(ReadError::Eval(unsettled()));
                }
                partition.push(rows.row(row), 1, is_peer, is_alike);
                last = Some(row);
            }
            for (call, &function) in prepared.iter().zip(same) {
                for (value, &row) in evaluate(call, &partition, self.context).into_iter().zip(members) {
                    if let Value::Error(error) = value {
                        return fail(ReadError::Eval((*error).clone()));
                    }
                    columns[function][row] = value;
                }
            }
        }
        Continue(())
    }

    fn keys_of(&self, rows: &Flat, exprs: &[Expr]) -> ControlFlow<Stop, Vec<Vec<Value>>> {
        let mut keys = Vec::with_capacity(rows.len());
        for number in 0..rows.len() {
            let mut key = Vec::with_capacity(exprs.len());
            self.values(exprs, Tuple::single(rows.row(number)), &mut key)?;
            keys.push(key);
        }
        Continue(keys)
    }
}

/// Some total order in which only copies are equal.
fn compare_images(a: &[Value], b: &[Value]) -> Ordering {
    a.iter().zip(b).map(|(a, b)| image_order(a, b)).fold(Ordering::Equal, Ordering::then)
}

/// Some total order in which SQL-equal partitions are equal.
fn compare_partitions(a: &[Value], b: &[Value]) -> Ordering {
    let orders = a.iter().zip(b).map(|(a, b)| compare_nulls(a, b, false, false));
    orders.fold(Ordering::Equal, Ordering::then)
}
