//! What the stream brings is what was written.

use crate::rig::Rig;

/// Marks arrive with the commit they belong to, in order with the rows around them.
#[tokio::test(flavor = "multi_thread")]
async fn marks_and_rows() {
    let mut rig = Rig::start().await;
    rig.sql("CREATE TABLE m (id int)").await;
    let id = rig.watch("m").await;
    rig.until_joined(id).await;
    rig.sql(
        "BEGIN; INSERT INTO m VALUES (1); SELECT pg_logical_emit_message(true, 'weir', 'inside'); COMMIT;
         BEGIN; SELECT pg_logical_emit_message(true, 'weir', 'never'); ROLLBACK;
         SELECT pg_logical_emit_message(true, 'other', 'not ours');
         BEGIN; SELECT pg_logical_emit_message(false, 'weir', 'at once'); ROLLBACK",
    )
    .await;
    rig.assert_equal("m", id).await;
    assert_eq!(rig.model.marks, ["inside", "at once"]);
}

/// Whole rows, whatever the width and wherever the values are stored.
#[tokio::test(flavor = "multi_thread")]
async fn wide_rows_and_unchanged_toast() {
    let mut rig = Rig::start().await;
    rig.sql("CREATE TABLE x (id int, a text, b text, c bigint); ALTER TABLE x ALTER a SET STORAGE EXTERNAL").await;
    let id = rig.watch("x").await;
    rig.until_joined(id).await;
    rig.sql("INSERT INTO x SELECT i, repeat(i::text, 40000), NULL, i FROM generate_series(1, 20) i").await;
    rig.sql("UPDATE x SET c = c + 1; UPDATE x SET b = 'set' WHERE id % 2 = 0; UPDATE x SET a = NULL WHERE id = 3")
        .await;
    rig.sql("DELETE FROM x WHERE id % 5 = 0").await;
    rig.assert_equal("x", id).await;
    assert_eq!(rig.model.rows(id).len(), 16);
}

/// Only the columns that were asked for, in the order they were asked for; also none at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_choice_of_columns() {
    let mut rig = Rig::start().await;
    rig.sql("CREATE TABLE s (a int, b text, c bigint); INSERT INTO s VALUES (1, 'x', 2)").await;
    rig.sql("CREATE TABLE e (a int); INSERT INTO e VALUES (1), (2)").await;
    for table in ["s", "e"] {
        rig.sql(&format!("ALTER TABLE {table} REPLICA IDENTITY FULL; ALTER PUBLICATION weir ADD TABLE {table}")).await;
    }
    let mut some = crate::rig::spec(&rig.client, "s").await;
    some.columns = vec![some.columns[2].clone(), some.columns[0].clone()];
    let mut none = crate::rig::spec(&rig.client, "e").await;
    none.columns.clear();
    let ids = (some.id, none.id);
    rig.capture.watch(some);
    rig.capture.watch(none);
    rig.until_joined(ids.0).await;
    rig.until_joined(ids.1).await;
    rig.sql(
        "INSERT INTO s VALUES (3, 'y', 4); UPDATE s SET b = 'z'; INSERT INTO e VALUES (3); DELETE FROM e WHERE a = 1",
    )
    .await;
    rig.catch_up().await;
    assert_eq!(rig.model.rows(ids.0), ["2|1", "4|3"]);
    assert_eq!(rig.model.rows(ids.1).len(), 2);
}

/// A transaction of many rows comes as one commit.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_transaction() {
    let mut rig = Rig::start().await;
    rig.sql("CREATE TABLE b (id int, v bigint)").await;
    let id = rig.watch("b").await;
    rig.until_joined(id).await;
    rig.sql("INSERT INTO b SELECT i, i FROM generate_series(1, 200000) i").await;
    let began = std::time::Instant::now();
    rig.until("the rows", |model| !model.tables[&id].is_empty()).await;
    eprintln!("200,000 rows arrived {:?} after their commit", began.elapsed());
    rig.assert_equal("b", id).await;
}
