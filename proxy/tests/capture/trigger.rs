//! Capture by triggers: every kind of statement that writes, who may write, what is refused, and a Weir that is gone.

use crate::rig::{PATIENCE, Rig, install};
use std::time::Duration;
use weir_cache::Position;
use weir_proxy::capture::{Event, Method};
use weir_tests::postgres::StopMode;

/// Two tables that reference each other's rows, and one whose triggers write again.
const TABLES: &str = "
    CREATE TABLE parent (id int PRIMARY KEY, v bigint, note text);
    CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE, v bigint);
    CREATE TABLE loose (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE SET NULL ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE again (id int PRIMARY KEY DEFERRABLE, v bigint);
    CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        UPDATE again SET v = v + 100 WHERE id = new.id AND v < 100; RETURN NULL; END $$;
    CREATE TRIGGER again AFTER INSERT OR UPDATE ON again FOR EACH ROW EXECUTE FUNCTION again();";

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_statement() {
    let mut rig = Rig::by_triggers().await;
    rig.sql(TABLES).await;
    let mut watched = Vec::new();
    for table in ["parent", "child", "loose", "again"] {
        let id = rig.watch(table).await;
        rig.until_joined(id).await;
        watched.push((table, id));
    }
    let fill = "INSERT INTO parent SELECT i, i, 'n' || i FROM generate_series(1, 20) i;
         INSERT INTO child SELECT i, i % 20 + 1, i FROM generate_series(1, 60) i;
         INSERT INTO loose SELECT i, i % 20 + 1 FROM generate_series(1, 40) i";
    let mut statements = vec![
        fill,
        "UPDATE parent SET v = v + 1 WHERE id % 2 = 0",
        "UPDATE parent SET v = v WHERE false",
        "INSERT INTO parent VALUES (1, 5), (21, 5) ON CONFLICT (id) DO UPDATE SET v = excluded.v",
        "INSERT INTO parent VALUES (1, 5) ON CONFLICT DO NOTHING",
        // cascades: updates, deletes, and a deferred SET NULL that runs at commit
        "UPDATE parent SET id = id + 100 WHERE id BETWEEN 5 AND 9",
        "DELETE FROM parent WHERE id IN (2, 3, 105)",
        "BEGIN; DELETE FROM parent WHERE id = 4; INSERT INTO parent VALUES (4, 44); COMMIT",
        "WITH gone AS (DELETE FROM child WHERE v < 10 RETURNING *), more AS (INSERT INTO child SELECT id + 1000, parent, v FROM gone \
             RETURNING *) UPDATE parent SET v = 0 FROM more WHERE parent.id = more.parent",
        "BEGIN; SAVEPOINT a; DELETE FROM child; ROLLBACK TO a; INSERT INTO child VALUES (2000, 1, 1); SAVEPOINT b; \
             UPDATE child SET v = 7 WHERE id = 2000; RELEASE b; COMMIT",
        "BEGIN; UPDATE child SET v = 0; ROLLBACK",
        // the row trigger's statements end before the statement that fired them
        "INSERT INTO again SELECT i, i FROM generate_series(1, 5) i",
        "UPDATE again SET v = 1 WHERE id < 4",
        "UPDATE again SET id = id + 1",
        "BEGIN; UPDATE again SET v = 1; UPDATE again SET v = 2; DELETE FROM again WHERE id = 3; INSERT INTO again VALUES (3, 200); COMMIT",
        "DO $$ BEGIN FOR n IN 50..60 LOOP INSERT INTO again VALUES (n, n); BEGIN INSERT INTO again VALUES (n, 0); \
             EXCEPTION WHEN unique_violation THEN DELETE FROM again WHERE id = n - 1; END; END LOOP; END $$",
        "BEGIN; INSERT INTO child VALUES (3000, 1, 1); TRUNCATE child; INSERT INTO child VALUES (3001, 1, 2); COMMIT",
        "BEGIN; SAVEPOINT a; TRUNCATE child; INSERT INTO child VALUES (1, 1, 1); ROLLBACK TO a; UPDATE child SET v = 9; COMMIT",
        "SET session_replication_role = replica; UPDATE parent SET v = -1 WHERE id = 1; RESET session_replication_role",
        "BEGIN; INSERT INTO parent VALUES (500, 5); PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p'",
        "BEGIN; INSERT INTO parent VALUES (501, 5); PREPARE TRANSACTION 'p'; ROLLBACK PREPARED 'p'",
        "COPY parent TO PROGRAM 'cat > /dev/null'",
        "TRUNCATE parent CASCADE",
        fill,
    ];
    let merge = "MERGE INTO parent p USING (SELECT i AS id FROM generate_series(15, 30) i) s ON p.id = s.id \
         WHEN MATCHED AND p.id % 2 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET v = 1000 WHEN NOT MATCHED THEN INSERT VALUES (s.id, 1)";
    if rig.server.major() >= 15 {
        statements.push(merge);
    }
    for statement in statements {
        // Each on its own, as psql would: one message is one transaction otherwise.
        match statement.strip_prefix("BEGIN; ") {
            None => rig.sql(statement).await,
            Some(parts) => {
                rig.sql("BEGIN").await;
                for part in parts.split("; ") {
                    rig.sql(part).await;
                }
            }
        }
        for (table, id) in &watched {
            rig.assert_equal(table, *id).await;
        }
    }
    let sink = rig.client.copy_in("COPY child FROM STDIN").await.expect("a copy begins");
    let mut sink = Box::pin(sink);
    let rows = bytes::Bytes::from_static(b"9001\t1\t1\n9002\t1\t2\n");
    futures_util::SinkExt::send(&mut sink, rows).await.expect("rows are taken");
    sink.as_mut().finish().await.expect("the copy ends");
    rig.assert_equal("child", watched[1].1).await;
    assert!(rig.model.rows(watched[1].1).contains(&"9002|1|2".to_owned()));
    assert!(rig.model.shed.is_empty(), "{:?}", rig.model.shed);
}

/// Whoever may write the table need know nothing of the triggers, whatever the session has set.
#[tokio::test(flavor = "multi_thread")]
async fn writers_without_rights_and_with_odd_settings() {
    let mut rig = Rig::by_triggers().await;
    rig.sql(
        "CREATE TABLE w (id int, v numeric, t timestamptz, b bytea, f float8);
         CREATE ROLE writer; GRANT INSERT, UPDATE, DELETE, TRUNCATE, SELECT ON w TO writer;
         CREATE SCHEMA trap; GRANT ALL ON SCHEMA trap TO PUBLIC",
    )
    .await;
    let id = rig.watch("w").await;
    rig.until_joined(id).await;
    let writer = rig.server.connect().await;
    writer
        .batch_execute(
            "SET ROLE writer;
             CREATE FUNCTION trap.record_send(record) RETURNS bytea LANGUAGE plpgsql AS $$ BEGIN RAISE 'called'; END $$;
             CREATE FUNCTION trap.ne(int2, int2) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'called'; END $$;
             CREATE OPERATOR trap.<> (LEFTARG = int2, RIGHTARG = int2, PROCEDURE = trap.ne);
             CREATE TEMP TABLE changes (statement int); CREATE TEMP TABLE new_rows (x int); CREATE TEMP TABLE pg_class (oid oid);
             SET search_path = trap, public, pg_catalog; SET DateStyle = 'German'; SET TimeZone = 'Asia/Tokyo';
             SET extra_float_digits = -15; SET bytea_output = 'escape'; SET default_transaction_isolation = serializable;
             INSERT INTO w VALUES (1, 1.50, now(), 'x', 0.1), (2, 'NaN', NULL, NULL, 'infinity');
             UPDATE w SET v = v + 1 WHERE id = 1; DELETE FROM w WHERE id = 2; TRUNCATE w; INSERT INTO w VALUES (3)",
        )
        .await
        .expect("a writer without rights on Weir's schemas writes");
    let denied = writer.batch_execute("SELECT FROM pgtrickle_changes.changes").await;
    assert!(denied.is_err(), "others' rows are not for everybody");
    rig.catch_up().await;
    assert_eq!(rig.model.tables[&id].values().sum::<i64>(), 1);
}

/// A step may lie far above what was asked for right behind one of its commits: that the commit has been seen there is told.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_seen_a_commit_asks_for_no_less_than_it_tells() {
    let mut rig = Rig::by_triggers().await;
    rig.sql("CREATE TABLE w (id int)").await;
    let id = rig.watch("w").await;
    rig.until_joined(id).await;
    let mut far = 0;
    let mut turns = 0..1000;
    while far == 0 || turns.start < 50 {
        let turn = turns.next().expect("some step lies above what was asked for behind its commit");
        // The log goes on before the commit as well as behind it.
        rig.sql("CREATE TEMP TABLE filler AS SELECT generate_series(1, 100); DROP TABLE filler").await;
        rig.sql(&format!("INSERT INTO w VALUES ({turn})")).await;
        let asked = rig.capture.position_after(Position(0));
        rig.capture.reach(asked);
        let commit = loop {
            let event = tokio::time::timeout(PATIENCE, rig.events.recv()).await.expect("an event comes");
            if let Some(Event::Commits { mut commits, .. }) = event
                && let Some(commit) = commits.pop()
            {
                break commit;
            }
        };
        assert!(commit.seen_from <= asked, "{asked} {commit:?}");
        far += u32::from(asked < commit.position);
    }
}

/// The function's own names, as columns.
#[tokio::test(flavor = "multi_thread")]
async fn columns_may_have_any_name() {
    let mut rig = Rig::by_triggers().await;
    let names =
        "n o s r c number record action statement xid relid new_rows old_rows recorded tg_relid tg_op tg_argv changes";
    let columns: Vec<String> = names.split(' ').map(|name| format!("{name} int")).collect();
    rig.sql(&format!("CREATE TABLE named (id int PRIMARY KEY, {})", columns.join(", "))).await;
    let id = rig.watch("named").await;
    rig.until_joined(id).await;
    rig.sql("INSERT INTO named (id, n, o, tg_relid) VALUES (1, 2, 3, 4), (2, 3, 4, 5); UPDATE named SET n = 7, o = NULL WHERE id = 1")
        .await;
    rig.sql("DELETE FROM named WHERE id = 2").await;
    rig.assert_equal("named", id).await;
    assert_eq!(rig.model.rows(id).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_triggers_would_miss_is_refused() {
    let rig = Rig::by_triggers().await;
    rig.sql(
        "CREATE TABLE root (id int) PARTITION BY RANGE (id); CREATE TABLE leaf PARTITION OF root DEFAULT;
         CREATE TABLE elder (id int); CREATE TABLE heir () INHERITS (elder);
         CREATE TYPE pair AS (a int, b aclitem[]); CREATE TABLE unsendable (id int, p pair);
         CREATE UNLOGGED TABLE unlogged (id int); CREATE TABLE plain (id int, p int4range, n text[])",
    )
    .await;
    let cases = [
        ("root", None),
        ("leaf", None),
        ("elder", Some("other tables inherit")),
        ("heir", Some("inherits from")),
        ("unsendable", Some("type aclitem has no binary form")),
        ("unlogged", None),
        ("plain", None),
    ];
    for (table, part) in cases {
        let text = "SELECT pgtrickle.watch_obstacle($1::text::regclass)";
        let obstacle: Option<String> = rig.client.query_one(text, &[&table]).await.expect("an answer").get(0);
        match (part, &obstacle) {
            (None, None) => {}
            (Some(part), Some(obstacle)) if obstacle.contains(part) => {}
            _ => panic!("{table}: {obstacle:?} instead of {part:?}"),
        }
        let watched = rig.client.batch_execute(&format!("SELECT pgtrickle.watch(ARRAY['{table}'::regclass])")).await;
        assert_eq!(watched.is_ok(), part.is_none(), "{table}");
    }
}

/// What makes a captured table impossible to follow sheds it; it can be watched again afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn ddl_sheds_the_tables_it_touches() {
    let mut rig = Rig::by_triggers().await;
    let cases = [
        ("DROP TABLE d", "does not exist", false),
        ("ALTER TABLE d ALTER v TYPE text", "rewritten|changed its type", true),
        ("ALTER TABLE d RENAME v TO w", "does not exist", true),
        ("ALTER TABLE d ADD x aclitem; INSERT INTO d VALUES (5, 5)", "columns have changed", false),
        ("ALTER TABLE d DROP v; ALTER TABLE d ADD v int; INSERT INTO d VALUES (5, 5)", "columns have changed", true),
        ("ALTER TABLE d DISABLE TRIGGER weir_capture_update", "triggers", true),
        ("DROP TRIGGER weir_capture_insert ON d", "triggers", true),
        ("ALTER TABLE d ALTER v TYPE int USING v + 1", "rewritten", true),
        ("CREATE TABLE heir () INHERITS (d)", "inheritance", false),
    ];
    for (ddl, part, again) in cases {
        eprintln!("{ddl}");
        rig.sql("DROP TABLE IF EXISTS d CASCADE; CREATE TABLE d (id int, v int); INSERT INTO d VALUES (1, 1)").await;
        let id = rig.watch("d").await;
        rig.until_joined(id).await;
        rig.sql(ddl).await;
        rig.until("the table to be shed", |model| model.shed.contains_key(&id)).await;
        let reason = rig.model.shed.remove(&id).unwrap_or_default();
        // The event trigger's mark and the polled stamp race.
        assert!(part.split('|').any(|part| reason.contains(part)), "{reason:?} does not say {part:?}");
        if again {
            let id = rig.watch("d").await;
            rig.until_joined(id).await;
            rig.sql("INSERT INTO d (id) VALUES (6)").await;
            rig.assert_equal("d", id).await;
        }
    }
}

/// Nothing is recorded while nobody drains, so nothing piles up; the next Weir waits for who wrote unrecorded.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_piles_up_without_a_weir() {
    let Rig { server, client, .. } = Rig::by_triggers().await;
    let rig = |server, client| async {
        let (sender, events) = tokio::sync::mpsc::channel(64);
        let capture = weir_proxy::capture::start(
            weir_tests::postgres::TestServer::config(&server),
            Method::Trigger,
            "weir",
            sender,
        );
        Rig { server, client, capture, events, model: Default::default(), method: Method::Trigger }
    };
    let locks = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 3";
    while client.query_opt(locks, &[]).await.expect("locks").is_some() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let setup = "CREATE TABLE p (id int, note text); SELECT pgtrickle.watch(ARRAY['p'::regclass]); INSERT INTO p VALUES (1, 'a')";
    client.batch_execute(setup).await.expect("writes go on");
    let recorded = "SELECT count(*) FROM pgtrickle_changes.changes";
    assert_eq!(client.query_one(recorded, &[]).await.expect("a count").get::<_, i64>(0), 0);
    let open = server.connect().await;
    open.batch_execute("BEGIN; INSERT INTO p VALUES (2, 'unrecorded')").await.expect("an open transaction");
    let mut rig = rig(server, client).await;
    let id = rig.watch_published("p").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!rig.model.joined.contains(&id));
    open.batch_execute("INSERT INTO p VALUES (3, 'unrecorded too'); COMMIT").await.expect("committed");
    rig.until_joined(id).await;
    rig.sql("INSERT INTO p VALUES (4, 'recorded')").await;
    rig.assert_equal("p", id).await;
    // What has been drained is deleted.
    let drained = async {
        while rig.client.query_one(recorded, &[]).await.expect("a count").get::<_, i64>(0) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::rig::PATIENCE, drained).await.expect("drained changes are deleted");
}

/// A crash empties the change table, but a prepared transaction lives on: its rows are not lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_transaction_survives_a_crash() {
    let mut rig = Rig::by_triggers().await;
    rig.sql("CREATE TABLE s (id int)").await;
    let id = rig.watch("s").await;
    rig.until_joined(id).await;
    rig.sql("BEGIN; INSERT INTO s VALUES (1); PREPARE TRANSACTION 'survivor'").await;
    rig.server.restart(StopMode::Immediate);
    rig.client = rig.server.connect().await;
    rig.until("the capture to be open again", |model| model.restarts == 1).await;
    let id = rig.watch_published("s").await;
    rig.sql("INSERT INTO s VALUES (2)").await;
    rig.until("the wait to be reported", |model| model.waiting.contains_key(&id)).await;
    rig.sql("COMMIT PREPARED 'survivor'").await;
    rig.until_joined(id).await;
    rig.assert_equal("s", id).await;
    assert_eq!(rig.model.rows(id), ["1", "2"]);
}

/// From triggers to the WAL and back, while the table is written: after every switch it is what Postgres shows.
#[tokio::test(flavor = "multi_thread")]
async fn switching_under_load() {
    let mut random = weir_tests::rng::seeded("switching_under_load");
    let mut rig = Rig::start().await;
    install(&rig.server, Method::Wal).await;
    crate::writers::create(&rig.client, "x").await;
    let id = rig.watch("x").await;
    rig.until_joined(id).await;
    let mut committed = 0;
    for _ in 0..weir_tests::rng::rounds(6, 100) {
        let writers = crate::writers::Writers::start(&rig.server, "x", 3, &mut random).await;
        rig.method = if rig.method == Method::Wal { Method::Trigger } else { Method::Wal };
        rig.sql(&format!("UPDATE pgtrickle.weir_capture SET method = '{}'", rig.method)).await;
        let lives = rig.model.restarts;
        rig.capture.switch(rig.method);
        rig.until("the other way to be open", |model| model.restarts > lives).await;
        let lives = rig.model.restarts;
        let id = rig.capture_until_joined("x").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        committed += writers.stop().await;
        rig.catch_up().await;
        if rig.model.restarts > lives {
            rig.capture_until_joined("x").await;
        }
        rig.assert_equal("x", id).await;
    }
    eprintln!("{committed} transactions");
}
