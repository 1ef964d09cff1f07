//! Giving views up: after a panic in an operator, or when the memory budget is exceeded. A view that is given up is
//! taken out of the graph at once, with all views that read it, so that its memory is free and others go on.

use super::graph::{Body, NodeId};
use super::{Engine, Relation};
use std::collections::HashSet;
use weir_planner::RelationId;

impl Engine {
    /// Accounted bytes per view (nodes it shares with an earlier view count for that one) and per base table.
    pub fn memory(&self) -> Vec<(RelationId, usize)> {
        let mut views: Vec<_> = self.views().collect();
        views.sort_unstable_by_key(|(_, view)| self.graph.node(view.root).order);
        let mut seen: HashSet<NodeId> = HashSet::new();
        let mut accounts: Vec<(RelationId, usize)> = views
            .into_iter()
            .map(|(id, view)| {
                let own = view.nodes.iter().filter(|&&node| seen.insert(node));
                (id, own.map(|&node| self.graph.bytes(node)).sum())
            })
            .collect();
        accounts.extend(self.relations.iter().filter_map(|(id, relation)| match relation {
            Relation::Table(node) => Some((*id, self.graph.bytes(*node))),
            _ => None,
        }));
        accounts
    }

    pub(super) fn check_budget(&self) -> Result<(), String> {
        match self.budget_bytes {
            Some(budget) if self.graph.total_bytes() > budget => Err(over_budget(budget)),
            _ => Ok(()),
        }
    }

    /// Gives up the largest of the refreshed views until the accounts are within the budget.
    pub(super) fn enforce_budget(&mut self, refreshed: &[RelationId]) {
        let Some(budget) = self.budget_bytes else { return };
        while self.graph.total_bytes() > budget {
            let largest = self
                .memory()
                .into_iter()
                .filter(|(id, _)| refreshed.contains(id) && matches!(self.relations.get(id), Some(Relation::View(_))))
                .max_by_key(|(_, bytes)| *bytes);
            match largest {
                Some((id, _)) => self.quarantine_view(id, &over_budget(budget)),
                None => return,
            };
        }
    }

    /// Gives up every view that this node is part of; returns them.
    pub(super) fn quarantine_node(&mut self, node: NodeId, reason: &str) -> Vec<RelationId> {
        let affected: Vec<RelationId> =
            self.views().filter(|(_, view)| view.nodes.contains(&node)).map(|(id, _)| id).collect();
        affected.into_iter().flat_map(|id| self.quarantine_view(id, reason)).collect()
    }

    /// Gives up a view and all views that read it, readers first; returns them.
    fn quarantine_view(&mut self, id: RelationId, reason: &str) -> Vec<RelationId> {
        if !matches!(self.relations.get(&id), Some(Relation::View(_))) {
            return vec![];
        }
        let readers: Vec<RelationId> =
            self.views().filter(|(_, view)| view.reads.contains(&id)).map(|(id, _)| id).collect();
        let mut given_up: Vec<RelationId> =
            readers.into_iter().flat_map(|reader| self.quarantine_view(reader, reason)).collect();
        tracing::warn!(relation = id.0, reason, "stream table given up");
        self.uninstall(id);
        self.relations.insert(id, Relation::Quarantined { reason: reason.to_owned() });
        given_up.push(id);
        given_up
    }

    /// Takes a view out of the graph.
    pub(super) fn uninstall(&mut self, id: RelationId) {
        let Some(Relation::View(view)) = self.relations.remove(&id) else { return };
        if let Some(views) = self.roots.get_mut(&view.root) {
            views.retain(|other| *other != id);
            if views.is_empty() {
                self.roots.remove(&view.root);
                if let Body::Operator(Some(operator)) = &mut self.graph.node_mut(view.root).body {
                    operator.set_published(None);
                }
            }
        }
        self.graph.release(view.root);
        self.schedule.invalidate();
    }
}

fn over_budget(budget: usize) -> String {
    format!("memory budget of {budget} bytes exceeded")
}
