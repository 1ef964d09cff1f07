//! Random message sequences to Weir and to Postgres: the reply streams must be equal, message by message and byte by
//! byte. Masked: the OIDs of temporary tables, which each session has of its own; and the line of Postgres' source that
//! refuses to execute or describe a portal in a failed block (see `play::is_lost_portal`). `WEIR_TEST_SEQUENCES` sets their
//! number, for runs of any length under any seed.

use bytes::BytesMut;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use weir_tests::postgres::TestServer;
use weir_tests::protocol::dangling::may_crash_postgres;
use weir_tests::protocol::play::{End, Player, Transcript, difference};
use weir_tests::protocol::shrink::shrink;
use weir_tests::protocol::statements::{CACHED, CACHED_QUERIES, RESTORE, create, schema};
use weir_tests::protocol::{Sequence, Step, generate};
use weir_tests::rng::{rounds, seed};
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// Threads, each with its own schema and connections.
const THREADS: usize = 3;
/// Sequences over one connection before it is opened anew.
const PER_CONNECTION: usize = 40;
/// At least so many of a hundred reads of stream tables must have been answered from memory.
const MEMORY_SHARE: u64 = 25;
/// At most so many of a thousand sequences may leave a session that is only forwarded from then on. It happens where a
/// client goes on without waiting behind a copy that failed with a Sync in it: once or twice in ten thousand.
const GIVEN_UP: usize = 10;
/// How long the analysis of all statements may take.
const WARM_UP: Duration = Duration::from_secs(60);

/// Between two sequences.
const RESETS: [&str; 2] =
    ["DISCARD ALL", "RESET SESSION AUTHORIZATION; RESET ALL; CLOSE ALL; UNLISTEN *; DEALLOCATE ALL; DISCARD TEMP"];

/// One thread's two ways into the database.
struct Pair<'a> {
    server: &'a TestServer,
    weir: &'a TestWeir,
    thread: usize,
    temporary_from: u32,
    admin: RawClient,
    through: Player,
    direct: Player,
}

impl<'a> Pair<'a> {
    fn new(server: &'a TestServer, weir: &'a TestWeir, thread: usize) -> Pair<'a> {
        let mut admin = RawClient::superuser(&server.address());
        admin.execute(&format!("SET search_path = {}", schema(thread)));
        let temporary_from = admin
            .execute("SELECT max(oid)::bigint + 1 FROM pg_class WHERE relpersistence <> 't'")
            .scalar()
            .parse()
            .expect("an OID");
        let connect = |address: &str| player(address, thread, temporary_from);
        let (through, direct) = (connect(&weir.address()), connect(&server.address()));
        Pair { server, weir, thread, temporary_from, admin, through, direct }
    }

    fn reconnect(&mut self) {
        self.through = player(&self.weir.address(), self.thread, self.temporary_from);
        self.direct = player(&self.server.address(), self.thread, self.temporary_from);
    }

    /// Both transcripts; the tables are put right before each.
    fn play(&mut self, sequence: &Sequence, pieces: u64) -> (Transcript, Transcript) {
        let writes = sequence.0.iter().any(may_write);
        if writes {
            self.admin.execute(RESTORE);
        }
        let through = self.through.play(sequence, pieces);
        if writes {
            self.admin.execute(RESTORE);
        }
        let direct = self.direct.play(sequence, pieces);
        if writes {
            self.admin.execute(RESTORE);
        }
        (through, direct)
    }

    /// On fresh connections: does the sequence fail by itself?
    fn fails(&mut self, sequence: &Sequence, pieces: u64) -> Option<String> {
        self.reconnect();
        let (through, direct) = self.play(sequence, pieces);
        difference(&through, &direct)
    }
}

fn player(address: &str, thread: usize, temporary_from: u32) -> Player {
    // Whatever was restored in between must be seen.
    let options = format!("-c search_path={} -c weir.consistency=latest", schema(thread));
    Player::connect(address, &options, temporary_from).expect("a session")
}

fn may_write(step: &Step) -> bool {
    let writes = |sql: &str| ["INSERT", "UPDATE", "DELETE", "FROM STDIN"].iter().any(|word| sql.contains(word));
    match step {
        Step::Parse { sql, .. } | Step::Query(sql) => writes(sql),
        _ => false,
    }
}

/// Until memory answers every cached statement of the thread's schema.
fn warm_up(weir: &TestWeir, thread: usize) {
    let mut client = RawClient::superuser(&weir.address());
    client.execute(&format!("SET search_path = {}", schema(thread)));
    let started = Instant::now();
    let mut wait = |read: &mut dyn FnMut(&mut RawClient), what: &str| {
        read(&mut client);
        while client.last_route() != "memory" {
            let route = client.last_route();
            assert!(started.elapsed() < WARM_UP, "{what} is not answered from memory: {route}");
            std::thread::sleep(Duration::from_millis(5));
            read(&mut client);
        }
    };
    for sql in CACHED_QUERIES {
        // Under ISO, MDY the division fails for one of the rows, which is Postgres' to say.
        if !sql.contains("(n - 20)") {
            wait(&mut |client| drop(client.simple(sql)), sql);
        }
    }
    for statement in CACHED {
        let parameters = vec![None; statement.parameters.len()];
        wait(&mut |client| drop(client.extended(statement.sql, &parameters, 0)), statement.sql);
    }
}

struct Run {
    seed: u64,
    wanted: usize,
    next: AtomicUsize,
    failed: AtomicBool,
    report: Mutex<String>,
    /// What each thread plays now, as the seed that makes it the first.
    playing: [AtomicU64; THREADS],
}

fn work(run: &Run, server: &TestServer, weir: &TestWeir, thread: usize) {
    let mut pair = Pair::new(server, weir, thread);
    let mut of_connection = 0;
    while !run.failed.load(Ordering::Relaxed) {
        let number = run.next.fetch_add(1, Ordering::Relaxed);
        if number >= run.wanted {
            return;
        }
        if of_connection == PER_CONNECTION {
            pair.reconnect();
            of_connection = 0;
        }
        of_connection += 1;
        let sequence_seed = run.seed.wrapping_add(number as u64);
        run.playing[thread].store(sequence_seed, Ordering::Relaxed);
        let mut rng = StdRng::seed_from_u64(sequence_seed);
        let mut sequence = generate::sequence(&mut rng);
        if !sequence.is_fatal() {
            // The sessions forget what was.
            let reset = RESETS[rng.random_range(0..RESETS.len())].split("; ").map(|sql| Step::Query(sql.to_owned()));
            sequence
                .0
                .extend([Step::CopyFail, Step::Sync, Step::Query("ROLLBACK".to_owned())].into_iter().chain(reset));
        }
        let pieces = rng.random();
        if std::env::var_os("SHOW").is_some() {
            eprintln!("{sequence}");
        }
        let (through, direct) = pair.play(&sequence, pieces);
        if let Some(found) = difference(&through, &direct) {
            run.failed.store(true, Ordering::Relaxed);
            eprintln!("found under WEIR_TEST_SEED={sequence_seed}; making it small: {found}");
            let told = tell(&mut pair, &sequence, pieces, &found);
            let mut report = run.report.lock().expect("no panic holds it");
            report.push_str(&format!("\nWEIR_TEST_SEED={sequence_seed} finds it first.\n{told}"));
            return;
        }
        if through.end != End::Marker {
            pair.reconnect();
            of_connection = 0;
        }
    }
}

fn tell(pair: &mut Pair<'_>, sequence: &Sequence, pieces: u64, found: &str) -> String {
    if pair.fails(sequence, pieces).is_none() {
        return format!("{found}\nNot on a fresh connection, though. The sequence:\n{sequence}");
    }
    let small = shrink(sequence, |candidate| !may_crash_postgres(candidate) && pair.fails(candidate, pieces).is_some());
    let found = pair.fails(&small, pieces).unwrap_or_else(|| format!("not always; at first {found}"));
    format!("{found}\nThe sequence, made small:\n{small}")
}

fn counter(weir: &TestWeir, name: &str) -> u64 {
    let metrics = weir.metrics();
    let values = metrics.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit(' ').next());
    values.map(|value| value.parse::<f64>().expect("a number") as u64).sum()
}

fn stack(threads: usize) -> (TestServer, TestWeir) {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut setup = RawClient::superuser(&weir.address());
    for thread in 0..threads {
        create(&mut setup, thread);
    }
    for thread in 0..threads {
        let schema = schema(thread);
        weir.wait_until_live(&[&format!("{schema}.totals"), &format!("{schema}.lines")]);
        warm_up(&weir, thread);
    }
    (server, weir)
}

/// Sequences that once were answered otherwise through Weir.
fn found_before() -> Vec<Sequence> {
    use Step::{Bind, CopyData, CopyDone, Describe, Execute, Parse, Query, Sync, Wait};
    let parse = |sql: &str| Parse { name: "", sql: sql.into(), types: vec![] };
    let bind = |statement| Bind { portal: "", statement, formats: vec![], values: vec![], results: vec![] };
    let execute = |rows| Execute { portal: "", rows };
    let totals = "SELECT * FROM totals ORDER BY shop";
    let lines = "SELECT id, shop FROM lines ORDER BY id LIMIT $1 OFFSET $2";
    let read = [parse(totals), bind(""), execute(0), Sync, Wait];
    let copy = [parse("COPY (SELECT * FROM totals ORDER BY shop) TO STDOUT"), bind(""), execute(0), Sync, Wait];
    let bind_values = |count: usize, formats: &[i16]| Bind {
        portal: "",
        statement: "",
        formats: formats.to_vec(),
        values: vec![None; count],
        results: vec![],
    };
    // What a failed block says of the unnamed statement and portal that memory was given in it.
    let begin = [Query(totals.into()), Wait, Query("BEGIN".into()), Wait];
    let fail = [bind("unknown"), Sync, Wait];
    let close = Step::Close { kind: 'P', name: "" };
    let refused = [
        &[bind_values(1, &[]), Sync, Wait, bind_values(2, &[1]), Sync, Wait, bind_values(0, &[1, 0]), Sync, Wait][..],
        &[bind_values(0, &[]), Sync, Wait, bind_values(2, &[0, 0, 0]), execute(1), Sync, Wait][..],
        &[Step::Raw { tag: 'B', length: 8, body: b"\0\0\0\x01".to_vec() }, Sync, Wait][..],
        &[Describe { kind: 'S', name: "" }, Sync, Wait, Describe { kind: 'P', name: "" }, Sync, Wait, execute(0), Sync]
            [..],
    ]
    .concat();
    let all = [
        // A Parse that nobody executes may be an error.
        vec![parse("SELECT nope FROM totals"), Sync],
        // So may a Bind.
        vec![parse(lines), bind(""), Sync],
        // A Sync with a body is one.
        vec![parse(totals), Step::Raw { tag: 'S', length: 5, body: b"x".to_vec() }],
        // A query behind a failed Bind is skipped with it, up to the Sync.
        vec![bind("unknown"), Query(totals.into()), Wait, Sync, Wait, Query(totals.into())],
        // What was put in for the client may be skipped, too.
        [&read[..], &[bind("unknown"), bind(""), execute(1), Sync, bind(""), execute(1), Sync]].concat(),
        // So does one that cannot be read.
        [
            &read[..],
            &[Step::Raw { tag: 'P', length: 17, body: b"\0SELECT '\xc3('\0\0\0"[..13].to_vec() }, Sync, Wait],
            &[
                Step::Raw { tag: 'P', length: 19, body: b"\0SELECT '\xc3('\0\0\0".to_vec() },
                Sync,
                Wait,
                bind(""),
                execute(1),
                Sync,
            ],
        ]
        .concat(),
        // A Parse that is skipped leaves the unnamed statement as it was.
        [&read[..], &[bind("unknown"), parse("SELECT 7"), Sync, Wait, bind(""), execute(1), Sync]].concat(),
        // In a block the unnamed portal outlives its batch; then a query destroys it.
        [&[Query("BEGIN".into()), Wait], &read[..], &[execute(0), Sync, Describe { kind: 'P', name: "" }, Sync, Wait]]
            .concat(),
        [
            &[Query("BEGIN".into()), Wait],
            &read[..],
            &[execute(0), Sync, Wait, Query("SELECT count(*) FROM lines".into()), Wait, execute(5), Sync],
        ]
        .concat(),
        // Nothing is put in while a copy runs.
        vec![Query(totals.into()), Wait, Query("COPY scratch FROM STDIN".into()), Wait, bind(""), Sync],
        // Behind a message of impossible length the replies to what came before are still told apart.
        vec![Query(totals.into()), Wait, bind(""), Step::Raw { tag: 'B', length: u32::MAX, body: vec![] }],
        // What has been collected before it is forwarded with the statement that memory was given.
        vec![
            Query(totals.into()),
            Wait,
            parse(totals),
            Step::Flush,
            bind_values(1, &[0]),
            Step::Raw { tag: 'Q', length: 0, body: vec![] },
        ],
        // A description takes no snapshot, not even that of a statement that upstream has not been given.
        [
            &read[..],
            &[Describe { kind: 'S', name: "" }, Query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE".into()), Sync],
        ]
        .concat(),
        // A block that is opened in one flight with its first read, and one whose opening fails.
        [
            &[parse("BEGIN"), bind(""), execute(0)],
            &read[..],
            &[Query("INSERT INTO scratch VALUES (9, 'x')".into()), Wait],
            &read[..],
            &[Query("COMMIT".into()), Wait],
        ]
        .concat(),
        [&[parse("BEGIN"), bind("unknown"), execute(0)], &read[..], &read[..]].concat(),
        [
            &[Query(totals.into()), Wait, parse("BEGIN"), bind("unknown"), execute(0), parse("BEGIN"), bind("")][..],
            &[execute(0), Query("SELECT 1".into()), parse(totals), bind(""), Sync, Wait][..],
            &read[..],
        ]
        .concat(),
        // SET TRANSACTION comes too late behind a read of its block, also in the middle of a batch.
        [
            &[Query("BEGIN".into()), Wait],
            &read[..],
            &[Parse { name: "s1", sql: "SAVEPOINT a".into(), types: vec![] }],
            &[Query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE".into()), Sync],
        ]
        .concat(),
        [
            &[Query(totals.into()), parse("BEGIN"), bind(""), execute(0), parse(lines), Sync],
            &[Parse { name: "s1", sql: "SAVEPOINT a".into(), types: vec![] }, bind("s1")][..],
            &[Query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE".into()), Sync],
        ]
        .concat(),
        // A description takes one, too, which lasts up to the Sync.
        [
            &[Query(totals.into()), Wait, parse(totals), Describe { kind: 'S', name: "" }, Step::Flush, Wait][..],
            &[Query("BEGIN ISOLATION LEVEL REPEATABLE READ".into()), Wait, Query("ROLLBACK".into())],
        ]
        .concat(),
        [
            &[Query(totals.into()), Wait, parse(totals), Describe { kind: 'S', name: "" }, Step::Flush, Wait][..],
            &[Query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE".into()), Wait],
        ]
        .concat(),
        // That of a COPY takes none.
        [
            &[Query(totals.into()), Wait, copy[0].clone(), Describe { kind: 'S', name: "" }, Step::Flush, Wait][..],
            &[Query("BEGIN ISOLATION LEVEL REPEATABLE READ".into()), Wait, Query("ROLLBACK".into())],
        ]
        .concat(),
        [
            &begin[..],
            &[copy[0].clone(), Describe { kind: 'S', name: "" }, Sync, Wait],
            &[Query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE".into()), Wait],
        ]
        .concat(),
        [
            &[Query(totals.into()), Wait, parse(totals), Step::Flush, copy[0].clone(), Step::Flush, Wait][..],
            &[Query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE".into()), Wait],
        ]
        .concat(),
        // The portal of a read in a block that has failed since, and in one whose end is under way.
        [
            &[Query(totals.into()), Wait, parse("BEGIN"), bind(""), execute(0)],
            &read[..],
            &[parse("SELEC 1"), Sync, Wait, Describe { kind: 'P', name: "" }, Sync, Wait, execute(0), Sync],
        ]
        .concat(),
        [&[Query("BEGIN".into()), Wait], &read[..], &[Query("ROLLBACK".into()), execute(0), Sync]].concat(),
        [
            &[Parse { name: "end", sql: "ROLLBACK".into(), types: vec![] }, Sync, Query("BEGIN".into()), Wait],
            &read[..],
            &[Bind { portal: "p", statement: "end", formats: vec![], values: vec![], results: vec![] }],
            &[Execute { portal: "p", rows: 0 }, execute(0), Sync],
        ]
        .concat(),
        // A portal that memory made and closed, where upstream has another; and one that a description outlives.
        [
            &[Query(totals.into()), Wait, parse("BEGIN"), bind(""), execute(0), parse(totals), bind(""), execute(0)],
            &[Step::Close { kind: 'P', name: "" }, Sync, Wait, execute(0), Sync, Wait][..],
            &[Query("ROLLBACK".into()), Wait, Query("BEGIN".into()), Wait],
            &read[..],
            &[parse(totals), Describe { kind: 'S', name: "" }, Sync, Wait, Describe { kind: 'P', name: "" }, Sync],
        ]
        .concat(),
        // A type that there is not, for a parameter that is not used.
        vec![
            Parse { name: "", sql: format!("{totals} LIMIT 3"), types: vec![3_999_999_999] },
            bind(""),
            execute(0),
            Sync,
        ],
        // A Bind that fails leaves the portal as it was, or not.
        [
            &[Query(totals.into()), Wait, parse("BEGIN"), bind(""), execute(0)],
            &read[..],
            &[
                parse(""),
                Bind { portal: "", statement: "", formats: vec![1, 0], values: vec![], results: vec![] },
                Sync,
            ],
            &[Describe { kind: 'P', name: "" }, Sync, Wait],
        ]
        .concat(),
        [
            &[Query(totals.into()), Wait, Query("BEGIN".into()), Wait, Query(totals.into()), Wait][..],
            &[parse("SELECT shop FROM totals ORDER BY shop FOR UPDATE"), bind(""), Sync, Wait, execute(1), Sync][..],
        ]
        .concat(),
        // A read right behind a Close.
        [&read[..], &[Step::Close { kind: 'S', name: "" }, Sync], &read[..]].concat(),
        [&begin[..], &read[..], &fail, &refused].concat(),
        [&begin[..], &copy[..], &fail, &refused].concat(),
        // A query that fails in such a block leaves a portal of its own, or it does not.
        [
            &begin[..],
            &[Query(totals.into()), Wait][..],
            &[
                Query("SELECT total / (n - 20) FROM totals ORDER BY shop".into()),
                Describe { kind: 'P', name: "" },
                Sync,
            ],
        ]
        .concat(),
        [
            &begin[..],
            &read[..],
            &[Query("SELECT nope".into()), Wait, Describe { kind: 'P', name: "" }, Sync, Wait, execute(0), Sync],
        ]
        .concat(),
        [
            &begin[..],
            &copy[..],
            &[Query("SELECT nope".into()), Wait, Describe { kind: 'P', name: "" }, Sync, Wait, execute(0), Sync],
        ]
        .concat(),
        // A Close of that portal that is skipped behind an error, or refused, closes nothing; one that is answered does.
        [&begin[..], &read[..], &[fail[0].clone(), close.clone(), Sync, Wait, execute(3), Sync]].concat(),
        [&begin[..], &read[..], &[Step::Close { kind: 'X', name: "" }, Sync, Wait, execute(3), Sync]].concat(),
        [&begin[..], &read[..], &fail, &[close.clone(), execute(3), Sync, Wait, execute(3), Sync]].concat(),
        [&begin[..], &read[..], &[close.clone(), Describe { kind: 'P', name: "" }, Sync, Wait, execute(3), Sync]]
            .concat(),
        // A COPY has run to its end, whatever limit it was given, and does not run again.
        [&begin[..], &copy[..], &[Describe { kind: 'P', name: "" }, execute(1), Sync]].concat(),
        vec![
            copy[0].clone(),
            Describe { kind: 'S', name: "" },
            bind(""),
            Describe { kind: 'P', name: "" },
            execute(1),
            Sync,
        ],
        vec![copy[0].clone(), bind(""), execute(1), execute(1), Sync],
        // A parameter that nothing in it can refer to has no type.
        vec![Parse { name: "", sql: "COPY (SELECT * FROM totals) TO STDOUT".into(), types: vec![0] }, Sync],
        // A Sync within a copy that fails.
        vec![parse("COPY scratch FROM STDIN"), bind(""), execute(0), Sync, CopyData(b"x\n".to_vec()), Wait, Sync, Wait],
        // The copy fails before the Sync, and what follows is another copy with its own end.
        vec![
            Query("COPY scratch FROM STDIN".into()),
            CopyData(b"x\n".to_vec()),
            Sync,
            Query("COPY scratch FROM STDIN".into()),
            CopyData(b"7\tseven\n".to_vec()),
            CopyDone,
            Sync,
            Query(totals.into()),
            Wait,
            Query(totals.into()),
        ],
    ];
    all.into_iter().map(Sequence).collect()
}

#[test]
fn sequences_found_before() {
    let (server, weir) = stack(1);
    let mut pair = Pair::new(&server, &weir, 0);
    for sequence in found_before() {
        for pieces in 0..4 {
            if let Some(found) = pair.fails(&sequence, pieces) {
                panic!("{found}\n{sequence}");
            }
        }
    }
    assert!(!weir.log().contains("the analysis session is lost"), "{}", weir.log());
}

/// What drivers send in one flight with a read does not keep it from memory: the BEGIN of its block (pgjdbc with autocommit
/// off), the Close of another statement (tokio-postgres).
#[test]
fn reads_in_one_flight_with_others_are_answered_from_memory() {
    use Step::{Bind, Close, Execute, Parse, Sync};
    let (_server, weir) = stack(1);
    let mut client = RawClient::superuser(&weir.address());
    client.execute(&format!("SET search_path = {}", schema(0)));
    let run = |sql: &str| {
        [
            Parse { name: "", sql: sql.into(), types: vec![] },
            Bind { portal: "", statement: "", formats: vec![], values: vec![], results: vec![] },
            Execute { portal: "", rows: 0 },
        ]
    };
    let read = [&run(CACHED[1].sql)[..], &[Sync]].concat();
    let mut route = |flight: &[Step], batches: usize, after: &str| {
        let mut bytes = BytesMut::new();
        flight.iter().for_each(|step| step.encode(&mut bytes));
        client.send(&bytes).expect("it reads");
        for _ in 0..batches {
            let reply = client.receive_until(b'Z').expect("it answers");
            assert!(reply.iter().all(|message| message.tag != b'E'), "{reply:?}");
        }
        let route = client.last_route();
        client.simple(after);
        route
    };
    for (flight, batches, after) in [
        ([&run("BEGIN")[..], &read].concat(), 1, "COMMIT"),
        ([&[Close { kind: 'S', name: "gone" }, Sync][..], &read].concat(), 2, ""),
    ] {
        // The first ones may find the privilege unasked.
        let routes: Vec<_> = (0..5).map(|_| route(&flight, batches, after)).collect();
        assert_eq!(routes.last().map(String::as_str), Some("memory"), "{routes:?} for {flight:?}");
    }
}

/// A client that does not wait for CopyInResponse sends a Bind into the copy: the server ends the session, and names the Bind,
/// not what Weir would put in before it.
#[test]
fn nothing_is_put_in_where_a_copy_may_begin() {
    use Step::{Bind, Execute, Parse, Query, Sync, Wait};
    let (server, weir) = stack(1);
    let mut pair = Pair::new(&server, &weir, 0);
    let mut locker = RawClient::superuser(&server.address());
    let table = format!("{}.held", schema(0));
    let bind = |statement| Bind { portal: "", statement, formats: vec![], values: vec![], results: vec![] };
    let parse = |name, sql: &str| Parse { name, sql: sql.into(), types: vec![] };
    for unnamed in [
        vec![Query(CACHED[1].sql.into())],
        vec![parse("", CACHED[1].sql), bind(""), Execute { portal: "", rows: 0 }, Sync],
    ] {
        let sequence = [
            &[parse("s1", "COPY held FROM STDIN"), Sync, Wait][..],
            &unnamed,
            &[Wait, bind("s1"), Execute { portal: "", rows: 0 }, Sync, Wait, bind(""), Sync, Wait],
        ]
        .concat();
        let stopped = AtomicBool::new(false);
        let lock = format!("BEGIN; LOCK TABLE {table}");
        locker.execute(&lock);
        let found = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stopped.load(Ordering::Relaxed) {
                    let is_waited_for = format!(
                        "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = '{table}'::regclass AND NOT granted)"
                    );
                    while locker.query(&is_waited_for).scalar() != "t" && !stopped.load(Ordering::Relaxed) {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    // The client's patience ends, and it sends the Bind, before the copy can begin.
                    std::thread::sleep(Duration::from_millis(500));
                    locker.execute("COMMIT");
                    locker.execute(&lock);
                }
                locker.execute("COMMIT");
            });
            let found = pair.fails(&Sequence(sequence.clone()), 7);
            stopped.store(true, Ordering::Relaxed);
            found
        });
        assert_eq!(found, None, "{}", Sequence(sequence));
    }
}

/// Protocol versions that clients ask for, and options of the protocol that nobody knows: what the server says up to its
/// first ReadyForQuery, but for the key.
#[test]
fn start_up_in_every_version() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    for (minor, options) in [(0, ""), (0, "_pq_.unknown\0on\0"), (1, ""), (2, ""), (2, "_pq_.other\0\0"), (9, "")] {
        let mut packet = format!("user\0postgres\0database\0postgres\0{options}\0").into_bytes();
        let mut bytes = (packet.len() as u32 + 8).to_be_bytes().to_vec();
        bytes.extend((3_u32 << 16 | minor).to_be_bytes());
        bytes.append(&mut packet);
        let greet = |address: &str| {
            let mut messages = RawClient::greet(address, &bytes).expect("trusted");
            for message in messages.iter_mut().filter(|message| message.tag == b'K') {
                message.body = vec![0; message.body.len()].into();
            }
            messages
        };
        assert_eq!(greet(&weir.address()), greet(&server.address()), "3.{minor} {options:?}");
    }
}

fn sequences() -> usize {
    match std::env::var("WEIR_TEST_SEQUENCES") {
        Ok(number) => number.parse().expect("WEIR_TEST_SEQUENCES is a number"),
        Err(_) => rounds(2000, 100_000),
    }
}

#[test]
fn random_sequences() {
    let (server, weir) = stack(THREADS);
    let seed = seed();
    eprintln!("random_sequences: WEIR_TEST_SEED={seed}");
    let run = Run {
        seed,
        wanted: sequences(),
        next: AtomicUsize::new(0),
        failed: AtomicBool::new(false),
        report: Mutex::new(String::new()),
        playing: Default::default(),
    };
    let before = (counter(&weir, "weir_statements_answered_total"), counter(&weir, "weir_statements_forwarded_total"));
    let worked: Vec<_> = std::thread::scope(|scope| {
        let (run, server, weir) = (&run, &server, &weir);
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || work(run, server, weir, thread))).collect();
        threads.into_iter().map(|thread| thread.join()).collect()
    });
    // All sessions are gone with a backend that died, so this is told before what the threads make of it.
    if let Some(crash) = server.log().lines().find(|line| line.contains("was terminated by signal")) {
        panic!("the server crashed ({crash}) under one of WEIR_TEST_SEED={:?}", run.playing);
    }
    worked.into_iter().for_each(|worked| worked.unwrap_or_else(|panic| resume_unwind(panic)));
    let log = weir.log();
    let distrusted =
        log.lines().filter(|line| line.contains("replies do not match")).inspect(|line| eprintln!("{line}"));
    let distrusted = distrusted.count();
    let report = run.report.into_inner().expect("no panic holds it");
    assert!(report.is_empty(), "{report}");
    assert!(distrusted * 1000 <= GIVEN_UP * run.wanted, "{distrusted} sessions of {} given up", run.wanted);
    let memory = counter(&weir, "weir_statements_answered_total") - before.0;
    let forwarded = counter(&weir, "weir_statements_forwarded_total") - before.1;
    eprintln!(
        "{} sequences; reads of stream tables: {memory} from memory, {forwarded} forwarded; \
         {distrusted} sessions given up",
        run.wanted
    );
    assert!(
        memory * 100 >= MEMORY_SHARE * (memory + forwarded),
        "too few answers from memory: {memory} of {}",
        memory + forwarded
    );
}
