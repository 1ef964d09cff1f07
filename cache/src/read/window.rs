//! row_number, rank and dense_rank over the rows of one read.

use super::op::Op;
use super::rows::Flat;
use super::run::{Flow, Run, Sink, Stop};
use std::cmp::Ordering;
use std::ops::ControlFlow::{self, Continue};
use weir_planner::Value;
use weir_planner::eval::Tuple;
use weir_planner::plan::{WindowCall, WindowKind};
use weir_planner::value::{compare_nulls, compare_sort_keys};

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
        let columns = functions.iter().map(|function| self.numbers(&rows, function)).collect::<Result<Vec<_>, Stop>>();
        let columns = match columns {
            Ok(columns) => columns,
            Err(stop) => return ControlFlow::Break(stop),
        };
        let mut values = Vec::with_capacity(functions.len());
        for number in 0..rows.len() {
            values.clear();
            values.extend(columns.iter().map(|column| Value::Int8(column[number])));
            let mut row = rows.row(number).to_vec();
            row.append(&mut values);
            sink(Tuple::single(&row), 1)?;
        }
        Continue(())
    }

    /// The function's value for every row.
    fn numbers(&self, rows: &Flat, function: &WindowCall) -> Result<Vec<i64>, Stop> {
        let mut partitions = Vec::with_capacity(rows.len());
        let mut orders = Vec::with_capacity(rows.len());
        for number in 0..rows.len() {
            let tuple = Tuple::single(rows.row(number));
            let mut values = Vec::with_capacity(function.partition.len());
            let mut evaluate = || {
                self.values(&function.partition, tuple, &mut values)?;
                let order: ControlFlow<Stop, Vec<Value>> =
                    function.order.iter().try_fold(Vec::with_capacity(function.order.len()), |mut order, key| {
                        order.push(self.value(&key.expr, tuple)?);
                        Continue(order)
                    });
                order
            };
            match evaluate() {
                Continue(order) => orders.push(order),
                ControlFlow::Break(stop) => return Err(stop),
            }
            partitions.push(values);
        }
        let mut sorted: Vec<usize> = (0..rows.len()).collect();
        sorted.sort_by(|&a, &b| {
            compare_partitions(&partitions[a], &partitions[b])
                .then_with(|| compare_sort_keys(&orders[a], &orders[b], &function.order))
        });
        let mut numbers = vec![0; rows.len()];
        let (mut row_number, mut rank, mut dense_rank) = (0, 0, 0);
        for (position, &row) in sorted.iter().enumerate() {
            let before = position.checked_sub(1).map(|before| sorted[before]);
            let starts = before.is_none_or(|before| compare_partitions(&partitions[before], &partitions[row]).is_ne());
            if starts {
                (row_number, rank, dense_rank) = (0, 0, 0);
            }
            row_number += 1;
            let is_peer = !starts
                && before
                    .is_some_and(|before| compare_sort_keys(&orders[before], &orders[row], &function.order).is_eq());
            if !is_peer {
                rank = row_number;
                dense_rank += 1;
            }
            numbers[row] = match function.kind {
                WindowKind::RowNumber => row_number,
                WindowKind::Rank => rank,
                WindowKind::DenseRank => dense_rank,
            };
        }
        Ok(numbers)
    }
}

/// Some total order in which SQL-equal partitions are equal.
fn compare_partitions(a: &[Value], b: &[Value]) -> Ordering {
    let orders = a.iter().zip(b).map(|(a, b)| compare_nulls(a, b, false, false));
    orders.fold(Ordering::Equal, Ordering::then)
}
