//! Capture: the logical replication stream, decoded into committed, *visible* transactions, and the joining of a
//! table's snapshot with the stream. Knows nothing of plans or stream tables.

mod assemble;
mod check;
mod client;
mod copy;
mod deliver;
mod error;
mod frontier;
mod gate;
mod join;
mod life;
mod pgoutput;
mod slot;
mod stamp;
mod startup;
mod stream;
mod watched;
mod writers;

pub use error::{CaptureError, ServerError};

use crate::upstream::Upstream;
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

impl TableSpec {
    /// The columns whose values are captured, with their positions in the stored row. Generated ones are NULL there: plans
    /// compute them from the others, because the stream carries them from Postgres 18 on only.
    pub(crate) fn stored_columns(&self) -> impl Iterator<Item = (usize, &weir_planner::catalog::ColumnEntry)> {
        self.columns.iter().enumerate().filter(|(_, column)| column.generated == ' ')
    }
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
    /// The table's snapshot waits for transactions that were writing it when it was watched; it goes on waiting, and
    /// [`Event::Joined`] follows when they have ended. `reason` names them.
    Waiting { table: RelationId, reason: String },
    /// The table can no longer be captured (dropped, identity changed, columns changed): resynchronise or give it up.
    Shed { table: RelationId, reason: String },
    /// The stream broke; nothing arrives until [`Event::Restarted`]. What is held is right as of its frontier, no more.
    Interrupted { reason: String },
    /// The stream was re-established at a new slot: nothing is watched any more, every table must be joined again.
    /// Positions of a failed-over server do not compare with those before; `frontier` starts afresh.
    Restarted { reason: String },
    /// The catalogue stamp changed (any DDL, grant, role or setting): cached analyses, privileges and plans may be wrong.
    /// Watched tables that the change made uncapturable are shed by events of their own.
    CatalogChanged,
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

impl Change {
    /// The table that is changed.
    pub fn table(&self) -> Option<RelationId> {
        match self {
            Change::Row { table, .. } | Change::Truncate { table } => Some(*table),
            Change::Mark(_) => None,
        }
    }
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
    Reach(Position),
}

/// Starts capturing through the publication of that name. Returns at once; the stream is opened (and opened again
/// after every loss) on tasks of its own, which end when `events` is closed or the last [`Capture`] is dropped.
/// Needs a running tokio runtime. The publication may be created later: the slot is not created before it exists.
pub fn start(config: impl Into<Upstream>, publication: &str, events: mpsc::Sender<Event>) -> Capture {
    let config = config.into();
    let (commands, receiver) = mpsc::unbounded_channel();
    tokio::spawn(life::supervise(config, publication.to_owned(), events, receiver));
    Capture { commands }
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
    /// Asks until the frontier is at or past `position` (a reader's bookmark), pushing the server's WAL out when it is
    /// not flushed that far. Prefer this to [`Capture::request_frontier`]. Coalesced: the furthest position counts.
    pub fn reach(&self, position: Position) {
        let _ = self.commands.send(Command::Reach(position));
    }
}
