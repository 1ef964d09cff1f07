//! Enums: grouped, joined, sorted, compared by their labels' order and shown as text; and what ALTER TYPE does to that.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::time::{Duration, Instant};
use weir_tests::oracle::{Order, compare, compare_from_memory, compare_tables};
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::weir::TestWeir;
use weir_tests::wire::{RawClient, Table};

/// Copying a table again takes so long at most.
const PATIENCE: Duration = Duration::from_secs(20);

/// Stream tables over `tasks (id, state, before, note)`; the labels' order is not that of their bytes.
const VIEWS: &[&str] = &[
    "SELECT id, state, before, state::text AS name, note FROM tasks",
    "SELECT state, count(*) AS n, min(id) AS first FROM tasks GROUP BY state",
    "SELECT note, min(state) AS least, max(state) AS most, min(state)::text AS name FROM tasks GROUP BY note",
    "SELECT t.id, u.id AS other FROM tasks t JOIN tasks u ON u.before = t.state AND u.id < t.id",
    "SELECT DISTINCT before FROM tasks WHERE state >= 'open' AND before <> 'blocked'",
    "SELECT id, state, rank() OVER (PARTITION BY note ORDER BY state DESC) AS r FROM tasks",
    "SELECT id, greatest(state, before) AS later, least(state, 'open'::state) AS sooner, state < before AS lt, \
     state IN ('done', 'open') AS is_in, state IS DISTINCT FROM before AS differs, \
     CASE state WHEN 'done' THEN 'd' ELSE 'o' END AS c, nullif(state, 'done') AS n FROM tasks",
    "SELECT DISTINCT ON (note) note, state, id FROM tasks ORDER BY note, state, id",
];
const READS: &[&str] = &[
    "SELECT * FROM kept0 ORDER BY state DESC NULLS FIRST, id",
    "SELECT * FROM kept0 WHERE state = 'open'",
    "SELECT max(state), min(before), count(DISTINCT state) FROM kept0 WHERE state > 'blocked' OR before <= 'open'",
    "SELECT state, count(*) FROM kept0 GROUP BY state HAVING min(before) < 'done' ORDER BY state LIMIT 2",
    "SELECT state FROM kept0 UNION SELECT before FROM kept0",
    "SELECT a.id FROM kept0 a WHERE EXISTS (SELECT FROM kept0 b WHERE b.before = a.state AND b.id > a.id)",
    "SELECT string_agg(name, ',' ORDER BY state DESC, name) FROM kept0",
];

fn state(labels: &[&str], random: &mut StdRng) -> String {
    if random.random_bool(0.1) { "NULL".into() } else { format!("'{}'", labels.choose(random).expect("not empty")) }
}

fn compare_all(through: &mut RawClient, direct: &mut RawClient) {
    for at in 0..VIEWS.len() {
        compare_from_memory(through, direct, &format!("SELECT * FROM kept{at}"), Order::Any).unwrap();
    }
    for sql in READS {
        let order = if sql.contains("LIMIT") || sql.contains("NULLS") { Order::Exact } else { Order::Any };
        compare_from_memory(through, direct, sql, order).unwrap();
    }
}

/// Copies the table again after its labels changed. What is answered meanwhile must be right too.
fn wait_for_memory(through: &mut RawClient, direct: &mut RawClient) {
    let started = Instant::now();
    for at in 0..VIEWS.len() {
        let sql = format!("SELECT * FROM kept{at}");
        loop {
            compare(through, direct, &sql, Order::Any).unwrap();
            if through.last_route().starts_with("memory") {
                break;
            }
            assert!(started.elapsed() < PATIENCE, "kept{at} stays {}", through.last_route());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Reads with a parameter of the enum's type, of a label and of what is none.
fn compare_parameters(through: &mut RawClient, direct: &mut RawClient, labels: &[&str]) {
    let sql = "SELECT id, state FROM kept0 WHERE state >= $1 AND before IS DISTINCT FROM $1 ORDER BY id";
    for label in labels.iter().chain(&["nonsense", " open"]) {
        let started = Instant::now();
        loop {
            let answers = [&mut *through, &mut *direct].map(|side| Table::read(&side.extended(sql, &[Some(label)], 1)));
            compare_tables(&answers[0], &answers[1], Order::Exact).unwrap();
            let (route, is_label) = (through.last_route(), labels.contains(label));
            if route.starts_with("memory") == is_label {
                break;
            }
            assert!(started.elapsed() < PATIENCE, "{label}: {route}");
        }
    }
}

#[test]
fn enums_as_postgres_has_them() {
    let mut random = rng::seeded("enums");
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut through = RawClient::superuser(&weir.address());
    let mut direct = RawClient::superuser(&server.address());
    direct.execute("CREATE TYPE state AS ENUM ('open', 'blocked', 'done')");
    direct.execute("CREATE TABLE tasks (id int PRIMARY KEY, state state, before state, note text)");
    for (at, query) in VIEWS.iter().enumerate() {
        through.execute(&format!(
            "SELECT pgtrickle.create_stream_table(name => 'kept{at}', query => $q$ {query} $q$, schedule => '1s', \
             refresh_mode => 'DIFFERENTIAL')"
        ));
    }
    let names: Vec<String> = (0..VIEWS.len()).map(|at| format!("kept{at}")).collect();
    weir.wait_until_live(&names.iter().map(String::as_str).collect::<Vec<_>>());
    through.execute("SET weir.consistency = 'latest'");
    let mut labels = vec!["open", "blocked", "done"];
    let changes: [(&str, &[&str]); 5] = [
        ("", &["open", "blocked", "done"]),
        // Sorts before 'open', which it is added after in bytes and time.
        ("ALTER TYPE state ADD VALUE 'proposed' BEFORE 'open'", &["proposed", "open", "blocked", "done"]),
        ("ALTER TYPE state RENAME VALUE 'proposed' TO 'drafted'", &["drafted", "open", "blocked", "done"]),
        ("ALTER TYPE state ADD VALUE 'almost' AFTER 'blocked'", &["open", "almost", "done"]),
        ("ALTER TYPE state RENAME VALUE 'almost' TO 'zero'", &["drafted", "zero", "done"]),
    ];
    for (change, now) in changes {
        if !change.is_empty() {
            direct.execute(change);
            wait_for_memory(&mut through, &mut direct);
            compare_all(&mut through, &mut direct);
            labels = now.to_vec();
        }
        for _ in 0..rng::rounds(2, 20) {
            for _ in 0..30 {
                let (a, b) = (state(&labels, &mut random), state(&labels, &mut random));
                let (id, note) = (random.random_range(0..60), ["x", "y", "z"].choose(&mut random).expect("not empty"));
                direct.execute(&format!(
                    "INSERT INTO tasks VALUES ({id}, {a}, {b}, '{note}') ON CONFLICT (id) DO UPDATE \
                     SET state = EXCLUDED.state, before = EXCLUDED.before"
                ));
            }
            direct.execute("DELETE FROM tasks WHERE id % 5 = 3");
            compare_all(&mut through, &mut direct);
        }
        compare_parameters(&mut through, &mut direct, now);
    }
}
