//! A private server, Weir's services on it (no listener), and the questions tests ask.

use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio_postgres::{Client, SimpleQueryMessage};
use weir_cache::Position;
use weir_planner::RelationId;
use weir_proxy::config::Config;
use weir_proxy::maintain::PullError;
use weir_proxy::registry::{State, StreamTable};
use weir_proxy::server::Services;
use weir_tests::postgres::TestServer;
use weir_tests::weir::{by_triggers, keeps_nothing};

/// Nothing that is waited for here takes this long on a machine that is not stuck.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Rig {
    // Before the server: their connections end first.
    pub services: Services,
    pub client: Client,
    pub server: TestServer,
}

/// Runs a test on a runtime whose end does not wait for Weir's tasks.
pub fn run(test: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(test);
    runtime.shutdown_background();
}

impl Rig {
    pub async fn start() -> Rig {
        Rig::on(TestServer::start()).await
    }

    pub async fn on(server: TestServer) -> Rig {
        let rig = Rig::begin(server).await;
        rig.wait_until_installed().await;
        rig
    }

    /// With a Weir that lets the rows of base tables go when nothing has needed them for so long; None: never.
    pub async fn letting_go_after(time: Option<Duration>) -> Rig {
        let rig = Rig::begin_with(TestServer::start(), time).await;
        rig.wait_until_installed().await;
        rig
    }

    async fn wait_until_installed(&self) {
        let followed = match by_triggers() {
            false => "pg_replication_slots WHERE active",
            true => "pg_locks WHERE locktype = 'advisory' AND objid = 3 AND mode = 'ExclusiveLock' AND granted",
        };
        let followed = format!("SELECT (count(*) > 0)::text FROM {followed}");
        self.until("Weir's SQL is installed", async || {
            self.scalar("SELECT (to_regproc('pgtrickle.verify_stream_table') IS NOT NULL)::text").await == "true"
                && self.scalar(&followed).await == "true"
        })
        .await;
    }

    /// Starts the services; changes are not captured yet.
    pub async fn begin(server: TestServer) -> Rig {
        Rig::begin_with(server, keeps_nothing().then_some(Duration::ZERO)).await
    }

    async fn begin_with(server: TestServer, let_go_after: Option<Duration>) -> Rig {
        let client = server.connect().await;
        let nowhere: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let config = Config { let_go_after, ..Config::new(server.config().into(), nowhere, nowhere) };
        let services = Services::start(config).expect("the services start");
        Rig { services, client, server }
    }

    pub async fn sql(&self, text: &str) {
        if let Err(error) = self.client.batch_execute(text).await {
            panic!("{text}: {error:?}");
        }
    }

    /// SQLSTATE of a statement that must fail.
    pub async fn refused(&self, text: &str) -> String {
        let error = self.client.batch_execute(text).await.expect_err(text);
        error.code().expect("an error of the server").code().to_owned()
    }

    /// The first column of the first row as text; empty for NULL.
    pub async fn scalar(&self, text: &str) -> String {
        let messages = self.client.simple_query(text).await.unwrap_or_else(|error| panic!("{text}: {error:?}"));
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
            _ => None,
        });
        row.unwrap_or_else(|| panic!("{text}: no row"))
    }

    pub async fn until(&self, what: &str, mut condition: impl AsyncFnMut() -> bool) {
        let started = Instant::now();
        while !condition().await {
            assert!(started.elapsed() < PATIENCE, "waited in vain until {what}; problems: {:?}", self.problems());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn problems(&self) -> Vec<String> {
        self.services.registry.problems().to_vec()
    }

    /// Everything committed so far.
    pub async fn now(&self) -> Position {
        if let Some(position) = self.services.maintenance.position_now() {
            return position;
        }
        self.scalar("SELECT pg_current_wal_insert_lsn()").await.parse().expect("a position")
    }

    /// Waits until everything in the catalog has taken effect.
    pub async fn settle(&self) {
        let position = self.now().await;
        let settled = self.services.maintenance.settled(position, PATIENCE).await;
        assert_eq!(settled, Ok(()), "not settled; problems: {:?}", self.problems());
    }

    /// Waits until the installed SQL may ask Weir: a moment after the stream has opened.
    pub async fn wait_until_connected(&self) {
        let started = std::time::Instant::now();
        while self.scalar("SELECT pgtrickle.weir_is_connected()::text").await != "true" {
            assert!(
                started.elapsed() < PATIENCE,
                "Weir does not say that it can be asked; problems: {:?}",
                self.problems()
            );
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    pub fn table(&self, name: &str) -> Option<StreamTable> {
        self.services.registry.tables().by_id.values().find(|table| table.name == name).cloned()
    }

    pub fn state(&self, name: &str) -> Option<State> {
        self.table(name).map(|table| table.state)
    }

    pub fn id(&self, name: &str) -> RelationId {
        self.table(name).unwrap_or_else(|| panic!("no stream table {name}")).id
    }

    /// How the rows of a base table stand in memory.
    pub fn base_rows(&self, name: &str) -> &'static str {
        let tables = self.services.registry.base_tables();
        tables.iter().find(|table| table.name == name).map_or("not watched", |table| table.rows)
    }

    /// Rows in memory at a position that includes everything committed so far.
    pub async fn rows(&self, name: &str) -> Result<usize, PullError> {
        let id = self.id(name);
        let snapshot = self.services.maintenance.pull(&[id], self.now().await, PATIENCE).await?;
        Ok(snapshot.tables[&id].len())
    }

    /// Memory equals the view, by `verify_stream_table`.
    pub async fn verify(&self, names: &[&str]) {
        // Tables may be live before Weir listens to questions.
        self.wait_until_connected().await;
        for name in names {
            let sql = format!("SELECT v::text FROM pgtrickle.verify_stream_table('{name}') v");
            let verdict = self.scalar(&sql).await;
            assert!(verdict.ends_with(",0,0,t)"), "{name}: {verdict}");
        }
    }
}
