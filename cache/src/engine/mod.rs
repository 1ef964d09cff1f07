//! The incremental engine: base-table deltas in, stream-table deltas out.

use crate::Delta;
use weir_planner::{Plan, RelationId, Row};

/// Gives the engine the present rows of a relation it does not store itself (published stream tables).
pub trait Content {
    /// Calls `f` with every row and its multiplicity.
    fn for_each(&self, relation: RelationId, f: &mut dyn FnMut(&Row, i64));
}

/// One change of one base table.
#[derive(Clone, Debug)]
pub enum TableChange {
    /// `old` is None for an insert, `new` for a delete. Rows are whole stored rows.
    Row {
        old: Option<Row>,
        new: Option<Row>,
    },
    Truncate,
}

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("relation {0:?} is not known to the engine")]
    UnknownRelation(RelationId),
    #[error("relation {0:?} exists already")]
    Duplicate(RelationId),
    #[error("the engine cannot maintain this: {0}")]
    Unsupported(String),
    #[error("relation {relation:?} is quarantined: {reason}")]
    Quarantined { relation: RelationId, reason: String },
    #[error("relation {0:?} is still read by other stream tables")]
    InUse(RelationId),
}

/// What a refresh did to one view.
#[derive(Clone, Debug, Default)]
pub struct ViewChange {
    /// Consolidated.
    pub delta: Delta,
}

/// The operators, their indexes and the base tables' rows. Single-threaded: one owner steps it.
///
/// Base tables change with [`Engine::apply`]; views stand still until [`Engine::refresh`] brings them and all
/// their ancestors to the present, so a costly view can be refreshed less often than a cheap one.
#[derive(Default)]
pub struct Engine {}

impl Engine {
    pub fn new() -> Engine {
        Engine::default()
    }

    /// Adds a base table with no rows. `key`: positions of its primary key, if any.
    pub fn add_table(&mut self, _id: RelationId, _key: Option<Vec<usize>>) -> Result<(), EngineError> {
        todo!()
    }

    /// Forgets a base table that no view reads.
    pub fn drop_table(&mut self, _id: RelationId) -> Result<(), EngineError> {
        todo!()
    }

    /// Adds rows to a table (initial copy, in chunks of any size).
    pub fn load(&mut self, _id: RelationId, _rows: Vec<Row>) -> Result<(), EngineError> {
        todo!()
    }

    /// Present rows of a base table.
    pub fn table_rows(&self, _id: RelationId) -> Result<Vec<(Row, i64)>, EngineError> {
        todo!()
    }

    /// Installs a view and evaluates it over the present state of its sources; returns its rows as a delta.
    /// Base tables and views it scans must exist; ancestors are refreshed first and their changes are returned too.
    pub fn add_view(
        &mut self,
        _id: RelationId,
        _plan: &Plan,
        _content: &dyn Content,
    ) -> Result<Vec<(RelationId, ViewChange)>, EngineError> {
        todo!()
    }

    /// Removes a view nobody reads; shared nodes go when their last user goes.
    pub fn drop_view(&mut self, _id: RelationId) -> Result<(), EngineError> {
        todo!()
    }

    /// A relation whose rows are set from outside (FULL tables evaluated by Postgres): the difference is a delta to its readers.
    pub fn apply(&mut self, _table: RelationId, _changes: Vec<TableChange>) -> Result<(), EngineError> {
        todo!()
    }

    /// Brings these views, and every view they read, to the present. Changes come in dependency order, unchanged views left out.
    /// A view whose operator panics or whose budget is exceeded is quarantined with its dependants and reported by
    /// [`Engine::quarantined`].
    pub fn refresh(&mut self, _views: &[RelationId], _now_micros: i64) -> Vec<(RelationId, ViewChange)> {
        todo!()
    }

    /// True when a refresh of this view would find pending input.
    pub fn is_stale(&self, _view: RelationId) -> bool {
        todo!()
    }

    pub fn quarantined(&self) -> Vec<(RelationId, String)> {
        todo!()
    }

    /// Accounted bytes per view (its own nodes) and per base table.
    pub fn memory(&self) -> Vec<(RelationId, usize)> {
        todo!()
    }
}
