//! Every panel of the provisioned Grafana dashboards, as Grafana sends it: macros expanded, over a session with the settings
//! of its driver, through Weir and directly.

use serde_json::Value as Json;
use std::path::PathBuf;
use weir_tests::grafana::{Range, expand};
use weir_tests::oracle::{Order, compare, compare_from_memory};
use weir_tests::pair::Pair;
use weir_tests::postgres::{SUPERUSER, TestServer};
use weir_tests::scenario::{LEADERBOARD, ONEBOX, Scenario};
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// What the driver of Grafana's data source says when it connects.
const DRIVER: [(&str, &str); 2] = [("datestyle", "ISO, MDY"), ("extra_float_digits", "2")];

fn dashboard(name: &str) -> Json {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../demo/grafana/dashboards").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Title and SQL of every panel.
fn panels(dashboard: &Json) -> Vec<(String, String)> {
    let panels = dashboard["panels"].as_array().expect("a dashboard has panels");
    let of = |panel: &Json| {
        let sql = panel["targets"][0]["rawSql"].as_str().expect("a panel has SQL");
        (panel["title"].as_str().expect("a panel has a title").to_owned(), sql.to_owned())
    };
    panels.iter().map(of).collect()
}

fn run(scenario: Scenario, fill: &str, file: &str, from_memory: &[&str]) -> Vec<String> {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut writer = RawClient::superuser(&weir.address());
    scenario.install(&mut writer);
    weir.wait_until_live(scenario.tables);
    writer.execute(fill);
    let mut pair = Pair::of(&server, &weir, SUPERUSER, &DRIVER);
    pair.through.execute("SET weir.consistency = 'latest'");
    let moments = pair.direct.query(
        "SELECT to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') \
         FROM unnest(ARRAY[now() - interval '30 days', now() + interval '1 day']) t",
    );
    let range = Range { from: moments.texts()[0][0].clone(), to: moments.texts()[1][0].clone() };
    let mut seen = Vec::new();
    for (title, sql) in panels(&dashboard(file)) {
        let sql = expand(&sql, &range);
        if sql.contains("now()") {
            // The value moves on between the two: only its column can be compared.
            let (through, direct) = (pair.through.query(&sql), pair.direct.query(&sql));
            assert_eq!((&through.columns, through.rows.len()), (&direct.columns, direct.rows.len()), "{sql}");
        } else {
            let compare = if from_memory.contains(&title.as_str()) { compare_from_memory } else { compare };
            compare(&mut pair.through, &mut pair.direct, &sql, Order::Any)
                .unwrap_or_else(|difference| panic!("{difference}"));
        }
        assert!(!pair.direct.query(&sql).rows.is_empty(), "{title} shows nothing");
        seen.push(title);
    }
    seen
}

#[test]
fn the_one_box_dashboard() {
    let fill = "UPDATE products SET stock_count = id % 5 WHERE id < 9";
    let seen = run(ONEBOX, fill, "onebox.json", &["Daily revenue trend (last 30 days)"]);
    assert_eq!(seen, ["Daily revenue trend (last 30 days)", "Customer value distribution by plan", "Inventory alerts"]);
}

#[test]
fn the_leaderboard_dashboard() {
    // Totals that differ: equal ones may be numbered either way.
    let fill = "INSERT INTO game_scores (player_id, player_name, game_id, score) \
         SELECT p, 'Player_' || p, g, 40 * p + g FROM generate_series(1, 20) p, generate_series(1, 5) g";
    let seen = run(LEADERBOARD, fill, "leaderboard.json", &["Top Players", "High score by game", "Players"]);
    assert_eq!(seen.len(), 4);
}
