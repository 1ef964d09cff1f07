//! Random expression trees, as SQL and as [`Expr`]: three-valued logic, laziness, errors.

use crate::generate;
use crate::server::{ValueArray, connect};
use rand::Rng;
use rand::rngs::StdRng;
use weir_planner::eval::{EvalContext, Tuple};
use weir_planner::expr::BooleanTest;
use weir_planner::functions::{Function, lookup};
use weir_planner::types::{ColumnType, oid};
use weir_planner::{Expr, Value};
use weir_tests::rng::{rounds, seeded};

const TREES: (usize, usize) = (300, 10_000);
/// Rows each tree is evaluated over.
const ROWS: usize = 30;
/// Columns of the rows: so many integers, then as many booleans.
const COLUMNS: usize = 3;
const DEPTH: usize = 4;

/// An expression and its SQL.
struct Tree {
    expr: Expr,
    sql: String,
}

fn function(symbol: &str) -> &'static Function {
    lookup(symbol).expect("registered")
}

fn call(symbol: &str, operator: &str, a: Tree, b: Tree) -> Tree {
    Tree {
        expr: Expr::Call { function: function(symbol), args: vec![a.expr, b.expr] },
        sql: format!("({} {operator} {})", a.sql, b.sql),
    }
}

fn list(items: Vec<Tree>) -> (Vec<Expr>, Vec<String>) {
    items.into_iter().map(|tree| (tree.expr, tree.sql)).unzip()
}

fn integer(rng: &mut StdRng, depth: usize) -> Tree {
    let column = rng.random_range(0..COLUMNS);
    if depth == 0 {
        return Tree { expr: Expr::Column(column), sql: format!("i{column}") };
    }
    match rng.random_range(0..9) {
        0 => Tree { expr: Expr::Column(column), sql: format!("i{column}") },
        1 => call("int4pl", "+", integer(rng, depth - 1), integer(rng, depth - 1)),
        2 => call("int4mul", "*", integer(rng, depth - 1), integer(rng, depth - 1)),
        3 => call("int4div", "/", integer(rng, depth - 1), integer(rng, depth - 1)),
        4 => {
            let branches: Vec<_> =
                (0..rng.random_range(1..3)).map(|_| (boolean(rng, depth - 1), integer(rng, depth - 1))).collect();
            let otherwise = integer(rng, depth - 1);
            let whens: String =
                branches.iter().map(|(when, then)| format!(" WHEN {} THEN {}", when.sql, then.sql)).collect();
            Tree {
                sql: format!("(CASE{whens} ELSE {} END)", otherwise.sql),
                expr: Expr::Case {
                    branches: branches.into_iter().map(|(when, then)| (when.expr, then.expr)).collect(),
                    otherwise: Box::new(otherwise.expr),
                },
            }
        }
        5 => {
            let (exprs, sqls) = list((0..rng.random_range(2..4)).map(|_| integer(rng, depth - 1)).collect());
            Tree { expr: Expr::Coalesce(exprs), sql: format!("coalesce({})", sqls.join(", ")) }
        }
        6 => {
            let (a, b) = (integer(rng, depth - 1), integer(rng, depth - 1));
            Tree {
                sql: format!("nullif({}, {})", a.sql, b.sql),
                expr: Expr::NullIf { equal: function("int4eq"), args: Box::new((a.expr, b.expr)) },
            }
        }
        7 => {
            let greatest = rng.random();
            let (args, sqls) = list((0..rng.random_range(2..4)).map(|_| integer(rng, depth - 1)).collect());
            let name = if greatest { "greatest" } else { "least" };
            Tree { expr: Expr::MinMax { greatest, args }, sql: format!("{name}({})", sqls.join(", ")) }
        }
        _ => {
            // int4 → text → int4 by the I/O functions.
            let arg = integer(rng, depth - 1);
            let (int4, text) = (ColumnType::new(oid::INT4), ColumnType::new(oid::TEXT));
            let there = Expr::ViaText { arg: Box::new(arg.expr), from: int4.clone(), to: text.clone() };
            Tree {
                expr: Expr::ViaText { arg: Box::new(there), from: text, to: int4 },
                sql: format!("({}::text::int4)", arg.sql),
            }
        }
    }
}

fn boolean(rng: &mut StdRng, depth: usize) -> Tree {
    let column = rng.random_range(0..COLUMNS);
    if depth == 0 {
        return Tree { expr: Expr::Column(COLUMNS + column), sql: format!("b{column}") };
    }
    match rng.random_range(0..9) {
        0 => Tree { expr: Expr::Column(COLUMNS + column), sql: format!("b{column}") },
        1 | 2 => {
            let and = rng.random();
            let (args, sqls) = list((0..rng.random_range(2..4)).map(|_| boolean(rng, depth - 1)).collect());
            Tree {
                expr: if and { Expr::And(args) } else { Expr::Or(args) },
                sql: format!("({})", sqls.join(if and { " AND " } else { " OR " })),
            }
        }
        3 => {
            let arg = boolean(rng, depth - 1);
            Tree { expr: Expr::Not(Box::new(arg.expr)), sql: format!("(NOT {})", arg.sql) }
        }
        4 => call("int4lt", "<", integer(rng, depth - 1), integer(rng, depth - 1)),
        5 => {
            let arg = integer(rng, depth - 1);
            if rng.random() {
                Tree { expr: Expr::IsNull(Box::new(arg.expr)), sql: format!("({} IS NULL)", arg.sql) }
            } else {
                Tree { expr: Expr::IsNotNull(Box::new(arg.expr)), sql: format!("({} IS NOT NULL)", arg.sql) }
            }
        }
        6 => {
            let (test, sql) = [
                (BooleanTest::IsTrue, "TRUE"),
                (BooleanTest::IsNotTrue, "NOT TRUE"),
                (BooleanTest::IsFalse, "FALSE"),
                (BooleanTest::IsNotFalse, "NOT FALSE"),
                (BooleanTest::IsUnknown, "UNKNOWN"),
                (BooleanTest::IsNotUnknown, "NOT UNKNOWN"),
            ][rng.random_range(0..6)];
            let arg = boolean(rng, depth - 1);
            Tree { sql: format!("({} IS {sql})", arg.sql), expr: Expr::BooleanTest { arg: Box::new(arg.expr), test } }
        }
        7 => {
            let (a, b) = (integer(rng, depth - 1), integer(rng, depth - 1));
            Tree {
                sql: format!("({} IS DISTINCT FROM {})", a.sql, b.sql),
                expr: Expr::Distinct { equal: function("int4eq"), args: Box::new((a.expr, b.expr)) },
            }
        }
        _ => {
            let any = rng.random();
            let left = integer(rng, depth - 1);
            let (list, sqls) = list((0..rng.random_range(1..4)).map(|_| integer(rng, depth - 1)).collect());
            let (symbol, operator) = if any { ("int4eq", "= ANY") } else { ("int4ne", "<> ALL") };
            Tree {
                sql: format!("({} {operator} (ARRAY[{}]))", left.sql, sqls.join(", ")),
                expr: Expr::ScalarArray { function: function(symbol), any, left: Box::new(left.expr), list },
            }
        }
    }
}

#[tokio::test]
async fn expressions_agree() {
    let client = connect().await;
    let mut rng = seeded("expressions_agree");
    let rows: Vec<Vec<Value>> = (0..ROWS)
        .map(|_| {
            (0..2 * COLUMNS)
                .map(|column| match rng.random_range(0..4) {
                    0 => Value::Null,
                    _ if column >= COLUMNS => Value::Bool(rng.random()),
                    1 => generate::value(&mut rng, oid::INT4),
                    _ => Value::Int4(rng.random_range(-2..3)),
                })
                .collect()
        })
        .collect();
    client
        .batch_execute("CREATE TEMP TABLE input (n int4, i0 int4, i1 int4, i2 int4, b0 bool, b1 bool, b2 bool)")
        .await
        .expect("a temporary table");
    let column = |c: usize| ValueArray {
        element: if c < COLUMNS { oid::INT4 } else { oid::BOOL },
        values: rows.iter().map(|row| row[c].clone()).collect(),
    };
    client
        .execute(
            "INSERT INTO input SELECT row_number() OVER (), * FROM unnest($1::int4[], $2::int4[], $3::int4[], $4::bool[], $5::bool[], $6::bool[])",
            &[&column(0), &column(1), &column(2), &column(3), &column(4), &column(5)],
        )
        .await
        .expect("the rows are well-formed");
    let (mut errors, mut values) = (0, 0);
    for round in 0..rounds(TREES.0, TREES.1) {
        let tree = if round % 2 == 0 { integer(&mut rng, DEPTH) } else { boolean(&mut rng, DEPTH) };
        // Columns of a real row: as parameters they could be folded before they are evaluated.
        client
            .batch_execute(&format!(
                "CREATE OR REPLACE FUNCTION pg_temp.evaluate(k int4) RETURNS text LANGUAGE plpgsql AS $body$
                 DECLARE r text;
                 BEGIN
                     SELECT coalesce(({})::text, 'null') INTO r FROM input WHERE n = k;
                     RETURN r;
                 EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE;
                 END $body$",
                tree.sql
            ))
            .await
            .unwrap_or_else(|error| panic!("{}: {error:?}", tree.sql));
        let expected = client
            .query("SELECT pg_temp.evaluate(n) FROM generate_series(1, $1::int4) AS n", &[&(ROWS as i32)])
            .await
            .expect("every error is caught");
        for (row, expected) in rows.iter().zip(&expected) {
            let actual = match tree.expr.eval(Tuple::single(row), &EvalContext::default()) {
                Value::Null => "null".to_owned(),
                Value::Int4(v) => v.to_string(),
                Value::Bool(v) => v.to_string(),
                Value::Error(error) => {
                    errors += 1;
                    error.sqlstate.to_owned()
                }
                other => panic!("{other:?} is neither an integer nor a boolean"),
            };
            values += 1;
            assert_eq!(actual, expected.get::<_, String>(0), "{} over {row:?}", tree.sql);
        }
    }
    eprintln!("{values} results, {errors} of them errors");
    assert!(errors > values / 100, "too few errors for propagation to be tested: {errors} of {values}");
}
