//! The DAG: nodes with their inputs, consumers, pending deltas and arrangements; sharing by hash-consing, and
//! reference counts so that what the last user leaves goes.

use super::arrangement::Arrangement;
use super::operator::{Batch, Operator, Output, StepContext};
use super::spec::{Matching, NodeSpec, OperatorSpec};
use super::table::Table;
use crate::Delta;
use crate::key::KeySpec;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use weir_planner::Row;
use weir_planner::eval::EvalContext;
use weir_planner::settings::Settings;

/// Position of a node in the graph's slab; reused after the node is gone.
pub(crate) type NodeId = usize;

/// Rows per chunk when a node's whole content is run through another.
pub(crate) const BACKFILL_CHUNK_ROWS: usize = 8192;

/// Pending input is consolidated when it has grown past this many rows, and again at each doubling, so that a view
/// refreshed rarely holds at most about twice its net change.
const PENDING_CONSOLIDATE_ROWS: usize = 65_536;

/// Input deltas that a node has not stepped through yet.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub batches: Vec<Arc<Batch>>,
    rows: usize,
    /// Rows after the last consolidation.
    floor: usize,
}

impl Pending {
    fn push(&mut self, batch: Arc<Batch>) {
        self.rows += batch.rows.len();
        self.batches.push(batch);
        if self.rows > PENDING_CONSOLIDATE_ROWS && self.rows > 2 * self.floor {
            self.consolidate();
            self.floor = self.rows;
        }
    }

    /// Makes one consolidated batch of all: what several commits did to a row and took back is not worked on.
    fn consolidate(&mut self) {
        let mut rows: Delta = Vec::with_capacity(self.rows);
        for batch in self.batches.drain(..) {
            rows.extend_from_slice(&batch.rows);
        }
        crate::delta::consolidate(&mut rows);
        self.rows = rows.len();
        self.batches.push(Arc::new(Batch { rows, consolidated: true }));
    }

    /// Everything queued so far.
    fn take(&mut self) -> Vec<Arc<Batch>> {
        if self.batches.len() > 1 {
            self.consolidate();
        }
        (self.rows, self.floor) = (0, 0);
        std::mem::take(&mut self.batches)
    }

    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }
}

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
}

/// An arrangement of a node, by position in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SlotId {
    pub node: NodeId,
    pub index: usize,
}

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
    shared: HashMap<Arc<NodeSpec>, NodeId>,
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
            OperatorSpec::Join(join) if !matches!(join.matching, Matching::Semi | Matching::Anti) => {
                Some(join.output.len())
            }
            OperatorSpec::Aggregate { keys, calls, .. } => Some(keys.exprs.len() + calls.len()),
            OperatorSpec::Window { functions, width, .. } => Some(width + functions.len()),
            OperatorSpec::Filter(_) | OperatorSpec::TopK { .. } | OperatorSpec::Union | OperatorSpec::Join(_) => {
                self.row_width(*node.inputs.first()?)
            }
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
            arrangement: Arrangement::new(key, shared_rows),
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
            if used.users == 0 {
                *slot = None;
            }
        }
    }

    /// A delta of a node's output: updates its arrangements and queues it at its consumers.
    pub fn emit(&mut self, id: NodeId, batch: Arc<Batch>) {
        let node = self.node_mut(id);
        for slot in node.slots.iter_mut().flatten() {
            if slot.arrangement.filled {
                slot.arrangement.apply(&batch.rows, &slot.context);
            }
        }
        let consumers = std::mem::take(&mut node.consumers);
        for &(consumer, port) in &consumers {
            self.node_mut(consumer).pending[port].push(batch.clone());
        }
        self.node_mut(id).consumers = consumers;
    }

    /// True when the node has input it has not stepped through.
    #[inline]
    pub fn is_pending(&self, id: NodeId) -> bool {
        self.node(id).pending.iter().any(|pending| !pending.is_empty())
    }

    /// Steps one node through its pending input. The caller sees to the order of nodes. On a panic the operator is lost.
    pub fn step(&mut self, id: NodeId) -> Result<Output, String> {
        let node = self.node_mut(id);
        let inputs: Vec<Vec<Arc<Batch>>> = node.pending.iter_mut().map(Pending::take).collect();
        let mut operator = match &mut node.body {
            Body::Operator(operator) => operator.take().ok_or("the operator was lost in an earlier panic")?,
            Body::Table(_) => return Err("a table has no input to step through".into()),
        };
        let context = node.context.clone();
        let mut out = Output::default();
        let stepped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            operator.step(&inputs, &StepContext { graph: self, eval: &context }, &mut out);
            operator
        }));
        let node = self.node_mut(id);
        match stepped {
            Ok(operator) => node.body = Body::Operator(Some(operator)),
            Err(panic) => return Err(panic_text(panic.as_ref())),
        }
        node.errors.set(node.errors.get() + out.errors);
        Ok(out)
    }

    /// Calls `f` with every row of a node's present output: from an arrangement that holds them all, else from the
    /// operator's state, else derived from its inputs.
    pub fn content(&self, id: NodeId, f: &mut dyn FnMut(&Row, i64)) {
        let node = self.node(id);
        match &node.body {
            Body::Table(table) => table.for_each(f),
            Body::Operator(operator) => {
                if let Some(slot) = node.slots.iter().flatten().find(|slot| slot.arrangement.is_complete()) {
                    return slot.arrangement.for_each(f);
                }
                let operator = operator.as_ref().expect("content is asked between steps only");
                let context = StepContext { graph: self, eval: &node.context };
                let errors = operator.content(&node.inputs, &context, f);
                if !operator.is_stateful() {
                    node.errors.set(errors);
                }
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
        let pending: usize = node.pending.iter().map(|pending| pending.rows * super::memory::ENTRY_BYTES).sum();
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

/// The message of a panic.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "panic without a message".to_owned(),
    }
}
