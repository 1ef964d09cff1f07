//! Plans give Postgres' answers: fixed queries over tables with NULLs, duplicates and unmatched rows, and random ones.

use crate::rig::Rig;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub const SCHEMA: &str = "
    CREATE TABLE a (id int PRIMARY KEY, k int, n numeric(8,2), s text, f bool);
    CREATE TABLE b (id bigint PRIMARY KEY, a_id int, v int, s varchar(5));
    CREATE TABLE c (k int, w bigint);
    INSERT INTO a SELECT i, nullif(i % 5, 0), nullif(i % 7, 0) * 1.25, nullif('s' || i % 4, 's3'), nullif(i % 3, 0) = 1
        FROM generate_series(1, 24) i;
    INSERT INTO b SELECT i, nullif(i % 30, 0), nullif(i % 6, 0) - 2, 's' || i % 4 FROM generate_series(1, 40) i;
    INSERT INTO c SELECT nullif(i % 6, 0), i % 4 FROM generate_series(1, 15) i;
    CREATE VIEW sums AS SELECT a_id, count(*) AS n, sum(v) AS total FROM b GROUP BY a_id;";

const QUERIES: &[&str] = &[
    "SELECT a.id, b.id AS bid FROM a LEFT JOIN b ON b.a_id = a.id AND b.v > 0 WHERE a.k = 2",
    "SELECT a.id, b.id AS bid FROM a RIGHT JOIN b ON b.a_id = a.id WHERE b.v > 0",
    "SELECT a.id, b.id AS bid FROM a FULL JOIN b ON b.a_id = a.id WHERE coalesce(a.k, 1) = 1",
    "SELECT a.id, b.id AS bid FROM a FULL JOIN b ON b.a_id = a.id WHERE a.k > 1",
    "SELECT k, a.n, c.w FROM a FULL JOIN c USING (k)",
    "SELECT k, count(*) AS n FROM a LEFT JOIN c USING (k) GROUP BY k",
    "SELECT a.id, a.s, count(b.id) AS n, count(*) AS m, sum(b.v) AS t, min(b.v) AS lo, bool_or(b.v > 1) AS o
     FROM a LEFT JOIN b ON b.a_id = a.id GROUP BY a.id, a.s",
    "SELECT a.id, count(DISTINCT b.v) AS n, count(*) FILTER (WHERE b.v > 0) AS p, sum(coalesce(b.v, 9)) AS t
     FROM a LEFT JOIN b ON b.a_id = a.id GROUP BY a.id",
    "SELECT a.id, avg(b.v) AS m FROM b JOIN a ON a.id = b.a_id GROUP BY a.id HAVING count(*) > 1",
    "SELECT a.s, sum(a.n) AS t, max(c.w) AS w FROM a, c, b WHERE a.k = c.k AND b.a_id = a.id GROUP BY a.s",
    "SELECT DISTINCT k, f FROM a",
    "SELECT k FROM a UNION SELECT v FROM b",
    "SELECT k, s FROM a UNION ALL SELECT v, s FROM b",
    "SELECT id FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.a_id = a.id AND b.v < a.k)",
    "SELECT id FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.a_id = a.id)",
    "SELECT id FROM a WHERE k IN (SELECT k FROM c WHERE w > 1)",
    "SELECT id FROM a WHERE (k, id) IN (SELECT v, a_id FROM b)",
    "SELECT id FROM a WHERE id IN (SELECT v FROM b WHERE b.a_id = a.k)",
    "SELECT id, n - (SELECT avg(n) FROM a) AS d FROM a",
    "SELECT k, sum(n) / (SELECT sum(n) FROM a) AS part FROM a GROUP BY k",
    "SELECT id, row_number() OVER (PARTITION BY k ORDER BY n DESC NULLS LAST, id) AS r FROM a",
    "SELECT k, rank() OVER (ORDER BY sum(n)) AS r, dense_rank() OVER (ORDER BY count(*) DESC) AS d FROM a GROUP BY k",
    "SELECT * FROM (SELECT id, k FROM a ORDER BY n DESC NULLS LAST, id LIMIT 5) x WHERE k > 1",
    "SELECT total, n FROM sums WHERE a_id BETWEEN 3 AND 9",
    "SELECT x.a_id, y.n FROM sums x JOIN sums y ON x.a_id = y.a_id + 1",
    "SELECT id FROM a WHERE f IS NOT TRUE AND k IS DISTINCT FROM 2",
    "SELECT CASE k WHEN 1 THEN 'x' WHEN 2 THEN s ELSE 'z' END AS c, greatest(k, id) AS g, least(n, 3) AS l FROM a",
    "SELECT id::text || '/' || coalesce(s, '-') AS t, n::int AS i, (n * 1.5)::numeric(6,1) AS q FROM a",
    "SELECT s || k || f AS t, concat(s, '-', k, n) AS c, upper(s) AS u, id || s AS v FROM a",
    "SELECT id FROM b WHERE s = ANY ('{s1,s2}') AND v <> ALL (ARRAY[1, 2])",
    "SELECT id FROM a WHERE k NOT IN (1, 2) OR s LIKE 's%1'",
    "WITH x AS (SELECT k, count(*) AS n FROM a GROUP BY k), y AS (SELECT * FROM x WHERE n > 4) SELECT x.k, y.n FROM x LEFT JOIN y ON x.k = y.k",
    "SELECT count(*) AS n, sum(v) AS s, avg(v) AS a, max(s) AS m FROM b WHERE false",
    "SELECT a.k, count(*) AS n FROM a JOIN b ON a.id = b.a_id AND a.k + b.v = 3 GROUP BY a.k",
    "SELECT a.id FROM a JOIN (b JOIN c ON b.v = c.k) ON a.id = b.a_id AND a.k = c.w + b.v",
    "SELECT id FROM a WHERE k <> 0 AND id / k > 3",
    "SELECT id, lag(n) OVER w AS a, lead(s, 2, 'none') OVER w AS b, first_value(k) OVER w AS c, last_value(k) OVER w AS d,
            nth_value(id, 3) OVER w AS e, ntile(4) OVER w AS f, percent_rank() OVER w AS g, cume_dist() OVER w AS h
     FROM a WINDOW w AS (PARTITION BY k ORDER BY id)",
    "SELECT id, sum(n) OVER (ORDER BY id ROWS 2 PRECEDING) AS a, avg(n) OVER (PARTITION BY f ORDER BY id) AS b,
            count(k) FILTER (WHERE f) OVER (ORDER BY k GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE TIES) AS c,
            max(n) OVER (ORDER BY k DESC NULLS LAST RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE GROUP) AS d,
            min(id) OVER (ORDER BY id ROWS BETWEEN 3 FOLLOWING AND UNBOUNDED FOLLOWING) AS e,
            sum(id) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND 1 PRECEDING EXCLUDE CURRENT ROW) AS g FROM a",
    "SELECT id, count(*) OVER (ORDER BY timestamp '2024-01-01' + id * interval '5 hours' RANGE '10 hours' PRECEDING) AS a,
            count(*) OVER (ORDER BY date '2024-01-01' + k RANGE BETWEEN '1 day' PRECEDING AND '1 day' FOLLOWING) AS b,
            sum(id) OVER (ORDER BY n RANGE BETWEEN 1.25 FOLLOWING AND 3 FOLLOWING) AS c FROM a",
    "SELECT k, sum(count(*)) OVER (ORDER BY k) AS running FROM a GROUP BY k",
    "SELECT k, string_agg(s, '/' ORDER BY id DESC) AS l, string_agg(DISTINCT s, ', ') AS d, bit_and(id) AS a, bit_or(id) AS o,
            bit_xor(id::int8) AS x, string_agg(s, id::text ORDER BY id) FILTER (WHERE id > 9) AS f FROM a GROUP BY k",
    "SELECT k, array_agg(n ORDER BY n DESC NULLS LAST, id) AS l, array_agg(DISTINCT s) AS d, array_agg(f ORDER BY id DESC) AS f,
            array_agg(DISTINCT id ORDER BY id DESC) AS i, array_agg(n ORDER BY id) FILTER (WHERE id > 99) AS e FROM a GROUP BY k",
    "SELECT a.id, array_agg(b.v ORDER BY b.id) AS v, string_agg('x', b.s ORDER BY b.id) AS s, bit_or(b.v::int2) AS o,
            every(b.v > 0) AS e FROM a LEFT JOIN b ON b.a_id = a.id GROUP BY a.id",
    "SELECT k, var_pop(n) AS a, variance(n) AS b, stddev(n) AS c, stddev_pop(n) AS d, var_samp(id) AS e, stddev(k::int2) AS f,
            stddev_samp(DISTINCT id * 10000000000) AS g, var_pop(1 / (id + 0.25)) AS h, variance(n) FILTER (WHERE id = 3) AS i
     FROM a GROUP BY ROLLUP (k)",
    "SELECT id, stddev(n) OVER (ORDER BY id ROWS 3 PRECEDING) AS a, var_pop(k) OVER (PARTITION BY f) AS b FROM a",
    "SELECT count(*) AS n, max(k) AS m, array_agg(id ORDER BY id) AS l FROM a WHERE k = (SELECT max(w) + 90 FROM c)",
    "SELECT k, json_agg(n ORDER BY id) AS a, jsonb_agg(s ORDER BY id DESC) AS b, json_agg(DISTINCT f) AS c FROM a GROUP BY k",
    "SELECT json_agg(l ORDER BY k) AS a, jsonb_agg(m ORDER BY k DESC) AS b, json_agg(m ORDER BY k) AS c
     FROM (SELECT k, array_agg(id ORDER BY id) AS l, array_agg(s || '\"\\' ORDER BY id) FILTER (WHERE k > 1) AS m
           FROM a GROUP BY k) x",
    "SELECT k, json_object_agg(id, s ORDER BY id) AS a, jsonb_object_agg(id * 3, n) AS b, jsonb_object_agg(id % 3, s ORDER BY id) AS c,
            json_object_agg(f, id ORDER BY id) FILTER (WHERE f IS NOT NULL) AS d FROM a GROUP BY k",
    "SELECT jsonb_agg(d ORDER BY d) AS a, json_agg(t ORDER BY d) AS b, json_agg(t AT TIME ZONE 'UTC' ORDER BY d) AS c,
            jsonb_agg(f ORDER BY d) AS d, json_agg(f ORDER BY d) AS e, json_agg(i ORDER BY d) AS f, json_agg(b ORDER BY d) AS g,
            json_object_agg(t, d::text ORDER BY d) AS h, jsonb_object_agg(f, i) AS i
     FROM (SELECT date '2024-02-29' + id AS d, timestamp '2024-01-01 10:00:00.25' + id * interval '1 hour' AS t,
                  id::float8 * 1e20 + 0.1 AS f, id * interval '26 hours' AS i, '\\x00ff'::bytea AS b FROM a) x",
    "SELECT k, mode() WITHIN GROUP (ORDER BY n) AS a, mode() WITHIN GROUP (ORDER BY s DESC) AS b,
            percentile_disc(0.5) WITHIN GROUP (ORDER BY n) AS c, percentile_disc(0.9) WITHIN GROUP (ORDER BY s DESC) AS d,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY id) AS e, percentile_cont(0.25) WITHIN GROUP (ORDER BY n DESC) AS f,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY id * interval '7 hours') AS g,
            percentile_disc(0) WITHIN GROUP (ORDER BY id) FILTER (WHERE id > 90) AS h,
            percentile_cont(NULL) WITHIN GROUP (ORDER BY id) AS i FROM a GROUP BY k",
    "SELECT k, string_agg(CASE WHEN id > 9 THEN '\\x01'::bytea ELSE '\\xff' END, '\\x2f00' ORDER BY id) AS b, regr_count(n::float8, k::float8) AS r FROM a GROUP BY k",
    "SELECT id, p, o FROM a, regexp_split_to_table(s || ',' || k || ',', '(,|s)+') WITH ORDINALITY AS x (p, o)",
    "SELECT b.id, p FROM b LEFT JOIN LATERAL string_to_table(b.s, nullif('s', b.s), 's2') p ON p <> ''",
    "SELECT id, string_to_table(s, '') AS p, regexp_split_to_table(s, '1', 'i') AS q FROM a",
    "SELECT k, regexp_match(s, '(s)(\\d)?') AS m, substring(s from '.*?(\\d)') AS d, regexp_replace(s, '(.)(.)', '\\2\\1', 'g') AS r FROM a",
    "SELECT k, sum(id ORDER BY n) AS s, max(s ORDER BY id DESC) AS m FROM a GROUP BY k",
    "SELECT id, (SELECT array_agg(v ORDER BY b.id) FROM b WHERE a_id = a.id) AS l FROM a",
    "SELECT k, v FROM (SELECT k, k + 1 AS v FROM a) x INTERSECT SELECT v, k FROM b, c",
    "SELECT k FROM a INTERSECT ALL SELECT v FROM b",
    "SELECT k FROM a EXCEPT SELECT k FROM c WHERE w > 2",
    "SELECT k FROM a EXCEPT ALL SELECT v FROM b",
    "SELECT id FROM b EXCEPT ALL SELECT id FROM a UNION ALL SELECT v FROM b INTERSECT SELECT k FROM c",
    "SELECT DISTINCT ON (k) k, n, id FROM a ORDER BY k, n DESC NULLS LAST, id",
    "SELECT k, f, count(*) AS n, sum(n) AS t, grouping(k, f) AS g FROM a GROUP BY ROLLUP (k, f)",
    "SELECT k, f, count(*) AS n, grouping(f) AS g FROM a GROUP BY CUBE (k, f) HAVING count(*) > 1",
    "SELECT k, f, s, max(id) AS m FROM a GROUP BY s, GROUPING SETS ((k), (f), ())",
    "SELECT count(*) AS n, k FROM a WHERE id < 0 GROUP BY GROUPING SETS ((k), ())",
    "SELECT id FROM a WHERE k NOT IN (SELECT v FROM b WHERE v IS NOT NULL)",
    "SELECT id FROM a WHERE k NOT IN (SELECT v FROM b)",
    "SELECT id FROM a WHERE k NOT IN (SELECT v FROM b WHERE id < 0)",
    "SELECT id FROM a WHERE (k, id) NOT IN (SELECT v, a_id FROM b WHERE a_id < 9)",
    "SELECT id FROM a WHERE k NOT IN (SELECT v FROM b WHERE b.a_id = a.id)",
    "SELECT id FROM a WHERE id > ALL (SELECT w FROM c WHERE w IS NOT NULL) AND k < ANY (SELECT w FROM c)",
    "SELECT id FROM a WHERE NOT id > ALL (SELECT v FROM b WHERE b.a_id = a.k) AND NOT (k < ANY (SELECT w FROM c WHERE c.k = a.id))",
    "SELECT id, (SELECT count(*) FROM b WHERE b.a_id = a.id) AS n, (SELECT max(v) FROM b WHERE b.a_id = a.k AND v < 3) AS m FROM a",
    "SELECT id, (SELECT coalesce(sum(v), 0) + count(*) FROM b WHERE b.a_id = a.id) AS n, (SELECT id FROM b WHERE b.id = a.id) AS b FROM a",
    "SELECT id FROM a WHERE n > (SELECT avg(x.n) FROM a x WHERE x.k = a.k)",
    "SELECT id, (SELECT w FROM c WHERE k = 99) AS none, (SELECT id FROM a x WHERE x.id = 3) AS three FROM a",
    "SELECT date '2024-02-29' + id AS d, timestamp '2024-01-01 10:00' AS t, interval '1 day 2 hours' AS i, 1.50 AS q FROM a",
];

async fn check(rig: &mut Rig, sql: &str) -> Result<(), String> {
    let planned = rig.plan(sql).await.map_err(|error| format!("{sql}\n{error}"))?;
    let text = rig.text(&planned.plan);
    let mut memory = rig.evaluate(&planned.plan).await.map_err(|error| format!("{sql}\n{error}\n{text}"))?;
    let mut postgres = match rig.ask_postgres("SELECT * FROM planned", planned.columns.len()).await {
        Ok(rows) => rows,
        Err(error) => return Err(format!("{sql}\n{error:?}")),
    };
    memory.sort();
    postgres.sort();
    if memory == postgres { Ok(()) } else { Err(format!("{sql}\n{text}memory {memory:?}\npostgres {postgres:?}")) }
}

#[tokio::test(flavor = "multi_thread")]
async fn fixed_queries() {
    let mut rig = Rig::start(SCHEMA).await;
    let mut wrong = Vec::new();
    for sql in QUERIES.iter().chain(crate::lateral::QUERIES) {
        wrong.extend(check(&mut rig, sql).await.err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Random queries: joins of all kinds, nested, with conditions in ON and WHERE, grouped or not.
#[tokio::test(flavor = "multi_thread")]
async fn random_queries() {
    let mut rig = Rig::start(SCHEMA).await;
    let seed: u64 = std::env::var("WEIR_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("WEIR_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    for _ in 0..300 {
        let sql = random_query(&mut rng);
        if let Err(wrong) = check(&mut rig, &sql).await {
            panic!("WEIR_SEED={seed}\n{wrong}");
        }
    }
}

/// Integer columns of each table.
const TABLES: [(&str, [&str; 2]); 3] = [("a", ["id", "k"]), ("b", ["a_id", "v"]), ("c", ["k", "w"])];

fn column(rng: &mut StdRng, aliases: &[(String, usize)]) -> String {
    let (alias, table) = &aliases[rng.random_range(0..aliases.len())];
    format!("{alias}.{}", TABLES[*table].1[rng.random_range(0..2)])
}

fn condition(rng: &mut StdRng, aliases: &[(String, usize)]) -> String {
    let (x, y) = (column(rng, aliases), column(rng, aliases));
    match rng.random_range(0..8) {
        0..3 => format!("{x} = {y}"),
        3 => format!("{x} < {}", rng.random_range(0..6)),
        4 => format!("{x} IS NULL"),
        5 => format!("{x} IN ({}, {})", rng.random_range(0..4), rng.random_range(0..9)),
        6 => format!("({x} > {y} OR {x} = 2)"),
        _ => format!("{x} IS DISTINCT FROM {y}"),
    }
}

fn random_query(rng: &mut StdRng) -> String {
    let mut aliases: Vec<(String, usize)> = vec![];
    let mut from = String::new();
    for index in 0..rng.random_range(1..4) {
        let table = rng.random_range(0..TABLES.len());
        let alias = format!("t{index}");
        let item = format!("{} {alias}", TABLES[table].0);
        let before = aliases.clone();
        aliases.push((alias.clone(), table));
        if index == 0 {
            from = item;
            continue;
        }
        // At least one equality with what is there, so that results stay small.
        let mut on = format!("{alias}.{} = {}", TABLES[table].1[rng.random_range(0..2)], column(rng, &before));
        if rng.random_bool(0.4) {
            on = format!("{on} AND {}", condition(rng, &aliases));
        }
        let kind = ["JOIN", "LEFT JOIN", "RIGHT JOIN", "JOIN", "LEFT JOIN"][rng.random_range(0..5)];
        from = format!("{from} {kind} {item} ON {on}");
    }
    let mut sql = format!("FROM {from}");
    if rng.random_bool(0.6) {
        let conditions: Vec<String> = (0..rng.random_range(1..3)).map(|_| condition(rng, &aliases)).collect();
        sql = format!("{sql} WHERE {}", conditions.join(" AND "));
    }
    let (x, y) = (column(rng, &aliases), column(rng, &aliases));
    match rng.random_range(0..4) {
        0 => format!("SELECT {x} AS x, {y} AS y, {x} + coalesce({y}, 1) AS z {sql}"),
        1 => format!("SELECT DISTINCT {x} AS x, {y} AS y {sql}"),
        2 => {
            // Often the key of the first table, so that aggregation before the join is tried.
            let key = format!("t0.{}", if aliases[0].1 == 0 { "id" } else { TABLES[aliases[0].1].1[0] });
            format!(
                "SELECT {key} AS key, count(*) AS n, count({y}) AS m, sum({x}) AS s, max({y}) AS hi {sql} GROUP BY {key}"
            )
        }
        _ => format!("SELECT {x} AS x, count(DISTINCT {y}) AS n, avg({y}) AS a {sql} GROUP BY {x} HAVING count(*) > 1"),
    }
}
