//! What the keeper reacts to: the stream's marks, and the outcomes of its own tasks and of the engine thread.

use super::full::Evaluation;
use super::history::Initiator;
use super::upkeep::Progress;
use super::work::Refusal;
use weir_cache::Position;
use weir_cache::engine::TableNeeds;
use weir_planner::RelationId;

pub(super) enum Notice {
    /// The stream has been opened; `position` is open in the ledger until what was committed before has been read.
    Opened {
        position: Position,
    },
    /// A definition, or anything a plan may be made of, was changed by a transaction that is seen from `position` on.
    Marked {
        position: Position,
    },
    /// A table's rows were rewritten without events.
    Rewritten {
        table: RelationId,
        position: Position,
    },
    RefreshRequested {
        pgt_id: i64,
        position: Position,
    },
    Asked(String),
    Joined {
        table: RelationId,
        life: u64,
    },
    Shed {
        table: RelationId,
        reason: String,
    },
    /// The engine thread has let a table's rows go, or keeps them because they are looked up.
    LetGo {
        table: RelationId,
        life: u64,
        is_gone: bool,
        /// What its readers need of its changes, if not all.
        needs: Option<TableNeeds>,
    },
    /// A change could not be taken in without the rows that were let go.
    RowsMissed {
        table: RelationId,
        life: u64,
    },
    Interrupted {
        reason: String,
    },
    Restarted {
        reason: String,
    },
    CatalogChanged,
    /// The engine thread has added a view (or could not).
    Added {
        id: RelationId,
        generation: u64,
        result: Result<Progress, Refusal>,
    },
    /// Postgres has evaluated a table and its rows are published (or not).
    Evaluated {
        id: RelationId,
        generation: u64,
        result: Result<Evaluation, String>,
        initiator: Initiator,
    },
    /// A due round of the scheduler is over.
    Refreshed(Vec<Progress>),
    /// A manual refresh is done and recorded.
    RefreshDone {
        position: Position,
    },
    Quarantined {
        id: RelationId,
        /// Of the view that was given up.
        generation: u64,
        reason: String,
    },
    /// The engine thread has thrown everything away.
    EngineFailed {
        reason: String,
    },
}
