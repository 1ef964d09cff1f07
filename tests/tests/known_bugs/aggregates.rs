//! Groups that come, go and change.

use crate::ground::Ground;
use weir_tests::oracle::Order;

const SALES: &str = "CREATE TABLE sale (id int PRIMARY KEY, shop text, product int, amount numeric(10,3), at date); \
     INSERT INTO sale SELECT n, (ARRAY['a', 'b', 'c', NULL])[1 + n % 4], n % 5, n * 1.125, date '2026-01-01' + n % 60 \
     FROM generate_series(1, 60) n";

/// #474: the rows that have the greatest sum of all (TPC-H 15), as the greatest grows, shrinks and goes.
#[test]
fn a_scalar_subquery_over_the_greatest_sum() {
    let mut ground = Ground::new(SALES);
    ground.stream("sums", "SELECT product, sum(amount) AS total FROM sale GROUP BY product");
    ground.stream("best", "SELECT product, total FROM sums WHERE total = (SELECT max(total) FROM sums)");
    ground.commit("INSERT INTO sale VALUES (100, 'a', 3, 1000, '2026-01-01')");
    ground.commit("DELETE FROM sale WHERE id = 100");
    ground.commit("INSERT INTO sale SELECT 200 + product, 'z', product, (SELECT max(total) FROM sums) - total, '2026-02-02' FROM sums");
    ground.expect("SELECT count(*) FROM best", &["5"]);
    ground.commit("DELETE FROM sale");
    ground.expect("SELECT count(*) FROM best", &["0"]);
}

/// EC-02: CUBE makes a grouping set of every subset. What Postgres allows is maintained, what it refuses it refuses.
#[test]
fn a_cube_of_many_columns() {
    let mut ground = Ground::new(
        "CREATE TABLE wide (a int, b int, c int, d int, e int); INSERT INTO wide SELECT n, n % 2, n % 3, NULL, n % 5 FROM generate_series(1, 9) n",
    );
    ground.stream(
        "cube",
        "SELECT a, b, c, d, e, grouping(a, b, c, d, e), count(*) FROM wide GROUP BY CUBE (a, b, c, d, e)",
    );
    ground.commit("UPDATE wide SET d = a; DELETE FROM wide WHERE a > 7");
    ground.commit("DELETE FROM wide");
    ground.expect("SELECT count(*) FROM cube", &["1"]);
    let thirteen = ["a", "b", "c", "d", "e", "a+1", "b+1", "c+1", "d+1", "e+1", "a+2", "b+2", "c+2"].join(", ");
    let error = ground.app.query(&format!(
        "SELECT pgtrickle.create_stream_table('too_wide', 'SELECT count(*) FROM wide GROUP BY CUBE ({thirteen})')"
    ));
    assert_eq!(error.error.expect("Postgres allows twelve").code, "54011");
}

/// A group leaves by HAVING and comes back, by its count, its sum and its own disappearance.
#[test]
fn groups_cross_the_threshold_of_having() {
    let mut ground = Ground::new(SALES);
    ground.stream(
        "busy",
        "SELECT shop, count(*) AS n FROM sale GROUP BY shop HAVING count(*) >= 15 AND sum(amount) < 600",
    );
    ground.commit("DELETE FROM sale WHERE id = 1");
    ground.commit("INSERT INTO sale VALUES (70, 'b', 1, 1, '2026-01-01')");
    ground.commit("UPDATE sale SET amount = amount + 300 WHERE id = 3");
    ground.commit("UPDATE sale SET shop = 'a'");
    ground.commit("UPDATE sale SET shop = NULL, amount = 1");
    ground.expect("SELECT n FROM busy", &["60"]);
}

/// The row that holds the extreme goes, time and again, among equal ones and down to none.
#[test]
fn an_extreme_goes_and_the_next_one_shows() {
    let mut ground = Ground::new(SALES);
    ground.stream(
        "extremes",
        "SELECT shop, min(amount) AS least, max(at) AS last, max(product) AS most FROM sale GROUP BY shop",
    );
    for _ in 0..6 {
        ground.commit(
            "DELETE FROM sale s USING extremes e WHERE s.shop = e.shop AND (s.amount = e.least OR s.at = e.last)",
        );
    }
    ground.commit("DELETE FROM sale WHERE shop IS NULL OR shop = 'a'");
    ground.commit("INSERT INTO sale VALUES (500, 'a', NULL, NULL, NULL)");
    ground.expect("SELECT least IS NULL AND last IS NULL AND most IS NULL FROM extremes WHERE shop = 'a'", &["t"]);
}

/// The order within a list is the one asked for, whatever the order of the changes.
#[test]
fn a_list_keeps_its_order() {
    let mut ground = Ground::new(
        "CREATE TABLE word (k int, n int, w text COLLATE \"C\"); INSERT INTO word SELECT n % 2, n, chr(97 + (n * 7) % 26) FROM generate_series(1, 30) n",
    );
    ground.stream("lists", "SELECT k, string_agg(w, ',' ORDER BY w DESC, n) AS words, array_agg(n ORDER BY n) AS numbers FROM word GROUP BY k");
    ground.commit("INSERT INTO word VALUES (0, 0, 'zz'), (1, 0, ''), (0, 99, NULL)");
    ground.commit("UPDATE word SET w = 'm' WHERE n % 3 = 0; DELETE FROM word WHERE n IN (1, 30)");
    ground.commit("UPDATE word SET k = 1");
    ground.commit("DELETE FROM word");
}

/// A row moves to another group, to a new one, to NULL and back.
#[test]
fn a_row_changes_its_group() {
    let mut ground = Ground::new(SALES);
    ground
        .stream("groups", "SELECT shop, product, count(*) AS n, sum(amount) AS total FROM sale GROUP BY shop, product");
    ground.commit("UPDATE sale SET shop = 'b' WHERE id = 4");
    ground.commit("UPDATE sale SET shop = 'new', product = NULL WHERE id % 7 = 0");
    ground.commit("UPDATE sale SET shop = NULL WHERE shop = 'new'");
    ground.commit("UPDATE sale SET product = 1 - product");
    ground.expect("SELECT sum(n) FROM groups", &["60"]);
}

/// 3.3: NULL is a group of its own, a group goes with its last row, and an aggregate over nothing is one row.
#[test]
fn null_groups_and_no_rows() {
    let mut ground = Ground::new("CREATE TABLE t (k int, v int)");
    ground.stream("groups", "SELECT k, count(*) AS n, sum(v) AS total, avg(v) AS mean FROM t GROUP BY k");
    ground.stream(
        "whole",
        "SELECT count(*) AS n, sum(v) AS total, max(v) AS most, bool_and(v > 0) AS all_positive FROM t",
    );
    ground.expect("SELECT n, total IS NULL FROM whole", &["0|t"]);
    ground.commit("INSERT INTO t VALUES (NULL, 1), (NULL, NULL), (1, NULL)");
    ground.expect("SELECT k IS NULL, n, total FROM groups WHERE k IS NULL", &["t|2|1"]);
    ground.commit("UPDATE t SET k = 1 WHERE v = 1");
    ground.commit("DELETE FROM t");
    ground.expect("SELECT (SELECT count(*) FROM groups), n FROM whole", &["0|0"]);
}

/// 3.3: types and display scales of sums, averages, quotients and rounded values.
#[test]
fn types_and_scales_of_results() {
    let mut ground = Ground::new(SALES);
    ground.stream(
        "scales",
        "SELECT shop, count(*) AS n, sum(product) AS ints, sum(product::bigint) AS bigs, avg(product) AS mean, \
         round(avg(amount), 2) AS rounded, round(sum(amount) / nullif(sum(product), 0), 4) AS quotient, \
         sum(amount) / 3 AS third, 100.0 * count(*) / 7 AS percent FROM sale GROUP BY shop",
    );
    ground.expect(
        "SELECT DISTINCT pg_typeof(n), pg_typeof(ints), pg_typeof(bigs), pg_typeof(mean) FROM scales",
        &["bigint|bigint|numeric|numeric"],
    );
    ground.commit("UPDATE sale SET amount = 0.1 WHERE id % 3 = 0");
    ground.commit("UPDATE sale SET amount = 100000, product = 0 WHERE shop = 'a'");
    ground.commit("DELETE FROM sale WHERE id % 2 = 0");
}

/// #1011, 0.77: sums of CASE with IN (TPC-H 12) do not drift.
#[test]
fn sums_of_case_do_not_drift() {
    let mut ground = Ground::new(SALES);
    ground.stream(
        "high_and_low",
        "SELECT at, sum(CASE WHEN shop IN ('a', 'b') THEN 1 ELSE 0 END) AS high, \
         sum(CASE WHEN shop <> 'a' AND shop <> 'b' THEN amount ELSE 0 END) AS low, \
         sum(CASE WHEN product = 1 THEN amount END) AS ones FROM sale GROUP BY at",
    );
    for turn in 0..8 {
        ground.commit(&format!(
            "UPDATE sale SET shop = CASE shop WHEN 'a' THEN 'c' WHEN 'c' THEN NULL ELSE 'a' END WHERE (id + {turn}) % 3 = 0; \
             UPDATE sale SET product = {turn} % 2 WHERE id % 4 = {turn} % 4; DELETE FROM sale WHERE id = {turn} + 1"
        ));
    }
}

/// 3.3: ties have one rank, and the next rank is behind all of them.
#[test]
fn ranks_of_ties() {
    let mut ground = Ground::new(
        "CREATE TABLE score (player int PRIMARY KEY, team int, points int); INSERT INTO score SELECT n, n % 3, n / 4 FROM generate_series(1, 40) n",
    );
    ground.stream(
        "ranks",
        "SELECT player, rank() OVER (ORDER BY points DESC), dense_rank() OVER (ORDER BY points DESC), \
         rank() OVER (PARTITION BY team ORDER BY points) AS of_team FROM score",
    );
    ground.commit("UPDATE score SET points = 10 WHERE player IN (1, 2, 39)");
    ground.commit("DELETE FROM score WHERE points = 10");
    ground.commit("UPDATE score SET points = NULL WHERE player % 9 = 0; UPDATE score SET team = 1");
}

/// 3.3: order by a collation is Postgres'; instants show in the zone of the session.
#[test]
fn order_by_collation_and_instants_in_the_sessions_zone() {
    let mut ground = Ground::new(
        "CREATE TABLE event (name text COLLATE \"C\", at timestamptz); \
         INSERT INTO event VALUES ('b', '2026-03-29 00:30+00'), ('B', '2026-03-29 01:30+00'), ('ä', '1900-01-01 00:00+00'), ('a', NULL)",
    );
    ground.stream("events", "SELECT name, at FROM event WHERE name <> ''");
    ground.stream("days", "SELECT name, at::date AS day FROM event WHERE name <> ''");
    ground.commit("INSERT INTO event VALUES ('Z', '2026-10-25 00:59:59.999999+00'), ('z', 'infinity')");
    for zone in ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"] {
        ground.app.execute(&format!("SET TimeZone = '{zone}'"));
        ground.direct.execute(&format!("SET TimeZone = '{zone}'"));
        ground.read_anyhow("SELECT * FROM days");
        ground.read("SELECT name, at FROM events ORDER BY name", Order::Exact);
    }
}
