//! A server with a prepared database, and programs run in fresh copies of it: the same name, the same object identifiers.

use super::Program;
use super::report::{Outcome, Run};
use crate::postgres::{SUPERUSER, TestServer};
use crate::weir::TestWeir;
use crate::wire::RawClient;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const FIXTURE: &str = include_str!("../../drivers/fixture.sql");
/// The stream tables of the fixture, ancestors first.
const STREAM_TABLES: [&str; 6] =
    ["customer_totals", "country_totals", "order_lines", "every_kind", "every_extreme", "scratch_totals"];
/// The prepared database, and the one that programs see.
const TEMPLATE: &str = "fixture";
const DATABASE: &str = "app";
/// A program that takes longer hangs; the longest are suites of some hundred tests.
const PROGRAM_SECONDS: &str = "600";
/// How long connections of a Weir that has ended may linger in the database they were made to.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// A server that holds the fixture.
pub struct Stage {
    server: TestServer,
    scratch: PathBuf,
}

impl Stage {
    /// Starts a server and makes the fixture through a Weir.
    pub fn set() -> Stage {
        let server = TestServer::options().conf("lc_messages = 'C'").start();
        let mut client = RawClient::superuser(&server.address());
        client.execute(&format!("CREATE DATABASE {TEMPLATE}"));
        let mut weir = TestWeir::start_as(&server, &url(&server, TEMPLATE), &[]);
        RawClient::superuser_of(&weir.address(), TEMPLATE).execute(FIXTURE);
        weir.wait_until_live(&STREAM_TABLES);
        weir.stop();
        let scratch = std::env::temp_dir().join(format!("weir-drivers-{}", std::process::id()));
        std::fs::create_dir_all(&scratch).expect("the temporary directory is writable");
        Stage { server, scratch }
    }

    /// Runs the program directly and through Weir. `Err`: it is not installed.
    pub fn run(&self, program: &Program) -> Result<Outcome, String> {
        self.fresh_database();
        let direct = self.run_at(program, self.server.port(), None)?;
        self.fresh_database();
        let mut weir = TestWeir::start_as(&self.server, &url(&self.server, DATABASE), &[]);
        weir.wait_until_live(&STREAM_TABLES);
        let routes = self.scratch.join("routes");
        std::fs::write(&routes, "").expect("the scratch directory is writable");
        let before = Counters::read(&weir);
        let through = self.run_at(program, weir.port(), Some(&routes))?;
        let counters = Counters::read(&weir).since(&before);
        let routes = std::fs::read_to_string(&routes).expect("just written");
        weir.stop();
        Ok(Outcome::new(program, direct, through, counters, &routes))
    }

    fn fresh_database(&self) {
        let mut client = RawClient::superuser(&self.server.address());
        for sql in [
            format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"),
            format!("CREATE DATABASE {DATABASE} TEMPLATE {TEMPLATE}"),
        ] {
            let started = Instant::now();
            loop {
                let Some(error) = client.query(&sql).error else { break };
                assert!(started.elapsed() < DISCONNECT_TIMEOUT, "{sql}: {error:?}");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }

    fn run_at(&self, program: &Program, port: u16, routes: Option<&PathBuf>) -> Result<Run, String> {
        let work = self.scratch.join("work");
        let _ = std::fs::remove_dir_all(&work);
        std::fs::create_dir_all(&work).expect("the scratch directory is writable");
        let mut command = Command::new("timeout");
        command.arg(PROGRAM_SECONDS).args(program.command()).current_dir(&work);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.env("PGHOST", "127.0.0.1").env("PGPORT", port.to_string()).env("PGDATABASE", DATABASE);
        command.env("PGUSER", SUPERUSER).env("PGPASSWORD", SUPERUSER).env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
        // Python's sets have one order then: Django prints some.
        command.env("PYTHONHASHSEED", "0");
        match routes {
            Some(path) => command.env("WEIR_ROUTES", path),
            None => command.env_remove("WEIR_ROUTES"),
        };
        let done = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
        // What `timeout` says when the program does not exist or cannot be run.
        if matches!(done.status.code(), Some(126 | 127)) {
            return Err(String::from_utf8_lossy(&done.stderr).trim().to_owned());
        }
        Ok(Run {
            status: done.status.code(),
            stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
        })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.scratch);
    }
}

fn url(server: &TestServer, database: &str) -> String {
    format!("postgres://{SUPERUSER}:{SUPERUSER}@{}/{database}", server.address())
}

/// What Weir has counted of statements that mention a stream table.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    pub answered: u64,
    /// Per reason.
    pub forwarded: Vec<(String, u64)>,
}

impl Counters {
    fn read(weir: &TestWeir) -> Counters {
        let mut counters = Counters::default();
        for line in metrics(&weir.http_address()).lines() {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse() else { continue };
            if name == "weir_statements_answered_total" {
                counters.answered = value;
            } else if let Some(label) = name.strip_prefix("weir_statements_forwarded_total{reason=\"") {
                counters.forwarded.push((label.trim_end_matches("\"}").to_owned(), value));
            }
        }
        counters
    }

    fn since(&self, before: &Counters) -> Counters {
        let earlier = |reason: &str| before.forwarded.iter().find(|(known, _)| known == reason).map_or(0, |(_, n)| *n);
        let forwarded = self.forwarded.iter().map(|(reason, n)| (reason.clone(), n - earlier(reason)));
        Counters { answered: self.answered - before.answered, forwarded: forwarded.filter(|(_, n)| *n > 0).collect() }
    }
}

fn metrics(address: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("Weir serves metrics");
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("Weir reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("metrics are text");
    answer
}
