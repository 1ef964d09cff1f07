//! `pgtrickle.verify_stream_table`: memory against the view, both as one Postgres snapshot sees them.

use super::copy;
use super::populate::{Managed, Phase};
use super::work::Work;
use super::{Shared, hold};
use crate::catalog::rows::StreamTableRow;
use crate::control;
use serde_json::json;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use weir_cache::aggregate::{DOUBLE_TOLERANCE, SINGLE_TOLERANCE};
use weir_cache::{Delta, Position};
use weir_planner::types::oid;
use weir_planner::{ColumnType, Row, Value};

/// Attempts when the set of tables changes meanwhile or the stream is slow.
const ATTEMPTS: usize = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// What is compared.
pub(super) struct Subject {
    row: StreamTableRow,
    columns: Vec<ColumnType>,
}

impl Subject {
    pub(super) fn of(view: &Managed) -> Result<Subject, String> {
        match &view.phase {
            Phase::Live => Ok(Subject { row: view.row.clone(), columns: view.columns.clone() }),
            Phase::Out(reason) => Err(format!("it is not in memory ({reason})")),
            _ => Err("it is being populated".into()),
        }
    }
}

/// The outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    position: Position,
    rows_in_memory: u64,
    rows_in_view: u64,
    missing: u64,
    extra: u64,
}

impl Verdict {
    pub(super) fn to_json(&self) -> serde_json::Value {
        json!({
            "position": self.position.to_string(), "rows_in_memory": self.rows_in_memory,
            "rows_in_view": self.rows_in_view, "missing": self.missing, "extra": self.extra,
        })
    }
}

pub(super) async fn verify(
    shared: &Shared,
    work: &mpsc::UnboundedSender<Work>,
    subject: &Subject,
) -> Result<Verdict, String> {
    let mut last = String::new();
    for _ in 0..ATTEMPTS {
        match attempt(shared, work, subject).await {
            Ok(verdict) => return Ok(verdict),
            Err(error) => last = error,
        }
        let _ = work.send(Work::Release);
        tokio::time::sleep(PAUSE).await;
    }
    Err(last)
}

async fn attempt(shared: &Shared, work: &mpsc::UnboundedSender<Work>, subject: &Subject) -> Result<Verdict, String> {
    let gone = |_| "the maintenance has ended".to_owned();
    let client = control::connect(&shared.config.upstream, "verification").await.map_err(|error| error.to_string())?;
    copy::begin(&client, &subject.row).await.map_err(|error| error.to_string())?;
    // Lock first: a snapshot taken before a concurrent rewrite would see no rows.
    let (held, answer) = oneshot::channel();
    work.send(Work::Hold(held)).map_err(|_| "the maintenance has ended".to_owned())?;
    if !answer.await.map_err(gone)? {
        return Err("another verification is under way".into());
    }
    let settlement: hold::Settlement =
        copy::settlement(&client, shared.capture.get()).await.map_err(|error| error.to_string())?;
    if let Some(capture) = shared.capture.get() {
        capture.reach(settlement.position);
    }
    let position = settlement.position;
    let (done, answer) = oneshot::channel();
    let _ = work.send(Work::Settle { table: subject.row.id, settlement, done });
    let memory = tokio::time::timeout(Duration::from_secs(2), answer).await;
    let memory = memory.map_err(|_| "the stream did not reach the snapshot in time".to_owned())?.map_err(gone)??;
    let rows = copy::rows(&client, &subject.row, &subject.columns).await.map_err(|error| error.to_string())?;
    if memory.moved {
        return Err("its sources have moved since Postgres evaluated it; refresh it first".into());
    }
    let rows_in_view = rows.len() as u64;
    let mut held = Delta::new();
    memory.rows.for_each(&mut |row, weight| held.push((row.clone(), weight)));
    Ok(compare(position, &subject.columns, held, rows, rows_in_view))
}

/// Multiset difference by image; rows that differ only in the last digits of a float are the same: sums depend on the order of
/// addition, and memory gives none that may be farther from Postgres'.
fn compare(position: Position, columns: &[ColumnType], memory: Delta, view: Vec<Row>, rows_in_view: u64) -> Verdict {
    let rows_in_memory: i64 = memory.iter().map(|(_, weight)| weight).sum();
    let mut difference = memory;
    difference.extend(view.into_iter().map(|row| (row, -1)));
    weir_cache::delta::consolidate(&mut difference);
    let floats: Vec<usize> = columns
        .iter()
        .enumerate()
        .filter(|(_, column)| matches!(column.oid, oid::FLOAT4 | oid::FLOAT8))
        .map(|(index, _)| index)
        .collect();
    if !floats.is_empty() {
        cancel_close(&mut difference, &floats);
    }
    let count = |sign: i64| -> u64 {
        difference.iter().map(|(_, weight)| weight * sign).filter(|weight| *weight > 0).map(i64::unsigned_abs).sum()
    };
    Verdict {
        position,
        rows_in_memory: rows_in_memory.unsigned_abs(),
        rows_in_view,
        missing: count(-1),
        extra: count(1),
    }
}

/// Pairs rows of opposite sign that agree but for float columns within the tolerance.
fn cancel_close(difference: &mut Delta, floats: &[usize]) {
    let mut groups: HashMap<Vec<Value>, Vec<usize>> = HashMap::new();
    for (index, (row, _)) in difference.iter().enumerate() {
        let exact =
            row.iter().enumerate().filter(|(column, _)| !floats.contains(column)).map(|(_, value)| value.clone());
        groups.entry(exact.collect()).or_default().push(index);
    }
    for group in groups.values() {
        for (at, &first) in group.iter().enumerate() {
            for &second in &group[at + 1..] {
                let (a, b) = (difference[first].1, difference[second].1);
                if a.signum() * b.signum() < 0
                    && floats.iter().all(|&c| is_close(&difference[first].0[c], &difference[second].0[c]))
                {
                    let paired = a.abs().min(b.abs());
                    difference[first].1 -= a.signum() * paired;
                    difference[second].1 -= b.signum() * paired;
                }
            }
        }
    }
    difference.retain(|(_, weight)| *weight != 0);
}

fn is_close(a: &Value, b: &Value) -> bool {
    let is_near = |x: f64, y: f64, tolerance: f64| x == y || (x - y).abs() <= tolerance * x.abs().max(y.abs());
    match (a, b) {
        (Value::Float4(x), Value::Float4(y)) => is_near(f64::from(*x), f64::from(*y), SINGLE_TOLERANCE),
        (Value::Float8(x), Value::Float8(y)) => is_near(*x, *y, DOUBLE_TOLERANCE),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[i32]) -> Row {
        values.iter().map(|value| Value::Int4(*value)).collect()
    }

    #[test]
    fn a_corrupted_table_is_caught() {
        let columns = [ColumnType::new(oid::INT4)];
        let memory = vec![(row(&[1]), 2), (row(&[2]), 1), (row(&[9]), 1)];
        let view = vec![row(&[1]), row(&[2]), row(&[3]), row(&[1])];
        let verdict = compare(Position(7), &columns, memory, view, 4);
        let expected = Verdict { position: Position(7), rows_in_memory: 4, rows_in_view: 4, missing: 1, extra: 1 };
        assert_eq!(verdict, expected);
    }

    #[test]
    fn multiplicity_and_scale_count() {
        let columns = [ColumnType::new(oid::INT4)];
        let verdict = compare(Position(7), &columns, vec![(row(&[1]), 1)], vec![row(&[1]), row(&[1])], 2);
        assert_eq!((verdict.missing, verdict.extra), (1, 0));
    }

    #[test]
    fn the_last_digits_of_a_float_do_not() {
        let columns = [ColumnType::new(oid::INT4), ColumnType::new(oid::FLOAT8)];
        let pair = |group: i32, sum: f64| -> Row { vec![Value::Int4(group), Value::Float8(sum)].into() };
        let close = compare(Position(1), &columns, vec![(pair(1, 0.1 + 0.2), 1)], vec![pair(1, 0.3)], 1);
        assert_eq!((close.missing, close.extra), (0, 0));
        let far = compare(Position(1), &columns, vec![(pair(1, 0.3001), 1)], vec![pair(1, 0.3)], 1);
        assert_eq!((far.missing, far.extra), (1, 1));
        let other = compare(Position(1), &columns, vec![(pair(2, 0.3), 1)], vec![pair(1, 0.3)], 1);
        assert_eq!((other.missing, other.extra), (1, 1));
    }
}
