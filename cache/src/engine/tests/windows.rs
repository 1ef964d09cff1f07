//! Windows whose rows are evaluated from the middle of a partition: after every change their rows are those that a new
//! engine, which evaluates the whole partition, gives.

use super::fixtures::*;
use crate::engine::TableChange;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use weir_planner::plan::{AggregateKind, Bound, Exclusion, Frame, FrameMode, Node, SortKey, WindowCall, WindowKind};
use weir_planner::types::oid;
use weir_planner::{ColumnType, Expr, Plan, RelationId, Row, Value};

/// (id, partition, order, value).
const TABLE: u32 = 1;
const VIEW: u32 = 10;

fn offset(random: &mut StdRng) -> Bound {
    let rows = Expr::Const(Value::Int8(random.random_range(0..4)));
    if random.random() { Bound::Preceding(rows) } else { Bound::Following(rows) }
}

/// Frames that Postgres accepts: no start behind its end by kind.
fn frame(random: &mut StdRng) -> Frame {
    let exclusion = match random.random_range(0..8) {
        0 => Exclusion::CurrentRow,
        1 => Exclusion::Group,
        2 => Exclusion::Ties,
        _ => Exclusion::None,
    };
    let grown = (Bound::Unbounded, Bound::CurrentRow);
    let (mode, (start, end)) = match random.random_range(0..10) {
        0 => (FrameMode::Range, grown),
        1 => (FrameMode::Groups, grown),
        2 => (FrameMode::Rows, grown),
        3 => (FrameMode::Rows, (Bound::Unbounded, offset(random))),
        4 => (FrameMode::Rows, (Bound::CurrentRow, Bound::Following(Expr::Const(Value::Int8(2))))),
        5 => (FrameMode::Range, (Bound::CurrentRow, Bound::CurrentRow)),
        mode => {
            let mode = if mode < 8 { FrameMode::Rows } else { FrameMode::Range };
            match (offset(random), offset(random)) {
                (start @ Bound::Following(_), Bound::Preceding(rows)) => (mode, (start, Bound::Following(rows))),
                (start, end) => (mode, (start, end)),
            }
        }
    };
    Frame { mode, start, end, exclusion }
}

fn window(random: &mut StdRng, order: (bool, bool)) -> WindowCall {
    use WindowKind::*;
    let kinds = [
        (Aggregate(AggregateKind::SumInt8), oid::NUMERIC),
        (Aggregate(AggregateKind::CountRows), oid::INT8),
        (Aggregate(AggregateKind::AvgInt), oid::NUMERIC),
        (Aggregate(AggregateKind::Min), oid::INT8),
        (Lag, oid::INT8),
        (Lead, oid::INT8),
        (FirstValue, oid::INT8),
        (LastValue, oid::INT8),
    ];
    let (kind, output) = kinds[random.random_range(0..kinds.len())];
    let (descending, nulls_first) = order;
    let key = SortKey { expr: column(2), kind: ColumnType::new(oid::INT8), descending, nulls_first };
    let mut call = WindowCall::plain(kind, vec![column(1)], vec![key], ColumnType::new(output));
    let argument = if random.random_bool(0.2) { call_divide() } else { column(3) };
    match kind {
        Aggregate(AggregateKind::CountRows) => {}
        Lag | Lead => {
            let by = Expr::Const(Value::Int4(random.random_range(-2..4)));
            call.args = vec![argument, by, Expr::Const(Value::Int8(-1))];
        }
        _ => call.args = vec![argument],
    }
    if !matches!(kind, Lag | Lead) {
        call.frame = frame(random);
    }
    call.input = Some(ColumnType::new(oid::INT8));
    call
}

/// Fails where the value is zero.
fn call_divide() -> Expr {
    call(&DIVIDE, vec![int(60), column(3)])
}

fn plan(random: &mut StdRng) -> Plan {
    let order = (random.random(), random.random());
    let functions: Vec<WindowCall> = (0..random.random_range(1..4)).map(|_| window(random, order)).collect();
    let mut columns = int_columns(4);
    columns.extend(functions.iter().map(|call| call.output.clone()));
    let input = Box::new(scan(TABLE, int_columns(4)));
    Plan { node: Node::Window { input, functions }, columns }
}

/// No order: NULL.
const UNORDERED: i64 = -1;

fn stored(row: &[i64; 4]) -> Row {
    let value =
        |(at, value): (usize, &i64)| if at == 2 && *value == UNORDERED { Value::Null } else { Value::Int8(*value) };
    row.iter().enumerate().map(value).collect()
}

fn bench(rows: &[[i64; 4]]) -> Bench {
    let mut bench = Bench::default();
    bench.engine.add_table(RelationId(TABLE), None).expect("a new table");
    bench.commit(TABLE, rows.iter().map(|row| insert(stored(row))).collect());
    bench
}

#[test]
fn parts_of_a_partition_are_evaluated_as_the_whole() {
    for seed in 0..150 {
        let mut random = StdRng::seed_from_u64(seed);
        let plan = plan(&mut random);
        // Orders without peers, with few and with many.
        let places = [2, 12, 60, 4_000][random.random_range(0..4)];
        let mut next = 0;
        let mut draw = |random: &mut StdRng| {
            next += 1;
            // Some rows look alike.
            let id = if random.random_bool(0.2) { 0 } else { next };
            let least = i64::from(!random.random_bool(0.1));
            let value = random.random_range(least..9);
            let place = if random.random_bool(0.05) { UNORDERED } else { random.random_range(0..places) };
            [id, random.random_range(0..2), place, value]
        };
        let mut rows: Vec<[i64; 4]> = (0..random.random_range(0..40)).map(|_| draw(&mut random)).collect();
        let mut kept = bench(&rows);
        kept.view(VIEW, &plan);
        for step in 0..25 {
            let changes = (0..random.random_range(1..4)).map(|_| {
                let old = (!rows.is_empty() && random.random_bool(0.6)).then(|| {
                    let at = random.random_range(0..rows.len());
                    rows.swap_remove(at)
                });
                let new = match old {
                    Some([id, partition, order, _]) if random.random_bool(0.5) => {
                        Some([id, partition, order, random.random_range(0..9)])
                    }
                    Some(_) if random.random_bool(0.5) => None,
                    _ => Some(draw(&mut random)),
                };
                rows.extend(new);
                TableChange::Row { old: old.as_ref().map(stored), new: new.as_ref().map(stored) }
            });
            let changes = changes.collect();
            kept.commit(TABLE, changes);
            kept.refresh(&[VIEW]);
            let mut whole = bench(&rows);
            whole.view(VIEW, &plan);
            assert_eq!(kept.published.rows(VIEW), whole.published.rows(VIEW), "seed {seed}, step {step}, {plan:?}");
        }
    }
}
