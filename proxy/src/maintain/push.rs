//! Tells subscribers that a stream table has changed: NOTIFY through Postgres, after the change was published.

use crate::control;
use crate::upstream::Upstream;
use arc_swap::ArcSwap;
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_postgres::Client;
use weir_cache::Position;
use weir_planner::RelationId;

/// Changes within this time are told of together: each NOTIFY is a transaction in the application's database.
const GATHER: Duration = Duration::from_millis(10);
/// Pause before another attempt to reach Postgres.
const RETRY: Duration = Duration::from_secs(1);

/// Who wants to hear of a stream table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subscribers {
    /// `schema.table`.
    pub name: String,
    pub channels: Vec<String>,
}

/// What happened to a table since its subscribers last heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changed {
    pub inserted: u64,
    pub deleted: u64,
    /// The rows in memory are those of this position or a later one.
    pub position: Position,
}

/// Where the engine thread leaves what has changed for the task that tells of it.
#[derive(Debug, Default)]
pub(super) struct Board {
    subscribers: ArcSwap<HashMap<RelationId, Subscribers>>,
    untold: Mutex<HashMap<RelationId, Changed>>,
    bell: Notify,
}

impl Board {
    pub(super) fn subscribe(&self, subscribers: HashMap<RelationId, Subscribers>) {
        if **self.subscribers.load() != subscribers {
            self.subscribers.store(Arc::new(subscribers));
        }
    }

    /// Of a table that nobody subscribes to nothing is kept.
    pub(super) fn note(&self, table: RelationId, changed: Changed) {
        if self.subscribers.load().contains_key(&table) {
            self.merge(table, changed);
            self.bell.notify_one();
        }
    }

    fn merge(&self, table: RelationId, changed: Changed) {
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = untold.entry(table).or_default();
        entry.inserted += changed.inserted;
        entry.deleted += changed.deleted;
        entry.position = entry.position.max(changed.position);
    }

    fn take(&self) -> HashMap<RelationId, Changed> {
        std::mem::take(&mut *self.untold.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Runs for as long as the process. What could not be told is told when Postgres can be reached again.
pub(super) async fn run(upstream: Upstream, board: Arc<Board>) {
    let mut client: Option<Client> = None;
    loop {
        board.bell.notified().await;
        tokio::time::sleep(GATHER).await;
        if client.as_ref().is_none_or(Client::is_closed) {
            client = control::connect(&upstream, "notifications").await.ok();
        }
        let untold = board.take();
        let told = match &client {
            Some(client) => tell(client, &board, &untold).await.is_ok(),
            None => false,
        };
        if !told {
            client = None;
            untold.into_iter().for_each(|(table, changed)| board.merge(table, changed));
            tokio::time::sleep(RETRY).await;
            board.bell.notify_one();
        }
    }
}

async fn tell(
    client: &Client,
    board: &Board,
    changes: &HashMap<RelationId, Changed>,
) -> Result<(), tokio_postgres::Error> {
    let subscribers = board.subscribers.load_full();
    let mut channels: Vec<&str> = Vec::new();
    let mut payloads: Vec<String> = Vec::new();
    for (table, changed) in changes {
        let Some(subscribed) = subscribers.get(table) else { continue };
        let payload = json!({
            "stream_table": subscribed.name,
            "position": changed.position.to_string(),
            "inserted": changed.inserted,
            "deleted": changed.deleted,
        });
        for channel in &subscribed.channels {
            channels.push(channel);
            payloads.push(payload.to_string());
        }
    }
    if channels.is_empty() {
        return Ok(());
    }
    let notify = "SELECT count(pg_notify(c, p)) FROM unnest($1::text[], $2::text[]) AS n (c, p)";
    client.execute(notify, &[&channels, &payloads]).await.map(|_| ())
}
