//! Bringing views to the present: the nodes above them step in topological order, each once.

use super::graph::NodeId;
use super::operator::{Batch, Output};
use super::{Engine, Relation, View, ViewChange};
use std::collections::HashSet;
use std::sync::Arc;
use weir_planner::RelationId;

/// The last refresh's plan of work: commits usually ask for the same views again and again.
#[derive(Default)]
pub(super) struct Schedule {
    asked: Vec<RelationId>,
    /// Nodes above the asked views, in topological order.
    nodes: Vec<NodeId>,
    /// The asked views and the views they read.
    views: Vec<RelationId>,
    valid: bool,
}

impl Schedule {
    pub(super) fn invalidate(&mut self) {
        self.valid = false;
    }
}

impl Engine {
    /// Brings these views, and every view they read, to the present. Changes come in dependency order, unchanged views left out.
    /// A view whose operator panics or whose budget is exceeded is quarantined with its dependants and reported by
    /// [`Engine::quarantined`]. A view that happens to share nodes with a refreshed one may be reported too: it is then
    /// at the present as well. `now_micros`: the server's clock that the views are brought to, before or after the one of
    /// their last refresh (microseconds since 2000-01-01 UTC).
    pub fn refresh(&mut self, views: &[RelationId], now_micros: i64) -> Vec<(RelationId, ViewChange)> {
        self.graph.clock = now_micros;
        let schedule = self.take_schedule(views);
        let mut changes = vec![];
        self.step_nodes(&schedule.nodes, &schedule.views, &mut changes);
        self.enforce_budget(&schedule.views);
        // Whatever was given up on the way has made the schedule stale.
        if schedule.views.iter().all(|view| matches!(self.relations.get(view), Some(Relation::View(_)))) {
            self.schedule = schedule;
        }
        changes
    }

    fn take_schedule(&mut self, asked: &[RelationId]) -> Schedule {
        let last = std::mem::take(&mut self.schedule);
        if last.valid && last.asked == asked {
            return last;
        }
        let mut views: Vec<RelationId> = vec![];
        let mut nodes: HashSet<NodeId> = HashSet::new();
        let mut open = asked.to_vec();
        while let Some(id) = open.pop() {
            if views.contains(&id) {
                continue;
            }
            if let Some(Relation::View(view)) = self.relations.get(&id) {
                views.push(id);
                nodes.extend(&view.nodes);
                open.extend(&view.reads);
            }
        }
        let mut nodes: Vec<NodeId> = nodes.into_iter().collect();
        nodes.sort_unstable_by_key(|&node| self.graph.node(node).order);
        Schedule { asked: asked.to_vec(), nodes, views, valid: true }
    }

    /// Steps those of the nodes that have pending input or whose time has come, in the order given; a node that panics is
    /// quarantined. These `views` are at the present afterwards.
    pub(super) fn step_nodes(
        &mut self,
        nodes: &[NodeId],
        views: &[RelationId],
        changes: &mut Vec<(RelationId, ViewChange)>,
    ) {
        let mut moved = vec![];
        for &node in nodes {
            // A quarantine may have removed nodes on the way.
            if self.graph.get(node).is_none()
                || !(self.graph.is_pending(node) || self.graph.is_due(node, self.graph.clock))
            {
                continue;
            }
            match self.graph.step(node) {
                Ok(output) => {
                    if output.errors != 0 {
                        moved.push(node);
                    }
                    self.publish(node, output, changes);
                }
                Err(reason) => {
                    let given_up = self.quarantine_node(node, &format!("operator failed: {reason}"));
                    changes.retain(|(id, _)| !given_up.contains(id));
                }
            }
        }
        self.report_errors(views, &moved, changes);
    }

    fn publish(&mut self, node: NodeId, output: Output, changes: &mut Vec<(RelationId, ViewChange)>) {
        let Output { mut rows, mut consolidated, .. } = output;
        let views = self.roots.get(&node).map_or(&[][..], Vec::as_slice);
        if !views.is_empty() && !consolidated {
            crate::delta::consolidate(&mut rows);
            consolidated = true;
        }
        if rows.is_empty() {
            return;
        }
        let batch = Arc::new(Batch { rows, consolidated, pass: false });
        self.graph.emit(node, batch.clone());
        for &view in views {
            changes.push((view, ViewChange { delta: batch.rows.clone(), in_error: false }));
        }
    }

    /// Sets the error state of the refreshed views, of those that have changed with them, and of those that are at the present
    /// though nobody asked because they share the nodes whose errors have `moved`. Reports those that changed only in it.
    fn report_errors(
        &mut self,
        refreshed: &[RelationId],
        moved: &[NodeId],
        changes: &mut Vec<(RelationId, ViewChange)>,
    ) {
        let shares = |(id, view): &(RelationId, &View)| {
            !refreshed.contains(id) && view.nodes.iter().any(|node| moved.contains(node)) && !self.is_stale(*id)
        };
        let mut views = refreshed.to_vec();
        if !moved.is_empty() {
            views.extend(self.views().filter(shares).map(|(id, _)| id));
        }
        let told = changes.iter().map(|(id, _)| *id).filter(|id| !views.contains(id));
        views.extend(told.collect::<Vec<_>>());
        for id in views {
            let Some(Relation::View(view)) = self.relations.get_mut(&id) else { continue };
            let graph = &self.graph;
            let in_error = view.nodes.iter().any(|&node| graph.node(node).errors.get() != 0);
            let changed = in_error != view.in_error;
            view.in_error = in_error;
            if !changed && !in_error {
                continue;
            }
            match changes.iter_mut().find(|(changed, _)| *changed == id) {
                Some((_, change)) => change.in_error = in_error,
                None if changed => changes.push((id, ViewChange { delta: vec![], in_error })),
                None => {}
            }
        }
    }
}
