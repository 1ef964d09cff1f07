//! One writing session: sends random statements in every shape an application uses.

use super::{copy, statement};
use crate::scenario::Scenario;
use crate::wire::{RawClient, Table};
use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rand::Rng;
use rand::rngs::StdRng;
use std::io;

/// Errors that random writers may run into: they are the application's, and roll the transaction back.
/// 23xxx constraint violations, 40P01 deadlock, 40001 serialization, 22003 out of range, 25P02 transaction is aborted,
/// 3B001 the savepoint was refused because it was.
fn expected(code: &str) -> bool {
    code.starts_with("23") || ["40P01", "40001", "22003", "25P02", "3B001"].contains(&code)
}

/// A session that writes until told otherwise.
pub struct Writer {
    scenario: Scenario,
    client: RawClient,
    rng: StdRng,
    /// Names for prepared transactions, which are global to the server.
    name: String,
    prepared: u64,
}

impl Writer {
    /// `name` must be unique among the writers of a server.
    pub fn new(scenario: Scenario, client: RawClient, rng: StdRng, name: &str) -> Writer {
        Writer { scenario, client, rng, name: name.to_owned(), prepared: 0 }
    }

    /// Does one thing an application does; several statements, up to the end of its transaction. An I/O error means
    /// that the connection is gone; an unexpected error of the server is a panic.
    pub fn act(&mut self) -> io::Result<()> {
        match self.rng.random_range(0..20) {
            0..7 => self.send_one(),
            7..11 => self.transaction(),
            11..14 => self.savepoints(),
            14..16 => self.several_in_one_message(),
            16 => self.extended(),
            17..19 => self.copy(),
            _ => self.two_phases(),
        }
    }

    fn send_one(&mut self) -> io::Result<()> {
        let sql = statement(self.scenario, &mut self.rng);
        self.run(&sql).map(drop)
    }

    fn transaction(&mut self) -> io::Result<()> {
        self.run("BEGIN")?;
        for _ in 0..self.rng.random_range(1..5) {
            self.send_one()?;
        }
        self.end()
    }

    fn savepoints(&mut self) -> io::Result<()> {
        self.run("BEGIN")?;
        self.send_one()?;
        for depth in 0..self.rng.random_range(1..4) {
            self.run(&format!("SAVEPOINT s{depth}"))?;
            self.send_one()?;
            match self.rng.random_range(0..3) {
                0 => self.run(&format!("RELEASE s{depth}"))?,
                1 => self.run(&format!("ROLLBACK TO s{depth}"))?,
                _ => true,
            };
        }
        self.send_one()?;
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        let end = if self.rng.random_range(0..4) == 0 { "ROLLBACK" } else { "COMMIT" };
        self.run(end).map(drop)
    }

    /// One implicit transaction: an error in a later statement undoes the earlier ones.
    fn several_in_one_message(&mut self) -> io::Result<()> {
        let statements: Vec<_> =
            (0..self.rng.random_range(2..5)).map(|_| statement(self.scenario, &mut self.rng)).collect();
        let mut sql = statements.join("; ");
        if self.rng.random_range(0..5) == 0 {
            sql.push_str("; INSERT INTO pg_class DEFAULT VALUES");
            // Refused with 42809, 42501 or a constraint, whichever the server checks first.
            return self.client.try_query(&sql).map(drop);
        }
        self.run(&sql).map(drop)
    }

    fn extended(&mut self) -> io::Result<()> {
        let sql = statement(self.scenario, &mut self.rng);
        let mut buffer = BytesMut::new();
        frontend::parse("", &sql, [], &mut buffer)?;
        crate::wire::bind("", "", &[], 1, &mut buffer);
        frontend::execute("", 0, &mut buffer)?;
        frontend::sync(&mut buffer);
        self.client.send(&buffer)?;
        let answer = Table::read(&self.client.receive_until(b'Z')?);
        self.judge(&sql, &answer);
        Ok(())
    }

    fn copy(&mut self) -> io::Result<()> {
        let copy = copy(self.scenario, &mut self.rng);
        let mut buffer = BytesMut::new();
        frontend::query(copy.command, &mut buffer)?;
        self.client.send(&buffer)?;
        let first = self.client.receive()?;
        if first.tag == b'G' {
            buffer.clear();
            for row in &copy.rows {
                frontend::CopyData::new(format!("{row}\n").as_bytes())?.write(&mut buffer);
            }
            if self.rng.random_range(0..6) == 0 {
                frontend::copy_fail("changed my mind", &mut buffer)?;
            } else {
                frontend::copy_done(&mut buffer);
            }
            self.client.send(&buffer)?;
        }
        let answer = Table::read(&self.client.receive_until(b'Z')?);
        if answer.error.as_ref().is_none_or(|error| error.code != "57014") {
            self.judge(copy.command, &answer);
        }
        Ok(())
    }

    fn two_phases(&mut self) -> io::Result<()> {
        self.prepared += 1;
        let name = format!("{}-{}", self.name, self.prepared);
        self.run("BEGIN")?;
        self.send_one()?;
        self.send_one()?;
        // In an aborted transaction PREPARE rolls back and says so by its tag.
        let answer = self.client.try_query(&format!("PREPARE TRANSACTION '{name}'"))?;
        if answer.error.is_none() && answer.tag == "PREPARE TRANSACTION" {
            let end = if self.rng.random_range(0..3) == 0 { "ROLLBACK" } else { "COMMIT" };
            self.run(&format!("{end} PREPARED '{name}'"))?;
        }
        Ok(())
    }

    /// True when the statement succeeded.
    fn run(&mut self, sql: &str) -> io::Result<bool> {
        let answer = self.client.try_query(sql)?;
        Ok(self.judge(sql, &answer))
    }

    fn judge(&self, sql: &str, answer: &Table) -> bool {
        match &answer.error {
            None => true,
            // Shutdown and crash of the server: the connection ends next.
            Some(error) if expected(&error.code) || error.code.starts_with("57P0") => false,
            Some(error) => panic!("{}: {sql}: {error:?}", self.name),
        }
    }
}
