//! A server, a Weir, and sessions through it and beside it.

use std::time::{Duration, Instant};
use weir_tests::oracle::{Order, compare, compare_from_memory};
use weir_tests::postgres::{SUPERUSER, TestServer};
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// Nothing that is waited for here takes this long on a machine that is not stuck.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Stage {
    pub server: TestServer,
    pub weir: TestWeir,
    /// Through Weir, at the default level.
    pub app: RawClient,
    /// Through Weir, at the level `latest`.
    pub reader: RawClient,
    pub direct: RawClient,
    streams: Vec<String>,
}

pub const SUMS: &str = "SELECT g, count(*) AS n, sum(v) AS total FROM p GROUP BY g";

/// Weir's role where it is no superuser, and so has no event triggers.
pub const PLAIN_ROLE: &str = "keeper";

impl Stage {
    pub fn new(setup: &str) -> Stage {
        Stage::of(setup, SUPERUSER)
    }

    /// Weir, and whoever uses it, connects as this role, which is made if need be.
    pub fn of(setup: &str, role: &str) -> Stage {
        let server = TestServer::start();
        let mut direct = RawClient::superuser(&server.address());
        if role != SUPERUSER {
            direct.execute(&format!(
                "CREATE ROLE {role} LOGIN REPLICATION; GRANT CREATE, TEMP ON DATABASE postgres TO {role}; \
                 GRANT ALL ON SCHEMA public TO {role}"
            ));
        }
        let weir = TestWeir::start_as(&server, &format!("postgres://{role}@{}/postgres", server.address()), &[]);
        let session = || {
            let parameters = [("user", role), ("database", "postgres"), ("client_encoding", "UTF8")];
            RawClient::connect(&weir.address(), &parameters, role).expect("the role may log in")
        };
        let (mut app, mut reader) = (session(), session());
        app.execute(setup);
        weir.wait_until_asked(&mut direct);
        reader.execute("SET weir.consistency = 'latest'");
        Stage { server, weir, app, reader, direct, streams: Vec::new() }
    }

    /// A stream table that must be maintained incrementally.
    pub fn stream(&mut self, name: &str, query: &str) {
        self.app.execute(&format!(
            "SELECT pgtrickle.create_stream_table('{name}', $weir${query}$weir$, '1s', 'DIFFERENTIAL')"
        ));
        self.streams.push(name.to_owned());
        self.live();
    }

    /// Why a stream table of this query is refused.
    pub fn refusal(&mut self, query: &str) -> String {
        let create =
            format!("SELECT pgtrickle.create_stream_table('refused', $weir${query}$weir$, '1s', 'DIFFERENTIAL')");
        let error = self.app.query(&create).error.unwrap_or_else(|| panic!("{query} is not refused"));
        assert_eq!(error.code, "0A000", "{error:?}");
        error.message
    }

    /// Everything is right, from memory or not.
    pub fn check(&mut self) {
        for name in &self.streams {
            let sql = format!("SELECT * FROM {name}");
            if let Err(difference) = compare(&mut self.reader, &mut self.direct, &sql, Order::Any) {
                panic!("{difference}\nroute {}", self.reader.last_route());
            }
        }
    }

    /// Everything is in memory again, and right.
    pub fn live(&mut self) {
        for name in &self.streams {
            let sql = format!("SELECT * FROM {name}");
            let started = Instant::now();
            while self.reader.query(&sql).error.is_some() || !self.reader.last_route().starts_with("memory") {
                let route = self.reader.last_route();
                assert!(started.elapsed() < PATIENCE, "{name} is not answered from memory: {route}");
                std::thread::sleep(Duration::from_millis(20));
            }
            if let Err(difference) = compare_from_memory(&mut self.reader, &mut self.direct, &sql, Order::Any) {
                panic!("{difference}");
            }
        }
    }

    /// One statement; right at once, and in memory again after a while.
    pub fn run(&mut self, statement: &str) {
        self.app.execute(statement);
        self.check();
        self.live();
    }

    /// Weir, which was stopped, and the sessions through it.
    pub fn start_again(&mut self) {
        self.weir.start_again();
        self.app = RawClient::superuser(&self.weir.address());
        self.reader = RawClient::superuser(&self.weir.address());
        self.reader.execute("SET weir.consistency = 'latest'");
    }

    /// `weir unwatch --all`, of a Weir that is stopped first. Nothing of it is left at the tables.
    pub fn unwatch(&mut self) {
        self.weir.stop();
        let output = std::process::Command::new(weir_tests::weir::binary())
            .args(["unwatch", "--upstream", &self.server.url(), "--all"])
            .output()
            .expect("weir runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let left = "SELECT (SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'weir!_%' ESCAPE '!') \
             + (SELECT count(*) FROM pg_publication_rel)";
        assert_eq!(self.direct.execute(left).scalar(), "0");
    }
}
