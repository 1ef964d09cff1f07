//! Snapshot and stream joined in the middle of writers: nothing lost, nothing doubled.

use crate::rig::Rig;
use crate::writers::{self, Writers};
use rand::Rng;
use std::time::Duration;
use weir_proxy::capture::Method;
use weir_tests::postgres::TestServer;
use weir_tests::rng;

#[tokio::test(flavor = "multi_thread")]
async fn random_writers_across_the_watch() {
    random_writers(Rig::start().await, rng::rounds(100, 1000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_writers_across_the_watch_by_triggers() {
    random_writers(Rig::by_triggers().await, rng::rounds(40, 1000)).await;
}

/// Where nothing can be prepared, Weir sleeps between changes and is woken by the triggers.
#[tokio::test(flavor = "multi_thread")]
async fn random_writers_who_wake_weir() {
    let options = TestServer::options().conf("wal_level = minimal").conf("max_wal_senders = 0");
    let rig = Rig::of(options.conf("max_prepared_transactions = 0"), Method::Trigger).await;
    random_writers(rig, rng::rounds(20, 500)).await;
}

async fn random_writers(mut rig: Rig, rounds: usize) {
    let mut random = rng::seeded("random_writers_across_the_watch");
    let mut committed = 0;
    for round in 0..rounds {
        let table = format!("t{round}");
        writers::create(&rig.client, &table).await;
        let writers = Writers::start(&rig.server, &table, 3, &mut random).await;
        pause(random.random_range(5..60)).await;
        let id = rig.watch(&table).await;
        rig.until_joined(id).await;
        pause(random.random_range(5..60)).await;
        committed += writers.stop().await;
        rig.assert_equal(&table, id).await;
        rig.capture.unwatch(id);
        rig.sql(&format!("DROP TABLE {table}")).await;
    }
    eprintln!("{rounds} rounds, {committed} transactions, {} changes applied late", rig.model.late);
    assert!(committed > 3 * rounds as u64, "the writers hardly wrote");
}

/// Several tables join at once while all are written.
#[tokio::test(flavor = "multi_thread")]
async fn several_tables_at_a_time() {
    several_tables(Rig::start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_tables_at_a_time_by_triggers() {
    several_tables(Rig::by_triggers().await).await;
}

async fn several_tables(mut rig: Rig) {
    let mut random = rng::seeded("several_tables_at_a_time");
    let tables: Vec<String> = (0..5).map(|number| format!("s{number}")).collect();
    let mut all = Vec::new();
    for table in &tables {
        writers::create(&rig.client, table).await;
        all.push(Writers::start(&rig.server, table, 1, &mut random).await);
    }
    pause(100).await;
    let mut ids = Vec::new();
    for table in &tables {
        ids.push(rig.watch(table).await);
    }
    for &id in &ids {
        rig.until_joined(id).await;
    }
    pause(200).await;
    for writers in all {
        writers.stop().await;
    }
    for (table, id) in tables.iter().zip(ids) {
        rig.assert_equal(table, id).await;
    }
}

/// A transaction that has written when the watch begins is waited for; that is reported, and nothing of it is lost. The
/// same when it becomes a prepared one meanwhile, which has another name in `pg_locks` and no pid.
#[tokio::test(flavor = "multi_thread")]
async fn open_writers_are_waited_for() {
    let mut rig = Rig::start().await;
    // A stream that is opened, or opened again, only now would itself wait for what is open below.
    rig.sql("CREATE TABLE first (id int)").await;
    let first = rig.watch("first").await;
    rig.until_joined(first).await;
    rig.sql("CREATE TABLE w (id int, note text); ALTER TABLE w REPLICA IDENTITY FULL").await;
    let (open, prepared) = (rig.server.connect().await, rig.server.connect().await);
    open.batch_execute("BEGIN; INSERT INTO w VALUES (1, 'open')").await.expect("an open transaction");
    prepared.batch_execute("BEGIN; INSERT INTO w VALUES (2, 'to be prepared')").await.expect("an open transaction");
    rig.sql("ALTER PUBLICATION weir ADD TABLE w").await;
    let id = rig.watch_published("w").await;
    pause(200).await;
    prepared.batch_execute("INSERT INTO w VALUES (3, 'after'); PREPARE TRANSACTION 'w'").await.expect("prepared");
    rig.sql("INSERT INTO w VALUES (4, 'new')").await;
    rig.until("the wait to be reported", |model| model.waiting.contains_key(&id)).await;
    let reason = &rig.model.waiting[&id];
    assert!(reason.contains("pid ") && reason.contains("prepared transaction"), "{reason}");
    open.batch_execute("INSERT INTO w VALUES (5, 'open'); COMMIT").await.expect("committed");
    pause(300).await;
    assert!(!rig.model.joined.contains(&id), "joined before the prepared transaction ended");
    rig.sql("COMMIT PREPARED 'w'").await;
    rig.until_joined(id).await;
    rig.assert_equal("w", id).await;
    assert_eq!(rig.model.rows(id).len(), 5);
}

/// An asynchronous commit on an idle server stays unflushed, so unsent, until somebody pushes.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_server_is_pushed() {
    let mut rig = Rig::with(TestServer::options().conf("wal_writer_delay = 10s")).await;
    rig.sql("CREATE TABLE i (id int); INSERT INTO i SELECT generate_series(1, 1000)").await;
    let id = rig.watch("i").await;
    rig.until_joined(id).await;
    rig.sql("SET synchronous_commit = off").await;
    for round in 0..20 {
        rig.sql("INSERT INTO i VALUES (0)").await;
        let began = std::time::Instant::now();
        rig.assert_equal("i", id).await;
        assert!(began.elapsed() < Duration::from_secs(2), "round {round}: {:?}", began.elapsed());
    }
}

async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}
