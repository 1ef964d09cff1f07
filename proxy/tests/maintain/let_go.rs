//! Base tables whose rows nothing needs are let go; what needs them again has them brought in.

use crate::rig::{Rig, run};
use std::sync::atomic::Ordering;
use std::time::Duration;
use weir_proxy::registry::State;
use weir_tests::weir::by_triggers;

const SALES: &str = "CREATE TABLE shop (id int PRIMARY KEY, name text); INSERT INTO shop SELECT i, 'shop ' || i FROM generate_series(0, 6) i; \
     CREATE TABLE sale (id int PRIMARY KEY, shop int, amount int, unused int); INSERT INTO sale SELECT i, i % 5, i FROM generate_series(1, 100) i; \
     SELECT pgtrickle.create_stream_table('by_shop', 'SELECT shop, count(*) AS n, sum(amount) AS total FROM sale GROUP BY shop', '1s'); \
     SELECT pgtrickle.create_stream_table('large', 'SELECT id, amount FROM sale WHERE amount > 90', '1s')";

async fn sales() -> Rig {
    let rig = Rig::letting_go_after(Some(Duration::ZERO)).await;
    rig.sql(SALES).await;
    rig.settle().await;
    rig.wait_until_connected().await;
    is_let_go(&rig, "public.sale").await;
    rig
}

async fn is_let_go(rig: &Rig, table: &str) {
    rig.until("it is let go", async || rig.base_rows(table) == "let go").await;
}

fn times_let_go(rig: &Rig) -> u64 {
    rig.services.metrics.tables_let_go.load(Ordering::Relaxed)
}

#[test]
fn changes_are_followed_without_the_rows() {
    run(async {
        let rig = sales().await;
        rig.sql("INSERT INTO sale SELECT i, i % 7, i FROM generate_series(101, 150) i; UPDATE sale SET amount = amount + 1, shop = 6 WHERE id % 3 = 0; \
             DELETE FROM sale WHERE id % 11 = 0; BEGIN; UPDATE sale SET id = -id WHERE id < 20; UPDATE sale SET amount = id WHERE id < -10; COMMIT")
            .await;
        assert_eq!(rig.rows("by_shop").await, Ok(7));
        rig.verify(&["by_shop", "large"]).await;
        assert_eq!((rig.base_rows("public.sale"), times_let_go(&rig)), ("let go", 1));
        assert_eq!(rig.scalar("SELECT pgtrickle.explain_json('large') ->> 'source_rows'").await, "public.sale: let go");
        assert!(rig.services.metrics.render().contains("\nweir_base_tables_let_go 1\n"));
    });
}

const FILTERED: &str = "CREATE TABLE reading (id int PRIMARY KEY, unused text DEFAULT 'none', sensor int, celsius int, bearing text); \
     INSERT INTO reading SELECT i, 'unused', i % 5, CASE WHEN i % 7 > 0 THEN i END, \
         (SELECT string_agg(md5(i::text || n::text), '') FROM generate_series(1, 300) n) FROM generate_series(1, 100) i; \
     SELECT pgtrickle.create_stream_table('hot', 'SELECT id, celsius, bearing FROM reading WHERE celsius > 90', '1s'); \
     SELECT pgtrickle.create_stream_table('one', 'SELECT count(*) AS n, sum(celsius) AS sum FROM reading WHERE 100 / (sensor - 7) < -24', '1s')";

#[test]
fn what_nobody_needs_of_changes_is_left_out_and_all_else_is_followed() {
    run(async {
        let rig = Rig::letting_go_after(Some(Duration::ZERO)).await;
        rig.sql(FILTERED).await;
        rig.settle().await;
        rig.wait_until_connected().await;
        is_let_go(&rig, "public.reading").await;
        let left_out = || rig.services.metrics.rows_left_out.load(Ordering::Relaxed);
        if !by_triggers() {
            // The capture is told a moment later.
            rig.until("something is left out", async || {
                rig.sql("UPDATE reading SET unused = unused WHERE id = 10").await;
                rig.settle().await;
                left_out() > 0
            })
            .await;
        }
        // Rows of sensors 3 and 4 pass the second condition.
        for (change, expected) in [
            // The other column is large and not sent again.
            ("UPDATE reading SET celsius = 50, sensor = 1 WHERE id BETWEEN 10 AND 19", 16),
            // Into one of them and out again, with what was not sent.
            ("UPDATE reading SET celsius = 91 WHERE id BETWEEN 10 AND 19", 10),
            ("UPDATE reading SET celsius = NULL WHERE id BETWEEN 10 AND 14", 5),
            ("UPDATE reading SET sensor = 3 WHERE id BETWEEN 13 AND 14", 2),
            ("INSERT INTO reading SELECT i, i::text, i % 4, i, 'north' FROM generate_series(-20, -1) i", 20),
            ("DELETE FROM reading WHERE id BETWEEN -10 AND 20", 19),
            // All of them pass, and nothing that is read changes; then it does.
            ("UPDATE reading SET unused = id::text WHERE id > 95", 10),
            ("UPDATE reading SET unused = 'again', celsius = celsius + 1 WHERE id = 99", 0),
        ] {
            let before = left_out();
            rig.sql(change).await;
            rig.verify(&["hot", "one"]).await;
            assert_eq!(left_out() - before, if by_triggers() { 0 } else { expected }, "{change}");
        }
        // Whether a row passes that makes the condition fail is not known: it is not left out.
        rig.sql("UPDATE reading SET sensor = 7 WHERE id = 50").await;
        rig.until("it is withheld", async || rig.rows("one").await.is_err()).await;
        rig.verify(&["hot"]).await;
        rig.sql("UPDATE reading SET sensor = 3 WHERE id = 50").await;
        rig.verify(&["hot", "one"]).await;
        // One that reads all of it: what had been left out is there again.
        rig.sql("SELECT pgtrickle.create_stream_table('all_of_it', 'SELECT * FROM reading', '1s')").await;
        rig.settle().await;
        rig.sql("UPDATE reading SET bearing = 'south' WHERE celsius < 50; DELETE FROM reading WHERE id = 77").await;
        rig.verify(&["hot", "one", "all_of_it"]).await;
    });
}

#[test]
fn what_postgres_evaluates_is_told_of_changes_that_nobody_else_needs() {
    run(async {
        let rig = Rig::letting_go_after(Some(Duration::ZERO)).await;
        rig.sql(FILTERED).await;
        rig.sql(
            "SELECT pgtrickle.create_stream_table('words', \
             'SELECT id, length(to_tsvector(''simple'', unused)) AS words FROM reading', '1h')",
        )
        .await;
        rig.settle().await;
        rig.wait_until_connected().await;
        is_let_go(&rig, "public.reading").await;
        let left_out = || rig.services.metrics.rows_left_out.load(Ordering::Relaxed);
        assert_eq!(rig.rows("words").await, Ok(100));
        let (mut rows, before) = (100, left_out());
        while left_out() == before {
            rows += 1;
            assert!(rows < 1000, "nothing is left out");
            rig.sql(&format!("INSERT INTO reading VALUES ({rows} + 1000, 'new', 0, 0, '')")).await;
            // It may have been evaluated since; what was before must not pass for the present.
            assert_ne!(rig.rows("words").await, Ok(rows - 1));
            rig.sql("SELECT pgtrickle.refresh_stream_table('words')").await;
            rig.settle().await;
            assert_eq!(rig.rows("words").await, Ok(rows));
            if by_triggers() {
                break;
            }
        }
        rig.verify(&["words", "hot", "one"]).await;
    });
}

#[test]
fn a_table_is_brought_in_for_a_stream_table_that_is_filled_from_it_and_kept_where_it_is_looked_up() {
    run(async {
        let rig = sales().await;
        // Filled from groups that are there, and from rows that are published.
        rig.sql(
            "SELECT pgtrickle.create_stream_table('all_shops', 'SELECT sum(n) AS n FROM by_shop', '1s'); \
             SELECT pgtrickle.create_stream_table('lowest', 'SELECT min(amount) AS lowest FROM large', '1s')",
        )
        .await;
        rig.settle().await;
        rig.verify(&["all_shops", "lowest"]).await;
        assert_eq!(times_let_go(&rig), 1);

        rig.sql("INSERT INTO sale VALUES (200, 5, 200)").await;
        rig.sql("SELECT pgtrickle.create_stream_table('largest', 'SELECT id, amount FROM sale ORDER BY amount DESC LIMIT 3', '1s')")
            .await;
        rig.settle().await;
        assert_eq!(rig.state("largest"), Some(State::Live));
        for table in ["by_shop", "large", "all_shops", "lowest"] {
            rig.until("what was built again is live", async || rig.state(table) == Some(State::Live)).await;
        }
        rig.verify(&["largest", "by_shop", "large", "all_shops", "lowest"]).await;
        rig.until("it is let go again", async || times_let_go(&rig) == 2).await;

        rig.sql("SELECT pgtrickle.create_stream_table('named', 'SELECT s.id, h.name FROM sale s JOIN shop h ON h.id = s.shop', '1s')")
            .await;
        rig.settle().await;
        assert_eq!(rig.rows("named").await, Ok(101));
        rig.sql("UPDATE shop SET name = name || '!' WHERE id > 2; DELETE FROM sale WHERE id % 2 = 0").await;
        rig.verify(&["named", "by_shop", "large", "lowest"]).await;
        assert_eq!((rig.base_rows("public.sale"), rig.base_rows("public.shop")), ("kept", "kept"));
        assert_eq!(times_let_go(&rig), 2);
    });
}

#[test]
fn what_truncate_takes_away_is_looked_up() {
    run(async {
        let rig = sales().await;
        for _ in 0..3 {
            rig.sql("TRUNCATE sale").await;
            // Whatever is answered from now on is answered without those rows.
            match rig.rows("by_shop").await {
                Ok(rows) => assert_eq!(rows, 0),
                Err(_) => rig.until("it is live again", async || rig.rows("by_shop").await.is_ok()).await,
            }
            rig.verify(&["by_shop", "large"]).await;
            is_let_go(&rig, "public.sale").await;
            rig.sql(
                "BEGIN; INSERT INTO sale VALUES (1, 1, 99); TRUNCATE sale; INSERT INTO sale VALUES (2, 2, 98); COMMIT",
            )
            .await;
            rig.until("it is live again", async || rig.rows("large").await.is_ok()).await;
            assert_eq!(rig.rows("large").await, Ok(1));
            rig.sql("INSERT INTO sale SELECT i, i % 5, i FROM generate_series(10, 95) i").await;
            is_let_go(&rig, "public.sale").await;
        }
        rig.verify(&["by_shop", "large"]).await;
    });
}

#[test]
fn what_is_planned_again_is_filled_again() {
    run(async {
        let rig = sales().await;
        rig.sql("SELECT pgtrickle.pause_stream_table('large')").await;
        rig.sql("INSERT INTO sale VALUES (300, 1, 300)").await;
        rig.settle().await;
        assert_eq!(rig.rows("by_shop").await, Ok(5));
        rig.sql("SELECT pgtrickle.resume_stream_table('large')").await;
        rig.settle().await;
        assert_eq!(rig.rows("large").await, Ok(11));
        is_let_go(&rig, "public.sale").await;
        rig.sql(
            "SELECT pgtrickle.alter_stream_table('large', $$SELECT id, amount, shop FROM sale WHERE amount > 80$$)",
        )
        .await;
        rig.settle().await;
        assert_eq!(rig.rows("large").await, Ok(21));
        is_let_go(&rig, "public.sale").await;
        rig.sql("ALTER TABLE sale ADD COLUMN note text; ALTER TABLE sale ALTER unused TYPE bigint").await;
        rig.sql("INSERT INTO sale VALUES (301, 1, 301, 1, 'x')").await;
        rig.until("it is live again", async || rig.rows("large").await.is_ok()).await;
        assert_eq!(rig.rows("large").await, Ok(22));
        rig.verify(&["by_shop", "large"]).await;
    });
}
