//! What readers see: immutable versions of all stream tables, swapped atomically by their owner.

use crate::{Delta, Position};
use std::collections::HashMap;
use std::sync::Arc;
use weir_planner::{ColumnType, RelationId, Row};

/// All stream tables. Each version says from which position on it is right (`as_of`) and, because nothing it reads
/// has changed since, up to which (`valid_to`).
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Everything committed up to here has been applied to the base tables.
    pub frontier: Position,
    pub tables: HashMap<RelationId, Arc<TableVersion>>,
}

/// Rows of one stream table at one moment, with the indexes that reads asked for.
#[derive(Debug, Default)]
pub struct TableVersion {
    pub as_of: Position,
    pub valid_to: Position,
    pub columns: Vec<ColumnType>,
}

impl TableVersion {
    pub fn len(&self) -> usize {
        todo!()
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Calls `f` with every row and its multiplicity.
    pub fn for_each(&self, _f: &mut dyn FnMut(&Row, i64)) {
        todo!()
    }
}

/// Owner of the versions: takes deltas, gives snapshots. Lives with the engine, on its thread.
#[derive(Default)]
pub struct Publisher {}

impl Publisher {
    pub fn new() -> Publisher {
        Publisher::default()
    }
    /// Adds an empty table.
    pub fn add(&mut self, _id: RelationId, _columns: Vec<ColumnType>) {
        todo!()
    }
    pub fn remove(&mut self, _id: RelationId) {
        todo!()
    }
    /// Applies a consolidated delta to the next version of a table.
    pub fn apply(&mut self, _id: RelationId, _delta: &Delta) {
        todo!()
    }
    /// States that a table is right at `position` (call for refreshed and for provably unchanged tables).
    pub fn stamp(&mut self, _id: RelationId, _position: Position) {
        todo!()
    }
    /// The snapshot of everything applied so far; cheap (structure is shared with earlier ones). Builds the indexes that
    /// readers of earlier snapshots have asked for.
    pub fn publish(&mut self, _frontier: Position) -> Arc<Snapshot> {
        todo!()
    }
    /// Accounted bytes per table (rows and indexes).
    pub fn memory(&self) -> Vec<(RelationId, usize)> {
        todo!()
    }
}
