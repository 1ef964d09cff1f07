//! Reads that name an ordinary view or a function over stream tables, and no stream table: memory answers them, too, as long as
//! what they mean is a stream table's.

use rand::Rng;
use std::time::{Duration, Instant};
use weir_tests::oracle::{Order, compare, settled};
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

const READS: [&str; 7] = [
    "SELECT * FROM large",
    "SELECT shop, total FROM best ORDER BY total DESC, shop LIMIT 3",
    "SELECT l.shop, b.total FROM \"Odd \"\"view\" l LEFT JOIN best b USING (shop)",
    "WITH w AS (SELECT shop FROM elsewhere.large WHERE n > 1) SELECT count(*) FROM w",
    "SELECT * FROM of_shop(3)",
    "SELECT s.x, f.total FROM (VALUES (1), (2), (5)) s (x), LATERAL of_shop(s.x) f",
    "SELECT shop FROM largest() UNION ALL SELECT shop FROM best",
];

/// A server and a Weir, the stream table `totals` over `sales`, and a schema besides.
struct Ground {
    _server: TestServer,
    _weir: TestWeir,
    through: RawClient,
    direct: RawClient,
}

impl Ground {
    fn new() -> Ground {
        let server = TestServer::start();
        let weir = TestWeir::start(&server);
        let mut through = RawClient::superuser(&weir.address());
        let mut direct = RawClient::superuser(&server.address());
        direct.execute("CREATE TABLE sales (id int PRIMARY KEY, shop int, amount int); CREATE SCHEMA elsewhere");
        through.execute(
            "SELECT pgtrickle.create_stream_table(name => 'totals', query => $$ SELECT shop, sum(amount) AS total, count(*) AS n \
             FROM sales GROUP BY shop $$, schedule => '1s')",
        );
        Ground { _server: server, _weir: weir, through, direct }
    }
}

fn until_forwarded(through: &mut RawClient, direct: &mut RawClient, sql: &str) {
    let started = Instant::now();
    loop {
        compare(through, direct, sql, Order::Any).unwrap_or_else(|found| panic!("{found}"));
        if through.last_route().starts_with("forwarded") {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{sql}: still from memory");
    }
}

#[test]
fn what_stands_over_stream_tables_is_read_from_memory() {
    let mut random = rng::seeded("views_over");
    let mut ground = Ground::new();
    let Ground { through, direct, .. } = &mut ground;
    // They come later than the table, and two of the same name.
    direct.execute(
        "CREATE VIEW large AS SELECT shop, total, n FROM totals WHERE total > 10;
         CREATE VIEW elsewhere.large AS SELECT shop, n FROM totals;
         CREATE VIEW \"Odd \"\"view\" AS SELECT shop, total % 7 AS rest FROM elsewhere.large JOIN totals USING (shop);
         CREATE VIEW best AS SELECT shop, max(total) AS total FROM large GROUP BY shop HAVING count(*) > 0;
         CREATE FUNCTION of_shop (s int) RETURNS TABLE (total bigint) STABLE LANGUAGE sql
             BEGIN ATOMIC SELECT t.total FROM totals t WHERE t.shop = s; END;
         CREATE FUNCTION largest () RETURNS SETOF large STABLE LANGUAGE sql BEGIN ATOMIC SELECT * FROM large; END;
         CREATE VIEW mixed AS SELECT l.shop, s.id FROM large l JOIN sales s USING (shop);
         CREATE MATERIALIZED VIEW frozen AS SELECT shop FROM totals;
         CREATE VIEW over_frozen AS SELECT shop FROM frozen",
    );
    through.execute("SET weir.consistency = 'latest'");
    for _ in 0..rng::rounds(6, 100) {
        for _ in 0..random.random_range(1..9) {
            let (id, shop, amount) = (random.random_range(0..60), random.random_range(0..8), random.random_range(0..9));
            direct.execute(&match random.random_range(0..8) {
                0 => format!("DELETE FROM sales WHERE id = {id}"),
                1 => format!("UPDATE sales SET shop = NULLIF({shop}, 5) WHERE amount = {amount}"),
                _ => format!(
                    "INSERT INTO sales VALUES ({id}, {shop}, {amount}) ON CONFLICT (id) DO UPDATE SET amount = {amount}"
                ),
            });
        }
        READS.iter().for_each(|sql| settled(through, direct, sql));
        // Those need more than what is in memory.
        for sql in ["SELECT * FROM mixed", "SELECT * FROM over_frozen"] {
            compare(through, direct, sql, Order::Any).unwrap_or_else(|found| panic!("{found}"));
            assert!(through.last_route().starts_with("forwarded"), "{sql}: {}", through.last_route());
        }
    }

    // The view comes to mean something else, and to stand over nothing.
    direct.execute("CREATE OR REPLACE VIEW large AS SELECT shop, total + 1 AS total, n FROM totals WHERE total > 3");
    READS.iter().for_each(|sql| settled(through, direct, sql));
    direct.execute("ALTER VIEW large RENAME TO larger");
    settled(through, direct, "SELECT * FROM larger");
    settled(through, direct, READS[1]);
    direct.execute("CREATE OR REPLACE VIEW larger AS SELECT shop, amount::bigint AS total, 1::bigint AS n FROM sales");
    until_forwarded(through, direct, "SELECT * FROM larger");
    until_forwarded(through, direct, READS[1]);
    settled(through, direct, READS[4]);
    // The catalogue has been read since: its name is no more than any other.
    compare(through, direct, "SELECT * FROM larger", Order::Any).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(through.last_route(), "forwarded: no stream table");
}

const OF_TEXTS: [&str; 7] = [
    // First: nothing that the body reads has been met before.
    "SELECT * FROM over_texted",
    "SELECT s.x, f.total FROM (VALUES (1), (2), (5)) s (x), LATERAL texted(s.x) f",
    "SELECT f.total, count(*) FROM nested(2) f (total) GROUP BY f.total",
    "SELECT * FROM texted(3)",
    "SELECT l.shop FROM texted_large() l JOIN totals t USING (shop) WHERE t.n > 1",
    "SELECT * FROM how_many()",
    "SELECT n.* FROM named(low => 2) n JOIN over_texted o ON o.total > n.shop",
];

/// Nothing in the catalogue says what they read.
#[test]
fn functions_whose_body_is_text_are_read_from_memory() {
    let mut random = rng::seeded("texts_over");
    let mut ground = Ground::new();
    let Ground { through, direct, .. } = &mut ground;
    direct.execute(
        "CREATE VIEW large AS SELECT shop, total, n FROM totals WHERE total > 10;
         CREATE VIEW elsewhere.large AS SELECT shop, total, n FROM totals;
         CREATE FUNCTION texted (s int) RETURNS TABLE (total bigint) STABLE LANGUAGE sql
             AS $$ SELECT t.total FROM totals t WHERE t.shop = $1 -- of one shop $$;
         CREATE FUNCTION nested (a int) RETURNS SETOF bigint STABLE LANGUAGE sql
             AS 'SELECT f.total FROM texted(a) f UNION ALL SELECT n FROM \"large\" WHERE shop > a';
         CREATE VIEW over_texted AS SELECT f.total + 1 AS total FROM texted(1) f;
         CREATE FUNCTION texted_large () RETURNS SETOF large STABLE LANGUAGE sql AS 'SELECT * FROM large;';
         CREATE FUNCTION how_many () RETURNS TABLE (n bigint) STABLE LANGUAGE sql AS 'SELECT count(*) FROM Large';
         CREATE FUNCTION named (high int, low int DEFAULT 1) RETURNS TABLE (shop int, total bigint) STABLE LANGUAGE sql
             AS 'SELECT l.shop, l.total FROM large l WHERE l.shop BETWEEN named.low AND named.high';
         CREATE OR REPLACE FUNCTION named (low int) RETURNS TABLE (shop int, total bigint) STABLE LANGUAGE sql
             AS 'SELECT l.shop, l.total FROM large l WHERE l.shop > named.low'",
    );
    through.execute("SET weir.consistency = 'latest'");
    let paths = ["public", "elsewhere, public"];
    for round in 0..rng::rounds(6, 60) {
        for _ in 0..random.random_range(1..9) {
            let (id, shop, amount) = (random.random_range(0..60), random.random_range(0..8), random.random_range(0..9));
            direct.execute(&match random.random_range(0..4) {
                0 => format!("DELETE FROM sales WHERE id = {id}"),
                _ => format!(
                    "INSERT INTO sales VALUES ({id}, {shop}, {amount}) ON CONFLICT (id) DO UPDATE SET amount = {amount}"
                ),
            });
        }
        // What `large` is depends on who asks.
        let path = format!("SET search_path = {}", paths[round % 2]);
        through.execute(&path);
        direct.execute(&path);
        OF_TEXTS.iter().for_each(|sql| settled(through, direct, sql));
    }
    through.execute("SET search_path = public");
    direct.execute("SET search_path = public");
    // It comes to mean something else, then a base table, then nothing.
    direct.execute(
        "CREATE OR REPLACE FUNCTION texted (s int) RETURNS TABLE (total bigint) STABLE LANGUAGE sql
             AS 'SELECT t.total + s FROM totals t WHERE t.shop >= s'",
    );
    OF_TEXTS.iter().for_each(|sql| settled(through, direct, sql));
    direct.execute(
        "CREATE OR REPLACE FUNCTION texted (s int) RETURNS TABLE (total bigint) STABLE LANGUAGE sql
             AS 'SELECT amount::bigint FROM sales WHERE shop = s'",
    );
    OF_TEXTS[..4].iter().for_each(|sql| until_forwarded(through, direct, sql));
    settled(through, direct, OF_TEXTS[5]);
    direct.execute("ALTER VIEW large RENAME TO larger");
    for sql in &OF_TEXTS[4..] {
        compare(through, direct, sql, Order::Any).unwrap_or_else(|found| panic!("{found}"));
        assert!(through.last_route().starts_with("forwarded"), "{sql}: {}", through.last_route());
    }
    // Another relation of that name, over which memory has nothing to say.
    direct.execute("CREATE TABLE large (shop int, total bigint, n bigint); INSERT INTO large VALUES (1, 2, 3)");
    until_forwarded(through, direct, OF_TEXTS[5]);
    direct.execute("DROP TABLE large; ALTER VIEW larger RENAME TO large");
    settled(through, direct, OF_TEXTS[5]);
    // What a role may not read, it may not read through a function.
    direct.execute(
        "CREATE ROLE reader; GRANT EXECUTE ON FUNCTION how_many() TO reader; GRANT USAGE ON SCHEMA public TO reader",
    );
    through.execute("SET ROLE reader");
    direct.execute("SET ROLE reader");
    for _ in 0..3 {
        let refused = compare(through, direct, OF_TEXTS[5], Order::Any);
        refused.unwrap_or_else(|found| panic!("{found}"));
        assert!(through.query(OF_TEXTS[5]).error.is_some_and(|error| error.code == "42501"));
        std::thread::sleep(Duration::from_millis(100));
    }
    direct.execute("RESET ROLE; GRANT SELECT ON large TO reader; SET ROLE reader");
    settled(through, direct, OF_TEXTS[5]);
}
