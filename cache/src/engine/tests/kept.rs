//! Base tables that are let go: what goes on without their rows, and what does not.

use super::fixtures::*;
use crate::engine::{EngineError, TableChange};
use weir_planner::plan::{AggregateKind, JoinKind};
use weir_planner::{Plan, RelationId, Row, Value};

const TABLE: u32 = 1;
const OTHER: u32 = 2;
const VIEW: u32 = 10;
const READER: u32 = 11;
const BYSTANDER: u32 = 12;

fn bench() -> Bench {
    Bench::of(&[TABLE, OTHER])
}

/// Rows by their first column.
fn counts(relation: u32) -> Plan {
    let input = scan(relation, int_columns(2));
    let count = aggregate_call(AggregateKind::CountRows, None, &input);
    aggregate(input, vec![0], vec![count])
}

fn let_go(bench: &mut Bench, table: u32) -> bool {
    bench.engine.let_go_of(RelationId(table)).expect("it is kept").is_some()
}

fn bytes(bench: &Bench, relation: u32) -> usize {
    bench.engine.memory().into_iter().find(|(id, _)| id.0 == relation).map_or(0, |(_, bytes)| bytes)
}

fn is_missing<T>(result: Result<T, EngineError>) -> bool {
    matches!(result, Err(EngineError::NotKept(RelationId(TABLE))))
}

#[test]
fn changes_go_on_without_the_rows() {
    let mut bench = bench();
    bench.view(VIEW, &counts(TABLE));
    bench.view(READER, &dividing_filter(TABLE));
    bench.commit(TABLE, vec![insert(ints(&[1, 2])), insert(ints(&[1, 4]))]);
    bench.refresh(&[VIEW]);
    // Some of it waits for its reader yet.
    assert!(bench.engine.is_stale(RelationId(READER)) && bytes(&bench, TABLE) > 0);
    assert!(let_go(&mut bench, TABLE));
    assert_eq!(bytes(&bench, TABLE), 0);

    bench.commit(TABLE, vec![insert(ints(&[2, 0])), update(&[1, 2], &[2, 3]), update(&[1, 4], &[1, 6])]);
    bench.commit(TABLE, vec![update(&[1, 6], &[1, 6])]);
    bench.refresh(&[VIEW, READER]);
    assert_eq!(bench.published.rows(VIEW), [[1, 1], [2, 2]].map(|row| ints(&row)));
    assert!(bench.in_error(READER));
    bench.commit(TABLE, vec![delete(ints(&[2, 0])), delete(ints(&[1, 6]))]);
    bench.refresh(&[VIEW, READER]);
    assert_eq!(bench.published.rows(VIEW), [ints(&[2, 1])]);
    assert_eq!(bench.published.rows(READER), [ints(&[2, 3])]);
    assert!(!bench.in_error(READER));
    assert_eq!(bytes(&bench, TABLE), 0);
}

#[test]
fn what_is_looked_up_by_key_is_kept() {
    let mut bench = bench();
    let equal = || vec![(column(0), column(0))];
    let joined = join(JoinKind::Left, scan(TABLE, int_columns(2)), scan(OTHER, int_columns(2)), equal(), None);
    bench.view(VIEW, &joined);
    assert!(!let_go(&mut bench, TABLE) && !let_go(&mut bench, OTHER));
    bench.commit(TABLE, vec![insert(ints(&[1, 2]))]);
    bench.refresh(&[VIEW]);
    assert_eq!(bench.engine.table_rows(RelationId(TABLE)).expect("it is kept").len(), 1);

    // The index goes with the join.
    bench.engine.drop_view(RelationId(VIEW)).expect("nobody reads it");
    assert!(let_go(&mut bench, TABLE));

    // An index of what is made of the rows is none of theirs.
    let positive = filter(scan(OTHER, int_columns(2)), call(&LESS, vec![int(0), column(1)]));
    bench.view(READER, &join(JoinKind::Full, positive.clone(), positive, equal(), None));
    assert!(let_go(&mut bench, OTHER));
    bench.commit(OTHER, vec![insert(ints(&[1, 2])), insert(ints(&[1, -2])), insert(ints(&[3, 4]))]);
    bench.commit(OTHER, vec![update(&[1, 2], &[1, -7]), update(&[1, -2], &[1, 5])]);
    bench.refresh(&[READER]);
    assert_eq!(bench.published.rows(READER), [[1, 5, 1, 5], [3, 4, 3, 4]].map(|row| ints(&row)));
}

#[test]
fn what_needs_the_rows_says_that_they_are_not_kept() {
    let mut bench = bench();
    bench.commit(TABLE, vec![insert(ints(&[1, 2]))]);
    bench.view(VIEW, &counts(TABLE));
    assert!(let_go(&mut bench, TABLE));
    let nodes = bench.engine.node_count();
    let table = RelationId(TABLE);

    assert!(is_missing(bench.engine.let_go_of(table)));
    assert!(is_missing(bench.engine.table_rows(table)));
    assert!(is_missing(bench.engine.load(table, vec![ints(&[1, 2])])));
    assert!(is_missing(bench.engine.set_rows(table, vec![ints(&[1, 2])])));
    assert!(is_missing(bench.engine.apply(table, vec![TableChange::Truncate])));
    let reader = RelationId(READER);
    let other = scan(OTHER, int_columns(2));
    let joined = join(JoinKind::Inner, scan(TABLE, int_columns(2)), other, vec![(column(0), column(0))], None);
    for plan in [scan(TABLE, int_columns(2)), dividing_filter(TABLE), joined] {
        assert!(is_missing(bench.engine.add_view(reader, &plan, &bench.published)));
    }
    assert_eq!(bench.engine.node_count(), nodes, "nodes outlive a view that was refused");

    // What has a state of its own is enough for a view over it, and for another of the same plan.
    bench.view(READER, &aggregate(scan(VIEW, int_columns(2)), vec![], vec![]));
    bench.view(BYSTANDER, &counts(TABLE));
    assert_eq!(bench.published.rows(BYSTANDER), [ints(&[1, 1])]);

    // No view reads this one: whatever becomes of its rows is nobody's concern.
    assert!(let_go(&mut bench, OTHER));
    bench.commit(OTHER, vec![insert(ints(&[1, 2])), TableChange::Truncate]);
}

#[test]
fn a_view_over_one_that_keeps_nothing_is_filled_from_what_is_published() {
    let mut bench = bench();
    bench.commit(TABLE, vec![insert(ints(&[1, 3])), insert(ints(&[2, 1]))]);
    bench.view(VIEW, &dividing_filter(TABLE));
    assert!(let_go(&mut bench, TABLE));
    bench.view(READER, &counts(VIEW));
    assert_eq!(bench.published.rows(READER), [ints(&[1, 1])]);

    // What is published is not the present: the rows below would have to be read.
    bench.commit(TABLE, vec![insert(ints(&[1, 4]))]);
    let bystander = RelationId(BYSTANDER);
    let plan = scan(VIEW, int_columns(2));
    assert!(is_missing(bench.engine.add_view(bystander, &plan, &bench.published)));
    // What it has brought to the present on the way is told all the same.
    let changes = bench.engine.take_unreported();
    bench.published.apply(changes);
    bench.refresh(&[READER]);
    assert_eq!(bench.published.rows(READER), [ints(&[1, 2])]);
    bench.view(BYSTANDER, &plan);
    assert_eq!(bench.published.rows(BYSTANDER), [[1, 3], [1, 4]].map(|row| ints(&row)));
}

#[test]
fn a_table_that_was_let_go_comes_back_as_a_new_one() {
    let mut bench = bench();
    bench.view(VIEW, &counts(TABLE));
    assert!(let_go(&mut bench, TABLE));
    bench.commit(TABLE, vec![insert(ints(&[1, 2]))]);
    bench.engine.drop_view(RelationId(VIEW)).expect("nobody reads it");
    bench.published.tables.clear();
    bench.engine.drop_table(RelationId(TABLE)).expect("no view reads it");
    bench.table(TABLE);
    bench.engine.load(RelationId(TABLE), vec![ints(&[1, 2]), ints(&[3, 4])]).expect("a new table");
    bench.view(VIEW, &counts(TABLE));
    bench.commit(TABLE, vec![TableChange::Truncate, insert(ints(&[5, 6]))]);
    bench.refresh(&[VIEW]);
    assert_eq!(bench.published.rows(VIEW), [ints(&[5, 1])]);
}

/// The rows of a table are where an index has them, but those that it leaves out; they outlive it, and another takes them over.
#[test]
fn rows_are_once_where_an_index_has_them() {
    let table = RelationId(TABLE);
    let (missing, null) = (row(vec![Value::Null, Value::Int8(0)]), row(vec![Value::Int8(0), Value::Null]));
    let by = |column_of_table: usize| {
        let equal = vec![(column(column_of_table), column(0))];
        join(JoinKind::Inner, scan(TABLE, int_columns(2)), scan(OTHER, int_columns(2)), equal, None)
    };
    let mut bench = bench();
    let mut rows: Vec<Row> = (0..200).map(|n| ints(&[n, n / 20])).chain([missing.clone(), null.clone()]).collect();
    rows.push(rows[7].clone());
    bench.commit(TABLE, rows.iter().cloned().map(insert).collect());
    let check = |bench: &Bench, rows: &[Row]| {
        let repeated = |(row, weight): (Row, i64)| std::iter::repeat_n(row, weight as usize);
        let ours = bench.engine.table_rows(table).expect("they are kept").into_iter().flat_map(repeated);
        assert_eq!(super::oracle::normal_form(ours), super::oracle::normal_form(rows.to_vec()));
    };
    let holder = |bench: &Bench| bench.engine.holder_of(table);

    bench.view(VIEW, &by(0));
    // All but the one without a key.
    let (first, own) = holder(&bench).expect("an index by plain columns has the rows");
    assert_eq!(own, 1);
    check(&bench, &rows);
    bench.view(READER, &by(1));
    assert_eq!(holder(&bench), Some((first, 1)));

    // What the index has and what it leaves out goes and comes; what is nowhere is missed.
    let changes =
        vec![delete(missing.clone()), delete(null.clone()), insert(missing.clone()), update(&[8, 0], &[8, 9])];
    bench.commit(TABLE, changes);
    rows.retain(|row| *row != ints(&[8, 0]) && *row != null);
    rows.push(ints(&[8, 9]));
    check(&bench, &rows);
    for gone in [null.clone(), ints(&[8, 0]), ints(&[900, 0]), row(vec![Value::Null, Value::Int8(5)])] {
        let result = bench.engine.apply(table, vec![delete(gone)]);
        assert!(matches!(result, Err(EngineError::MissingRow(missed)) if missed == table));
    }
    check(&bench, &rows);

    // The index goes with its join, and the other one takes the rows over; nobody else does, and it stays for them.
    bench.engine.drop_view(RelationId(VIEW)).expect("nobody reads it");
    let (second, own) = holder(&bench).expect("the other index");
    assert_ne!(second, first);
    assert_eq!(own, 0, "the row without that key has gone");
    check(&bench, &rows);
    bench.commit(TABLE, vec![insert(null.clone()), delete(ints(&[9, 0]))]);
    rows.retain(|row| *row != ints(&[9, 0]));
    rows.push(null);
    bench.engine.drop_view(RelationId(READER)).expect("nobody reads it");
    assert_eq!(holder(&bench), Some((second, 1)));
    check(&bench, &rows);
    bench.commit(TABLE, vec![delete(missing.clone()), insert(missing), delete(ints(&[10, 0])), insert(ints(&[10, 0]))]);
    check(&bench, &rows);

    // A view that looks it up again finds it; one with an index of its own takes the rows.
    bench.view(VIEW, &by(1));
    assert_eq!(holder(&bench), Some((second, 1)));
    bench.engine.drop_view(RelationId(VIEW)).expect("nobody reads it");
    bench.view(VIEW, &by(0));
    assert!(holder(&bench).is_some_and(|(index, own)| index != second && own == 1));
    check(&bench, &rows);
    bench.commit(TABLE, vec![TableChange::Truncate, insert(ints(&[1, 1]))]);
    check(&bench, &[ints(&[1, 1])]);

    // Without the join they can be let go, wherever they are.
    assert!(!let_go(&mut bench, TABLE));
    bench.engine.drop_view(RelationId(VIEW)).expect("nobody reads it");
    assert!(let_go(&mut bench, TABLE));
    assert_eq!(bytes(&bench, TABLE), 0);
}
