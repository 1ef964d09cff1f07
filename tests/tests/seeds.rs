//! The tutorials' scripts (`tests/seeds`) run through Weir as printed: by psql in one piece, then every read of stream
//! tables once more beside the views that Postgres evaluates.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use weir_tests::grafana::{self, Range};
use weir_tests::oracle::{Order, compare, compare_from_memory};
use weir_tests::postgres::TestServer;
use weir_tests::scenario::{ECOMMERCE, FINANCE, FRAUD, LEADERBOARD, Scenario};
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// The role that the tutorials connect as.
const ROLE: &str = "demo";

/// What stands in the reads that memory does not answer: base tables, an ordered-set aggregate.
const POSTGRES_OWN: [&str; 2] = ["FROM users", "PERCENTILE_CONT"];

/// One tutorial's database behind a Weir, everything in it made by its own role.
struct Stage {
    server: TestServer,
    weir: TestWeir,
    database: &'static str,
    role: &'static str,
}

impl Stage {
    fn new(database: &'static str) -> Stage {
        let server = TestServer::start();
        let mut client = RawClient::superuser(&server.address());
        client.execute(&format!("CREATE ROLE {ROLE} LOGIN PASSWORD '{ROLE}'"));
        client.execute(&format!("CREATE DATABASE {database} OWNER {ROLE}"));
        let url = server.url();
        let (server_url, _) = url.rsplit_once('/').expect("the URL names a database");
        let weir = TestWeir::start_as(&server, &format!("{server_url}/{database}"), &[]);
        Stage { server, weir, database, role: ROLE }
    }

    fn with(database: &'static str, scenario: Scenario) -> Stage {
        let stage = Stage::new(database);
        let mut client = stage.session(&stage.weir.address());
        scenario.install(&mut client);
        stage.weir.wait_until_live(scenario.tables);
        stage
    }

    fn session(&self, address: &str) -> RawClient {
        let parameters = [("user", self.role), ("database", self.database), ("client_encoding", "UTF8")];
        RawClient::connect(address, &parameters, self.role).expect("a session")
    }

    /// `psql -U demo -d …` of the tutorial, with Weir's port, on the whole script. What it printed.
    fn psql(&self, script: &str) -> String {
        let file = std::env::temp_dir().join(format!("weir-seed-{}-{}.sql", std::process::id(), self.database));
        std::fs::write(&file, script).expect("a temporary file can be written");
        let mut psql = Command::new("psql");
        psql.args(["-U", self.role, "-d", self.database, "-X", "-v", "ON_ERROR_STOP=1", "-f"]).arg(&file);
        psql.env("PGHOST", "127.0.0.1").env("PGPORT", self.weir.port().to_string()).env("PGPASSWORD", self.role);
        let done = psql.output().expect("psql can be run");
        let _ = std::fs::remove_file(&file);
        let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success(), "psql: {err}\n{out}");
        out.into_owned()
    }

    /// Every SELECT of the script that calls none of Weir's functions, through Weir and directly.
    fn compare_reads(&self, script: &str) -> usize {
        let mut weir = self.session(&self.weir.address());
        let mut direct = self.session(&self.server.address());
        weir.execute("SET weir.consistency = 'latest'");
        let mut compared = 0;
        for sql in statements(script) {
            if !sql.to_ascii_uppercase().starts_with("SELECT") || sql.contains("pgtrickle.") {
                continue;
            }
            let is_postgres_own = POSTGRES_OWN.iter().any(|part| sql.contains(part));
            let compare = if is_postgres_own { compare } else { compare_from_memory };
            compare(&mut weir, &mut direct, &sql, Order::Any).unwrap_or_else(|difference| panic!("{difference}"));
            compared += 1;
        }
        compared
    }
}

fn script(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The statements without the comments before them.
fn statements(script: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut statement = String::new();
    let mut in_body = false;
    for line in script.lines() {
        if line.trim_start().starts_with("--") || (statement.is_empty() && line.trim().is_empty()) {
            continue;
        }
        in_body ^= line.matches("$$").count() % 2 == 1;
        statement.push_str(line);
        statement.push('\n');
        if !in_body && line.trim_end().ends_with(';') {
            found.push(std::mem::take(&mut statement).trim_end().trim_end_matches(';').to_owned());
        }
    }
    assert!(statement.trim().is_empty(), "the script ends within a statement: {statement}");
    found
}

#[test]
fn the_fraud_script() {
    let stage = Stage::with("fraud_demo", FRAUD);
    let mut client = stage.session(&stage.weir.address());
    // A burst: escalating amounts of one user.
    client.execute(
        "INSERT INTO transactions (user_id, merchant_id, amount) SELECT 1, 1 + i % 15, 100 * i FROM generate_series(1, 30) i",
    );
    let script = script("fraud.sql");
    let printed = stage.psql(&script);
    for expected in ["public.risk_scores", "merchant_stats", "public.transactions [src]", "KEEP", "COMPLETED"] {
        assert!(printed.contains(expected), "{expected} is missing in:\n{printed}");
    }
    assert_eq!(stage.compare_reads(&script), 2);
}

#[test]
fn the_ecommerce_script() {
    let stage = Stage::with("ecommerce_demo", ECOMMERCE);
    let mut client = stage.session(&stage.weir.address());
    client.execute(
        "INSERT INTO orders (customer_id, product_id, quantity, unit_price) \
         SELECT 1 + i % 30, 1 + i % 15, 1 + i % 3, 10 + i FROM generate_series(1, 60) i",
    );
    client.execute("UPDATE product_catalog SET current_price = current_price * 1.1 WHERE product_id % 2 = 0");
    let script = script("ecommerce.sql");
    let printed = stage.psql(&script);
    for expected in ["Electronics", "pct_change", "product_sales"] {
        assert!(printed.contains(expected), "{expected} is missing in:\n{printed}");
    }
    assert_eq!(stage.compare_reads(&script), 3);
}

#[test]
fn the_finance_script() {
    let stage = Stage::with("finance_demo", FINANCE);
    let script = script("finance.sql");
    let printed = stage.psql(&script);
    for expected in ["breach_dashboard", "public.market_prices [src]", "utilization_ratio", "position_value"] {
        assert!(printed.contains(expected), "{expected} is missing in:\n{printed}");
    }
    assert_eq!(stage.compare_reads(&script), 3);
}

#[test]
fn the_leaderboard_script() {
    let stage = Stage::with("leaderboard_demo", LEADERBOARD);
    let mut client = stage.session(&stage.weir.address());
    // Twenty players with different totals, so that LIMIT leaves no choice.
    client.execute(
        "INSERT INTO game_scores (player_id, player_name, game_id, score) \
         SELECT p, 'Player_' || p, g, 100 * p + g FROM generate_series(1, 20) p, generate_series(1, 5) g",
    );
    let script = script("leaderboard.sql");
    let printed = stage.psql(&script);
    assert!(printed.contains("| Player_20   |       10015 |"), "{printed}");
    assert_eq!(stage.compare_reads(&script), 2);
    let mut client = stage.session(&stage.weir.address());
    let again = client.query("SELECT sink, ducklake_sink_table_id IS NOT NULL FROM pgtrickle.pgt_stream_tables WHERE pgt_name = 'top_players'");
    assert_eq!(again.texts(), [["ducklake", "t"]]);
}

/// Everything is made by the script itself; the reads come from Grafana.
#[test]
fn the_one_box_script() {
    let stage = Stage::new("your_db");
    let mut client = stage.session(&stage.weir.address());
    let range = client.query(
        "SELECT to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') \
         FROM unnest(ARRAY[now() - interval '30 days', now() + interval '1 hour']) t",
    );
    let range = Range { from: range.texts()[0][0].clone(), to: range.texts()[1][0].clone() };
    let script = grafana::expand(&script("one_box.sql"), &range);
    let printed = stage.psql(&script);
    assert!(printed.contains("stock_status"), "{printed}");
    stage.weir.wait_until_live(&["revenue_by_day", "customer_lifetime_value", "inventory_health"]);
    client.execute(
        "INSERT INTO customers (email, name, plan) SELECT 'c' || i || '@example.com', 'Customer ' || i, \
             (ARRAY['free', 'pro', 'enterprise'])[1 + i % 3] FROM generate_series(1, 9) i",
    );
    client.execute(
        "INSERT INTO products (sku, name, category, price_usd, stock_count) SELECT 'SKU-' || i, 'Product ' || i, \
             (ARRAY['Books', 'Games'])[1 + i % 2], 5 * i, i - 1 FROM generate_series(1, 6) i",
    );
    client.execute(
        "INSERT INTO orders (customer_id, product_id, quantity, total_usd, status, ordered_at) \
         SELECT 1 + i % 7, 1 + i % 6, 1 + i % 4, 3.5 * i, (ARRAY['shipped', 'pending', 'shipped', 'cancelled'])[1 + i % 4], \
             now() - i * interval '5 hours' FROM generate_series(1, 200) i",
    );
    assert_eq!(stage.compare_reads(&script), 3);
    let modes = client.query(
        "SELECT string_agg(concat_ws(' ', pgt_name, requested_refresh_mode, effective_refresh_mode), ', ' ORDER BY pgt_id) \
         FROM pgtrickle.pgt_stream_tables",
    );
    assert_eq!(
        modes.scalar(),
        "revenue_by_day DIFFERENTIAL DIFFERENTIAL, customer_lifetime_value DIFFERENTIAL DIFFERENTIAL, \
         inventory_health DIFFERENTIAL DIFFERENTIAL"
    );
    an_aged_order_leaves_inventory_health(&mut client);
}

/// It counts what was sold within seven days: an order leaves it because time passes, with no write.
fn an_aged_order_leaves_inventory_health(client: &mut RawClient) {
    const SOLD: &str = "SELECT units_sold_7d >= 5000 FROM inventory_health WHERE sku = 'SKU-6'";
    const PATIENCE: Duration = Duration::from_secs(60);
    client.execute(
        "INSERT INTO orders (customer_id, product_id, quantity, total_usd, status, ordered_at) \
         SELECT 1, id, 5000, 1, 'shipped', now() - interval '7 days' + interval '15 seconds' FROM products WHERE sku = 'SKU-6'",
    );
    let written = Instant::now();
    for expected in ["t", "f"] {
        while (client.execute(SOLD).scalar(), client.last_route()) != (expected.to_owned(), "memory".to_owned()) {
            assert!(written.elapsed() < PATIENCE, "not {expected} in memory");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    assert!(written.elapsed() > Duration::from_secs(14), "it has not left before its time");
}
