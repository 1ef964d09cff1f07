//! Where the plan describes a column with another type modifier than the analysis, the statement is refused; where that
//! cannot be, it is not.

use crate::rig::Rig;
use weir_planner::RelationId;
use weir_planner::query::modifiers_may_change;
use weir_planner::tree::parse;
use weir_tests::wire::RawClient;

const SCHEMA: &str = "
    CREATE TABLE t (id int PRIMARY KEY, price numeric(8,2), cost numeric, code varchar(5), at timestamp(3));
    CREATE FUNCTION halved(numeric) RETURNS numeric LANGUAGE sql AS 'SELECT ($1 / 2)::numeric(9,3)';
    CREATE VIEW settled AS SELECT id, price AS a, cost AS b FROM t;
    CREATE VIEW constant AS SELECT id, 0.5::numeric(8,2) AS a, NULL::numeric AS b, price AS p FROM t;
    CREATE VIEW unsettled AS SELECT id, coalesce(0.5::numeric(8,2), cost) AS a FROM t;";

/// Postgres' two descriptions differ.
const CHANGING: &[&str] = &[
    "SELECT coalesce(0.5::numeric(8,2), cost) AS x FROM t",
    "SELECT coalesce(price, NULL::numeric) AS x FROM t",
    "SELECT coalesce(NULL::numeric, price) AS x FROM t",
    "SELECT coalesce(a, -1.5) AS x FROM constant",
    "SELECT coalesce(b, p) AS x FROM constant",
    "SELECT coalesce(x.n, price) AS x FROM t, (SELECT NULL::numeric AS n) x",
    "SELECT a FROM unsettled",
    "SELECT CASE WHEN true THEN price ELSE cost END AS x FROM t",
    "SELECT CASE 1 WHEN 2 THEN cost ELSE price END AS x FROM t",
    "SELECT CASE WHEN id > 1 AND false THEN cost ELSE price END AS x FROM t",
    "SELECT CASE WHEN id > NULL::int THEN cost ELSE price END AS x FROM t",
    "SELECT CASE WHEN false THEN 'other'::varchar ELSE code END AS x FROM t",
    "SELECT price AS x FROM t UNION ALL SELECT cost FROM t WHERE false",
    "SELECT price AS x FROM t UNION ALL SELECT cost FROM t WHERE id = 1 AND 2 = 3",
    "SELECT price AS x FROM t UNION ALL SELECT t.cost FROM t JOIN constant c ON c.id = t.id AND c.b IS NOT NULL",
    "SELECT x FROM (SELECT 'a' AS k, price AS x FROM t UNION ALL SELECT 'b', cost FROM t) u WHERE k = 'a'",
    "SELECT price AS x FROM t UNION ALL SELECT cost FROM t WHERE EXISTS (SELECT FROM settled s WHERE s.id = t.id AND 1 = 2)",
    "SELECT price AS x FROM t UNION ALL SELECT cost FROM t WHERE id IN (SELECT id FROM constant WHERE a IS NULL)",
    "WITH none AS (SELECT cost FROM t WHERE false) SELECT price AS x FROM t UNION ALL SELECT cost FROM none",
    "SELECT y.x FROM (SELECT coalesce(0.5::numeric(8,2), cost) AS x FROM t) y",
];

/// They cannot differ, and that is seen.
const STABLE: &[&str] = &[
    "SELECT price, cost, code, at FROM t",
    "SELECT coalesce(price, 0) AS x FROM t",
    "SELECT coalesce(a, b, 1) AS x FROM settled",
    "SELECT coalesce(sum(price), 0) AS x FROM t",
    "SELECT coalesce(p, 0::numeric(8,2)) AS x FROM constant",
    "SELECT CASE WHEN id > 3 THEN price ELSE 0 END AS x FROM t",
    "SELECT CASE WHEN id > 3 THEN price END AS x FROM t",
    "SELECT CASE id WHEN 3 THEN price WHEN 4 THEN cost END AS x FROM t",
    "SELECT sum(CASE WHEN id > 3 THEN price ELSE 0 END) AS x FROM t",
    "SELECT nullif(price, 0) AS x FROM t",
    "SELECT greatest(price, cost) AS x FROM t",
    "SELECT price::numeric(6,1) AS x FROM t",
    "SELECT price FROM t UNION ALL SELECT cost FROM t",
    "SELECT price FROM t WHERE id > 5 UNION ALL SELECT cost FROM t WHERE code LIKE 'a%'",
    "SELECT price FROM t WHERE id = 5 AND id = 6 UNION ALL SELECT price FROM t",
    "SELECT price AS x FROM t UNION ALL SELECT cost FROM t WHERE id < 1",
    "SELECT x FROM (SELECT price AS x FROM t UNION SELECT price FROM t) u WHERE x > 5",
    "SELECT price FROM t EXCEPT SELECT price FROM t",
    "SELECT coalesce(y.s, 0) AS x FROM t LEFT JOIN (SELECT id, sum(price) AS s FROM t GROUP BY id) y USING (id)",
    "SELECT coalesce(y.a, price) AS x FROM t LEFT JOIN (SELECT id, coalesce(round(avg(price), 2), 0) AS a FROM t GROUP BY id) y USING (id)",
    // Its body is put in its place with the function's type.
    "SELECT halved(price) AS x FROM t",
];

/// They differ on some majors (17 finds in time that no row can pass), or could.
const OPEN: &[&str] = &[
    "SELECT price AS x FROM t UNION ALL SELECT cost FROM t WHERE id = 1 AND id = 2",
    "SELECT price AS x FROM t UNION ALL SELECT t.cost FROM t JOIN settled s ON s.id = t.id AND s.id = 1 WHERE t.id = 2",
    "SELECT x FROM (SELECT price AS x FROM t UNION ALL SELECT cost FROM t) u WHERE x < 5 AND x > 6",
];

struct Descriptions {
    differ: bool,
    may_differ: bool,
}

async fn describe(rig: &mut Rig, sql: &str) -> Descriptions {
    rig.client.batch_execute(&format!("DROP VIEW IF EXISTS w; CREATE VIEW w AS {sql}")).await.expect("a view");
    rig.catalog.forget_relations();
    let RelationId(oid) = rig.id("w").await;
    let tree = "SELECT ev_action::text FROM pg_rewrite WHERE ev_class = $1";
    let tree: String = rig.client.query_one(tree, &[&oid]).await.expect("its tree").get(0);
    let tree = parse(&tree).expect("a tree");
    rig.catalog.require(&rig.client, &tree).await.expect("the catalogue is read");
    let analysed = "SELECT atttypmod FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 ORDER BY attnum";
    let rows = rig.client.query(analysed, &[&oid]).await.expect("its columns");
    let analysed: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
    let answer = RawClient::superuser(&rig.server.address()).query("SELECT * FROM public.w");
    let planned: Vec<i32> = answer.columns.iter().map(|column| column.typmod).collect();
    Descriptions { differ: analysed != planned, may_differ: modifiers_may_change(&tree, rig.catalog.planner()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_modifier_that_the_plan_changes_is_foreseen() {
    let mut rig = Rig::start(SCHEMA).await;
    let mut wrong = Vec::new();
    for (queries, changing) in [(CHANGING, true), (STABLE, false)] {
        for sql in queries {
            let found = describe(&mut rig, sql).await;
            if (found.differ, found.may_differ) != (changing, changing) {
                wrong.push(format!("{sql}: differs {}, foreseen {}", found.differ, found.may_differ));
            }
        }
    }
    for sql in OPEN {
        if !describe(&mut rig, sql).await.may_differ {
            wrong.push(format!("{sql}: not foreseen"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
