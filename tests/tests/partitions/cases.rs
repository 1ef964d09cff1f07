//! What must hold by name: refusals, restarts, and what happens to a tree of partitions.

use crate::stage::{SUMS, Stage};
use std::time::{Duration, Instant};
use weir_tests::weir::{by_triggers, keeps_nothing};
use weir_tests::wire::RawClient;

#[test]
fn what_cannot_be_followed_is_named() {
    let mut stage = Stage::new(
        "CREATE TABLE p (k int, g int, v int) PARTITION BY RANGE (k); \
         CREATE TABLE p_0 PARTITION OF p FOR VALUES FROM (0) TO (10); \
         CREATE TABLE secret PARTITION OF p FOR VALUES FROM (10) TO (20); ALTER TABLE secret ENABLE ROW LEVEL SECURITY; \
         CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere; \
         CREATE FOREIGN TABLE abroad (k int, g int, v int) SERVER nowhere; CREATE UNLOGGED TABLE loose (k int, g int, v int)",
    );
    let reason = stage.refusal(SUMS);
    assert!(reason.contains("secret: it has row-level security"), "{reason}");
    stage.app.execute("DROP TABLE secret");
    let reason = stage.refusal("SELECT g FROM ONLY p");
    assert!(reason.contains("ONLY of a partitioned table"), "{reason}");
    stage.stream("sums", SUMS);
    // What comes to a table that is maintained leaves it to Postgres, until it goes.
    for (table, words) in [("loose", "unlogged"), ("abroad", "foreign table")] {
        stage.app.execute(&format!("ALTER TABLE p ATTACH PARTITION {table} FOR VALUES FROM (10) TO (20)"));
        // (Triggers would see an unlogged table; the planner knows none.)
        if !by_triggers() || table == "abroad" {
            let reason = stage.direct.execute("SELECT pgtrickle.watch_obstacle('p')").scalar();
            assert!(reason.contains(table) && reason.contains(words), "{reason}");
        }
        let (through, direct) = (stage.app.query("SELECT * FROM sums"), stage.direct.query("SELECT * FROM sums"));
        assert!(stage.app.last_route().starts_with("forwarded"), "{}", stage.app.last_route());
        assert_eq!((through.texts(), through.error), (direct.texts(), direct.error));
        stage.run(&format!("ALTER TABLE p DETACH PARTITION {table}"));
    }
    // A leaf whose identity others change is given its own again, or left to Postgres; it is never believed.
    stage.app.execute("INSERT INTO p VALUES (1, 1, 1), (2, 1, 2)");
    stage.app.execute("ALTER TABLE p_0 REPLICA IDENTITY NOTHING");
    stage.app.query("DELETE FROM p WHERE k = 1");
    stage.check();
}

/// A leaf's rows leave at the first of the two transactions; the second waits for whoever still sees them.
#[test]
fn a_leaf_is_detached_concurrently() {
    let mut stage = Stage::new(
        "CREATE TABLE p (k int, g int, v int) PARTITION BY RANGE (k); \
         CREATE TABLE p_0 PARTITION OF p FOR VALUES FROM (0) TO (10); \
         CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (10) TO (20); \
         INSERT INTO p SELECT n, n % 3, n FROM generate_series(0, 19) n",
    );
    stage.stream("sums", SUMS);
    let mut old = RawClient::superuser(&stage.server.address());
    old.execute("BEGIN; SELECT count(*) FROM p");
    let address = stage.server.address();
    let detaching = std::thread::spawn(move || {
        RawClient::superuser(&address).execute("ALTER TABLE p DETACH PARTITION p_1 CONCURRENTLY");
    });
    let started = Instant::now();
    while stage.direct.execute("SELECT count(*) FROM p").scalar() != "10" {
        assert!(started.elapsed() < Duration::from_secs(30), "the leaf is not detached");
    }
    for round in 0..20 {
        stage.check();
        stage.app.execute(&format!("INSERT INTO p VALUES (5, 1, {round})"));
    }
    old.execute("COMMIT");
    detaching.join().expect("the leaf is detached");
    stage.run("INSERT INTO p_1 VALUES (15, 0, 0)");
    stage.run("DROP TABLE p_1");
}

/// Trees are put together and taken apart while their parts are read by stream tables of their own.
#[test]
fn watched_tables_become_partitions() {
    let mut stage = Stage::new(
        "CREATE TABLE p (k int, g int, v int) PARTITION BY RANGE (k); \
         CREATE TABLE p_0 PARTITION OF p FOR VALUES FROM (0) TO (10); \
         CREATE TABLE plain (v int, k int, g int); INSERT INTO plain SELECT n, 10 + n, n % 2 FROM generate_series(0, 9) n; \
         CREATE TABLE branch (g int, v int, k int) PARTITION BY LIST (g); \
         CREATE TABLE branch_0 PARTITION OF branch FOR VALUES IN (0, 2); \
         CREATE TABLE branch_1 PARTITION OF branch DEFAULT; \
         INSERT INTO branch SELECT n % 3, n, 20 + n FROM generate_series(0, 9) n; \
         CREATE TABLE other (k int, g int, v int) PARTITION BY RANGE (k); INSERT INTO p VALUES (1, 1, 1)",
    );
    stage.stream("sums", SUMS);
    stage.stream("of_plain", "SELECT g, sum(v) AS total FROM plain GROUP BY g");
    stage.stream("of_branch", "SELECT k, v, g FROM branch");
    stage.stream("of_a_leaf", "SELECT count(*) AS n FROM branch_0");
    let writes = [
        "INSERT INTO plain (k, g, v) VALUES (12, 1, 5)",
        "INSERT INTO branch (k, g, v) VALUES (22, 1, 7), (23, 2, 8)",
        "UPDATE branch SET g = g + 1, v = v + 1",
        "DELETE FROM branch_0 WHERE v % 3 = 0",
        "UPDATE plain SET v = v - 1",
        "TRUNCATE p_0",
        "INSERT INTO p_0 VALUES (3, 3, 3)",
    ];
    for change in [
        "ALTER TABLE p ATTACH PARTITION plain FOR VALUES FROM (10) TO (20)",
        "ALTER TABLE p ATTACH PARTITION branch FOR VALUES FROM (20) TO (30)",
        "ALTER TABLE p DETACH PARTITION plain",
        // To a table that nothing reads.
        "ALTER TABLE other ATTACH PARTITION plain FOR VALUES FROM (10) TO (20)",
        "ALTER TABLE other ATTACH PARTITION p FOR VALUES FROM (20) TO (30)",
        "ALTER TABLE p DETACH PARTITION branch",
    ] {
        // (Rows of p outside of other's range cannot come along.)
        if change.contains("PARTITION p FOR") {
            stage.app.execute("TRUNCATE p_0");
        }
        stage.app.execute(change);
        stage.check();
        for write in writes {
            stage.app.query(write);
            stage.check();
        }
        stage.live();
        for write in writes {
            stage.app.query(write);
            stage.check();
        }
    }
    stage.stream("of_other", "SELECT count(*) AS n, sum(v) AS total FROM other");
    stage.run("UPDATE other SET v = v + 1");
}

/// Nothing is copied again for a TRUNCATE of a leaf, or for a new one; the other leaves are not copied for one that goes.
#[test]
fn other_leaves_are_left_alone() {
    let mut stage = Stage::new(
        "CREATE TABLE p (k int, g int, v int) PARTITION BY RANGE (k); \
         CREATE TABLE p_0 PARTITION OF p FOR VALUES FROM (0) TO (10); \
         CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (10) TO (20); \
         INSERT INTO p SELECT n, n % 3, n FROM generate_series(0, 19) n",
    );
    stage.stream("sums", SUMS);
    stage.run("TRUNCATE p_0");
    stage.run("CREATE TABLE p_2 PARTITION OF p FOR VALUES FROM (20) TO (30)");
    stage.run("INSERT INTO p VALUES (1, 1, 1), (11, 1, 1), (21, 1, 1)");
    stage.run("ALTER TABLE p DETACH PARTITION p_1");
    stage.run("DROP TABLE p_2");
    let log = stage.weir.log();
    assert!(keeps_nothing() || !log.contains("copied again"), "{log}");
}

/// Columns come, go, and are computed; those of a leaf stand in another order.
#[test]
fn columns_of_a_tree_change() {
    let mut stage = Stage::new(
        "CREATE TABLE p (k int, g int, v int, twice int GENERATED ALWAYS AS (v * 2) STORED) PARTITION BY RANGE (k); \
         CREATE TABLE p_0 PARTITION OF p FOR VALUES FROM (0) TO (10); \
         CREATE TABLE p_1 (twice int GENERATED ALWAYS AS (v * 2) STORED, v int, g int, k int); \
         INSERT INTO p_1 (k, g, v) VALUES (11, 1, 7)",
    );
    stage.stream("sums", "SELECT g, sum(twice) AS total FROM p GROUP BY g");
    stage.run("ALTER TABLE p ATTACH PARTITION p_1 FOR VALUES FROM (10) TO (20)");
    for statement in [
        "INSERT INTO p (k, g, v) VALUES (1, 1, 4), (2, 2, 5)",
        "ALTER TABLE p ADD COLUMN more int DEFAULT 5",
        "INSERT INTO p (k, g, v, more) VALUES (3, 1, 4, 6)",
        "ALTER TABLE p RENAME COLUMN more TO less",
        "UPDATE p SET v = v + less",
        "ALTER TABLE p DROP COLUMN less",
        "ALTER TABLE p ALTER COLUMN k TYPE bigint",
        "UPDATE p SET g = g + 1 WHERE k < 3",
    ] {
        // (The key of partitioning keeps its type.)
        stage.app.query(statement);
        stage.check();
        stage.live();
    }
    // A type without a binary form: writes go on, whatever becomes of the stream table.
    stage.app.execute("ALTER TABLE p ADD COLUMN odd aclitem");
    stage.app.execute("INSERT INTO p (k, g, v) VALUES (4, 1, 4), (14, 2, 5); UPDATE p SET v = v + 1");
    stage.check();
}

#[test]
fn a_restart_finds_what_happened_meanwhile() {
    let mut stage = Stage::new(
        "CREATE TABLE p (k int, g int, v int) PARTITION BY RANGE (k); \
         CREATE TABLE p_0 PARTITION OF p FOR VALUES FROM (0) TO (10); \
         CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (10) TO (20); \
         INSERT INTO p SELECT n, n % 3, n FROM generate_series(0, 19) n",
    );
    stage.stream("sums", SUMS);
    for (killed, meanwhile) in [
        (false, "ALTER TABLE p DETACH PARTITION p_1; CREATE TABLE p_2 PARTITION OF p FOR VALUES FROM (20) TO (30)"),
        (true, "ALTER TABLE p ATTACH PARTITION p_1 FOR VALUES FROM (10) TO (20); DROP TABLE p_0"),
    ] {
        if killed {
            stage.weir.kill()
        } else {
            stage.weir.stop()
        }
        stage.direct.execute(meanwhile);
        stage.direct.execute("INSERT INTO p VALUES (25, 2, 100)");
        stage.start_again();
        stage.live();
        stage.run("UPDATE p SET v = v + 1, k = k + 1 WHERE k = 25");
    }
}

/// `weir unwatch --all` gives back what the leaves had, also to those that have left, and those that came later.
#[test]
fn unwatching_restores_the_leaves() {
    let mut stage = Stage::new(
        "CREATE TABLE p (k int PRIMARY KEY, g int, v int) PARTITION BY RANGE (k); \
         CREATE TABLE p_0 PARTITION OF p FOR VALUES FROM (0) TO (10); \
         CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (10) TO (20); ALTER TABLE p_1 REPLICA IDENTITY NOTHING; \
         CREATE TABLE p_2 PARTITION OF p FOR VALUES FROM (20) TO (30); ALTER TABLE p_2 REPLICA IDENTITY USING INDEX p_2_pkey; \
         CREATE TABLE p_3 PARTITION OF p FOR VALUES FROM (30) TO (40); ALTER TABLE p_3 REPLICA IDENTITY FULL; \
         CREATE TABLE p_4 PARTITION OF p FOR VALUES FROM (40) TO (50)",
    );
    stage.stream("sums", SUMS);
    stage.run("ALTER TABLE p DETACH PARTITION p_4");
    stage.run("CREATE TABLE p_5 PARTITION OF p FOR VALUES FROM (50) TO (60)");
    let found = "SELECT string_agg(relname || ' ' || relreplident::text, ', ' ORDER BY relname) FROM pg_class \
         WHERE relname LIKE 'p!__' ESCAPE '!'";
    if !by_triggers() {
        assert_eq!(stage.direct.execute(found).scalar(), "p_0 f, p_1 f, p_2 f, p_3 f, p_4 f, p_5 f");
    }
    stage.unwatch();
    assert_eq!(stage.direct.execute(found).scalar(), "p_0 d, p_1 n, p_2 i, p_3 f, p_4 d, p_5 d");
    stage.direct.execute("INSERT INTO p VALUES (1, 1, 1); UPDATE p SET v = 2; DELETE FROM p");
}

/// From the WAL to triggers and back, with nothing left of the other way.
#[test]
fn the_way_of_capturing_is_switched() {
    if by_triggers() {
        return;
    }
    let mut stage = Stage::new(
        "CREATE TABLE p (k int, g int, v int) PARTITION BY RANGE (k); \
         CREATE TABLE p_0 PARTITION OF p FOR VALUES FROM (0) TO (10); \
         CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (10) TO (20); \
         INSERT INTO p SELECT n, n % 3, n FROM generate_series(0, 19) n",
    );
    stage.stream("sums", SUMS);
    let left = "SELECT (SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'weir!_%' ESCAPE '!') || ' ' \
         || (SELECT count(*) FROM pg_publication_rel WHERE prrelid = 'p'::regclass) || ' ' \
         || (SELECT string_agg(relreplident::text, '' ORDER BY relname) FROM pg_class WHERE relname IN ('p_0', 'p_1'))";
    for (mode, expected) in [("trigger", "11 0 dd"), ("wal", "0 1 ff")] {
        stage.app.execute(&format!("SELECT pgtrickle.set_capture_mode('{mode}')"));
        let started = Instant::now();
        while stage.direct.execute(left).scalar() != expected {
            assert!(started.elapsed() < Duration::from_secs(60), "{mode}: {}", stage.direct.execute(left).scalar());
            stage.app.execute("INSERT INTO p VALUES (1, 1, 1)");
            stage.check();
        }
        stage.live();
        stage.run("UPDATE p SET k = 19 - k, v = v + 1");
        stage.run("INSERT INTO p_0 VALUES (2, 1, 1)");
        stage.run("TRUNCATE p_0");
    }
}
