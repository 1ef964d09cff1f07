//! What the sequences talk about: one schema per thread with base tables, two stream tables over one of them, a table
//! nobody watches; statements that memory can answer, and statements that it cannot.

use crate::wire::RawClient;

/// Type of a parameter, for values that fit or do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Int,
    BigInt,
    Numeric,
    Float,
    Text,
    Bool,
    Date,
    Timestamp,
}

/// A statement with the types of its parameters and the number of its columns.
#[derive(Clone, Copy, Debug)]
pub struct Statement {
    pub sql: &'static str,
    pub parameters: &'static [Kind],
    pub columns: usize,
}

const fn statement(sql: &'static str, parameters: &'static [Kind], columns: usize) -> Statement {
    Statement { sql, parameters, columns }
}

/// Memory answers these once they are analysed, for parameters that raise no error.
pub const CACHED: [Statement; 21] = [
    statement("SELECT shop, n, total, latest FROM totals WHERE shop = $1", &[Kind::Text], 4),
    statement("SELECT * FROM totals ORDER BY shop", &[], 4),
    statement("SELECT id, amount, at, f FROM lines WHERE id BETWEEN $1 AND $2 ORDER BY id", &[Kind::Int, Kind::Int], 4),
    statement("SELECT id, shop FROM lines ORDER BY id LIMIT $1 OFFSET $2", &[Kind::BigInt, Kind::BigInt], 2),
    statement("SELECT shop, total * 2 AS twice, n FROM totals ORDER BY shop", &[], 3),
    statement("SELECT id, b, d, flag, at FROM lines WHERE id < 6 ORDER BY id", &[], 5),
    statement("SELECT count(*), sum(n), min(latest) FROM totals", &[], 3),
    statement("SELECT id, amount / $1 AS q FROM lines WHERE id <= 3 ORDER BY id", &[Kind::Numeric], 2),
    statement("SELECT l.id, t.total FROM lines l JOIN totals t ON t.shop = l.shop WHERE l.id = $1", &[Kind::Int], 2),
    statement("SELECT shop FROM totals WHERE total > $1 ORDER BY shop", &[Kind::Numeric], 1),
    statement("SELECT id FROM lines WHERE d = $1 ORDER BY id", &[Kind::Date], 1),
    statement("SELECT id, at FROM lines WHERE at >= $1 ORDER BY id", &[Kind::Timestamp], 2),
    statement("SELECT $1::int4 + n AS m FROM totals ORDER BY shop", &[Kind::Int], 1),
    statement("SELECT id, f * $1 AS g FROM lines WHERE flag = $2 ORDER BY id", &[Kind::Float, Kind::Bool], 2),
    statement("SELECT shop AS \"größe\", 'x' AS c FROM totals WHERE n >= 20 ORDER BY 1 DESC", &[], 2),
    statement("SELECT id FROM lines WHERE false", &[], 1),
    statement("SELECT FROM totals", &[], 0),
    statement("SELECT max(id) / $1 FROM lines", &[Kind::Int], 1),
    statement("COPY (SELECT * FROM totals ORDER BY shop) TO STDOUT", &[], 0),
    statement("COPY (SELECT id, b, d, flag FROM lines WHERE id < 6 ORDER BY id) TO STDOUT (FORMAT binary)", &[], 0),
    statement("COPY (SELECT FROM totals) TO STDOUT (FORMAT csv, NULL 'x')", &[], 0),
];

/// Postgres answers these.
pub const FORWARDED: [Statement; 30] = [
    statement("SELECT $1::int + 1", &[Kind::Int], 1),
    statement("SELECT 1 / $1::int", &[Kind::Int], 1),
    statement("SELECT a, b FROM scratch ORDER BY a", &[], 2),
    statement("INSERT INTO scratch VALUES ($1, $2)", &[Kind::Int, Kind::Text], 0),
    statement("INSERT INTO scratch VALUES ($1, $2) RETURNING a, b", &[Kind::Int, Kind::Text], 2),
    statement("UPDATE scratch SET b = $1 WHERE a = $2", &[Kind::Text, Kind::Int], 0),
    statement("DELETE FROM scratch WHERE a = $1 RETURNING a", &[Kind::Int], 1),
    statement("SELECT id, shop FROM sale WHERE id = $1", &[Kind::Int], 2),
    statement("INSERT INTO sale (id, shop, amount) VALUES ($1, $2, 5)", &[Kind::Int, Kind::Text], 0),
    statement("DELETE FROM sale WHERE id = $1", &[Kind::Int], 0),
    // A value of random bytes would ask for more rows than memory holds.
    statement("SELECT generate_series(1, least($1, 1000))", &[Kind::Int], 1),
    statement("SELECT count(*) FROM totals, scratch", &[], 1),
    statement("SELECT shop FROM totals ORDER BY shop FOR UPDATE", &[], 1),
    statement("SELECT nope FROM totals", &[], 1),
    statement("SELECT $2 FROM totals", &[Kind::Text, Kind::Text], 1),
    statement("SELEC 1", &[], 1),
    statement("SELECT 1; SELECT 2", &[], 1),
    statement("", &[], 0),
    statement("-- nothing", &[], 0),
    statement("BEGIN", &[], 0),
    statement("COMMIT", &[], 0),
    statement("ROLLBACK", &[], 0),
    statement("SAVEPOINT a", &[], 0),
    statement("ROLLBACK TO a", &[], 0),
    statement("SET TimeZone = 'Asia/Tokyo'", &[], 0),
    statement("SET LOCAL DateStyle = 'German'", &[], 0),
    statement("EXECUTE q (3)", &[], 2),
    statement("COPY scratch FROM STDIN", &[], 0),
    statement("COPY (SELECT a, b FROM scratch ORDER BY a) TO STDOUT", &[], 0),
    statement("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", &[], 0),
];

/// Simple queries that memory answers.
pub const CACHED_QUERIES: [&str; 14] = [
    "SELECT * FROM totals ORDER BY shop",
    "SELECT id, b, d, flag, at, f FROM lines WHERE id < 6 ORDER BY id",
    "SELECT shop, n FROM totals WHERE shop = 'shop 1'",
    "SELECT shop, n FROM totals WHERE shop = 'shop 4';",
    "SELECT count(*) FROM lines",
    "SELECT total / (n - 20) FROM totals ORDER BY shop",
    "SELECT id, amount FROM lines WHERE at > '2024-01-02 03:00' ORDER BY id LIMIT 3",
    "SELECT at FROM lines WHERE d = '02/01/2024' ORDER BY id",
    "SELECT shop FROM totals WHERE shop > E'shop \\x32' ORDER BY shop -- the rest",
    "TABLE totals ORDER BY shop LIMIT 2",
    "COPY (SELECT * FROM totals ORDER BY shop) TO STDOUT",
    "COPY (SELECT shop, n FROM totals ORDER BY shop) TO STDOUT (FORMAT binary);",
    "COPY (SELECT id, b, f, at FROM lines WHERE id < 6 ORDER BY id) TO STDOUT WITH CSV HEADER FORCE QUOTE id",
    "COPY (SELECT total / (n - 20) FROM totals ORDER BY shop) TO STDOUT",
];

/// Simple queries that open, end or steer transactions.
pub const TRANSACTIONS: [&str; 22] = [
    "BEGIN",
    "BEGIN",
    "BEGIN",
    "START TRANSACTION READ ONLY",
    "BEGIN ISOLATION LEVEL REPEATABLE READ",
    "BEGIN READ WRITE",
    "COMMIT",
    "COMMIT",
    "ROLLBACK",
    "ROLLBACK",
    "END",
    "ABORT",
    "COMMIT AND CHAIN",
    "ROLLBACK AND CHAIN",
    "SAVEPOINT a",
    "SAVEPOINT b",
    "ROLLBACK TO a",
    "ROLLBACK TO SAVEPOINT b",
    "RELEASE a",
    "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "SET TRANSACTION READ ONLY",
    "SET CONSTRAINTS ALL IMMEDIATE",
];

/// Simple queries that change what an answer looks like, or may.
pub const SETTINGS: [&str; 27] = [
    "SET TimeZone = 'Asia/Tokyo'",
    "SET TimeZone = 'America/St_Johns'",
    "SET TimeZone = 'UTC'",
    "SET LOCAL TimeZone = 'Europe/Berlin'",
    "SET DateStyle = 'SQL, DMY'",
    "SET DateStyle = 'ISO, DMY'",
    "SET LOCAL DateStyle = 'German'",
    "SET IntervalStyle = 'iso_8601'",
    "SET extra_float_digits = 0",
    "SET LOCAL extra_float_digits = -3",
    "SET bytea_output = 'escape'",
    "SET client_encoding = 'LATIN1'",
    "SET client_encoding = 'UTF8'",
    "SET standard_conforming_strings = off",
    "SET statement_timeout = '30s'",
    "SET default_transaction_isolation = 'repeatable read'",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "SET transform_null_equals = on",
    "SELECT set_config('TimeZone', 'Asia/Kolkata', false)",
    "SELECT set_config('DateStyle', 'Postgres, MDY', true)",
    "DO $$ BEGIN PERFORM set_config('bytea_output', 'escape', false); END $$",
    "SET search_path = other, public",
    "RESET TimeZone",
    "RESET ALL",
    "RESET search_path",
    "SHOW TimeZone",
    "SET nonsense_setting = 1",
];

/// Other simple queries: several statements at once, prepared in SQL, cursors, COPY, errors, notices.
pub const OTHERS: [&str; 47] = [
    "",
    ";",
    "  -- only a comment",
    "SELECT 1",
    "SELECT 1; SELECT shop FROM totals ORDER BY shop; SELECT 3",
    "SELECT shop FROM totals ORDER BY shop; SELECT 1/0; SELECT 3",
    "SELECT count(*) FROM lines;;",
    "BEGIN; SELECT n FROM totals ORDER BY shop",
    "SELECT n FROM totals ORDER BY shop; COMMIT",
    "INSERT INTO scratch VALUES (100, 'x'); ROLLBACK; SELECT a FROM scratch ORDER BY a",
    "INSERT INTO scratch VALUES (101, 'y'), (101, 'z')",
    "INSERT INTO scratch SELECT n, 'many' FROM generate_series(200, 230) n ON CONFLICT DO NOTHING",
    "INSERT INTO sale (id, shop, amount) VALUES (500, 'shop 1', 7)",
    "UPDATE sale SET amount = amount + 1 WHERE id = 7",
    "INSERT INTO totals VALUES ('new', 1)",
    "SELECT 1/0",
    "SELECT nope FROM totals",
    "SELECT * FROM no_such_table",
    "SELECT 'unterminated",
    "PREPARE q (int) AS SELECT id, shop FROM lines WHERE id <= $1 ORDER BY id",
    "PREPARE s1 (int) AS SELECT $1, 'made in SQL'",
    "EXECUTE q (4)",
    "EXECUTE s1 (4)",
    "EXECUTE s2",
    "DEALLOCATE q",
    "DEALLOCATE s1",
    "DEALLOCATE ALL",
    "DISCARD ALL",
    "DISCARD PLANS",
    "DECLARE c CURSOR FOR SELECT id, shop FROM lines ORDER BY id",
    "DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT shop, total FROM totals ORDER BY shop",
    "FETCH 2 FROM c",
    "FETCH BACKWARD 1 FROM c",
    "FETCH 1 FROM p1",
    "CLOSE c",
    "CLOSE ALL",
    "COPY (SELECT b FROM scratch ORDER BY a) TO STDOUT (FORMAT csv)",
    "COPY (SELECT shop, n FROM totals ORDER BY shop) TO STDOUT (FORMAT nonsense)",
    "COPY (SELECT shop FROM totals ORDER BY shop) TO STDOUT (FORMAT csv, FORCE_QUOTE (nope))",
    "COPY totals TO STDOUT",
    "COPY scratch FROM STDIN",
    "COPY scratch FROM STDIN (FORMAT csv)",
    "COPY totals FROM STDIN",
    "DO $$ BEGIN RAISE NOTICE 'hello'; RAISE WARNING 'careful'; END $$",
    "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$",
    "CREATE TEMP TABLE totals (shop text, n int)",
    "DROP TABLE IF EXISTS pg_temp.totals",
];

/// Name of a thread's schema.
pub fn schema(thread: usize) -> String {
    format!("fuzz_{thread}")
}

/// Makes a thread's tables and stream tables, through Weir.
pub fn create(client: &mut RawClient, thread: usize) {
    let schema = schema(thread);
    client.execute("CREATE SCHEMA IF NOT EXISTS other");
    client.execute(&format!("CREATE SCHEMA {schema}"));
    client.execute(&format!("SET search_path = {schema}"));
    client.execute(
        "CREATE TABLE sale (id int PRIMARY KEY, shop text NOT NULL, amount numeric(10,2), at timestamptz, f float8, \
         b bytea, d date, flag bool)",
    );
    client.execute("CREATE TABLE sale_kept (LIKE sale)");
    client.execute(
        "INSERT INTO sale_kept SELECT i, 'shop ' || i % 5, i * 1.25, '2024-01-01Z'::timestamptz + i * interval '1 hour', \
         CASE i WHEN 3 THEN 'NaN' WHEN 4 THEN '-infinity' ELSE i / 7.0::float8 END, \
         CASE WHEN i % 4 > 0 THEN decode(md5(i::text), 'hex') END, date '2024-01-01' + i / 10, i % 3 = 0 \
         FROM generate_series(1, 100) i",
    );
    client.execute("INSERT INTO sale SELECT * FROM sale_kept");
    client.execute("CREATE TABLE scratch (a int PRIMARY KEY, b text); CREATE TABLE held (a int)");
    client.execute("INSERT INTO scratch VALUES (1, 'one'), (2, NULL), (3, 'drei')");
    for (name, query) in [
        ("totals", "SELECT shop, count(*) AS n, sum(amount) AS total, max(at) AS latest FROM sale GROUP BY shop"),
        ("lines", "SELECT id, shop, amount, at, f, b, d, flag FROM sale"),
    ] {
        client.execute(&format!(
            "SELECT pgtrickle.create_stream_table('{schema}.{name}', '{query}', schedule => '1s', \
             refresh_mode => 'DIFFERENTIAL')"
        ));
    }
    client.execute("RESET search_path");
}

/// Puts back what a sequence may have committed.
pub const RESTORE: &str = "DELETE FROM scratch; INSERT INTO scratch VALUES (1, 'one'), (2, NULL), (3, 'drei'); \
     DELETE FROM sale s WHERE NOT EXISTS (SELECT FROM sale_kept k WHERE k IS NOT DISTINCT FROM s); \
     INSERT INTO sale SELECT * FROM sale_kept ON CONFLICT DO NOTHING";
