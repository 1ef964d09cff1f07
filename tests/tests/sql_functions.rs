//! Users' functions in SQL, with analysed bodies and with bodies of text: random ones, called by stream tables and by reads, strict
//! or not, of every volatility, calling one another, replaced while they are in use; what texts mean, and to whom; and who may
//! execute them.

use rand::Rng;
use rand::rngs::StdRng;
use std::time::{Duration, Instant};
use weir_tests::oracle::{Order, compare};
use weir_tests::pair::Pair;
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// Functions `f0 (a int, b int, c text) RETURNS int` and on; each may call those before it.
const FUNCTIONS: usize = 6;
/// Planning again after a function was replaced takes so long at most.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long Weir may take to learn of a change of privileges.
const NOTICE: Duration = Duration::from_millis(1500);

/// An integer over the parameters, at most `depth` deep.
fn integer(depth: usize, before: usize, random: &mut StdRng) -> String {
    let inner = |random: &mut StdRng| integer(depth.saturating_sub(1), before, random);
    match random.random_range(0..if depth == 0 { 3 } else { 12 }) {
        0 => "a".into(),
        1 => "b".into(),
        2 => random.random_range(-2..4).to_string(),
        3 => format!("({} + {})", inner(random), inner(random)),
        4 => format!("({} * {})", inner(random), inner(random)),
        5 => format!("coalesce({}, {})", inner(random), inner(random)),
        6 => format!("length(c || {})", text(depth - 1, before, random)),
        7 => format!("({} / nullif({}, 0))", inner(random), inner(random)),
        // Fails where the other branch may not be evaluated.
        8 => format!("CASE WHEN {} > 1 THEN {} ELSE {} / b END", inner(random), inner(random), inner(random)),
        9 if before > 0 => {
            let function = random.random_range(0..before);
            format!("f{function}({}, {}, {})", inner(random), inner(random), text(depth - 1, before, random))
        }
        10 => format!("nullif({}, {})", inner(random), inner(random)),
        _ => format!("CASE WHEN {} IS NULL THEN 7 ELSE {} END", inner(random), inner(random)),
    }
}

fn text(depth: usize, before: usize, random: &mut StdRng) -> String {
    match random.random_range(0..5) {
        0 => "'x'".into(),
        1 => format!("upper({})", if depth == 0 { "c".into() } else { text(depth - 1, before, random) }),
        2 if depth > 0 => format!("({})::text", integer(depth - 1, before, random)),
        _ => "c".into(),
    }
}

/// The same as text, `t0` and on; it may call its like.
fn create_of_text(number: usize, random: &mut StdRng) -> String {
    let strict = ["STRICT", "", ""][random.random_range(0..3)];
    let body = integer(3, number, random);
    let body = if random.random_bool(0.5) { of_text(&body, number) } else { body };
    let end = ["", ";", " -- an end"][random.random_range(0..3)];
    format!(
        "CREATE OR REPLACE FUNCTION t{number} (a int, b int, c text) RETURNS int LANGUAGE sql {strict} AS $$ SELECT {body}{end} $$"
    )
}

/// With the functions whose bodies are text in the place of the others.
fn of_text(sql: &str, functions: usize) -> String {
    (0..functions).fold(sql.to_owned(), |sql, number| sql.replace(&format!("f{number}("), &format!("t{number}(")))
}

fn create(number: usize, random: &mut StdRng) -> String {
    let volatility = ["IMMUTABLE", "STABLE", "VOLATILE", ""][random.random_range(0..4)];
    let strict = ["STRICT", "", ""][random.random_range(0..3)];
    let body = integer(3, number, random);
    let body =
        if random.random_bool(0.5) { format!("RETURN {body}") } else { format!("BEGIN ATOMIC SELECT {body}; END") };
    format!(
        "CREATE OR REPLACE FUNCTION f{number} (a int, b int, c text) RETURNS int LANGUAGE sql {volatility} {strict} {body}"
    )
}

fn value(random: &mut StdRng, of: &[&str]) -> String {
    of[random.random_range(0..of.len())].to_owned()
}

struct Counts {
    compared: usize,
    from_memory: usize,
}

/// Compares; an answer that is no error must come from memory in the end, unless a value could be an error.
fn compared(through: &mut RawClient, direct: &mut RawClient, sql: &str, counts: &mut Counts) {
    let started = Instant::now();
    loop {
        compare(through, direct, sql, Order::Any).unwrap();
        let route = through.last_route();
        let waits = ["analysis", "populating", "behind"].iter().any(|word| route.contains(word));
        if !waits || started.elapsed() > PATIENCE {
            counts.compared += 2;
            counts.from_memory += if route.starts_with("memory") { 2 } else { 0 };
            return;
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

#[test]
fn bodies_as_postgres_evaluates_them() {
    let mut random = rng::seeded("sql_functions");
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut through = RawClient::superuser(&weir.address());
    let mut direct = RawClient::superuser(&server.address());
    for number in 0..FUNCTIONS {
        direct.execute(&create(number, &mut random));
        direct.execute(&create_of_text(number, &mut random));
    }
    direct.execute("CREATE FUNCTION plus (x int, y int) RETURNS int IMMUTABLE RETURN x + y * 2");
    direct.execute("CREATE OPERATOR <+> (LEFTARG = int, RIGHTARG = int, FUNCTION = plus)");
    direct.execute("CREATE TABLE held (id int PRIMARY KEY, a int, b int, c text, n numeric(8,2))");
    let queries: Vec<String> = (0..FUNCTIONS)
        .map(|number| format!("SELECT id, f{number}(a, b, c) AS r, a <+> b AS p FROM held"))
        .chain((0..FUNCTIONS).map(|number| {
            format!("SELECT id, t{number}(b, a, c) AS r, t0(a, 1, c) AS z FROM held WHERE coalesce(t{number}(a, 2, c), 1) > 0")
        }))
        .chain([
            "SELECT f0(a, b, 'k') AS k, count(*) AS n, max(f1(a => b, c => c, b => a)) AS m FROM held GROUP BY 1"
                .to_owned(),
            "SELECT id, a, b, c, n FROM held".to_owned(),
        ])
        .collect();
    let names: Vec<String> = (0..queries.len()).map(|at| format!("kept{at}")).collect();
    for (name, query) in names.iter().zip(&queries) {
        through.execute(&format!(
            "SELECT pgtrickle.create_stream_table(name => '{name}', query => $q$ {query} $q$, schedule => '1s', \
             refresh_mode => 'DIFFERENTIAL')"
        ));
    }
    weir.wait_until_live(&names.iter().map(String::as_str).collect::<Vec<_>>());
    through.execute("SET weir.consistency = 'latest'");
    let stored = names.last().expect("there are stream tables").clone();
    let mut counts = Counts { compared: 0, from_memory: 0 };
    for round in 0..rng::rounds(6, 100) {
        for _ in 0..25 {
            let (a, b) = (
                value(&mut random, &["NULL", "0", "1", "2", "5", "-3"]),
                value(&mut random, &["NULL", "1", "2", "4", "0"]),
            );
            let c = value(&mut random, &["NULL", "''", "'ab'", "'Zo'"]);
            direct.execute(&format!(
                "INSERT INTO held VALUES ({}, {a}, {b}, {c}, {a} + 0.25) ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.a, \
                 b = EXCLUDED.b, c = EXCLUDED.c",
                random.random_range(0..60)
            ));
        }
        // Few rows for which a division fails.
        direct.execute(if round % 2 == 0 {
            "DELETE FROM held WHERE b = 0"
        } else {
            "DELETE FROM held WHERE id % 3 = 0"
        });
        for name in &names {
            compared(&mut through, &mut direct, &format!("SELECT * FROM {name}"), &mut counts);
        }
        for _ in 0..6 {
            let (f, g) = (random.random_range(0..FUNCTIONS), random.random_range(0..FUNCTIONS));
            let (x, y) = (integer(1, FUNCTIONS, &mut random), integer(1, FUNCTIONS, &mut random));
            let kind = ["f", "t"][random.random_range(0..2)];
            let sql =
                format!("SELECT id, {kind}{f}({x}, {y}, c) FROM {stored} WHERE {kind}{g}(a, {x}, c) > 1 OR id > 30");
            compared(&mut through, &mut direct, &sql, &mut counts);
        }
        // What is answered right after it is replaced is the new one's.
        let number = random.random_range(0..FUNCTIONS);
        direct.execute(&create(number, &mut random));
        direct.execute(&create_of_text(number, &mut random));
        compare(&mut through, &mut direct, &format!("SELECT * FROM kept{number}"), Order::Any).unwrap();
        compared(&mut through, &mut direct, &format!("SELECT * FROM kept{number}"), &mut counts);
        let of_text = format!("SELECT * FROM kept{}", FUNCTIONS + number);
        compare(&mut through, &mut direct, &of_text, Order::Any).unwrap();
        compared(&mut through, &mut direct, &of_text, &mut counts);
    }
    eprintln!("{} answers compared, {} from memory", counts.compared, counts.from_memory);
    assert!(counts.from_memory * 2 > counts.compared, "memory answers less than half");
}

#[test]
fn descriptions_and_refusals() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut pair = Pair::superuser(&server, &weir);
    pair.direct.execute(
        "CREATE TABLE held (id int PRIMARY KEY, n numeric(8,2));
         INSERT INTO held VALUES (1, 1.5), (2, NULL), (3, 7);
         CREATE FUNCTION same (n numeric) RETURNS numeric RETURN n;
         CREATE FUNCTION cut (n numeric) RETURNS numeric RETURN n::numeric(8,2);
         CREATE FUNCTION either (n numeric, m numeric) RETURNS numeric RETURN coalesce(n, m);
         CREATE FUNCTION twice (n numeric) RETURNS numeric RETURN n * 2;
         CREATE FUNCTION five (n numeric) RETURNS int RETURN 5;
         CREATE FUNCTION worded (n numeric) RETURNS numeric LANGUAGE sql AS 'SELECT n * 2';
         CREATE FUNCTION same_worded (n numeric) RETURNS numeric LANGUAGE sql AS 'SELECT n';
         CREATE FUNCTION today (n numeric) RETURNS date LANGUAGE sql AS $$ SELECT date 'today' $$;
         CREATE FUNCTION two (n numeric) RETURNS numeric LANGUAGE sql AS 'SELECT 1; SELECT n * 2';
         CREATE FUNCTION any_of (n anyelement) RETURNS anyelement LANGUAGE sql AS 'SELECT n';
         CREATE FUNCTION own (n numeric) RETURNS numeric SECURITY DEFINER RETURN n * 2;
         CREATE FUNCTION moment () RETURNS timestamptz RETURN now();
         CREATE FUNCTION other (n int) RETURNS bigint RETURN n;
         CREATE FUNCTION of_rows () RETURNS bigint RETURN (SELECT count(*) FROM held)",
    );
    pair.through.execute(
        "SELECT pgtrickle.create_stream_table(name => 'kept', query => 'SELECT id, n FROM held', schedule => '1s', \
         refresh_mode => 'DIFFERENTIAL')",
    );
    weir.wait_until_live(&["kept"]);
    let version: u32 = pair.direct.query("SHOW server_version_num").scalar().parse().expect("a number");
    let is_relabelled = version >= 150_000;
    pair.from_memory("SELECT id, twice(n) FROM kept ORDER BY id");
    pair.from_memory("SELECT id FROM kept WHERE twice(n) > 3 AND five(n) = 5 ORDER BY id");
    // Since 15 what stands in a call's place has the function's type without a modifier, but for an argument.
    for (sql, changes) in [
        ("SELECT same(n) FROM kept ORDER BY id", true),
        ("SELECT either(n, 1) FROM kept ORDER BY id", true),
        ("SELECT same(twice(n)), either(twice(n), 1) FROM kept ORDER BY id", false),
        ("SELECT cut(n) FROM kept ORDER BY id", !is_relabelled),
        ("SELECT coalesce(twice(n), 0) FROM kept ORDER BY id", false),
    ] {
        if changes {
            pair.forwarded(sql, "modifier");
        } else {
            pair.from_memory(sql);
        }
        pair.same_in_all_formats(sql);
    }
    let sql = "SELECT CASE five(n) WHEN 5 THEN n ELSE 1 END FROM kept ORDER BY id";
    pair.forwarded(sql, "modifier");
    pair.same_in_all_formats(sql);
    pair.from_memory("SELECT worded(n), $$worded$$ FROM kept WHERE worded(n) > 4 ORDER BY id");
    for (name, function) in [("doubled", "worded"), ("repeated", "same_worded")] {
        pair.through.execute(&format!(
            "SELECT pgtrickle.create_stream_table(name => '{name}', query => 'SELECT id, {function}(n) AS n FROM held', \
             schedule => '1s', refresh_mode => 'DIFFERENTIAL')"
        ));
    }
    pair.from_memory("SELECT n FROM doubled ORDER BY id");
    for sql in ["SELECT n FROM doubled ORDER BY id", "SELECT n FROM repeated ORDER BY id"] {
        pair.same_in_all_formats(sql);
    }
    pair.forwarded("SELECT n FROM repeated ORDER BY id", "modifier");
    for sql in [
        "SELECT today(n) FROM kept ORDER BY id",
        "SELECT two(n) FROM kept ORDER BY id",
        "SELECT any_of(id) FROM kept ORDER BY id",
        "SELECT own(n) FROM kept ORDER BY id",
        "SELECT id FROM kept WHERE moment() > '2020-01-01' ORDER BY id",
        "SELECT id FROM kept WHERE of_rows() > 2 ORDER BY id",
    ] {
        pair.forwarded(sql, "unsupported");
    }
}

/// What a body of text means is up to the session that reads it.
#[test]
fn texts_mean_what_the_session_means() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut admin = Pair::superuser(&server, &weir);
    admin.direct.execute(
        "SET check_function_bodies = off;
         CREATE TABLE held (id int PRIMARY KEY, a int); INSERT INTO held VALUES (1, 1), (2, 2), (3, NULL);
         CREATE SCHEMA one; CREATE SCHEMA two;
         CREATE FUNCTION one.more (a int) RETURNS int LANGUAGE sql AS 'SELECT a + 1';
         CREATE FUNCTION two.more (a int) RETURNS int LANGUAGE sql AS 'SELECT a + 2';
         CREATE FUNCTION two.minus (a int, b int) RETURNS int RETURN a * 1000 - b;
         CREATE OPERATOR two.- (LEFTARG = int, RIGHTARG = int, FUNCTION = two.minus);
         CREATE FUNCTION public.twice (a int) RETURNS int LANGUAGE sql AS $$ SELECT more(more(a)) * (2 - 1) $$;
         CREATE FUNCTION public.quoted (a int) RETURNS text LANGUAGE sql AS $$ SELECT 'a\\b' || a::text $$",
    );
    admin.through.execute(
        "SELECT pgtrickle.create_stream_table(name => 'kept', query => 'SELECT id, a FROM held', schedule => '1s', \
         refresh_mode => 'DIFFERENTIAL')",
    );
    weir.wait_until_live(&["kept"]);
    admin.direct.execute("CREATE VIEW over_kept AS SELECT id, twice(a) AS r FROM kept");
    let sql = "SELECT id, twice(a) FROM kept WHERE twice(a) > 1 OR a IS NULL ORDER BY id";
    for path in ["one, public", "two, public", "two, pg_catalog, public", "one, two, pg_catalog, public", "public, one"]
    {
        for _ in 0..2 {
            let mut pair = Pair::superuser(&server, &weir);
            pair.run(&format!("SET search_path = {path}"));
            pair.from_memory(sql);
            pair.from_memory("SELECT id, r FROM over_kept JOIN kept USING (id) WHERE r > 1 ORDER BY id");
        }
    }
    let mut pair = Pair::superuser(&server, &weir);
    assert_eq!(pair.same(sql).error.expect("there is no such function").code, "42883");
    for setting in ["on", "off"] {
        pair.run(&format!("SET standard_conforming_strings = {setting}"));
        let answers =
            [&mut pair.through, &mut pair.direct].map(|side| side.query("SELECT id, quoted(a) FROM kept ORDER BY id"));
        assert_eq!(answers[0], answers[1]);
    }
    pair.run("SET search_path = one, public");
    pair.from_memory(sql);
    // Replaced, and by another schema's: what is answered from then on is the new one's.
    pair.through.execute("SET weir.consistency = 'latest'");
    pair.direct.execute("CREATE OR REPLACE FUNCTION one.more (a int) RETURNS int LANGUAGE sql AS 'SELECT a + 7'");
    pair.from_memory(sql);
    pair.direct.execute("DROP FUNCTION one.more (int); CREATE FUNCTION public.more (a int) RETURNS int RETURN a");
    pair.from_memory(sql);
}

/// A definition holds what its creator means by such bodies; who means something else is answered by Postgres.
#[test]
fn texts_in_definitions_mean_what_their_creator_meant() {
    const MEANING: &str = "function body means something else";
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut admin = Pair::superuser(&server, &weir);
    admin.direct.execute(
        "SET check_function_bodies = off;
         CREATE TABLE held (id int PRIMARY KEY, a int); INSERT INTO held VALUES (1, 1), (2, 2), (3, NULL);
         CREATE SCHEMA one; CREATE SCHEMA two;
         CREATE FUNCTION one.more (a int) RETURNS int LANGUAGE sql AS 'SELECT a + 1';
         CREATE FUNCTION two.more (a int) RETURNS int LANGUAGE sql AS 'SELECT a + 2';
         CREATE FUNCTION public.twice (a int) RETURNS int LANGUAGE sql AS $$ SELECT more(more(a)) * (2 - 1) $$;
         CREATE FUNCTION public.day (a int) RETURNS date LANGUAGE sql AS $$ SELECT date '1.2.2024' + a $$;
         CREATE VIEW plain AS SELECT id, twice(a) AS r FROM held",
    );
    let create = |pair: &mut Pair, name: &str, query: &str| {
        pair.through.execute(&format!(
            "SELECT pgtrickle.create_stream_table(name => 'public.{name}', query => $q$ {query} $q$, schedule => '1s', \
             refresh_mode => 'DIFFERENTIAL')"
        ));
    };
    let mut ones = Pair::superuser(&server, &weir);
    ones.run("SET search_path = one, two, public");
    create(&mut ones, "doubled", "SELECT id, twice(a) AS r FROM held");
    create(&mut ones, "summed", "SELECT sum(r) AS s, max(twice(id)) AS m FROM doubled");
    create(&mut ones, "viewed", "SELECT count(*) AS n, min(r) AS r FROM plain");
    ones.run("SET DateStyle = 'iso, dmy'");
    create(&mut ones, "dated", "SELECT id, day(a) AS d FROM held");
    let mut twos = Pair::superuser(&server, &weir);
    twos.run("SET search_path = two, public");
    let reads = [
        "SELECT * FROM doubled ORDER BY id",
        "SELECT * FROM summed",
        "SELECT * FROM viewed",
        "SELECT id, r + 1 FROM doubled WHERE r > 3 AND id = 2",
    ];
    let check = |ones: &mut Pair, twos: &mut Pair| {
        for sql in reads {
            ones.from_memory(sql);
            twos.forwarded(sql, MEANING);
            // No literal in it changes that.
            twos.forwarded(&format!("{sql} LIMIT 7"), MEANING);
        }
    };
    check(&mut ones, &mut twos);
    ones.direct.execute("INSERT INTO held VALUES (4, 10); UPDATE held SET a = 5 WHERE id = 1");
    ones.run("SET weir.consistency = 'latest'");
    check(&mut ones, &mut twos);
    // What a literal in it says is up to the session, too.
    ones.from_memory("SELECT * FROM dated ORDER BY id");
    let mut american = Pair::superuser(&server, &weir);
    american.run("SET search_path = one, two, public; SET DateStyle = 'iso, mdy'");
    american.forwarded("SELECT * FROM dated ORDER BY id", MEANING);
    // To whom another path means the same, memory answers; without a schema there is no such function.
    let mut same = Pair::superuser(&server, &weir);
    same.run("SET search_path = public, one");
    same.from_memory(reads[0]);
    same.run("SET search_path = public");
    assert_eq!(same.same(reads[0]).error.expect("there is no such function").code, "42883");
    // A table cannot be made of two meanings.
    create_as_auto(&mut twos, "mixed", "SELECT d.id, twice(d.id) AS r FROM doubled d");
    ones.forwarded("SELECT * FROM mixed ORDER BY id", "out of service");
    // Called within, the function is replaced; and then another one is meant, by a name in the text.
    ones.direct.execute("CREATE OR REPLACE FUNCTION one.more (a int) RETURNS int LANGUAGE sql AS 'SELECT a + 7'");
    ones.same(reads[0]);
    check(&mut ones, &mut twos);
    ones.direct.execute("DROP FUNCTION one.more (int)");
    for sql in reads {
        ones.same(sql);
        ones.from_memory(sql);
        twos.from_memory(sql);
    }
    ones.direct.execute("CREATE FUNCTION one.more (a int) RETURNS int RETURN a + 9");
    ones.same(reads[0]);
    check(&mut ones, &mut twos);
    // Strictness is of the meaning, too.
    ones.direct.execute(
        "CREATE OR REPLACE FUNCTION two.more (a int) RETURNS int STRICT LANGUAGE sql AS 'SELECT coalesce(a, 3)'",
    );
    ones.direct.execute("DROP FUNCTION one.more (int)");
    for sql in reads {
        ones.same(sql);
        ones.from_memory(sql);
    }
    ones.direct.execute("ALTER FUNCTION two.more (int) CALLED ON NULL INPUT");
    for sql in reads {
        ones.same(sql);
        ones.from_memory(sql);
    }
}

/// Also what cannot be maintained.
fn create_as_auto(pair: &mut Pair, name: &str, query: &str) {
    pair.through.execute(&format!(
        "SELECT pgtrickle.create_stream_table(name => 'public.{name}', query => $q$ {query} $q$, schedule => '1s')"
    ));
}

#[test]
fn who_may_execute() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut admin = Pair::superuser(&server, &weir);
    admin.direct.execute(
        "CREATE ROLE reader LOGIN;
         CREATE TABLE held (id int PRIMARY KEY, a int); INSERT INTO held VALUES (1, 1), (2, 2);
         CREATE FUNCTION inner_one (a int) RETURNS int IMMUTABLE RETURN a + 1;
         CREATE FUNCTION outer_one (a int) RETURNS int STABLE RETURN inner_one(a) * 2;
         CREATE FUNCTION worded (a int) RETURNS int LANGUAGE sql AS 'SELECT outer_one(a)';
         GRANT SELECT ON held TO reader",
    );
    let queries = [
        ("plain", "SELECT id, a FROM held"),
        ("made", "SELECT id, outer_one(a) AS r FROM held"),
        ("told", "SELECT id, worded(a) AS r FROM held"),
    ];
    for (name, query) in queries {
        admin.through.execute(&format!(
            "SELECT pgtrickle.create_stream_table(name => '{name}', query => '{query}', schedule => '1s', \
             refresh_mode => 'DIFFERENTIAL')"
        ));
    }
    weir.wait_until_live(&["plain", "made", "told"]);
    admin.direct.execute("GRANT SELECT ON plain, made, told TO reader");
    std::thread::sleep(NOTICE);
    let mut reader = Pair::of(&server, &weir, "reader", &[]);
    let reads = [
        "SELECT * FROM made ORDER BY id",
        "SELECT id FROM made WHERE r = 4",
        "SELECT * FROM told ORDER BY id",
        "SELECT id, outer_one(a) FROM plain ORDER BY id",
        "SELECT id FROM plain WHERE id = 1 AND outer_one(a) = 4",
    ];
    for function in ["outer_one(int)", "inner_one(int)"] {
        for sql in reads {
            reader.from_memory(sql);
        }
        admin.direct.execute(&format!("REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC"));
        std::thread::sleep(NOTICE);
        for sql in reads {
            reader.refused(sql, "42501");
        }
        reader.from_memory("SELECT id FROM made ORDER BY id");
        admin.direct.execute(&format!("GRANT EXECUTE ON FUNCTION {function} TO reader"));
        std::thread::sleep(NOTICE);
    }
}
