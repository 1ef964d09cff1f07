//! Cursors over stream tables: whatever is fetched, in whatever messages, and whatever else happens in the block, every
//! message is the one Postgres sends.

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use weir_tests::pair::Pair;
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::weir::{TestWeir, by_triggers};
use weir_tests::wire::{Message, RawClient};

/// Of the FETCHes forwards that nothing stands against, at least so many of a hundred come from memory.
const MEMORY_SHARE: usize = 60;

/// What is waited for comes within this time, or never.
const PATIENCE: Duration = Duration::from_secs(20);

/// No key, so that two sessions can write the same without waiting for each other.
const SCHEMA: &str = "CREATE TABLE sale (id int, shop int, amount numeric(10,2), at timestamp, note text); \
     ALTER TABLE sale REPLICA IDENTITY FULL; \
     CREATE TABLE elsewhere (n int); \
     INSERT INTO sale SELECT n, n % 7, n * 1.25, '2026-01-01'::timestamp + n * interval '1 hour', \
         CASE WHEN n % 3 > 0 THEN 'note ' || n END FROM generate_series(1, 40) n; \
     CREATE FUNCTION drain(name refcursor) RETURNS text LANGUAGE plpgsql AS $$ \
         DECLARE r record; said text := ''; BEGIN LOOP FETCH name INTO r; EXIT WHEN NOT FOUND; said := said || r::text; \
         END LOOP; RETURN said; END $$";

/// Name and definition.
const STREAMS: [(&str, &str); 4] = [
    (
        "totals",
        "SELECT shop, count(*) AS n, sum(amount)::numeric(12,2) AS total, max(at) AS last FROM sale GROUP BY shop",
    ),
    ("dear", "SELECT id, shop, amount, note FROM sale WHERE amount > 10"),
    ("first_five", "SELECT id, amount FROM sale ORDER BY amount LIMIT 5"),
    ("numbered", "SELECT id, row_number() OVER (ORDER BY shop) AS place FROM sale"),
];

/// Read from memory by a cursor.
const ORDERED: [&str; 7] = [
    "SELECT * FROM totals ORDER BY shop",
    "SELECT shop, total FROM totals ORDER BY total DESC, shop",
    "SELECT id, note FROM dear ORDER BY id, note",
    "SELECT n FROM totals ORDER BY n",
    "SELECT d.id, t.total, d.amount::text FROM dear d JOIN totals t ON d.shop = t.shop ORDER BY d.id DESC, d.note",
    "SELECT shop + 1 AS s FROM totals ORDER BY shop + 1",
    "TABLE totals ORDER BY shop DESC",
];

/// Read from Postgres: their rows, or their order, are not the only ones possible.
const OPEN: [&str; 6] = [
    "SELECT shop FROM totals",
    "SELECT shop, n FROM totals ORDER BY n",
    "SELECT * FROM first_five ORDER BY id",
    "SELECT * FROM numbered ORDER BY id",
    "SELECT shop FROM totals ORDER BY shop LIMIT 3",
    "SELECT * FROM elsewhere ORDER BY n",
];

struct Stack {
    server: TestServer,
    weir: TestWeir,
}

impl Stack {
    fn start() -> Stack {
        let server = TestServer::start();
        let weir = TestWeir::start(&server);
        let mut pair = Pair::superuser(&server, &weir);
        pair.through.execute(SCHEMA);
        for (name, query) in STREAMS {
            pair.stream(name, query);
        }
        weir.wait_until_live(&STREAMS.map(|(name, _)| name));
        Stack { server, weir }
    }

    /// To which memory answers all that it can.
    fn pair(&self) -> Pair {
        let mut pair = Pair::superuser(&self.server, &self.weir);
        pair.run("SET weir.consistency = 'latest'");
        for query in ORDERED {
            pair.from_memory(query);
        }
        pair
    }
}

/// How a statement is sent.
#[derive(Clone, Copy, Debug)]
enum Sent {
    Simple,
    /// In the extended protocol, for results in text or binary.
    Extended(i16),
}

fn any_way(random: &mut StdRng) -> Sent {
    *[Sent::Simple, Sent::Simple, Sent::Extended(0), Sent::Extended(1)].choose(random).expect("four")
}

fn send(client: &mut RawClient, sql: &str, sent: Sent) -> Vec<Message> {
    match sent {
        Sent::Simple => client.simple(sql),
        Sent::Extended(format) => client.extended(sql, &[], format),
    }
}

/// Messages up to their Sync.
fn batch(client: &mut RawClient, messages: &BytesMut) -> Vec<Message> {
    client.send(messages).and_then(|()| client.receive_until(b'Z')).expect("the session goes on")
}

fn status(messages: &[Message]) -> u8 {
    messages.last().and_then(|ready| ready.body.first().copied()).unwrap_or(0)
}

struct Block<'a> {
    pair: &'a mut Pair,
    random: &'a mut StdRng,
    /// It is asked where answers came from, by a query, which ends the unnamed portal on one side.
    is_asked: bool,
    /// What has been done, to be told when it goes wrong.
    done: Vec<String>,
    status: u8,
}

impl Block<'_> {
    fn same(&mut self, what: String, act: impl FnMut(&mut RawClient) -> Vec<Message>) -> Vec<Message> {
        self.done.push(what);
        let said = self.pair.same_messages(&self.done.join("\n"), act);
        self.status = status(&said);
        said
    }

    fn run(&mut self, sql: &str) -> Vec<Message> {
        let sent = any_way(self.random);
        self.same(format!("{sql} -- {sent:?}"), |client| send(client, sql, sent))
    }

    /// Something of the portals' own, or another statement, after which the cursors may be Postgres'.
    fn disturb(&mut self, name: &str) {
        let mut messages = BytesMut::new();
        let what = match self.random.random_range(0..6) {
            0 => {
                frontend::describe(b'P', name, &mut messages).expect("a name");
                "Describe of the portal"
            }
            1 => {
                frontend::execute(name, 2, &mut messages).expect("a name");
                "Execute of the portal"
            }
            2 if !self.is_asked => {
                frontend::execute("", 0, &mut messages).expect("a name");
                "Execute of the unnamed portal"
            }
            3 if !self.is_asked => {
                frontend::describe(b'P', "", &mut messages).expect("a name");
                "Describe of the unnamed portal"
            }
            _ => {
                let sql = OTHERS.choose(self.random).expect("some").replace("$name", name);
                self.run(&sql);
                return;
            }
        };
        frontend::sync(&mut messages);
        self.same(format!("{what} {name}"), |client| batch(client, &messages));
    }
}

/// What else is said in a block; the last ones are errors.
const OTHERS: [&str; 18] = [
    "SELECT count(*), sum(n) FROM totals",
    "SELECT name, statement, is_holdable, is_binary, is_scrollable FROM pg_cursors ORDER BY name",
    "SELECT drain('$name')",
    "FETCH PRIOR FROM $name",
    "FETCH BACKWARD 2 FROM $name",
    "FETCH 0 FROM $name",
    "FETCH ABSOLUTE 3 FROM $name",
    "MOVE 1 FROM $name",
    "MOVE FORWARD ALL FROM $name",
    "SAVEPOINT s",
    "SELECT 1",
    "INSERT INTO sale VALUES (500, 3, 77, '2026-05-01', 'new')",
    "CLOSE $name",
    "CLOSE ALL",
    "SET extra_float_digits = 0",
    "FETCH 1 FROM nobody",
    "DECLARE $name CURSOR FOR SELECT 1",
    "SELECT 1 / 0",
];

const FETCHES: [&str; 9] = [
    "FETCH FORWARD 3 FROM $name",
    "FETCH $name",
    "FETCH NEXT FROM $name",
    "FETCH 2 IN $name",
    "FETCH FORWARD 5 FROM \"$name\"",
    "FETCH ALL FROM $name",
    "FETCH FORWARD ALL IN $name",
    "FETCH FROM $name",
    "fetch forward $name",
];

#[test]
fn blocks_are_as_in_postgres() {
    let stack = Stack::start();
    let mut random = rng::seeded("cursors");
    let mut pair = stack.pair();
    let mut other = RawClient::superuser(&stack.server.address());
    let (mut fetched, mut from_memory) = (0, 0);
    for round in 0..rng::rounds(250, 4_000) {
        let is_quiet = random.random_bool(0.6);
        let is_asked = random.random_bool(0.5);
        let mut block = Block { pair: &mut pair, random: &mut random, is_asked, done: Vec::new(), status: b'I' };
        block.run("BEGIN");
        if block.random.random_bool(0.3) {
            block.run("SELECT shop, total FROM totals ORDER BY total DESC, shop");
        }
        let names = if block.random.random_bool(0.3) { &["c", "d"][..] } else { &["c"][..] };
        let mut is_ordered = true;
        for name in names {
            let takes_ordered = block.random.random_bool(0.8);
            is_ordered &= takes_ordered;
            let queries: &[&str] = if takes_ordered { &ORDERED } else { &OPEN };
            let query = queries.choose(block.random).expect("some");
            let options = ["", "NO SCROLL", "INSENSITIVE", "SCROLL", "BINARY"];
            let option = options[block.random.random_range(0..8_usize).saturating_sub(3)];
            is_ordered &= option != "BINARY";
            block.run(&format!("DECLARE {name} {option} CURSOR FOR {query}"));
        }
        let mut is_disturbed = !is_quiet;
        for _ in 0..block.random.random_range(0..7) {
            let name = *names.choose(block.random).expect("one or two");
            if !is_quiet && block.random.random_bool(0.2) {
                let sql = [
                    "INSERT INTO sale VALUES (900, 2, 33.5, now(), NULL)",
                    "DELETE FROM sale WHERE id = 900",
                    "INSERT INTO elsewhere VALUES (1)",
                ];
                let sql = sql.choose(block.random).expect("three");
                other.execute(sql);
                block.done.push(format!("{sql} -- by another session"));
            }
            if block.random.random_bool(if is_quiet { 0.1 } else { 0.3 }) {
                is_disturbed = true;
                block.disturb(name);
                continue;
            }
            let sql = FETCHES.choose(block.random).expect("some").replace("$name", name);
            block.run(&sql);
            if is_asked && is_ordered && !is_disturbed && block.status == b'T' {
                fetched += 1;
                from_memory += usize::from(block.pair.through.last_route() == "memory");
            }
        }
        if block.random.random_bool(0.3) {
            block.run("CLOSE c");
        }
        let end = ["COMMIT", "ROLLBACK"].choose(block.random).expect("two");
        // What the blocks have written goes with them: each would see the other's.
        let wrote = block.done.iter().any(|sql| sql.starts_with("INSERT") && !sql.ends_with("session"));
        block.run(if wrote { "ROLLBACK" } else { end });
        assert_eq!(block.status, b'I', "round {round}");
        other.execute("DELETE FROM sale WHERE id = 900");
        pair.run("RESET extra_float_digits");
    }
    eprintln!("{from_memory} of {fetched} FETCHes from memory");
    if by_triggers() {
        assert_eq!(from_memory, 0, "what lies between two drains is not known");
    } else {
        assert!(from_memory * 100 >= fetched * MEMORY_SHARE, "{from_memory} of {fetched} from memory");
    }
}

#[test]
fn a_cursor_shows_what_its_declaration_saw() {
    let stack = Stack::start();
    let mut pair = stack.pair();
    let mut other = RawClient::superuser(&stack.server.address());
    let route = |pair: &mut Pair| pair.through.last_route();
    let is_here = !by_triggers();
    let query = ORDERED[0];

    // Changed behind its declaration, and before anything has been fetched.
    for change in [
        &["INSERT INTO sale VALUES (901, 1, 5, now(), 'x')"][..],
        &["INSERT INTO sale VALUES (902, 1, 5, now(), 'x')", "DELETE FROM sale WHERE id = 902"],
    ] {
        pair.run("BEGIN");
        pair.run(&format!("DECLARE c CURSOR FOR {query}"));
        change.iter().for_each(|sql| drop(other.execute(sql)));
        pair.run("FETCH 2 FROM c");
        assert_ne!(route(&mut pair), "memory", "{change:?}");
        pair.run("FETCH ALL FROM c");
        pair.run("COMMIT");
        pair.from_memory(query);
    }

    // Changed when something has been fetched, which a function goes on from.
    for told in ["FETCH 2 FROM c", "FETCH ALL FROM c", "FETCH 7 FROM c"] {
        pair.run("BEGIN");
        pair.run(&format!("DECLARE c CURSOR FOR {query}"));
        // What it does not read changes at any time.
        other.execute("INSERT INTO elsewhere VALUES (1)");
        pair.run(told);
        assert_eq!(route(&mut pair) == "memory", is_here, "{told}");
        other.execute("UPDATE sale SET amount = amount + 1");
        pair.run("FETCH 1 FROM c");
        assert_eq!(route(&mut pair) == "memory", is_here, "{told}");
        pair.run("SELECT drain('c')");
        assert_ne!(route(&mut pair), "memory");
        pair.run("FETCH 1 FROM c");
        pair.run("COMMIT");
        pair.from_memory(query);
    }

    // What the block writes itself is not in it.
    pair.run("BEGIN");
    pair.run(&format!("DECLARE c CURSOR FOR {query}"));
    pair.run("FETCH 1 FROM c");
    pair.run("INSERT INTO sale VALUES (903, 99, 5, '2026-01-01', 'x')");
    pair.run("FETCH ALL FROM c");
    pair.run("ROLLBACK");
}

/// What memory has told is what upstream's cursor shows, which can be gone through again.
#[test]
fn commits_about_a_declaration_are_in_it_or_not() {
    let stack = Stack::start();
    let mut client = stack.pair().through;
    let mut writer = RawClient::superuser(&stack.server.address());
    let is_over = AtomicBool::new(false);
    let mut random = rng::seeded("cursors under writes");
    let pauses: Vec<u64> = (0..64).map(|_| random.random_range(0..12)).collect();
    let (mut told, mut from_memory) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for pause in pauses.iter().cycle() {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                writer.execute("UPDATE sale SET amount = amount + 1 WHERE id = 7");
                std::thread::sleep(Duration::from_millis(*pause));
            }
        });
        let over = Over(&is_over);
        for _ in 0..rng::rounds(300, 3_000) {
            client.execute("BEGIN");
            client.execute(&format!("DECLARE c SCROLL CURSOR FOR {}", ORDERED[0]));
            let first = client.execute("FETCH 4 FROM c");
            told += 1;
            if client.last_route() == "memory" {
                from_memory += 1;
                client.execute("MOVE BACKWARD ALL FROM c");
                let again = client.execute("FETCH 4 FROM c");
                assert_eq!(first, again, "block {told}");
            }
            client.execute("COMMIT");
        }
        drop(over);
    });
    eprintln!("{from_memory} of {told} FETCHes from memory");
    assert!(from_memory > 0 || by_triggers(), "nothing was compared");
}

/// Tells the writer, also when the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn reasons_are_told() {
    let stack = Stack::start();
    let mut pair = stack.pair();
    let declared = |pair: &mut Pair, sql: &str| {
        pair.run("BEGIN");
        pair.run(sql);
        let route = pair.through.last_route();
        pair.run("FETCH 1 FROM c");
        pair.run("COMMIT");
        route
    };
    let opened = if by_triggers() {
        "forwarded: cursor under capture by triggers"
    } else {
        "forwarded: cursor opened, fetched from memory"
    };
    for query in ORDERED {
        assert_eq!(declared(&mut pair, &format!("DECLARE c CURSOR FOR {query}")), opened, "{query}");
    }
    if by_triggers() {
        return;
    }
    // Read as they are, memory may answer them, in an order or with rows of its own.
    let answered = |pair: &mut Pair, query: &str| {
        let started = Instant::now();
        while pair.through.query(query).error.is_some() || pair.through.last_route() != "memory" {
            assert!(started.elapsed() < PATIENCE, "{query}: {}", pair.through.last_route());
        }
    };
    for query in [OPEN[0], OPEN[2], OPEN[3], OPEN[4]] {
        answered(&mut pair, query);
        let route = declared(&mut pair, &format!("DECLARE c CURSOR FOR {query}"));
        assert_eq!(route, "forwarded: cursor without a total order", "{query}");
    }
    let binary = declared(&mut pair, &format!("DECLARE c BINARY CURSOR FOR {}", ORDERED[0]));
    assert_eq!(binary, "forwarded: cursor");
    // Told when it is fetched from: its rows tie.
    let ties = OPEN[1];
    answered(&mut pair, ties);
    pair.run("BEGIN");
    pair.run(&format!("DECLARE c CURSOR FOR {ties}"));
    assert_eq!(pair.through.last_route(), opened);
    pair.run("FETCH 1 FROM c");
    assert_ne!(pair.through.last_route(), "memory");
    pair.run("COMMIT");
}

/// Nobody asks for the privilege but Postgres, when it declares the cursor.
#[test]
fn who_may_not_read_may_not_declare() {
    let stack = Stack::start();
    stack.pair().through.execute("CREATE ROLE poor LOGIN");
    let mut pair = Pair::of(&stack.server, &stack.weir, "poor", &[]);
    let declare = format!("DECLARE c CURSOR FOR {}", ORDERED[0]);
    for _ in 0..3 {
        pair.run("BEGIN");
        assert_eq!(pair.same(&declare).error.expect("it may not").code, "42501");
        assert_eq!(pair.same("FETCH ALL FROM c").error.expect("the block has failed").code, "25P02");
        pair.run("ROLLBACK");
    }
    let mut admin = stack.pair();
    admin.through.execute("GRANT SELECT ON totals TO poor");
    pair.run("BEGIN");
    pair.run(&declare);
    pair.run("FETCH ALL FROM c");
    // What is declared stays allowed.
    admin.through.execute("REVOKE SELECT ON totals FROM poor");
    pair.run("FETCH ALL FROM c");
    pair.run("ROLLBACK");
    pair.run("BEGIN");
    assert_eq!(pair.same(&declare).error.expect("no more").code, "42501");
    pair.run("ROLLBACK");
}

/// What the client is told where upstream's cursor cannot be moved.
#[test]
fn an_error_on_the_way_is_told() {
    if by_triggers() {
        // Every FETCH is Postgres', and takes too long.
        return;
    }
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut setup = RawClient::superuser(&weir.address());
    setup.execute(
        "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT n, 60000 FROM generate_series(1, 60) n",
    );
    setup.execute(
        "SELECT pgtrickle.create_stream_table('slow', \
         'SELECT t.id, count(*) AS c FROM t, generate_series(1, t.n) GROUP BY t.id', '1s', 'DIFFERENTIAL')",
    );
    weir.wait_until_live(&["slow"]);
    let mut pair =
        Pair::of(&server, &weir, weir_tests::postgres::SUPERUSER, &[("options", "-c statement_timeout=150")]);
    let read = "SELECT * FROM slow ORDER BY c, id";
    let started = Instant::now();
    while pair.through.query(read).error.is_some() || pair.through.last_route() != "memory" {
        assert!(started.elapsed() < PATIENCE, "{}", pair.through.last_route());
    }
    let timed_out = pair.direct.query(read).error.expect("Postgres needs longer");
    assert_eq!(timed_out.code, "57014");
    for sent in [Sent::Simple, Sent::Extended(0)] {
        let client = &mut pair.through;
        for sql in ["BEGIN", &format!("DECLARE c CURSOR FOR {read}"), "FETCH 3 FROM c"] {
            client.execute(sql);
        }
        assert_eq!(client.last_route(), "memory");
        let said = send(client, "SELECT 1", sent);
        let error = weir_tests::wire::Table::read(&said).error.expect("the cursor cannot be moved");
        assert_eq!((error.code.as_str(), status(&said)), ("57014", b'E'), "{sent:?}");
        let next = client.query("SELECT 1").error.expect("the block has failed");
        assert_eq!(next.code, "25P02", "{sent:?}");
        client.execute("ROLLBACK");
        assert_eq!(client.execute("SELECT 1").scalar(), "1");
    }
}
