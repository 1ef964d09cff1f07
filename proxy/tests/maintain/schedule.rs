//! Schedules, `calculated`, history rows, manual refresh.

use crate::rig::{Rig, run};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::time::Duration;
use weir_proxy::catalog::schedule::Cron;
use weir_proxy::registry::State;
use weir_tests::postgres::TestServer;
use weir_tests::wire::RawClient;

async fn history(rig: &Rig, name: &str) -> String {
    rig.scalar(&format!(
        "SELECT coalesce(string_agg(concat_ws(' ', action, initiated_by, rows_inserted, rows_deleted), ', ' ORDER BY refresh_id), '') \
         FROM pgtrickle.pgt_refresh_history h JOIN pgtrickle.pgt_stream_tables s USING (pgt_id) WHERE s.pgt_name = '{name}'"
    ))
    .await
}

#[test]
fn history_has_a_row_per_cadence_in_which_something_changed() {
    run(async {
        // What is built again with a table that was let go is in the history, too.
        let rig = Rig::letting_go_after(None).await;
        rig.sql(
            "CREATE TABLE t (id int PRIMARY KEY, g int); INSERT INTO t SELECT i, i % 3 FROM generate_series(1, 9) i",
        )
        .await;
        rig.sql("SELECT pgtrickle.create_stream_table('counts', 'SELECT g, count(*) AS n FROM t GROUP BY g', '1s')")
            .await;
        rig.sql("SELECT pgtrickle.create_stream_table('above', 'SELECT g FROM counts WHERE n > 3')").await;
        rig.sql("SELECT pgtrickle.create_stream_table('rarely', 'SELECT max(id) AS id FROM t', '1h')").await;
        rig.settle().await;
        rig.until("the first evaluation is in the history", async || !history(&rig, "rarely").await.is_empty()).await;
        // `rarely` is due once right after its creation; from then on not within this test.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(history(&rig, "counts").await, "FULL INITIAL 3 0");
        rig.sql("INSERT INTO t VALUES (10, 1), (11, 1)").await;
        rig.until("the refresh is in the history", async || history(&rig, "above").await.contains("SCHEDULER")).await;
        assert_eq!(history(&rig, "counts").await, "FULL INITIAL 3 0, DIFFERENTIAL SCHEDULER 1 1");
        assert_eq!(history(&rig, "above").await, "FULL INITIAL 0 0, DIFFERENTIAL SCHEDULER 1 0");
        // Its schedule has not come; what a reader sees is of the present all the same.
        assert_eq!(history(&rig, "rarely").await, "FULL INITIAL 1 0");
        rig.verify(&["rarely"]).await;
        rig.sql("SELECT pgtrickle.refresh_stream_table('rarely')").await;
        rig.settle().await;
        rig.until("the manual refresh is in the history", async || history(&rig, "rarely").await.contains("MANUAL"))
            .await;
        assert_eq!(history(&rig, "rarely").await, "FULL INITIAL 1 0, DIFFERENTIAL MANUAL 1 1");
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert_eq!(
            history(&rig, "counts").await,
            "FULL INITIAL 3 0, DIFFERENTIAL SCHEDULER 1 1",
            "nothing changed since"
        );
    });
}

#[test]
fn the_history_reaches_back_ninety_days() {
    run(async {
        let rig = Rig::start().await;
        rig.sql(
            "INSERT INTO pgtrickle.pgt_refresh_history (pgt_id, start_time, action, status, initiated_by) \
             SELECT 0, now() - days * interval '1 day', 'NO_DATA', 'COMPLETED', 'SCHEDULER' FROM unnest(ARRAY[89, 91, 400]) days",
        )
        .await;
        rig.sql(
            "CREATE TABLE t (id int); SELECT pgtrickle.create_stream_table('n', 'SELECT count(*) AS n FROM t', '1s')",
        )
        .await;
        let old = "SELECT count(*) FROM pgtrickle.pgt_refresh_history WHERE pgt_id = 0";
        rig.until("what is older is gone", async || rig.scalar(old).await == "1").await;
        rig.until("the population is in it", async || history(&rig, "n").await == "FULL INITIAL 1 0").await;
    });
}

#[test]
fn an_idle_weir_writes_almost_nothing() {
    run(async {
        // What autovacuum writes of the catalogue, after the installation, comes whenever it comes.
        let rig = Rig::on(TestServer::options().conf("autovacuum = off").start()).await;
        rig.sql("CREATE TABLE t (id int PRIMARY KEY); SELECT pgtrickle.create_stream_table('n', 'SELECT count(*) AS n FROM t', '1s')").await;
        rig.settle().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = rig.now().await.0;
        tokio::time::sleep(Duration::from_secs(4)).await;
        // Freshness every 10 s, and what Postgres itself writes.
        let written = rig.now().await.0 - before;
        assert!(written < 20_000, "{written} bytes of WAL in 4 s of idleness");
    });
}

#[test]
fn schedules_are_read_or_refused() {
    run(async {
        let rig = Rig::start().await;
        for (text, milliseconds) in [
            ("250ms", "250"),
            ("1s", "1000"),
            ("1h30m", "5400000"),
            ("2m 30s 500ms", "150500"),
            ("1W", "604800000"),
            ("@hourly", ""),
            ("*/5 * * * * *", ""),
        ] {
            let sql = format!("SELECT pgtrickle.schedule_milliseconds(pgtrickle.checked_schedule('{text}'))");
            assert_eq!(rig.scalar(&sql).await, milliseconds, "{text}");
        }
        for text in [
            "99ms",
            "soon",
            "1",
            "200y",
            "@often",
            "61 * * * *",
            "* * * * MOO",
            "*/0 * * * *",
            "5-1 * * * *",
            "1,,2 * * * *",
        ] {
            assert_eq!(rig.refused(&format!("SELECT pgtrickle.checked_schedule('{text}')")).await, "22023", "{text}");
        }
        assert_eq!(rig.scalar("SELECT pgtrickle.parse_duration_seconds('1500ms')").await, "2");
    });
}

/// What the installed SQL accepts is what the scheduler understands.
#[test]
fn cron_expressions_mean_the_same_to_both() {
    run(async {
        let rig = Rig::start().await;
        rig.sql(
            "CREATE FUNCTION accepted(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN \
             PERFORM pgtrickle.check_cron($1); RETURN true; EXCEPTION WHEN invalid_parameter_value THEN RETURN false; END $$",
        )
        .await;
        let seed = weir_tests::rng::seed();
        let mut rng = StdRng::seed_from_u64(seed);
        let expressions: Vec<String> = (0..2_000).map(|_| expression(&mut rng)).collect();
        let sql =
            "SELECT array_agg(accepted(e) ORDER BY place) FROM unnest($1::text[]) WITH ORDINALITY AS t (e, place)";
        let verdicts: Vec<bool> = rig.client.query_one(sql, &[&expressions]).await.expect("a verdict").get(0);
        for (expression, accepted) in expressions.iter().zip(&verdicts) {
            assert_eq!(Cron::parse(expression).is_some(), *accepted, "{expression} (WEIR_TEST_SEED={seed})");
        }
        let share = verdicts.iter().filter(|accepted| **accepted).count();
        assert!((200..1_800).contains(&share), "{share} of 2000 are accepted: the cases say little");
    });
}

/// Five or six fields, each sometimes out of its range or misspelt.
fn expression(rng: &mut StdRng) -> String {
    let ranges = [(0, 60), (0, 60), (0, 24), (1, 32), (1, 13), (0, 8)];
    let fields = rng.random_range(5..=6);
    let ranges = &ranges[6 - fields..];
    let fields: Vec<String> = ranges
        .iter()
        .enumerate()
        .map(|(index, (low, high))| {
            let number = |rng: &mut StdRng| match rng.random_range(0..40) {
                0 => "x".to_owned(),
                1 => "MON".to_owned(),
                2 if index + 2 == ranges.len() => "Feb".to_owned(),
                3 => format!("0{}", rng.random_range(*low..*high)),
                4 => high.to_string(),
                _ => rng.random_range(*low..*high).to_string(),
            };
            let items = rng.random_range(1..=2);
            let items: Vec<String> = (0..items)
                .map(|_| {
                    let range = match rng.random_range(0..4) {
                        0 => "*".to_owned(),
                        1 => format!("{low}-{}", number(rng)),
                        _ => number(rng),
                    };
                    if rng.random_range(0..4) == 0 { format!("{range}/{}", rng.random_range(0..9)) } else { range }
                })
                .collect();
            items.join(",")
        })
        .collect();
    fields.join(" ")
}

/// A definition that only Postgres evaluates (text search), so that a row in the history needs the scheduler.
fn evaluated(name: &str, schedule: &str) -> String {
    format!(
        "SELECT pgtrickle.create_stream_table('{name}', 'SELECT g, count(10 / id) AS n, length(to_tsvector(''simple'', min(g)::text)) AS words FROM t GROUP BY g', '{schedule}')"
    )
}

#[test]
fn cron_and_short_schedules_come_round_and_frozen_tables_do_not() {
    run(async {
        let rig = Rig::start().await;
        rig.sql("CREATE TABLE t (id int PRIMARY KEY, g int); INSERT INTO t VALUES (1, 1)").await;
        rig.sql(&evaluated("every_second", "* * * * * *")).await;
        rig.sql(&evaluated("often", "100ms")).await;
        rig.sql(&evaluated("at_rest", "100ms")).await;
        rig.sql("SELECT pgtrickle.alter_stream_table('at_rest', tier => 'frozen')").await;
        assert_eq!(rig.refused("SELECT pgtrickle.alter_stream_table('at_rest', tier => 'tepid')").await, "22023");
        rig.settle().await;
        let before = "FULL INITIAL 1 0";
        rig.until("its population is in the history", async || history(&rig, "at_rest").await == before).await;
        for id in 2..5 {
            rig.sql(&format!("INSERT INTO t VALUES ({id}, 1)")).await;
            for table in ["every_second", "often"] {
                let seen = format!("FULL SCHEDULER 1 1{}", ", FULL SCHEDULER 1 1".repeat(id - 2));
                rig.until("the scheduler has come round", async || history(&rig, table).await.ends_with(&seen)).await;
            }
        }
        assert_eq!(history(&rig, "at_rest").await, before);
        rig.sql("SELECT pgtrickle.refresh_stream_table('at_rest')").await;
        rig.until("asked for, it is refreshed", async || history(&rig, "at_rest").await.ends_with("FULL MANUAL 1 1"))
            .await;
    });
}

#[test]
fn three_failures_suspend_and_resuming_mends() {
    run(async {
        let rig = Rig::start().await;
        let mut listener = RawClient::superuser(&rig.server.address());
        listener.execute("LISTEN pg_trickle_alert");
        rig.sql("CREATE TABLE t (id int PRIMARY KEY, g int); INSERT INTO t VALUES (1, 1)").await;
        rig.sql(&evaluated("inverse", "100ms")).await;
        rig.settle().await;
        rig.sql("INSERT INTO t VALUES (0, 1)").await;
        let state =
            "SELECT concat_ws(' ', status, consecutive_errors, last_error_message) FROM pgtrickle.pgt_stream_tables";
        rig.until("it is suspended", async || rig.scalar(state).await.starts_with("SUSPENDED 3 ")).await;
        rig.until("Postgres answers its readers", async || {
            rig.state("inverse") == Some(State::Out { reason: "suspended" })
        })
        .await;
        let failed = "SELECT count(*) FROM pgtrickle.pgt_refresh_history WHERE status = 'FAILED' AND error_message LIKE '%division by zero%'";
        rig.until("the failures are in the history", async || rig.scalar(failed).await == "3").await;
        assert!(
            rig.scalar("SELECT error_type || ' ' || error_message FROM pgtrickle.diagnose_errors('inverse') LIMIT 1")
                .await
                .starts_with("user ")
        );
        rig.sql("DELETE FROM t WHERE id = 0; SELECT pgtrickle.resume_stream_table('inverse')").await;
        rig.settle().await;
        rig.until("it is live again", async || rig.state("inverse") == Some(State::Live)).await;
        rig.verify(&["inverse"]).await;
        assert_eq!(rig.scalar("SELECT consecutive_errors FROM pgtrickle.pgt_stream_tables").await, "0");
        let heard: Vec<String> = listener
            .simple("SELECT 1")
            .iter()
            .filter(|message| message.tag == b'A')
            .map(|message| {
                let text = String::from_utf8_lossy(&message.body).into_owned();
                ["refresh_failed", "auto_suspended", "resumed"]
                    .into_iter()
                    .find(|event| text.contains(event))
                    .unwrap_or("?")
                    .to_owned()
            })
            .collect();
        assert_eq!(heard, ["refresh_failed", "refresh_failed", "refresh_failed", "auto_suspended", "resumed"]);
    });
}
