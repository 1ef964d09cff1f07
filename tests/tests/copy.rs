//! `COPY (SELECT …) TO STDOUT` from memory: every message is Postgres' own.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::time::{Duration, Instant};
use weir_tests::copies::{self, CREATE, READS};
use weir_tests::pair::Pair;
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::weir::TestWeir;
use weir_tests::wire::{Message, RawClient, Table};

/// Of the COPYs that Postgres answers without an error, at least so many of a hundred must have come from memory.
const MEMORY_SHARE: usize = 90;
/// What is waited for comes within this time, or never.
const PATIENCE: Duration = Duration::from_secs(20);

struct Stack {
    server: TestServer,
    weir: TestWeir,
}

impl Stack {
    /// With the stream table `copied` of so many rows.
    fn start(rows: usize, random: &mut StdRng) -> Stack {
        let server = TestServer::start();
        let weir = TestWeir::start(&server);
        let mut through = RawClient::superuser(&weir.address());
        through.execute(CREATE);
        for id in 1..=rows {
            through.execute(&format!("INSERT INTO held VALUES ({})", copies::row(id, random)));
        }
        create(&mut through, "copied", "SELECT * FROM held");
        weir.wait_until_live(&["copied"]);
        Stack { server, weir }
    }

    fn pair(&self) -> Pair {
        Pair::superuser(&self.server, &self.weir)
    }

    fn counter(&self, name: &str) -> usize {
        self.weir.counter(name) as usize
    }
}

fn create(through: &mut RawClient, name: &str, query: &str) {
    through.execute(&format!(
        "SELECT pgtrickle.create_stream_table(name => '{name}', query => $q$ {query} $q$, schedule => '1s', \
         refresh_mode => 'DIFFERENTIAL')"
    ));
}

fn has_error(messages: &[Message]) -> bool {
    messages.iter().any(|message| message.tag == b'E')
}

/// The same messages on both ways; told without the thousands that are alike.
fn same(pair: &mut Pair, sql: &str, act: impl Fn(&mut RawClient) -> Vec<Message>) -> Vec<Message> {
    let (through, direct) = (act(&mut pair.through), act(&mut pair.direct));
    let differs = through.iter().zip(&direct).position(|(left, right)| left != right);
    let at = differs.or((through.len() != direct.len()).then_some(through.len().min(direct.len())));
    if let Some(at) = at {
        let route = pair.through.last_route();
        panic!("{sql}: message {at}: {:?}, not {:?} ({route})", through.get(at), direct.get(at));
    }
    through
}

/// Time and again the same as Postgres, until memory answers it both ways. Either may be analysed anew at any moment: a
/// change of the catalogue (a role, a grant) that is only just noticed lets go of what was known.
fn from_memory(pair: &mut Pair, sql: &str) {
    let started = Instant::now();
    for extended in [false, true] {
        let act = |client: &mut RawClient| if extended { client.extended(sql, &[], 1) } else { client.simple(sql) };
        loop {
            assert!(!has_error(&same(pair, sql, act)), "{sql}");
            let route = pair.through.last_route();
            if route == "memory" {
                break;
            }
            assert!(started.elapsed() < PATIENCE, "{sql} is not answered from memory: {route}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The same as Postgres, and never from memory.
fn forwarded(pair: &mut Pair, sql: &str, reason: &str) {
    same(pair, sql, |client| client.simple(sql));
    assert_eq!(pair.through.last_route(), format!("forwarded: {reason}"), "{sql}");
    same(pair, sql, |client| client.extended(sql, &[], 0));
    assert_eq!(pair.through.last_route(), format!("forwarded: {reason}"), "{sql}");
}

#[test]
fn statements_and_options_as_postgres_has_them() {
    let mut random = rng::seeded("copy");
    let stack = Stack::start(60, &mut random);
    let mut pair = stack.pair();
    pair.run("SET weir.consistency = 'latest'");
    for query in READS {
        from_memory(&mut pair, &format!("COPY ({query}) TO STDOUT"));
    }
    let (mut answered, mut memory, mut refused) = (0, 0, 0);
    let mut routes = std::collections::BTreeMap::new();
    for round in 0..rng::rounds(1500, 100_000) {
        if round % 100 == 99 {
            pair.run(copies::setting(&mut random));
            let id = random.random_range(1..60);
            let change =
                format!("DELETE FROM held WHERE id = {id}; INSERT INTO held VALUES ({})", copies::row(id, &mut random));
            pair.direct.execute(&change);
            for query in READS {
                from_memory(&mut pair, &format!("COPY ({query}) TO STDOUT"));
            }
        }
        let sql = copies::statement(READS.choose(&mut random).expect("not empty"), &mut random);
        let messages = match random.random_range(0..3) {
            0 => same(&mut pair, &sql, |client| client.extended(&sql, &[], 0)),
            _ => same(&mut pair, &sql, |client| client.simple(&sql)),
        };
        if has_error(&messages) {
            refused += 1;
            continue;
        }
        answered += 1;
        let route = pair.through.last_route();
        memory += usize::from(route == "memory");
        *routes.entry(route).or_insert(0) += 1;
    }
    eprintln!("{answered} COPYs answered, {memory} of them from memory, {refused} refused: {routes:?}");
    assert!(memory * 100 >= answered * MEMORY_SHARE, "{memory} of {answered} from memory");
}

/// A column named like a keyword may need its quotes.
#[test]
fn every_keyword_as_a_column_to_be_quoted() {
    let stack = Stack::start(3, &mut rng::seeded("copy"));
    let mut pair = stack.pair();
    let words = pair.direct.query("SELECT word FROM pg_get_keywords() ORDER BY word").texts();
    assert!(words.len() > 400, "all keywords");
    for word in words.into_iter().flatten() {
        let query = format!("SELECT id AS \"{word}\", t FROM copied ORDER BY id");
        for options in [format!("(FORMAT csv, FORCE_QUOTE ({word}))"), format!("CSV FORCE QUOTE {word}, t")] {
            let sql = format!("COPY ({query}) TO STDOUT {options}");
            let started = Instant::now();
            loop {
                same(&mut pair, &sql, |client| client.simple(&sql));
                let route = pair.through.last_route();
                if !route.contains("analysis") {
                    break;
                }
                assert!(started.elapsed() < PATIENCE, "{sql}: {route}");
            }
        }
    }
}

#[test]
fn what_is_not_known_to_be_alike_is_forwarded_by_name() {
    let stack = Stack::start(20, &mut rng::seeded("copy"));
    let mut pair = stack.pair();
    from_memory(&mut pair, "COPY (TABLE copied ORDER BY id) TO STDOUT");
    let (form, options) = ("COPY other than of a query to the client", "options of COPY");
    for (sql, reason) in [
        ("COPY copied TO STDOUT", form),
        ("COPY (TABLE copied ORDER BY id) TO '/nowhere/x'", form),
        ("COPY (TABLE copied ORDER BY id;) TO STDOUT", form),
        ("COPY (SELECT $1 FROM copied) TO STDOUT", form),
        ("COPY (SELECT $$)$$ FROM copied) TO STDOUT", form),
        ("COPY (SELECT E'a'\n'\\')' FROM copied) TO STDOUT", form),
        ("COPY (DELETE FROM copied RETURNING *) TO STDOUT", form),
        ("COPY copied FROM STDIN (FORMAT nonsense)", form),
        ("COPY (TABLE copied ORDER BY id) TO STDOUT (ENCODING 'LATIN1')", options),
        ("COPY (TABLE copied ORDER BY id) TO STDOUT (FORMAT csv, FORCE_QUOTE (nope))", options),
        ("COPY (TABLE copied ORDER BY id) TO STDOUT (FORMAT csv, FORCE_QUOTE (id, id))", options),
        ("COPY (TABLE copied ORDER BY id) TO STDOUT (FREEZE)", options),
        ("COPY (TABLE copied ORDER BY id) TO STDOUT (FORMAT text, QUOTE 'x')", options),
        ("DECLARE c CURSOR FOR TABLE copied", "cursor"),
    ] {
        forwarded(&mut pair, sql, reason);
    }
    // Several statements at once are not one COPY.
    let several = "COPY (TABLE copied ORDER BY id) TO STDOUT; SELECT 1";
    same(&mut pair, several, |client| client.simple(several));
    assert_eq!(pair.through.last_route(), format!("forwarded: {form}"));
    // An error of evaluation, behind many rows without one.
    let fails = "COPY (SELECT id, 1 / (20 - id) FROM copied ORDER BY id) TO STDOUT";
    let started = Instant::now();
    while pair.through.last_route() != "forwarded: evaluation failed" {
        assert!(has_error(&same(&mut pair, fails, |client| client.simple(fails))));
        assert!(started.elapsed() < PATIENCE, "{}", pair.through.last_route());
    }
    // A backslash in a plain literal means another thing now.
    let slash = "COPY (SELECT id FROM copied WHERE t <> '\\.' ORDER BY id) TO STDOUT (NULL '\\N')";
    from_memory(&mut pair, slash);
    pair.run("SET standard_conforming_strings = off; SET escape_string_warning = off");
    same(&mut pair, slash, |client| client.simple(slash));
    assert!(pair.through.last_route().starts_with("forwarded"), "{}", pair.through.last_route());
    pair.run("RESET ALL");
    pair.run("SET client_encoding = 'LATIN1'");
    forwarded(&mut pair, "COPY (TABLE copied ORDER BY id) TO STDOUT", "client encoding is not UTF8");
}

#[test]
fn who_may_not_read_may_not_copy() {
    let stack = Stack::start(5, &mut rng::seeded("copy"));
    let mut admin = RawClient::superuser(&stack.server.address());
    admin.execute("CREATE ROLE reader LOGIN; CREATE ROLE stranger LOGIN; GRANT SELECT (id, t) ON copied TO reader");
    let (mut reader, mut stranger) =
        (Pair::of(&stack.server, &stack.weir, "reader", &[]), Pair::of(&stack.server, &stack.weir, "stranger", &[]));
    let (some, all) =
        ("COPY (SELECT id, t FROM copied ORDER BY id) TO STDOUT", "COPY (TABLE copied ORDER BY id) TO STDOUT");
    from_memory(&mut reader, some);
    stranger.refused(some, "42501");
    stranger.refused(all, "42501");
    reader.refused(all, "42501");
    from_memory(&mut reader, some);
    admin.execute("REVOKE SELECT (t) ON copied FROM reader");
    let started = Instant::now();
    while !has_error(&reader.through.simple(some)) {
        assert!(started.elapsed() < PATIENCE, "the right is gone");
        std::thread::sleep(Duration::from_millis(20));
    }
    reader.refused(some, "42501");
}

/// A stream table whose rows as text take some 20 MiB.
fn wide(stack: &Stack) {
    let mut through = RawClient::superuser(&stack.weir.address());
    through
        .execute("CREATE TABLE many AS SELECT i AS id, repeat(md5(i::text), 20) AS t FROM generate_series(1, 30000) i");
    create(&mut through, "wide", "SELECT * FROM many");
    stack.weir.wait_until_live(&["wide"]);
}

const WIDE: &str = "COPY (SELECT * FROM wide ORDER BY id) TO STDOUT";

#[test]
fn a_long_answer_is_the_same() {
    let stack = Stack::start(1, &mut rng::seeded("copy"));
    wide(&stack);
    let mut pair = stack.pair();
    from_memory(&mut pair, WIDE);
    from_memory(&mut pair, &format!("{WIDE} (FORMAT binary)"));
    from_memory(&mut pair, &format!("{WIDE} (FORMAT csv, HEADER, FORCE_QUOTE *)"));
}

/// Asks for the long answer and reads its beginning.
fn begin(client: &mut RawClient) {
    let mut query = bytes::BytesMut::new();
    postgres_protocol::message::frontend::query(WIDE, &mut query).expect("no zero byte");
    client.send(&query).expect("it is sent");
    assert_eq!(client.receive().expect("CopyOutResponse").tag, b'H');
}

fn until_ready(client: &mut RawClient) -> Vec<Message> {
    client.receive_until(b'Z').expect("it ends")
}

/// Kibibytes of Weir's memory.
fn resident(weir: &TestWeir) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", weir.process_id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel tells");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// The answers wait where the rows are, in no buffer per client.
#[test]
fn clients_that_do_not_read_cost_little() {
    let stack = Stack::start(1, &mut rng::seeded("copy"));
    wide(&stack);
    from_memory(&mut stack.pair(), WIDE);
    let before = resident(&stack.weir);
    let mut clients: Vec<RawClient> = (0..20).map(|_| RawClient::superuser(&stack.weir.address())).collect();
    let answered = stack.counter("weir_statements_answered_total");
    for client in &mut clients {
        begin(client);
    }
    let started = Instant::now();
    while stack.counter("weir_statements_answered_total") < answered + clients.len() {
        assert!(started.elapsed() < PATIENCE, "all are answered from memory");
        std::thread::sleep(Duration::from_millis(20));
    }
    let grown = resident(&stack.weir).saturating_sub(before);
    eprintln!("20 waiting clients: {grown} KiB");
    assert!(grown < 20 * 4 * 1024, "20 answers of 20 MiB wait in {grown} KiB");
    for client in &mut clients {
        let rows = until_ready(client).iter().filter(|message| message.tag == b'd').count();
        assert_eq!(rows, 30_000);
    }
}

/// What breaks a COPY off in the middle is told as Postgres tells it, and fails the block it is in.
#[test]
fn a_long_answer_is_broken_off() {
    let stack = Stack::start(1, &mut rng::seeded("copy"));
    wide(&stack);
    from_memory(&mut stack.pair(), WIDE);
    let code = |messages: &[Message]| Table::read(messages).error.map(|error| error.code);
    let status = |messages: &[Message]| messages.last().map(|ready| ready.body[0]);
    for in_block in [false, true] {
        let mut client = RawClient::superuser(&stack.weir.address());
        client.execute("SELECT count(*) FROM wide");
        if in_block {
            client.execute("BEGIN");
            client.execute("SET LOCAL statement_timeout = 0");
            client.execute("COMMIT");
            client.execute("BEGIN");
        }
        let cancel = client.cancel_request();
        begin(&mut client);
        let mut connection = std::net::TcpStream::connect(stack.weir.address()).expect("Weir listens");
        std::io::Write::write_all(&mut connection, &cancel).expect("the request is sent");
        let _closed = std::io::Read::read(&mut connection, &mut [0]);
        let told = until_ready(&mut client);
        assert_eq!(code(&told).as_deref(), Some("57014"));
        assert!(told.iter().filter(|message| message.tag == b'd').count() < 30_000);
        assert_eq!(status(&told), Some(if in_block { b'E' } else { b'I' }));
        let next = client.simple("SELECT 1");
        assert_eq!(code(&next).as_deref(), in_block.then_some("25P02"));
        client.execute("ROLLBACK");
        assert_eq!(client.query("SELECT 1").scalar(), "1");
    }
    // A client that reads slowly is not idle.
    let mut client = RawClient::superuser(&stack.weir.address());
    client.execute("SET idle_session_timeout = '3s'");
    begin(&mut client);
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(until_ready(&mut client).iter().filter(|message| message.tag == b'd').count(), 30_000);
    assert_eq!(client.query("SELECT 1").scalar(), "1");
    let mut client = RawClient::superuser(&stack.weir.address());
    client.execute("SET statement_timeout = '300ms'");
    begin(&mut client);
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(code(&until_ready(&mut client)).as_deref(), Some("57014"));
    assert_eq!(client.query("SELECT 1").scalar(), "1");
}
