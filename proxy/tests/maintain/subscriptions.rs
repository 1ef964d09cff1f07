//! NOTIFY to those who subscribe to a stream table.

use crate::rig::{Rig, run};
use serde_json::Value as Json;
use std::time::{Duration, Instant};
use weir_cache::Position;
use weir_tests::wire::RawClient;

const PATIENCE: Duration = Duration::from_secs(30);

/// A session that listens, and what it has heard: channel and payload.
struct Listener {
    client: RawClient,
    heard: Vec<(String, Json)>,
}

impl Listener {
    fn on(rig: &Rig, channels: &[&str]) -> Listener {
        let mut client = RawClient::superuser(&rig.server.address());
        channels.iter().for_each(|channel| drop(client.execute(&format!("LISTEN {channel}"))));
        Listener { client, heard: Vec::new() }
    }

    /// Listens until what was heard is enough.
    async fn until(&mut self, what: &str, mut is_enough: impl FnMut(&[(String, Json)]) -> bool) {
        let started = Instant::now();
        while !is_enough(&self.heard) {
            assert!(started.elapsed() < PATIENCE, "waited in vain until {what}; heard: {:?}", self.heard);
            tokio::time::sleep(Duration::from_millis(10)).await;
            for message in self.client.simple("SELECT 1").iter().filter(|message| message.tag == b'A') {
                // Process id, channel, payload.
                let mut parts = message.body[4..].split(|byte| *byte == 0);
                let mut text = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
                let (channel, payload) = (text(), text());
                self.heard.push((channel, serde_json::from_str(&payload).expect("JSON")));
            }
        }
    }
}

fn inserted(heard: &[(String, Json)], channel: &str) -> u64 {
    heard
        .iter()
        .filter(|(on, _)| on == channel)
        .map(|(_, payload)| payload["inserted"].as_u64().expect("a number"))
        .sum()
}

#[test]
fn subscribers_hear_of_every_change_after_it_can_be_read() {
    run(async {
        let rig = Rig::start().await;
        rig.sql(
            "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int); \
             SELECT pgtrickle.create_stream_table('ids', 'SELECT id FROM t', '1s'); \
             SELECT pgtrickle.create_stream_table('n', 'SELECT count(*) AS n FROM ids'); \
             SELECT pgtrickle.create_stream_table('texts', 'SELECT count(*) AS n, length(to_tsvector(''simple'', min(id)::text)) AS words FROM t', '100ms'); \
             SELECT pgtrickle.create_stream_table('others', 'SELECT count(*) AS n FROM other')",
        )
        .await;
        rig.settle().await;
        let mut listener = Listener::on(&rig, &["on_ids", "on_n", "on_texts", "on_others"]);
        for name in ["ids", "n", "texts", "others"] {
            rig.sql(&format!("SELECT pgtrickle.subscribe('{name}', 'on_{name}')")).await;
        }
        // Twice is once.
        rig.sql("SELECT pgtrickle.subscribe('public.ids', 'on_ids')").await;
        assert_eq!(
            rig.scalar("SELECT string_agg(stream_table || ' ' || channel, ', ') FROM pgtrickle.list_subscriptions()")
                .await,
            "public.ids on_ids, public.n on_n, public.others on_others, public.texts on_texts"
        );
        rig.settle().await;
        let before = rig.now().await;
        for id in 0..50 {
            rig.sql(&format!("INSERT INTO t VALUES ({id})")).await;
        }
        listener
            .until("all rows were told of", |heard| {
                inserted(heard, "on_ids") == 50 && inserted(heard, "on_n") > 0 && inserted(heard, "on_texts") > 0
            })
            .await;
        for (channel, payload) in &listener.heard {
            assert_eq!(payload["stream_table"], format!("public.{}", &channel[3..]));
            assert!(payload["position"].as_str().expect("text").parse::<Position>().expect("a position") >= before);
        }
        assert!(!listener.heard.iter().any(|(channel, _)| channel == "on_others"), "nothing has changed there");
        // What is told of can be read from memory: no wait for the present is needed.
        let (_, last) = listener.heard.iter().rfind(|(channel, _)| channel == "on_ids").expect("heard");
        let position: Position = last["position"].as_str().expect("text").parse().expect("a position");
        let snapshot =
            rig.services.maintenance.pull(&[rig.id("ids")], position, Duration::ZERO).await.expect("published");
        assert_eq!(snapshot.tables[&rig.id("ids")].len(), 50);
        listener.heard.clear();
        rig.sql("DELETE FROM t WHERE id < 10; INSERT INTO other VALUES (1)").await;
        listener
            .until("the deletion was told of", |heard| {
                heard.iter().any(|(channel, payload)| {
                    channel == "on_ids" && payload["deleted"] == 10 && payload["inserted"] == 0
                }) && inserted(heard, "on_others") == 1
            })
            .await;
    });
}

#[test]
fn subscriptions_end() {
    run(async {
        let rig = Rig::start().await;
        rig.sql("CREATE TABLE t (id int PRIMARY KEY); SELECT pgtrickle.create_stream_table('ids', 'SELECT id FROM t', '1s')").await;
        rig.sql("SELECT pgtrickle.subscribe('ids', c) FROM unnest(ARRAY['one', 'two']) c").await;
        rig.settle().await;
        let mut listener = Listener::on(&rig, &["one", "two"]);
        rig.sql("INSERT INTO t VALUES (1)").await;
        listener.until("both have heard", |heard| inserted(heard, "one") == 1 && inserted(heard, "two") == 1).await;
        assert_eq!(rig.scalar("SELECT pgtrickle.unsubscribe('ids', 'one')::text").await, "true");
        assert_eq!(rig.scalar("SELECT pgtrickle.unsubscribe('ids', 'one')::text").await, "false");
        rig.settle().await;
        listener.heard.clear();
        rig.sql("INSERT INTO t VALUES (2)").await;
        listener.until("the other has heard", |heard| inserted(heard, "two") == 1).await;
        assert_eq!(inserted(&listener.heard, "one"), 0);
        for (sql, code) in [
            ("SELECT pgtrickle.subscribe('nothing', 'one')", "42P01"),
            ("SELECT pgtrickle.subscribe('ids', '')", "22023"),
            ("CREATE ROLE stranger; SET ROLE stranger; SELECT pgtrickle.subscribe('ids', 'one')", "42501"),
        ] {
            assert_eq!(rig.refused(sql).await, code, "{sql}");
        }
        rig.sql("RESET ROLE; CREATE ROLE reader; GRANT SELECT ON ids TO reader; SET ROLE reader; SELECT pgtrickle.subscribe('ids', 'one'); RESET ROLE").await;
        assert_eq!(rig.scalar("SELECT count(*) FROM pgtrickle.list_subscriptions()").await, "2");
        rig.sql("SELECT pgtrickle.drop_stream_table('ids')").await;
        assert_eq!(rig.scalar("SELECT count(*) FROM pgtrickle.pgt_subscriptions").await, "0");
    });
}
