//! GROUPING SETS, ROLLUP and CUBE: one grouping per set over the same rows, side by side, with NULL for the grouping
//! columns that a set leaves out; and GROUPING(), a constant of each.

use super::error::LowerError;
use super::expr::{ExprLowerer, Typed};
use super::select::project;
use super::{Level, unsupported};
use crate::expr::Expr;
use crate::plan::{AggregateCall, Node as PlanNode, Plan};
use crate::query::expand_grouping_sets;
use crate::tree::Node;
use crate::types::{ColumnType, oid};
use crate::value::Value;

/// Each set is a grouping with a state of its own; CUBE over more than six columns is better done by Postgres.
const MAX_SETS: usize = 64;

impl ExprLowerer<'_, '_> {
    pub(super) fn grouping(&mut self, node: &Node) -> Result<Typed, LowerError> {
        if node.index("agglevelsup")? != 0 {
            return unsupported("GROUPING() of an outer query");
        }
        let references = node.numbers("refs")?.iter().map(|n| usize::try_from(*n).unwrap_or(0)).collect();
        Ok(Typed { expr: self.parts.grouping(references), kind: ColumnType::new(oid::INT4), collation: 0 })
    }
}

/// The reference of a key that every set has: no item of a select list has this number.
pub(super) const CARRIED: usize = 0;

/// What is grouped by, and what is computed of each group.
pub(super) struct GroupedBy {
    pub keys: Vec<Expr>,
    /// The keys' references, as GROUPING() and the sets name them.
    pub references: Vec<usize>,
    pub calls: Vec<AggregateCall>,
    /// Per GROUPING(): the references of its arguments.
    pub groupings: Vec<Vec<usize>>,
    /// Types of keys, then calls.
    pub columns: Vec<ColumnType>,
}

/// Yields keys, calls, then GROUPING() values.
pub(super) fn grouping_sets(input: Plan, level: &Level<'_>, by: &GroupedBy) -> Result<Plan, LowerError> {
    let query = level.query;
    let sets = if query.grouping_sets.is_empty() {
        // GROUPING() in a plain GROUP BY: every column is grouped by.
        vec![by.references.clone()]
    } else {
        match expand_grouping_sets(&query.grouping_sets, query.group_distinct, MAX_SETS) {
            Some(sets) => sets,
            None => return unsupported("more than 64 grouping sets"),
        }
    };
    let integer = ColumnType::new(oid::INT4);
    let mut columns = by.columns.clone();
    columns.extend(by.groupings.iter().map(|_| integer.clone()));
    let mut groupings = Vec::with_capacity(sets.len());
    for set in &sets {
        let is_chosen = |key: &usize| {
            by.references.get(*key).is_none_or(|reference| *reference == CARRIED || set.contains(reference))
        };
        let chosen: Vec<usize> = (0..by.keys.len()).filter(is_chosen).collect();
        if level.carried.is_some() && chosen.len() == level.carried_columns().len() {
            return unsupported("an empty grouping set in a correlated subquery");
        }
        let keys = chosen.iter().map(|key| by.keys[*key].clone()).collect();
        let call_columns = &by.columns[by.keys.len()..];
        let kinds = chosen.iter().map(|key| by.columns[*key].clone()).chain(call_columns.iter().cloned()).collect();
        let node = PlanNode::Aggregate { input: Box::new(input.clone()), keys, aggregates: by.calls.clone() };
        let grouped = Plan { node, columns: kinds };
        let mut targets: Vec<Expr> = (0..by.keys.len())
            .map(|key| match chosen.iter().position(|chosen| *chosen == key) {
                Some(at) => Expr::Column(at),
                None => Expr::Const(Value::Null),
            })
            .collect();
        targets.extend((0..by.calls.len()).map(|call| Expr::Column(chosen.len() + call)));
        // A bit per argument, the last one lowest: set where the argument is not grouped by.
        let bits = |references: &Vec<usize>| {
            references.iter().fold(0, |bits: i32, reference| bits << 1 | i32::from(!set.contains(reference)))
        };
        targets.extend(by.groupings.iter().map(|references| Expr::Const(Value::Int4(bits(references)))));
        groupings.push(project(grouped, targets.into_iter().zip(columns.clone()).collect()));
    }
    if groupings.len() == 1
        && let Some(only) = groupings.pop()
    {
        return Ok(only);
    }
    Ok(Plan { node: PlanNode::UnionAll { inputs: groupings }, columns })
}
