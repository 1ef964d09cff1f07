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

const FINANCE: [&str; 2] = [
    include_str!("../../../demo/scenarios/finance/01_schema.sql"),
    include_str!("../../../demo/scenarios/finance/02_stream_tables.sql"),
];
const LEADERBOARD: [&str; 2] = [
    include_str!("../../../demo/scenarios/leaderboard/01_schema.sql"),
    include_str!("../../../demo/scenarios/leaderboard/02_stream_tables.sql"),
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

/// `instruments` is below both leaves, `accounts` below a leaf and beside `portfolio_var`.
#[test]
fn the_graph_of_the_finance_scenario() {
    run(async {
        let rig = with_scenario(FINANCE).await;
        let diamond = "SELECT string_agg(member_name || CASE WHEN is_convergence THEN '*' ELSE '' END, ' ') || ' ' || count(DISTINCT group_id) \
             FROM pgtrickle.diamond_groups()";
        assert_eq!(
            rig.scalar(diamond).await,
            "net_positions price_snapshot position_values* var_contributions account_var portfolio_var regulatory_capital* 1"
        );
        // Eleven stream tables; the chain is seven long, and hangs under each of its two leaves.
        let lines = "SELECT string_agg(repeat(' ', depth) || node, E'\\n') FROM pgtrickle.dependency_tree() WHERE node_type = 'stream_table'";
        let below = " public.position_values
  public.account_pnl
   public.portfolio_pnl
  public.sector_exposure
  public.var_contributions
   public.account_var
    public.portfolio_var
     public.regulatory_capital
      public.breach_dashboard";
        let expected = format!("public.net_positions\n{below}\npublic.price_snapshot\n{below}");
        assert_eq!(rig.scalar(lines).await, expected);
        let incremental = "SELECT effective_mode FROM pgtrickle.explain_refresh_mode('sector_exposure')";
        rig.until("it is populated", async || !rig.scalar(incremental).await.is_empty()).await;
        let evaluated: Vec<String> = rig
            .services
            .registry
            .tables()
            .by_id
            .values()
            .filter(|table| table.evaluated_by_postgres)
            .map(|table| table.name.clone())
            .collect();
        assert_eq!(evaluated, Vec::<String>::new(), "Postgres evaluates none");
    });
}

#[test]
fn the_graph_of_the_leaderboard() {
    run(async {
        let rig = with_scenario(LEADERBOARD).await;
        assert_eq!(rig.scalar("SELECT count(*) FROM pgtrickle.diamond_groups()").await, "0");
        let tree = "SELECT string_agg(tree_line, '|') FROM pgtrickle.dependency_tree()";
        assert_eq!(
            rig.scalar(tree).await,
            "├── public.scores_by_game|│   └── public.game_scores [src]|└── public.top_players|    └── public.game_scores [src]"
        );
    });
}

/// Writes `changes`, each followed by a refresh of `table`, so that each is one row of its history.
async fn refreshed_after_each(rig: &Rig, table: &str, changes: impl Iterator<Item = String>) {
    let rows = format!(
        "SELECT count(*) FROM pgtrickle.pgt_refresh_history h JOIN pgtrickle.pgt_stream_tables s USING (pgt_id) \
         WHERE s.pgt_name = '{table}' AND h.status = 'COMPLETED' AND h.rows_inserted + h.rows_deleted > 0"
    );
    rig.until("its population is in the history", async || rig.scalar(&rows).await == "1").await;
    for (at, change) in changes.enumerate() {
        rig.sql(&change).await;
        rig.sql(&format!("SELECT pgtrickle.refresh_stream_table('{table}')")).await;
        rig.settle().await;
        // Whichever of the scheduler and the request was first: the change is in one row.
        rig.until("the change is in the history", async || rig.scalar(&rows).await == (at + 2).to_string()).await;
    }
}

async fn advice(rig: &Rig, table: &str) -> String {
    rig.scalar(&format!(
        "SELECT concat_ws(' ', a.recommended_mode, a.effective_mode, round(e.avg_change_ratio::numeric, 2)) \
         FROM pgtrickle.recommend_refresh_mode('{table}') a JOIN pgtrickle.refresh_efficiency() e USING (pgt_schema, pgt_name)"
    ))
    .await
}

fn ratio(advice: &str) -> f64 {
    advice.rsplit(' ').next().and_then(|ratio| ratio.parse().ok()).expect("the advice ends with the ratio")
}

/// The seed's showcase of a slowly changing table: one of fifteen rows.
#[test]
fn one_reprice_of_fifteen_keeps_differential() {
    run(async {
        let rig = with_scenario(ECOMMERCE).await;
        let reprice = |product| {
            format!(
                "UPDATE product_catalog SET current_price = current_price + 1, updated_at = now() WHERE product_id = {product}"
            )
        };
        refreshed_after_each(&rig, "catalog_price_impact", (1..=12).map(reprice)).await;
        assert_eq!(advice(&rig, "catalog_price_impact").await, "KEEP DIFFERENTIAL 0.07");
        let efficiency = "SELECT concat_ws(' ', refresh_mode, diff_count, full_count, diff_speedup ~ '^[0-9]+\\.[0-9]x$') \
             FROM pgtrickle.refresh_efficiency() WHERE pgt_name = 'catalog_price_impact'";
        assert_eq!(rig.scalar(efficiency).await, "DIFFERENTIAL 12 1 t");
    });
}

#[test]
fn the_advice_for_the_fraud_scenario() {
    run(async {
        let rig = with_scenario(FRAUD).await;
        let rotate = |merchant| {
            format!(
                "UPDATE merchant_risk_tier SET tier = CASE tier WHEN 'HIGH' THEN 'STANDARD' ELSE 'HIGH' END, updated_at = now() WHERE merchant_id = {merchant}"
            )
        };
        refreshed_after_each(&rig, "merchant_tier_stats", (1..=12).map(rotate)).await;
        assert_eq!(advice(&rig, "merchant_tier_stats").await, "KEEP DIFFERENTIAL 0.07");
        // Every user buys once more: the counts in all scores change, and the sums of all levels.
        let spend = |round: i32| {
            let purchases = if round == 1 { "generate_series(1, 60)" } else { "generate_series(1, 1)" };
            format!(
                "INSERT INTO transactions (user_id, merchant_id, amount) SELECT u.id, 1 + (u.id + n + {round}) % 15, 10 * n FROM users u, {purchases} n"
            )
        };
        refreshed_after_each(&rig, "risk_scores", (1..=11).map(spend)).await;
        let scores = advice(&rig, "risk_scores").await;
        assert!(scores.starts_with("KEEP FULL") && ratio(&scores) >= 0.9, "{scores}");
        let refreshes = "SELECT count(*) > 1 FROM pgtrickle.pgt_refresh_history h JOIN pgtrickle.pgt_stream_tables s USING (pgt_id) \
             WHERE s.pgt_name = 'alert_summary' AND h.initiated_by = 'SCHEDULER'";
        // It tells of turns in which something had changed.
        let mut rounds = 12..;
        rig.until("the scheduler has come round to what reads it", async || {
            rig.sql(&spend(rounds.next().expect("there is always another"))).await;
            rig.scalar(refreshes).await == "t"
        })
        .await;
        let alerts = advice(&rig, "alert_summary").await;
        // It has two or three rows, at least one of which every purchase changes.
        assert!(ratio(&alerts) >= 0.33, "{alerts}");
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
        // 7 groups of 100 changed: 7 deletions and 7 insertions, of the same rows.
        let ratio =
            "SELECT round(avg_change_ratio::numeric, 6) FROM pgtrickle.refresh_efficiency() WHERE pgt_name = 'by_shop'";
        assert_eq!(rig.scalar(ratio).await, "0.070000");
        let count = "SELECT row_count FROM pgtrickle.stream_table_row_counts()";
        assert_eq!(rig.scalar(count).await, "100");
        let advice = "SELECT concat_ws(' ', recommended_mode, effective_mode, \
                 round((signals ->> 'composite_score')::numeric, 9) = (SELECT round(sum((s ->> 'score')::numeric * (s ->> 'weight')::numeric) \
                     / sum((s ->> 'weight')::numeric), 9) FROM jsonb_array_elements(signals -> 'signals') s), reason LIKE '%avg change ratio 0.070 (1 history rows)%') \
             FROM pgtrickle.recommend_refresh_mode('by_shop')";
        assert_eq!(rig.scalar(advice).await, "KEEP DIFFERENTIAL t t");
        // Refreshes that change everything, and a full evaluation that is cheaper: the advice turns.
        rig.sql("INSERT INTO pgtrickle.pgt_refresh_history (pgt_id, start_time, end_time, action, rows_inserted, rows_deleted, status, initiated_by, duration_ms) \
             SELECT pgt_id, now(), now(), a, 100, 100, 'COMPLETED', 'SCHEDULER', CASE a WHEN 'FULL' THEN 5 ELSE 50 END \
             FROM pgtrickle.pgt_stream_tables, unnest(ARRAY['FULL', 'DIFFERENTIAL']) a, generate_series(1, 60)")
            .await;
        let advice = "SELECT recommended_mode || ' ' || confidence FROM pgtrickle.recommend_refresh_mode('by_shop')";
        assert_eq!(rig.scalar(advice).await, "FULL high");
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
