//! Which values are never errors.

use super::safety::{cannot_fail, cannot_fail_itself};
use crate::RelationId;
use crate::catalog::{Catalog, RelationKind};
use crate::expr::Expr;
use crate::functions::costing;
use crate::plan::{AggregateCall, AggregateKind, Join, JoinKind, Node, Plan};

/// What is known of relations: rows of base tables hold no errors, those of stream tables may.
pub trait Relations {
    /// By column: an error of it is raised by whatever reads the relation ([`super::raised`]). None: it is a base table.
    fn raised(&self, relation: RelationId) -> Option<Vec<bool>>;
}

impl Relations for Catalog {
    fn raised(&self, relation: RelationId) -> Option<Vec<bool>> {
        match self.relations.get(&relation.0).map(|entry| &entry.kind) {
            Some(RelationKind::Table | RelationKind::Parent { .. }) => None,
            _ => Some(vec![]),
        }
    }
}

/// Functions besides comparisons that give a value for any arguments.
pub(super) const TOTAL: [&str; 38] = [
    "numeric_mul",
    "numeric_add",
    "numeric_sub",
    "numeric_abs",
    "numeric_uminus",
    "int2_numeric",
    "int4_numeric",
    "int8_numeric",
    "i2toi4",
    "int28",
    "int48",
    "i2tof",
    "i4tof",
    "i8tof",
    "i2tod",
    "i4tod",
    "i8tod",
    "ftod",
    "float4um",
    "float8um",
    "float4abs",
    "float8abs",
    "dround",
    "dtrunc",
    "dceil",
    "dfloor",
    "dsign",
    "booltext",
    "bool_int4",
    "int4_bool",
    "name_text",
    "textlen",
    "textcat",
    "text_left",
    "text_right",
    "text_reverse",
    "lower",
    "upper",
];

/// The expression is no error where the columns that it reads hold none. Sums and products of numerics count as such: they fail
/// only beyond 131,072 digits, and then Postgres' own outcome is that of the order in which it happens to join.
pub fn is_certain(expr: &Expr) -> bool {
    let is_total = || match expr {
        Expr::Call { function, .. } => {
            cannot_fail_itself(expr) || *function == costing() || TOTAL.contains(&function.symbol)
        }
        Expr::Case { .. } | Expr::Coalesce(_) => true,
        other => cannot_fail_itself(other),
    };
    cannot_fail(expr) || is_total() && expr.children().into_iter().all(is_certain)
}

/// No relation holds an error.
struct Sound;

impl Relations for Sound {
    fn raised(&self, _: RelationId) -> Option<Vec<bool>> {
        None
    }
}

/// None of the plan's columns is ever an error, if nothing that it reads holds one.
pub(crate) fn is_sound(plan: &Plan) -> bool {
    let certainty = Certainty { relations: &Sound };
    (0..plan.columns.len()).all(|column| certainty.of_column(plan, column))
}

/// Nothing that the plan computes on the way to its rows is ever an error either: conditions, keys, columns that are not shown.
pub(crate) fn is_sound_throughout(plan: &Plan) -> bool {
    let certainty = Certainty { relations: &Sound };
    let mut is_certain_everywhere = true;
    plan.clone().exprs_mut(&mut |expr| is_certain_everywhere &= is_certain(expr));
    plan.visit(&mut |plan| {
        is_certain_everywhere &= match &plan.node {
            Node::Aggregate { input, aggregates, .. } => aggregates.iter().all(|call| certainty.of_call(call, input)),
            Node::Window { .. } | Node::ProjectSet(_) => false,
            _ => true,
        }
    });
    is_certain_everywhere
}

/// As [`is_sound`], of an expression over the plan's columns.
pub(crate) fn is_sound_over(expr: &Expr, plan: &Plan) -> bool {
    Certainty { relations: &Sound }.of_expr(expr, plan)
}

/// What is certain of plans.
pub(super) struct Certainty<'c> {
    pub relations: &'c dyn Relations,
}

impl Certainty<'_> {
    /// The expression over the plan's rows is never an error.
    pub fn of_expr(&self, expr: &Expr, plan: &Plan) -> bool {
        is_certain(expr) && expr.columns().into_iter().all(|column| self.of_column(plan, column))
    }

    /// What decides in this join which rows are joined.
    pub fn of_join(&self, join: &Join) -> bool {
        let width = join.left.columns.len();
        join.equal.iter().all(|(left, right)| self.of_expr(left, &join.left) && self.of_expr(right, &join.right))
            && join.residual.as_ref().is_none_or(|residual| {
                let of_side = |column: usize| match column.checked_sub(width) {
                    None => self.of_column(&join.left, column),
                    Some(column) => self.of_column(&join.right, column),
                };
                let mut is_total = true;
                residual.visit(&mut |part| is_total &= cannot_fail_itself(part));
                is_total && residual.columns().into_iter().all(of_side)
            })
    }

    fn of_column(&self, plan: &Plan, column: usize) -> bool {
        match &plan.node {
            Node::Scan { relation, .. } => self.relations.raised(*relation).is_none(),
            Node::Filter { input, .. }
            | Node::Distinct { input }
            | Node::Repeat { input }
            | Node::Fence { input }
            | Node::Sort { input, .. } => self.of_column(input, column),
            Node::Project { input, exprs } => exprs.get(column).is_some_and(|expr| self.of_expr(expr, input)),
            Node::Join(join) => match column.checked_sub(join.left.columns.len()) {
                None => self.of_column(&join.left, column),
                Some(_) if matches!(join.kind, JoinKind::Semi | JoinKind::Anti) => false,
                Some(column) => self.of_column(&join.right, column),
            },
            Node::Aggregate { input, keys, aggregates } => match column.checked_sub(keys.len()) {
                None => self.of_expr(&keys[column], input),
                Some(call) => aggregates.get(call).is_some_and(|call| self.of_call(call, input)),
            },
            Node::UnionAll { inputs } => inputs.iter().all(|input| self.of_column(input, column)),
            Node::Values { .. } | Node::Window { .. } | Node::ProjectSet(_) => false,
        }
    }

    /// The call's value over any rows of the input is never an error.
    pub fn of_call(&self, call: &AggregateCall, input: &Plan) -> bool {
        use AggregateKind::*;
        let is_total = matches!(
            call.kind,
            CountRows | Count | SumInt | SumInt8 | SumNumeric | AvgInt | AvgNumeric | Min | Max | BoolAnd | BoolOr
        );
        is_total && call.exprs().all(|expr| self.of_expr(expr, input))
    }
}
