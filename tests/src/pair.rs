//! Two sessions that do the same: one through Weir, one direct. What they are answered must be equal.

use crate::oracle::settled;
use crate::postgres::{SUPERUSER, TestServer};
use crate::weir::TestWeir;
use crate::wire::{Message, RawClient, Table};
use std::time::{Duration, Instant};

/// How long a statement may take until memory answers it.
const ANALYSIS: Duration = Duration::from_secs(20);

/// One role's two sessions.
pub struct Pair {
    pub through: RawClient,
    pub direct: RawClient,
}

impl Pair {
    /// A superuser's.
    pub fn superuser(server: &TestServer, weir: &TestWeir) -> Pair {
        Pair::of(server, weir, SUPERUSER, &[])
    }

    /// With further start-up parameters. Panics when refused.
    pub fn of(server: &TestServer, weir: &TestWeir, user: &str, parameters: &[(&str, &str)]) -> Pair {
        let mut all = vec![("user", user), ("database", "postgres"), ("client_encoding", "UTF8")];
        all.retain(|(name, _)| parameters.iter().all(|(given, _)| given != name));
        all.extend(parameters);
        let connect = |address: &str| RawClient::connect(address, &all, SUPERUSER).expect("a session");
        Pair { through: connect(&weir.address()), direct: connect(&server.address()) }
    }

    /// Makes a stream table that is maintained.
    pub fn stream(&mut self, name: &str, query: &str) {
        self.through.execute(&format!(
            "SELECT pgtrickle.create_stream_table('{name}', $weir$ {query} $weir$, '1s', 'DIFFERENTIAL')"
        ));
    }

    /// Rows in any order, equal at every moment, and from memory in the end.
    pub fn settled(&mut self, sql: &str) {
        settled(&mut self.through, &mut self.direct, sql);
    }

    /// The same on both ways, with the same answer: every field of it, of an error all but the source's line.
    pub fn same(&mut self, sql: &str) -> Table {
        let (through, direct) = (self.through.query(sql), self.direct.query(sql));
        assert_eq!(through, direct, "{sql}: {}", self.through.last_route());
        through
    }

    /// Every message is the same.
    pub fn same_messages(&mut self, what: &str, mut act: impl FnMut(&mut RawClient) -> Vec<Message>) -> Vec<Message> {
        let (through, direct) = (act(&mut self.through), act(&mut self.direct));
        assert_eq!(through, direct, "{what}");
        through
    }

    /// The same in the simple protocol and, in text and in binary, in the extended protocol.
    pub fn same_in_all_formats(&mut self, sql: &str) {
        self.same(sql);
        for format in [0, 1] {
            self.same_messages(sql, |client| client.extended(sql, &[], format));
        }
    }

    /// The same, without an error.
    pub fn run(&mut self, sql: &str) {
        assert_eq!(self.same(sql).error, None, "{sql}");
    }

    /// Refused with this SQLSTATE on both ways, in the simple and in the extended protocol, time and again.
    pub fn refused(&mut self, sql: &str, code: &str) {
        for _ in 0..3 {
            let error = self.same(sql).error.unwrap_or_else(|| panic!("{sql} is answered"));
            assert_eq!(error.code, code, "{sql}: {error:?}");
            self.same_messages(sql, |client| client.extended(sql, &[], 1));
        }
    }

    /// The same, and soon from memory.
    pub fn from_memory(&mut self, sql: &str) {
        let started = Instant::now();
        loop {
            assert_eq!(self.same(sql).error, None, "{sql}");
            let route = self.through.last_route();
            if route == "memory" {
                break;
            }
            assert!(started.elapsed() < ANALYSIS, "{sql} is not answered from memory: {route}");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.same_messages(sql, |client| client.extended(sql, &[], 1));
    }

    /// The same, however often, and never from memory. The reason is this one when the analysis is done.
    pub fn forwarded(&mut self, sql: &str, reason: &str) {
        let started = Instant::now();
        loop {
            assert_eq!(self.same(sql).error, None, "{sql}");
            let route = self.through.last_route();
            assert!(route.starts_with("forwarded"), "{sql}: {route}");
            if route.contains(reason) {
                return;
            }
            assert!(started.elapsed() < ANALYSIS, "{sql} is forwarded for another reason: {route}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
