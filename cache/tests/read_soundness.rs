//! What fails for a row that a read leaves out is raised in every version that has such a row, and in no other.

mod support;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use support::{call, column, filter, row, scan, sort, types};
use weir_cache::read::{Compiled, ReadError};
use weir_cache::{Delta, Position, Publisher, Snapshot};
use weir_planner::eval::EvalContext;
use weir_planner::plan::Node;
use weir_planner::types::oid;
use weir_planner::{Expr, Plan, RelationId, Value};
use weir_tests::rng;

const TABLE: RelationId = RelationId(1);
const ROWS: i32 = 2_500;

fn int(value: i32) -> Expr {
    Expr::Const(Value::Int4(value))
}

fn quotient() -> Expr {
    call("int4div", [int(10), column(1)])
}

/// `SELECT id, 10 / b … ORDER BY id LIMIT 1`, the same with the quotient in a condition, and `… WHERE 10 / b + 0 >= 0 AND id = 7`,
/// written so that Postgres asks for the quotient first.
fn reads() -> Vec<Compiled> {
    let table = || scan(TABLE, &types(&[oid::INT4, oid::INT4]));
    let shown = Plan {
        columns: types(&[oid::INT4, oid::INT4]),
        node: Node::Project { input: Box::new(table()), exprs: vec![column(0), quotient()] },
    };
    let condition = call("int4ge", [quotient(), int(0)]);
    let late = call("int4eq", [call("int4pl", [call("int4pl", [column(0), int(0)]), int(0)]), int(7)]);
    let plans = [
        sort(shown, &[(0, false)], Some(1), None),
        sort(filter(table(), condition.clone()), &[(0, false)], Some(1), None),
        filter(table(), Expr::And(vec![late, condition])),
    ];
    plans.iter().map(|plan| Compiled::new(plan).expect("a read that memory answers")).collect()
}

#[test]
fn errors_are_told_by_the_versions_that_have_them() {
    let seed = rng::seed();
    eprintln!("WEIR_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut publisher = Publisher::new();
    publisher.add(TABLE, types(&[oid::INT4, oid::INT4]));
    let mut divisors = vec![1; ROWS as usize];
    publisher.apply(TABLE, &(0..ROWS).map(|id| (row([Value::Int4(id), Value::Int4(1)]), 1)).collect());
    let (reads, context) = (reads(), EvalContext::default());
    let mut versions: Vec<(Arc<Snapshot>, bool)> = Vec::new();
    let mut told = [0, 0];
    for version in 1..=rng::rounds(150, 3_000) as u64 {
        let mut delta = Delta::new();
        for _ in 0..random.random_range(0..4) {
            let id = random.random_range(10..ROWS);
            // Zeros go as often as they come.
            let zero = divisors.iter().position(|divisor| *divisor == 0);
            let (id, divisor) = match zero {
                Some(zero) if random.random_bool(0.5) => (zero as i32, random.random_range(1..9)),
                _ => (id, i32::from(random.random_bool(0.7)) * random.random_range(1..9)),
            };
            let old = std::mem::replace(&mut divisors[id as usize], divisor);
            if old != divisor
                && !delta.iter().any(|(changed, _): &(weir_planner::Row, i64)| changed[0] == Value::Int4(id))
            {
                delta.push((row([Value::Int4(id), Value::Int4(old)]), -1));
                delta.push((row([Value::Int4(id), Value::Int4(divisor)]), 1));
            } else {
                divisors[id as usize] = old;
            }
        }
        publisher.apply(TABLE, &delta);
        publisher.stamp(TABLE, Position(version));
        versions.push((publisher.publish(Position(version)), divisors.contains(&0)));
        let any = random.random_range(versions.len().saturating_sub(20)..versions.len());
        for (snapshot, fails) in [versions.last().expect("one at least"), &versions[any]] {
            for read in &reads {
                let answer = read.execute(snapshot, &context);
                match answer {
                    Ok(rows) => assert!(!fails && rows.to_rows().len() == 1, "seed {seed} version {version}"),
                    Err(ReadError::Eval(error)) => {
                        assert!(*fails && error.sqlstate == "22012", "seed {seed} version {version}")
                    }
                    Err(error) => panic!("seed {seed} version {version}: {error}"),
                }
                told[usize::from(*fails)] += 1;
            }
        }
    }
    assert!(told.iter().all(|times| *times > 50), "both outcomes occur: {told:?}");
}
