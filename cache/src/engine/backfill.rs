//! Installing a view: its new nodes and arrangements are filled from the present content of what exists, in chunks.

use super::build::Builder;
use super::flow::panic_text;
use super::graph::{BACKFILL_CHUNK_ROWS, Body, NodeId, SlotId};
use super::operator::{Batch, Operator, Output, StepContext};
use super::{Content, Engine, EngineError, Relation, View, ViewChange};
use crate::Delta;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use weir_planner::eval::EvalContext;
use weir_planner::optimize::Relations;
use weir_planner::settings::Settings;
use weir_planner::{Plan, RelationId};

/// What is known of the errors in views.
struct Views<'e>(&'e HashMap<RelationId, Relation>);

impl Relations for Views<'_> {
    fn raised(&self, relation: RelationId) -> Option<Vec<bool>> {
        match self.0.get(&relation) {
            Some(Relation::View(view)) => Some(view.raised.clone()),
            _ => None,
        }
    }
}

impl Engine {
    /// [`Engine::add_view`] with the settings (time zone and the like) under which its expressions are evaluated.
    pub fn add_view_under(
        &mut self,
        id: RelationId,
        plan: &Plan,
        content: &dyn Content,
        settings: &Settings,
    ) -> Result<Vec<(RelationId, ViewChange)>, EngineError> {
        if self.relations.contains_key(&id) {
            return Err(EngineError::Duplicate(id));
        }
        let relations = &self.relations;
        let raised = weir_planner::optimize::raised(plan, &Views(relations));
        let relation = |id: RelationId| match relations.get(&id) {
            Some(Relation::Table(node)) => Ok(*node),
            Some(Relation::View(view)) => Ok(view.root),
            Some(Relation::Quarantined { reason, .. }) => {
                Err(EngineError::Quarantined { relation: id, reason: reason.clone() })
            }
            None => Err(EngineError::UnknownRelation(id)),
        };
        let context = Arc::new(EvalContext { settings: settings.clone(), ..EvalContext::default() });
        let mut builder = Builder {
            graph: &mut self.graph,
            relation: &relation,
            relations: &Views(relations),
            context,
            fresh: vec![],
            fresh_slots: vec![],
        };
        let built = builder.build_root(plan);
        let (fresh, fresh_slots) = (builder.fresh, builder.fresh_slots);
        let root = match built {
            Ok(root) => root,
            Err(error) => {
                fresh.iter().rev().for_each(|&node| self.graph.remove_unused(node));
                return Err(error);
            }
        };
        self.graph.node_mut(root).users += 1;
        let nodes = self.nodes_above(root);
        let timed = nodes.iter().copied().filter(|&node| self.graph.node(node).is_timed).collect();
        let view = View { root, reads: plan.relations(), nodes: nodes.clone(), timed, raised, in_error: false };
        self.roots.entry(root).or_default().push(id);
        self.relations.insert(id, Relation::View(view));
        self.schedule.invalidate();

        // What exists is brought to the present; what it queues at the new nodes is part of what they are filled with.
        let existing: Vec<NodeId> = nodes.iter().copied().filter(|node| !fresh.contains(node)).collect();
        let mut changes = vec![];
        self.step_nodes(&existing, &[], &mut changes);
        changes.retain(|(changed, _)| *changed != id);
        if let Some(Relation::Quarantined { reason, .. }) = self.relations.get(&id) {
            let reason = reason.clone();
            self.relations.remove(&id);
            self.unreported = changes;
            return Err(EngineError::Quarantined { relation: id, reason });
        }
        self.graph.published = self.published_sources(plan, content, &changes);
        if let Some(table) = self.missing(&fresh, &fresh_slots, root) {
            self.graph.published.clear();
            self.uninstall(id);
            self.unreported = changes;
            return Err(EngineError::NotKept(table));
        }
        let filled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.fill(&fresh, &fresh_slots, root)));
        self.graph.published.clear();
        let failure = match filled {
            Ok(Ok(delta)) => {
                let in_error = nodes.iter().any(|&node| self.graph.node(node).errors.get() != 0);
                if let Some(Relation::View(view)) = self.relations.get_mut(&id) {
                    view.in_error = in_error;
                }
                changes.push((id, ViewChange { delta, in_error }));
                return Ok(changes);
            }
            Ok(Err(reason)) => reason,
            Err(panic) => format!("operator failed: {}", panic_text(panic.as_ref())),
        };
        self.uninstall(id);
        self.unreported = changes;
        Err(EngineError::Quarantined { relation: id, reason: failure })
    }

    /// What a view that could not be added has brought to the present on the way: views that share nodes with it. To be
    /// asked after every refusal.
    pub fn take_unreported(&mut self) -> Vec<(RelationId, ViewChange)> {
        std::mem::take(&mut self.unreported)
    }

    /// Published rows of the views a plan reads that would otherwise be computed anew from their own sources.
    fn published_sources(
        &self,
        plan: &Plan,
        content: &dyn Content,
        changes: &[(RelationId, ViewChange)],
    ) -> HashMap<NodeId, Delta> {
        let mut published = HashMap::new();
        for relation in plan.relations() {
            let Some(Relation::View(view)) = self.relations.get(&relation) else { continue };
            let Body::Operator(Some(operator)) = &self.graph.node(view.root).body else { continue };
            let moved = view.in_error || changes.iter().any(|(changed, _)| *changed == relation);
            if !moved && !operator.is_stateful() && content.is_present(relation) {
                let mut rows = Delta::new();
                content.for_each(relation, &mut |row, weight| rows.push((row.clone(), weight)));
                published.insert(view.root, rows);
            }
        }
        published
    }

    /// A node and all nodes above it but base tables, in topological order.
    fn nodes_above(&self, root: NodeId) -> Vec<NodeId> {
        let mut found = HashSet::new();
        let mut open = vec![root];
        while let Some(node) = open.pop() {
            if matches!(self.graph.node(node).body, Body::Operator(_)) && found.insert(node) {
                open.extend(&self.graph.node(node).inputs);
            }
        }
        let mut nodes: Vec<NodeId> = found.into_iter().collect();
        nodes.sort_unstable_by_key(|&node| self.graph.node(node).order);
        nodes
    }

    /// Fills new arrangements and states, inputs first; returns the root's rows, consolidated.
    fn fill(&mut self, fresh: &[NodeId], fresh_slots: &[SlotId], root: NodeId) -> Result<Delta, String> {
        for &node in fresh {
            self.graph.node_mut(node).pending.iter_mut().for_each(|pending| *pending = Default::default());
        }
        for slot in fresh_slots.iter().filter(|slot| !fresh.contains(&slot.node)) {
            self.fill_slot(*slot)?;
        }
        for &node in fresh {
            self.fill_state(node)?;
            for slot in fresh_slots.iter().filter(|slot| slot.node == node) {
                self.fill_slot(*slot)?;
            }
        }
        let mut rows = Delta::new();
        self.graph.content(root, &mut |row, weight| rows.push((row.clone(), weight)));
        crate::delta::consolidate(&mut rows);
        if let Body::Operator(Some(operator)) = &mut self.graph.node_mut(root).body {
            operator.set_published(Some(&rows));
        }
        self.check_budget()?;
        Ok(rows)
    }

    fn fill_slot(&mut self, slot: SlotId) -> Result<(), String> {
        let taken = self.graph.node_mut(slot.node).slots[slot.index].take();
        let mut filling = taken.expect("a slot being filled is in use");
        let context = filling.context.clone();
        self.graph.content(slot.node, &mut |row, weight| {
            filling.arrangement.add(row, weight, &context);
        });
        filling.arrangement.filled = true;
        self.graph.node_mut(slot.node).slots[slot.index] = Some(filling);
        self.graph.hold_rows(slot);
        self.check_budget()
    }

    /// Runs the inputs' content through a new operator that keeps state.
    fn fill_state(&mut self, id: NodeId) -> Result<(), String> {
        let node = self.graph.node_mut(id);
        let Body::Operator(slot) = &mut node.body else { return Ok(()) };
        let mut operator = slot.take().expect("a new node has its operator");
        if operator.is_stateful() {
            let (inputs, context) = (node.inputs.clone(), node.context.clone());
            let errors = self.run_content(&mut *operator, &inputs, &context);
            self.graph.node_mut(id).errors.set(errors);
        }
        self.graph.node_mut(id).body = Body::Operator(Some(operator));
        self.check_budget()
    }

    fn run_content(&self, operator: &mut dyn Operator, inputs: &[NodeId], context: &EvalContext) -> i64 {
        let step_context = StepContext { graph: &self.graph, eval: context };
        let mut errors = 0;
        for (port, &input) in inputs.iter().enumerate() {
            let mut chunk = Delta::with_capacity(BACKFILL_CHUNK_ROWS);
            let mut run = |chunk: &mut Delta| {
                let mut batches = vec![vec![]; inputs.len()];
                batches[port] = vec![Arc::new(Batch { rows: std::mem::take(chunk), consolidated: false, pass: false })];
                let mut out = Output::default();
                operator.step(&batches, &step_context, &mut out);
                errors += out.errors;
            };
            self.graph.content(input, &mut |row, weight| {
                chunk.push((row.clone(), weight));
                if chunk.len() >= BACKFILL_CHUNK_ROWS {
                    run(&mut chunk);
                }
            });
            run(&mut chunk);
        }
        errors
    }
}
