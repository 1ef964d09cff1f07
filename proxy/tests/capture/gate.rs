//! The visibility gate, and what it costs.

use crate::rig::Rig;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};
use weir_planner::Value;
use weir_proxy::capture::{Change, Event};

/// Each delivered commit is seen by a fresh snapshot, while others keep the server busy.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivered_commit_is_visible() {
    delivered_commits_are_visible(false).await;
}

/// With Weir itself as the synchronous standby, every commit is in the stream long before it is visible; and commits go
/// on, because what Weir confirms does not wait for its own gate.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivered_commit_is_visible_also_when_commits_wait_for_weir() {
    delivered_commits_are_visible(true).await;
}

async fn delivered_commits_are_visible(weir_is_standby: bool) {
    let mut rig = Rig::start().await;
    rig.sql("CREATE TABLE g (id int, at bigint)").await;
    let id = rig.watch("g").await;
    rig.until_joined(id).await;
    if weir_is_standby {
        rig.sql("ALTER SYSTEM SET synchronous_standby_names = '*'").await;
        rig.sql("SELECT pg_reload_conf()").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let stop = Arc::new(AtomicI32::new(0));
    let mut writers = Vec::new();
    for writer in 0..4 {
        let (client, stop) = (rig.server.connect().await, stop.clone());
        writers.push(tokio::spawn(async move {
            let mut number = writer;
            while stop.load(Ordering::Relaxed) == 0 {
                client.execute("INSERT INTO g VALUES ($1, 0)", &[&number]).await.expect("inserted");
                number += 4;
            }
        }));
    }
    let reader = rig.server.connect().await;
    let statement = reader.prepare("SELECT count(*) FROM g WHERE id = $1").await.expect("prepared");
    let (mut seen, until) = (0, Instant::now() + Duration::from_secs(4));
    while Instant::now() < until {
        let event = rig.events.recv().await.expect("events go on");
        if let Event::Commits { commits, .. } = &event {
            let newest = commits.last().and_then(|commit| commit.changes.last());
            if let Some(Change::Row { new: Some(row), .. }) = newest {
                let Value::Int4(number) = row[0] else { panic!("id is an int") };
                let count: i64 = reader.query_one(&statement, &[&number]).await.expect("counted").get(0);
                assert_eq!(count, 1, "row {number} was delivered and is not visible");
                seen += 1;
            }
        }
        rig.model.apply(event);
    }
    stop.store(1, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("writers do not fail");
    }
    rig.assert_equal("g", id).await;
    eprintln!("{seen} delivered commits checked");
    assert!(seen > 50, "only {seen} commits were checked");
}

/// A commit that waits for a missing standby is in the stream and visible to nobody; later ones wait behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_waits_for_a_standby_is_held_back() {
    let mut rig = Rig::start().await;
    rig.sql("CREATE TABLE y (id int)").await;
    let id = rig.watch("y").await;
    rig.until_joined(id).await;
    rig.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'").await;
    rig.sql("SELECT pg_reload_conf()").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let waiting = rig.server.connect().await;
    let pid: i32 = waiting.query_one("SELECT pg_backend_pid()", &[]).await.expect("a pid").get(0);
    let commit = tokio::spawn(async move { waiting.batch_execute("INSERT INTO y VALUES (1)").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    rig.sql("SET synchronous_commit = local; INSERT INTO y VALUES (2)").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    while let Ok(event) = rig.events.try_recv() {
        rig.model.apply(event);
    }
    assert_eq!(rig.model.rows(id), Vec::<String>::new(), "delivered before anybody can see it");
    // Cancelling the wait makes the commit visible (with a warning to its client).
    rig.sql(&format!("SELECT pg_cancel_backend({pid})")).await;
    commit.await.expect("not cancelled itself").expect("the commit succeeds locally");
    rig.assert_equal("y", id).await;
    assert_eq!(rig.model.rows(id), ["1", "2"]);
}

/// One after the other, each waited for: none is held back for the next one's sake.
#[tokio::test(flavor = "multi_thread")]
async fn commits_that_come_alone_arrive() {
    let mut rig = Rig::start().await;
    rig.sql("CREATE TABLE l (id int)").await;
    let id = rig.watch("l").await;
    rig.until_joined(id).await;
    let statement = rig.client.prepare("INSERT INTO l VALUES ($1)").await.expect("prepared");
    for number in 0..500 {
        rig.client.execute(&statement, &[&number]).await.expect("inserted");
        rig.until("the commit", |model| model.tables[&id].len() as i32 > number).await;
    }
}

/// A reader who asks how far the stream is hears so on a server where nothing happens, too.
#[tokio::test(flavor = "multi_thread")]
async fn every_frontier_request_is_answered() {
    let mut rig = Rig::start().await;
    for _ in 0..500 {
        while rig.events.try_recv().is_ok() {}
        rig.capture.request_frontier();
        loop {
            let event = tokio::time::timeout(Duration::from_secs(30), rig.events.recv()).await;
            match event {
                Ok(Some(Event::Frontier(_))) => break,
                // What the set-up left behind may still be on its way.
                Ok(Some(Event::CatalogChanged)) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
