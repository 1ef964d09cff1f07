//! What the installed SQL tells of the graph, the refreshes and their health.

use crate::rig::{Rig, run};

const FRAUD: [&str; 2] = [
    include_str!("../../../demo/scenarios/fraud/01_schema.sql"),
    include_str!("../../../demo/scenarios/fraud/02_stream_tables.sql"),
];
const ECOMMERCE: [&str; 2] = [
    include_str!("../../../demo/scenarios/ecommerce/01_schema.sql"),
    include_str!("../../../demo/scenarios/ecommerce/02_stream_tables.sql"),
];

async fn with_scenario(parts: [&str; 2]) -> Rig {
    let rig = Rig::start().await;
    for part in parts {
        rig.sql(part).await;
    }
    rig.settle().await;
    rig
}

#[test]
fn the_graph_of_the_fraud_scenario() {
    run(async {
        let rig = with_scenario(FRAUD).await;
        let lines = "SELECT string_agg(tree_line, E'\\n') FROM pgtrickle.dependency_tree() WHERE depth < 2 OR node_type = 'stream_table'";
        let expected = "\
├── public.category_volume
│   ├── public.merchants [src]
│   └── public.transactions [src]
├── public.merchant_stats
│   ├── public.risk_scores
│   │   ├── public.alert_summary
│   │   ├── public.top_risky_merchants
│   │   │   └── public.top_10_risky_merchants
│   ├── public.merchants [src]
│   └── public.transactions [src]
├── public.merchant_tier_stats
│   ├── public.merchant_risk_tier [src]
│   └── public.merchants [src]
└── public.user_velocity
    ├── public.country_risk
    ├── public.risk_scores
    │   ├── public.alert_summary
    │   ├── public.top_risky_merchants
    │   │   └── public.top_10_risky_merchants
    ├── public.transactions [src]
    └── public.users [src]";
        assert_eq!(rig.scalar(lines).await, expected);
        let diamond = "SELECT string_agg(concat_ws(' ', member_name, is_convergence, schedule_policy), ', ') FROM pgtrickle.diamond_groups()";
        let members = "merchant_stats f fastest, user_velocity f fastest, risk_scores t fastest";
        assert_eq!(rig.scalar(diamond).await, members);
        rig.sql("SELECT pgtrickle.alter_stream_table('risk_scores', diamond_schedule_policy => 'slowest')").await;
        assert_eq!(rig.scalar(diamond).await, members.replace("fastest", "slowest"));
        let sources =
            "SELECT string_agg(source_table || ' ' || source_type, ', ') FROM pgtrickle.list_sources('country_risk')";
        assert_eq!(rig.scalar(sources).await, "public.user_velocity STREAM_TABLE");
    });
}

#[test]
fn branches_that_share_nothing_are_no_diamond() {
    run(async {
        let rig = with_scenario(ECOMMERCE).await;
        assert_eq!(rig.scalar("SELECT count(*) FROM pgtrickle.diamond_groups()").await, "0");
        let roots = "SELECT string_agg(node, ' ') FROM pgtrickle.dependency_tree() WHERE depth = 0";
        assert_eq!(
            rig.scalar(roots).await,
            "public.catalog_price_impact public.category_revenue public.customer_stats public.product_sales"
        );
        // A single root carries no connector.
        rig.sql("SELECT pgtrickle.drop_stream_table(n, cascade => true) FROM unnest(ARRAY['catalog_price_impact', 'category_revenue', 'product_sales']) n")
            .await;
        let tree =
            "SELECT string_agg(tree_line, '|') FROM pgtrickle.dependency_tree() WHERE node_type = 'stream_table'";
        assert_eq!(
            rig.scalar(tree).await,
            "public.customer_stats|├── public.country_revenue|├── public.top_10_customers"
        );
    });
}

/// The advisor's composite is the weighted mean of its signals; ratios count what history rows say against the rows there are.
#[test]
fn the_advisor_reads_the_history() {
    run(async {
        let rig = Rig::start().await;
        rig.sql("CREATE TABLE sales (id int PRIMARY KEY, shop int, amount int); \
             INSERT INTO sales SELECT i, i % 100, i FROM generate_series(1, 1000) i; \
             SELECT pgtrickle.create_stream_table('by_shop', 'SELECT shop, sum(amount) AS total FROM sales GROUP BY shop', '1s')")
            .await;
        rig.settle().await;
        let history = "SELECT count(*) FROM pgtrickle.pgt_refresh_history WHERE action = ";
        let initial =
            "SELECT coalesce(sum(rows_inserted), 0) FROM pgtrickle.pgt_refresh_history WHERE initiated_by = 'INITIAL'";
        rig.until("the population is in the history", async || rig.scalar(initial).await == "100").await;
        rig.sql("UPDATE sales SET amount = amount + 1 WHERE shop < 7").await;
        let differential = format!("{history} 'DIFFERENTIAL' AND initiated_by = 'SCHEDULER'");
        rig.until("a refresh is in the history", async || rig.scalar(&differential).await == "1").await;
        // 7 groups of 100 changed: 7 deletions and 7 insertions.
        let ratio =
            "SELECT round(avg_change_ratio::numeric, 6) FROM pgtrickle.refresh_efficiency() WHERE pgt_name = 'by_shop'";
        assert_eq!(rig.scalar(ratio).await, "0.140000");
        let count = "SELECT row_count FROM pgtrickle.stream_table_row_counts()";
        assert_eq!(rig.scalar(count).await, "100");
        let advice = "SELECT concat_ws(' ', recommended_mode, effective_mode, \
                 round((signals ->> 'composite_score')::numeric, 9) = (SELECT round(sum((s ->> 'score')::numeric * (s ->> 'weight')::numeric) \
                     / sum((s ->> 'weight')::numeric), 9) FROM jsonb_array_elements(signals -> 'signals') s), reason LIKE '%avg change ratio 0.140 (1 history rows)%') \
             FROM pgtrickle.recommend_refresh_mode('by_shop')";
        assert_eq!(rig.scalar(advice).await, "KEEP DIFFERENTIAL t t");
        // Refreshes that change everything, and a full evaluation that is cheaper: the advice turns.
        rig.sql("INSERT INTO pgtrickle.pgt_refresh_history (pgt_id, start_time, end_time, action, rows_inserted, rows_deleted, status, initiated_by, duration_ms) \
             SELECT pgt_id, now(), now(), a, 100, 100, 'COMPLETED', 'SCHEDULER', CASE a WHEN 'FULL' THEN 5 ELSE 50 END \
             FROM pgtrickle.pgt_stream_tables, unnest(ARRAY['FULL', 'DIFFERENTIAL']) a, generate_series(1, 20)")
            .await;
        let advice = "SELECT recommended_mode || ' ' || confidence FROM pgtrickle.recommend_refresh_mode('by_shop')";
        assert_eq!(rig.scalar(advice).await, "FULL medium");
        assert_eq!(rig.refused("SELECT * FROM pgtrickle.recommend_refresh_mode('nothing')").await, "42P01");
    });
}

#[test]
fn health_names_what_is_ill() {
    run(async {
        let rig = Rig::start().await;
        rig.sql("CREATE TABLE t (a int); SELECT pgtrickle.create_stream_table('s', 'SELECT a, count(*) FROM t GROUP BY a', '1s')").await;
        rig.settle().await;
        rig.wait_until_connected().await;
        let ill = "SELECT coalesce(string_agg(check_name || ' ' || severity || ' ' || detail, ', '), 'none') FROM pgtrickle.health_check() WHERE severity <> 'OK'";
        rig.until("everything is well", async || rig.scalar(ill).await == "none").await;
        assert_eq!(rig.scalar("SELECT status FROM pgtrickle.quick_health").await, "OK");
        rig.sql("SELECT pgtrickle.pause_stream_table('s')").await;
        assert_eq!(rig.scalar(ill).await, "error_tables ERROR public.s");
        assert_eq!(rig.scalar("SELECT suspended_count FROM pgtrickle.health_summary()").await, "1");
        assert_eq!(rig.refused("SELECT pgtrickle.refresh_if_stale('s', '0')").await, "55000");
        rig.sql("SELECT pgtrickle.resume_stream_table('s')").await;
        assert_eq!(rig.refused("SELECT pgtrickle.resume_stream_table('s')").await, "55000");
        rig.settle().await;
        rig.until("everything is well again", async || rig.scalar(ill).await == "none").await;
        let stale = "SELECT string_agg(stale::text, ' ') FROM (SELECT stale FROM pgtrickle.st_refresh_stats() UNION ALL \
             SELECT stale FROM pgtrickle.stream_tables_info UNION ALL SELECT stale FROM pgtrickle.pg_stat_stream_tables) s";
        rig.sql("BEGIN; UPDATE pgtrickle.pgt_stream_tables SET data_timestamp = now() - interval '1 minute'").await;
        assert_eq!(rig.scalar(stale).await, "true true true");
        assert_eq!(rig.scalar("SELECT pgtrickle.get_staleness('s') >= 60").await, "t");
        rig.sql("ROLLBACK").await;
    });
}
