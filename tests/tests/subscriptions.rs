//! Subscriptions: what is told adds up to the view as Postgres shows it, at every position that is told, whoever reads how
//! slowly; and a subscription tells nobody more than a read would.

use bytes::BytesMut;
use futures_util::StreamExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::weir::{TestWeir, by_triggers};
use weir_tests::wire::subscription::{Held, Subscription, Told, position};
use weir_tests::wire::{Message, RawClient, Table};

const COMMITS: usize = 300;
const LONG_COMMITS: usize = 10_000;
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two tables whose rows have all that COPY escapes, stream tables over them: a bag with rows that come several times, an
/// aggregate above it, and one that Postgres evaluates.
const SETUP: &str = r"
    CREATE TABLE item (id int PRIMARY KEY, kind text, price numeric(10,2), note text, at timestamptz, data bytea, ratio float8);
    CREATE TABLE kind (name text PRIMARY KEY, factor numeric);
    INSERT INTO kind VALUES ('a', 1.5), (E'b\tb', 2), (E'c\\c', NULL), ('', 7);
    INSERT INTO item SELECT i, (ARRAY['a', E'b\tb', E'c\\c', '', NULL])[1 + i % 5], i / 3.0, E'line\nof ' || i % 4,
        '2026-01-01 00:00:00+00'::timestamptz + i * interval '1 hour', decode(md5(i::text), 'hex'), i / 7.0 FROM generate_series(1, 3000) i;
    SELECT pgtrickle.create_stream_table('bag', 'SELECT i.kind, i.note, k.factor FROM item i LEFT JOIN kind k ON k.name = i.kind', '1s', 'DIFFERENTIAL');
    SELECT pgtrickle.create_stream_table('wide', 'SELECT id, kind, price, note, at, data, ratio FROM item WHERE price < 2000', '200ms', 'DIFFERENTIAL');
    SELECT pgtrickle.create_stream_table('counts', 'SELECT kind, count(*) AS n, sum(factor) AS factors FROM bag GROUP BY kind', '1s', 'DIFFERENTIAL');
    SELECT pgtrickle.create_stream_table('evaluated', 'SELECT kind, count(*) AS n FROM item GROUP BY kind', '100ms', 'FULL');";

const TABLES: [&str; 4] = ["bag", "wide", "counts", "evaluated"];

struct Stack {
    server: TestServer,
    weir: TestWeir,
}

impl Stack {
    fn start() -> Stack {
        let server = TestServer::start();
        let weir = TestWeir::start(&server);
        for statement in SETUP.split_inclusive(';').filter(|statement| statement.trim().len() > 1) {
            RawClient::superuser(&weir.address()).execute(statement);
        }
        weir.wait_until_live(&TABLES);
        Stack { server, weir }
    }

    fn through(&self) -> RawClient {
        RawClient::superuser(&self.weir.address())
    }

    fn direct(&self) -> RawClient {
        RawClient::superuser(&self.server.address())
    }

    fn subscribe(&self, name: &str) -> Subscription {
        Subscription::open(self.through(), name).expect("the statement is sent")
    }
}

/// Reads until all up to a position at or past `reached` has been told; the rows then.
fn follow(subscription: &mut Subscription, held: &mut Held, reached: u64) {
    let started = Instant::now();
    loop {
        assert!(started.elapsed() < PATIENCE, "position {reached:x} is not reached");
        match subscription.told().expect("the connection stands") {
            Told::Row { row, has_come, .. } => held.apply(&row, has_come),
            Told::Progress(position) if position >= reached => return,
            Told::Progress(_) => {}
            Told::Ended(error) => panic!("ended: {error:?}"),
        }
    }
}

/// The error a subscription ends with, whatever it tells before.
fn ending(subscription: &mut Subscription) -> (String, String) {
    let started = Instant::now();
    loop {
        assert!(started.elapsed() < PATIENCE, "it does not end");
        if let Told::Ended(error) = subscription.told().expect("the connection stands") {
            let error = error.expect("it ends with an error only");
            return (error.code, error.message);
        }
    }
}

fn write(client: &mut RawClient, rng: &mut StdRng) {
    let id = rng.random_range(1..3500);
    let kind = ["'a'", r"E'b\tb'", r"E'c\\c'", "''", "NULL", "'none'"][rng.random_range(0..6)];
    let sql = match rng.random_range(0..12) {
        0..4 => format!(
            "INSERT INTO item VALUES ({id}, {kind}, {}, E'x\\\\y\\r{}', now(), '\\x00ff', 'NaN') ON CONFLICT (id) DO UPDATE SET kind = EXCLUDED.kind",
            rng.random_range(0..4000),
            id % 3
        ),
        4..7 => format!("UPDATE item SET kind = {kind}, price = price + 1 WHERE id % 97 = {}", id % 97),
        7..9 => format!("DELETE FROM item WHERE id = {id}"),
        9 => format!("DELETE FROM item WHERE id % 11 = {}", id % 11),
        10 => format!("UPDATE kind SET factor = {} WHERE name = 'a'", id % 5),
        _ => format!(
            "BEGIN; UPDATE item SET note = NULL WHERE id < {}; SAVEPOINT s; DELETE FROM item; ROLLBACK TO s; COMMIT",
            id % 200
        ),
    };
    client.execute(&sql);
}

fn position_now(client: &mut RawClient) -> u64 {
    position(&client.query("SELECT pg_current_wal_insert_lsn()").scalar()).expect("a position")
}

/// The view as it was when the log had come this far, and until the next.
struct Known {
    position: u64,
    rows: Held,
}

/// A subscriber's rows after each change, with the position it was told with; until all up to `end` has been told.
fn collect(name: &str, mut subscription: Subscription, end: &AtomicU64, is_slow: bool) -> Vec<(u64, Held)> {
    let (mut held, mut states) = (Held::default(), Vec::new());
    let (mut changed_at, mut newest) = (None, 0);
    loop {
        match subscription.told().expect("the connection stands") {
            Told::Row { position, row, has_come } => {
                assert!(position >= newest, "{name}: positions go back");
                assert!(changed_at.is_none_or(|at| at == position), "{name}: progress is told between positions");
                (newest, changed_at) = (position, Some(position));
                held.apply(&row, has_come);
            }
            Told::Progress(position) => {
                assert!(position >= newest, "{name}: progress goes back");
                newest = position;
                if let Some(at) = changed_at.take() {
                    states.push((at, held.clone()));
                }
                match end.load(Ordering::Relaxed) {
                    end if position >= end => return states,
                    // One that does not read for a while is told of several changes at once.
                    u64::MAX if is_slow => std::thread::sleep(Duration::from_millis(200)),
                    _ => {}
                }
            }
            Told::Ended(error) => panic!("{name} ended: {error:?}"),
        }
    }
}

#[test]
fn what_is_told_is_the_view_at_every_position() {
    let stack = Stack::start();
    let seed = rng::seed();
    eprintln!("WEIR_TEST_SEED={seed}");
    let commits = rng::rounds(COMMITS, LONG_COMMITS);
    let end = &AtomicU64::new(u64::MAX);
    let subscriptions: Vec<_> = (0..2 * TABLES.len()).map(|at| stack.subscribe(TABLES[at % TABLES.len()])).collect();
    std::thread::scope(|scope| {
        let readers: Vec<_> = subscriptions
            .into_iter()
            .enumerate()
            .map(|(at, subscription)| {
                let (name, is_slow) = (TABLES[at % TABLES.len()], at >= TABLES.len());
                (name, scope.spawn(move || collect(name, subscription, end, is_slow)))
            })
            .collect();
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut writer, mut looker) = (stack.through(), stack.direct());
        let mut history: Vec<Vec<Known>> = TABLES.iter().map(|_| Vec::new()).collect();
        for commit in 0..=commits {
            if commit > 0 {
                write(&mut writer, &mut rng);
            }
            let position = position_now(&mut looker);
            for (known, name) in history.iter_mut().zip(TABLES) {
                known.push(Known { position, rows: Held::of_copy(&mut looker, name) });
            }
        }
        end.store(history[0].last().expect("the last commit").position, Ordering::Relaxed);
        // The stream of commits is brought past the end by one that changes nothing.
        writer.execute("UPDATE item SET price = price WHERE id = (SELECT min(id) FROM item)");
        for (at, (name, reader)) in readers.into_iter().enumerate() {
            let states = reader.join().expect("a subscriber adds up what it is told");
            let known = &history[at % TABLES.len()];
            assert!(states.len() > 3, "{name}: {} states told prove little", states.len());
            let mut last = 0;
            for (position, held) in &states {
                // Between two looks at the log one commit was made, before or behind this position.
                let next = known.partition_point(|known| known.position <= *position);
                // With capture by triggers positions say roughly where; the order of the states is certain all the same.
                let candidates =
                    if by_triggers() { last..known.len() } else { next.saturating_sub(1)..(next + 1).min(known.len()) };
                let found = candidates.clone().find(|at| known[*at].rows == *held);
                last =
                    found.unwrap_or_else(|| panic!("{name} at {position:x} is no state after commits {candidates:?}"));
            }
            assert_eq!(states.last().expect("there are some").1, known.last().expect("the last commit").rows, "{name}");
            eprintln!("{name}: {} states told", states.len());
        }
    });
}

/// Every commit rewrites some 800 kB of rows: more in all than two sockets hold.
#[test]
fn who_does_not_read_is_told_of_several_changes_at_once() {
    const REWRITES: usize = 40;
    let stack = Stack::start();
    let (mut writer, mut looker) = (stack.through(), stack.direct());
    let (mut slow, mut fast) = (stack.subscribe("wide"), stack.subscribe("wide"));
    let (mut seen_slowly, mut seen_fast) = (Held::default(), Held::default());
    follow(&mut slow, &mut seen_slowly, 0);
    let mut position = 0;
    for _ in 0..REWRITES {
        writer.execute("UPDATE item SET ratio = ratio + 1, note = note || 'x'");
        position = position_now(&mut looker);
        writer.execute("UPDATE kind SET factor = 1 WHERE name = 'a'");
        follow(&mut fast, &mut seen_fast, position);
        assert_eq!(seen_fast, Held::of_copy(&mut looker, "wide"));
    }
    let (mut steps, mut newest) = (0, 0);
    loop {
        match slow.told().expect("the connection stands") {
            Told::Row { row, has_come, position } => {
                steps += usize::from(std::mem::replace(&mut newest, position) != position);
                seen_slowly.apply(&row, has_come);
            }
            Told::Progress(reached) if reached >= position => break,
            Told::Progress(_) => {}
            Told::Ended(error) => panic!("ended: {error:?}"),
        }
    }
    eprintln!("{steps} steps of {REWRITES} for the reader that was slow");
    assert!(steps < REWRITES, "{steps} steps waited for a reader");
    assert_eq!(seen_slowly, seen_fast);
}

/// A request that is a connection of its own.
fn send(stack: &Stack, request: &[u8]) {
    use std::io::{Read, Write};
    let mut connection = std::net::TcpStream::connect(stack.weir.address()).expect("Weir listens");
    connection.write_all(request).expect("the request is sent");
    let _closed = connection.read(&mut [0]);
}

/// The data of a COPY's messages.
fn copied(messages: &[Message]) -> Vec<u8> {
    messages.iter().filter(|message| message.tag == b'd').flat_map(|message| message.body.to_vec()).collect()
}

#[test]
fn every_format_is_postgres_own() {
    let stack = Stack::start();
    let mut direct = stack.direct();
    for (options, is_binary) in [("", false), ("(FORMAT csv, HEADER)", false), ("WITH (FORMAT binary)", true)] {
        let mut client = stack.through();
        let mut query = BytesMut::new();
        let sql = format!("COPY (SELECT * FROM pgtrickle.subscribe('public.wide')) TO STDOUT {options}");
        postgres_protocol::message::frontend::query(&sql, &mut query).expect("no zero byte");
        client.send(&query).expect("it is sent");
        let began = client.receive().expect("CopyOutResponse");
        assert_eq!((began.tag, began.body[0]), (b'H', u8::from(is_binary)));
        let mut told = Vec::new();
        let progress = |body: &[u8]| body.windows(8).any(|word| word == b"progress");
        let position = loop {
            let message = client.receive().expect("a line");
            assert_eq!(message.tag, b'd');
            if progress(&message.body) {
                break message.body;
            }
            told.extend_from_slice(&message.body);
        };
        // The same from Postgres, with the position of that moment; rows come in another order.
        let position = match is_binary {
            true => format!("'{:X}/{:X}'::pg_lsn", be(&position[6..10]), be(&position[10..14])),
            false => format!(
                "'{}'::pg_lsn",
                String::from_utf8_lossy(&position).split(['\t', ',']).next().expect("a position")
            ),
        };
        let same = format!(
            "COPY (SELECT {position} AS position, 'snapshot'::text AS change, w.* FROM wide w) TO STDOUT {options}"
        );
        let expected = copied(&direct.simple(&same));
        // Everything but the position of the rows, which is that of the last change.
        let sorted = |bytes: &[u8]| -> Vec<Vec<u8>> {
            let mut rows: Vec<Vec<u8>> = match is_binary {
                true => tuples(bytes),
                false => lines(bytes)
                    .into_iter()
                    .map(|line| line[line.iter().position(|b| matches!(b, b'\t' | b',')).unwrap_or(0)..].to_vec())
                    .collect(),
            };
            rows.sort();
            rows
        };
        assert!(told.len() > 100_000, "3000 rows");
        assert_eq!(sorted(&told), sorted(&expected), "{options}");
    }
}

fn be(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().expect("four bytes"))
}

/// Lines of text or of CSV, whose newlines in quotes end none.
fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut lines, mut line, mut quoted) = (Vec::new(), Vec::new(), false);
    for byte in bytes {
        quoted ^= *byte == b'"';
        if *byte == b'\n' && !quoted {
            lines.push(std::mem::take(&mut line));
        } else {
            line.push(*byte);
        }
    }
    lines
}

/// Tuples of COPY's binary format, without their first field.
fn tuples(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &bytes[19..];
    let mut tuples = Vec::new();
    while rest.len() > 2 {
        let fields = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        let (mut at, mut first) = (2, 0);
        for field in 0..fields {
            let length = be(&rest[at..at + 4]);
            at += 4 + if length == u32::MAX { 0 } else { length as usize };
            first = if field == 0 { at } else { first };
        }
        tuples.push(rest[first..at].to_vec());
        rest = &rest[at..];
    }
    tuples
}

#[test]
fn a_subscription_ends_as_it_should() {
    let stack = Stack::start();
    let mut admin = stack.direct();
    // A cancel request, after which the session goes on.
    let mut subscription = stack.subscribe("bag");
    assert!(matches!(subscription.told(), Ok(Told::Row { .. })));
    send(&stack, &subscription.cancel_request());
    assert_eq!(ending(&mut subscription).0, "57014");
    let mut client = subscription.into_client();
    assert_eq!(client.query("SELECT count(*) FROM item").scalar(), "3000");
    assert_eq!(client.query("SELECT 1").scalar(), "1");
    // statement_timeout counts for it as for any statement.
    client.execute("SET statement_timeout = '300ms'");
    let mut subscription = Subscription::open(client, "counts").expect("the statement is sent");
    assert_eq!(ending(&mut subscription).0, "57014");
    // A client that leaves takes its session along.
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'leaver'";
    let parameters = [("user", "postgres"), ("database", "postgres"), ("application_name", "leaver")];
    let leaver = RawClient::connect(&stack.weir.address(), &parameters, "postgres").expect("a session");
    let mut leaver = Subscription::open(leaver, "bag").expect("the statement is sent");
    assert!(matches!(leaver.told(), Ok(Told::Row { .. })));
    assert_eq!(admin.query(sessions).scalar(), "1");
    drop(leaver);
    wait_until("the session is gone", || admin.query(sessions).scalar() == "0");
    // As does a session that Postgres ends.
    let ended = RawClient::connect(&stack.weir.address(), &parameters, "postgres").expect("a session");
    let mut ended = Subscription::open(ended, "counts").expect("the statement is sent");
    assert!(matches!(ended.told(), Ok(Told::Row { .. })));
    admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'leaver'");
    let said = std::iter::from_fn(|| ended.told().ok()).find(|told| matches!(told, Told::Ended(_)));
    assert_eq!(said, None, "the connection breaks with Postgres' FATAL error, and no ReadyForQuery");
    // Other tables may come and go; this one must stay what it is.
    let (mut followed, mut dropped, mut held) = (stack.subscribe("wide"), stack.subscribe("counts"), Held::default());
    admin.execute("CREATE TABLE unrelated (a int); DROP TABLE unrelated");
    stack.through().execute("DELETE FROM item WHERE id < 10");
    let now = position_now(&mut admin);
    stack.through().execute("UPDATE kind SET factor = 3 WHERE name = 'a'");
    follow(&mut followed, &mut held, now);
    assert_eq!(held, Held::of_copy(&mut admin, "wide"));
    stack.through().execute("SELECT pgtrickle.drop_stream_table('counts')");
    assert_eq!(ending(&mut dropped), ("42P01".to_owned(), "stream table \"counts\" was dropped".to_owned()));
    stack.through().execute("SELECT pgtrickle.alter_stream_table('wide', query => 'SELECT id, note FROM item')");
    assert_eq!(ending(&mut followed).0, "55000");
    // An error in a row is Postgres' to raise.
    let divided = "SELECT id, 10 / (id - 11) AS d FROM item WHERE id > 11 AND id < 20";
    stack
        .through()
        .execute(&format!("SELECT pgtrickle.create_stream_table('divided', '{divided}', '1s', 'DIFFERENTIAL')"));
    stack.weir.wait_until_live(&["divided"]);
    let mut erring = stack.subscribe("divided");
    assert!(matches!(erring.told(), Ok(Told::Row { .. })));
    stack.through().execute("SELECT pgtrickle.alter_stream_table('divided', query => 'SELECT id, 10 / (id - 15) AS d FROM item WHERE id > 11 AND id < 20')");
    assert_eq!(ending(&mut erring).0, "55000");
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn nobody_is_told_more_than_a_read_would_tell() {
    let stack = Stack::start();
    let mut admin = stack.direct();
    admin.execute("CREATE ROLE reader LOGIN; CREATE ROLE stranger LOGIN; GRANT SELECT ON bag TO reader");
    let of = |user: &str| {
        let parameters = [("user", user), ("database", "postgres"), ("client_encoding", "UTF8")];
        RawClient::connect(&stack.weir.address(), &parameters, "postgres").expect("a session")
    };
    let mut refused = Subscription::open(of("stranger"), "bag").expect("the statement is sent");
    assert_eq!(ending(&mut refused).0, "42501");
    let mut reading = Subscription::open(of("reader"), "bag").expect("the statement is sent");
    assert!(matches!(reading.told(), Ok(Told::Row { .. })));
    admin.execute("REVOKE SELECT ON bag FROM reader");
    assert_eq!(ending(&mut reading).0, "42501");
    // In a block, as a plain SELECT, with options that are not known: Postgres refuses by name, and the block fails.
    let mut client = stack.through();
    let copy = "COPY (SELECT * FROM pgtrickle.subscribe('bag')) TO STDOUT";
    let code = |table: Table| table.error.map(|error| error.code);
    client.execute("BEGIN");
    assert_eq!(code(client.query(copy)).as_deref(), Some("0A000"));
    assert_eq!(code(client.query("SELECT 1")).as_deref(), Some("25P02"));
    client.execute("ROLLBACK");
    for sql in
        ["SELECT * FROM pgtrickle.subscribe('bag')", &format!("{copy} (DELIMITER '|')"), &format!("{copy}; SELECT 1")]
    {
        assert_eq!(code(client.query(sql)).as_deref(), Some("0A000"), "{sql}");
    }
    for name in ["none", "item", "public.none"] {
        let mut missing = Subscription::open(stack.through(), name).expect("the statement is sent");
        assert_eq!(ending(&mut missing).0, "42P01", "{name}");
    }
}

/// A driver that prepares the statement and asks for its description first.
#[test]
fn drivers_of_the_extended_protocol_are_told_too() {
    let stack = Stack::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (client, connection) = stack.weir.config().connect(tokio_postgres::NoTls).await.expect("a session");
        let connection = tokio::spawn(connection);
        let stream =
            client.copy_out("COPY (SELECT * FROM pgtrickle.subscribe('bag')) TO STDOUT").await.expect("COPY begins");
        let mut stream = std::pin::pin!(stream);
        let mut held = Held::default();
        loop {
            let line = stream.next().await.expect("it goes on").expect("a line");
            let mut fields = line.splitn(3, |byte| *byte == b'\t');
            let (change, row) = (fields.nth(1).expect("a change"), fields.next().expect("a row"));
            match change {
                b"progress" => break,
                _ => held.apply(&line.slice_ref(row), change != b"delete"),
            }
        }
        assert_eq!(held, Held::of_copy(&mut stack.direct(), "bag"));
        client.cancel_token().cancel_query(tokio_postgres::NoTls).await.expect("the request is sent");
        let ended = loop {
            if let Err(error) = stream.next().await.expect("it ends with an error") {
                break error;
            }
        };
        assert_eq!(ended.code(), Some(&tokio_postgres::error::SqlState::QUERY_CANCELED));
        assert_eq!(
            client.query_one("SELECT count(*) FROM item", &[]).await.expect("the session goes on").get::<_, i64>(0),
            3000
        );
        drop(client);
        connection.await.expect("the connection's task").expect("it ended well");
    });
}
