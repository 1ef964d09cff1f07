//! What the engine thread is asked to do.

use super::Demand;
use super::arrive::Arriving;
use super::hold::{HoldAnswer, Settlement};
use super::upkeep::Progress;
use crate::capture::{Change, Commit};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use weir_cache::Position;
use weir_cache::engine::EngineError;
use weir_planner::settings::Settings;
use weir_planner::{ColumnType, Plan, RelationId, Row};

/// What the thread is asked to do, in the order of the stream.
pub(super) enum Work {
    /// Visible commits; the permit bounds how much may be on its way.
    Commits {
        commits: Vec<Commit>,
        frontier: Position,
        permit: OwnedSemaphorePermit,
    },
    Frontier(Position),
    /// A base table is being joined; its rows come with [`Work::Joined`].
    AddTable {
        table: RelationId,
        /// As in [`Work::Joined`]; what comes of the table before that is of another watch.
        life: u64,
        key: Option<Vec<usize>>,
    },
    Joined {
        table: RelationId,
        life: u64,
        rows: Vec<Row>,
        late: Vec<Change>,
        position: Position,
    },
    /// The table's changes no longer arrive: nothing above it may be answered.
    Shed(RelationId),
    DropTable(RelationId),
    /// Nothing needs the table's rows: [`super::notice::Notice::LetGo`] tells what has come of it.
    LetGo {
        table: RelationId,
        life: u64,
    },
    AddView {
        view: NewView,
        done: oneshot::Sender<Result<Progress, Refusal>>,
    },
    /// Dependants first.
    DropView(RelationId),
    /// Postgres is about to evaluate this table: remember from now on what its snapshot may not see.
    BeginEvaluation(RelationId),
    /// Rows of a table that Postgres evaluated at `settlement`'s snapshot.
    SetRows(Arriving),
    Demand(Demand),
    /// Rows come or leave by time alone.
    ClockDue,
    /// A read was slow: readers may wait for an index, or a part of reads may be worth maintaining.
    Tend,
    /// Brings tables to the present and takes their counters for the history.
    Refresh {
        tables: Vec<RelationId>,
        done: oneshot::Sender<Vec<Progress>>,
    },
    /// Stop applying commits until [`Work::Settle`]; then one table's rows exactly as that snapshot sees them.
    Hold(oneshot::Sender<bool>),
    Settle {
        table: RelationId,
        settlement: Settlement,
        done: oneshot::Sender<HoldAnswer>,
    },
    Release,
    Memory(oneshot::Sender<Vec<(RelationId, usize)>>),
    /// Forget everything: the stream starts afresh.
    Reset,
}

/// Why a stream table was not added.
pub(super) enum Refusal {
    /// It would have to be filled from the rows of a base table that were let go.
    NotKept(RelationId),
    Engine(String),
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Refusal {
        match error {
            EngineError::NotKept(table) => Refusal::NotKept(table),
            other => Refusal::Engine(other.to_string()),
        }
    }
}

/// A stream table to be maintained.
pub(super) struct NewView {
    pub id: RelationId,
    /// Tells it from other views that have had this id; 0: hidden.
    pub generation: u64,
    pub columns: Vec<ColumnType>,
    /// Relations it reads directly (base tables and stream tables).
    pub sources: Vec<RelationId>,
    pub how: How,
}

pub(super) enum How {
    /// By the engine, under the creator's settings.
    Maintained { plan: Arc<Plan>, settings: Settings },
    /// Rows come from Postgres, as of snapshots ([`Work::SetRows`]). What reads such a table is evaluated by Postgres too,
    /// so the engine never mixes its rows with those of another moment. `blind`: some source cannot be followed.
    Evaluated { blind: bool },
}
