//! Tables that cannot be captured, or no longer: shed with the reason, and the stream goes on for the others.

use crate::rig::Rig;
use weir_planner::RelationId;

async fn assert_shed(rig: &mut Rig, table: RelationId, part: &str) {
    rig.until("the table to be shed", |model| model.shed.contains_key(&table)).await;
    let reason = rig.model.shed.remove(&table).unwrap_or_default();
    assert!(reason.contains(part), "{reason:?} does not say {part:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unfit_tables_are_refused_with_the_reason() {
    let mut rig = Rig::start().await;
    rig.sql(
        "CREATE TABLE plain (id int); ALTER PUBLICATION weir ADD TABLE plain;
         CREATE TABLE unpublished (id int); ALTER TABLE unpublished REPLICA IDENTITY FULL;
         CREATE TABLE parted (id int) PARTITION BY RANGE (id);
         CREATE UNLOGGED TABLE unlogged (id int);
         CREATE VIEW looked_at AS SELECT id FROM plain;
         CREATE TABLE filtered (id int); ALTER TABLE filtered REPLICA IDENTITY FULL",
    )
    .await;
    let cases = [
        ("plain", "REPLICA IDENTITY FULL"),
        ("unpublished", "publication"),
        ("parted", "partitioned"),
        ("unlogged", "unlogged"),
        ("looked_at", "not an ordinary table"),
    ];
    for (table, part) in cases {
        let id = rig.watch_published(table).await;
        assert_shed(&mut rig, id, part).await;
    }
    if rig.server.major() >= 15 {
        rig.sql("ALTER PUBLICATION weir ADD TABLE filtered WHERE (id > 0)").await;
        let id = rig.watch_published("filtered").await;
        assert_shed(&mut rig, id, "row filter").await;
    }
}

/// What DDL does to a table that is captured already.
#[tokio::test(flavor = "multi_thread")]
async fn ddl_sheds_the_tables_it_touches() {
    let mut rig = Rig::start().await;
    rig.sql("CREATE TABLE other (id int)").await;
    let other = rig.watch("other").await;
    rig.until_joined(other).await;
    let cases = [
        ("DROP TABLE d", "does not exist"),
        ("ALTER TABLE d ALTER v TYPE text", "changed its type"),
        ("ALTER TABLE d DROP COLUMN v", "does not exist"),
        ("ALTER TABLE d RENAME v TO w", "does not exist"),
        ("ALTER TABLE d REPLICA IDENTITY DEFAULT", "REPLICA IDENTITY FULL"),
        ("ALTER PUBLICATION weir DROP TABLE d", "publication"),
        ("ALTER TABLE d ALTER v TYPE int USING v + 1", "rewritten"),
    ];
    for (ddl, part) in cases {
        eprintln!("{ddl}");
        rig.sql("DROP TABLE IF EXISTS d CASCADE; CREATE TABLE d (id int, v int); INSERT INTO d VALUES (1, 1)").await;
        let id = rig.watch("d").await;
        rig.until_joined(id).await;
        rig.sql(ddl).await;
        assert_shed(&mut rig, id, part).await;
        rig.sql("INSERT INTO other VALUES (1)").await;
        rig.assert_equal("other", other).await;
    }
}

/// Added columns, truncations and heirs change nothing for the columns that are kept.
#[tokio::test(flavor = "multi_thread")]
async fn harmless_changes_shed_nothing() {
    let mut rig = Rig::start().await;
    rig.sql("CREATE TABLE h (id int, v int); INSERT INTO h VALUES (1, 1)").await;
    let id = rig.watch("h").await;
    rig.until_joined(id).await;
    for number in 0..5 {
        rig.sql(&format!("TRUNCATE h; INSERT INTO h VALUES ({number}, 2)")).await;
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    }
    rig.assert_equal("h", id).await;
    rig.sql("ALTER TABLE h ADD x int DEFAULT 7; INSERT INTO h VALUES (3, 3, 3); ALTER TABLE h DROP x").await;
    rig.sql(
        "CREATE TABLE heir () INHERITS (h); INSERT INTO heir VALUES (4, 4); UPDATE h SET v = v + 1; DELETE FROM heir",
    )
    .await;
    rig.sql("ANALYZE h; UPDATE h SET v = 9").await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    rig.assert_equal("h", id).await;
    assert_eq!(rig.model.shed.get(&id), None);
}

/// The stamp notices what has no mark in the WAL, and nothing when there is nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_stamp() {
    let mut rig = Rig::start().await;
    rig.sql("CREATE TABLE k (id int); CREATE ROLE one; CREATE ROLE two").await;
    let id = rig.watch("k").await;
    rig.until_joined(id).await;
    let quiet = std::time::Duration::from_millis(350);
    rig.until("the first look", |model| model.catalog_changes > 0).await;
    tokio::time::sleep(quiet).await;
    while let Ok(event) = rig.events.try_recv() {
        rig.model.apply(event);
    }
    for statement in [
        "GRANT one TO two",
        "ALTER ROLE one BYPASSRLS",
        "ALTER ROLE two SET work_mem = '8MB'",
        "ALTER TABLE k ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY p ON k USING (id > 0)",
        "GRANT SELECT ON k TO one",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'",
        "CREATE VIEW kv AS SELECT id FROM k",
        "CREATE INDEX ki ON k (id)",
        "REVOKE USAGE ON SCHEMA public FROM PUBLIC",
    ] {
        let before = rig.model.catalog_changes;
        rig.sql(statement).await;
        rig.until(statement, |model| model.catalog_changes > before).await;
        tokio::time::sleep(quiet).await;
        while let Ok(event) = rig.events.try_recv() {
            rig.model.apply(event);
        }
    }
    let before = rig.model.catalog_changes;
    rig.sql("INSERT INTO k VALUES (1); CREATE TEMP TABLE mine (id int); ANALYZE k; SELECT * FROM k").await;
    tokio::time::sleep(quiet).await;
    rig.assert_equal("k", id).await;
    assert_eq!(rig.model.catalog_changes, before, "ordinary work changes the stamp");
}

/// The mark of an event trigger tells of a rewrite at its place in the stream, before the stamp is polled; a rewrite that
/// the snapshot has seen already does not matter.
#[tokio::test(flavor = "multi_thread")]
async fn a_rewrite_mark_sheds_at_its_place() {
    let mut rig = Rig::start().await;
    rig.sql("CREATE TABLE q (id int, v int); INSERT INTO q VALUES (1, 1)").await;
    let mark = "SELECT pg_logical_emit_message(true, 'weir', 'rewrite:' || 'q'::regclass::oid)";
    let id = rig.watch("q").await;
    rig.sql(mark).await;
    rig.sql(mark).await;
    // A table that joined between the marks is shed behind the frontier of the second: what comes later must be waited for.
    loop {
        rig.sql("SELECT pg_logical_emit_message(true, 'nobody', '')").await;
        rig.catch_up().await;
        rig.until("the table to join", |model| model.joined.contains(&id) || model.shed.contains_key(&id)).await;
        if rig.model.shed.remove(&id).is_none() {
            break;
        }
        rig.watch_published("q").await;
    }
    rig.sql("INSERT INTO q VALUES (2, 2)").await;
    rig.assert_equal("q", id).await;
    rig.sql(mark).await;
    rig.catch_up().await;
    assert_shed(&mut rig, id, "rewritten").await;
}
