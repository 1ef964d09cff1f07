//! Users' functions in SQL that return sets, in FROM: their bodies' tables are followed like any others, by whoever may read them.

use rand::Rng;
use std::time::Duration;
use weir_tests::oracle::{Order, compare, settled};
use weir_tests::pair::Pair;
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

const SCHEMA: &str = "
    CREATE TABLE shops (id int PRIMARY KEY, name text, kind int);
    CREATE TABLE sales (id int PRIMARY KEY, shop int, amount int);
    CREATE VIEW large AS SELECT id, shop, amount FROM sales WHERE amount > 4;
    CREATE FUNCTION sales_of (of_shop int) RETURNS TABLE (sale int, amount int) STABLE LANGUAGE sql
        BEGIN ATOMIC SELECT s.id, s.amount FROM sales s WHERE s.shop = of_shop; END;
    CREATE FUNCTION best_of (of_shop int, above int DEFAULT 0) RETURNS TABLE (sale int) STABLE LANGUAGE sql
        BEGIN ATOMIC SELECT s.id FROM sales s WHERE s.shop = of_shop AND s.amount > above ORDER BY s.amount DESC, s.id LIMIT 2; END;
    CREATE FUNCTION sums () RETURNS TABLE (shop int, total bigint, n bigint) STABLE LANGUAGE sql
        BEGIN ATOMIC SELECT s.shop, sum(s.amount), count(*) FROM sales s GROUP BY s.shop; END;
    CREATE FUNCTION all_sales () RETURNS SETOF sales STABLE LANGUAGE sql BEGIN ATOMIC SELECT * FROM sales; END;
    CREATE FUNCTION large_of (of_shop int) RETURNS TABLE (amount int) STABLE LANGUAGE sql
        BEGIN ATOMIC SELECT f.amount FROM sales_of(of_shop) f JOIN large l ON l.id = f.sale WHERE f.amount > of_shop - 2; END;
    CREATE FUNCTION numbers (n int) RETURNS SETOF int IMMUTABLE LANGUAGE sql AS 'SELECT g FROM generate_series(1, n) g';
    CREATE FUNCTION pairs (n int, t text) RETURNS TABLE (x int, y text) STABLE LANGUAGE sql
        AS $$ SELECT v.x, t || v.y FROM (VALUES (n, 'a'), (n + 1, 'b')) v (x, y) WHERE v.x > 1 $$;";

const DEFINITIONS: &[&str] = &[
    "SELECT s.id, s.name, f.sale, f.amount FROM shops s, sales_of(s.id) f",
    "SELECT s.id, f.amount, f.sale FROM shops s LEFT JOIN sales_of(s.id) f ON f.amount > 2",
    "SELECT s.id, f.sale FROM shops s CROSS JOIN LATERAL best_of(s.id, 1) f",
    "SELECT f.shop, f.total, f.n FROM sums() f",
    "SELECT count(*) AS n, sum(a.amount) AS amount FROM all_sales() a JOIN shops s ON s.id = a.shop",
    "SELECT s.id, n.n FROM shops s, numbers(s.kind) AS n (n)",
    "SELECT s.id FROM shops s WHERE EXISTS (SELECT FROM large_of(s.id))",
    "SELECT f.sale, f.amount FROM sales_of(of_shop => 3) f",
    "SELECT s.id, p.x, p.y FROM shops s, LATERAL pairs(s.kind, s.name) p",
    "SELECT s.id, (SELECT max(f.amount) FROM sales_of(s.id) f) AS best FROM shops s",
    "SELECT a.sale, b.sale AS other FROM sales_of(1) a JOIN sales_of(2) b USING (amount)",
];

fn create(client: &mut RawClient, name: &str, query: &str) {
    client.execute(&format!(
        "SELECT pgtrickle.create_stream_table(name => '{name}', query => $q$ {query} $q$, schedule => '1s', \
         refresh_mode => 'DIFFERENTIAL')"
    ));
}

#[test]
fn bodies_in_from_are_maintained() {
    let mut random = rng::seeded("table_functions");
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut through = RawClient::superuser(&weir.address());
    let mut direct = RawClient::superuser(&server.address());
    direct.execute(SCHEMA);
    for (at, query) in DEFINITIONS.iter().enumerate() {
        create(&mut through, &format!("kept{at}"), query);
    }
    through.execute("SET weir.consistency = 'latest'");
    for _ in 0..rng::rounds(8, 200) {
        for _ in 0..random.random_range(1..12) {
            let (id, shop, amount) = (random.random_range(0..40), random.random_range(0..6), random.random_range(0..9));
            direct.execute(&match random.random_range(0..10) {
                0 => format!("DELETE FROM sales WHERE id = {id}"),
                1 => format!("DELETE FROM shops WHERE id = {shop}"),
                2 => format!("UPDATE shops SET kind = {}, name = 'n{id}' WHERE id = {shop}", id % 5),
                3 => format!("INSERT INTO shops VALUES ({shop}, 'shop {shop}', {}) ON CONFLICT DO NOTHING", id % 4),
                4 => format!("UPDATE sales SET shop = NULLIF({shop}, 5) WHERE amount = {amount}"),
                5 if id < 3 => "TRUNCATE sales".to_owned(),
                _ => format!(
                    "INSERT INTO sales VALUES ({id}, {shop}, {amount}) ON CONFLICT (id) DO UPDATE SET amount = {amount}"
                ),
            });
        }
        for at in 0..DEFINITIONS.len() {
            settled(&mut through, &mut direct, &format!("SELECT * FROM kept{at}"));
        }
    }
    // A read's own, over rows of stream tables; and one whose body reads a stream table.
    direct.execute(
        "CREATE FUNCTION kept_of (i int) RETURNS TABLE (sale int) STABLE LANGUAGE sql
             BEGIN ATOMIC SELECT k.sale FROM kept0 k WHERE k.id = i; END;
         CREATE FUNCTION base_of (i int) RETURNS TABLE (kind int) STABLE LANGUAGE sql
             BEGIN ATOMIC SELECT s.kind FROM shops s WHERE s.id = i; END",
    );
    settled(&mut through, &mut direct, "SELECT k.id, p.* FROM kept5 k, pairs(k.n, 'w') p");
    settled(&mut through, &mut direct, "SELECT k.id, f.sale FROM kept6 k LEFT JOIN kept_of(k.id) f ON true");
    compare(&mut through, &mut direct, "SELECT k.id, f.kind FROM kept6 k, base_of(k.id) f", Order::Any).unwrap();
    // What a body reads changes its columns, the body is replaced, and what it calls.
    direct.execute("ALTER TABLE sales ADD COLUMN extra int DEFAULT 3; ALTER TABLE sales RENAME COLUMN amount TO price");
    direct.execute("INSERT INTO sales VALUES (900, 1, 8, 1), (901, 2, 8, 2)");
    for at in [0, 2, 3, 6, 9] {
        settled(&mut through, &mut direct, &format!("SELECT * FROM kept{at}"));
    }
    direct.execute(
        "CREATE OR REPLACE FUNCTION sales_of (of_shop int) RETURNS TABLE (sale int, amount int) STABLE LANGUAGE sql
             BEGIN ATOMIC SELECT s.id, s.price + s.extra FROM sales s WHERE s.shop = of_shop AND s.id > 5; END",
    );
    for at in [0, 1, 6, 7, 9, 10] {
        settled(&mut through, &mut direct, &format!("SELECT * FROM kept{at}"));
    }
}

/// Postgres calls these instead of putting the body in the place of the call, or that cannot be followed.
#[test]
fn what_is_not_put_in_place() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut pair = Pair::superuser(&server, &weir);
    pair.direct.execute(
        "CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 2), (2, 3);
         CREATE FUNCTION volatile_one (i int) RETURNS SETOF int LANGUAGE sql BEGIN ATOMIC SELECT a FROM t WHERE id = i; END;
         CREATE FUNCTION strict_one (i int) RETURNS SETOF int STRICT STABLE LANGUAGE sql BEGIN ATOMIC SELECT a FROM t WHERE id = i; END;
         CREATE FUNCTION own (i int) RETURNS SETOF int STABLE SECURITY DEFINER LANGUAGE sql BEGIN ATOMIC SELECT a FROM t WHERE id = i; END;
         CREATE FUNCTION told (i int) RETURNS SETOF int STABLE LANGUAGE sql AS 'SELECT a FROM t WHERE id = i';
         CREATE FUNCTION wide (i int) RETURNS SETOF bigint STABLE LANGUAGE sql BEGIN ATOMIC SELECT a FROM t WHERE id = i; END;
         CREATE FUNCTION other (i int) RETURNS SETOF int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT a FROM t WHERE id = i; END';
         CREATE FUNCTION fine (i int) RETURNS SETOF int STABLE LANGUAGE sql BEGIN ATOMIC SELECT a FROM t WHERE id = i; END",
    );
    let definition = |function: &str| format!("SELECT t.id, f.v FROM t, {function}(t.id) AS f (v)");
    create(&mut pair.through, "kept", &definition("fine"));
    pair.from_memory("SELECT * FROM kept ORDER BY id");
    for function in ["volatile_one", "strict_one", "own", "told", "wide", "other"] {
        let sql = format!(
            "SELECT pgtrickle.create_stream_table('no', $q$ {} $q$, refresh_mode => 'DIFFERENTIAL')",
            definition(function)
        );
        let error = pair.through.query(&sql).error.unwrap_or_else(|| panic!("{function} is accepted"));
        assert_eq!(error.code, "0A000", "{function}: {error:?}");
    }
    pair.forwarded("SELECT k.id, f FROM kept k, volatile_one(k.id) f ORDER BY 1", "unsupported");
    // Nor where an argument is a subquery.
    let sql = "SELECT pgtrickle.create_stream_table('no', $q$ SELECT f.v FROM fine((SELECT max(id) FROM t)) AS f (v) $q$, \
               refresh_mode => 'DIFFERENTIAL')";
    assert_eq!(pair.through.query(sql).error.expect("a refusal").code, "0A000");
    // A numeric's modifier would show that the body stands there.
    pair.direct.execute(
        "CREATE TABLE priced (id int PRIMARY KEY, p numeric(8,2)); INSERT INTO priced VALUES (1, 2.5);
         CREATE FUNCTION prices () RETURNS TABLE (id int, p numeric) STABLE LANGUAGE sql BEGIN ATOMIC SELECT id, p FROM priced; END",
    );
    create(&mut pair.through, "shown", "SELECT id, p FROM prices()");
    pair.forwarded("SELECT p FROM shown", "modifier");
    pair.same_in_all_formats("SELECT p FROM shown");
}

#[test]
fn who_may_read_what_the_body_reads() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut admin = Pair::superuser(&server, &weir);
    admin.direct.execute(
        "CREATE ROLE reader LOGIN; CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 2), (2, 3);
         CREATE FUNCTION of_t () RETURNS TABLE (id int, a int) STABLE LANGUAGE sql BEGIN ATOMIC SELECT id, a FROM t; END",
    );
    create(&mut admin.through, "kept", "SELECT id, a FROM of_t()");
    admin.direct.execute("GRANT SELECT ON kept TO reader");
    let sql = "SELECT * FROM kept ORDER BY id";
    admin.from_memory(sql);
    let mut reader = Pair::of(&server, &weir, "reader", &[]);
    // Within a view a function reads as whoever asks, not as the view's owner.
    reader.refused(sql, "42501");
    admin.direct.execute("GRANT SELECT ON t TO reader");
    std::thread::sleep(Duration::from_millis(1500));
    reader.from_memory(sql);
    admin.direct.execute("REVOKE EXECUTE ON FUNCTION of_t() FROM PUBLIC");
    std::thread::sleep(Duration::from_millis(1500));
    reader.refused(sql, "42501");
    admin.direct.execute("GRANT EXECUTE ON FUNCTION of_t() TO reader; ALTER TABLE t ENABLE ROW LEVEL SECURITY");
    std::thread::sleep(Duration::from_millis(1500));
    assert!(reader.same(sql).rows.is_empty());
    admin.direct.execute("CREATE POLICY few ON t USING (id = 1)");
    reader.forwarded(sql, "out of service");
    assert_eq!(reader.same(sql).rows.len(), 1);
}
