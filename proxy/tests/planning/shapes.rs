//! The shapes of plans, as text: what is joined with what on which pairs, what is carried, where conditions stand.

use crate::rig::Rig;

const SCHEMA: &str = "
    CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL, country text);
    CREATE TABLE orders (id bigint PRIMARY KEY, user_id int, amount numeric(12,2), placed timestamptz);
    CREATE TABLE wide (id int PRIMARY KEY, x int, y int, z int, label varchar(10), code char(4));
    CREATE VIEW rich AS SELECT user_id, sum(amount) AS total FROM orders GROUP BY user_id;";

const CASES: &[(&str, &str, &str)] = &[
    (
        "an aggregate over the partners of a unique row is taken before the join",
        "SELECT u.name, count(o.id) AS n, sum(o.amount) AS total FROM users u LEFT JOIN orders o ON o.user_id = u.id
         GROUP BY u.id, u.name",
        "
Project #1, coalesce(#3, 0), #4
  LeftJoin #0 = #2
    Scan users [0 1]
    Aggregate by (int48(#0)): CountRows(), SumNumeric(#1)
      Scan orders [1 2]
",
    ),
    (
        "a condition on the padded side makes the join an inner one; constants are folded",
        "SELECT u.name FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE o.amount > 10",
        "
Project #1
  InnerJoin #0 = int48(#2)
    Scan users [0 1]
    Project #0
      Filter numeric_gt(#1, 10n)
        Scan orders [1 2]
",
    ),
    (
        "IS NULL on the padded side stays above",
        "SELECT u.name FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE o.id IS NULL",
        "
Project #1
  Filter #2 is null
    LeftJoin #0 = int48(#3)
      Scan users [0 1]
      Scan orders [0 1]
",
    ),
    (
        "a condition in ON about the padded side filters it before the join; about the kept side it does not",
        "SELECT u.id, o.id AS oid FROM users u LEFT JOIN orders o ON o.user_id = u.id AND o.amount > 10 AND u.country = 'DE'",
        "
Project #0, #2
  LeftJoin #0 = int48(#3) when texteq(#1, 'DE')
    Scan users [0 2]
    Project #0, #1
      Filter numeric_gt(#2, 10n)
        Scan orders [0 1 2]
",
    ),
    (
        "a list of tables is joined along its equalities",
        "SELECT a.id FROM users a, wide b, orders c WHERE a.id = c.id AND c.user_id = b.id",
        "
Project #0
  InnerJoin #1 = #2
    Project #0, #2
      InnerJoin #0 = #1
        Scan users [0]
        Scan orders [0 1]
    Scan wide [0]
",
    ),
    (
        "merged columns of FULL JOIN USING",
        "SELECT id, u.name, w.x FROM users u FULL JOIN wide w USING (id)",
        "
Project coalesce(#0, int48(#2)), #1, #3
  FullJoin #0 = int48(#2)
    Scan users [0 1]
    Scan wide [0 1]
",
    ),
    (
        "HAVING, a window over aggregates, a limit; the hidden sort key is dropped at the end",
        "SELECT country, rank() OVER (ORDER BY count(*) DESC) AS r FROM users GROUP BY country HAVING count(*) > 1
         ORDER BY max(name) LIMIT 3",
        "
Project #0, #1
  Sort (#2) limit 3
    Project #0, #3, #1
      Window rank by () order (#2 desc)
        Filter int84gt(#2, 1)
          Aggregate by (#1): Max(#0), CountRows()
            Scan users [1 2]
",
    ),
    (
        "a filter on grouping keys goes below the grouping of a view",
        "SELECT total FROM rich WHERE user_id = 7",
        "
Project #1
  Aggregate by (#0): SumNumeric(#1)
    Filter int4eq(#0, 7)
      Scan orders [1 2]
",
    ),
    (
        "EXISTS and NOT EXISTS, correlated",
        "SELECT name FROM users u WHERE EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id AND o.amount > 5)
         AND NOT EXISTS (SELECT FROM wide w WHERE w.id = u.id)",
        "
Project #1
  AntiJoin #0 = int48(#2)
    SemiJoin #0 = int48(#2)
      Scan users [0 1]
      Project #0
        Filter numeric_gt(#1, 5n)
          Scan orders [1 2]
    Scan wide [0]
",
    ),
    (
        "IN (subquery)",
        "SELECT id FROM wide WHERE x IN (SELECT user_id FROM orders WHERE amount IS NOT NULL)",
        "
Project #0
  SemiJoin #1 = #2
    Scan wide [0 1]
    Project #0
      Filter #1 is not null
        Scan orders [1 2]
",
    ),
    (
        "a failing condition is not moved before the one that guards it",
        "SELECT w.id FROM wide w JOIN users u ON u.id = w.id WHERE w.x <> 0 AND w.y / w.x > 1",
        "
Project #0
  InnerJoin int48(#0) = #1
    Project #0
      Filter (int4ne(#1, 0) and int4gt(int4div(#2, #1), 1))
        Scan wide [0 1 2]
    Scan users [0]
",
    ),
    (
        "strings: casts between text types vanish, IN is a list",
        "SELECT id FROM wide WHERE label IN ('a', 'b') AND code = 'x' AND label LIKE 'a%'",
        "
Project #0
  Filter (texteq(#1, any ['a', 'b']) and bpchareq(#2, 'x'bp) and textlike(#1, 'a%'))
    Scan wide [0 4 5]
",
    ),
    (
        "UNION widens what Postgres leaves to its planner",
        "SELECT id FROM wide UNION ALL SELECT id FROM users",
        "
UnionAll
  Project int48(#0)
    Scan wide [0]
  Scan users [0]
",
    ),
    (
        "a functionally dependent column is one more key",
        "SELECT u.id, u.name, count(*) AS n FROM users u JOIN wide w ON w.x = u.id GROUP BY u.id",
        "
Project #0, #1, #3
  InnerJoin #0 = #2
    Scan users [0 1]
    Aggregate by (int48(#0)): CountRows()
      Scan wide [1]
",
    ),
    (
        "both forms of CASE, COALESCE and NULLIF",
        "SELECT CASE x WHEN 1 THEN 'one' WHEN 2 THEN 'two' END AS a, CASE WHEN y > 0 THEN y END AS b,
                coalesce(x, y, 0) AS c, nullif(z, 0) AS d FROM wide",
        "
Project case(int4eq(#0, 1) -> 'one'; int4eq(#0, 2) -> 'two'; null), case(int4gt(#1, 0) -> #1; null), coalesce(#0, #1, 0), nullif(#2, 0)
  Scan wide [1 2 3]
",
    ),
    (
        "VALUES and WITH",
        "WITH v(n, s) AS (VALUES (1, 'a'), (2, 'b')) SELECT s, n + 1 AS m FROM v WHERE n > 1",
        "
Project #1, int4pl(#0, 1)
  Filter int4gt(#0, 1)
    Values (1, 'a'), (2, 'b')
",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn shapes() {
    let mut rig = Rig::start(SCHEMA).await;
    let mut wrong = Vec::new();
    for (what, sql, expected) in CASES {
        match rig.plan(sql).await {
            Ok(planned) => {
                let found = rig.text(&planned.plan);
                if found.trim() != expected.trim() {
                    wrong.push(format!("{what}\n{sql}\nfound\n{found}expected{expected}"));
                }
            }
            Err(error) => wrong.push(format!("{what}\n{sql}\n{error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
