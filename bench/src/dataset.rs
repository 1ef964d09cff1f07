//! The fraud scenario at size: base tables filled, stream tables created in two steps, copies in plain indexed tables.

use crate::processor;
use std::time::{Duration, Instant};
use weir_tests::postgres::TestServer;
use weir_tests::scenario::FRAUD;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// Stream tables whose rows change by a constant number per commit.
const LIGHT: [&str; 5] = ["user_velocity", "merchant_stats", "category_volume", "merchant_tier_stats", "country_risk"];
/// `risk_scores` and what reads it: one commit truly changes about 1 % of its rows.
const HEAVY: [&str; 4] = ["risk_scores", "alert_summary", "top_risky_merchants", "top_10_risky_merchants"];

/// For a million transactions.
const POPULATION_TIMEOUT: Duration = Duration::from_secs(600);

pub struct Dataset {
    pub users: u64,
    pub merchants: u64,
    pub weir: TestWeir,
    pub server: TestServer,
    /// The same base tables without Weir, for the writers.
    pub bare: TestServer,
}

impl Dataset {
    pub fn load(transactions: u64, users: u64, merchants: u64) -> Dataset {
        let start = || {
            let options = TestServer::options().conf("shared_buffers = 512MB").conf("max_wal_size = 8GB");
            options.conf("checkpoint_timeout = 1h").conf("autovacuum = off").start()
        };
        let (server, bare) = (start(), start());
        for (server, transactions) in [(&server, transactions), (&bare, transactions)] {
            let mut client = RawClient::superuser(&server.address());
            client.execute(FRAUD.schema);
            client.execute(&fill(transactions, users, merchants));
        }
        let weir = TestWeir::start(&server);
        Dataset { users, merchants, weir, server, bare }
    }

    pub fn create_light_tables(&self) -> Duration {
        self.create(&LIGHT)
    }

    pub fn create_heavy_tables(&self) -> Duration {
        self.create(&HEAVY)
    }

    /// Creates them through Weir with the scenario's own statements; returns the time until memory answers them all.
    fn create(&self, tables: &[&str]) -> Duration {
        let started = Instant::now();
        let mut client = RawClient::superuser(&self.weir.address());
        for statement in FRAUD.stream_tables.split(";\n") {
            if tables.iter().any(|table| statement.contains(&format!("name  => '{table}'"))) {
                client.execute(statement);
            }
        }
        self.weir.wait_until_live_within(tables, POPULATION_TIMEOUT);
        started.elapsed()
    }

    /// `plain_user_velocity` and so on: the same rows in ordinary tables with a unique index.
    pub fn copy_to_plain_tables(&self) {
        let mut client = RawClient::superuser(&self.server.address());
        for (table, key) in [
            ("user_velocity", "user_id"),
            ("country_risk", "country"),
            ("alert_summary", "risk_level"),
            ("top_10_risky_merchants", "rank"),
        ] {
            client.execute(&format!(
                "CREATE TABLE plain_{table} AS SELECT * FROM {table}; \
                 CREATE UNIQUE INDEX ON plain_{table} ({key}); ANALYZE plain_{table}"
            ));
        }
    }

    /// Weir's resident memory.
    pub fn resident_bytes(&self) -> u64 {
        processor::resident_bytes(self.weir.process_id())
    }
}

pub fn fill(transactions: u64, users: u64, merchants: u64) -> String {
    format!(
        "TRUNCATE transactions RESTART IDENTITY; \
         INSERT INTO users (name, country) SELECT 'User ' || n, (ARRAY['US','UK','DE','JP','CN','BR','IN','FR'])[1 + n % 8] \
         FROM generate_series((SELECT count(*) + 1 FROM users), {users}) n; \
         INSERT INTO merchants (name, category, country) SELECT 'Merchant ' || n, \
         (ARRAY['Retail','Electronics','Travel','Gambling','Crypto','Food','Pharmacy'])[1 + n % 7], 'US' \
         FROM generate_series((SELECT count(*) + 1 FROM merchants), {merchants}) n; \
         INSERT INTO merchant_risk_tier (merchant_id) SELECT id FROM merchants ON CONFLICT DO NOTHING; \
         SELECT setseed(0.42); \
         INSERT INTO transactions (user_id, merchant_id, amount, txn_at) \
         SELECT 1 + floor(random() * {users})::bigint, 1 + floor(random() * {merchants})::bigint, \
                round((10 * exp(random() * 5))::numeric, 2), now() - random() * interval '30 days' \
         FROM generate_series(1, {transactions}); \
         CREATE INDEX ON transactions (user_id); CREATE INDEX ON transactions (merchant_id); ANALYZE; CHECKPOINT"
    )
}
