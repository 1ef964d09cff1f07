//! Errors of rows that nobody sees: Postgres raises them where it computes a subquery as it stands, and so it answers while
//! they are there. When they have gone, memory answers again. Which queries raise them, and which do not, is said here for each; many
//! more are only compared in `dropped_errors.rs`.

use std::time::{Duration, Instant};
use weir_tests::oracle::{Order, compare, compare_from_memory};
use weir_tests::postgres::TestServer;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// What is waited for comes within this time, or never.
const PATIENCE: Duration = Duration::from_secs(20);

const TABLES: &str = "CREATE TABLE event (id int PRIMARY KEY, grp int NOT NULL, name text, amount bigint NOT NULL);
     CREATE TABLE grp (id int PRIMARY KEY, label text);
     INSERT INTO event VALUES (1, 1, 'a', 1), (2, 1, 'b', 2), (3, 2, 'c', 3), (4, 2, 'd', 4), (5, 3, 'e', 5);
     INSERT INTO grp VALUES (1, 'one'), (2, 'two')";

/// What makes group 3 fail, which no row of `grp` matches, and what takes that back.
const FAILURES: [(&str, &str); 2] = [
    ("UPDATE event SET name = NULL WHERE id = 5", "UPDATE event SET name = 'e' WHERE id = 5"),
    (
        "INSERT INTO event VALUES (6, 3, 'f', 9223372036854775807), (7, 3, 'g', 9223372036854775807)",
        "DELETE FROM event WHERE id > 5",
    ),
];

/// Definitions, by name. Group 3 of each is dropped by a join, a condition, a limit or a grouping.
const STREAM_TABLES: [(&str, &str); 9] = [
    (
        "outer_join",
        "SELECT g.label, e.names FROM grp g LEFT JOIN (SELECT grp, jsonb_object_agg(name, amount) AS names FROM event GROUP BY grp) e ON e.grp = g.id",
    ),
    (
        "inner_join",
        "SELECT g.label, e.total FROM grp g JOIN (SELECT grp, sum((amount * 2)::int) AS total FROM event GROUP BY grp) e ON e.grp = g.id",
    ),
    (
        "projected",
        "SELECT g.label, e.share FROM grp g JOIN (SELECT grp, 10 / sum((amount - 7)::int) AS share FROM event GROUP BY grp) e ON e.grp = g.id",
    ),
    ("of_two", "SELECT grp, jsonb_object_agg(name, amount) AS names FROM event GROUP BY grp HAVING count(*) = 2"),
    (
        "semi_join",
        "SELECT e.grp, e.names FROM (SELECT grp, jsonb_object_agg(name, amount) AS names FROM event GROUP BY grp) e WHERE EXISTS (SELECT FROM grp g WHERE g.id = e.grp)",
    ),
    ("limited", "SELECT grp, jsonb_object_agg(name, amount) AS names FROM event GROUP BY grp ORDER BY grp LIMIT 2"),
    (
        "windowed",
        "SELECT g.label, w.running FROM (SELECT grp, id, sum((amount + 1)::int) OVER (PARTITION BY grp ORDER BY id) AS running FROM event) w JOIN grp g ON g.id = w.grp",
    ),
    (
        "optional",
        "SELECT g.label, e.half FROM grp g LEFT JOIN (SELECT grp, CASE WHEN amount > 5 THEN (amount + 1)::int ELSE 0 END AS half FROM event) e ON e.grp = g.id",
    ),
    (
        "unseen_by_filter",
        "SELECT sum(hashed.n) FILTER (WHERE hashed.grp < 3) AS n FROM (SELECT grp, sum(amount::int) AS n FROM event GROUP BY grp) hashed",
    ),
];

/// Over `by_group`, a stream table whose group 3 fails.
const READS: [&str; 6] = [
    "SELECT * FROM by_group",
    "SELECT g.label, b.names FROM grouped g JOIN by_group b ON b.grp = g.id",
    "SELECT g.label, b.names FROM grouped g LEFT JOIN by_group b ON b.grp = g.id",
    "SELECT names, n FROM by_group WHERE n = 2",
    "SELECT names FROM by_group WHERE grp = 1",
    "SELECT names FROM by_group ORDER BY grp LIMIT 1",
];

struct Ground {
    _server: TestServer,
    weir: TestWeir,
    app: RawClient,
    direct: RawClient,
}

impl Ground {
    fn new() -> Ground {
        let server = TestServer::start();
        let weir = TestWeir::start(&server);
        let mut app = RawClient::superuser(&weir.address());
        let direct = RawClient::superuser(&server.address());
        app.execute(TABLES);
        app.execute("SET weir.consistency = 'latest'");
        Ground { _server: server, weir, app, direct }
    }

    fn stream(&mut self, name: &str, query: &str) {
        self.app.execute(&format!(
            "SELECT pgtrickle.create_stream_table(name => '{name}', query => $weir$ {query} $weir$, \
             schedule => '1s', refresh_mode => 'DIFFERENTIAL')"
        ));
        self.weir.wait_until_live(&[name]);
    }

    /// Reads from memory while nothing fails, as Postgres answers while something does, and from memory again.
    fn compare_through_failures(&mut self, reads: &[String]) {
        let mut raised = vec![false; reads.len()];
        for (fail, heal) in FAILURES {
            self.all_from_memory(reads);
            self.app.execute(fail);
            for (sql, raised) in reads.iter().zip(&mut raised) {
                self.equals_postgres(sql, fail);
                *raised |= self.direct.query(sql).error.is_some();
            }
            self.app.execute(heal);
        }
        self.all_from_memory(reads);
        let quiet: Vec<&String> = reads.iter().zip(raised).filter(|(_, raised)| !raised).map(|(sql, _)| sql).collect();
        let expected: Vec<&String> = reads.iter().filter(|sql| sql.contains("grp = 1")).collect();
        assert_eq!(quiet, expected, "raised nowhere in Postgres");
    }

    /// Once the statement's analysis is over: until then Postgres answers whatever memory would say.
    fn difference(&mut self, sql: &str) -> Option<String> {
        let started = Instant::now();
        loop {
            if let Err(difference) = compare(&mut self.app, &mut self.direct, sql, Order::Any) {
                return Some(difference);
            }
            if !self.app.last_route().contains("analysis") {
                return None;
            }
            assert!(started.elapsed() < PATIENCE, "{sql} is being analysed for ever");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn equals_postgres(&mut self, sql: &str, change: &str) {
        if let Some(difference) = self.difference(sql) {
            panic!("after {change}: {difference}");
        }
    }

    /// As Postgres says, which is an error for all of them.
    fn all_raised(&mut self, reads: &[String], change: &str) {
        let mut differences: Vec<String> = reads.iter().filter_map(|sql| self.difference(sql)).collect();
        differences.extend(
            reads.iter().filter(|sql| self.direct.query(sql).error.is_none()).map(|sql| format!("no error: {sql}")),
        );
        assert!(differences.is_empty(), "after {change}: {}", differences.join("\n"));
    }

    /// A table comes back into service with its next refresh.
    fn all_from_memory(&mut self, reads: &[String]) {
        let started = Instant::now();
        for sql in reads {
            while let Err(difference) = compare_from_memory(&mut self.app, &mut self.direct, sql, Order::Any) {
                assert!(started.elapsed() < PATIENCE, "{difference}");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

#[test]
fn of_stream_tables_are_raised_while_they_are_there() {
    let mut ground = Ground::new();
    for (name, query) in STREAM_TABLES {
        ground.stream(name, query);
    }
    let reads: Vec<String> = STREAM_TABLES.iter().map(|(name, _)| format!("SELECT * FROM {name}")).collect();
    ground.compare_through_failures(&reads);
}

#[test]
fn of_what_a_read_drops_are_raised_while_they_are_there() {
    let mut ground = Ground::new();
    ground.stream("by_group", "SELECT grp, jsonb_object_agg(name, amount) AS names, sum(amount::int) AS total, count(*) AS n FROM event GROUP BY grp");
    ground.stream("grouped", "SELECT id, label FROM grp");
    ground.compare_through_failures(&READS.map(str::to_owned));
}

/// Over `plain`, of which one row among thousands has `b = 0`, `others` and `by_b`. Postgres evaluates what fails for rows that the
/// read drops afterwards.
const RAISED: [&str; 22] = [
    "SELECT 10 / b FROM plain ORDER BY id LIMIT 1",
    "SELECT 10 / b FROM plain ORDER BY id LIMIT 1 OFFSET 3",
    "SELECT id, 10 / b FROM plain ORDER BY id FETCH FIRST 2 ROWS ONLY",
    "SELECT id FROM plain WHERE 10 / b > 0 ORDER BY id LIMIT 1",
    "SELECT id FROM plain WHERE 10 / b >= 0 AND t = ANY (ARRAY['t1', 't2', 't3', 't4', 't5', 't6'])",
    "SELECT id FROM plain WHERE t IN ('t1', 't2', 't3', 't4', 't5', 't6') AND 10 / b >= 0",
    "SELECT id FROM plain WHERE (b + 1) + 3 = 8 AND 10 / b >= 0",
    "SELECT p.id FROM plain p JOIN others o ON o.id = p.id WHERE 10 / p.b >= 0",
    "SELECT p.id FROM others o LEFT JOIN plain p ON o.id = p.id AND 10 / p.b >= 0",
    "SELECT x FROM (SELECT 10 / b AS x, id FROM plain ORDER BY id LIMIT 1) s",
    "SELECT DISTINCT ON (t) t, 10 / b FROM plain ORDER BY t, id LIMIT 1",
    "SELECT 10 / b, n FROM by_b ORDER BY b DESC LIMIT 1",
    "SELECT 10 / b, count(*) FROM plain GROUP BY b ORDER BY b DESC LIMIT 1",
    "SELECT 10 / min(b), count(*) FROM plain GROUP BY t ORDER BY t DESC LIMIT 1",
    "SELECT o.id, q.m FROM others o JOIN (SELECT t, 10 / min(b) AS m FROM plain GROUP BY t) q ON q.t = 't' || o.id",
    "SELECT sum(m) FILTER (WHERE t = 't1') FROM (SELECT t, 10 / min(b) AS m FROM plain GROUP BY t) q",
    "SELECT id FROM plain p WHERE EXISTS (SELECT FROM others o WHERE o.id = p.id AND 10 / p.b >= 0)",
    "SELECT id FROM others o WHERE EXISTS (SELECT FROM plain p WHERE o.id = p.id AND 10 / p.b >= 0)",
    "SELECT id FROM others o WHERE NOT EXISTS (SELECT FROM plain p WHERE o.id = p.id AND 10 / p.b >= 0)",
    "SELECT * FROM (SELECT id, 10 / b AS k FROM plain OFFSET 0) s WHERE id = 3",
    "SELECT * FROM (SELECT id, 10 / b AS k, row_number() OVER (ORDER BY id) FROM plain) s WHERE id = 3",
    "SELECT 10 / b AS k FROM plain WHERE id < 5 UNION ALL SELECT 10 / b FROM plain ORDER BY k LIMIT 2",
];

/// Over the same, and never raised: Postgres asks what is cheaper first, or computes what it shows last.
const QUIET: [&str; 9] = [
    "SELECT id FROM plain WHERE 10 / b >= 0 AND t = 't1'",
    "SELECT id FROM plain WHERE t = 't1' AND 10 / b >= 0",
    "SELECT p.id, 10 / p.b FROM others o JOIN plain p ON o.id = p.id",
    "SELECT id FROM (SELECT 10 / b AS x, id FROM plain ORDER BY id LIMIT 1) s",
    "SELECT 10 / b, count(*) FROM plain GROUP BY b HAVING b > 2999",
    "SELECT id, CASE WHEN b <> 0 THEN 10 / b END FROM plain ORDER BY id DESC LIMIT 1",
    "SELECT id, 10 / b FROM plain WHERE b <> 0 ORDER BY id LIMIT 1",
    "SELECT id FROM plain WHERE b <> 0 AND 10 / b > 1 ORDER BY id LIMIT 1",
    "SELECT 10 / b FROM plain ORDER BY id LIMIT 0",
];

#[test]
fn of_rows_that_a_read_need_not_look_at_are_raised_while_they_are_there() {
    /// As often as makes a read's indexes, and some more.
    const WARMING: usize = 12;
    let mut ground = Ground::new();
    ground.app.execute(
        "CREATE TABLE base (id int, b int, t text); INSERT INTO base SELECT i, i, 't' || i % 1000 FROM generate_series(1, 3000) i;
         CREATE TABLE other (id int); INSERT INTO other SELECT generate_series(1, 20)",
    );
    ground.stream("plain", "SELECT id, b, t FROM base");
    ground.stream("others", "SELECT id FROM other");
    ground.stream("by_b", "SELECT b, count(*) AS n FROM base GROUP BY b");
    let [raised, quiet] =
        [RAISED.to_vec(), QUIET.to_vec()].map(|reads| reads.into_iter().map(str::to_owned).collect::<Vec<_>>());
    for round in 0..3 {
        for _ in 0..WARMING {
            ground.all_from_memory(&raised);
            ground.all_from_memory(&quiet);
        }
        // Another row each time: what is known of the others is kept.
        let fail = format!("UPDATE base SET b = 0 WHERE id = {}", 2500 + round);
        ground.app.execute(&fail);
        ground.all_raised(&raised, &fail);
        ground.all_from_memory(&quiet);
        ground.app.execute("UPDATE base SET b = id WHERE b = 0");
    }
    ground.all_from_memory(&raised);
}

/// Over `base`, whose row 20 fails, and `small`, which nothing matches it in. In Postgres all but the last are raised: it evaluates what is shown beside a
/// window function for all rows, cheaper conditions first, and conditions of one table where it reads that.
const DEFINITIONS: [(&str, &str); 40] = [
    ("windowed", "SELECT * FROM (SELECT id, 10 / b AS k, row_number() OVER (ORDER BY id) FROM base) s WHERE id = 3"),
    ("dear_first", "SELECT id FROM base WHERE id IN (1, 2, 3, 4, 5, 6) AND 10 / b >= 0"),
    ("joined", "SELECT b.id, s.label FROM base b JOIN small s ON s.id = b.id WHERE 10 / b.b >= 0"),
    (
        "merged",
        "SELECT q.* FROM (SELECT b.id, b.b + 1 - 1 AS b FROM base b JOIN small s USING (id)) q WHERE 10 / q.b >= 0",
    ),
    ("semi_joined", "SELECT label FROM small s WHERE EXISTS (SELECT FROM base b WHERE b.id = s.id AND 10 / b.b >= 0)"),
    (
        "anti_joined",
        "SELECT label FROM small s WHERE NOT EXISTS (SELECT FROM base b WHERE b.id = s.id AND 10 / b.b >= 9)",
    ),
    ("outer_joined", "SELECT s.label, b.id FROM small s LEFT JOIN base b ON b.id = s.id AND 10 / b.b >= 0"),
    ("distinct_on", "SELECT DISTINCT ON (id % 3) id % 3 AS m, 10 / b AS k FROM base ORDER BY id % 3, id"),
    ("limited", "SELECT 10 / b AS k, id FROM base ORDER BY id LIMIT 2"),
    ("distinct_limited", "SELECT DISTINCT 10 / b AS k, id FROM base ORDER BY id, k LIMIT 2"),
    ("grouped_by_it", "SELECT 10 / b AS k, count(*) AS n FROM base GROUP BY 10 / b HAVING count(*) > 5"),
    (
        "distinct_joined",
        "SELECT s.label, d.k FROM small s JOIN (SELECT DISTINCT id, 10 / b AS k FROM base) d ON d.id = s.id",
    ),
    (
        "grouped_joined",
        "SELECT s.label, d.k FROM small s JOIN (SELECT id, 10 / min(b) AS k FROM base GROUP BY id) d ON d.id = s.id",
    ),
    (
        "limited_below",
        "SELECT s.label, d.k FROM small s JOIN (SELECT id, 10 / b AS k FROM base ORDER BY id LIMIT 25) d ON d.id = s.id",
    ),
    (
        "filtered_of_groups",
        "SELECT sum(d.k) FILTER (WHERE d.id < 4) AS k FROM (SELECT id, 10 / min(b) AS k FROM base GROUP BY id) d",
    ),
    ("excepted", "SELECT 10 / b AS k FROM base WHERE id < 4 EXCEPT SELECT 10 / b FROM base"),
    ("joined_on_it", "SELECT s.label FROM small s JOIN base b ON s.id = 10 / b.b"),
    ("in_list", "SELECT label FROM small WHERE id IN (SELECT 10 / b FROM base)"),
    ("of_window", "SELECT k FROM (SELECT id, sum(10 / b) OVER (ORDER BY id) AS k FROM base) s WHERE id = 3"),
    (
        "beside_sets",
        "SELECT b.id, u.l FROM base b CROSS JOIN LATERAL unnest(ARRAY[0, b.id]) u (l) WHERE u.l = 3 AND 10 / b.b >= 0",
    ),
    (
        "subquery_beside_sets",
        "SELECT b.id, u.l FROM base b LEFT JOIN unnest(ARRAY[0, b.id]) u (l) ON true \
         WHERE NOT (b.id >= (SELECT min(s.id) FROM small s WHERE s.id = b.id) AND 10 / b.b >= 0) AND u.l = 3",
    ),
    (
        "sets_executed_apart",
        "SELECT q.id, q.l FROM (SELECT id, b, unnest(ARRAY[0, id]) AS l FROM base) q WHERE q.l = 3 AND 10 / q.b >= 0",
    ),
    // Dear conditions are asked after the division, wherever both are asked.
    (
        "dear_first_of_union",
        "SELECT id FROM (SELECT id, b FROM base UNION ALL SELECT id, id FROM small) q WHERE id IN (1, 2, 3, 4, 5, 6) AND 10 / b >= 0",
    ),
    (
        "dear_first_of_groups",
        "SELECT id, n FROM (SELECT id, b, count(*) AS n FROM base GROUP BY id, b) q WHERE id IN (1, 2, 3, 4, 5, 6) AND 10 / b >= 0",
    ),
    (
        "dear_first_of_distinct",
        "SELECT id FROM (SELECT DISTINCT id, b FROM base) q WHERE id IN (1, 2, 3, 4, 5, 6) AND 10 / b >= 0",
    ),
    (
        "dear_first_of_except",
        "SELECT id FROM (SELECT id, b FROM base EXCEPT ALL SELECT id, 1 FROM small) q WHERE id IN (1, 2, 3, 4, 5, 6) AND 10 / b >= 0",
    ),
    // No condition is asked below EXCEPT, nor one on a column that the sides have of two types.
    (
        "below_except",
        "SELECT id FROM (SELECT id FROM base WHERE 10 / b >= 0 EXCEPT SELECT id FROM small) q WHERE id = 3",
    ),
    (
        "right_of_except",
        "SELECT id FROM (SELECT id FROM small EXCEPT ALL SELECT id FROM base WHERE 10 / b >= 0) q WHERE id = 4",
    ),
    (
        "computed_below_except",
        "SELECT id FROM (SELECT id, 10 / b AS k FROM base EXCEPT SELECT id, id FROM small) q WHERE id = 3",
    ),
    (
        "beside_except",
        "SELECT id FROM (SELECT id FROM base WHERE 10 / b >= 0 UNION (SELECT id FROM small EXCEPT SELECT 4)) q WHERE id = 3",
    ),
    (
        "union_of_two_types",
        "SELECT id FROM (SELECT id FROM base WHERE 10 / b >= 0 UNION SELECT id::bigint FROM small) q WHERE id = 3",
    ),
    (
        "intersect_of_two_types",
        "SELECT id FROM (SELECT id FROM base WHERE 10 / b >= 0 INTERSECT ALL SELECT id::bigint FROM small) q WHERE id = 4",
    ),
    // What a subquery costs depends on statistics.
    (
        "two_with_subqueries",
        "SELECT id FROM base b WHERE CASE WHEN b > 99 THEN id <> ALL (SELECT s.id FROM small s WHERE s.id <= b.id) \
         ELSE NOT id <> ALL (SELECT s.id FROM small s WHERE s.id >= b.id) END \
         AND NOT (EXISTS (SELECT FROM base s WHERE s.id = b.id AND s.id <= 30) AND 10 / b.b < 0)",
    ),
    (
        "dear_before_subquery",
        "SELECT id FROM base WHERE id IN (1, 2, 3, 4, 5, 6) AND 10 / b >= (SELECT min(id) - 9 FROM small)",
    ),
    (
        "dear_before_list",
        "SELECT id FROM base WHERE id IN (1, 2, 3, 4, 5, 6, 7, 8) AND (id IN (SELECT id FROM small) OR 10 / b >= 0)",
    ),
    (
        "dear_before_having",
        "SELECT id, count(*) AS n FROM base GROUP BY id \
         HAVING min(b) IN (1, 2, 3, 4, 5, 6) AND 10 / min(b) >= (SELECT min(id) - 9 FROM small)",
    ),
    (
        "dear_before_not_in",
        "SELECT id FROM base WHERE id IN (1, 2, 3, 4, 5, 6, 7, 8) AND 10 / b NOT IN (SELECT id FROM small)",
    ),
    ("cheap_first", "SELECT id FROM base WHERE 10 / b >= 0 AND id = 3"),
    (
        "cheap_before_subquery",
        "SELECT id FROM base WHERE 10 / b >= (SELECT min(id) - 9 FROM small) AND b <> 0 AND id < 9",
    ),
    (
        "below_intersect",
        "SELECT id FROM (SELECT id FROM base WHERE 10 / b >= 0 AND b < 100 INTERSECT SELECT id FROM small) q WHERE id = 4",
    ),
];

/// So many definitions at the end are not like that: Postgres leaves out the row before it can fail.
const LEFT_OUT: usize = 3;

#[test]
fn of_rows_that_a_definition_leaves_out_are_raised_while_they_are_there() {
    let mut ground = Ground::new();
    ground.app.execute(
        "CREATE TABLE base (id int, b int); INSERT INTO base SELECT i, i FROM generate_series(1, 30) i;
         CREATE TABLE small (id int, label text); INSERT INTO small VALUES (1, 'a'), (4, 'b'), (40, 'c')",
    );
    for (name, query) in DEFINITIONS {
        ground.stream(name, query);
    }
    let reads: Vec<String> = DEFINITIONS.iter().map(|(name, _)| format!("SELECT * FROM {name}")).collect();
    ground.all_from_memory(&reads);
    ground.app.execute("UPDATE base SET b = 0 WHERE id = 20");
    let (raised, quiet) = reads.split_at(reads.len() - LEFT_OUT);
    ground.all_raised(raised, "a row that the definition leaves out");
    ground.all_from_memory(quiet);
    ground.app.execute("UPDATE base SET b = 1 WHERE id = 20");
    ground.all_from_memory(&reads);
}
