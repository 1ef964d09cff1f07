//! The DAG: nodes with their inputs, consumers, pending deltas and arrangements; sharing by hash-consing, and
//! reference counts so that what the last user leaves goes.

use super::arrangement::Arrangement;
use super::operator::Operator;
use super::pending::Pending;
use super::spec::{Matching, NodeSpec, OperatorSpec};
use super::table::Table;
use crate::Delta;
use crate::key::KeySpec;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use weir_planner::Expr;
use weir_planner::eval::EvalContext;
use weir_planner::settings::Settings;

/// Position of a node in the graph's slab; reused after the node is gone.
pub(crate) type NodeId = usize;

/// Rows per chunk when a node's whole content is run through another.
pub(crate) const BACKFILL_CHUNK_ROWS: usize = 8192;

/// Where a node's rows come from.
pub(crate) enum Body {
    Table(Table),
    /// None while the operator is being stepped.
    Operator(Option<Box<dyn Operator>>),
}

pub(crate) struct Node {
    /// Creation number. Inputs exist before their consumers, so this is a topological order.
    pub order: u64,
    pub body: Body,
    pub spec: Option<Arc<NodeSpec>>,
    pub inputs: Vec<NodeId>,
    pub consumers: Vec<(NodeId, usize)>,
    pub pending: Vec<Pending>,
    pub slots: Vec<Option<Slot>>,
    /// Arrangements of other nodes that this node looks up in.
    pub reads: Vec<SlotId>,
    /// Consumers (one per edge), views and the table registry.
    pub users: usize,
    pub context: Arc<EvalContext>,
    /// Rows whose existence is undecided at this node.
    pub errors: Cell<i64>,
    /// Its output depends on the clock.
    pub is_timed: bool,
}

/// An arrangement of a node, by position in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SlotId {
    pub node: NodeId,
    pub index: usize,
}

#[derive(Debug)]
pub(crate) struct Slot {
    pub arrangement: Arrangement,
    pub settings: Settings,
    pub context: Arc<EvalContext>,
    pub users: usize,
}

/// All nodes.
#[derive(Default)]
pub(crate) struct Graph {
    nodes: Vec<Option<Node>>,
    free: Vec<NodeId>,
    next_order: u64,
    /// The server's clock as of which steps are made: microseconds since 2000-01-01 UTC.
    pub clock: i64,
    shared: HashMap<Arc<NodeSpec>, NodeId>,
    /// During a backfill: rows of nodes that would have to compute them, as they have been published.
    pub published: HashMap<NodeId, Delta>,
}

impl Graph {
    pub fn node(&self, id: NodeId) -> &Node {
        self.nodes[id].as_ref().expect("a node id in use names a live node")
    }

    /// The node, unless it is gone.
    pub fn get(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id).and_then(Option::as_ref)
    }

    pub fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes[id].as_mut().expect("a node id in use names a live node")
    }

    /// The node with this specification, if there is one.
    pub fn find(&self, spec: &NodeSpec) -> Option<NodeId> {
        self.shared.get(spec).copied()
    }

    pub fn add_table(&mut self, table: Table) -> NodeId {
        self.insert(Body::Table(table), None, vec![], vec![], Arc::default())
    }

    /// True when the node's rows have exactly this many values.
    pub fn is_exact(&self, id: NodeId, width: usize) -> bool {
        self.row_width(id) == Some(width)
    }

    /// Values in a node's row, where the node itself determines it.
    fn row_width(&self, id: NodeId) -> Option<usize> {
        let node = self.node(id);
        match &node.spec.as_ref()?.operator {
            OperatorSpec::Values { width, .. } | OperatorSpec::Distinct { width, .. } => Some(*width),
            OperatorSpec::Map(exprs) => Some(exprs.len()),
            OperatorSpec::Repeat { width } => Some(width - 1),
            OperatorSpec::ProjectSet { calls, width } => Some(width + calls.width()),
            OperatorSpec::Join(join) if !matches!(join.matching, Matching::Semi | Matching::Anti) => {
                Some(join.output.len())
            }
            OperatorSpec::Star(star) => Some(star.output.len()),
            OperatorSpec::Aggregate { keys, calls, .. } => Some(keys.exprs.len() + calls.len()),
            OperatorSpec::Window(numbering) => Some(numbering.width + numbering.functions.len()),
            OperatorSpec::Frames { calls, width, .. } => Some(width + calls.len()),
            OperatorSpec::Temporal { mark: Some(width), .. } => Some(width + 1),
            OperatorSpec::Filter(_)
            | OperatorSpec::Raised(_)
            | OperatorSpec::Temporal { mark: None, .. }
            | OperatorSpec::TopK { .. }
            | OperatorSpec::Union
            | OperatorSpec::Join(_) => self.row_width(*node.inputs.first()?),
        }
    }

    /// Columns of a node's rows that no two of them share, where the node itself determines it.
    pub fn unique_columns(&self, id: NodeId) -> Option<Vec<usize>> {
        let node = self.node(id);
        if let Body::Table(table) = &node.body {
            return table.key().map(<[usize]>::to_vec);
        }
        match &node.spec.as_ref()?.operator {
            OperatorSpec::Filter(_) | OperatorSpec::Raised(_) | OperatorSpec::Temporal { mark: None, .. } => {
                self.unique_columns(*node.inputs.first()?)
            }
            OperatorSpec::Map(exprs) => {
                let kept = |column| exprs.iter().position(|expr| *expr == Expr::Column(column));
                self.unique_columns(*node.inputs.first()?)?.into_iter().map(kept).collect()
            }
            OperatorSpec::Aggregate { keys, .. } => Some((0..keys.exprs.len()).collect()),
            OperatorSpec::Distinct { width, .. } => Some((0..*width).collect()),
            _ => None,
        }
    }

    /// Adds an operator node over existing inputs and arrangements, and counts it as their user.
    pub fn add_operator(
        &mut self,
        operator: Box<dyn Operator>,
        spec: NodeSpec,
        reads: Vec<SlotId>,
        context: Arc<EvalContext>,
    ) -> NodeId {
        let inputs = spec.inputs.clone();
        let spec = Arc::new(spec);
        let body = Body::Operator(Some(operator));
        let id = self.insert(body, Some(spec.clone()), inputs.clone(), reads, context);
        for (port, &input) in inputs.iter().enumerate() {
            let node = self.node_mut(input);
            node.consumers.push((id, port));
            node.users += 1;
        }
        self.shared.insert(spec, id);
        id
    }

    fn insert(
        &mut self,
        body: Body,
        spec: Option<Arc<NodeSpec>>,
        inputs: Vec<NodeId>,
        reads: Vec<SlotId>,
        context: Arc<EvalContext>,
    ) -> NodeId {
        let is_timed = match &body {
            Body::Operator(Some(operator)) => operator.clock_span().is_some(),
            _ => false,
        };
        let node = Node {
            order: self.next_order,
            body,
            spec,
            pending: inputs.iter().map(|_| Pending::default()).collect(),
            inputs,
            consumers: vec![],
            slots: vec![],
            reads,
            users: 0,
            context,
            errors: Cell::new(0),
            is_timed,
        };
        self.next_order += 1;
        match self.free.pop() {
            Some(id) => {
                self.nodes[id] = Some(node);
                id
            }
            None => {
                self.nodes.push(Some(node));
                self.nodes.len() - 1
            }
        }
    }

    /// The arrangement of a node by these keys, counted as used once more. The flag says that it is new (unfilled).
    pub fn arrange(&mut self, id: NodeId, key: KeySpec, context: &Arc<EvalContext>) -> (SlotId, bool) {
        let unique = self.unique_columns(id);
        let node = self.node_mut(id);
        for (index, slot) in node.slots.iter_mut().enumerate() {
            if let Some(slot) = slot
                && slot.arrangement.key == key
                && slot.settings == context.settings
            {
                slot.users += 1;
                return (SlotId { node: id, index }, false);
            }
        }
        let shared_rows = matches!(node.body, Body::Table(_));
        let slot = Slot {
            arrangement: Arrangement::new(key, shared_rows, unique),
            settings: context.settings.clone(),
            context: context.clone(),
            users: 1,
        };
        let index = match node.slots.iter().position(Option::is_none) {
            Some(index) => {
                node.slots[index] = Some(slot);
                index
            }
            None => {
                node.slots.push(Some(slot));
                node.slots.len() - 1
            }
        };
        (SlotId { node: id, index }, true)
    }

    #[inline]
    pub fn arrangement(&self, id: SlotId) -> &Arrangement {
        &self.node(id.node).slots[id.index].as_ref().expect("a slot in use is filled").arrangement
    }

    /// Gives up one use of a node; the last one removes it, its arrangements and its uses of others.
    pub fn release(&mut self, id: NodeId) {
        self.node_mut(id).users -= 1;
        self.remove_unused(id);
    }

    /// Removes a node that has no users (left by a build that failed).
    pub fn remove_unused(&mut self, id: NodeId) {
        if self.get(id).is_none_or(|node| node.users > 0) {
            return;
        }
        let node = self.nodes[id].take().expect("a node is removed once");
        self.free.push(id);
        if let Some(spec) = &node.spec {
            self.shared.remove(spec);
        }
        for read in &node.reads {
            self.release_slot(*read);
        }
        for &input in &node.inputs {
            self.node_mut(input).consumers.retain(|(consumer, _)| *consumer != id);
            self.release(input);
        }
    }

    fn release_slot(&mut self, id: SlotId) {
        let slot = &mut self.node_mut(id.node).slots[id.index];
        if let Some(used) = slot {
            used.users -= 1;
            let is_unused = used.users == 0;
            let node = self.node_mut(id.node);
            let has_rows = matches!(&node.body, Body::Table(table) if table.holder() == Some(id.index));
            match (is_unused, has_rows) {
                (true, true) => self.pass_rows_on(id.node),
                (true, false) => node.slots[id.index] = None,
                (false, _) => {}
            }
        }
    }

    /// Bytes of a node: its state, arrangements and pending input.
    pub fn bytes(&self, id: NodeId) -> usize {
        let node = self.node(id);
        let body = match &node.body {
            Body::Table(table) => table.bytes(),
            Body::Operator(operator) => operator.as_ref().map_or(0, |operator| operator.bytes()),
        };
        let slots: usize = node.slots.iter().flatten().map(|slot| slot.arrangement.bytes()).sum();
        let pending: usize = node.pending.iter().map(|pending| pending.bytes()).sum();
        body + slots + pending
    }

    /// Bytes of all nodes.
    pub fn total_bytes(&self) -> usize {
        (0..self.nodes.len()).filter(|&id| self.nodes[id].is_some()).map(|id| self.bytes(id)).sum()
    }

    /// Live nodes.
    pub fn len(&self) -> usize {
        self.nodes.len() - self.free.len()
    }
}
