//! Writes go on and are seen: in leaves made a moment ago, without keys, event triggers or triggers of Weir.

use crate::stage::{PLAIN_ROLE, SUMS, Stage};
use std::time::{Duration, Instant};
use weir_tests::postgres::SUPERUSER;
use weir_tests::weir::by_triggers;
use weir_tests::wire::RawClient;

/// Every write is seen by the next read, through the root, a leaf, and a leaf that was made a moment ago.
fn sees_its_writes(role: &str) {
    let mut stage = Stage::of(
        "CREATE TABLE p (k int PRIMARY KEY, g int, v int) PARTITION BY RANGE (k); \
         CREATE TABLE p_first PARTITION OF p FOR VALUES FROM (-1000) TO (0); INSERT INTO p VALUES (-1, 0, 0)",
        role,
    );
    stage.stream("sums", SUMS);
    let read = "SELECT n, total FROM sums WHERE g = 0";
    let (mut rows, mut total) = (1, 0);
    for k in 0..40 {
        if k % 4 == 0 {
            let to = k + 4;
            // From memory until the moment that the leaf is made.
            stage.live();
            while !stage.app.last_route().starts_with("memory") {
                stage.app.query(read);
            }
            stage.app.execute(&format!("CREATE TABLE p_{k} PARTITION OF p FOR VALUES FROM ({k}) TO ({to})"));
        }
        let statement = match k % 3 {
            0 => format!("INSERT INTO p VALUES ({k}, 0, {k})"),
            1 => format!("INSERT INTO p_{} (v, g, k) VALUES ({k}, 0, {k})", k / 4 * 4),
            _ => format!("WITH new AS (INSERT INTO p VALUES ({k}, 0, {k}) RETURNING k) SELECT count(*) FROM new"),
        };
        stage.app.execute(&statement);
        (rows, total) = (rows + 1, total + k);
        let seen = stage.app.query(read);
        assert_eq!(seen.texts(), [[rows.to_string(), total.to_string()]], "{k}, route {}", stage.app.last_route());
        // To the leaf before, or to and fro.
        stage.app.execute(&format!("UPDATE p SET k = -k - 2 WHERE k = {k}"));
        let seen = stage.app.query(read);
        assert_eq!(seen.texts(), [[rows.to_string(), total.to_string()]], "{k}, route {}", stage.app.last_route());
    }
    stage.live();
}

#[test]
fn a_session_sees_its_writes() {
    sees_its_writes(SUPERUSER);
}

/// No event trigger tells of the new leaf; its first row does.
#[test]
fn a_session_sees_its_writes_without_event_triggers() {
    sees_its_writes(PLAIN_ROLE);
}

/// A leaf of a keyless table refuses UPDATE and DELETE when it is published without REPLICA IDENTITY FULL. None ever is,
/// whoever makes it, whether Weir runs or not.
#[test]
fn a_new_leaf_without_a_key_takes_updates() {
    let mut stage = Stage::new(
        "CREATE ROLE maker LOGIN; GRANT ALL ON SCHEMA public TO maker; SET ROLE maker; \
         CREATE TABLE p (k int, g int, v int) PARTITION BY RANGE (k); \
         CREATE TABLE p_0 PARTITION OF p FOR VALUES FROM (0) TO (10); RESET ROLE",
    );
    stage.stream("sums", SUMS);
    let parameters = [("user", "maker"), ("database", "postgres")];
    let mut maker = RawClient::connect(&stage.server.address(), &parameters, "maker").expect("maker may log in");
    for round in 1..7 {
        if round == 5 {
            stage.weir.stop();
        }
        let (from, to) = (round * 10, round * 10 + 10);
        let make = match round % 3 {
            0 => format!("CREATE TABLE p_{from} PARTITION OF p FOR VALUES FROM ({from}) TO ({to})"),
            1 => format!(
                "CREATE TABLE p_{from} (v int, k int, g int); INSERT INTO p_{from} VALUES (1, {from}, 1); \
                 ALTER TABLE p ATTACH PARTITION p_{from} FOR VALUES FROM ({from}) TO ({to})"
            ),
            _ => format!(
                "CREATE TABLE p_{from} PARTITION OF p FOR VALUES FROM ({from}) TO ({to}) PARTITION BY LIST (g); \
                 CREATE TABLE p_{from}_1 PARTITION OF p_{from} FOR VALUES IN (1); \
                 CREATE TABLE p_{from}_rest PARTITION OF p_{from} DEFAULT"
            ),
        };
        maker.execute(&make);
        maker.execute(&format!("INSERT INTO p SELECT {from} + i, i % 3, i FROM generate_series(0, 9) i"));
        maker.execute(&format!("UPDATE p SET v = v + 1, g = (g + 1) % 3 WHERE k >= {from}"));
        maker.execute(&format!("UPDATE p_{from} SET v = v + 1"));
        maker.execute(&format!("DELETE FROM p WHERE k = {from} + 3"));
        if round < 5 {
            stage.check();
        }
    }
    stage.start_again();
    stage.live();
}

/// A key keeps a new leaf's UPDATEs going where no event trigger can; without either nothing is published.
#[test]
fn without_event_triggers_a_key_is_needed() {
    if by_triggers() {
        return;
    }
    let mut stage = Stage::of(
        "CREATE TABLE p (k int, g int, v int) PARTITION BY RANGE (k); \
         CREATE TABLE p_0 PARTITION OF p FOR VALUES FROM (0) TO (10)",
        PLAIN_ROLE,
    );
    let reason = stage.refusal(SUMS);
    assert!(reason.contains("partitioned without a primary key"), "{reason}");
    stage.app.execute("CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (10) TO (20)");
    stage.app.execute("INSERT INTO p VALUES (1, 1, 1), (11, 1, 1); UPDATE p SET v = 2; DELETE FROM p WHERE k = 1");
}

/// Nor do they when the key goes.
#[test]
fn a_table_that_loses_its_key_is_let_go() {
    if by_triggers() {
        return;
    }
    let mut stage = Stage::of(
        "CREATE TABLE p (k int PRIMARY KEY, g int, v int) PARTITION BY RANGE (k); \
         CREATE TABLE p_0 PARTITION OF p FOR VALUES FROM (0) TO (10)",
        PLAIN_ROLE,
    );
    stage.stream("sums", SUMS);
    stage.app.execute("ALTER TABLE p DROP CONSTRAINT p_pkey");
    let started = Instant::now();
    while stage.direct.execute("SELECT count(*) FROM pg_publication_rel WHERE prrelid = 'p'::regclass").scalar() != "0"
    {
        assert!(started.elapsed() < Duration::from_secs(30), "p is still published");
    }
    stage.app.execute("CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (10) TO (20)");
    stage.app.execute("INSERT INTO p VALUES (1, 1, 1), (11, 1, 1); UPDATE p SET v = 2; DELETE FROM p WHERE k = 1");
    stage.check();
    stage.app.execute("ALTER TABLE p ADD PRIMARY KEY (k)");
    stage.live();
}

/// What others do to Weir's triggers on a leaf is noticed and mended.
#[test]
fn a_disabled_trigger_is_enabled_again() {
    if !by_triggers() {
        return;
    }
    let mut stage = Stage::new(
        "CREATE TABLE p (k int, g int, v int) PARTITION BY RANGE (k); \
         CREATE TABLE p_0 PARTITION OF p FOR VALUES FROM (0) TO (10); \
         CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (10) TO (20)",
    );
    stage.stream("sums", SUMS);
    let root = stage.direct.execute("SELECT 'p'::regclass::oid").scalar();
    // (A table that is shed three times within half a minute is given up.)
    for disable in [
        format!("ALTER TABLE p_0 DISABLE TRIGGER weir_partition_insert_{root}"),
        "DROP TRIGGER weir_capture_truncate ON p_1".to_owned(),
        format!("DROP TRIGGER weir_partition_update_{root} ON p"),
    ] {
        stage.app.execute(&disable);
        let started = Instant::now();
        while stage.direct.execute("SELECT pgtrickle.is_watched('p')").scalar() != "t" {
            assert!(started.elapsed() < Duration::from_secs(30), "not watched again after {disable}");
            std::thread::sleep(Duration::from_millis(20));
        }
        stage.live();
        stage.run("INSERT INTO p VALUES (1, 1, 1), (11, 1, 1)");
        stage.run("UPDATE p SET v = v + 1, k = (k + 10) % 20");
        stage.run("TRUNCATE p_1");
    }
}
