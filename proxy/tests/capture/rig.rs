//! A private server, a capture of it, and the model its events build.

use crate::model::Model;
use std::collections::HashSet;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_postgres::Client;
use weir_cache::Position;
use weir_planner::RelationId;
use weir_planner::catalog::ColumnEntry;
use weir_proxy::capture::{self, Capture, Event, Method, TableSpec};
use weir_proxy::catalog::{self, install};
use weir_tests::postgres::{Options, TestServer};

/// Nothing that is waited for here takes this long on a machine that is not stuck.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Rig {
    pub server: TestServer,
    pub client: Client,
    pub capture: Capture,
    pub events: mpsc::Receiver<Event>,
    pub model: Model,
    pub method: Method,
}

impl Rig {
    pub async fn start() -> Rig {
        Rig::with(TestServer::options()).await
    }

    pub async fn with(options: Options) -> Rig {
        Rig::of(options, Method::Wal).await
    }

    /// Capture by triggers, on a server from whose WAL nothing could be captured.
    pub async fn by_triggers() -> Rig {
        Rig::of(TestServer::options().conf("wal_level = replica"), Method::Trigger).await
    }

    /// With Weir's SQL installed where the method needs it.
    pub async fn of(options: Options, method: Method) -> Rig {
        let server = options.start();
        let client = server.connect().await;
        match method {
            Method::Wal => client.batch_execute("CREATE PUBLICATION weir").await.expect("a new database has none"),
            Method::Trigger => install(&server, method).await,
        }
        let (sender, events) = mpsc::channel(64);
        let capture = capture::start(server.config(), method, "weir", sender);
        let rig = Rig { server, client, capture, events, model: Model::default(), method };
        rig.until_followed().await;
        rig
    }

    /// Slot creation, or the triggers' lock, waits for transactions that a test may hold open later.
    pub async fn until_followed(&self) {
        let text = match self.method {
            Method::Wal => "SELECT FROM pg_stat_replication WHERE state = 'streaming'",
            Method::Trigger => {
                "SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 3 AND mode = 'ExclusiveLock' AND granted"
            }
        };
        let followed = async {
            while self.client.query_opt(text, &[]).await.expect("statistics can be read").is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, followed).await.expect("the capture does not start");
    }

    pub async fn sql(&self, text: &str) {
        if let Err(error) = self.client.batch_execute(text).await {
            panic!("{text}: {error:?}");
        }
    }

    /// Makes a table ready for capture and starts it.
    pub async fn watch(&self, table: &str) -> RelationId {
        self.prepare(table).await;
        self.watch_published(table).await
    }

    /// Only makes it ready. A table with FULL identity is not locked: whoever writes it goes on.
    pub async fn prepare(&self, table: &str) {
        if self.method == Method::Trigger {
            return self.sql(&format!("SELECT pgtrickle.watch(ARRAY['{table}'::regclass])")).await;
        }
        let full = "SELECT FROM pg_class WHERE oid = to_regclass($1) AND relreplident = 'f'";
        if self.client.query_opt(full, &[&table]).await.expect("the catalogue can be read").is_none() {
            self.sql(&format!("ALTER TABLE {table} REPLICA IDENTITY FULL")).await;
        }
        self.sql(&format!("ALTER PUBLICATION weir ADD TABLE {table}")).await;
    }

    pub async fn watch_published(&self, table: &str) -> RelationId {
        let spec = spec(&self.client, table).await;
        let id = spec.id;
        self.capture.watch(spec);
        id
    }

    /// Applies the next event.
    pub async fn next(&mut self) {
        match tokio::time::timeout(PATIENCE, self.events.recv()).await {
            Ok(Some(event)) => self.model.apply(event),
            Ok(None) => panic!("the capture has ended"),
            Err(_) => panic!("no event for {PATIENCE:?}; server log:\n{}", self.server.log()),
        }
    }

    /// Applies events until the model is as wanted.
    pub async fn until(&mut self, what: &str, wanted: impl Fn(&Model) -> bool) {
        let deadline = std::time::Instant::now() + PATIENCE;
        while !wanted(&self.model) {
            assert!(std::time::Instant::now() < deadline, "waited in vain for: {what}");
            self.next().await;
        }
    }

    pub async fn until_joined(&mut self, table: RelationId) {
        self.until("the table to join", |model| model.joined.contains(&table) || model.shed.contains_key(&table)).await;
        assert_eq!(self.model.shed.get(&table), None);
    }

    /// Captures a table that is ready, until it has joined: anew whenever the capture has to begin anew. (A walsender may
    /// break over transactions that were under way when its slot was created: "could not map filenode … to relation OID",
    /// seen with TRUNCATEs on 15.18.)
    pub async fn capture_until_joined(&mut self, table: &str) -> RelationId {
        loop {
            let lives = self.model.restarts;
            let id = match self.method {
                Method::Wal => self.watch_published(table).await,
                Method::Trigger => self.watch(table).await,
            };
            let settled = |model: &Model| model.joined.contains(&id) || model.shed.contains_key(&id);
            self.until("the table to join", |model| model.restarts > lives || settled(model)).await;
            if self.model.restarts == lives {
                assert_eq!(self.model.shed.get(&id), None);
                return id;
            }
        }
    }

    /// Applies everything committed before this call.
    pub async fn catch_up(&mut self) {
        let row = self.client.query_one("SELECT pg_current_wal_insert_lsn()::text", &[]).await.expect("a position");
        let position: Position = row.get::<_, String>(0).parse().expect("a position");
        let position = self.capture.position_after(position);
        self.capture.reach(position);
        self.until("the frontier to catch up", |model| model.frontier >= position).await;
    }

    /// The table as Postgres shows it, as the model renders it.
    pub async fn rows(&self, table: &str) -> Vec<String> {
        let columns: Vec<String> = spec(&self.client, table)
            .await
            .columns
            .iter()
            .map(|c| format!("coalesce({}::text, '∅')", c.name))
            .collect();
        let text = format!("SELECT concat_ws('|', {}) FROM {table}", columns.join(", "));
        let rows = self.client.query(&text, &[]).await.expect("the table can be read");
        let mut rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        rows.sort();
        rows
    }

    /// The model's table equals Postgres'.
    pub async fn assert_equal(&mut self, table: &str, id: RelationId) {
        self.catch_up().await;
        assert_eq!(self.model.shed.get(&id), None, "{table}");
        assert_same(&self.model.rows(id), &self.rows(table).await, table);
    }
}

/// Weir's SQL, for this way of capturing.
pub async fn install(server: &TestServer, method: Method) {
    let client = server.connect().await;
    install::install(&client).await.expect("a superuser may install");
    catalog::capture::set_method(&client, method).await.expect("just installed");
}

pub fn assert_same(model: &[String], postgres: &[String], what: &str) {
    if model == postgres {
        return;
    }
    let (held, shown): (HashSet<_>, HashSet<_>) = (model.iter().collect(), postgres.iter().collect());
    let missing: Vec<_> = shown.difference(&held).take(5).collect();
    let extra: Vec<_> = held.difference(&shown).take(5).collect();
    panic!(
        "{what}: {} rows by the events, {} in Postgres; missing {missing:?}, extra {extra:?}",
        model.len(),
        postgres.len()
    );
}

/// What `maintain` would ask to be captured: all columns of the table.
pub async fn spec(client: &Client, table: &str) -> TableSpec {
    let text = "SELECT c.oid, n.nspname::text, c.relname::text, a.attname::text, a.attnum, a.atttypid, a.atttypmod,
                       a.attcollation, a.attnotnull, coalesce(nullif(a.attgenerated::text, ''), ' '), c.relnatts, coalesce(nullif(t.typbasetype, 0), t.oid)
                FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
                     JOIN pg_type t ON t.oid = a.atttypid
                WHERE c.oid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
    let rows = client.query(text, &[&table]).await.expect("the catalogue can be read");
    let first = rows.first().unwrap_or_else(|| panic!("there is no table {table}"));
    let columns = rows.iter().map(|row| ColumnEntry {
        name: row.get(3),
        number: row.get(4),
        type_oid: row.get(5),
        value_oid: row.get(11),
        typmod: row.get(6),
        collation: row.get(7),
        not_null: row.get(8),
        generated: row.get::<_, String>(9).chars().next().unwrap_or(' '),
    });
    let columns = columns.collect();
    let (schema, name, attributes) = (first.get(1), first.get(2), first.get(10));
    TableSpec { id: RelationId(first.get(0)), life: 0, schema, name, attributes, columns }
}
