//! Paths into jsonb: random ones over random documents, answered from memory as Postgres answers them.

mod text;

use rand::Rng;
use rand::rngs::StdRng;
use std::time::{Duration, Instant};
use weir_tests::documents::json;
use weir_tests::oracle::{Order, compare, compare_from_memory};
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// How long the analysis of one statement may take.
const ANALYSIS_TIMEOUT: Duration = Duration::from_secs(30);
/// Documents, and paths tried over all of them.
const DOCUMENTS: usize = 150;
const PATHS: (usize, usize) = (250, 3_000);

/// What random paths rarely come to.
const BY_NAME: &[&str] = &[
    // An error of the whole is forgotten over its parts.
    "$.**.abs()",
    "$.**{0 to 1}.double()",
    "strict $.**{0 to 2}.floor()",
    // A subscript that is left in the middle forgets the array around it.
    "$[($[*] ? (exists (@[0]))).size() * 0 + last]",
    // Sizes of what is no array.
    "$.a[last]",
    "$.a.size() + $.b.size()",
    "strict $.*[*].type()",
];

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Writes a document anew, or takes it away.
fn write(direct: &mut RawClient, id: usize, random: &mut StdRng) {
    let document = quoted(&json(4, random));
    direct.execute(&match random.random_bool(0.1) {
        true => format!("DELETE FROM docs WHERE id = {id}"),
        false => format!("INSERT INTO docs VALUES ({id}, {document}) ON CONFLICT (id) DO UPDATE SET j = EXCLUDED.j"),
    });
}

const DEFINED: &[(&str, &str)] = &[
    ("kept", "SELECT id, j FROM docs"),
    ("asked", "SELECT id, j @? '$.a[*] ? (@ > 1)' AS e, j @@ '$.b == 1' AS m FROM docs WHERE j @? '$.**.a'"),
    // By their texts: of equal documents that look different a group shows any.
    (
        "firsts",
        "SELECT jsonb_path_query_first(j, 'strict $.a', silent => true)::text AS first, count(*) AS n FROM docs GROUP BY 1",
    ),
    ("taken", "SELECT id, x FROM docs, jsonb_path_query(j, '$.*[*]') AS x"),
    (
        "cut",
        "SELECT id, CASE jsonb_typeof(j) WHEN 'object' THEN j #- '{a}' WHEN 'array' THEN j #- '{-1}' END AS j FROM docs",
    ),
    ("failing", "SELECT id, jsonb_path_query_array(j, 'strict $.a.b') AS all FROM docs WHERE id < 5"),
];

/// Where a strict path finds nothing there is an error, which Postgres tells.
fn sound() -> impl Iterator<Item = &'static str> {
    DEFINED.iter().map(|(name, _)| *name).filter(|name| *name != "failing")
}

fn started(random: &mut StdRng) -> (TestServer, TestWeir, RawClient, RawClient) {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut through = RawClient::superuser(&weir.address());
    let mut direct = RawClient::superuser(&server.address());
    direct.execute("CREATE TABLE docs (id int PRIMARY KEY, j jsonb)");
    for id in 0..DOCUMENTS {
        write(&mut direct, id, random);
    }
    // For a path by name.
    direct.execute(&format!("INSERT INTO docs VALUES ({DOCUMENTS}, '[[[7, 8]]]')"));
    for (name, query) in DEFINED {
        through.execute(&format!(
            "SELECT pgtrickle.create_stream_table(name => '{name}', query => $q$ {query} $q$, schedule => '1s', \
             refresh_mode => 'DIFFERENTIAL')"
        ));
    }
    weir.wait_until_live(&sound().collect::<Vec<_>>());
    through.execute("SET weir.consistency = 'latest'");
    (server, weir, through, direct)
}

/// The answers are the same at every moment. True when memory gives them once the statement is known.
fn is_from_memory(through: &mut RawClient, direct: &mut RawClient, sql: &str) -> bool {
    let started = Instant::now();
    loop {
        compare(through, direct, sql, Order::Any).unwrap_or_else(|found| panic!("{found}"));
        let route = through.last_route();
        if !route.contains("analysis") {
            return route.starts_with("memory");
        }
        assert!(started.elapsed() < ANALYSIS_TIMEOUT, "{route}: {sql}");
    }
}

#[test]
fn paths_find_what_postgres_finds() {
    let mut random = rng::seeded("jsonpath");
    let (_server, _weir, mut through, mut direct) = started(&mut random);
    let version = direct.query("SELECT current_setting('server_version_num')::int >= 170000");
    let has_conversions = version.rows[0][0].as_deref() == Some(b"t");
    let (mut valid, mut from_memory) = (0, 0);
    let count = rng::rounds(PATHS.0, PATHS.1);
    let paths: Vec<String> = (0..count).map(|_| text::path(has_conversions, &mut random)).collect();
    for path in BY_NAME.iter().map(|path| path.to_string()).chain(paths) {
        let literal = format!("{}::jsonpath", quoted(&path));
        let silent = format!(
            "SELECT id, j @? {literal}, j @@ {literal}, jsonb_path_exists(j, {literal}, silent => true), \
             jsonb_path_match(j, {literal}, '{{}}', true), jsonb_path_query_first(j, {literal}, silent => true), \
             jsonb_path_query_array(j, {literal}, '{{\"x\": 1}}', true) FROM kept ORDER BY id"
        );
        if direct.query(&silent).error.is_some() {
            continue;
        }
        valid += 1;
        from_memory += usize::from(is_from_memory(&mut through, &mut direct, &silent));
        let id = random.random_range(0..DOCUMENTS);
        for call in ["jsonb_path_exists(j, {})", "jsonb_path_match(j, {})", "jsonb_path_query_array(j, {})"] {
            let call = call.replace("{}", &literal);
            is_from_memory(&mut through, &mut direct, &format!("SELECT {call} FROM kept WHERE id = {id}"));
        }
        let rows = format!("SELECT id, x FROM kept, jsonb_path_query(j, {literal}, silent => true) AS x");
        is_from_memory(&mut through, &mut direct, &rows);
        write(&mut direct, id, &mut random);
    }
    eprintln!("{valid} valid paths, {from_memory} of them from memory");
    assert!(from_memory * 10 >= valid * 9, "{from_memory} of {valid} from memory");
}

#[test]
fn definitions_with_paths_are_maintained() {
    let mut random = rng::seeded("jsonpath definitions");
    let (_server, _weir, mut through, mut direct) = started(&mut random);
    for _ in 0..rng::rounds(30, 1_000) {
        for _ in 0..random.random_range(1..20) {
            let id = random.random_range(0..DOCUMENTS);
            write(&mut direct, id, &mut random);
        }
        for name in sound() {
            compare_from_memory(&mut through, &mut direct, &format!("SELECT * FROM {name}"), Order::Any).unwrap();
        }
        compare(&mut through, &mut direct, "SELECT * FROM failing", Order::Any).unwrap();
    }
    direct.execute("UPDATE docs SET j = '{\"a\": {\"b\": [1, 2.50]}}'");
    compare_from_memory(&mut through, &mut direct, "SELECT * FROM failing", Order::Any).unwrap();
}

#[test]
fn what_is_no_constant_or_not_known_is_postgres() {
    let mut random = rng::seeded("jsonpath refused");
    let (_server, _weir, mut through, mut direct) = started(&mut random);
    for expression in [
        "j @? ('$.' || 'a')::jsonpath",
        "j @? '$.a.datetime()'",
        "jsonb_path_query_array(j, '$.keyvalue()', silent => true)",
        "jsonb_path_exists(j, '$ ? (@.a == $x)', '{\"x\": 1}')",
        "jsonb_path_exists_tz(j, '$.a')",
        "'$.a'::jsonpath",
    ] {
        let sql = format!("SELECT id, {expression} FROM kept ORDER BY id");
        for _ in 0..3 {
            compare(&mut through, &mut direct, &sql, Order::Exact).unwrap();
            assert!(through.last_route().starts_with("forwarded"), "{expression}: {}", through.last_route());
        }
    }
}
