//! Session state that changes results or their rendering: whatever it is set by, and however it ends, an answer through
//! Weir is the one Postgres gives in the same state.

use postgres_protocol::message::frontend;
use std::time::{Duration, Instant};
use weir_tests::pair::Pair;
use weir_tests::postgres::TestServer;
use weir_tests::weir::TestWeir;
use weir_tests::wire::{Message, RawClient, bind};

const READ: &str = "SELECT * FROM events ORDER BY id";
const COUNT: &str = "SELECT count(*) FROM events";

struct Stack {
    server: TestServer,
    weir: TestWeir,
    admin: RawClient,
}

/// A server with one stream table whose columns are rendered by settings.
fn stack() -> Stack {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut admin = RawClient::superuser(&server.address());
    RawClient::superuser(&weir.address()).execute(
        "CREATE TABLE event (id int PRIMARY KEY, at timestamptz, local timestamp, day date, took interval, f float8, \
         g float4, b bytea, name text); \
         INSERT INTO event VALUES \
         (1, '2026-03-29 01:30:00.25+00', '2026-03-29 01:30', '2026-12-01', '1 mon -2 days 3:04:05.6', 0.1, 0.3, \
          '\\xdeadbeef', 'plain'), \
         (2, 'infinity', '-infinity', '0044-03-15 BC', '-1 year', 'NaN', '-Infinity', '\\x00', 'it''s \\ back'), \
         (3, '1850-01-01 12:00+00', NULL, NULL, '0', 1e300, 1e-40, NULL, 'Zoë')",
    );
    create(&weir);
    admin.execute("CREATE ROLE reader LOGIN; GRANT SELECT ON events TO reader");
    Stack { server, weir, admin }
}

fn create(weir: &TestWeir) {
    let mut client = RawClient::superuser(&weir.address());
    client.execute("SELECT pgtrickle.create_stream_table('events', 'SELECT * FROM event', '1s')");
    weir.wait_until_live(&["events"]);
}

fn pair(stack: &Stack) -> Pair {
    Pair::superuser(&stack.server, &stack.weir)
}

/// Often enough for an analysis to be done in between.
fn read_often(pair: &mut Pair) {
    for _ in 0..4 {
        pair.same_in_all_formats(READ);
        pair.same_in_all_formats("SELECT name, at FROM events WHERE at > '01/02/2026' OR name = 'a\\b' ORDER BY id");
        std::thread::sleep(Duration::from_millis(25));
    }
}

#[test]
fn settings_by_set_set_local_set_config_and_their_ends() {
    let stack = stack();
    let mut pair = pair(&stack);
    pair.from_memory(READ);
    for (name, values) in [
        ("TimeZone", &["Europe/Berlin", "America/St_Johns", "<+0530>-05:30", "-7"][..]),
        ("DateStyle", &["SQL, DMY", "German", "Postgres, MDY", "ISO, YMD"]),
        ("IntervalStyle", &["iso_8601", "sql_standard", "postgres_verbose"]),
        ("extra_float_digits", &["0", "-3", "3", "-15"]),
        ("bytea_output", &["escape"]),
        ("standard_conforming_strings", &["off"]),
        ("transform_null_equals", &["on"]),
        ("default_transaction_read_only", &["on"]),
        ("default_transaction_deferrable", &["on"]),
    ] {
        for value in values {
            pair.run(&format!("SET {name} = '{value}'"));
            read_often(&mut pair);
            pair.run(&format!("RESET {name}"));
            pair.run(&format!("SELECT set_config('{name}', '{value}', false)"));
            pair.same_in_all_formats(READ);
            pair.run("RESET ALL");
            for end in ["COMMIT", "ROLLBACK"] {
                pair.run("BEGIN");
                pair.run(READ);
                pair.run(&format!("SET LOCAL {name} = '{value}'"));
                pair.same_in_all_formats(READ);
                pair.run(end);
                pair.same_in_all_formats(READ);
            }
            pair.run("BEGIN");
            pair.run("SAVEPOINT a");
            pair.run(&format!("SET {name} = '{value}'"));
            pair.same_in_all_formats(READ);
            pair.run("ROLLBACK TO a");
            pair.same_in_all_formats(READ);
            pair.run("COMMIT");
            pair.same_in_all_formats(READ);
        }
    }
    pair.from_memory(READ);
}

#[test]
fn names_are_quoted_as_the_session_says() {
    let stack = stack();
    let mut pair = pair(&stack);
    let read = "SELECT id, quote_ident(name), format('%I', bytea_output) FROM \
                (SELECT id, name, 'plain' AS bytea_output FROM events) e ORDER BY id";
    pair.from_memory(read);
    pair.run("SET quote_all_identifiers = on");
    pair.forwarded(read, "quote_all_identifiers is on");
    pair.run("RESET quote_all_identifiers");
    pair.from_memory(read);
}

#[test]
fn settings_of_the_role_the_database_and_the_start_up_packet() {
    let mut stack = stack();
    let defaults = "ALTER ROLE reader SET DateStyle = 'German'; ALTER ROLE reader SET TimeZone = 'Asia/Tokyo'; \
         ALTER ROLE reader IN DATABASE postgres SET bytea_output = 'escape'; ALTER DATABASE postgres SET extra_float_digits = 0";
    stack.admin.execute(defaults);
    read_often(&mut Pair::of(&stack.server, &stack.weir, "reader", &[]));
    read_often(&mut Pair::of(&stack.server, &stack.weir, "reader", &[("DateStyle", "ISO"), ("TimeZone", "UTC")]));
    let options = "-c IntervalStyle=iso_8601 -c extra_float_digits=-2";
    read_often(&mut Pair::of(&stack.server, &stack.weir, "reader", &[("options", options)]));
    // While a session is open, a new default is for later sessions.
    let mut pair = Pair::of(&stack.server, &stack.weir, "reader", &[]);
    pair.same_in_all_formats(READ);
    stack.admin.execute("ALTER ROLE reader SET DateStyle = 'ISO, MDY'");
    read_often(&mut pair);
    read_often(&mut Pair::of(&stack.server, &stack.weir, "reader", &[]));
}

#[test]
fn client_encodings_and_characters_they_do_not_have() {
    let mut stack = stack();
    let mut pair = Pair::of(&stack.server, &stack.weir, "postgres", &[("client_encoding", "LATIN1")]);
    pair.same_in_all_formats(READ);
    pair.forwarded(READ, "client encoding");
    pair.run("SET client_encoding = 'UTF8'");
    pair.from_memory(READ);
    stack.admin.execute("INSERT INTO event (id, name) VALUES (4, 'emoji 🎲 名前')");
    pair.run("SET weir.consistency = 'latest'");
    pair.from_memory(READ);
    for encoding in ["LATIN1", "EUC_JP", "SQL_ASCII"] {
        pair.run(&format!("SET client_encoding = '{encoding}'"));
        for _ in 0..3 {
            pair.same_in_all_formats(READ);
        }
        let answer = pair.same(READ);
        assert_eq!(answer.error.map(|error| error.code), (encoding != "SQL_ASCII").then(|| "22P05".to_owned()));
    }
    pair.run("RESET client_encoding");
    pair.run("SET client_encoding = 'UTF8'");
    pair.from_memory(READ);
    // Text that is not UTF8.
    for sql in [&b"SELECT name FROM events WHERE name = '\xff'"[..], b"SELECT count(*) AS \"\xe9\" FROM events"] {
        pair.same_messages("not UTF8", |client| {
            let mut out = vec![b'Q'];
            out.extend((sql.len() as u32 + 5).to_be_bytes());
            out.extend(sql);
            out.push(0);
            client.send(&out).and_then(|()| client.receive_until(b'Z')).expect("the session goes on")
        });
    }
}

#[test]
fn isolation_by_begin_set_role_and_database() {
    let mut stack = stack();
    let mut pair = pair(&stack);
    pair.from_memory(COUNT);
    let mut next = 100;
    // Another commit in the middle: who holds a snapshot must not see it, who does not must.
    let mut within_a_block = |pair: &mut Pair, admin: &mut RawClient, begin: &str, moves: bool| {
        for sql in begin.split("; ") {
            pair.run(sql);
        }
        let before = pair.same(COUNT).scalar();
        next += 1;
        admin.execute(&format!("INSERT INTO event (id) VALUES ({next})"));
        // A forwarded statement moves the bookmark where a new snapshot is taken.
        pair.same("SELECT count(*) FROM event");
        let after = pair.same(COUNT).scalar();
        assert_eq!(before != after, moves, "{begin}: {before}, {after}");
        pair.run("COMMIT");
        pair.same("SELECT 1");
        assert_ne!(pair.same(COUNT).scalar(), before, "{begin}: the session goes on");
    };
    for (begin, moves) in [
        ("BEGIN", true),
        ("BEGIN ISOLATION LEVEL READ COMMITTED", true),
        ("BEGIN ISOLATION LEVEL READ UNCOMMITTED", true),
        ("START TRANSACTION ISOLATION LEVEL REPEATABLE READ", false),
        ("BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE", false),
        ("BEGIN; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", false),
        ("SET default_transaction_isolation = 'repeatable read'; BEGIN", false),
        ("BEGIN ISOLATION LEVEL READ COMMITTED", true),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE; BEGIN READ WRITE", false),
        ("RESET default_transaction_isolation; BEGIN", true),
    ] {
        within_a_block(&mut pair, &mut stack.admin, begin, moves);
    }
    stack.admin.execute("ALTER ROLE reader SET default_transaction_isolation = 'repeatable read'");
    stack.admin.execute("GRANT SELECT ON event TO reader");
    let mut reader = Pair::of(&stack.server, &stack.weir, "reader", &[]);
    reader.forwarded(COUNT, "isolation");
    within_a_block(&mut reader, &mut stack.admin, "BEGIN", false);
    within_a_block(&mut reader, &mut stack.admin, "BEGIN ISOLATION LEVEL READ COMMITTED", true);
    stack.admin.execute("ALTER DATABASE postgres SET default_transaction_isolation = 'serializable'");
    let mut fresh = Pair::superuser(&stack.server, &stack.weir);
    within_a_block(&mut fresh, &mut stack.admin, "BEGIN", false);
    stack.admin.execute("ALTER DATABASE postgres RESET default_transaction_isolation");
}

#[test]
fn read_only_transactions() {
    let stack = stack();
    let mut pair = pair(&stack);
    pair.from_memory(COUNT);
    for begin in
        ["BEGIN READ ONLY", "BEGIN; SET TRANSACTION READ ONLY", "SET default_transaction_read_only = on; BEGIN"]
    {
        for sql in begin.split("; ") {
            pair.run(sql);
        }
        pair.run(COUNT);
        assert_eq!(pair.same("INSERT INTO event (id) VALUES (50)").error.expect("refused").code, "25006", "{begin}");
        assert_eq!(pair.same(COUNT).error.expect("refused").code, "25P02");
        pair.run("ROLLBACK");
        pair.run(COUNT);
    }
    // After a read, the way back to READ WRITE is closed, whoever gave the answer.
    pair.run("RESET default_transaction_read_only");
    pair.run("BEGIN READ ONLY");
    pair.run(COUNT);
    assert_eq!(pair.same("SET TRANSACTION READ WRITE").error.expect("refused").code, "25001");
    pair.run("ROLLBACK");
}

#[test]
fn idle_timeouts_count_what_the_client_does() {
    let stack = stack();
    let mut client = RawClient::superuser(&stack.weir.address());
    client.execute(COUNT);
    client.execute("SET idle_in_transaction_session_timeout = '600ms'");
    client.execute(COUNT);
    client.execute("BEGIN");
    // Active for longer than the timeout, never idle for so long.
    for _ in 0..8 {
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(client.query(COUNT).error, None);
    }
    client.execute("COMMIT");
    client.execute("BEGIN");
    client.execute(COUNT);
    std::thread::sleep(Duration::from_millis(2500));
    let ended = client.try_query("SELECT 1");
    assert!(
        ended.as_ref().map_or(true, |answer| answer.error.as_ref().is_some_and(|error| error.code == "25P03")),
        "{ended:?}"
    );
}

/// Sends and reads up to ReadyForQuery.
fn exchange(client: &mut RawClient, build: impl Fn(&mut bytes::BytesMut)) -> Vec<Message> {
    let mut out = bytes::BytesMut::new();
    build(&mut out);
    client.send(&out).and_then(|()| client.receive_until(b'Z')).expect("the connection holds")
}

fn prepare(pair: &mut Pair, name: &str, sql: &str) {
    pair.same_messages(sql, |client| {
        exchange(client, |out| {
            frontend::parse(name, sql, [], out).expect("no zero byte");
            frontend::describe(b'S', name, out).expect("no zero byte");
            frontend::sync(out);
        })
    });
}

fn execute(pair: &mut Pair, name: &str, parameters: &[Option<&str>]) -> Vec<Message> {
    pair.same_messages(name, |client| {
        exchange(client, |out| {
            bind("", name, parameters, 0, out);
            frontend::describe(b'P', "", out).expect("no zero byte");
            frontend::execute("", 0, out).expect("no zero byte");
            frontend::sync(out);
        })
    })
}

fn execute_from_memory(pair: &mut Pair, name: &str, parameters: &[Option<&str>]) {
    let started = Instant::now();
    loop {
        execute(pair, name, parameters);
        let route = pair.through.last_route();
        if route == "memory" {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{name}: {route}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn failed(messages: &[Message], code: &str) -> bool {
    let code = [b"\0C", code.as_bytes(), b"\0"].concat();
    messages.iter().any(|m| m.tag == b'E' && m.body.windows(code.len()).any(|window| window == code))
}

#[test]
fn statements_that_survive_an_error_and_statements_that_die_with_it() {
    let stack = stack();
    let mut pair = pair(&stack);
    prepare(&mut pair, "named", COUNT);
    prepare(&mut pair, "divides", "SELECT id / $1 AS q FROM events ORDER BY id");
    execute_from_memory(&mut pair, "named", &[]);
    execute_from_memory(&mut pair, "divides", &[Some("2")]);
    assert!(failed(&execute(&mut pair, "divides", &[Some("0")]), "22012"));
    execute_from_memory(&mut pair, "divides", &[Some("2")]);
    // Prepared in a transaction that is rolled back: it stays.
    pair.run("BEGIN");
    prepare(&mut pair, "inside", COUNT);
    pair.same("SELECT 1/0");
    assert!(failed(&execute(&mut pair, "inside", &[]), "25P02"));
    pair.run("ROLLBACK");
    execute_from_memory(&mut pair, "inside", &[]);
    // A Parse that fails makes no name, and one that fails for a name in use leaves the old.
    prepare(&mut pair, "broken", "SELECT nope FROM events");
    assert!(failed(&execute(&mut pair, "broken", &[]), "26000"));
    prepare(&mut pair, "named", "SELECT name FROM events");
    execute_from_memory(&mut pair, "named", &[]);
    // The unnamed statement survives ReadyForQuery and dies with the next Parse, even if that fails.
    prepare(&mut pair, "", COUNT);
    execute_from_memory_unnamed(&mut pair);
    prepare(&mut pair, "", "SELEC 1");
    assert!(failed(&execute(&mut pair, "", &[]), "26000"));
    for gone in ["DEALLOCATE named", "DEALLOCATE ALL", "DISCARD ALL"] {
        pair.run(gone);
        assert!(failed(&execute(&mut pair, "named", &[]), "26000"), "{gone}");
        prepare(&mut pair, "named", COUNT);
        execute_from_memory(&mut pair, "named", &[]);
    }
}

fn execute_from_memory_unnamed(pair: &mut Pair) {
    for _ in 0..5 {
        assert!(!execute(pair, "", &[]).iter().any(|message| message.tag == b'E'));
    }
}

#[test]
fn a_prepared_read_whose_stream_table_changes() {
    let mut stack = stack();
    let mut pair = pair(&stack);
    prepare(&mut pair, "all", READ);
    prepare(&mut pair, "some", "SELECT id, name FROM events WHERE id = $1");
    execute_from_memory(&mut pair, "all", &[]);
    execute_from_memory(&mut pair, "some", &[Some("1")]);
    let mut manager = RawClient::superuser(&stack.weir.address());
    let settle = || std::thread::sleep(Duration::from_millis(1500));
    // Renamed column: the statement that names it fails, as one that takes what there is has another result type.
    stack.admin.execute("ALTER VIEW events RENAME COLUMN name TO title");
    settle();
    execute(&mut pair, "all", &[]);
    execute(&mut pair, "some", &[Some("1")]);
    stack.admin.execute("ALTER VIEW events RENAME COLUMN title TO name");
    settle();
    execute(&mut pair, "all", &[]);
    execute(&mut pair, "some", &[Some("1")]);
    // Another definition, one column more.
    manager.execute("SELECT pgtrickle.alter_stream_table('events', query => 'SELECT *, id * 2 AS twice FROM event')");
    settle();
    let changed = execute(&mut pair, "all", &[]);
    assert!(failed(&changed, "0A000"), "cached plan must not change result type: {changed:?}");
    execute(&mut pair, "some", &[Some("1")]);
    prepare(&mut pair, "all again", READ);
    execute_from_memory(&mut pair, "all again", &[]);
    // Dropped, and made again under the same name with other types.
    manager.execute("SELECT pgtrickle.drop_stream_table('events')");
    settle();
    assert!(failed(&execute(&mut pair, "all again", &[]), "42P01"));
    assert!(failed(&execute(&mut pair, "some", &[Some("1")]), "42P01"));
    manager.execute(
        "SELECT pgtrickle.create_stream_table('events', 'SELECT id::bigint AS id, name FROM event WHERE id < 3', '1s')",
    );
    stack.weir.wait_until_live(&["events"]);
    for _ in 0..4 {
        assert!(failed(&execute(&mut pair, "all again", &[]), "0A000"));
        execute(&mut pair, "some", &[Some("1")]);
        std::thread::sleep(Duration::from_millis(50));
    }
    prepare(&mut pair, "new", READ);
    execute_from_memory(&mut pair, "new", &[]);
    pair.from_memory(READ);
}

#[test]
fn a_prepared_read_whose_base_table_changes() {
    let mut stack = stack();
    let mut pair = pair(&stack);
    pair.run("SET weir.consistency = 'latest'");
    prepare(&mut pair, "all", READ);
    execute_from_memory(&mut pair, "all", &[]);
    for change in [
        "ALTER TABLE event ADD COLUMN extra int",
        "ALTER TABLE event RENAME COLUMN f TO force",
        "ALTER TABLE event RENAME TO incident",
        "TRUNCATE incident",
        "ALTER TABLE incident RENAME TO event",
        "INSERT INTO event (id, name) VALUES (7, 'again')",
    ] {
        stack.admin.execute(change);
        for _ in 0..4 {
            execute(&mut pair, "all", &[]);
            pair.same_in_all_formats(READ);
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    // Out of service for a while, by hand.
    let mut manager = RawClient::superuser(&stack.weir.address());
    manager.execute("SELECT pgtrickle.alter_stream_table('events', status => 'SUSPENDED')");
    execute(&mut pair, "all", &[]);
    stack.admin.execute("INSERT INTO event (id, name) VALUES (8, 'suspended')");
    for _ in 0..4 {
        execute(&mut pair, "all", &[]);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(pair.through.last_route().starts_with("forwarded"), "{}", pair.through.last_route());
    manager.execute("SELECT pgtrickle.resume_stream_table('events')");
    execute_from_memory(&mut pair, "all", &[]);
}
