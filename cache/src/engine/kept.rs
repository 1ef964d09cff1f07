//! Base tables whose rows nobody looks up are let go. Changes come with their whole rows, old and new, so what an operator
//! needs of its input is in its own state or in an arrangement; a table's rows are only read where a new node is filled from
//! what exists, and where TRUNCATE takes them all away. Their changes go on to the readers as they come.
//!
//! What has been let go comes back as a new table, loaded anew, and the views over it with it: rows copied now are those of
//! a later moment than the one at which the views stand.

use super::bag::HashedBag;
use super::graph::{Body, Graph, NodeId, Slot, SlotId};
use super::{Engine, EngineError, Relation};
use weir_planner::RelationId;

/// Rows that were let go. To drop them takes a while, which need not be the engine's.
#[derive(Debug)]
pub struct LetGo {
    _rows: HashedBag,
    _slots: Vec<Option<Slot>>,
}

impl Engine {
    /// Lets a base table's rows go. None: an arrangement holds them by key, so that nothing would be gained, and the table
    /// stays as it is.
    pub fn let_go_of(&mut self, id: RelationId) -> Result<Option<LetGo>, EngineError> {
        let node = self.must_be_kept(id)?;
        let node = self.graph.node_mut(node);
        let is_looked_up = node.is_looked_up();
        match &mut node.body {
            Body::Table(table) if !is_looked_up => {
                Ok(Some(LetGo { _rows: table.let_go(), _slots: std::mem::take(&mut node.slots) }))
            }
            _ => Ok(None),
        }
    }

    /// The table, unless its rows were let go.
    pub(super) fn must_be_kept(&self, id: RelationId) -> Result<NodeId, EngineError> {
        let node = self.table_node(id)?;
        if self.graph.is_let_go(node) { Err(EngineError::NotKept(id)) } else { Ok(node) }
    }

    /// A table that was let go, and without whose rows these new nodes and arrangements cannot be filled.
    pub(super) fn missing(&self, fresh: &[NodeId], fresh_slots: &[SlotId], root: NodeId) -> Option<RelationId> {
        let graph = &self.graph;
        let filled = fresh.iter().flat_map(|&node| &graph.node(node).inputs).copied();
        let looked_up = fresh_slots.iter().map(|slot| slot.node);
        let table = filled.chain(looked_up).chain([root]).find_map(|node| graph.unknown_below(node))?;
        let is_it = |(id, relation): (&RelationId, &Relation)| {
            matches!(relation, Relation::Table(node) if *node == table).then_some(*id)
        };
        self.relations.iter().find_map(is_it)
    }
}

impl Graph {
    pub(super) fn is_let_go(&self, id: NodeId) -> bool {
        matches!(&self.node(id).body, Body::Table(table) if !table.is_kept())
    }

    /// Nothing keeps the table's rows, and nothing is told of their changes.
    pub(super) fn is_unheeded(&self, table: NodeId) -> bool {
        self.is_let_go(table) && self.node(table).consumers.is_empty()
    }

    /// A table that was let go and that [`Graph::content`] of this node would have to read.
    fn unknown_below(&self, id: NodeId) -> Option<NodeId> {
        let node = self.node(id);
        let Body::Operator(operator) = &node.body else { return self.is_let_go(id).then_some(id) };
        let is_stateful = operator.as_ref().is_some_and(|operator| operator.is_stateful());
        let is_held = node.slots.iter().flatten().any(|slot| slot.arrangement.is_complete());
        if is_stateful || is_held || self.published.contains_key(&id) {
            return None;
        }
        node.inputs.iter().find_map(|&input| self.unknown_below(input))
    }
}
