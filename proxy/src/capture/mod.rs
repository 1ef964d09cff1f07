//! Capture: the changes of base tables as committed, *visible* transactions, and the joining of a table's snapshot with
//! them. They come from the logical replication stream (`life`, `stream`, `assemble`, `gate`) or from triggers
//! (`trigger`); `supervise` opens either, `deliver` and `join` serve both. Knows nothing of plans or stream tables.

mod assemble;
mod check;
mod client;
mod clock;
mod copy;
mod deliver;
mod error;
mod frontier;
mod gate;
mod join;
mod life;
mod method;
mod pgoutput;
mod repeats;
mod slot;
mod stamp;
mod startup;
mod stream;
mod supervise;
mod trigger;
mod watched;
mod writers;

pub use error::{CaptureError, ServerError};
pub use method::{Method, ParsePreferenceError, Preference};

use crate::metrics::Metrics;
use crate::upstream::Upstream;
use std::sync::Arc;
use tokio::sync::mpsc;
use watched::Needs;
use weir_cache::Position;
use weir_cache::engine::TableNeeds;
use weir_planner::{RelationId, Row};

/// A table to capture: the stored row is these columns in this order.
#[derive(Clone, Debug)]
pub struct TableSpec {
    pub id: RelationId,
    /// Which watch of the table this is, as the watcher counts them; [`Event::Joined`] tells it.
    pub life: u64,
    pub schema: String,
    pub name: String,
    /// `pg_class.relnatts`: all columns it ever had.
    pub attributes: i16,
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
    Joined { table: RelationId, life: u64, rows: Vec<Row>, late: Vec<Change>, position: Position },
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
    /// End of the commit record; from triggers, the position of the step, which all its commits share.
    pub position: Position,
    /// Whoever has seen this commit asks for this position or a later one. From triggers that may be far below `position`:
    /// the step before has ended there.
    pub seen_from: Position,
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
    /// Rows of the table changed that its readers do not need: what Postgres evaluates may be another all the same.
    Touched {
        table: RelationId,
    },
    /// A logical message with prefix `weir`: a DDL mark or a request of the installed SQL; or [`UNKNOWN_TABLE`].
    Mark(String),
}

impl Change {
    /// The table that is changed.
    pub fn table(&self) -> Option<RelationId> {
        match self {
            Change::Row { table, .. } | Change::Truncate { table } | Change::Touched { table } => Some(*table),
            Change::Mark(_) => None,
        }
    }
}

/// The mark put before a change of a table that is not watched and has not been seen before, or not since its definition has
/// changed: it may be a partition of one that is, made where no event trigger tells of it.
pub(crate) const UNKNOWN_TABLE: &str = "ddl:a table that is not watched";

/// Handle of the running capture task.
#[derive(Clone)]
pub struct Capture {
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    clock: Arc<clock::Clock>,
}

pub(crate) enum Command {
    Watch(TableSpec),
    Unwatch(RelationId),
    Needs { table: RelationId, life: u64, needs: Arc<Needs> },
    RequestFrontier,
    Reach(Position),
    Switch(Method),
}

/// Starts capturing this way, from the WAL through the publication of that name. Returns at once; the stream is opened
/// (and opened again after every loss) on tasks of its own, which end when `events` is closed or the last [`Capture`] is
/// dropped. Needs a running tokio runtime. The publication may be created later: the slot is not created before it exists.
pub fn start(config: impl Into<Upstream>, method: Method, publication: &str, events: mpsc::Sender<Event>) -> Capture {
    let (commands, receiver) = mpsc::unbounded_channel();
    let clock = Arc::new(clock::Clock::default());
    let supervisor = supervise::Supervisor {
        config: config.into(),
        publication: publication.to_owned(),
        clock: clock.clone(),
        events,
    };
    tokio::spawn(supervisor.run(method, receiver));
    Capture { commands, clock }
}

impl Capture {
    /// Starts capturing a table that is a member of the publication; ends in [`Event::Joined`] or [`Event::Shed`].
    pub fn watch(&self, table: TableSpec) {
        let _ = self.commands.send(Command::Watch(table));
    }
    pub fn unwatch(&self, table: RelationId) {
        let _ = self.commands.send(Command::Unwatch(table));
    }
    /// From some moment on, what nobody needs of this table's changes need not be delivered, if it is still that watch of it.
    /// Whoever watches it anew is told of all since its snapshot.
    pub fn needs(&self, table: RelationId, life: u64, of_readers: TableNeeds, metrics: Arc<Metrics>) {
        let needs = Arc::new(Needs { of_readers, metrics });
        let _ = self.commands.send(Command::Needs { table, life, needs });
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
    /// Goes another way from now on. What is captured stays as it is until the other way is open; then
    /// [`Event::Restarted`] says that every table must be joined again. Nothing happens if that way is in force.
    pub fn switch(&self, method: Method) {
        let _ = self.commands.send(Command::Switch(method));
    }
    /// A state at or past the returned position shows everything that was visible in Postgres before this call. `wal`: a
    /// WAL position that a state from the WAL would have to reach for that.
    pub fn position_after(&self, wal: Position) -> Position {
        self.clock.after(wal)
    }
    /// Whether positions say when a snapshot was taken. If not, they are WAL positions, which must be asked of Postgres.
    pub fn is_by_snapshot(&self) -> bool {
        self.clock.is_by_snapshot()
    }
    /// Lets `take` take a snapshot and returns its position, for content that does not come through this capture: every
    /// state at or past it shows all that the snapshot sees, and what is asked for after it lies above it. `take` returns
    /// a WAL position read after the snapshot was taken.
    pub async fn place<E>(&self, take: impl Future<Output = Result<Position, E>>) -> Result<Position, E> {
        let _order = self.clock.order().await;
        let begun = self.clock.is_by_snapshot().then(|| self.clock.begin(Position(0)));
        let wal = take.await?;
        Ok(begun.unwrap_or(wal))
    }
}
