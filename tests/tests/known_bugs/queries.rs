//! Shapes of queries that lost rows, or were not what they seemed.

use crate::ground::Ground;
use weir_tests::oracle::Order;

const TABLES: &str = "CREATE TABLE item (id int PRIMARY KEY, a int, b int, at int); \
     CREATE TABLE ban (a int, b int); \
     INSERT INTO item SELECT n, n % 4, nullif(n % 3, 0), n FROM generate_series(1, 24) n; \
     INSERT INTO ban VALUES (1, 1), (2, 2)";

/// 0.58: `(a, b) NOT IN (…)` where either side has NULLs: no row is certain to be outside.
#[test]
fn not_in_over_two_columns_with_nulls() {
    let mut ground = Ground::new(TABLES);
    ground.stream("allowed", "SELECT id, a, b FROM item WHERE (a, b) NOT IN (SELECT a, b FROM ban)");
    ground.commit("INSERT INTO ban VALUES (NULL, 2)");
    ground.commit("INSERT INTO ban VALUES (3, NULL); DELETE FROM ban WHERE a = 1");
    ground.commit("INSERT INTO ban VALUES (NULL, NULL)");
    ground.expect("SELECT count(*) FROM allowed", &["0"]);
    ground.commit("DELETE FROM ban WHERE a IS NULL; UPDATE item SET a = NULL WHERE id % 5 = 0");
    ground.commit("DELETE FROM ban");
    ground.expect("SELECT count(*) FROM allowed", &["24"]);
}

#[test]
fn distinct_on_within_a_cte() {
    let mut ground = Ground::new(TABLES);
    ground.stream(
        "newest",
        "WITH newest AS (SELECT DISTINCT ON (a) a, id, at FROM item ORDER BY a, at DESC, id) \
         SELECT n.a, n.id, i.b FROM newest n JOIN item i ON i.id = n.id",
    );
    ground.commit("UPDATE item SET at = 100 WHERE id = 1; DELETE FROM item WHERE id = 24");
    ground.commit("UPDATE item SET a = NULL WHERE at > 20");
    ground.commit("DELETE FROM item WHERE a = 1");
}

#[test]
fn exists_over_groups_with_having() {
    let mut ground = Ground::new(TABLES);
    ground.stream_anyhow(
        "crowded",
        "SELECT id FROM item i WHERE EXISTS (SELECT 1 FROM ban x WHERE x.a = i.a GROUP BY x.b HAVING count(*) > 1)",
    );
    ground.commit("INSERT INTO ban VALUES (1, 1), (3, NULL), (3, NULL)");
    ground.commit("INSERT INTO ban VALUES (1, 2), (1, 2)");
    ground.commit("DELETE FROM ban WHERE b = 1; UPDATE ban SET b = a");
    ground.commit("DELETE FROM ban WHERE a = 3");
}

#[test]
fn a_cte_twice_and_union_all() {
    let mut ground = Ground::new(TABLES);
    ground.stream(
        "united",
        "WITH few AS (SELECT a, count(*) AS n FROM item GROUP BY a) \
         SELECT 'group' AS what, a, n FROM few UNION ALL SELECT 'ban', a, b FROM ban \
         UNION ALL SELECT 'pair', x.a, y.n FROM few x JOIN few y ON y.a = x.a + 1",
    );
    ground.commit("DELETE FROM item WHERE a = 2; INSERT INTO ban VALUES (2, 2)");
    ground.commit("INSERT INTO item VALUES (50, 2, 2, 2); DELETE FROM ban");
    ground.commit("UPDATE item SET a = a + 1");
}

/// 0.70: a query with a volatile function has no rows that could be maintained: it is refused by name, never guessed.
#[test]
fn a_volatile_function_is_not_maintained() {
    let mut ground = Ground::new(TABLES);
    for query in [
        "SELECT id, r FROM item, LATERAL (SELECT random() AS r WHERE item.id > 0) AS dice",
        "SELECT id, clock_timestamp() AS seen FROM item",
        "SELECT id FROM item WHERE random() < a",
    ] {
        let refused = ground.app.query(&format!(
            "SELECT pgtrickle.create_stream_table('dice', $q$ {query} $q$, refresh_mode => 'DIFFERENTIAL')"
        ));
        let error = refused.error.unwrap_or_else(|| panic!("{query} is not refused"));
        assert!(error.message.contains("volatile"), "{query}: {error:?}");
    }
}

/// #953: of functions with one name, the one that the arguments choose decides what the answer depends on: `date_trunc` of
/// an instant reads the session's zone, that of a local time does not.
#[test]
fn volatility_is_that_of_the_overload() {
    let mut ground = Ground::new(
        "CREATE TABLE t (a timestamp, b timestamptz); INSERT INTO t SELECT d, d AT TIME ZONE 'UTC' FROM \
         generate_series(timestamp '2026-03-28', '2026-03-30', '5 hours') d",
    );
    ground.stream("local", "SELECT date_trunc('day', a) AS day, count(*) AS n FROM t GROUP BY 1");
    ground.stream("instants", "SELECT date_trunc('day', b) AS day, count(*) AS n FROM t GROUP BY 1");
    ground.commit("INSERT INTO t VALUES ('2026-03-28 23:59', '2026-03-28 23:59+02'), (NULL, NULL)");
    for session in [&mut ground.app, &mut ground.direct] {
        session.execute("SET TimeZone = 'Pacific/Auckland'");
    }
    ground.read("SELECT * FROM local", Order::Any);
    for _ in 0..3 {
        ground.read_anyhow("SELECT * FROM instants");
    }
}
