//! Capture: the logical replication stream, decoded into committed, *visible* transactions, and the joining of a
//! table's snapshot with the stream. Knows nothing of plans or stream tables.

use tokio::sync::mpsc;
use weir_cache::Position;
use weir_planner::{RelationId, Row};

/// A table to capture: the stored row is these columns in this order.
#[derive(Clone, Debug)]
pub struct TableSpec {
    pub id: RelationId,
    pub schema: String,
    pub name: String,
    pub columns: Vec<weir_planner::catalog::ColumnEntry>,
}

/// What `maintain` receives, in stream order.
#[derive(Debug)]
pub enum Event {
    /// Committed transactions in commit order, all of them visible in Postgres now; `frontier` ≥ the last one's position.
    Commits { commits: Vec<Commit>, frontier: Position },
    /// Nothing of interest up to here.
    Frontier(Position),
    /// A table's content as of a moment within the stream: `rows` (a snapshot), then `late`: changes streamed since
    /// that the snapshot does not see, in order. Changes of this table appear in [`Event::Commits`] from here on.
    Joined { table: RelationId, rows: Vec<Row>, late: Vec<Change>, position: Position },
    /// The table can no longer be captured (dropped, identity changed, columns changed): resynchronise or give it up.
    Shed { table: RelationId, reason: String },
    /// The stream broke and was re-established at a new slot: every table must be joined again.
    Restarted { reason: String },
}

/// One committed transaction; subtransactions folded in.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Top-level transaction id as in the stream (32 bits).
    pub xid: u32,
    /// End of the commit record.
    pub position: Position,
    /// Commit time, microseconds since 2000-01-01 UTC.
    pub time_micros: i64,
    pub changes: Vec<Change>,
}

#[derive(Clone, Debug)]
pub enum Change {
    /// Whole stored rows (unchanged TOAST values filled in). `old` is None for an insert, `new` for a delete.
    Row {
        table: RelationId,
        old: Option<Row>,
        new: Option<Row>,
    },
    Truncate {
        table: RelationId,
    },
    /// A logical message with prefix `weir`: a DDL mark or a request of the installed SQL.
    Mark(String),
}

/// Handle of the running capture task.
#[derive(Clone)]
pub struct Capture {
    pub(crate) commands: mpsc::UnboundedSender<Command>,
}

pub(crate) enum Command {
    Watch(TableSpec),
    Unwatch(RelationId),
    RequestFrontier,
}

impl Capture {
    /// Starts capturing a table that is a member of the publication; ends in [`Event::Joined`] or [`Event::Shed`].
    pub fn watch(&self, table: TableSpec) {
        let _ = self.commands.send(Command::Watch(table));
    }
    pub fn unwatch(&self, table: RelationId) {
        let _ = self.commands.send(Command::Unwatch(table));
    }
    /// Asks the server to say how far the stream is now (a reader waits); the answer is an [`Event::Frontier`]. Coalesced.
    pub fn request_frontier(&self) {
        let _ = self.commands.send(Command::RequestFrontier);
    }
}
