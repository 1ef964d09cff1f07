//! A read that looks at many rows is executed beside the sessions' threads: it delays nobody, is Postgres' answer by every
//! protocol, and ends when its client or the statement timeout ends it.

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use weir_tests::oracle::{Order, compare_from_memory};
use weir_tests::postgres::TestServer;
use weir_tests::weir::TestWeir;
use weir_tests::wire::{Message, RawClient, Table, bind};

/// Several times what a session's thread looks at itself.
const ROWS: u32 = 60_000;
/// Connections whose point reads are watched: more than there are threads for sessions.
const WATCHED: usize = 8;
const POINT_READS: usize = 20;
/// Between two rounds of them.
const PAUSE: Duration = Duration::from_millis(30);
const PATIENCE: Duration = Duration::from_secs(30);

struct Stack {
    server: TestServer,
    weir: TestWeir,
}

impl Stack {
    fn start() -> Stack {
        let server = TestServer::start();
        let weir = TestWeir::start(&server);
        RawClient::superuser(&server.address()).execute(&format!(
            "CREATE TABLE sale (id int PRIMARY KEY, kind int NOT NULL, amount numeric(10,2), note text); \
             INSERT INTO sale SELECT n, n % 1000, (n * 7919 % 100000) / 100.0, nullif('note ' || n % 7, 'note 3') \
             FROM generate_series(1, {ROWS}) n"
        ));
        let mut client = RawClient::superuser(&weir.address());
        client.execute("SELECT pgtrickle.create_stream_table('sold', 'SELECT * FROM sale', '1s')");
        weir.wait_until_live(&["sold"]);
        // The index of the point reads below is there before anything is measured.
        let started = Instant::now();
        let stack = Stack { server, weir };
        while !stack.is_indexed(&mut client) {
            assert!(started.elapsed() < PATIENCE, "no index of sold.id");
        }
        stack
    }

    fn pair(&self) -> (RawClient, RawClient) {
        (RawClient::superuser(&self.weir.address()), RawClient::superuser(&self.server.address()))
    }

    fn executed_elsewhere(&self) -> u64 {
        self.weir.counter("weir_reads_executed_elsewhere_total") as u64
    }

    /// A few point reads in a row are executed on their session's thread.
    fn is_indexed(&self, client: &mut RawClient) -> bool {
        let before = self.executed_elsewhere();
        (0..3).for_each(|_| drop(client.query("SELECT amount FROM sold WHERE id = 17")));
        client.last_route().starts_with("memory") && self.executed_elsewhere() == before
    }
}

/// Looks at `rows` times [`ROWS`] pairs. `salt` keeps it from being maintained as a part that comes again.
fn long(rows: u32, salt: usize) -> String {
    format!("SELECT count(*) FROM sold a JOIN sold b ON a.kind < b.kind + {salt} WHERE a.id <= {rows}")
}

/// Tells a thread that goes on until then, also where the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn error_code(messages: &[Message]) -> Option<String> {
    Table::read(messages).error.map(|error| error.code)
}

#[test]
fn a_long_read_delays_nobody() {
    let stack = Stack::start();
    let mut watched: Vec<RawClient> = (0..WATCHED).map(|_| RawClient::superuser(&stack.weir.address())).collect();
    for client in &mut watched {
        (0..20).for_each(|_| drop(client.query("SELECT amount FROM sold WHERE id = 17")));
        assert!(client.last_route().starts_with("memory"));
    }
    let is_over = AtomicBool::new(false);
    let before = stack.executed_elsewhere();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut client = RawClient::superuser(&stack.weir.address());
            let mut shortest = Duration::MAX;
            for salt in 0.. {
                let started = Instant::now();
                client.execute(&long(100, salt));
                // The first may have been Postgres', until its text was analysed.
                if client.last_route().starts_with("memory") {
                    shortest = shortest.min(started.elapsed());
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                }
            }
            shortest
        });
        let over = Over(&is_over);
        let started = Instant::now();
        while stack.executed_elsewhere() < before + 2 {
            assert!(started.elapsed() < PATIENCE, "nothing is executed elsewhere\n{}", stack.weir.log());
        }
        let mut waits: Vec<Vec<Duration>> = vec![Vec::new(); WATCHED];
        // And until a long read has begun meanwhile.
        while waits[0].len() < POINT_READS || stack.executed_elsewhere() <= before + 2 {
            assert!(started.elapsed() < PATIENCE, "no long read begins\n{}", stack.weir.log());
            for (client, waits) in watched.iter_mut().zip(&mut waits) {
                let started = Instant::now();
                assert_eq!(client.query("SELECT kind FROM sold WHERE id = 17").scalar(), "17");
                waits.push(started.elapsed());
            }
            std::thread::sleep(PAUSE);
        }
        let median = |waits: &mut Vec<Duration>| {
            waits.sort();
            waits[waits.len() / 2]
        };
        let medians: Vec<Duration> = waits.iter_mut().map(median).collect();
        drop(over);
        let long = reader.join().expect("the reader ends");
        let longest = medians.iter().max().expect("somebody was watched");
        // Behind it in one queue, a point read would wait for half of it at the median.
        assert!(*longest < long / 8, "the long read takes {long:?}, point reads meanwhile {medians:?}");
    });
}

#[test]
fn answers_made_elsewhere_are_postgres_answers() {
    let stack = Stack::start();
    let (mut client, mut direct) = stack.pair();
    client.execute("SET weir.consistency = 'latest'");
    for (sql, order) in [
        ("SELECT kind % 10, count(*), sum(amount), max(note) FROM sold WHERE id > 5 GROUP BY 1", Order::Any),
        ("SELECT * FROM sold WHERE amount > 100 ORDER BY amount DESC, id LIMIT 30000", Order::Exact),
        ("SELECT id, note, amount * 2 FROM sold WHERE kind <> 4", Order::Any),
        ("SELECT count(*) FROM sold a JOIN sold b ON a.id = b.id + 1 WHERE a.kind < b.kind", Order::Any),
    ] {
        let before = stack.executed_elsewhere();
        compare_from_memory(&mut client, &mut direct, sql, order).unwrap_or_else(|difference| panic!("{difference}"));
        assert!(stack.executed_elsewhere() > before, "{sql}");
    }
    // Two long ones, a short one and a portal that is read in parts, all in one batch.
    let batch = |client: &mut RawClient| {
        let mut out = BytesMut::new();
        let mut add = |sql: &str, parameter: &str, rows: &[i32]| {
            frontend::parse("", sql, [], &mut out).expect("no zero byte");
            bind("", "", &[Some(parameter)], 0, &mut out);
            frontend::describe(b'P', "", &mut out).expect("no zero byte");
            rows.iter().for_each(|rows| frontend::execute("", *rows, &mut out).expect("no zero byte"));
        };
        add("SELECT sum(amount) FROM sold WHERE kind <> $1", "3", &[0]);
        add("SELECT note FROM sold WHERE id = $1", "3", &[0]);
        add("SELECT id FROM sold WHERE kind >= $1 ORDER BY id", "1", &[3, 2, 0]);
        frontend::sync(&mut out);
        client.send(&out).and_then(|()| client.receive_until(b'Z')).expect("an answer")
    };
    let started = Instant::now();
    loop {
        let before = stack.executed_elsewhere();
        let (told, expected) = (batch(&mut client), batch(&mut direct));
        let seen = |messages: &[Message]| messages.iter().map(|m| (m.tag, m.body.clone())).collect::<Vec<_>>();
        // A view has its own OID in a description.
        let of_rows =
            |messages: &[Message]| seen(messages).into_iter().filter(|(tag, _)| *tag != b'T').collect::<Vec<_>>();
        assert_eq!(of_rows(&told), of_rows(&expected));
        if client.last_route().starts_with("memory") {
            assert_eq!(stack.executed_elsewhere() - before, 2, "the short one is executed at home");
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{}", client.last_route());
    }
    for sql in [
        "COPY (SELECT kind, sum(amount) FROM sold WHERE id > 7 GROUP BY kind ORDER BY kind) TO STDOUT",
        "COPY (SELECT * FROM sold WHERE kind <> 9 ORDER BY id) TO STDOUT (FORMAT csv, HEADER)",
    ] {
        let started = Instant::now();
        loop {
            let before = stack.executed_elsewhere();
            let data = |messages: Vec<Message>| {
                messages.into_iter().filter(|m| m.tag == b'd').flat_map(|m| m.body.to_vec()).collect::<Vec<u8>>()
            };
            assert!(data(client.simple(sql)) == data(direct.simple(sql)), "{sql}");
            if client.last_route().starts_with("memory") {
                assert!(stack.executed_elsewhere() > before, "{sql}");
                break;
            }
            assert!(started.elapsed() < PATIENCE, "{sql}: {}", client.last_route());
        }
    }
}

#[test]
fn a_long_read_ends_with_a_cancel_request_or_the_statement_timeout() {
    let stack = Stack::start();
    let (mut client, _) = stack.pair();
    let cancel = client.cancel_request();
    // Its text has been analysed; a parameter's value makes it long.
    let sql = "SELECT count(*) FROM sold a JOIN sold b ON a.kind < b.kind WHERE a.id <= $1";
    let started = Instant::now();
    loop {
        client.extended(sql, &[Some("1")], 0);
        if client.last_route().starts_with("memory") {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{}", client.last_route());
    }
    let before = stack.executed_elsewhere();
    std::thread::scope(|scope| {
        let canceller = scope.spawn(|| {
            let started = Instant::now();
            while stack.executed_elsewhere() == before {
                assert!(started.elapsed() < PATIENCE, "nothing is executed elsewhere");
                std::thread::sleep(Duration::from_millis(2));
            }
            let mut connection = std::net::TcpStream::connect(stack.weir.address()).expect("Weir listens");
            std::io::Write::write_all(&mut connection, &cancel).expect("the request is sent");
            let _closed = std::io::Read::read(&mut connection, &mut [0]);
        });
        let told = client.extended(sql, &[Some("3000")], 0);
        canceller.join().expect("the request is sent");
        assert_eq!(error_code(&told).as_deref(), Some("57014"));
        assert_eq!(told.last().map(|ready| ready.body[0]), Some(b'I'));
    });
    assert_eq!(client.query("SELECT 1").scalar(), "1");
    // Postgres is asked when the time is over, and says what it says: it has not been quicker.
    client.execute("SET statement_timeout = '100ms'");
    let told = client.extended(sql, &[Some("3000")], 0);
    assert_eq!(error_code(&told).as_deref(), Some("57014"));
    assert!(stack.weir.metrics().contains("reason=\"statement timeout\"} 1"), "{}", stack.weir.metrics());
    client.execute("SET statement_timeout = 0");
    // What nobody waits for ends: its place is free for the next, which all threads' sessions need.
    for salt in 1000..1004 {
        let before = stack.executed_elsewhere();
        let started = Instant::now();
        while stack.executed_elsewhere() == before {
            client.execute(&long(1, salt));
            assert!(started.elapsed() < PATIENCE, "{}", client.last_route());
        }
    }
}
