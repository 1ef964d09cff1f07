//! From plans to nodes. Columns nobody reads are not carried, projections that only pick columns cost nothing, and a
//! node that exists already is used again.

use super::EngineError;
use super::aggregate::AggregateOperator;
use super::build_join::places_of_required;
use super::columns::{remap, require, unmaintainable};
use super::distinct::DistinctOperator;
use super::graph::{Graph, NodeId, SlotId};
use super::images::has_many_images;
use super::map::{Filter, Map, Raised, Union, Values};
use super::operator::Operator;
use super::project_set::ProjectSet;
use super::repeat::Repeat;
use super::spec::{NodeSpec, OperatorSpec};
use crate::key::KeySpec;
use std::sync::Arc;
use weir_planner::eval::EvalContext;
use weir_planner::optimize::{Dropper, Relations, unseen};
use weir_planner::plan::{AggregateCall, Node};
use weir_planner::settings::SettingSet;
use weir_planner::temporal::reads_clock;
use weir_planner::{Expr, Plan, RelationId};

/// A plan's place in the graph: the node, how much of its rows belongs to the plan, and where each plan column is.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    pub node: NodeId,
    /// Rows of the node have at least this many values; later ones are none of this plan's business.
    pub width: usize,
    /// Position of each plan column in the node's row; [`PRUNED`] for columns that were not required.
    pub columns: Vec<usize>,
}

/// No position: the column is not carried.
pub(crate) const PRUNED: usize = usize::MAX;

impl Built {
    pub fn remap(&self, expr: &Expr) -> Expr {
        remap(expr, &|column| self.columns[column])
    }

    pub fn remap_all<'a>(&self, exprs: impl IntoIterator<Item = &'a Expr>) -> Vec<Expr> {
        exprs.into_iter().map(|expr| self.remap(expr)).collect()
    }
}

/// Builds one view's nodes, and remembers which are new.
pub(crate) struct Builder<'a> {
    pub graph: &'a mut Graph,
    pub relation: &'a dyn Fn(RelationId) -> Result<NodeId, EngineError>,
    pub relations: &'a dyn Relations,
    pub context: Arc<EvalContext>,
    /// Nodes created here, in topological order.
    pub fresh: Vec<NodeId>,
    /// Arrangements created here, on nodes old or new.
    pub fresh_slots: Vec<SlotId>,
}

impl Builder<'_> {
    /// The node that yields exactly the plan's rows.
    pub fn build_root(&mut self, plan: &Plan) -> Result<NodeId, EngineError> {
        let built = self.build(plan, &vec![true; plan.columns.len()])?;
        Ok(self.exact(built))
    }

    pub fn build(&mut self, plan: &Plan, required: &[bool]) -> Result<Built, EngineError> {
        match &plan.node {
            Node::Scan { relation, columns } => {
                let node = (self.relation)(*relation)?;
                let width = columns.iter().map(|column| column + 1).max().unwrap_or(0);
                Ok(Built { node, width, columns: columns.clone() })
            }
            Node::Values { rows } => {
                rows.iter().flatten().try_for_each(maintainable)?;
                let width = plan.columns.len();
                let spec = OperatorSpec::Values { rows: rows.clone(), width };
                let node = self.node(spec, vec![], |spec| {
                    let OperatorSpec::Values { rows, .. } = spec else { unreachable!("built from this spec") };
                    Box::new(Values { rows: rows.clone() })
                });
                Ok(Built { node, width, columns: (0..width).collect() })
            }
            Node::Filter { input, predicate } => self.build_filter(input, predicate, required),
            Node::Project { input, exprs } => self.build_project(input, exprs, required),
            Node::Join(join) => self.build_join(join, None, None, required),
            Node::Aggregate { input, keys, aggregates } => self.build_aggregate(plan, input, keys, aggregates),
            Node::Distinct { input } => {
                let width = input.columns.len();
                let built = self.build(input, &vec![true; width])?;
                let node = self.exact(built);
                let many_images = has_many_images(&input.columns);
                let spec = OperatorSpec::Distinct { width, many_images };
                let node = self.node(spec, vec![node], |_| Box::new(DistinctOperator::new(width, many_images)));
                Ok(Built { node, width, columns: (0..width).collect() })
            }
            Node::Repeat { input } => {
                let built = self.build(input, &vec![true; input.columns.len()])?;
                let node = self.exact(built);
                let width = input.columns.len();
                let node = self.node(OperatorSpec::Repeat { width }, vec![node], |_| Box::new(Repeat { width }));
                Ok(Built { node, width: width - 1, columns: (0..width - 1).collect() })
            }
            Node::Fence { input } => self.build_dropped(input, &vec![true; input.columns.len()], Dropper::Limit),
            Node::ProjectSet(set) => self.build_project_set(set, required),
            Node::Window { input, functions } => self.build_window(input, functions, required),
            Node::Sort { input, keys, limit, offset } => {
                self.build_sort(input, keys, limit.as_ref(), offset.as_ref(), required)
            }
            Node::UnionAll { inputs } => {
                let mut nodes = vec![];
                for input in inputs {
                    let built = self.build(input, &vec![true; input.columns.len()])?;
                    nodes.push(self.exact(built));
                }
                let node = self.node(OperatorSpec::Union, nodes, |_| Box::new(Union));
                let width = plan.columns.len();
                Ok(Built { node, width, columns: (0..width).collect() })
            }
        }
    }

    /// An input whose rows are dropped by what is built on it: errors that Postgres raises all the same are counted.
    pub(crate) fn build_dropped(
        &mut self,
        plan: &Plan,
        required: &[bool],
        dropper: Dropper,
    ) -> Result<Built, EngineError> {
        let built = self.build(plan, required)?;
        let unseen = unseen(plan, dropper, self.relations);
        let places = built.columns.iter().zip(required.iter().zip(unseen));
        let columns: Vec<usize> =
            places.filter(|(_, (required, unseen))| **required && *unseen).map(|(place, _)| *place).collect();
        if columns.is_empty() {
            return Ok(built);
        }
        let spec = OperatorSpec::Raised(columns.clone());
        let node = self.node(spec, vec![built.node], |_| Box::new(Raised { columns }));
        Ok(Built { node, ..built })
    }

    pub(crate) fn build_filter(
        &mut self,
        input: &Plan,
        predicate: &Expr,
        required: &[bool],
    ) -> Result<Built, EngineError> {
        if reads_clock(predicate) {
            return self.build_timed(input, predicate, required);
        }
        maintainable(predicate)?;
        if let Node::Join(join) = &input.node
            && join.kind == weir_planner::plan::JoinKind::Inner
        {
            return self.build_join(join, Some(predicate), None, required);
        }
        let mut needed = required.to_vec();
        require(predicate, &mut needed);
        let built = self.build_dropped(input, &needed, Dropper::Other)?;
        let predicate = built.remap(predicate);
        let node =
            self.node(OperatorSpec::Filter(predicate.clone()), vec![built.node], |_| Box::new(Filter { predicate }));
        Ok(Built { node, ..built })
    }

    fn build_project(&mut self, input: &Plan, exprs: &[Expr], required: &[bool]) -> Result<Built, EngineError> {
        let mut kept: Vec<Expr> =
            exprs.iter().zip(required).filter(|(_, used)| **used).map(|(e, _)| e.clone()).collect();
        let columns = places_of_required(required);
        let bounds = self.lift(&mut kept, input.columns.len())?;
        if !bounds.is_empty() {
            let built = self.build_marked(input, &kept.iter().collect::<Vec<_>>(), &bounds)?;
            let exprs = built.remap_all(&kept);
            let width = exprs.len();
            return Ok(Built { node: self.map(built.node, exprs), width, columns });
        }
        kept.iter().try_for_each(maintainable)?;
        let only_columns = kept.iter().all(|expr| matches!(expr, Expr::Column(_)));
        if !only_columns {
            // A join can compute the projection as it makes its rows.
            let fused = match &input.node {
                Node::Join(join) => Some((join, None)),
                Node::Filter { input, predicate } => match &input.node {
                    Node::Join(join) if join.kind == weir_planner::plan::JoinKind::Inner && !reads_clock(predicate) => {
                        maintainable(predicate)?;
                        Some((join, Some(predicate)))
                    }
                    _ => None,
                },
                _ => None,
            };
            if let Some((join, filter)) = fused
                && !matches!(join.kind, weir_planner::plan::JoinKind::Semi | weir_planner::plan::JoinKind::Anti)
            {
                let built = self.build_join(join, filter, Some(&kept), required)?;
                return Ok(Built { columns, ..built });
            }
        }
        let mut needed = vec![false; input.columns.len()];
        kept.iter().for_each(|expr| require(expr, &mut needed));
        let built = self.build(input, &needed)?;
        if only_columns {
            let columns = exprs
                .iter()
                .zip(required)
                .map(|(expr, used)| match expr {
                    Expr::Column(index) if *used => built.columns[*index],
                    _ => PRUNED,
                })
                .collect();
            return Ok(Built { columns, ..built });
        }
        let exprs = built.remap_all(&kept);
        let width = exprs.len();
        let node = self.map(built.node, exprs);
        Ok(Built { node, width, columns })
    }

    fn build_aggregate(
        &mut self,
        plan: &Plan,
        input: &Plan,
        keys: &[Expr],
        calls: &[AggregateCall],
    ) -> Result<Built, EngineError> {
        let (mut keys, mut calls) = (keys.to_vec(), calls.to_vec());
        let mut lifted: Vec<&mut Expr> = keys.iter_mut().collect();
        calls.iter_mut().for_each(|call| lifted.extend(call.all_exprs_mut()));
        let bounds = self.lift(lifted, input.columns.len())?;
        let exprs: Vec<&Expr> = keys.iter().chain(calls.iter().flat_map(AggregateCall::exprs)).collect();
        let built = self.build_marked(input, &exprs, &bounds)?;
        let keys = KeySpec::new(built.remap_all(&keys));
        let calls: Vec<AggregateCall> = calls.iter().map(|call| call.map(|expr| built.remap(expr))).collect();
        let many_images = has_many_images(&plan.columns[..keys.exprs.len()]);
        let width = plan.columns.len();
        let spec = OperatorSpec::Aggregate { keys: keys.clone(), calls: calls.clone(), many_images };
        let node = self.node(spec, vec![built.node], |_| Box::new(AggregateOperator::new(keys, calls, many_images)));
        Ok(Built { node, width, columns: (0..width).collect() })
    }

    fn build_project_set(
        &mut self,
        set: &weir_planner::plan::ProjectSet,
        required: &[bool],
    ) -> Result<Built, EngineError> {
        let input_width = set.input.columns.len();
        let mut needed = required.to_vec();
        for expr in set.calls.exprs() {
            maintainable(expr)?;
            require(expr, &mut needed);
        }
        if set.calls.calls.iter().any(|call| call.function.settings.contains(SettingSet::CLOCK)) {
            return Err(EngineError::Unsupported("a set that depends on the transaction's clock".into()));
        }
        needed.truncate(input_width);
        let mut built = self.build_dropped(&set.input, &needed, Dropper::Other)?;
        // What is put beside a row stands where the row ends.
        let width = built.width;
        built.columns.extend(width..width + set.calls.width());
        let calls = set.calls.map(|expr| built.remap(expr));
        let spec = OperatorSpec::ProjectSet { calls: calls.clone(), width };
        let node = self.node(spec, vec![built.node], |_| Box::new(ProjectSet { calls, width }));
        Ok(Built { node, width: width + set.calls.width(), columns: built.columns })
    }

    pub(crate) fn map(&mut self, input: NodeId, exprs: Vec<Expr>) -> NodeId {
        self.node(OperatorSpec::Map(exprs.clone()), vec![input], |_| Box::new(Map { exprs }))
    }

    /// A node whose rows are exactly the plan's columns.
    fn exact(&mut self, built: Built) -> NodeId {
        let identity = built.columns.iter().copied().eq(0..built.width);
        if identity && self.graph.is_exact(built.node, built.width) {
            return built.node;
        }
        self.map(built.node, built.columns.into_iter().map(Expr::Column).collect())
    }

    /// The node of this specification: the one that exists, or a new one.
    pub(crate) fn node(
        &mut self,
        operator: OperatorSpec,
        inputs: Vec<NodeId>,
        make: impl FnOnce(&OperatorSpec) -> Box<dyn Operator>,
    ) -> NodeId {
        let spec = NodeSpec { operator, inputs, settings: self.context.settings.clone() };
        if let Some(node) = self.graph.find(&spec) {
            return node;
        }
        let operator = make(&spec.operator);
        let node = self.graph.add_operator(operator, spec, vec![], self.context.clone());
        self.fresh.push(node);
        node
    }
}

/// Refuses expressions whose value changes without a change of their columns.
pub(crate) fn maintainable(expr: &Expr) -> Result<(), EngineError> {
    match unmaintainable(expr) {
        Some(reason) => Err(EngineError::Unsupported(reason)),
        None => Ok(()),
    }
}
