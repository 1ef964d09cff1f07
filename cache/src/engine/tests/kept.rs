//! Base tables that are let go: what goes on without their rows, and what does not.

use super::fixtures::*;
use crate::engine::{EngineError, TableChange};
use weir_planner::plan::{AggregateKind, JoinKind};
use weir_planner::{Plan, RelationId};

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
