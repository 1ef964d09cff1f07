//! Joins from plan to graph: RIGHT becomes LEFT with its sides swapped, filters and projections above are taken in.

use super::EngineError;
use super::build::{Builder, Built, PRUNED, maintainable};
use super::columns::{remap, require};
use super::graph::{Body, NodeId};
use super::join::JoinOperator;
use super::spec::{JoinSpec, Matching, NodeSpec, OperatorSpec};
use super::star::Chain;
use crate::key::KeySpec;
use weir_planner::optimize::Dropper;
use weir_planner::plan::{Join, JoinKind};
use weir_planner::{Expr, Plan};

impl Builder<'_> {
    /// `filter` is a WHERE above an inner join; `output` the projection above the join, reduced to what is required.
    /// Without `output`, the required columns themselves are the output.
    pub(crate) fn build_join(
        &mut self,
        join: &Join,
        filter: Option<&Expr>,
        output: Option<&[Expr]>,
        required: &[bool],
    ) -> Result<Built, EngineError> {
        if let Some(mut chain) = Chain::of_join(join, &|plan| self.is_few(plan)) {
            filter.into_iter().for_each(|predicate| chain.filter(predicate));
            return self.build_chain(&chain, output, required);
        }
        let left_columns = join.left.columns.len();
        let all_columns = left_columns + join.right.columns.len();
        let only_left = matches!(join.kind, JoinKind::Semi | JoinKind::Anti);
        let residual = match (&join.residual, filter) {
            (Some(on), Some(filter)) => Some(Expr::And(vec![on.clone(), filter.clone()])),
            (on, filter) => on.as_ref().or(filter).cloned(),
        };
        let mut needed = vec![false; all_columns];
        match output {
            Some(exprs) => exprs.iter().for_each(|expr| require(expr, &mut needed)),
            None => needed[..required.len()].copy_from_slice(required),
        }
        let output: Vec<Expr> = match output {
            Some(exprs) => exprs.to_vec(),
            None => (0..all_columns).filter(|&column| needed[column]).map(Expr::Column).collect(),
        };
        if let Some(residual) = &residual {
            maintainable(residual)?;
            require(residual, &mut needed);
        }
        let (left_needed, right_needed) = needed.split_at_mut(left_columns);
        for (left, right) in &join.equal {
            maintainable(left)?;
            maintainable(right)?;
            require(left, left_needed);
            require(right, right_needed);
        }
        let optional = |by: JoinKind| join.kind == by || join.kind == JoinKind::Full;
        let plan_left = self.build_joined(&join.left, left_needed, optional(JoinKind::Right))?;
        let plan_right = self.build_joined(&join.right, right_needed, optional(JoinKind::Left))?;
        let plan_left_key = KeySpec::new(plan_left.remap_all(join.equal.iter().map(|(left, _)| left)));
        let plan_right_key = KeySpec::new(plan_right.remap_all(join.equal.iter().map(|(_, right)| right)));

        let swapped = join.kind == JoinKind::Right;
        let place = |column: usize| match column.checked_sub(left_columns) {
            None if swapped => plan_right.width + plan_left.columns[column],
            None => plan_left.columns[column],
            Some(column) if swapped => plan_right.columns[column],
            Some(column) => plan_left.width + plan_right.columns[column],
        };
        let residual = residual.map(|expr| remap(&expr, &place));
        let columns: Vec<usize> = if only_left { plan_left.columns.clone() } else { places_of_required(required) };
        let output: Vec<Expr> =
            if only_left { vec![] } else { output.iter().map(|expr| remap(expr, &place)).collect() };
        let width = if only_left { plan_left.width } else { output.len() };
        let (left, right, left_key, right_key) = if swapped {
            (plan_right, plan_left, plan_right_key, plan_left_key)
        } else {
            (plan_left, plan_right, plan_left_key, plan_right_key)
        };
        let spec = JoinSpec {
            matching: match join.kind {
                JoinKind::Inner => Matching::Inner,
                JoinKind::Left | JoinKind::Right => Matching::Left,
                JoinKind::Full => Matching::Full,
                JoinKind::Semi => Matching::Semi,
                JoinKind::Anti => Matching::Anti,
            },
            left_key,
            right_key,
            residual,
            output,
            left_width: left.width,
            right_width: right.width,
        };
        let node = self.join_node(spec, left.node, right.node);
        Ok(Built { node, width, columns })
    }

    /// An input of a join.
    pub(crate) fn build_joined(
        &mut self,
        plan: &Plan,
        required: &[bool],
        optional: bool,
    ) -> Result<Built, EngineError> {
        let built = self.build_dropped(plan, required, Dropper::Join { optional })?;
        Ok(self.narrow(built, required))
    }

    /// What passes a filter over a base table is kept by the join, and nowhere else when the table is let go: where that makes
    /// rows much shorter, without the columns that nobody reads. Unique columns stay, to tell rows apart by. A table with an
    /// index is kept whole, and its rows are there at no cost.
    fn narrow(&mut self, built: Built, required: &[bool]) -> Built {
        let node = self.graph.node(built.node);
        let is_filter = |spec: &NodeSpec| matches!(spec.operator, OperatorSpec::Filter(_));
        let unindexed = |input: &NodeId| {
            let input = self.graph.node(*input);
            matches!(input.body, Body::Table(_)) && !input.is_looked_up()
        };
        if !node.spec.as_deref().is_some_and(is_filter) || !node.inputs.iter().all(unindexed) {
            return built;
        }
        let unique = self.graph.unique_columns(built.node).unwrap_or_default();
        let read = built.columns.iter().zip(required).filter(|(_, required)| **required).map(|(column, _)| *column);
        let mut kept: Vec<usize> = read.chain(unique).collect();
        kept.sort_unstable();
        kept.dedup();
        if kept.len() * 2 > built.width {
            return built;
        }
        let place = |column: &usize| kept.binary_search(column).unwrap_or(PRUNED);
        let columns = built.columns.iter().map(place).collect();
        let width = kept.len();
        let node = self.map(built.node, kept.iter().copied().map(Expr::Column).collect());
        Built { node, width, columns }
    }

    fn build_chain(
        &mut self,
        chain: &Chain<'_>,
        output: Option<&[Expr]>,
        required: &[bool],
    ) -> Result<Built, EngineError> {
        let output: Vec<Expr> = match output {
            Some(exprs) => exprs.iter().map(|expr| chain.widen(expr)).collect(),
            None => (0..required.len()).filter(|&c| required[c]).map(|c| Expr::Column(chain.columns[c])).collect(),
        };
        let width = output.len();
        let node = self.build_star(chain, output)?;
        Ok(Built { node, width, columns: places_of_required(required) })
    }

    fn join_node(&mut self, spec: JoinSpec, left: usize, right: usize) -> usize {
        let identity = NodeSpec {
            operator: OperatorSpec::Join(spec.clone()),
            inputs: vec![left, right],
            settings: self.context.settings.clone(),
        };
        if let Some(node) = self.graph.find(&identity) {
            return node;
        }
        let left = self.arrange(left, spec.left_key.clone());
        let right = self.arrange(right, spec.right_key.clone());
        let operator = Box::new(JoinOperator { spec, left, right });
        let node = self.graph.add_operator(operator, identity, vec![left, right], self.context.clone());
        self.fresh.push(node);
        node
    }

    pub(crate) fn arrange(&mut self, node: usize, key: KeySpec) -> super::graph::SlotId {
        let (slot, is_new) = self.graph.arrange(node, key, &self.context);
        if is_new {
            self.fresh_slots.push(slot);
        }
        slot
    }
}

/// Where the required columns are in rows that have no others.
pub(crate) fn places_of_required(required: &[bool]) -> Vec<usize> {
    let mut position = 0;
    let place = |used: &bool| {
        position += usize::from(*used);
        if *used { position - 1 } else { PRUNED }
    };
    required.iter().map(place).collect()
}
