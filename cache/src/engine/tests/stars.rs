//! Stars: what the random walks reach too rarely.

use super::fixtures::*;
use weir_planner::plan::JoinKind::{Inner, Left};
use weir_planner::{Plan, RelationId};

/// Unique by its first column.
const FACTS: u32 = 1;
const USERS: u32 = 2;
const SHOPS: u32 = 3;
const VIEW: u32 = 10;

/// Facts are (id, user, shop), users and shops (id, value).
fn bench() -> Bench {
    let mut bench = Bench::default();
    bench.engine.add_table(RelationId(FACTS), Some(vec![0])).expect("a new table");
    bench.table(USERS);
    bench.table(SHOPS);
    bench
}

fn star() -> Plan {
    let users =
        join(Left, scan(FACTS, int_columns(3)), scan(USERS, int_columns(2)), vec![(column(1), column(0))], None);
    join(Left, users, scan(SHOPS, int_columns(2)), vec![(column(2), column(0))], None)
}

/// The fact's id, the user's value and the shop's value.
fn values() -> Plan {
    project(star(), vec![column(0), call(&ADD, vec![column(4), int(0)]), column(6)], int_columns(3))
}

#[test]
fn several_matches_with_one_output_are_reported_as_one_row() {
    let mut bench = bench();
    bench.view(VIEW, &project(star(), vec![column(0), column(1)], int_columns(2)));
    bench.commit(FACTS, vec![insert(ints(&[1, 7, 8]))]);
    bench.refresh(&[VIEW]);
    // Published::apply sees to it that no row is reported twice.
    bench.commit(USERS, vec![insert(ints(&[7, 1])), insert(ints(&[7, 2])), insert(ints(&[7, 3]))]);
    bench.refresh(&[VIEW]);
    assert_eq!(bench.published.rows(VIEW), vec![ints(&[1, 7]); 3]);
}

#[test]
fn a_failed_key_is_counted_once_whatever_changes_behind_it() {
    let mut bench = bench();
    let quotient = call(&DIVIDE, vec![int(12), column(1)]);
    let users = join(Left, scan(FACTS, int_columns(3)), scan(USERS, int_columns(2)), vec![(quotient, column(0))], None);
    let plan = join(Inner, users, scan(SHOPS, int_columns(2)), vec![(column(2), column(0))], None);
    bench.view(VIEW, &plan);
    bench.commit(FACTS, vec![insert(ints(&[1, 0, 8]))]);
    bench.refresh(&[VIEW]);
    assert!(bench.in_error(VIEW));
    for shop in 1..4 {
        bench.commit(SHOPS, vec![insert(ints(&[8, shop]))]);
        bench.refresh(&[VIEW]);
        assert!(bench.in_error(VIEW));
    }
    bench.commit(FACTS, vec![delete(ints(&[1, 0, 8]))]);
    bench.refresh(&[VIEW]);
    assert!(!bench.in_error(VIEW), "the failure outlives its row");
}

#[test]
fn changes_on_all_sides_of_one_commit_are_counted_once() {
    let mut bench = bench();
    bench.commit(FACTS, (0..40).map(|id| insert(ints(&[id, id % 4, id % 3]))).collect());
    bench.commit(USERS, (0..4).map(|id| insert(ints(&[id, 100 + id]))).collect());
    bench.commit(SHOPS, (0..3).map(|id| insert(ints(&[id, 200 + id]))).collect());
    bench.view(VIEW, &values());
    let mut facts: Vec<i64> = (0..40).collect();
    for round in 1..6 {
        bench.commit(USERS, vec![update(&[1, 100 + round], &[1, 101 + round])]);
        bench.commit(SHOPS, vec![update(&[2, 201 + round], &[2, 202 + round])]);
        bench.commit(FACTS, vec![insert(ints(&[40 + round, 1, 2])), delete(ints(&[round, round % 4, round % 3]))]);
        facts.retain(|id| *id != round);
        facts.push(40 + round);
        bench.refresh(&[VIEW]);
        let user = |id: i64| if id % 4 == 1 || id > 40 { 101 + round } else { 100 + id % 4 };
        let shop = |id: i64| if id % 3 == 2 || id > 40 { 202 + round } else { 200 + id % 3 };
        let mut expected: Vec<_> = facts.iter().map(|&id| ints(&[id, user(id), shop(id)])).collect();
        expected.sort_by_key(|row| format!("{row:?}"));
        assert_eq!(bench.published.rows(VIEW), expected, "round {round}");
    }
}
