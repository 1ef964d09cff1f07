//! What Weir forwards arrives as it was sent: every message of every exchange equals the one without Weir.

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use weir_tests::postgres::{Auth, TestServer};
use weir_tests::weir::TestWeir;
use weir_tests::wire::{Message, RawClient, bind};

fn stack() -> (TestServer, TestWeir) {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    RawClient::superuser(&server.address())
        .execute("CREATE TABLE t (a int PRIMARY KEY, b text); INSERT INTO t SELECT n, 'row ' || n FROM generate_series(1, 1000) n");
    (server, weir)
}

/// Sends the same bytes over both ways and compares all messages up to the `syncs`-th ReadyForQuery.
fn same(server: &TestServer, weir: &TestWeir, what: &str, bytes: &[u8], syncs: usize) {
    let run = |address: &str| -> Vec<Message> {
        let mut client = RawClient::superuser(address);
        client.send(bytes).expect("sends");
        (0..syncs).flat_map(|_| client.receive_until(b'Z').unwrap_or_else(|error| panic!("{what}: {error}"))).collect()
    };
    assert_eq!(run(&weir.address()), run(&server.address()), "{what}");
}

fn messages(build: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut buffer = BytesMut::new();
    build(&mut buffer);
    buffer
}

fn parse(name: &str, sql: &str, buffer: &mut BytesMut) {
    frontend::parse(name, sql, [], buffer).expect("no zero byte");
}

fn execute(portal: &str, rows: i32, buffer: &mut BytesMut) {
    frontend::execute(portal, rows, buffer).expect("no zero byte");
}

#[test]
fn simple_queries() {
    let (server, weir) = stack();
    for sql in [
        "SELECT * FROM t ORDER BY a",
        "",
        ";",
        "SELECT 1; SELECT 2; SELECT 1/0; SELECT 3",
        "SELECT 1 WHERE false",
        "SET TimeZone = 'Asia/Tokyo'; SHOW TimeZone",
        "DO $$ BEGIN RAISE NOTICE 'hello'; RAISE WARNING 'careful'; END $$",
        "SELECT repeat('x', 5000000)",
        "SELECT 'unterminated",
        "BEGIN; SELECT 1/0",
    ] {
        same(&server, &weir, sql, &messages(|buffer| frontend::query(sql, buffer).expect("no zero byte")), 1);
    }
}

#[test]
fn pipelines_and_errors_until_sync() {
    let (server, weir) = stack();
    let pipeline = messages(|buffer| {
        for n in 0..50 {
            parse("", "SELECT $1::int + 1, b FROM t WHERE a = $1::int", buffer);
            bind("", "", &[Some(&n.to_string())], n % 2, buffer);
            frontend::describe(b'P', "", buffer).expect("no zero byte");
            execute("", 0, buffer);
            if n % 7 == 0 {
                frontend::sync(buffer);
            }
        }
        frontend::sync(buffer);
    });
    same(&server, &weir, "pipeline", &pipeline, 9);
    let failing = messages(|buffer| {
        parse("s", "SELECT 1/(2 - $1::int)", buffer);
        for n in 1..4 {
            bind("", "s", &[Some(&n.to_string())], 0, buffer);
            execute("", 0, buffer);
        }
        frontend::sync(buffer);
        bind("", "s", &[Some("5")], 0, buffer);
        execute("", 0, buffer);
        frontend::sync(buffer);
        frontend::close(b'S', "s", buffer).expect("no zero byte");
        bind("", "s", &[Some("5")], 0, buffer);
        frontend::sync(buffer);
    });
    same(&server, &weir, "errors until Sync", &failing, 3);
}

#[test]
fn portals_with_row_limits() {
    let (server, weir) = stack();
    let bytes = messages(|buffer| {
        frontend::query("BEGIN", buffer).expect("no zero byte");
        parse("", "SELECT a, b FROM t ORDER BY a", buffer);
        bind("p", "", &[], 0, buffer);
        for rows in [3, 5, 1] {
            execute("p", rows, buffer);
        }
        frontend::flush(buffer);
        execute("p", 2, buffer);
        frontend::sync(buffer);
        execute("p", 0, buffer);
        frontend::sync(buffer);
        frontend::query("COMMIT", buffer).expect("no zero byte");
    });
    same(&server, &weir, "portal", &bytes, 4);
}

#[test]
fn copy_in_and_out() {
    let (server, weir) = stack();
    let out = messages(|buffer| frontend::query("COPY t TO STDOUT", buffer).expect("no zero byte"));
    same(&server, &weir, "copy out", &out, 1);
    let binary = messages(|buffer| frontend::query("COPY t TO STDOUT (FORMAT binary)", buffer).expect("no zero byte"));
    same(&server, &weir, "binary copy out", &binary, 1);
    for fails in [false, true] {
        let bytes = messages(|buffer| {
            frontend::query("CREATE TEMP TABLE c (LIKE t); COPY c FROM STDIN; SELECT count(*) FROM c", buffer)
                .expect("no zero byte");
            for row in 0..200 {
                frontend::CopyData::new(format!("{row}\tvalue {row}\n").as_bytes()).expect("small").write(buffer);
            }
            if fails {
                frontend::copy_fail("stop", buffer).expect("no zero byte");
            } else {
                frontend::copy_done(buffer);
            }
        });
        same(&server, &weir, "copy in", &bytes, 1);
    }
    let extended = messages(|buffer| {
        parse("", "COPY t FROM STDIN", buffer);
        bind("", "", &[], 0, buffer);
        execute("", 0, buffer);
        frontend::sync(buffer);
        frontend::CopyData::new(&b"1\tduplicate\n"[..]).expect("small").write(buffer);
        frontend::copy_done(buffer);
        frontend::sync(buffer);
    });
    // The first Sync falls into the copy, where Postgres ignores it.
    same(&server, &weir, "extended copy in, constraint violated", &extended, 1);
}

#[test]
fn notifications_arrive() {
    let (server, weir) = stack();
    let mut listener = RawClient::superuser(&weir.address());
    listener.execute("LISTEN news");
    let notify = Instant::now();
    RawClient::superuser(&server.address()).execute("NOTIFY news, 'extra'");
    let message = listener.receive().expect("a notification arrives without asking");
    assert_eq!(message.tag, b'A');
    assert!(message.body.ends_with(b"news\0extra\0"), "{message:?}");
    assert!(notify.elapsed() < Duration::from_secs(5));
    assert_eq!(listener.execute("SELECT 1").scalar(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_reaches_the_right_backend() {
    let (_server, weir) = stack();
    let client = weir.connect().await;
    let bystander = weir.connect().await;
    let token = client.cancel_token();
    let waiting = tokio::spawn(async move { bystander.simple_query("SELECT pg_sleep(1.5)").await.map(drop) });
    let cancelled = tokio::spawn(async move {
        let error = client.simple_query("SELECT pg_sleep(30)").await.expect_err("cancelled");
        assert_eq!(error.code().map(|code| code.code()), Some("57014"));
        client.simple_query("SELECT 1").await.expect("the session goes on");
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    token.cancel_query(tokio_postgres::NoTls).await.expect("cancel is accepted");
    tokio::time::timeout(Duration::from_secs(5), cancelled).await.expect("soon").expect("cancelled");
    waiting.await.expect("joined").expect("the bystander is not cancelled");
}

#[test]
fn password_logins_are_relayed() {
    for auth in [Auth::Md5, Auth::ScramSha256] {
        let server = TestServer::options().auth(auth).start();
        let weir = TestWeir::start(&server);
        let parameters =
            [("user", "postgres"), ("database", "postgres"), ("application_name", "x"), ("TimeZone", "Asia/Tokyo")];
        let mut client = RawClient::connect(&weir.address(), &parameters, "postgres").expect("the right password");
        assert_eq!(client.query("SHOW TimeZone").scalar(), "Asia/Tokyo");
        let greeting = |address: &str| -> Vec<Message> {
            let client = RawClient::connect(address, &parameters, "postgres").expect("the right password");
            client.greeting.into_iter().filter(|message| message.tag == b'S').collect()
        };
        assert_eq!(
            greeting(&weir.address()),
            greeting(&server.address()),
            "{auth:?}: the same parameters are reported"
        );
        for (user, password) in [("postgres", "wrong"), ("nobody", "postgres")] {
            let refused = |address: &str| {
                let connected = RawClient::connect(address, &[("user", user), ("database", "postgres")], password);
                connected.err().expect("refused").to_string()
            };
            assert_eq!(refused(&weir.address()), refused(&server.address()), "{auth:?} {user}");
        }
    }
}

#[test]
fn psql_works() {
    let (server, weir) = stack();
    let script = "\\d t\nSELECT count(*) FROM t;\n\\copy (SELECT a FROM t WHERE a < 5 ORDER BY a) TO STDOUT\n\
                  SELECT * FROM t WHERE a = 1 \\gx\nSELECT 1/0;\n\\set FETCH_COUNT 7\nSELECT a FROM t WHERE a < 20 ORDER BY a;\n";
    let run = |url: &str| {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-q", "--no-psqlrc", url]).env("LC_ALL", "C.UTF-8");
        psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = psql.spawn().expect("psql is installed");
        child.stdin.take().expect("piped").write_all(script.as_bytes()).expect("psql reads");
        let done = child.wait_with_output().expect("psql ends");
        (String::from_utf8_lossy(&done.stdout).into_owned(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let url = |address: &str| format!("postgres://postgres:postgres@{address}/postgres");
    let (ours, theirs) = (run(&url(&weir.address())), run(&url(&server.address())));
    assert!(ours.0.contains("1000"), "{ours:?}");
    assert_eq!(ours, theirs);
}
