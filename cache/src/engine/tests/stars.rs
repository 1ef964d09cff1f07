//! Stars: what the random walks reach too rarely.

use super::fixtures::*;
use crate::engine::TableChange;
use weir_planner::plan::JoinKind::{Inner, Left};
use weir_planner::{Plan, RelationId, Value};

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

/// Facts, users and shops by content.
type State = [Vec<Vec<i64>>; 3];

/// The fact's id, its user, the values of user and shop, and their sum: from scratch.
fn expected(state: &State) -> Vec<weir_planner::Row> {
    let values = |table: &Vec<Vec<i64>>, id: i64| {
        let found: Vec<Option<i64>> = table.iter().filter(|row| row[0] == id).map(|row| Some(row[1])).collect();
        if found.is_empty() { vec![None] } else { found }
    };
    let value = |value: Option<i64>| value.map_or(Value::Null, Value::Int8);
    let mut rows = vec![];
    for fact in &state[0] {
        for user in values(&state[1], fact[1]) {
            for shop in values(&state[2], fact[2]) {
                let sum = user.zip(shop).map(|(user, shop)| user + shop);
                rows.push(row(vec![Value::Int8(fact[0]), Value::Int8(fact[1]), value(user), value(shop), value(sum)]));
            }
        }
    }
    rows.sort_by_key(|row| format!("{row:?}"));
    rows
}

/// Kept output rows through everything that makes them unusable: duplicates, several matches, changes on two sides.
#[test]
fn kept_rows_are_given_up_when_they_are_not_the_only_ones() {
    const NONE: &[i64] = &[];
    type Step = &'static [(u32, &'static [i64], &'static [i64])];
    let start: Step = &[
        (FACTS, NONE, &[1, 7, 8]),
        (FACTS, NONE, &[2, 7, 9]),
        (FACTS, NONE, &[3, 6, 8]),
        (USERS, NONE, &[7, 1]),
        (USERS, NONE, &[7, 1]),
        (USERS, NONE, &[6, 5]),
        (SHOPS, NONE, &[8, 10]),
        (SHOPS, NONE, &[9, 20]),
    ];
    let steps: [Step; 17] = [
        &[(SHOPS, &[8, 10], &[8, 11])],
        &[(SHOPS, &[8, 11], &[8, 12])],
        &[(USERS, &[7, 1], NONE)],
        &[(SHOPS, &[8, 12], &[8, 13])],
        &[(USERS, &[7, 1], &[7, 2])],
        &[(USERS, NONE, &[7, 3])],
        &[(USERS, &[7, 3], &[7, 4])],
        &[(SHOPS, &[9, 20], &[9, 21])],
        &[(USERS, &[7, 4], NONE)],
        &[(USERS, &[7, 2], &[7, 3]), (SHOPS, &[8, 13], &[8, 15])],
        &[(SHOPS, &[8, 15], &[8, 16])],
        &[(USERS, &[6, 5], &[6, 6])],
        &[(SHOPS, &[8, 16], NONE)],
        &[(SHOPS, NONE, &[8, 1])],
        &[(USERS, &[6, 6], &[6, 7])],
        &[(FACTS, &[1, 7, 8], &[1, 6, 8])],
        &[(USERS, &[6, 7], &[6, 8])],
    ];
    let sum = call(&ADD, vec![column(4), column(6)]);
    let plan = project(star(), vec![column(0), column(1), column(4), column(6), sum], int_columns(5));
    for is_filled_first in [true, false] {
        let mut bench = bench();
        let mut state = State::default();
        if !is_filled_first {
            bench.view(VIEW, &plan);
        }
        for (step, changes) in [start].into_iter().chain(steps).enumerate() {
            for &(table, old, new) in changes {
                let rows = &mut state[table as usize - 1];
                if let Some(at) = rows.iter().position(|row| row == old) {
                    rows.swap_remove(at);
                }
                rows.extend((!new.is_empty()).then(|| new.to_vec()));
                let some = |values: &[i64]| (!values.is_empty()).then(|| ints(values));
                bench.commit(table, vec![TableChange::Row { old: some(old), new: some(new) }]);
            }
            if step == 0 && is_filled_first {
                bench.view(VIEW, &plan);
            }
            bench.refresh(&[VIEW]);
            assert_eq!(bench.published.rows(VIEW), expected(&state), "step {step}, filled first: {is_filled_first}");
        }
    }
}

/// Few users and shops, of which many change in each commit: drivers whose row several links replace at once, beside
/// those that a change takes to no row or to several.
#[test]
fn several_links_replace_rows_at_once() {
    use rand::{Rng, SeedableRng};
    let mut random = rand::rngs::StdRng::seed_from_u64(20_261_129);
    let sum = call(&ADD, vec![column(4), column(6)]);
    let plan = project(star(), vec![column(0), column(1), column(4), column(6), sum], int_columns(5));
    for _ in 0..200 {
        let (mut bench, mut state) = (bench(), State::default());
        let mut id = 0;
        for step in 0..12 {
            for _ in 0..random.random_range(1..25) {
                let table = random.random_range(0..3);
                let rows = &mut state[table];
                let changed = (!rows.is_empty() && random.random_bool(0.8)).then(|| random.random_range(0..rows.len()));
                let old = changed.map(|at| rows.swap_remove(at));
                id += 1;
                let new = match (&old, table) {
                    (Some(_), _) if random.random_bool(0.1) => None,
                    (Some(old), 0) => Some(vec![old[0], random.random_range(0..4), random.random_range(0..3)]),
                    (Some(old), _) => Some(vec![old[0], random.random_range(0..3)]),
                    (None, 0) => Some(vec![id, random.random_range(0..4), random.random_range(0..3)]),
                    (None, _) => Some(vec![random.random_range(0..4), random.random_range(0..3)]),
                };
                rows.extend(new.clone());
                let row = |values: Option<Vec<i64>>| values.map(|values| ints(&values));
                bench.commit([FACTS, USERS, SHOPS][table], vec![TableChange::Row { old: row(old), new: row(new) }]);
            }
            if step == 0 {
                bench.view(VIEW, &plan);
            }
            bench.refresh(&[VIEW]);
            assert_eq!(bench.published.rows(VIEW), expected(&state), "step {step}");
        }
    }
}
