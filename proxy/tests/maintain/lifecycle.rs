//! Creation, alteration, suspension, drop.

use crate::rig::{Rig, run};
use weir_proxy::capture::Method;
use weir_proxy::catalog::{capture, install};
use weir_proxy::registry::State;
use weir_tests::postgres::TestServer;
use weir_tests::weir::by_triggers;

const SALES: &str = "CREATE TABLE sales (id int PRIMARY KEY, shop int, amount numeric, at timestamptz DEFAULT '2024-03-10 23:30+00'); \
     INSERT INTO sales SELECT i, i % 5, i * 1.5 FROM generate_series(1, 100) i";
const BY_SHOP: &str = "SELECT pgtrickle.create_stream_table('by_shop', \
     'SELECT shop, count(*) AS n, sum(amount) AS total FROM sales GROUP BY shop', '1s')";
const BIG: &str = "SELECT pgtrickle.create_stream_table('big', 'SELECT shop, n FROM by_shop WHERE n > 10', refresh_mode => 'DIFFERENTIAL')";

#[test]
fn a_table_is_live_when_its_creation_has_settled() {
    run(async {
        let rig = Rig::start().await;
        rig.sql(SALES).await;
        rig.sql(BY_SHOP).await;
        rig.sql(BIG).await;
        rig.settle().await;
        assert_eq!(rig.state("by_shop"), Some(State::Live));
        assert_eq!(rig.state("big"), Some(State::Live));
        let status = "SELECT string_agg(concat_ws(' ', name, status, refresh_mode, is_populated, data_timestamp IS NULL), ',' ORDER BY name) \
             FROM pgtrickle.pgt_status()";
        assert_eq!(
            rig.scalar(status).await,
            "public.big ACTIVE DIFFERENTIAL t f,public.by_shop ACTIVE DIFFERENTIAL t f"
        );
        assert_eq!(rig.rows("by_shop").await, Ok(5));
        assert_eq!(rig.rows("big").await, Ok(5));
        rig.sql(
            "INSERT INTO sales SELECT i, i % 7, 1 FROM generate_series(101, 200) i; DELETE FROM sales WHERE shop = 0",
        )
        .await;
        assert_eq!(rig.rows("by_shop").await, Ok(6));
        rig.verify(&["by_shop", "big"]).await;
    });
}

/// Again and again: what has settled has taken effect, wherever between two looks at the stream it was committed.
#[test]
fn what_has_settled_is_known() {
    run(async {
        let rig = Rig::start().await;
        rig.sql(SALES).await;
        for _ in 0..20 {
            rig.sql(BY_SHOP).await;
            rig.settle().await;
            assert_eq!(rig.state("by_shop"), Some(State::Live));
            assert_eq!(rig.scalar("SELECT status FROM pgtrickle.pgt_status()").await, "ACTIVE");
            rig.sql("SELECT pgtrickle.drop_stream_table('by_shop')").await;
            rig.settle().await;
            assert_eq!(rig.table("by_shop"), None);
        }
    });
}

/// A creation that is committed while the capture begins is in no event of it.
#[test]
fn what_was_committed_while_the_stream_was_opened_settles_too() {
    run(async {
        let server = TestServer::start();
        let maker = server.connect().await;
        install::install(&maker).await.expect("a superuser may");
        let method = if by_triggers() { Method::Trigger } else { Method::Wal };
        capture::set_method(&maker, method).await.expect("it is installed");
        maker.batch_execute(&format!("{SALES}; BEGIN; {BY_SHOP}")).await.expect("it is created");
        let rig = Rig::begin(server).await;
        let waits = "SELECT (count(*) > 0)::text FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND backend_type <> 'autovacuum worker'";
        rig.until("the capture waits for the transaction", async || rig.scalar(waits).await == "true").await;
        maker.batch_execute("COMMIT").await.expect("nothing stands in the way");
        rig.settle().await;
        assert_eq!(rig.state("by_shop"), Some(State::Live));
        rig.verify(&["by_shop"]).await;
    });
}

/// Whoever asks about a table need not know how long Weir takes to notice it.
#[test]
fn a_question_comes_after_what_was_committed_before_it() {
    run(async {
        let rig = Rig::start().await;
        rig.wait_until_connected().await;
        rig.sql(SALES).await;
        let operators = "SELECT bool_or(o LIKE '%Aggregate%')::text FROM pgtrickle.explain_stream_table('by_shop') o";
        for _ in 0..5 {
            rig.sql(BY_SHOP).await;
            rig.verify(&["by_shop"]).await;
            rig.sql("SELECT pgtrickle.drop_stream_table('by_shop')").await;
            rig.sql(BY_SHOP).await;
            assert_eq!(rig.scalar(operators).await, "true");
            rig.sql("SELECT pgtrickle.alter_stream_table('by_shop', query => 'SELECT shop FROM sales WHERE id > 50')")
                .await;
            rig.verify(&["by_shop"]).await;
            assert_eq!(rig.scalar(operators).await, "false");
            rig.sql("SELECT pgtrickle.drop_stream_table('by_shop')").await;
        }
        // One that Postgres evaluates, on an hourly schedule.
        rig.sql(
            "SELECT pgtrickle.create_stream_table('words', \
             'SELECT shop, length(to_tsvector(''simple'', max(id)::text)) AS n FROM sales GROUP BY shop', '1h')",
        )
        .await;
        for id in 1000..1010 {
            rig.verify(&["words"]).await;
            rig.sql(&format!("INSERT INTO sales (id, shop) VALUES ({id}, {id})")).await;
            rig.sql("SELECT pgtrickle.refresh_stream_table('words')").await;
        }
        rig.verify(&["words"]).await;
        rig.sql("DELETE FROM sales").await;
        assert_eq!(rig.refused("SELECT pgtrickle.verify_stream_table('words')").await, "55000");
    });
}

#[test]
fn an_altered_query_takes_its_dependants_along() {
    run(async {
        let rig = Rig::start().await;
        rig.sql(SALES).await;
        rig.sql(BY_SHOP).await;
        rig.sql(BIG).await;
        rig.sql("SELECT pgtrickle.alter_stream_table('by_shop', query => 'SELECT shop, count(*) AS n, sum(amount) AS total FROM sales WHERE id > 50 GROUP BY shop')")
            .await;
        rig.settle().await;
        rig.verify(&["by_shop", "big"]).await;
        assert_eq!(rig.rows("big").await, Ok(0));
        // Other columns: the views are recreated under new OIDs.
        let before = rig.id("big");
        rig.sql("SELECT pgtrickle.alter_stream_table('by_shop', query => 'SELECT shop, count(*)::int AS n FROM sales GROUP BY shop')").await;
        rig.settle().await;
        assert_ne!(rig.id("big"), before);
        rig.verify(&["by_shop", "big"]).await;
        assert_eq!(rig.rows("big").await, Ok(5));
    });
}

#[test]
fn a_dropped_table_is_forgotten() {
    run(async {
        let rig = Rig::start().await;
        rig.sql(SALES).await;
        rig.sql(BY_SHOP).await;
        rig.sql(BIG).await;
        rig.settle().await;
        assert_eq!(rig.refused("SELECT pgtrickle.drop_stream_table('by_shop')").await, "2BP01");
        rig.sql("SELECT pgtrickle.drop_stream_table('big')").await;
        // Behind Weir's back: the view goes, the row stays behind until Weir removes it.
        rig.sql("DROP VIEW by_shop").await;
        rig.settle().await;
        assert!(rig.table("by_shop").is_none() && rig.table("big").is_none());
        assert_eq!(rig.scalar("SELECT count(*) FROM pgtrickle.pgt_stream_tables").await, "0");
        rig.sql(BY_SHOP).await;
        rig.settle().await;
        rig.verify(&["by_shop"]).await;
    });
}

#[test]
fn suspension_and_late_initialisation() {
    run(async {
        let rig = Rig::start().await;
        rig.sql(SALES).await;
        rig.sql(BY_SHOP).await;
        rig.sql("SELECT pgtrickle.alter_stream_table('by_shop', status => 'suspended')").await;
        rig.settle().await;
        assert_eq!(rig.state("by_shop"), Some(State::Out { reason: "suspended" }));
        assert_eq!(rig.refused("SELECT pgtrickle.refresh_stream_table('by_shop')").await, "55000");
        rig.sql("SELECT pgtrickle.alter_stream_table('by_shop', status => 'ACTIVE')").await;
        rig.settle().await;
        assert_eq!(rig.state("by_shop"), Some(State::Live));
        // What reads it goes and comes with it.
        rig.sql(BIG).await;
        rig.settle().await;
        rig.sql("SELECT pgtrickle.pause_stream_table('by_shop')").await;
        rig.settle().await;
        assert!(matches!(rig.state("big"), Some(State::Out { .. })));
        rig.sql("SELECT pgtrickle.resume_stream_table('by_shop')").await;
        rig.until("the reader is live", async || rig.state("big") == Some(State::Live)).await;
        rig.sql("SELECT pgtrickle.create_stream_table('late', 'SELECT id FROM sales', initialize => false)").await;
        rig.settle().await;
        assert_eq!(rig.state("late"), Some(State::Out { reason: "not populated" }));
        rig.sql("SELECT pgtrickle.refresh_stream_table('late')").await;
        rig.settle().await;
        rig.until("the late table is live", async || rig.state("late") == Some(State::Live)).await;
        rig.verify(&["late"]).await;
    });
}

#[test]
fn the_creators_time_zone_counts() {
    run(async {
        let rig = Rig::start().await;
        rig.sql(SALES).await;
        rig.sql(
            "SET TimeZone = 'Asia/Tokyo'; SELECT pgtrickle.create_stream_table('by_day', \
             'SELECT date_trunc(''day'', at) AS day, count(*) AS n FROM sales GROUP BY 1'); RESET TimeZone",
        )
        .await;
        rig.settle().await;
        let table = rig.table("by_day").expect("just created");
        assert_eq!(table.pinned.time_zone, "Asia/Tokyo");
        assert!(table.depends_on.contains(weir_planner::settings::SettingSet::TIME_ZONE));
        // The comparison evaluates the view under the pinned zone; under UTC the day would be another one.
        rig.verify(&["by_day"]).await;
    });
}
