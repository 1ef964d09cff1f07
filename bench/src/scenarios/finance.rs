//! A price tick on its way through the eleven stream tables of the finance scenario.

use super::report;
use crate::latencies::Latencies;
use crate::metrics::metric;
use crate::processor;
use std::path::Path;
use std::time::{Duration, Instant};
use weir_tests::postgres::TestServer;
use weir_tests::scenario::FINANCE;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// Trades that open every one of the 50 × 30 positions, with quantities that take portfolios beyond their capital.
const TRADES: u32 = 15_000;
/// Between two ticks: 50 a second.
const INTERVAL: Duration = Duration::from_millis(20);
const INSTRUMENTS: u32 = 30;
/// Nothing here takes so long unless it is stuck.
const PATIENCE: Duration = Duration::from_secs(30);
/// The goal for the median, commit to visible.
const GOAL_MICROS: f64 = 5_000.0;

/// All eleven at one position, the end of the chain first.
const ALL_ELEVEN: &str = "SELECT b.n, p.n, n.n, v.n, a.n, f.n, s.n, c.n, w.n, o.n, r.n \
    FROM (SELECT SUM(total_market_value) AS n FROM breach_dashboard) b, (SELECT SUM(mid_price) AS n FROM price_snapshot) p, \
         (SELECT COUNT(*) AS n FROM net_positions) n, (SELECT SUM(market_value) AS n FROM position_values) v, \
         (SELECT SUM(total_market_value) AS n FROM account_pnl) a, (SELECT SUM(total_market_value) AS n FROM portfolio_pnl) f, \
         (SELECT SUM(total_exposure) AS n FROM sector_exposure) s, (SELECT SUM(market_value) AS n FROM var_contributions) c, \
         (SELECT SUM(total_market_value) AS n FROM account_var) w, (SELECT SUM(total_market_value) AS n FROM portfolio_var) o, \
         (SELECT SUM(required_capital) AS n FROM regulatory_capital) r";
/// What a session that asks for nothing in particular sees of the end of the chain.
const END: &str = "SELECT SUM(total_market_value) FROM breach_dashboard";

pub(super) struct Chain {
    pub ticks: u32,
    pub positions: String,
    pub breaches: String,
    pub sector_exposure: String,
    /// A read of all eleven tables at `latest`.
    pub latest: Latencies,
    /// Another session polls the end of the chain at `scheduled`: when the change is there without anybody asking.
    pub pushed: Latencies,
    /// Of the engine's thread and of all of Weir, per tick.
    pub engine_micros: f64,
    pub weir_micros: f64,
    pub rows_per_tick: f64,
}

pub fn measure(ticks: u32, output: &Path) -> std::io::Result<()> {
    let server = TestServer::start();
    let mut direct = RawClient::superuser(&server.address());
    direct.execute(FINANCE.schema);
    direct.execute(&format!(
        "SELECT setseed(0.42); INSERT INTO trades (account_id, instrument_id, quantity, price) \
         SELECT 1 + n % 50, 1 + (n / 50) % 30, (CASE WHEN random() < 0.35 THEN -1 ELSE 1 END) * 400 * (10 + floor(random() * 490)), ask \
         FROM generate_series(0, {TRADES} - 1) n JOIN market_prices ON instrument_id = 1 + (n / 50) % 30; ANALYZE"
    ));
    let weir = TestWeir::start(&server);
    let mut through = RawClient::superuser(&weir.address());
    through.execute(FINANCE.stream_tables);
    weir.wait_until_live(FINANCE.tables);
    let one = |client: &mut RawClient, sql: &str| client.execute(sql).scalar();
    let mut chain = Chain {
        ticks,
        positions: one(&mut direct, "SELECT COUNT(*) FROM position_values"),
        breaches: one(
            &mut direct,
            "SELECT string_agg(capital_status || ' ' || n, ', ' ORDER BY capital_status) \
             FROM (SELECT capital_status, COUNT(*) AS n FROM breach_dashboard GROUP BY 1) s",
        ),
        sector_exposure: one(
            &mut direct,
            "SELECT m.effective_mode FROM pgtrickle.recommend_refresh_mode('sector_exposure') m",
        ),
        latest: Latencies::default(),
        pushed: Latencies::default(),
        engine_micros: 0.0,
        weir_micros: 0.0,
        rows_per_tick: 0.0,
    };
    let mut reader = RawClient::superuser(&weir.address());
    reader.execute("SET weir.consistency = 'latest'");
    wait_for_memory(&mut reader, ALL_ELEVEN);
    let spent = |thread| processor::spent(weir.process_id(), thread).as_secs_f64() * 1e6;
    let before = (spent(Some("weir-engine")), spent(None), metric(&weir, "weir_rows_changed_total"));
    let mut last = one(&mut reader, ALL_ELEVEN);
    chain.latest = run(ticks, |at| {
        through.execute(&tick(at));
        let committed = Instant::now();
        let seen = one(&mut reader, ALL_ELEVEN);
        assert_ne!(seen, last, "a tick did not reach the end of the chain");
        last = seen;
        committed.elapsed()
    });
    assert_eq!(reader.last_route(), "memory");
    let per_tick = |before: f64, after: f64| (after - before) / f64::from(ticks);
    chain.engine_micros = per_tick(before.0, spent(Some("weir-engine")));
    chain.weir_micros = per_tick(before.1, spent(None));
    chain.rows_per_tick = per_tick(before.2, metric(&weir, "weir_rows_changed_total"));
    reader.execute("SET weir.consistency = 'scheduled'");
    wait_for_memory(&mut reader, END);
    let mut last = one(&mut reader, END);
    chain.pushed = run(ticks, |at| {
        through.execute(&tick(at));
        let committed = Instant::now();
        loop {
            let seen = one(&mut reader, END);
            if seen != last {
                last = seen;
                return committed.elapsed();
            }
            assert!(committed.elapsed() < PATIENCE, "a tick did not reach the end of the chain");
        }
    });
    report::finance(output, &chain, GOAL_MICROS)
}

/// The price of one instrument, up and down in turn by more than rounding hides.
fn tick(at: u32) -> String {
    let factor = if (at / INSTRUMENTS).is_multiple_of(2) { "1.0015" } else { "0.9985" };
    format!(
        "UPDATE market_prices SET bid = ROUND(bid * {factor}, 4), ask = ROUND(ask * {factor}, 4), updated_at = now() \
         WHERE instrument_id = {}",
        1 + at % INSTRUMENTS
    )
}

fn run(ticks: u32, mut one: impl FnMut(u32) -> Duration) -> Latencies {
    let mut latencies = Latencies::default();
    let started = Instant::now();
    for at in 0..ticks {
        std::thread::sleep((INTERVAL * at).saturating_sub(started.elapsed()));
        latencies.record(one(at));
    }
    latencies
}

fn wait_for_memory(client: &mut RawClient, sql: &str) {
    let started = Instant::now();
    loop {
        client.execute(sql);
        let route = client.last_route();
        if route == "memory" {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{sql}: {route}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
