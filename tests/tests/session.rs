//! What a session may notice when memory answers in Postgres' place: nothing. Messages are compared one by one with
//! those of a direct session that does the same.

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use std::time::Duration;
use weir_tests::postgres::TestServer;
use weir_tests::weir::TestWeir;
use weir_tests::wire::{Message, RawClient, bind};

/// A server with one stream table `totals` that memory answers, and two sessions: through Weir, and direct.
struct Pair {
    server: TestServer,
    weir: TestWeir,
    through: RawClient,
    direct: RawClient,
}

impl Pair {
    fn start() -> Pair {
        let server = TestServer::start();
        let weir = TestWeir::start(&server);
        let mut through = RawClient::superuser(&weir.address());
        through.execute(
            "CREATE TABLE sale (id int PRIMARY KEY, shop text NOT NULL, amount numeric(10,2), at timestamptz); \
             INSERT INTO sale SELECT i, 'shop ' || i % 5, i * 1.25, '2024-01-01'::timestamptz + i * interval '1 hour' \
             FROM generate_series(1, 100) i",
        );
        through.execute(
            "SELECT pgtrickle.create_stream_table('totals', 'SELECT shop, count(*) AS n, sum(amount) AS total, \
             max(at) AS latest FROM sale GROUP BY shop', schedule => '1s', refresh_mode => 'DIFFERENTIAL')",
        );
        weir.wait_until_live(&["totals"]);
        let direct = RawClient::superuser(&server.address());
        let prepared = send(&mut through, |out| {
            frontend::parse("route", "SHOW weir.last_route", [], out).expect("no zero byte");
            frontend::sync(out);
        });
        assert_eq!(tags(&prepared), "1Z");
        Pair { server, weir, through, direct }
    }

    /// Does the same on both sides and compares every message; the statements before the last may go any way.
    fn same(&mut self, what: &str, mut act: impl FnMut(&mut RawClient) -> Vec<Message>) -> Vec<Message> {
        let (through, direct) = (act(&mut self.through), act(&mut self.direct));
        assert_eq!(through, direct, "{what}");
        through
    }

    /// Which way the last statement went, asked by a statement of Weir's own: a simple query would destroy the unnamed one.
    fn route(&mut self) -> String {
        let answer = send(&mut self.through, |out| {
            bind("", "route", &[], 0, out);
            frontend::execute("", 0, out).expect("no zero byte");
            frontend::sync(out);
        });
        assert_eq!(tags(&answer), "2DCZ");
        String::from_utf8_lossy(&answer[1].body[6..]).into_owned()
    }

    /// As `same`, repeated until memory answers it, which it must soon do.
    fn same_from_memory(&mut self, what: &str, mut act: impl FnMut(&mut RawClient) -> Vec<Message>) {
        for _ in 0..100 {
            self.same(what, &mut act);
            if self.route() == "memory" {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{what} is not answered from memory: {}", self.route());
    }
}

fn send(client: &mut RawClient, build: impl FnOnce(&mut BytesMut)) -> Vec<Message> {
    let mut buffer = BytesMut::new();
    build(&mut buffer);
    client.send(&buffer).and_then(|()| client.receive_until(b'Z')).expect("the connection holds")
}

fn tags(messages: &[Message]) -> String {
    messages.iter().map(|message| message.tag as char).collect()
}

const BY_SHOP: &str = "SELECT shop, n, total, latest FROM totals WHERE shop = $1";

#[test]
fn extended_reads_in_text_and_binary() {
    let mut pair = Pair::start();
    for format in [0, 1] {
        for parameter in [Some("shop 3"), Some("nowhere"), None] {
            let what = format!("{parameter:?} in format {format}");
            pair.same_from_memory(&what, |client| client.extended(BY_SHOP, &[parameter], format));
        }
        pair.same_from_memory("all", |client| client.extended("SELECT * FROM totals ORDER BY shop", &[], format));
        pair.same_from_memory("one column", |client| {
            client.extended("SELECT total * 2 AS twice FROM totals ORDER BY 1", &[], format)
        });
    }
    pair.same("too few parameters are an error", |client| client.extended(BY_SHOP, &[], 0));
    pair.same("a parameter that is none", |client| {
        client.extended("SELECT shop FROM totals WHERE n = $1", &[Some("twenty")], 0)
    });
}

#[test]
fn simple_reads_under_other_settings() {
    let mut pair = Pair::start();
    for setting in ["SET TimeZone = 'Asia/Tokyo'", "SET extra_float_digits = 0", "SET DateStyle = 'SQL, DMY'"] {
        pair.same(setting, |client| client.simple(setting));
        for _ in 0..3 {
            pair.same(setting, |client| client.simple("SELECT * FROM totals ORDER BY shop"));
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    pair.same("reset", |client| client.simple("RESET ALL"));
    pair.same_from_memory("reset", |client| client.simple("SELECT * FROM totals ORDER BY shop;"));
    // A function changes a setting where no proxy can see it.
    pair.same("unseen", |client| client.simple("SELECT set_config('DateStyle', 'German', false)"));
    pair.same("unseen", |client| client.simple("SELECT shop, latest FROM totals ORDER BY shop"));
}

#[test]
fn named_statements_are_prepared_upstream_and_executed_from_memory() {
    let mut pair = Pair::start();
    let prepared = pair.same("prepare", |client| {
        send(client, |out| {
            frontend::parse("by_shop", BY_SHOP, [], out).expect("no zero byte");
            frontend::describe(b'S', "by_shop", out).expect("no zero byte");
            frontend::sync(out);
        })
    });
    assert_eq!(tags(&prepared), "1tTZ");
    let execute = |client: &mut RawClient| {
        send(client, |out| {
            bind("", "by_shop", &[Some("shop 1")], 1, out);
            frontend::execute("", 0, out).expect("no zero byte");
            frontend::sync(out);
        })
    };
    pair.same_from_memory("execute", execute);
    // Two executions in one batch.
    pair.same_from_memory("execute twice", |client| {
        send(client, |out| {
            for shop in ["shop 1", "shop 2"] {
                bind("", "by_shop", &[Some(shop)], 0, out);
                frontend::describe(b'P', "", out).expect("no zero byte");
                frontend::execute("", 0, out).expect("no zero byte");
            }
            frontend::sync(out);
        })
    });
    // The name gets another meaning where no proxy can see it.
    pair.same("unseen", |client| {
        client.simple("DO $$ BEGIN EXECUTE 'DEALLOCATE by_shop'; END $$; PREPARE by_shop (text) AS SELECT 1, $1")
    });
    let after = pair.same("another meaning", execute);
    assert!(tags(&after).contains('D'), "{after:?}");
    pair.same("gone", |client| client.simple("DISCARD ALL"));
    assert_eq!(tags(&pair.same("gone", execute)), "EZ");
}

#[test]
fn the_unnamed_statement_is_what_the_client_believes() {
    let mut pair = Pair::start();
    let rebind = |limit: i32| {
        move |client: &mut RawClient| {
            send(client, |out| {
                bind("", "", &[Some("shop 1")], 0, out);
                frontend::execute("", limit, out).expect("no zero byte");
                frontend::sync(out);
            })
        }
    };
    // Parsed in memory, then used in ways only Postgres answers, and again from memory.
    pair.same_from_memory("parse", |client| client.extended(BY_SHOP, &[Some("shop 1")], 0));
    pair.same("row limit", rebind(1));
    pair.same_from_memory("parse again", |client| client.extended(BY_SHOP, &[Some("shop 1")], 0));
    pair.same("describe", |client| {
        send(client, |out| {
            frontend::describe(b'S', "", out).expect("no zero byte");
            frontend::sync(out);
        })
    });
    // A simple query destroys it, also one from memory.
    pair.same("parse upstream", |client| client.extended("SELECT $1::text", &[Some("x")], 0));
    pair.same_from_memory("simple", |client| client.simple("SELECT count(*) FROM totals"));
    let gone = pair.same("gone", rebind(0));
    assert_eq!(tags(&gone), "EZ", "the unnamed statement must not exist");
}

#[test]
fn transaction_characteristics_come_before_any_query() {
    let mut pair = Pair::start();
    pair.same_from_memory("warm", |client| client.simple("SELECT n FROM totals ORDER BY shop"));
    for statement in ["SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SET TRANSACTION READ ONLY"] {
        pair.same("begin", |client| client.simple("BEGIN"));
        pair.same("read", |client| client.simple("SELECT n FROM totals ORDER BY shop"));
        assert_eq!(pair.through.last_route(), "memory", "a read in a plain block");
        pair.same(statement, |client| client.simple(statement));
        pair.same("read", |client| client.simple("SELECT n FROM totals ORDER BY shop"));
        pair.same("rollback", |client| client.simple("ROLLBACK"));
    }
}

#[test]
fn privileges_are_postgres_own() {
    let mut pair = Pair::start();
    pair.direct.execute("CREATE ROLE reader LOGIN; CREATE ROLE writer LOGIN");
    let parameters = [("user", "reader"), ("database", "postgres"), ("client_encoding", "UTF8")];
    let connect = |address: &str| RawClient::connect(address, &parameters, "").expect("trusted");
    let mut direct = RawClient::superuser(&pair.server.address());
    std::mem::swap(&mut pair.direct, &mut direct);
    let mut admin = direct;
    pair.through = connect(&pair.weir.address());
    send(&mut pair.through, |out| {
        frontend::parse("route", "SHOW weir.last_route", [], out).expect("no zero byte");
        frontend::sync(out);
    });
    pair.direct = connect(&pair.server.address());
    let read = |client: &mut RawClient| client.simple("SELECT shop, n FROM totals ORDER BY shop");
    for _ in 0..5 {
        assert_eq!(tags(&pair.same("not granted", read)), "EZ");
    }
    admin.execute("GRANT SELECT ON totals TO reader");
    pair.same_from_memory("granted", read);
    admin.execute("REVOKE SELECT ON totals FROM reader");
    // The mark must reach Weir; it withholds the table before the next answer.
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(tags(&pair.same("revoked", read)), "EZ");
}

#[test]
fn consistency_levels() {
    let mut pair = Pair::start();
    let mut other = RawClient::superuser(&pair.server.address());
    let read = |client: &mut RawClient| client.simple("SELECT sum(n) FROM totals");
    pair.same_from_memory("warm", read);
    pair.through.execute("SET weir.consistency = 'latest'");
    for i in 0..50 {
        other.execute(&format!("INSERT INTO sale VALUES ({}, 'shop 1', 1, now())", 1000 + i));
        pair.same("latest sees what anybody committed", read);
    }
    pair.same_from_memory("latest", read);
    pair.through.execute("SET weir.consistency = 'scheduled'");
    assert!(pair.through.simple("SELECT sum(n) FROM totals").iter().any(|message| message.tag == b'D'));
    assert_eq!(pair.through.last_route(), "memory");
    pair.through.execute("SET weir.consistency = 'eventual'");
    pair.same("unknown levels are Postgres'", read);
    assert_eq!(pair.through.last_route(), "forwarded: unknown weir.consistency");
}

#[test]
fn questions_to_weir_itself() {
    let mut pair = Pair::start();
    assert_eq!(pair.through.execute("SHOW weir.version;").scalar(), env!("CARGO_PKG_VERSION"));
    let frontier = pair.through.execute("show WEIR.frontier").scalar();
    assert!(frontier.contains('/'), "{frontier}");
    let answer = pair.through.extended("SHOW weir.last_route", &[], 0);
    assert_eq!(tags(&answer), "12TDCZ");
    let prepared = send(&mut pair.through, |out| {
        frontend::parse("other", "SHOW weir.last_route", [], out).expect("no zero byte");
        frontend::describe(b'S', "other", out).expect("no zero byte");
        frontend::sync(out);
    });
    assert_eq!(tags(&prepared), "1tTZ");
    let executed = send(&mut pair.through, |out| {
        bind("", "other", &[], 0, out);
        frontend::execute("", 0, out).expect("no zero byte");
        frontend::sync(out);
    });
    assert_eq!(tags(&executed), "2DCZ");
    // Pipelined behind a statement that Postgres answers: in order.
    let mut buffer = BytesMut::new();
    frontend::query("SELECT pg_sleep(0.1)", &mut buffer).expect("no zero byte");
    frontend::query("SHOW weir.last_route", &mut buffer).expect("no zero byte");
    pair.through.send(&buffer).expect("the connection holds");
    assert_eq!(tags(&pair.through.receive_until(b'Z').expect("first")), "TDCZ");
    assert_eq!(tags(&pair.through.receive_until(b'Z').expect("second")), "TDCZ");
    pair.same("in a failed block", |client| {
        client.simple("BEGIN");
        client.simple("SELECT 1 / 0");
        client.simple("SHOW server_version_num");
        client.simple("ROLLBACK")
    });
}

#[test]
fn a_session_that_reads_memory_does_not_idle() {
    let mut pair = Pair::start();
    pair.same_from_memory("warm", |client| client.simple("SELECT n FROM totals ORDER BY shop"));
    pair.through.execute("SET idle_session_timeout = '1s'");
    for _ in 0..12 {
        std::thread::sleep(Duration::from_millis(250));
        let answer = pair.through.try_simple("SELECT n FROM totals ORDER BY shop").expect("the session lives");
        assert_eq!(tags(&answer), "TDDDDDCZ");
    }
    assert_eq!(pair.through.last_route(), "memory");
    std::thread::sleep(Duration::from_millis(3500));
    let ended = pair.through.try_simple("SELECT 1");
    assert!(ended.is_err() || tags(&ended.expect("read")).starts_with('E'), "a truly idle session ends");
}
