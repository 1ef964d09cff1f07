//! What happens to a base table.

use crate::ground::Ground;

/// EC-06: of equal rows in a table without a key, one comes or goes.
#[test]
fn equal_rows_of_a_table_without_a_key() {
    let mut ground = Ground::new(
        "CREATE TABLE log (line text, n int); INSERT INTO log VALUES ('a', 1), ('a', 1), ('a', 1), (NULL, NULL), (NULL, NULL)",
    );
    ground.stream("lines", "SELECT line, n FROM log");
    ground.stream("counts", "SELECT line, count(*) AS n FROM log GROUP BY line");
    ground.commit("INSERT INTO log VALUES ('a', 1)");
    ground.commit("DELETE FROM log WHERE ctid = (SELECT min(ctid) FROM log WHERE line = 'a')");
    ground.commit("UPDATE log SET n = 2 WHERE ctid = (SELECT max(ctid) FROM log WHERE line IS NULL)");
    ground.commit("DELETE FROM log WHERE ctid IN (SELECT ctid FROM log WHERE line = 'a' LIMIT 2); INSERT INTO log VALUES ('a', 1)");
    ground.expect("SELECT n FROM counts WHERE line = 'a'", &["2"]);
}

/// EC-15: the columns of `SELECT *` are those it had when the stream table was made.
#[test]
fn a_column_added_under_select_star() {
    let mut ground =
        Ground::new("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b')");
    ground.stream("everything", "SELECT * FROM t");
    ground.app.execute("ALTER TABLE t ADD COLUMN extra int DEFAULT 7");
    ground.read_anyhow("SELECT * FROM everything");
    ground
        .app
        .execute("INSERT INTO t VALUES (3, 'c', 8); UPDATE t SET extra = 9 WHERE id = 1; DELETE FROM t WHERE id = 2");
    ground.read_anyhow("SELECT * FROM everything");
    ground.weir.wait_until_live(&["everything"]);
    ground.commit("INSERT INTO t VALUES (4, 'd', 1)");
    ground.expect("SELECT count(*) FROM everything", &["3"]);
}

/// EC-16: a function that the query calls gets another body; with the next write, at the latest, the new one has been at work.
#[test]
fn a_functions_body_is_replaced() {
    let function = |factor: u32| {
        format!("CREATE OR REPLACE FUNCTION price(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * {factor}'")
    };
    let mut ground = Ground::new(&format!("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (2); {}", function(2)));
    ground.stream_anyhow("prices", "SELECT id, price(id) AS price FROM t");
    for factor in 3..6 {
        ground.app.execute(&function(factor));
        ground.read_anyhow("SELECT * FROM prices");
        ground.app.execute("INSERT INTO t SELECT max(id) + 1 FROM t");
        ground.read_anyhow("SELECT * FROM prices");
        ground.expect("SELECT max(price) / max(id) FROM prices", &[&factor.to_string()]);
    }
}

/// 0.77: TRUNCATE and INSERT in one transaction, in both orders, alone and with other tables.
#[test]
fn truncate_and_insert_in_one_transaction() {
    let mut ground = Ground::new(
        "CREATE TABLE t (id int, v int); INSERT INTO t SELECT n, n % 3 FROM generate_series(1, 30) n; CREATE TABLE u (v int); INSERT INTO u VALUES (0), (1)",
    );
    ground.stream("sums", "SELECT v, count(*) AS n, sum(id) AS ids FROM t GROUP BY v");
    ground.stream("joined", "SELECT t.id, u.v FROM t LEFT JOIN u ON u.v = t.v");
    ground.app.execute("BEGIN; TRUNCATE t; INSERT INTO t VALUES (100, 1), (101, 2); COMMIT");
    ground.read_anyhow("SELECT * FROM sums");
    ground.weir.wait_until_live(&["sums", "joined"]);
    ground.check();
    ground.expect("SELECT sum(n) FROM sums", &["2"]);
    ground.app.execute("BEGIN; INSERT INTO t VALUES (102, 1); TRUNCATE t; COMMIT");
    ground.read_anyhow("SELECT * FROM joined");
    ground.app.execute("BEGIN; TRUNCATE t, u; INSERT INTO u VALUES (5); INSERT INTO t VALUES (1, 5); ROLLBACK");
    ground.app.execute("INSERT INTO t VALUES (103, 0)");
    ground.read_anyhow("SELECT * FROM joined");
    ground.weir.wait_until_live(&["sums", "joined"]);
    ground.check();
    ground.expect("SELECT id, v FROM joined", &["103|0"]);
}

/// What a savepoint took back never was.
#[test]
fn a_savepoint_rolled_back() {
    let mut ground = Ground::new("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1)");
    ground.stream("sums", "SELECT v, count(*) AS n FROM t GROUP BY v");
    ground.commit("INSERT INTO t VALUES (2, 2); SAVEPOINT a; INSERT INTO t VALUES (3, 3); SAVEPOINT b; DELETE FROM t; ROLLBACK TO b; UPDATE t SET v = 9 WHERE id = 3; ROLLBACK TO a; INSERT INTO t VALUES (4, 4); RELEASE a");
    ground.expect("SELECT count(*), max(v) FROM sums", &["3|4"]);
}

/// A table that only grows, a stream table over it and one over that; then it shrinks for once.
#[test]
fn an_append_only_table_below_a_chain() {
    let mut ground = Ground::new("CREATE TABLE event (id bigserial PRIMARY KEY, kind int)");
    ground.stream("kinds", "SELECT kind, count(*) AS n FROM event GROUP BY kind");
    ground.stream("sizes", "SELECT n, count(*) AS kinds FROM kinds GROUP BY n");
    for round in 1..5 {
        ground.commit(&format!("INSERT INTO event (kind) SELECT n % {round} FROM generate_series(1, 10) n"));
    }
    ground.commit("DELETE FROM event WHERE id = 1");
    ground.expect("SELECT sum(n * kinds) FROM sizes", &["39"]);
}

/// A partition with rows is attached and detached: the answers are Postgres' all the while.
#[test]
fn a_partition_is_attached_and_detached() {
    let mut ground = Ground::new(
        "CREATE TABLE m (id int, v int) PARTITION BY RANGE (id); CREATE TABLE m1 PARTITION OF m FOR VALUES FROM (0) TO (10); \
         CREATE TABLE m2 (id int, v int); INSERT INTO m2 VALUES (15, 1), (16, 2); INSERT INTO m VALUES (1, 1), (2, 2)",
    );
    ground.stream("sums", "SELECT v, count(*) AS n FROM m GROUP BY v");
    for change in [
        "ALTER TABLE m ATTACH PARTITION m2 FOR VALUES FROM (10) TO (20)",
        "INSERT INTO m VALUES (3, 3), (17, 3)",
        "UPDATE m SET id = id + 10 WHERE id < 3",
        "ALTER TABLE m DETACH PARTITION m2",
        "INSERT INTO m2 VALUES (18, 9)",
        "DROP TABLE m1",
    ] {
        ground.app.execute(change);
        ground.read_anyhow("SELECT * FROM sums");
        ground.weir.wait_until_live(&["sums"]);
        ground.check();
    }
}
