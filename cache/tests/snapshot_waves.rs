//! Updates that go through a table in waves, as a change of one merchant goes through all its transactions: rows move
//! from sparse chunks to new ones and take over ids, while versions from before the wave are read.

mod support;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Arc;
use support::{call, column, filter, int8, row, scan, three_columns};
use weir_cache::read::execute;
use weir_cache::{Delta, Position, Publisher, Snapshot};
use weir_planner::eval::EvalContext;
use weir_planner::{RelationId, Row, Value};
use weir_tests::rng;

const TABLE: RelationId = RelationId(7);
const ROWS: i64 = 6_000;
const GROUPS: i64 = 20;

/// Revision of each row by its id; the group of a row is its id modulo [`GROUPS`].
type Model = BTreeMap<i64, i64>;

fn seed() -> u64 {
    let seed = rng::seed();
    eprintln!("WEIR_TEST_SEED={seed}");
    seed
}

fn stored(id: i64, revision: i64) -> Row {
    row([Value::Int8(id), Value::text(&format!("revision {revision}")), Value::Int8(id % GROUPS)])
}

fn rows_of(snapshot: &Snapshot) -> Vec<(Row, i64)> {
    let mut rows = Vec::new();
    snapshot.tables[&TABLE].for_each(&mut |row, count| rows.push((row.clone(), count)));
    rows.sort_by_key(|(row, _)| match row[0] {
        Value::Int8(id) => id,
        _ => unreachable!("ids are integers"),
    });
    rows
}

fn expected(model: &Model) -> Vec<(Row, i64)> {
    model.iter().map(|(&id, &revision)| (stored(id, revision), 1)).collect()
}

/// One wave over a group: most rows change, some go, some come back.
fn wave(model: &mut Model, group: i64, rng: &mut StdRng) -> Delta {
    let mut delta = Delta::new();
    let deleting = if rng.random_bool(0.1) { 0.9 } else { 0.02 };
    for id in (group..ROWS).step_by(GROUPS as usize) {
        let before = model.get(&id).copied();
        let after = match before {
            Some(_) if rng.random_bool(deleting) => None,
            Some(revision) => Some(revision + 1),
            None if rng.random_bool(0.5) => Some(0),
            None => continue,
        };
        delta.extend(before.map(|revision| (stored(id, revision), -1)));
        delta.extend(after.map(|revision| (stored(id, revision), 1)));
        match after {
            Some(revision) => model.insert(id, revision),
            None => model.remove(&id),
        };
    }
    delta
}

fn accounted(publisher: &Publisher) -> usize {
    publisher.memory().iter().map(|(_, bytes)| bytes).sum()
}

#[test]
fn waves_leave_older_versions_alone_and_no_memory_behind() {
    let mut rng = StdRng::seed_from_u64(seed());
    let columns = three_columns();
    let of_group = |group| filter(scan(TABLE, &columns), call("int8eq", [column(2), int8(group)]));
    let of_id = |id| filter(scan(TABLE, &columns), call("int8eq", [column(0), int8(id)]));
    let mut model: Model = (0..ROWS).map(|id| (id, 0)).collect();
    let mut publisher = Publisher::new();
    publisher.add(TABLE, three_columns());
    publisher.apply(TABLE, &expected(&model));
    let fresh = accounted(&publisher);
    publisher.stamp(TABLE, Position(1));
    let mut kept: Vec<(Arc<Snapshot>, Model)> = vec![(publisher.publish(Position(1)), model.clone())];
    let context = EvalContext::default();
    for round in 2..160 {
        let delta = wave(&mut model, rng.random_range(0..GROUPS), &mut rng);
        publisher.apply(TABLE, &delta);
        publisher.stamp(TABLE, Position(round));
        let newest = (publisher.publish(Position(round)), model.clone());
        if rng.random_bool(0.3) {
            while publisher.reclaim() {}
        }
        for (snapshot, model) in [&newest, &kept[rng.random_range(0..kept.len())]] {
            let (group, id) = (rng.random_range(0..GROUPS), rng.random_range(0..ROWS));
            let mut found = execute(&of_group(group), snapshot, &context).expect("answered");
            let mut want: Vec<Row> =
                model.iter().filter(|(id, _)| *id % GROUPS == group).map(|(&id, &rev)| stored(id, rev)).collect();
            let by_id = |row: &Row| format!("{:?}", row[0]);
            found.sort_by_key(by_id);
            want.sort_by_key(by_id);
            assert!(found == want, "group {group} in round {round}");
            let found = execute(&of_id(id), snapshot, &context).expect("answered");
            let want: Vec<Row> = model.get(&id).map(|&revision| stored(id, revision)).into_iter().collect();
            assert_eq!(found, want, "id {id} in round {round}");
        }
        kept.push(newest);
        if kept.len() > 12 {
            let (snapshot, model) = kept.swap_remove(rng.random_range(0..kept.len()));
            assert!(rows_of(&snapshot) == expected(&model), "a version let go in round {round}");
        }
    }
    for (snapshot, model) in &kept {
        assert!(rows_of(snapshot) == expected(model), "a version kept to the end");
    }
    assert_eq!(publisher.publish(Position(1_000)).tables[&TABLE].index_specs().count(), 2);
    assert!(publisher.broken().is_empty());
    while publisher.reclaim() {}
    // Half-live chunks, two indexes and the text of higher revisions; dead rows without bound would be twenty times it.
    assert!(accounted(&publisher) < 4 * fresh, "{} bytes after {fresh}", accounted(&publisher));
}

/// The first rows all differ in the first column; the later ones hardly do. Rows are found nevertheless, also those that
/// die in the very delta that makes the publisher look for other columns, and quickly: thousands of rows of one hash
/// would take minutes.
#[test]
fn a_column_that_stops_telling_rows_apart() {
    let mut publisher = Publisher::new();
    publisher.add(TABLE, three_columns());
    let row_of = |first: i64, last: i64| row([Value::Int8(first), Value::Null, Value::Int8(last)]);
    let first: Delta = (0..300).map(|id| (row_of(id, 0), 1)).collect();
    publisher.apply(TABLE, &first);
    let mut delta: Delta = (0..150).map(|id| (row_of(id, 0), -1)).collect();
    delta.extend((1..40_000).map(|last| (row_of(299, last), 1)));
    publisher.apply(TABLE, &delta);
    publisher.stamp(TABLE, Position(1));
    let before = publisher.publish(Position(1));
    assert_eq!(before.tables[&TABLE].len(), 150 + 39_999);
    let mut updates: Delta = (1..40_000).map(|last| (row_of(299, last), -1)).collect();
    updates.extend((1..40_000).map(|last| (row_of(298, last), 1)));
    updates.extend((0..150).map(|id| (row_of(id, 0), 1)));
    publisher.apply(TABLE, &updates);
    publisher.stamp(TABLE, Position(2));
    let after = publisher.publish(Position(2));
    assert!(publisher.broken().is_empty());
    let count = |snapshot: &Snapshot, first: i64| {
        let mut count = 0;
        snapshot.tables[&TABLE].for_each(&mut |row, weight| count += weight * i64::from(row[0] == Value::Int8(first)));
        count
    };
    assert_eq!((count(&before, 299), count(&before, 298), count(&before, 7)), (40_000, 1, 0));
    assert_eq!((count(&after, 299), count(&after, 298), count(&after, 7)), (1, 40_000, 1));
}
