//! The stream's life: server restarts, lost connections, and what is left behind.

use crate::rig::Rig;
use std::time::Duration;
use tokio_postgres::Client;
use weir_proxy::capture::Method;
use weir_tests::postgres::{Auth, StopMode, TestServer};

async fn slots(client: &Client) -> i64 {
    client.query_one("SELECT count(*) FROM pg_replication_slots", &[]).await.expect("slots can be read").get(0)
}

async fn restarted(mode: StopMode) {
    let mut rig = Rig::start().await;
    rig.sql("CREATE TABLE r (id int); INSERT INTO r VALUES (1)").await;
    let id = rig.watch("r").await;
    rig.until_joined(id).await;
    rig.sql("INSERT INTO r VALUES (2)").await;
    rig.assert_equal("r", id).await;
    let began = std::time::Instant::now();
    rig.server.restart(mode);
    assert!(began.elapsed() < Duration::from_secs(30), "the shutdown waited for Weir: {:?}", began.elapsed());
    rig.client = rig.server.connect().await;
    rig.sql("INSERT INTO r VALUES (3)").await;
    rig.until("the stream to be open again", |model| model.restarts == 1).await;
    let id = rig.watch_published("r").await;
    rig.until_joined(id).await;
    rig.sql("INSERT INTO r VALUES (4)").await;
    rig.assert_equal("r", id).await;
    assert_eq!(rig.model.rows(id), ["1", "2", "3", "4"]);
    assert_eq!(slots(&rig.client).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_shutdown() {
    restarted(StopMode::Fast).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash() {
    restarted(StopMode::Immediate).await;
}

/// A lost walsender costs a resynchronisation; lost control connections cost nothing.
#[tokio::test(flavor = "multi_thread")]
async fn lost_connections() {
    let mut rig = Rig::start().await;
    rig.sql("CREATE TABLE c (id int)").await;
    let id = rig.watch("c").await;
    rig.until_joined(id).await;
    rig.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name IN ('weir visibility', 'weir catalogue')")
        .await;
    rig.sql("INSERT INTO c VALUES (1)").await;
    rig.assert_equal("c", id).await;
    assert!(!rig.model.interrupted);
    rig.sql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots").await;
    rig.until("the stream to be open again", |model| model.restarts == 1).await;
    let id = rig.watch_published("c").await;
    rig.until_joined(id).await;
    rig.assert_equal("c", id).await;
}

/// The slot goes with the capture, and its tasks end.
#[tokio::test(flavor = "multi_thread")]
async fn no_slot_is_left_behind() {
    let mut rig = Rig::start().await;
    rig.sql("CREATE TABLE n (id int)").await;
    let id = rig.watch("n").await;
    rig.until_joined(id).await;
    assert_eq!(slots(&rig.client).await, 1);
    let Rig { server: _server, client, capture, events, .. } = rig;
    drop((capture, events));
    let gone = async {
        while slots(&client).await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the slot is still there");
    let text = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'weir %'";
    let left = async {
        while client.query_one(text, &[]).await.expect("activity").get::<_, i64>(0) > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), left).await.expect("connections are left open");
}

/// Slot creation waits for an open writing transaction; so does nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_open_at_the_start_is_waited_for() {
    let server = TestServer::start();
    let (client, open) = (server.connect().await, server.connect().await);
    client
        .batch_execute("CREATE TABLE o (id int); CREATE TABLE p (id int); CREATE PUBLICATION weir")
        .await
        .expect("created");
    open.batch_execute("BEGIN; INSERT INTO o VALUES (1)").await.expect("an open transaction");
    let (sender, events) = tokio::sync::mpsc::channel(64);
    let capture = weir_proxy::capture::start(server.config(), Method::Wal, "weir", sender);
    let mut rig = Rig { server, client, capture, events, model: Default::default(), method: Method::Wal };
    let id = rig.watch("p").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(rig.events.try_recv().is_err(), "something was streamed before the open transaction ended");
    open.batch_execute("COMMIT").await.expect("committed");
    rig.until_joined(id).await;
    rig.assert_equal("p", id).await;
}

/// Passwords by SCRAM and md5; a wrong one is said, not retried in silence.
#[tokio::test(flavor = "multi_thread")]
async fn password_authentication() {
    for auth in [Auth::ScramSha256, Auth::Md5] {
        let line =
            if auth == Auth::Md5 { "password_encryption = md5" } else { "password_encryption = 'scram-sha-256'" };
        let mut rig = Rig::with(TestServer::options().auth(auth).conf(line)).await;
        rig.sql("CREATE TABLE a (id int)").await;
        let id = rig.watch("a").await;
        rig.until_joined(id).await;
        rig.sql("INSERT INTO a VALUES (1)").await;
        rig.assert_equal("a", id).await;

        let (sender, mut events) = tokio::sync::mpsc::channel(64);
        let mut config = rig.server.config();
        config.password("wrong");
        let _capture = weir_proxy::capture::start(config, Method::Wal, "weir", sender);
        let event = tokio::time::timeout(Duration::from_secs(10), events.recv()).await.expect("an event");
        assert!(matches!(&event, Some(weir_proxy::capture::Event::Interrupted { .. })), "{event:?}");
    }
}
