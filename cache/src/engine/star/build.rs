//! Stars from plan to graph.

use super::StarOperator;
use super::chain::Chain;
use super::spec::{LinkSpec, StarSpec};
use crate::engine::EngineError;
use crate::engine::build::{Builder, Built, maintainable};
use crate::engine::columns::{remap, require};
use crate::engine::graph::{Body, NodeId, SlotId};
use crate::engine::spec::{NodeSpec, OperatorSpec};
use crate::key::KeySpec;
use weir_planner::eval::Tuple;
use weir_planner::optimize::is_selective_scan;
use weir_planner::plan::Node;
use weir_planner::{Expr, Plan};

impl Builder<'_> {
    /// The node that yields these expressions over the chain's wide row.
    pub(in crate::engine) fn build_star(
        &mut self,
        chain: &Chain<'_>,
        output: Vec<Expr>,
    ) -> Result<NodeId, EngineError> {
        let mut needed = vec![false; chain.width()];
        output.iter().for_each(|expr| require(expr, &mut needed));
        let mut start = chain.driver.columns.len();
        for link in &chain.links {
            link.conditions.iter().try_for_each(maintainable)?;
            link.conditions.iter().for_each(|condition| require(condition, &mut needed));
            for (driver, linked) in &link.equal {
                maintainable(driver)?;
                maintainable(linked)?;
                require(driver, &mut needed);
                require(linked, &mut needed[start..]);
            }
            start += link.plan.columns.len();
        }
        let mut rest = needed.as_slice();
        let mut parts: Vec<Built> = vec![];
        let links = chain.links.iter().map(|link| (link.plan, link.outer));
        for (plan, optional) in std::iter::once((chain.driver, false)).chain(links) {
            let (own, others) = rest.split_at(plan.columns.len());
            rest = others;
            parts.push(self.build_joined(plan, own, optional)?);
        }
        // Positions of the wide row's columns in the concatenation of the built rows.
        let mut place: Vec<usize> = vec![];
        let mut start = 0;
        for part in &parts {
            place.extend(part.columns.iter().map(|column| column.saturating_add(start)));
            start += part.width;
        }
        let placed = |expr: &Expr| remap(expr, &|column| place[column]);
        let mut keys: Vec<KeySpec> = vec![];
        let mut links = vec![];
        for (link, part) in chain.links.iter().zip(&parts[1..]) {
            let driver_key = KeySpec::new(parts[0].remap_all(link.equal.iter().map(|(driver, _)| driver)));
            let known = keys.iter().position(|key| *key == driver_key);
            links.push(LinkSpec {
                driver_key: known.unwrap_or(keys.len()),
                key: KeySpec::new(part.remap_all(link.equal.iter().map(|(_, linked)| linked))),
                outer: link.outer,
                width: part.width,
                conditions: link.conditions.iter().map(placed).collect(),
            });
            if known.is_none() {
                keys.push(driver_key);
            }
        }
        let output = output.iter().map(placed).collect();
        let spec = StarSpec { driver_width: parts[0].width, keys, links, output };
        Ok(self.star_node(spec, parts.into_iter().map(|part| part.node).collect()))
    }

    /// The plan has few rows: by its looks, and by how many of the rows that are there pass its filter.
    pub(in crate::engine) fn is_few(&self, plan: &Plan) -> bool {
        /// Rows looked at; fewer say nothing.
        const SAMPLE_ROWS: usize = 1_000;
        /// One of so many rows passes.
        const FEW: usize = 4;
        if !is_selective_scan(plan) {
            return false;
        }
        let (Node::Project { input: filter, .. } | Node::Filter { input: filter, .. }) = &plan.node else {
            return true;
        };
        let filter = if matches!(plan.node, Node::Filter { .. }) { plan } else { filter };
        let Node::Filter { input: scan, predicate } = &filter.node else { return true };
        let Node::Scan { relation, columns } = &scan.node else { return true };
        let Ok(node) = (self.relation)(*relation) else { return true };
        let node = self.graph.node(node);
        if !matches!(node.body, Body::Table(_)) {
            return true;
        }
        let predicate = remap(predicate, &|column| columns[column]);
        let outcomes =
            node.some_rows(SAMPLE_ROWS).map(|row| predicate.eval(Tuple::single(row), &self.context).is_true());
        let (mut seen, mut passed) = (0, 0);
        for passes in outcomes {
            seen += 1;
            passed += usize::from(passes);
        }
        seen < SAMPLE_ROWS || passed * FEW <= seen
    }

    fn star_node(&mut self, spec: StarSpec, inputs: Vec<NodeId>) -> NodeId {
        let identity = NodeSpec {
            operator: OperatorSpec::Star(spec.clone()),
            inputs: inputs.clone(),
            settings: self.context.settings.clone(),
        };
        if let Some(node) = self.graph.find(&identity) {
            return node;
        }
        let drivers: Vec<SlotId> = spec.keys.iter().map(|key| self.arrange(inputs[0], key.clone())).collect();
        let links: Vec<SlotId> =
            spec.links.iter().zip(&inputs[1..]).map(|(link, &input)| self.arrange(input, link.key.clone())).collect();
        let reads = drivers.iter().chain(&links).copied().collect();
        let driver_key = self.graph.unique_columns(inputs[0]);
        let operator = Box::new(StarOperator::new(spec, drivers, links, driver_key));
        let node = self.graph.add_operator(operator, identity, reads, self.context.clone());
        self.fresh.push(node);
        node
    }
}
