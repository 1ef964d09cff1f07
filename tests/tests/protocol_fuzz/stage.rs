//! One thread's two ways to the same server, over a schema of its own.

use std::time::{Duration, Instant};
use weir_tests::postgres::TestServer;
use weir_tests::protocol::play::{Player, Transcript, difference};
use weir_tests::protocol::statements::{CACHED, CACHED_QUERIES, RESTORE, create, schema};
use weir_tests::protocol::{Sequence, Step};
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// How long the analysis of all statements may take.
const WARM_UP: Duration = Duration::from_secs(60);

/// One thread's two ways into the database.
pub struct Pair<'a> {
    server: &'a TestServer,
    weir: &'a TestWeir,
    thread: usize,
    temporary_from: u32,
    admin: RawClient,
    through: Player,
    direct: Player,
}

impl<'a> Pair<'a> {
    pub fn new(server: &'a TestServer, weir: &'a TestWeir, thread: usize) -> Pair<'a> {
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

    pub fn reconnect(&mut self) {
        self.through = player(&self.weir.address(), self.thread, self.temporary_from);
        self.direct = player(&self.server.address(), self.thread, self.temporary_from);
    }

    /// Both transcripts; the tables are put right before each.
    pub fn play(&mut self, sequence: &Sequence, pieces: u64) -> (Transcript, Transcript) {
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
    pub fn fails(&mut self, sequence: &Sequence, pieces: u64) -> Option<String> {
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

/// A server with a Weir before it, and as many schemas of statements that memory answers.
pub fn stack(threads: usize) -> (TestServer, TestWeir) {
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
