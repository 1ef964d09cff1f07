//! Every stream table of the scenarios is planned, and its plan gives what the view gives.

use crate::rig::Rig;
use weir_tests::scenario::{ECOMMERCE, FINANCE, FRAUD, LEADERBOARD, Scenario};

/// Rows for scenarios whose tables start empty.
const SCORES: &str = "INSERT INTO game_scores (player_id, player_name, game_id, score)
    SELECT i % 7 + 1, 'Player_' || (i % 7 + 1), i % 5, (i * 37) % 400 FROM generate_series(1, 200) i";

async fn check_scenario(scenario: &Scenario, more: &str) {
    let names = scenario.tables;
    let mut rig = Rig::start(scenario.schema).await;
    rig.client.batch_execute(scenario.stream_tables).await.expect("the stream tables are created");
    rig.client.batch_execute(more).await.expect("rows are added");
    let mut ids = Vec::new();
    for name in names {
        ids.push(rig.id(name).await);
    }
    rig.catalog.set_stream_tables(ids);
    for name in names {
        let planned = match rig.plan_existing(name).await {
            Ok(planned) => planned,
            Err(error) => panic!("{name}: {error}"),
        };
        let text = rig.text(&planned.plan);
        println!("{name}\n{text}");
        let mut memory = rig.evaluate(&planned.plan).await.unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
        let sql = format!("SELECT * FROM {name}");
        let mut postgres = rig.ask_postgres(&sql, planned.columns.len()).await.expect("the view is read");
        memory.sort();
        postgres.sort();
        assert_eq!(memory, postgres, "{name}\n{text}");
        assert!(!postgres.is_empty(), "{name} has rows to compare");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fraud() {
    let more = "INSERT INTO transactions (user_id, merchant_id, amount)
        SELECT i % 30 + 1, i % 15 + 1, (i * 7919) % 90000 / 100.0 FROM generate_series(1, 900) i";
    check_scenario(&FRAUD, more).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ecommerce() {
    let more = "INSERT INTO orders (customer_id, product_id, quantity, unit_price)
        SELECT i % 29 + 1, i % 14 + 1, i % 3 + 1, (i * 7919) % 20000 / 100.0 FROM generate_series(1, 400) i";
    check_scenario(&ECOMMERCE, more).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leaderboard() {
    check_scenario(&LEADERBOARD, SCORES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn finance() {
    let more = "UPDATE instruments SET asset_class = (ARRAY['EQUITY', 'BOND', 'ETF', 'COMMODITY'])[id % 4 + 1];
        INSERT INTO trades (account_id, instrument_id, quantity, price)
        SELECT i % 49 + 1, i % 30 + 1, CASE WHEN i % 3 = 0 THEN -1 ELSE 1 END * (i % 50 + 0.5), 10 + i % 97
        FROM generate_series(1, 900) i";
    check_scenario(&FINANCE, more).await;
}
