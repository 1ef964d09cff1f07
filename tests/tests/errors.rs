//! Bad input: Postgres' own error or a clear one with an SQLSTATE and the remedy; and the connection stays usable.

use std::process::Command;
use std::time::{Duration, Instant};
use weir_tests::pair::Pair;
use weir_tests::postgres::{SUPERUSER, TestServer};
use weir_tests::weir::{TestWeir, binary};
use weir_tests::wire::{RawClient, ServerError};

/// What is waited for comes within this time, or never.
const PATIENCE: Duration = Duration::from_secs(20);

fn stack() -> (TestServer, TestWeir, RawClient) {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut client = RawClient::superuser(&weir.address());
    client.execute("CREATE TABLE item (id int PRIMARY KEY, grp text, n int); INSERT INTO item VALUES (1, 'a', 1)");
    client.execute(
        "SELECT pgtrickle.create_stream_table('items', 'SELECT grp, SUM(n) AS total FROM item GROUP BY grp', '1s')",
    );
    weir.wait_until_live(&["items"]);
    (server, weir, client)
}

fn error(client: &mut RawClient, sql: &str) -> ServerError {
    let error = client.query(sql).error.unwrap_or_else(|| panic!("no error: {sql}"));
    assert_eq!(client.execute("SELECT 1").scalar(), "1", "the session goes on after {sql}");
    error
}

fn create(rest: &str) -> String {
    format!("SELECT pgtrickle.create_stream_table({rest})")
}

#[test]
fn creation_refuses_bad_input() {
    let (_server, weir, mut client) = stack();
    for (arguments, code) in [
        ("'x', 'SELECT * FROM no_such_table'", "42P01"),
        ("'x', 'SELECT no_such_column FROM item'", "42703"),
        ("'x', 'SELEC 1'", "42601"),
        ("'x', 'SELECT 1; DROP TABLE item'", "42601"),
        ("'x', 'DELETE FROM item RETURNING id'", "42601"),
        ("'x', ''", "22023"),
        ("'items', 'SELECT id FROM item'", "42P07"),
        ("'item', 'SELECT id FROM item'", "42P07"),
        ("'x', 'SELECT id FROM item', 'every now and then'", "22023"),
        ("'x', 'SELECT id FROM item', '-5s'", "22023"),
        ("'x', 'SELECT id FROM item', '0s'", "22023"),
        ("'x', 'SELECT id FROM item', '1s', 'SOMETIMES'", "22023"),
        ("'x', 'SELECT id FROM item', '1s', sink => 'kafka'", "22023"),
        ("'x', 'SELECT id FROM x', '1s'", "42P01"),
        ("'no_such_schema.x', 'SELECT id FROM item'", "3F000"),
        ("'x', 'SELECT random() AS r FROM item', '1s', 'DIFFERENTIAL'", "0A000"),
    ] {
        let found = error(&mut client, &create(arguments));
        assert_eq!(found.code, code, "{arguments}: {found:?}");
    }
    assert_eq!(
        client.execute("SELECT count(*) FROM pgtrickle.pgt_stream_tables").scalar(),
        "1",
        "nothing was left behind"
    );
    assert_eq!(client.execute("SELECT total FROM items").scalar(), "1");
    drop(weir);
}

#[test]
fn differential_refusals_name_the_construct() {
    let (_server, _weir, mut client) = stack();
    let found = error(&mut client, &create("'x', 'SELECT random() AS r FROM item', '1s', 'DIFFERENTIAL'"));
    assert!(found.message.contains("random") || format!("{:?}", found.fields).contains("random"), "{found:?}");
}

#[test]
fn cycles_are_refused() {
    let (_server, _weir, mut client) = stack();
    client.execute(&create("'a', 'SELECT grp, total FROM items', '1s'"));
    client.execute(&create("'b', 'SELECT grp, total FROM a', '1s'"));
    let found = error(&mut client, "SELECT pgtrickle.alter_stream_table('a', query => 'SELECT grp, total FROM b')");
    assert!(["3F000", "42P17"].contains(&found.code.as_str()), "{found:?}");
    assert_eq!(client.execute("SELECT total FROM b").scalar(), "1", "the old definition stays");
}

#[test]
fn reads_fail_as_in_postgres() {
    let (server, _weir, mut client) = stack();
    let mut direct = RawClient::superuser(&server.address());
    for sql in [
        "SELECT * FROM no_such_stream_table",
        "SELECT nope FROM items",
        "SELECT total / 0 FROM items",
        "SELECT grp::int FROM items",
        "SELECT * FROM items WHERE grp = 1",
        "SELEC * FROM items",
        "SELECT * FROM items ORDER BY 5",
        "SELECT (SELECT total FROM items, generate_series(1, 2))",
        "SELECT total FROM items GROUP BY grp",
        "SELECT 2147483647 + total::int FROM items",
        "INSERT INTO items VALUES ('b', 2)",
        "UPDATE items SET total = 0",
        "DELETE FROM items",
        "TRUNCATE items",
        "LOCK items IN EXCLUSIVE MODE; SELECT 1/0",
    ] {
        let (ours, theirs) = (error(&mut client, sql), error(&mut direct, sql));
        assert_eq!(ours.fields, theirs.fields, "{sql}");
    }
    // With the extended protocol too, up to Sync.
    for sql in ["SELECT total / 0 FROM items", "SELECT nope FROM items"] {
        assert_eq!(client.extended(sql, &[], 1), direct.extended(sql, &[], 1), "{sql}");
        assert_eq!(client.execute("SELECT 1").scalar(), "1");
    }
}

#[test]
fn stream_tables_cannot_be_written() {
    let (_server, _weir, mut client) = stack();
    client.execute(&create("'plain', 'SELECT id, grp FROM item', '1s'"));
    for sql in [
        "INSERT INTO plain VALUES (2, 'b')",
        "UPDATE plain SET grp = 'c'",
        "DELETE FROM plain",
        "INSERT INTO items VALUES ('b', 2)",
    ] {
        assert_eq!(error(&mut client, sql).code, "55000", "{sql}");
    }
    assert_eq!(client.execute("SELECT count(*) FROM item").scalar(), "1");
}

#[test]
fn missing_privileges() {
    let (_server, weir, mut client) = stack();
    client.execute("CREATE ROLE reader LOGIN; CREATE ROLE stranger LOGIN; GRANT SELECT ON items TO reader");
    let connect = |user: &str| {
        RawClient::connect(&weir.address(), &[("user", user), ("database", "postgres")], "").expect("trust")
    };
    let (mut reader, mut stranger) = (connect("reader"), connect("stranger"));
    assert_eq!(reader.execute("SELECT total FROM items").scalar(), "1");
    assert_eq!(reader.execute("SELECT total FROM items").scalar(), "1", "again, now that it may come from memory");
    assert_eq!(error(&mut stranger, "SELECT total FROM items").code, "42501");
    assert_eq!(error(&mut reader, "SELECT * FROM item").code, "42501");
    client.execute("REVOKE SELECT ON items FROM reader");
    assert_eq!(error(&mut reader, "SELECT total FROM items").code, "42501", "at once after REVOKE");
    client.execute("GRANT SELECT ON items TO reader");
    assert_eq!(reader.execute("SELECT total FROM items").scalar(), "1");
    reader.execute("SET ROLE reader");
    client.execute("SET ROLE stranger");
    assert_eq!(error(&mut client, "SELECT total FROM items").code, "42501", "the effective role counts");
}

#[test]
fn what_the_server_lacks_is_named_with_its_remedy() {
    let server = TestServer::options().conf("wal_level = replica").start();
    let check = Command::new(binary()).args(["check", "--capture", "wal", "--upstream", &server.url()]).output();
    let check = check.expect("weir runs");
    let said = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(
        said.contains("ALTER SYSTEM SET wal_level = logical"),
        "{said}\n{}",
        String::from_utf8_lossy(&check.stderr)
    );
    assert!(!check.status.success(), "weir check fails when something is missing");
    // Weir forwards, and a stream table is refused with the remedy.
    let weir = TestWeir::start_with(&server, &["--capture", "wal"]);
    let mut client = RawClient::superuser(&weir.address());
    client.execute("CREATE TABLE item (id int PRIMARY KEY)");
    let found = error(&mut client, &create("'x', 'SELECT id FROM item', '1s'"));
    assert_eq!(found.code, "55000");
    assert!(format!("{:?}", found.fields).contains("wal_level"), "{:?}", found.fields);
}

/// What counts characters or bytes would answer wrongly.
#[test]
fn databases_in_other_encodings_are_postgres_own() {
    let server = TestServer::start();
    RawClient::superuser(&server.address())
        .execute("CREATE DATABASE other ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    let url = server.url();
    let url = format!("{}/other", url.rsplit_once('/').expect("a URL with a database").0);
    let check = Command::new(binary()).args(["check", "--upstream", &url]).output().expect("weir runs");
    let said = String::from_utf8_lossy(&check.stdout);
    assert!(!check.status.success() && said.contains("encoding is SQL_ASCII"), "{said}");
    let weir = TestWeir::start_as(&server, &url, &[]);
    let parameters = [("user", SUPERUSER), ("database", "other"), ("client_encoding", "UTF8")];
    let mut client = RawClient::connect(&weir.address(), &parameters, SUPERUSER).expect("a session");
    client.execute("CREATE TABLE item (id int PRIMARY KEY, t text); INSERT INTO item VALUES (1, 'é')");
    let found = error(&mut client, &create("'x', 'SELECT id, t FROM item', '1s'"));
    assert!(format!("{found:?} {:?}", found.fields).contains("encoding is SQL_ASCII"), "{found:?} {:?}", found.fields);
    assert_eq!(client.execute("SELECT length(t) FROM item").scalar(), "2");
}

#[test]
fn tables_that_cannot_be_watched_are_refused_with_a_reason() {
    let (_server, _weir, mut client) = stack();
    client.execute("CREATE UNLOGGED TABLE scratch (id int PRIMARY KEY)");
    let found = error(&mut client, &create("'x', 'SELECT id FROM scratch', '1s', 'DIFFERENTIAL'"));
    assert!(format!("{:?}", found.fields).contains("unlogged"), "{:?}", found.fields);
    client.execute("INSERT INTO scratch VALUES (1); UPDATE scratch SET id = 2; DELETE FROM scratch");
}

#[test]
fn weir_check_is_content_with_a_good_server() {
    let server = TestServer::start();
    let _weir = TestWeir::start(&server);
    let check = Command::new(binary()).args(["check", "--upstream", &server.url()]).output().expect("weir runs");
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
}

/// A partition is copied by its own name, for which a privilege on the partitioned table does not count.
#[test]
fn weir_check_names_what_its_role_may_not_read() {
    let server = TestServer::start();
    let mut admin = RawClient::superuser(&server.address());
    // A superuser while it installs its SQL and watches the tables.
    admin.execute("CREATE ROLE weir LOGIN SUPERUSER; GRANT CREATE, TEMP ON DATABASE postgres TO weir");
    let url = server.url().replace("postgres:postgres", "weir");
    let mut weir = TestWeir::start_as(&server, &url, &[]);
    let mut client = RawClient::superuser(&weir.address());
    client.execute(
        "CREATE TABLE sale (day int PRIMARY KEY, n int) PARTITION BY RANGE (day); CREATE SCHEMA old; \
         CREATE TABLE sale_new PARTITION OF sale FOR VALUES FROM (10) TO (20); \
         CREATE TABLE old.\"Sale\" PARTITION OF sale FOR VALUES FROM (0) TO (10); \
         CREATE TABLE item (id int PRIMARY KEY); GRANT SELECT ON sale TO weir; CREATE ROLE \"App\" LOGIN",
    );
    client.execute(&create("'per_day', 'SELECT day, n FROM sale', '1s'"));
    client.execute(&create("'items', 'SELECT id FROM item', '1s'"));
    weir.wait_until_live(&["per_day", "items"]);
    weir.stop();
    admin.execute("ALTER ROLE weir NOSUPERUSER REPLICATION");
    let check = || {
        let output = Command::new(binary()).args(["check", "--upstream", &url]).output().expect("weir runs");
        let (out, err) = (String::from_utf8(output.stdout).expect("UTF-8"), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{out}\n{err}");
        out
    };
    let script = check();
    assert!(script.contains("whose reads Postgres answers: \"App\"\nGRANT \"App\" TO weir;\n"), "{script}");
    let partitions = "-- recommended: role weir may not read each partition of public.sale, one by one\n\
         GRANT USAGE ON SCHEMA old TO weir;\nGRANT SELECT ON old.\"Sale\" TO weir;\nGRANT SELECT ON public.sale_new TO weir;\n";
    assert!(script.contains(partitions), "{script}");
    for table in ["item", "items", "per_day"] {
        let remedy =
            format!("-- recommended: role weir may not read public.{table}\nGRANT SELECT ON public.{table} TO weir;\n");
        assert!(script.contains(&remedy), "{table}: {script}");
    }
    // And it is as it says.
    weir.start_again();
    let started = Instant::now();
    while !weir.log().contains("permission denied for") {
        assert!(started.elapsed() < PATIENCE, "{}", weir.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    weir.stop();
    let is_meant = |line: &&str| line.starts_with("GRANT ");
    script.lines().filter(is_meant).for_each(|grant| drop(admin.execute(grant)));
    let script = check();
    assert!(!script.contains("may not read") && !script.contains("may not become"), "{script}");
    weir.start_again();
    let started = Instant::now();
    for table in ["per_day", "items"] {
        let verified = format!("SELECT ok FROM pgtrickle.verify_stream_table('{table}')");
        while admin.query(&verified).texts() != [["t"]] {
            assert!(started.elapsed() < PATIENCE, "{table}: {}", weir.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What Postgres has to say of a text when it parses it, it says each time: a name that is cut, a backslash in a literal.
#[test]
fn notices_are_not_lost() {
    let (server, weir, _client) = stack();
    let mut pair = Pair::superuser(&server, &weir);
    let long = format!("SELECT grp AS {} FROM items ORDER BY grp", "x".repeat(70));
    let copied = format!("COPY ({long}) TO STDOUT");
    let slash = "SELECT grp, 'a\\\\b' AS b FROM items ORDER BY grp";
    let mut forwarded = |sql: &str, reason: &str, settings: &str| {
        pair.run(settings);
        let started = Instant::now();
        loop {
            let messages = pair.same_messages(sql, |client| client.simple(sql));
            assert!(messages.iter().any(|message| message.tag == b'N'), "{sql}");
            let route = pair.through.last_route();
            if route == format!("forwarded: {reason}") {
                break;
            }
            assert!(started.elapsed() < PATIENCE, "{sql}: {route}");
        }
    };
    forwarded(&long, "notice", "SELECT 1");
    forwarded(&copied, "COPY other than of a query to the client", "SELECT 1");
    forwarded(slash, "notice", "SET standard_conforming_strings = off");
}
