//! Statements with ORDER BY, LIMIT and OFFSET give Postgres' rows in Postgres' order.

use crate::answers::SCHEMA;
use crate::rig::Rig;
use weir_planner::lower::lower_statement;
use weir_planner::tree::parse;

/// Each with a total order.
const QUERIES: &[&str] = &[
    "SELECT id, k FROM a ORDER BY id DESC",
    "SELECT id FROM a ORDER BY k DESC, id",
    "SELECT id FROM a ORDER BY k NULLS FIRST, id LIMIT 7",
    "SELECT id FROM a ORDER BY n DESC NULLS LAST, s, id OFFSET 3",
    "SELECT s FROM a ORDER BY id LIMIT 4 OFFSET 2",
    "SELECT k, count(*) AS n FROM a GROUP BY k ORDER BY max(id)",
    "SELECT DISTINCT k FROM a ORDER BY k DESC",
    "SELECT k AS x FROM a UNION SELECT v FROM b ORDER BY x",
    "SELECT id FROM a ORDER BY id LIMIT ALL OFFSET 20",
    "SELECT id FROM a ORDER BY id LIMIT 0",
    "SELECT round(n, 1) AS n, id FROM a ORDER BY n, id",
    "SELECT id, rank() OVER (ORDER BY n) AS r FROM a ORDER BY r DESC, id LIMIT 9",
    "SELECT x.id FROM (SELECT id, n FROM a ORDER BY n DESC NULLS LAST, id LIMIT 10) x ORDER BY x.id",
    "VALUES (3, 'c'), (1, 'a'), (2, NULL) ORDER BY 2 NULLS FIRST",
];

#[tokio::test(flavor = "multi_thread")]
async fn order_is_kept() {
    let mut rig = Rig::start(SCHEMA).await;
    let mut wrong = Vec::new();
    for sql in QUERIES {
        let create = format!(
            "CREATE OR REPLACE FUNCTION statement() RETURNS SETOF record LANGUAGE sql BEGIN ATOMIC {sql}\n; END"
        );
        rig.client.batch_execute(&create).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let row = rig.client.query_one("SELECT prosqlbody::text FROM pg_proc WHERE proname = 'statement'", &[]).await;
        let tree: String = row.expect("the function is there").get(0);
        rig.catalog.require(&rig.client, &parse(&tree).expect("a tree")).await.expect("the catalogue is read");
        let lowered = lower_statement(&tree, rig.catalog.planner()).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let memory = rig.evaluate(&lowered.plan).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let postgres = rig.ask_postgres(sql, lowered.columns.len()).await.expect("Postgres answers");
        if memory != postgres {
            let text = rig.text(&lowered.plan);
            wrong.push(format!("{sql}\n{text}memory {memory:?}\npostgres {postgres:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
