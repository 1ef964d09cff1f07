//! Where among conditions, joins, windows, WITH queries and limits an expression fails decides whether Postgres evaluates it. One row
//! of thousands fails in all of these, which most of them drop: each, as a stream table and as a read, answers or raises as Postgres does.

use std::time::{Duration, Instant};
use weir_tests::oracle::{Order, compare};
use weir_tests::postgres::TestServer;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// Over `plain (id, b, t)`, of which row 2500 gets `b = 0`, and `others (id, x)`, which has the first ids.
const QUERIES: [&str; 158] = [
    "SELECT count(*) FROM plain WHERE id < 10 AND 10 / b > 0",
    "SELECT max(10 / b) FILTER (WHERE id < 10) FROM plain",
    "SELECT o.id, (SELECT max(10 / p.b) FROM plain p WHERE p.id = o.id) FROM others o",
    "SELECT o.id FROM others o WHERE (SELECT count(*) FROM plain p WHERE p.id = o.id AND 10 / p.b >= 0) > 0",
    "SELECT o.id, q.k FROM others o CROSS JOIN LATERAL (SELECT 10 / p.b AS k FROM plain p WHERE p.id = o.id ORDER BY p.b LIMIT 1) q",
    "SELECT * FROM (SELECT id, 10 / b AS k FROM plain) s WHERE id < 5 ORDER BY k, id LIMIT 1",
    "SELECT * FROM (SELECT id, 10 / b AS k FROM plain) s WHERE k > 3 AND id < 5",
    "SELECT id FROM plain ORDER BY 10 / b, id LIMIT 1",
    "SELECT id FROM plain WHERE id < 5 ORDER BY 10 / b, id LIMIT 1",
    "SELECT (ARRAY_AGG(10 / b ORDER BY id))[1] FROM plain",
    "SELECT first_value(10 / b) OVER (ORDER BY id), id FROM plain ORDER BY id LIMIT 1",
    "SELECT id FROM plain p WHERE NOT (10 / b < 0) AND id = 3",
    "SELECT id, CASE WHEN id = 2500 THEN 0 ELSE 10 / b END FROM plain ORDER BY id LIMIT 1",
    "SELECT p.id FROM plain p LEFT JOIN others o ON o.id = p.id WHERE 10 / p.b > 0 AND o.id = 3",
    "SELECT p.id, o.x FROM others o RIGHT JOIN plain p ON o.id = p.id AND 10 / p.b >= 0",
    "SELECT id FROM plain WHERE id IN (SELECT id FROM others) AND 10 / b > 0",
    "SELECT id FROM plain WHERE EXISTS (SELECT FROM others WHERE others.id = plain.id) OR 10 / b > 100",
    "SELECT t, count(*) FROM plain GROUP BY t HAVING max(10 / b) > 0 AND t = 't1'",
    "SELECT * FROM (SELECT DISTINCT id, 10 / b AS k FROM plain) s WHERE id = 4",
    "SELECT id FROM plain WHERE b > 0 AND 10 / b > 1 AND id = 7",
    "WITH c AS MATERIALIZED (SELECT id, 10 / b AS k FROM plain) SELECT * FROM c WHERE id = 3",
    "WITH c AS (SELECT id, 10 / b AS k FROM plain) SELECT a.k FROM c a JOIN c b ON a.id = b.id WHERE a.id = 3",
    "WITH c AS (SELECT id, 10 / b AS k FROM plain) SELECT c.k FROM c WHERE id = 3",
    "WITH c AS (SELECT id, 10 / b AS k FROM plain WHERE id < 100) SELECT a.k FROM c a JOIN c b ON a.id = b.id WHERE a.id = 3",
    "SELECT v.x FROM (VALUES (1),(2)) v(x) JOIN plain p ON p.id = v.x AND 10 / p.b > 0",
    "SELECT s.k FROM (SELECT id, 10 / b AS k FROM plain OFFSET 0) s JOIN others o ON o.id = s.id",
    "SELECT count(k) FROM (SELECT id, 10 / b AS k FROM plain OFFSET 0) s WHERE id < 3",
    "SELECT * FROM (SELECT id, 10 / b AS k FROM plain UNION ALL SELECT id, 1 FROM others) u WHERE id = 3",
    "SELECT k FROM (SELECT id, 10 / b AS k FROM plain UNION SELECT id, 1 FROM others) u WHERE id = 3",
    "SELECT o.id FROM others o JOIN (SELECT id, 1 AS k FROM others UNION ALL SELECT id, 10 / b FROM plain) u ON u.id = o.id",
    "SELECT o.id FROM others o JOIN (SELECT id::bigint AS id, 1 AS k FROM others UNION ALL SELECT id, 10 / b FROM plain) u ON u.id = o.id",
    "SELECT o.id FROM others o JOIN (WITH w AS (SELECT 1 AS k) SELECT id, k FROM others, w UNION ALL SELECT id, 10 / b FROM plain) u ON u.id = o.id",
    "SELECT k FROM (SELECT id, 1::bigint AS k FROM others UNION ALL SELECT id, 10 / b FROM plain) u WHERE id = 3",
    "SELECT p.id FROM plain p JOIN others o ON o.id = p.id AND o.x = 10 / p.b",
    "SELECT p.id FROM plain p JOIN others o ON o.id = p.id WHERE 10 / (p.b - o.x + 1) > 1",
    "SELECT p.id, 10 / p.b AS k FROM plain p WHERE p.id = ANY (ARRAY[1,2,3])",
    "SELECT t, min(id) FROM plain WHERE t < 't2' GROUP BY t HAVING sum(10 / b) >= 0",
    "SELECT o.id FROM others o WHERE o.id > ALL (SELECT 10 / p.b FROM plain p WHERE p.id < o.x)",
    "SELECT o.id FROM others o WHERE o.id NOT IN (SELECT 10 / p.b FROM plain p WHERE p.id > 5)",
    "SELECT rank() OVER (PARTITION BY t ORDER BY 10 / b), id FROM plain",
    "SELECT id FROM (SELECT id, t, rank() OVER (PARTITION BY t ORDER BY 10 / b) AS r FROM plain) s WHERE t = 't1'",
    "SELECT id, r FROM (SELECT id, t, 10 / b AS k, rank() OVER (PARTITION BY t ORDER BY id) AS r FROM plain) s WHERE t = 't1'",
    "SELECT id, k FROM (SELECT id, t, 10 / b AS k, rank() OVER (PARTITION BY t ORDER BY id) AS r FROM plain) s WHERE t = 't1'",
    "SELECT DISTINCT ON (t) t, id FROM plain WHERE 10 / b >= 0 ORDER BY t, id",
    "SELECT DISTINCT ON (t) t, id FROM (SELECT t, id, 10 / b AS k FROM plain) s ORDER BY t, k, id",
    "SELECT x FROM (SELECT o.x, 10 / p.b AS k FROM others o LEFT JOIN plain p ON p.id = o.id) s WHERE k > 1",
    "SELECT s.x, s.k FROM (SELECT o.x, p.id, coalesce(10 / p.b, 0) AS k FROM others o LEFT JOIN plain p ON p.id = o.id) s",
    "SELECT o.x, s.k FROM others o LEFT JOIN (SELECT id, coalesce(10 / b, 0) AS k FROM plain) s ON s.id = o.id",
    "SELECT o.x, s.k FROM others o LEFT JOIN (SELECT id, 10 / b AS k FROM plain) s ON s.id = o.id",
    "SELECT o.x, s.k FROM others o LEFT JOIN (SELECT id, 10 / b AS k FROM plain) s ON s.id = o.id AND s.k > 2",
    "SELECT grouping(t), count(*) FROM plain WHERE id < 30 GROUP BY ROLLUP (t, (10 / b))",
    "SELECT o.id FROM others o, LATERAL (SELECT p.id FROM plain p WHERE p.id = o.id AND 10 / p.b > 0) q",
    "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY 10 / b) FROM plain WHERE id < 10",
    "SELECT string_agg(t, ',' ORDER BY id) FILTER (WHERE 10 / b > 3) FROM plain",
    "SELECT count(*) FROM plain WHERE 10 / b > 0 OR id > 0",
    "SELECT count(*) FROM plain WHERE id > 0 OR 10 / b > 0",
    "SELECT count(DISTINCT 10 / b) FROM plain WHERE id <> 2500",
    "SELECT count(*) FROM plain WHERE (10 / nullif(b, 0)) > 0",
    "SELECT id FROM plain WHERE t LIKE 't7%' AND 10 / b >= 0",
    "SELECT id FROM plain WHERE upper(t) = 'T7' AND 10 / b >= 0",
    "SELECT id FROM plain WHERE 10 / b >= 0 AND upper(t) = 'T7'",
    "SELECT id FROM plain WHERE length(t) + 1 = 3 AND 10 / b >= 0",
    "SELECT id FROM plain WHERE id::text = '7' AND 10 / b >= 0",
    "SELECT id FROM plain WHERE id BETWEEN 3 AND 5 AND 10 / b >= 0",
    "SELECT id FROM plain WHERE id IN (3,4,5) AND 10 / b >= 0",
    "SELECT id FROM plain WHERE id IN (3,4,5,6,7,8,9,10,11,12) AND 10 / b >= 0",
    "SELECT id FROM plain WHERE greatest(id, 5) = 5 AND 10 / b >= 0",
    "SELECT id FROM plain WHERE (id = 3 OR id = 4 OR id = 5) AND 10 / b >= 0",
    "SELECT id FROM plain WHERE coalesce(id, 1) = 3 AND 10 / b >= 0",
    "SELECT id FROM plain WHERE t = 't1' AND b = 3 AND id < 5 AND 10 / b >= 0",
    "SELECT id FROM plain WHERE lower(t) = 't1' AND 10 / b = 1",
    "SELECT id FROM plain WHERE 10 / b = 1 AND lower(t) = 't1'",
    "SELECT id FROM plain WHERE 10 / b = 1 AND lower(t) < 't1'",
    "SELECT id FROM plain WHERE lower(t) < 't1' AND 10 / b = 1",
    "SELECT id FROM plain WHERE lower(t) LIKE 't1' AND 10 / b = 1",
    "WITH c AS MATERIALIZED (SELECT id, 10 / b AS k FROM plain) SELECT id FROM c WHERE id = 3",
    "WITH c AS NOT MATERIALIZED (SELECT id, 10 / b AS k FROM plain) SELECT a.k FROM c a JOIN c b ON a.id = b.id WHERE a.id = 3",
    "WITH c AS MATERIALIZED (SELECT id, b FROM plain) SELECT 10 / b FROM c WHERE id = 3",
    "WITH c AS MATERIALIZED (SELECT t, sum(10 / b) AS k FROM plain GROUP BY t) SELECT c.k FROM c WHERE t = 't1'",
    "WITH c AS (SELECT id, 10 / b AS k FROM plain) SELECT (SELECT max(k) FROM c WHERE id < 5), (SELECT min(k) FROM c WHERE id < 4)",
    "SELECT o.id FROM others o WHERE EXISTS (WITH c AS MATERIALIZED (SELECT id, 10 / b AS k FROM plain) SELECT FROM c WHERE c.id = o.id)",
    "SELECT id FROM plain ORDER BY 10 / b",
    "SELECT count(*) FROM (SELECT id FROM plain ORDER BY 10 / b) s",
    "SELECT id FROM (SELECT id, b FROM plain ORDER BY 10 / b) s WHERE id = 3",
    "SELECT id FROM (SELECT id, rank() OVER (ORDER BY 10 / b) r FROM plain) s WHERE id = 3",
    "SELECT sum(id ORDER BY 10 / b) FROM plain",
    "SELECT max(id ORDER BY 10 / b) FROM plain",
    "SELECT count(id ORDER BY 10 / b) FROM plain",
    "SELECT count(10 / b) FROM plain",
    "SELECT count(*) FROM plain WHERE 10 / b = 10 / b",
    "SELECT DISTINCT ON (10 / b) id FROM plain ORDER BY 10 / b, id",
    "SELECT id FROM plain ORDER BY id FETCH FIRST 2 ROWS WITH TIES",
    "SELECT id, 10 / b AS k FROM plain ORDER BY id FETCH FIRST 2 ROWS WITH TIES",
    "SELECT id FROM plain WHERE id = 3 GROUP BY id, 10 / b",
    "SELECT p.id, g FROM plain p, generate_series(1, 10 / p.b) g WHERE p.id = 3",
    "SELECT p.id, g FROM plain p, LATERAL generate_series(1, 10 / p.b) g WHERE g = 3",
    "SELECT generate_series(1, 10 / b) AS g, id FROM plain ORDER BY id, g LIMIT 2",
    "SELECT id, unnest(ARRAY[10 / b, 1]) AS g FROM plain WHERE id = 3",
    "SELECT (SELECT 10 / p.b) AS k, id FROM plain p ORDER BY id LIMIT 1",
    "SELECT id FROM plain p WHERE (SELECT 10 / p.b) > 0 AND id = 3",
    "SELECT id FROM plain p WHERE id = 3 AND (SELECT count(*) FROM others o WHERE o.id = 10 / p.b) >= 0",
    "SELECT (SELECT count(*) FROM others o WHERE o.id = 10 / p.b) AS n, p.id FROM plain p ORDER BY p.id LIMIT 1",
    "SELECT n FROM (SELECT (SELECT count(*) FROM others o WHERE o.id = 10 / p.b) AS n, p.id FROM plain p) s WHERE s.id = 3",
    "SELECT id FROM plain GROUP BY id HAVING sum(10 / b) > 0 AND id = 3",
    "SELECT s.id FROM (SELECT id, sum(10 / b) AS k FROM plain GROUP BY id) s WHERE s.id = 3 AND s.k > 0",
    "SELECT s.id FROM (SELECT id, sum(10 / b) AS k FROM plain GROUP BY id) s WHERE s.k > 3 AND s.id < 9",
    "SELECT id FROM plain WHERE b IS NOT NULL AND 10 / b > 1 AND t IS NOT NULL AND id = 3",
    "SELECT a.id FROM plain a JOIN plain c ON a.id = c.id AND 10 / c.b > 1 WHERE a.id = 3",
    "SELECT a.id FROM plain a JOIN plain c ON a.id = c.id WHERE a.id = 3 AND 10 / c.b > 1",
    "SELECT a.id FROM plain a JOIN plain c USING (id) WHERE c.b = 3 AND 10 / a.b > 1",
    "SELECT a.id FROM others a LEFT JOIN plain c ON a.id = c.id WHERE c.b = 3 AND 10 / c.b > 1",
    "SELECT a.id, c.id AS i FROM others a FULL JOIN plain c ON a.id = c.id WHERE 10 / c.b > 1 AND a.id = 3",
    "SELECT id FROM (SELECT id, b FROM plain UNION ALL SELECT id, x FROM others) u WHERE 10 / b > 1 AND id = 3",
    "SELECT id FROM (SELECT id, b FROM plain UNION SELECT id, x FROM others) u WHERE 10 / b > 1 AND id = 3",
    "SELECT id, b FROM plain WHERE id < 9 INTERSECT SELECT id, 10 / b FROM plain",
    "SELECT max(k) FROM (SELECT 10 / b AS k, id FROM plain) s WHERE id < 3",
    "SELECT first_value(10 / b) OVER w AS f, id FROM plain WHERE id < 9 WINDOW w AS (ORDER BY id)",
    "SELECT f FROM (SELECT lag(10 / b) OVER (ORDER BY id) AS f, id FROM plain) s WHERE id = 3",
    "SELECT f FROM (SELECT count(*) OVER (PARTITION BY 10 / b) AS f, id FROM plain) s WHERE id = 3",
    "SELECT count(*) FILTER (WHERE 10 / b > 1) OVER (ORDER BY id) AS f, id FROM plain WHERE id < 4",
    "SELECT f FROM (SELECT count(*) FILTER (WHERE 10 / b > 1) OVER (ORDER BY id) AS f, id FROM plain) s WHERE id = 3",
    "SELECT id FROM plain WHERE CASE WHEN id = 3 THEN 10 / b > 1 ELSE false END",
    "SELECT id FROM plain WHERE id = 3 AND CASE WHEN t = 'x' THEN false ELSE 10 / b > 1 END",
    "SELECT id FROM plain WHERE CASE WHEN t = 'x' THEN false ELSE 10 / b > 1 END AND id IN (3, 4)",
    "SELECT id FROM plain WHERE (10 / b > 1) IS TRUE AND id = 3",
    "SELECT id FROM plain WHERE (10 / b > 1) IS NOT FALSE AND id IN (1, 2, 3, 4, 5, 6, 7)",
    "SELECT o.id FROM others o WHERE EXISTS (SELECT FROM plain p WHERE 10 / p.b = o.x)",
    "SELECT o.id FROM others o WHERE NOT EXISTS (SELECT FROM plain p WHERE 10 / p.b = o.x AND p.id < 50)",
    "SELECT o.id FROM others o WHERE o.x < ANY (SELECT 10 / p.b FROM plain p WHERE p.id = o.id)",
    "SELECT o.id, (SELECT 10 / p.b FROM plain p WHERE p.id = o.id AND p.b > 0) AS k FROM others o",
    "SELECT o.id, (SELECT 10 / p.b FROM plain p WHERE p.id = 4) AS k FROM others o",
    "SELECT o.id FROM others o WHERE o.id = (SELECT max(10 / p.b) FROM plain p WHERE p.id < 5)",
    "SELECT string_agg(t, ',' ORDER BY 10 / b, id) AS s FROM plain WHERE id < 5",
    "SELECT json_agg(10 / b ORDER BY id) AS j FROM plain WHERE id < 5",
    "SELECT t, min(10 / b) AS m FROM plain GROUP BY t ORDER BY t LIMIT 2",
    "SELECT t, count(*) AS n FROM plain GROUP BY t, 10 / b HAVING t = 't5'",
    "SELECT DISTINCT t FROM plain WHERE id < 5 AND 10 / b > 0",
    "SELECT DISTINCT ON (t) t, id, 10 / b AS k FROM plain WHERE id < 1002 ORDER BY t, id",
    "SELECT x FROM (SELECT DISTINCT ON (t) t, id, 10 / b AS x FROM plain ORDER BY t, id) s WHERE t = 't3'",
    "SELECT x FROM (SELECT 10 / b AS x, t FROM plain ORDER BY id LIMIT 3000) s WHERE t = 't3'",
    "SELECT t FROM (SELECT 10 / b AS x, t FROM plain ORDER BY id LIMIT 3000) s WHERE t = 't3'",
    "SELECT p.id FROM plain p NATURAL JOIN (SELECT id, 10 / b AS q FROM plain) s WHERE p.id = 3",
    "SELECT p.id, s.q FROM plain p NATURAL JOIN (SELECT id, 10 / b AS q FROM plain) s WHERE p.id = 3",
    "SELECT p.id FROM plain p JOIN (SELECT id, 10 / b AS q FROM plain) s ON s.q = p.id WHERE p.id = 3",
    "SELECT p.id FROM plain p JOIN (SELECT id, 10 / b AS q FROM plain) s ON s.id = p.id AND s.q > p.b - 100 WHERE p.id = 3",
    "SELECT o.id, s.k FROM others o JOIN (SELECT id, 10 / b AS k FROM plain ORDER BY id) s ON s.id = o.id",
    "SELECT id FROM (SELECT id, 10 / b AS k FROM plain ORDER BY id) s WHERE id = 3",
    "SELECT id, b FROM plain ORDER BY id DESC",
    "SELECT id FROM (SELECT id, lag(10 / b) OVER (ORDER BY id) r FROM plain) s WHERE id = 3",
    "SELECT id FROM (SELECT id, count(*) OVER (PARTITION BY 10 / b) r FROM plain) s WHERE id = 3",
    "SELECT id FROM plain WHERE abs(id + 1 - 1) < 0 AND (id, id) > (id, 10 / b)",
    "SELECT id FROM plain WHERE abs(id + 1) < 0 AND (id, id) > (id, 10 / b)",
    "SELECT id FROM plain WHERE abs(id + 1 - 1) < 0 AND greatest(10 / b, 1, 2, 3) > 0",
    "SELECT id FROM plain WHERE abs(id + 1 - 1) < 0 AND CASE 10 / b WHEN 0 THEN true WHEN 1 THEN true ELSE false END",
    "SELECT id FROM plain WHERE above(id, 9999) AND 10 / b > 0",
    "SELECT id FROM plain WHERE NOT plainly_above(9999, id) AND 10 / b > 0",
    "SELECT id FROM plain WHERE dearly_above(id, 9999) AND (above(id, 0) OR 10 / b > 0)",
    "SELECT id FROM plain WHERE among(id, 9999) AND (10 / b > 0 OR 10 / b < 0)",
];

/// What is waited for comes within this time, or never.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether memory answers, once analysis is over; what memory and Postgres say is the same until then, too.
fn is_from_memory(through: &mut RawClient, direct: &mut RawClient, sql: &str) -> Result<bool, String> {
    let started = Instant::now();
    loop {
        let compared = compare(through, direct, sql, Order::Any);
        let route = through.last_route();
        compared.map_err(|found| format!("{found}\n{route}"))?;
        if !["analysis", "populating", "behind"].iter().any(|word| route.contains(word)) {
            return Ok(route.starts_with("memory"));
        }
        assert!(started.elapsed() < PATIENCE, "{sql}: {route}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn errors_are_raised_where_postgres_raises_them() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut through = RawClient::superuser(&weir.address());
    let mut direct = RawClient::superuser(&server.address());
    through.execute(
        "CREATE TABLE plain (id int, b int, t text); INSERT INTO plain SELECT i, i, 't' || i % 1000 FROM generate_series(1, 3000) i;
         CREATE TABLE others (id int, x int); INSERT INTO others SELECT i, i FROM generate_series(1, 20) i;
         CREATE FUNCTION above (n int, low int) RETURNS bool STABLE STRICT RETURN coalesce(n, 0) > low;
         CREATE FUNCTION plainly_above (n int, low int) RETURNS bool STABLE STRICT RETURN n > low;
         CREATE FUNCTION dearly_above (n int, low int) RETURNS bool STABLE STRICT COST 1000 RETURN coalesce(n, 0) > low;
         CREATE FUNCTION among (n int, other int) RETURNS bool STABLE STRICT RETURN n IN (1, 2, other);
         ANALYZE; SET weir.consistency = 'latest'",
    );
    let mut reads: Vec<String> = Vec::new();
    let define = |through: &mut RawClient, name: &str, query: &str| {
        let sql = format!(
            "SELECT pgtrickle.create_stream_table(name => '{name}', query => $weir$ {query} $weir$, schedule => '1s', \
             refresh_mode => 'DIFFERENTIAL')"
        );
        let is_made = through.query(&sql).error.is_none();
        is_made.then(|| weir.wait_until_live(&[name])).is_some()
    };
    assert!(define(&mut through, "splain", "SELECT id, b, t FROM plain"));
    assert!(define(&mut through, "sothers", "SELECT id, x FROM others"));
    for (at, query) in QUERIES.iter().enumerate() {
        if define(&mut through, &format!("defined{at}"), query) {
            reads.push(format!("SELECT * FROM defined{at}"));
        }
    }
    assert!(reads.len() + 6 > QUERIES.len(), "all but five are maintained");
    reads.extend(QUERIES.iter().map(|query| query.replace(" plain", " splain").replace(" others", " sothers")));
    let mut check = |through: &mut RawClient, state: &str| -> usize {
        let answers: Vec<Result<bool, String>> =
            reads.iter().map(|sql| is_from_memory(through, &mut direct, sql)).collect();
        let differences: Vec<String> = answers.iter().filter_map(|answer| answer.clone().err()).collect();
        assert!(differences.is_empty(), "{state}:\n{}", differences.join("\n"));
        answers.iter().filter(|answer| **answer == Ok(true)).count()
    };
    let mut most = 0;
    for round in 0..3 {
        // Often enough for indexes to be made, which let reads pass over rows.
        (0..3).for_each(|_| most = most.max(check(&mut through, "no row fails")));
        through.execute(&format!("UPDATE plain SET b = 0 WHERE id = {}", 2500 + round));
        let from_memory = check(&mut through, "a row fails");
        assert!(from_memory > QUERIES.len() / 2, "{from_memory} from memory");
        through.execute("UPDATE plain SET b = id WHERE b = 0");
    }
    let started = Instant::now();
    assert!(most > QUERIES.len() * 7 / 4, "{most} from memory");
    while check(&mut through, "no row fails any more") < most {
        assert!(started.elapsed() < PATIENCE, "not all are back in memory");
        std::thread::sleep(Duration::from_millis(100));
    }
}
