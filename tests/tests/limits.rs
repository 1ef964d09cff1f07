//! Bounds, and peers that do not behave: too many clients, slow or silent ones, garbage, slow readers, killed clients.
//! WEIR_LONG=1 makes the numbers those of a busy day.

use rand::{Rng, SeedableRng};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// What may stay in Weir for a client that does not read: buffers of one session, many times over.
const SLOW_READER_BYTES: usize = 16 * 1024 * 1024;

/// Resident bytes of a process.
fn resident(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process lives");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("Linux says how much is resident");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<usize>().ok()).expect("a number") * 1024
}

/// Once what it does at its start is done: the same for half a second.
fn resident_at_rest(process: u32) -> usize {
    let (mut last, mut same) = (resident(process), 0);
    for _ in 0..100 {
        std::thread::sleep(Duration::from_millis(50));
        let now = resident(process);
        same = if now == last { same + 1 } else { 0 };
        last = now;
        if same == 10 {
            break;
        }
    }
    last
}

fn connect(address: &str) -> std::io::Result<RawClient> {
    RawClient::connect(address, &[("user", "postgres"), ("database", "postgres")], "postgres")
}

/// Until `query` answers `expected`.
fn wait_for(server: &TestServer, query: &str, expected: &str) {
    let mut client = RawClient::superuser(&server.address());
    let started = Instant::now();
    loop {
        let answer = client.query(query).scalar();
        if answer == expected {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{query}: {answer}, not {expected}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn one_client_too_many_gets_postgres_error() {
    let server = TestServer::start();
    let weir = TestWeir::start_with(&server, &["--max-clients", "3"]);
    let mut clients: Vec<RawClient> = Vec::new();
    // Connections of the start may still be closing.
    let started = Instant::now();
    while clients.len() < 3 {
        match connect(&weir.address()) {
            Ok(client) => clients.push(client),
            Err(error) => assert!(started.elapsed() < Duration::from_secs(20), "{error}"),
        }
    }
    let refused = connect(&weir.address()).err().expect("a fourth");
    assert_eq!(refused.to_string(), "53300 sorry, too many clients already");
    drop(clients.pop());
    let started = Instant::now();
    while let Err(error) = connect(&weir.address()) {
        assert!(started.elapsed() < Duration::from_secs(20), "a place is free: {error}");
    }
    // Postgres' own limit is Postgres' to name.
    assert_eq!(clients[0].query("SELECT 1").scalar(), "1");
}

#[test]
fn a_silent_client_is_not_waited_for() {
    let server = TestServer::start();
    let weir = TestWeir::start_with(&server, &["--authentication-timeout-s", "1"]);
    for beginning in [&b""[..], b"\0", b"\0\0\0\x10\0\x03\0\0user\0"] {
        let mut socket = TcpStream::connect(weir.address()).expect("it accepts");
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        socket.write_all(beginning).expect("it reads");
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).expect("it closes");
        assert_eq!(answer, b"", "as Postgres: without a word");
    }
}

#[test]
fn what_is_no_protocol_ends_as_postgres_ends_it() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let says = |address: &str, bytes: &[u8]| {
        let mut socket = TcpStream::connect(address).expect("it accepts");
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        let _ = socket.write_all(bytes);
        let _ = socket.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        // A reset is an end too.
        let _ = socket.read_to_end(&mut answer);
        answer
    };
    let packet =
        |code: u32, rest: &[u8]| [&((rest.len() + 8) as u32).to_be_bytes()[..], &code.to_be_bytes(), rest].concat();
    let before_login = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0xff; 64],
        vec![0, 0, 0, 4],
        packet(10_001, &[0; 16]),
        [&20_000u32.to_be_bytes()[..], &[0; 100]].concat(),
        packet(2 << 16, b"postgres\0"),
        packet(4 << 16, b"user\0postgres\0\0"),
        packet(3 << 16, b"user\0postgres"),
        packet(3 << 16, b"database\0postgres\0\0"),
    ];
    for bytes in &before_login {
        assert_eq!(says(&weir.address(), bytes), says(&server.address(), bytes), "{bytes:?}");
    }

    let after_login = |address: &str, bytes: &[u8]| {
        let mut socket = RawClient::superuser(address).into_stream();
        let _ = socket.write_all(bytes);
        let _ = socket.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        answer
    };
    let mut cases = vec![
        b"Q\0\0\0\x03".to_vec(),
        b"Q\xff\xff\xff\xff".to_vec(),
        b"Q\x7f\xff\xff\xffSELECT".to_vec(),
        b"Q\0\0\0\x20SELECT 1".to_vec(),
        b"P\0\0\0\x09abcde".to_vec(),
        b"B\0\0\0\x06\0\0S\0\0\0\x04".to_vec(),
        b"z\0\0\0\x04".to_vec(),
        b"Q\0\0\0\x0dSELECT 1\0z\0\0\0\x04".to_vec(),
        b"D\0\0\0\x06X\0S\0\0\0\x04".to_vec(),
    ];
    let mut random = rng::seeded("garbage");
    cases.extend((0..40).map(|_| (0..random.random_range(1..200)).map(|_| random.random()).collect()));
    for bytes in &cases {
        assert_eq!(after_login(&weir.address(), bytes), after_login(&server.address(), bytes), "{bytes:?}");
    }
    assert_eq!(RawClient::superuser(&weir.address()).query("SELECT 1").scalar(), "1", "and it still serves");
}

#[test]
fn a_slow_reader_slows_postgres_and_fills_no_memory() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut client = RawClient::superuser(&weir.address());
    let before = resident_at_rest(weir.process_id());
    let mut query = bytes::BytesMut::new();
    let text = "SELECT repeat('x', 1000000) FROM generate_series(1, 200)";
    postgres_protocol::message::frontend::query(text, &mut query).expect("no zero byte");
    client.send(&query).expect("it reads");
    wait_for(&server, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite'", "1");
    let grown = resident(weir.process_id()).saturating_sub(before);
    assert!(grown < SLOW_READER_BYTES, "{grown} bytes for a client that does not read");
    let rows = client.receive_until(b'Z').expect("all of it").iter().filter(|message| message.tag == b'D').count();
    assert_eq!(rows, 200);
    // A message of a hundred megabytes passes in pieces.
    let before = resident(weir.process_id());
    let answer = client.query("SELECT repeat('x', 100000000)");
    assert_eq!(answer.scalar().len(), 100_000_000);
    let grown = resident(weir.process_id()).saturating_sub(before);
    assert!(grown < SLOW_READER_BYTES, "{grown} bytes for one large message");
}

#[test]
fn killed_clients_leave_no_transaction() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    RawClient::superuser(&server.address()).execute("CREATE TABLE t (a int)");
    let mut random = rng::seeded("killed clients");
    let mut clients = Vec::new();
    for _ in 0..100 {
        let seed = random.random();
        let address = weir.address();
        clients.push(std::thread::spawn(move || {
            let mut random = rand::rngs::StdRng::seed_from_u64(seed);
            let Ok(client) = connect(&address) else { return };
            let mut socket = client.into_stream();
            let statements =
                ["BEGIN", "INSERT INTO t VALUES (1)", "SELECT pg_sleep(0.01)", "SELECT * FROM t", "SAVEPOINT s"];
            let mut said = bytes::BytesMut::new();
            for _ in 0..random.random_range(1..20) {
                let text = statements[random.random_range(0..statements.len())];
                postgres_protocol::message::frontend::query(text, &mut said).expect("no zero byte");
            }
            // Cut anywhere, also within a message; unread answers make the kernel send a reset.
            let cut = random.random_range(1..=said.len());
            let _ = socket.write_all(&said[..cut]);
            std::thread::sleep(Duration::from_millis(random.random_range(0..30)));
        }));
    }
    clients.into_iter().for_each(|client| client.join().expect("a client ends"));
    let open = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' \
                AND application_name NOT LIKE 'weir%' AND pid <> pg_backend_pid()";
    wait_for(&server, open, "0");
    wait_for(&server, "SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass", "0");
}

#[test]
fn many_idle_and_busy_clients() {
    let (idle, busy, duration) = (rng::rounds(150, 1000), rng::rounds(20, 200), rng::rounds(3, 120) as u64);
    let max = format!("max_connections = {}", idle + busy + 50);
    let server = TestServer::options().conf(&max).conf("shared_buffers = 64MB").start();
    let weir = TestWeir::start(&server);
    RawClient::superuser(&server.address())
        .execute("CREATE TABLE t (a int PRIMARY KEY, b text); INSERT INTO t SELECT n, 'row ' || n FROM generate_series(1, 1000) n");
    let before = resident(weir.process_id());
    let mut sleepers: Vec<RawClient> = (0..idle)
        .map(|n| {
            let mut client = connect(&weir.address()).unwrap_or_else(|error| panic!("client {n}: {error}"));
            // Idle as an application's pool is: it has been used.
            assert_eq!(client.query("SELECT count(*) FROM t").scalar(), "1000");
            client
        })
        .collect();
    let each = resident(weir.process_id()).saturating_sub(before) / idle;
    println!("{idle} idle connections: {} KiB each", each / 1024);

    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for n in 0..busy {
            let (stop, done, weir) = (&stop, &done, &weir);
            scope.spawn(move || {
                let mut client = connect(&weir.address()).unwrap_or_else(|error| panic!("busy client {n}: {error}"));
                let mut key = n;
                while !stop.load(Ordering::Relaxed) {
                    key = key % 1000 + 1;
                    let answer = client.query(&format!("SELECT b FROM t WHERE a = {key}"));
                    assert_eq!(answer.scalar(), format!("row {key}"));
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(Duration::from_secs(duration));
        stop.store(true, Ordering::Relaxed);
    });
    println!("{busy} busy connections: {} statements in {duration} s", done.load(Ordering::Relaxed));
    for client in &mut sleepers {
        assert_eq!(client.query("SELECT 1").scalar(), "1");
    }
    println!("resident after all: {} MiB", resident(weir.process_id()) / 1024 / 1024);
}
