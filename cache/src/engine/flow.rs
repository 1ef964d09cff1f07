//! How rows move through the graph: deltas from a node to its readers, a step of one node, a node's whole content.

use super::graph::{Body, Graph, NodeId};
use super::operator::{Batch, Output, StepContext};
use super::pending::Pending;
use crate::Delta;
use crate::clock::ClockSpan;
use std::sync::Arc;
use weir_planner::Row;

impl Graph {
    /// A delta of a node's output: updates its arrangements and queues it at its consumers.
    pub fn emit(&mut self, id: NodeId, batch: Arc<Batch>) {
        self.update_arrangements(id, &batch.rows);
        let node = self.node_mut(id);
        let consumers = std::mem::take(&mut node.consumers);
        for &(consumer, port) in &consumers {
            self.node_mut(consumer).pending[port].push(batch.clone());
        }
        self.node_mut(id).consumers = consumers;
    }

    pub(super) fn update_arrangements(&mut self, id: NodeId, delta: &Delta) {
        let node = self.node_mut(id);
        // A table's changes are made in what has its rows.
        let changed = match &node.body {
            Body::Table(table) => table.holder(),
            Body::Operator(_) => None,
        };
        for (index, slot) in node.slots.iter_mut().enumerate() {
            let Some(slot) = slot.as_mut().filter(|_| changed != Some(index)) else { continue };
            if slot.arrangement.filled {
                slot.arrangement.apply(delta, &slot.context);
            }
        }
    }

    /// True when the node has input it has not stepped through.
    #[inline]
    pub fn is_pending(&self, id: NodeId) -> bool {
        self.node(id).pending.iter().any(|pending| !pending.is_empty())
    }

    /// The clock's values for which the node's output is what it was after its last step.
    pub fn clock_span(&self, id: NodeId) -> ClockSpan {
        match &self.node(id).body {
            Body::Operator(Some(operator)) => operator.clock_span().unwrap_or_default(),
            _ => ClockSpan::ALWAYS,
        }
    }

    /// True when the node's output is another one at this clock.
    #[inline]
    pub fn is_due(&self, id: NodeId, now_micros: i64) -> bool {
        self.node(id).is_timed && !self.clock_span(id).contains(now_micros)
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
        if let Some(rows) = self.published.get(&id) {
            return rows.iter().for_each(|(row, weight)| f(row, *weight));
        }
        let node = self.node(id);
        match &node.body {
            Body::Table(table) => node.each_row(table, f),
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
}

/// The message of a panic.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "panic without a message".to_owned(),
    }
}
