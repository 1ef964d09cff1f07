//! One run of the suite: a fresh server, with or without a Weir in front of it, and `pg_regress` part by part.

use super::DATABASE;
use super::suite::{Group, Suite, write_schedule};
use crate::postgres::{SUPERUSER, TestServer};
use crate::weir::TestWeir;
use crate::wire::RawClient;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Tests of a group that run at the same time; the suite's own limit (`MAXCONNOPT`, src/test/regress/GNUmakefile).
const CONCURRENT_TESTS: u32 = 20;

/// Exit status of pg_regress when tests ran but answered otherwise than its expected files.
const SOME_DIFFER: i32 = 1;

/// Tables that VACUUM has counted and not found visible to everybody.
const LEFT_BY_VACUUM: &str = "SELECT oid::regclass FROM pg_class \
     WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relallvisible < relpages";
const VACUUM_TIMEOUT: Duration = Duration::from_secs(60);

/// A server and where the results of the suite go.
pub struct Run {
    // Dropped before the server it talks to.
    pub weir: Option<TestWeir>,
    pub server: TestServer,
    output: PathBuf,
    parts_done: usize,
    finished: Vec<String>,
}

impl Run {
    /// A run against Postgres itself.
    pub fn direct(suite: &Suite) -> Run {
        let server = start_server(suite);
        create_database(&server);
        let output = server.scratch_directory("regress");
        Run { weir: None, server, output, parts_done: 0, finished: Vec::new() }
    }

    /// A run through a Weir in its default configuration, with its SQL installed in the suite's database.
    pub fn through_weir(suite: &Suite) -> Run {
        let mut run = Run::direct(suite);
        let url = format!("postgres://{SUPERUSER}:{SUPERUSER}@{}/{DATABASE}", run.server.address());
        run.weir = Some(TestWeir::start_as(&run.server, &url, &[]));
        run
    }

    /// `host:port` of what is under test.
    pub fn address(&self) -> String {
        self.weir.as_ref().map_or_else(|| self.server.address(), TestWeir::address)
    }

    /// Runs these groups. What `pg_regress` thinks of the results does not count, only that there are some.
    pub fn run(&mut self, suite: &Suite, groups: &[Group]) {
        self.parts_done += 1;
        let schedule = self.output.join(format!("schedule_{}", self.parts_done));
        write_schedule(groups, &schedule);
        let address = self.address();
        let (host, port) = address.split_once(':').expect("an address has a port");
        let mut command = self.server.command_as_owner(&suite.programs().join("pg_regress").display().to_string());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.arg("--use-existing").args(["--host", host, "--port", port, "--user", SUPERUSER]);
        command.args(["--dbname", DATABASE]).arg(format!("--max-concurrent-tests={CONCURRENT_TESTS}"));
        let directories = [
            ("inputdir", suite.input()),
            ("outputdir", self.output.clone()),
            ("bindir", suite.programs()),
            ("dlpath", suite.libraries()),
            ("schedule", schedule),
        ];
        for (option, path) in &directories {
            command.arg(format!("--{option}={}", path.display()));
        }
        if suite.major >= 16 {
            command.arg(format!("--expecteddir={}", suite.input().display()));
        }
        let done = command.output().expect("pg_regress can be run");
        assert!(
            done.status.success() || done.status.code() == Some(SOME_DIFFER),
            "pg_regress did not run the tests: {}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
        self.finished.extend(groups.iter().flat_map(|Group(tests)| tests.iter().cloned()));
    }

    /// Runs the groups up to the one that fills the tables. Its VACUUM cannot mark rows all-visible that somebody's open
    /// transaction does not see, and later tests print plans that depend on it: what it had to leave is vacuumed again.
    pub fn set_up(&mut self, suite: &Suite, groups: &[Group]) {
        self.run(suite, groups);
        let mut client = self.direct_client();
        let started = Instant::now();
        loop {
            let left = client.query(LEFT_BY_VACUUM).texts();
            if left.is_empty() {
                return;
            }
            println!("left by the VACUUM of the setup: {}", left.concat().join(", "));
            assert!(started.elapsed() < VACUUM_TIMEOUT, "VACUUM cannot mark all pages of {left:?}");
            for table in left {
                client.execute(&format!("VACUUM {}", table[0]));
            }
        }
    }

    /// The tests that were run.
    pub fn finished(&self) -> &[String] {
        &self.finished
    }

    /// What a test answered.
    pub fn result(&self, test: &str) -> Vec<u8> {
        let path = self.result_path(test);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{test} left no result: {error}"))
    }

    pub fn result_path(&self, test: &str) -> PathBuf {
        self.output.join("results").join(format!("{test}.out"))
    }

    /// A superuser's session in the suite's database, through Weir where there is one.
    pub fn client(&self) -> RawClient {
        RawClient::superuser_of(&self.address(), DATABASE)
    }

    /// As `client`, past Weir.
    pub fn direct_client(&self) -> RawClient {
        RawClient::superuser_of(&self.server.address(), DATABASE)
    }
}

fn start_server(suite: &Suite) -> TestServer {
    // As pg_regress configures its own servers (max_prepared_transactions); the rest is Postgres' default.
    let options = TestServer::options().binaries(suite.binaries()).conf("max_prepared_transactions = 2");
    options.conf("autovacuum_naptime = 1min").start()
}

/// As `create_database` in pg_regress.c; it does not do so for a database that exists.
fn create_database(server: &TestServer) {
    let mut client = RawClient::superuser(&server.address());
    client.execute(&format!("CREATE DATABASE {DATABASE} TEMPLATE = template0"));
    for setting in ["lc_messages", "lc_monetary", "lc_numeric", "lc_time"] {
        client.execute(&format!("ALTER DATABASE {DATABASE} SET {setting} TO 'C'"));
    }
    client.execute(&format!("ALTER DATABASE {DATABASE} SET bytea_output TO 'hex'"));
    client.execute(&format!("ALTER DATABASE {DATABASE} SET timezone_abbreviations TO 'Default'"));
}
