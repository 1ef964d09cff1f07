//! Random transactions on one table, of every kind that has ever been missed by somebody's capture.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use weir_tests::postgres::TestServer;

/// Keys are few, so that writers meet.
const KEYS: i32 = 40;

/// A table for [`Writers`]: `big` is stored out of line.
pub async fn create(client: &Client, table: &str) {
    let text = format!(
        "CREATE TABLE {table} (id int PRIMARY KEY, v bigint, note text, big text);
         ALTER TABLE {table} ALTER big SET STORAGE EXTERNAL, REPLICA IDENTITY FULL;
         INSERT INTO {table} SELECT i, i, 'first', repeat('b', 3000) FROM generate_series(1, 10) i"
    );
    client.batch_execute(&text).await.expect("the table can be created");
}

pub struct Writers {
    stop: Arc<AtomicBool>,
    committed: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<()>>,
}

impl Writers {
    /// `count` connections that write `table` until [`Writers::stop`].
    pub async fn start(server: &TestServer, table: &str, count: usize, random: &mut StdRng) -> Writers {
        let (stop, committed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut tasks = Vec::new();
        for number in 0..count {
            let writer = Writer {
                client: server.connect().await,
                table: table.to_owned(),
                random: StdRng::seed_from_u64(random.random()),
                name: format!("{table}_{number}"),
                prepared: 0,
            };
            tasks.push(tokio::spawn(writer.run(stop.clone(), committed.clone())));
        }
        Writers { stop, committed, tasks }
    }

    /// Ends when each has finished its transaction; returns how many were committed.
    pub async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("a writer does not panic");
        }
        self.committed.load(Ordering::Relaxed)
    }
}

struct Writer {
    client: Client,
    table: String,
    random: StdRng,
    name: String,
    prepared: u32,
}

impl Writer {
    async fn run(mut self, stop: Arc<AtomicBool>, committed: Arc<AtomicU64>) {
        let quick = "SET lock_timeout = '50ms'; SET synchronous_commit = ";
        let setting = if self.random.random_bool(0.3) { "off" } else { "on" };
        self.client.batch_execute(&format!("{quick}{setting}")).await.expect("settings");
        // Without its server (the test has failed) a writer would spin for ever.
        while !stop.load(Ordering::Relaxed) && !self.client.is_closed() {
            // Deadlocks, lock timeouts and duplicate keys are part of the game.
            match self.transaction().await {
                Ok(true) => drop(committed.fetch_add(1, Ordering::Relaxed)),
                Ok(false) => {}
                Err(_) => drop(self.client.batch_execute("ROLLBACK").await),
            }
        }
    }

    async fn transaction(&mut self) -> Result<bool, tokio_postgres::Error> {
        self.client.batch_execute("BEGIN").await?;
        for _ in 0..self.random.random_range(1..4) {
            let statement = self.statement();
            if self.random.random_bool(0.2) {
                self.client.batch_execute(&format!("SAVEPOINT s; {statement}; ROLLBACK TO s")).await?;
            } else if self.random.random_bool(0.2) {
                self.client.batch_execute(&format!("SAVEPOINT s; {statement}; RELEASE s")).await?;
            } else {
                self.client.batch_execute(&statement).await?;
            }
            if self.random.random_bool(0.15) {
                let pause = self.random.random_range(1..40);
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        }
        match self.random.random_range(0..10) {
            0 => self.client.batch_execute("ROLLBACK").await.map(|()| false),
            1 => self.prepare().await,
            _ => self.client.batch_execute("COMMIT").await.map(|()| true),
        }
    }

    async fn prepare(&mut self) -> Result<bool, tokio_postgres::Error> {
        self.prepared += 1;
        let name = format!("{}_{}", self.name, self.prepared);
        self.client.batch_execute(&format!("PREPARE TRANSACTION '{name}'")).await?;
        let pause = self.random.random_range(0..40);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let commit = self.random.random_bool(0.7);
        let end = if commit { "COMMIT" } else { "ROLLBACK" };
        self.client.batch_execute(&format!("{end} PREPARED '{name}'")).await?;
        Ok(commit)
    }

    fn statement(&mut self) -> String {
        let table = &self.table;
        let (id, v) = (self.random.random_range(1..=KEYS), self.random.random_range(0..1000));
        let note = ["a", "b", "", "ünïcödé"].choose(&mut self.random).copied().unwrap_or_default();
        match self.random.random_range(0..100) {
            0..25 => format!(
                "INSERT INTO {table} VALUES ({id}, {v}, '{note}', repeat('{id}x', 1500)) ON CONFLICT DO NOTHING"
            ),
            25..40 => format!(
                "INSERT INTO {table} VALUES ({id}, {v}, NULL, NULL) ON CONFLICT (id) DO UPDATE SET v = excluded.v, note = NULL"
            ),
            40..65 => format!("UPDATE {table} SET v = v + 1, note = '{note}' WHERE id = {id}"),
            65..75 => format!("UPDATE {table} SET big = repeat('{v}y', 1000) WHERE id % 7 = {}", id % 7),
            75..80 => format!("UPDATE {table} SET id = id + 1000 WHERE id = {id} AND v % 2 = 0"),
            80..97 => format!("DELETE FROM {table} WHERE id = {id} OR id = {id} + 1000"),
            _ => format!("TRUNCATE {table}"),
        }
    }
}
