//! Random deltas against a plain map of rows: every version, however old, keeps showing exactly its own rows, to
//! scans and to index reads alike, while newer ones are published.

mod support;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::HashMap;
use std::sync::{Arc, mpsc};
use support::{call, column, filter, int8, row, scan, sort, three_columns};
use weir_cache::read::{Compiled, execute};
use weir_cache::{Delta, Position, Publisher, Snapshot};
use weir_planner::eval::EvalContext;
use weir_planner::{Expr, RelationId, Row, Value};
use weir_tests::rng;

const TABLE: RelationId = RelationId(7);

type Bag = HashMap<Row, i64>;
/// What a condition means for an id.
type Holds = Box<dyn Fn(i64) -> bool>;

fn seed() -> u64 {
    let seed = rng::seed();
    eprintln!("WEIR_TEST_SEED={seed}");
    seed
}

fn random_row(rng: &mut StdRng, domain: i64) -> Row {
    let name = match rng.random_range(0..6) {
        0 => Value::Null,
        n => {
            Value::text(["a", "b", "long enough to leave the prefix 1", "long enough to leave the prefix 2", ""][n - 1])
        }
    };
    row([Value::Int8(rng.random_range(0..domain)), name, Value::Int8(rng.random_range(-5..5))])
}

/// A consolidated delta that fits the bag, and the bag after it.
fn random_delta(rng: &mut StdRng, bag: &mut Bag, domain: i64, size: usize, deleting: f64) -> Delta {
    let mut delta: HashMap<Row, i64> = HashMap::new();
    let present: Vec<Row> = bag.keys().cloned().collect();
    for _ in 0..size {
        let (row, weight) = if !present.is_empty() && rng.random_bool(deleting) {
            let row = present[rng.random_range(0..present.len())].clone();
            let left = bag[&row] + delta.get(&row).copied().unwrap_or(0);
            if left <= 0 {
                continue;
            }
            (row, -rng.random_range(1..=left))
        } else {
            (random_row(rng, domain), if rng.random_bool(0.1) { rng.random_range(2..4) } else { 1 })
        };
        *delta.entry(row).or_insert(0) += weight;
    }
    delta.retain(|_, weight| *weight != 0);
    for (row, weight) in &delta {
        let count = bag.entry(row.clone()).or_insert(0);
        *count += weight;
        if *count == 0 {
            bag.remove(row);
        }
    }
    delta.into_iter().collect()
}

fn rows_of(snapshot: &Snapshot) -> Bag {
    let mut rows = Bag::new();
    snapshot.tables[&TABLE].for_each(&mut |row, count| {
        let before = rows.insert(row.clone(), count);
        assert_eq!(before, None, "a row has one slot");
    });
    rows
}

fn expanded<'a>(rows: impl IntoIterator<Item = (&'a Row, &'a i64)>) -> Vec<Row> {
    let mut all: Vec<Row> =
        rows.into_iter().flat_map(|(row, &count)| std::iter::repeat_n(row.clone(), count as usize)).collect();
    all.sort_by_key(|row| format!("{row:?}"));
    all
}

/// Point, IN, range and top-k reads of a version equal what its bag says.
fn check_reads(snapshot: &Snapshot, bag: &Bag, rng: &mut StdRng, domain: i64) {
    let context = EvalContext::default();
    let columns = three_columns();
    let key = rng.random_range(0..domain);
    let other = rng.random_range(0..domain);
    let conditions: Vec<(Expr, Holds)> = vec![
        (call("int8eq", [column(0), int8(key)]), Box::new(move |id| id == key)),
        (
            Expr::ScalarArray {
                function: support::function("int8eq"),
                any: true,
                left: Box::new(column(0)),
                list: vec![int8(key), int8(other), int8(key)],
            },
            Box::new(move |id| id == key || id == other),
        ),
        (
            Expr::And(vec![call("int8ge", [column(0), int8(key)]), call("int8lt", [column(0), int8(key + 3)])]),
            Box::new(move |id| (key..key + 3).contains(&id)),
        ),
    ];
    for (condition, holds) in conditions {
        let plan = filter(scan(TABLE, &columns), condition.clone());
        let mut got = execute(&plan, snapshot, &context).expect("a filter of a published table is answered");
        got.sort_by_key(|row| format!("{row:?}"));
        let want = expanded(bag.iter().filter(|(row, _)| matches!(row[0], Value::Int8(id) if holds(id))));
        assert_eq!(got, want, "{condition:?}");
    }
    for keys in [vec![(2, true), (1, false), (0, false)], vec![(0, true), (1, true), (2, false)]] {
        let plan = sort(scan(TABLE, &columns), &keys, Some(7), Some(2));
        let got = execute(&plan, snapshot, &context).expect("a top-k of a published table is answered");
        let order = support::order(&plan, &keys);
        let mut want = expanded(bag);
        want.sort_by(|a, b| {
            let values = |row: &Row| {
                order
                    .iter()
                    .map(|key| key.expr.eval(weir_planner::eval::Tuple::single(row), &context))
                    .collect::<Vec<_>>()
            };
            weir_planner::value::compare_sort_keys(&values(a), &values(b), &order)
        });
        let want: Vec<Row> = want.into_iter().skip(2).take(7).collect();
        assert_eq!(got, want, "{keys:?}");
    }
}

#[test]
fn versions_stay_as_they_were() {
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    for domain in [40, 3_000] {
        let mut publisher = Publisher::new();
        publisher.add(TABLE, three_columns());
        let mut bag = Bag::new();
        let mut kept: Vec<(Arc<Snapshot>, Bag)> = Vec::new();
        let (readers, threads): (Vec<_>, Vec<_>) = (0..3u64)
            .map(|number| {
                let (sender, receiver) = mpsc::channel::<(Arc<Snapshot>, Bag)>();
                let thread = std::thread::spawn(move || {
                    let mut rng = StdRng::seed_from_u64(seed ^ number);
                    for (snapshot, bag) in receiver {
                        assert_eq!(rows_of(&snapshot), bag);
                        check_reads(&snapshot, &bag, &mut rng, domain);
                    }
                });
                (sender, thread)
            })
            .unzip();
        for round in 0..150u64 {
            let size = [0, 1, 3, 60, 900][rng.random_range(0..5)];
            let deleting = if round % 40 > 25 { 0.85 } else { 0.4 };
            let delta = random_delta(&mut rng, &mut bag, domain, size, deleting);
            publisher.apply(TABLE, &delta);
            publisher.stamp(TABLE, Position(round + 1));
            let snapshot = publisher.publish(Position(round + 1));
            while rng.random_bool(0.5) && publisher.reclaim() {}
            assert_eq!(snapshot.tables[&TABLE].len() as i64, bag.values().sum::<i64>());
            let reader = rng.random_range(0..readers.len());
            readers[reader].send((snapshot.clone(), bag.clone())).expect("the reader is there");
            if rng.random_bool(0.2) {
                kept.push((snapshot, bag.clone()));
            }
        }
        drop(readers);
        for thread in threads {
            thread.join().expect("a reader found its version as it was");
        }
        assert!(publisher.broken().is_empty());
        let specs = publisher.publish(Position(1_000)).tables[&TABLE].index_specs().count();
        assert!(domain < 1_000 || specs >= 2, "repeated reads got their indexes, there are {specs}");
        for (snapshot, bag) in kept {
            assert_eq!(rows_of(&snapshot), bag);
            check_reads(&snapshot, &bag, &mut rng, domain);
        }
    }
}

/// Updates of columns no index has, and of one that an index has: where the row takes over its predecessor's place in
/// the indexes it does so in this version and in no older one, and only where all of them agree.
#[test]
fn updates_beside_indexes() {
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let columns = three_columns();
    let context = EvalContext::default();
    let equal = |index, value| filter(scan(TABLE, &columns), call("int8eq", [column(index), int8(value)]));
    let newest = sort(scan(TABLE, &columns), &[(0, true)], Some(5), None);
    /// Text without an index, grade with one.
    type Fields = (i64, i64);
    let wide = |id: i64, (revision, grade): Fields| {
        row([Value::Int8(id), Value::text(&format!("revision {revision}")), Value::Int8(grade)])
    };
    let mut model: std::collections::BTreeMap<i64, Fields> = (0..600).map(|id| (id, (0, id % 40))).collect();
    let mut publisher = Publisher::new();
    publisher.add(TABLE, three_columns());
    publisher.apply(TABLE, &model.iter().map(|(&id, &fields)| (wide(id, fields), 1)).collect());
    publisher.stamp(TABLE, Position(1));
    let mut kept = vec![(publisher.publish(Position(1)), model.clone())];
    for round in 2..120u64 {
        let mut delta = Delta::new();
        for _ in 0..[1, 5, 200][rng.random_range(0..3)] {
            let id = rng.random_range(0..700);
            if delta.iter().any(|(row, _)| row[0] == Value::Int8(id)) {
                continue;
            }
            let before = model.get(&id).copied();
            let grade = rng.random_range(0..40);
            let after = match (before, rng.random_range(0..8)) {
                (Some(_), 0) => None,
                (Some((revision, _)), 1 | 2) => Some((revision + 1, grade)),
                (Some((revision, grade)), _) => Some((revision + 1, grade)),
                (None, _) => Some((0, grade)),
            };
            delta.extend(after.map(|fields| (wide(id, fields), 1)));
            delta.extend(before.map(|fields| (wide(id, fields), -1)));
            match after {
                Some(fields) => drop(model.insert(id, fields)),
                None => drop(model.remove(&id)),
            }
        }
        publisher.apply(TABLE, &delta);
        publisher.stamp(TABLE, Position(round));
        kept.push((publisher.publish(Position(round)), model.clone()));
        for (snapshot, model) in [&kept[kept.len() - 1], &kept[rng.random_range(0..kept.len())]] {
            let (id, grade) = (rng.random_range(0..700), rng.random_range(0..40));
            let want: Vec<Row> = model.get(&id).map(|&fields| wide(id, fields)).into_iter().collect();
            assert_eq!(execute(&equal(0, id), snapshot, &context).expect("answered"), want, "id {id} in round {round}");
            let want = model.iter().filter(|(_, fields)| fields.1 == grade).map(|(&id, &fields)| wide(id, fields));
            let mut got = execute(&equal(2, grade), snapshot, &context).expect("answered");
            got.sort_by_key(|row| match row[0] {
                Value::Int8(id) => id,
                _ => unreachable!("ids are integers"),
            });
            assert_eq!(got, want.collect::<Vec<Row>>(), "grade {grade} in round {round}");
            let want: Vec<Row> = model.iter().rev().take(5).map(|(&id, &fields)| wide(id, fields)).collect();
            assert_eq!(execute(&newest, snapshot, &context).expect("answered"), want, "round {round}");
        }
    }
    let (last, _) = kept.pop().expect("there are versions");
    assert_eq!(last.tables[&TABLE].index_specs().count(), 3, "all three reads got their index");
    assert!(publisher.broken().is_empty());
}

#[test]
fn positions_follow_stamps() {
    let mut publisher = Publisher::new();
    let other = RelationId(8);
    publisher.add(TABLE, three_columns());
    publisher.add(other, three_columns());
    assert!(publisher.publish(Position(1)).tables.is_empty(), "nothing is visible before its first stamp");
    publisher.stamp(TABLE, Position(10));
    publisher.stamp(other, Position(10));
    let delta: Delta = vec![(row([Value::Int8(1), Value::Null, Value::Int8(1)]), 1)];
    publisher.apply(TABLE, &delta);
    let snapshot = publisher.publish(Position(15));
    assert_eq!(snapshot.tables[&TABLE].len(), 0, "a change is visible from its stamp on");
    publisher.stamp(TABLE, Position(20));
    let snapshot = publisher.publish(Position(20));
    assert_eq!(snapshot.tables[&TABLE].len(), 1);
    assert_eq!((snapshot.tables[&TABLE].as_of, snapshot.tables[&TABLE].valid_to), (Position(20), Position(20)));
    assert_eq!(snapshot.common_position(&[TABLE, other]), None, "the other is right up to 10, this one from 20 on");
    publisher.stamp(other, Position(30));
    let snapshot = publisher.publish(Position(30));
    assert_eq!(snapshot.tables[&other].as_of, Position(10), "an unchanged table stays right since when it was");
    assert_eq!(snapshot.common_position(&[TABLE, other]), Some(Position(20)));
    assert_eq!(snapshot.common_position(&[RelationId(99)]), None);
}

/// What one commit did and the next took back leaves the rows as they were, but not in between.
#[test]
fn a_table_that_was_touched_is_not_right_in_between() {
    let mut publisher = Publisher::new();
    let other = RelationId(8);
    publisher.add(TABLE, three_columns());
    publisher.add(other, three_columns());
    publisher.stamp(TABLE, Position(10));
    publisher.stamp(other, Position(15));
    publisher.touch(TABLE);
    publisher.apply(TABLE, &Delta::new());
    publisher.stamp(TABLE, Position(20));
    let snapshot = publisher.publish(Position(20));
    assert_eq!((snapshot.tables[&TABLE].as_of, snapshot.tables[&TABLE].valid_to), (Position(20), Position(20)));
    assert_eq!(snapshot.common_position(&[TABLE, other]), None);
    publisher.stamp(TABLE, Position(30));
    publisher.stamp(other, Position(30));
    assert_eq!(publisher.publish(Position(30)).common_position(&[TABLE, other]), Some(Position(30)));
}

#[test]
fn a_delta_that_does_not_fit_takes_the_table_out() {
    let mut publisher = Publisher::new();
    publisher.add(TABLE, three_columns());
    publisher.stamp(TABLE, Position(1));
    let delta: Delta = vec![(row([Value::Int8(1), Value::Null, Value::Int8(1)]), -1)];
    publisher.apply(TABLE, &delta);
    publisher.stamp(TABLE, Position(2));
    assert!(publisher.publish(Position(2)).tables.is_empty());
    assert_eq!(publisher.broken().len(), 1);
}

/// A row whose evaluation failed makes the whole table Postgres' business until it is gone.
#[test]
fn a_failed_value_forwards_every_read() {
    let mut publisher = Publisher::new();
    publisher.add(TABLE, three_columns());
    let failed = Value::from(weir_planner::EvalError::new("22012", "division by zero"));
    let bad = row([Value::Int8(1), Value::Null, failed]);
    publisher.apply(TABLE, &vec![(bad.clone(), 1)]);
    publisher.stamp(TABLE, Position(1));
    let read = Compiled::new(&scan(TABLE, &three_columns())).expect("a scan is supported");
    let context = EvalContext::default();
    assert!(read.execute(&publisher.publish(Position(1)), &context).is_err());
    publisher.apply(TABLE, &vec![(bad, -1)]);
    publisher.stamp(TABLE, Position(2));
    assert_eq!(read.execute(&publisher.publish(Position(2)), &context).expect("healed").len(), 0);
    publisher.set_in_error(TABLE, true);
    publisher.stamp(TABLE, Position(3));
    assert!(read.execute(&publisher.publish(Position(3)), &context).is_err());
    publisher.set_in_error(TABLE, false);
    publisher.stamp(TABLE, Position(4));
    assert!(read.execute(&publisher.publish(Position(4)), &context).is_ok());
}
