//! What happens to the tables below: rewrites, new columns, truncation, restarts, rows that are errors.

use crate::rig::{Rig, run};
use weir_proxy::maintain::PullError;
use weir_proxy::registry::State;
use weir_tests::postgres::StopMode;
use weir_tests::weir::keeps_nothing;

async fn orders(rig: &Rig) {
    rig.sql("CREATE TABLE orders (id int PRIMARY KEY, shop int, amount numeric(10,2), unused int); \
         INSERT INTO orders SELECT i, i % 5, i FROM generate_series(1, 50) i; \
         SELECT pgtrickle.create_stream_table('totals', 'SELECT shop, sum(amount) AS total FROM orders GROUP BY shop'); \
         SELECT pgtrickle.create_stream_table('best', 'SELECT shop, total FROM totals ORDER BY total DESC LIMIT 2')")
        .await;
    rig.settle().await;
}

/// The stream carries generated columns from Postgres 18 on only; they are computed on every version.
#[test]
fn generated_columns_are_computed() {
    run(async {
        let rig = Rig::start().await;
        rig.sql("CREATE TABLE prices (id int PRIMARY KEY, bid numeric(12,4), ask numeric(12,4), \
                 mid numeric(12,4) GENERATED ALWAYS AS ((bid + ask) / 2) STORED, \
                 label text GENERATED ALWAYS AS (upper('p' || id::text)) STORED, at timestamptz DEFAULT now()); \
             INSERT INTO prices SELECT i, i * 1.0001, i * 1.0004 FROM generate_series(1, 50) i; \
             INSERT INTO prices VALUES (51, NULL, 2); \
             SELECT pgtrickle.create_stream_table('mids', 'SELECT id, mid, label, mid - bid AS half FROM prices', refresh_mode => 'DIFFERENTIAL'); \
             SELECT pgtrickle.create_stream_table('total', 'SELECT sum(mid) AS s, count(mid) AS n FROM prices', refresh_mode => 'DIFFERENTIAL')")
            .await;
        rig.settle().await;
        rig.verify(&["mids", "total"]).await;
        rig.sql("UPDATE prices SET ask = ask * 1.00007, bid = bid - 0.0003 WHERE id % 3 = 0; DELETE FROM prices WHERE id % 7 = 0; \
             INSERT INTO prices VALUES (60, 0.0001, 0.0002), (61, 1, NULL); UPDATE prices SET id = id + 100 WHERE id > 40")
            .await;
        rig.verify(&["mids", "total"]).await;
        // The expression goes; the values stay and are ordinary from now on.
        rig.sql("ALTER TABLE prices ALTER mid DROP EXPRESSION; UPDATE prices SET mid = mid + 1 WHERE id < 20").await;
        rig.until("it is live again", async || rig.rows("total").await.is_ok()).await;
        rig.verify(&["mids", "total"]).await;
    });
}

#[test]
fn ddl_below_is_followed() {
    run(async {
        let rig = Rig::start().await;
        orders(&rig).await;
        rig.sql("ALTER TABLE orders ADD COLUMN note text DEFAULT 'x'; INSERT INTO orders VALUES (51, 1, 5, 2, 'y')")
            .await;
        rig.until("it is live again", async || rig.rows("best").await.is_ok()).await;
        rig.verify(&["totals", "best"]).await;
        // A rewrite changes rows without any event.
        rig.sql("ALTER TABLE orders ALTER unused TYPE bigint; UPDATE orders SET amount = amount + 1").await;
        rig.until("it is live again", async || rig.rows("best").await.is_ok()).await;
        rig.verify(&["totals", "best"]).await;
        rig.sql("ALTER TABLE orders DROP COLUMN unused; DELETE FROM orders WHERE shop = 4").await;
        rig.until("it is live again", async || rig.rows("best").await.is_ok()).await;
        rig.verify(&["totals", "best"]).await;
        rig.sql("ALTER TABLE orders RENAME TO purchases; ALTER VIEW totals RENAME TO sums").await;
        rig.sql("INSERT INTO purchases VALUES (60, 2, 7, 'z')").await;
        rig.until("the renamed one is live", async || rig.state("sums") == Some(State::Live)).await;
        rig.until("it is live again", async || rig.rows("best").await.is_ok()).await;
        rig.verify(&["sums", "best"]).await;
        rig.sql("TRUNCATE purchases").await;
        if keeps_nothing() {
            // Rows that were let go are copied again before memory answers.
            rig.until("it is answered again", async || rig.rows("sums").await.is_ok()).await;
        }
        assert_eq!(rig.rows("sums").await, Ok(0));
    });
}

#[test]
fn a_restarted_postgres_is_followed_from_scratch() {
    run(async {
        let mut rig = Rig::start().await;
        orders(&rig).await;
        rig.server.restart(StopMode::Immediate);
        rig.client = rig.server.connect().await;
        rig.sql("INSERT INTO orders VALUES (100, 9, 9999, 0)").await;
        rig.until("the tables are live again", async || rig.rows("best").await == Ok(2)).await;
        rig.verify(&["totals", "best"]).await;
    });
}

#[test]
fn an_error_in_the_rows_is_postgres_to_raise_and_heals() {
    run(async {
        let rig = Rig::start().await;
        rig.sql(
            "CREATE TABLE parts (id int PRIMARY KEY, n int); INSERT INTO parts VALUES (1, 1), (2, 2); \
             SELECT pgtrickle.create_stream_table('big_parts', 'SELECT id FROM parts WHERE 10 / n > 2')",
        )
        .await;
        rig.settle().await;
        assert_eq!(rig.rows("big_parts").await, Ok(2));
        rig.sql("INSERT INTO parts VALUES (3, 0)").await;
        assert_eq!(rig.rows("big_parts").await, Err(PullError::NotLive));
        rig.sql("DELETE FROM parts WHERE id = 3").await;
        rig.until("the table is healed", async || rig.rows("big_parts").await == Ok(2)).await;
        rig.verify(&["big_parts"]).await;
    });
}

#[test]
fn new_partitions_are_followed() {
    run(async {
        let rig = Rig::start().await;
        rig.sql(
            "CREATE TABLE ev (at date, n int) PARTITION BY RANGE (at); \
             CREATE TABLE ev1 PARTITION OF ev FOR VALUES FROM ('2024-01-01') TO ('2024-02-01'); \
             INSERT INTO ev VALUES ('2024-01-05', 1)",
        )
        .await;
        rig.sql("SELECT pgtrickle.create_stream_table('daily', 'SELECT at, sum(n) AS n FROM ev GROUP BY at')").await;
        rig.settle().await;
        rig.sql("CREATE TABLE ev2 PARTITION OF ev FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')").await;
        rig.sql("INSERT INTO ev VALUES ('2024-02-05', 2); UPDATE ev SET n = n + 1").await;
        rig.until("it is in memory again", async || rig.rows("daily").await == Ok(2)).await;
        assert!(rig.table("daily").is_some_and(|table| !table.evaluated_by_postgres));
        let rows = "SELECT sum(n) FROM daily";
        assert_eq!(rig.scalar(rows).await, "5");
    });
}
