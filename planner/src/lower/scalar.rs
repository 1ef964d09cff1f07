//! `(SELECT …)` as a value. One that does not depend on the row around it is joined, being one row; one that does is
//! grouped by what it is compared with there, and looked up by the row's own values.

use super::aggregate::of_no_rows;
use super::array_subquery::ListOrder;
use super::domain::Dependent;
use super::error::LowerError;
use super::expr::{ExprLowerer, Frame, Typed};
use super::parts::{Reference, ScalarPart};
use super::select::{filter, project};
use super::sublink::{ALL, ANY, ARRAY, EXISTS, conjuncts, reaches_out};
use super::{Level, unsupported};
use crate::Collation;
use crate::eval::{EvalContext, Tuple};
use crate::expr::Expr;
use crate::optimize::split_equalities;
use crate::plan::{AggregateCall, AggregateKind, Node as PlanNode, Plan};
use crate::query::Query;
use crate::tree::Node;
use crate::types::{ColumnType, oid};
use crate::value::Value;

/// Columns of the subquery stand this far behind those of the query around it while its conditions are sorted out: more
/// than any row has, less than the placeholders of [`super::parts`].
const INNER: usize = 1 << 24;

impl ExprLowerer<'_, '_> {
    pub(super) fn scalar_subquery(&mut self, node: &Node) -> Result<Typed, LowerError> {
        // SubLinkType of src/include/nodes/primnodes.h.
        let what = match node.int("subLinkType")? {
            4 => "scalar subquery",
            EXISTS | ALL | ANY => return self.mark(node),
            3 => return self.compared_row(node),
            ARRAY => return self.array_subquery(node, ListOrder::Matters),
            _ => return unsupported("subquery of this kind"),
        };
        let query = node.child("subselect")?;
        let Some(frame) = self.frames.first().copied() else { return unsupported(what) };
        if reaches_out(query) {
            let known = (self.parts.scalars.len(), self.parts.aggregates.len());
            return match self.correlated(query, frame) {
                Err(LowerError::Unsupported(_)) => {
                    self.parts.scalars.truncate(known.0);
                    self.parts.aggregates.truncate(known.1);
                    self.scalar_over_domain(query)
                }
                lowered => lowered,
            };
        }
        let mut plan = self.lowering.query(query, Some(frame.level))?.plan;
        let Some(kind) = plan.columns.first().cloned() else { return unsupported(what) };
        if !gives_one_row(&plan) {
            let single = single(Expr::Column(0), &kind);
            let node = PlanNode::Aggregate { input: Box::new(plan), keys: vec![], aggregates: vec![single] };
            plan = Plan { node, columns: vec![kind.clone()] };
        }
        let part = ScalarPart { plan, domain: None, equal: vec![], value: 0, without: None };
        Ok(typed(self.parts.scalar(part), kind))
    }

    /// At most one value for each row of the domain; more are an error value.
    fn scalar_over_domain(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let frames = self.frames.clone();
        let Dependent { plan, exprs } = self.lowering.dependent(node, &frames)?;
        let width = exprs.len();
        let Some(kind) = plan.columns.get(width).cloned() else { return unsupported("subquery without a column") };
        let columns = plan.columns[..=width].to_vec();
        let keys = (0..width).map(Expr::Column).collect();
        let aggregates = vec![single(Expr::Column(width), &kind)];
        let plan = Plan { node: PlanNode::Aggregate { input: Box::new(plan), keys, aggregates }, columns };
        let part = ScalarPart { plan, domain: Some(exprs), equal: vec![], value: width, without: None };
        Ok(typed(self.parts.scalar(part), kind))
    }

    fn correlated(&mut self, node: &Node, outer: Frame<'_>) -> Result<Typed, LowerError> {
        let query = Query::read(node)?;
        if let Some(clause) = query.unsupported {
            return unsupported(clause);
        }
        let is_plain = query.group.is_empty()
            && query.grouping_sets.is_empty()
            && query.having.is_none()
            && !query.has_windows
            && !query.has_target_sets
            && query.set_operation.is_none()
            && query.distinct.is_empty()
            && query.limit.is_none()
            && query.offset.is_none();
        if !is_plain {
            return unsupported("correlated scalar subquery with grouping, DISTINCT, set operation or LIMIT");
        }
        let inner = Level::new(&query, Some(outer.level));
        let (mut right, columns) = self.lowering.join_all(&inner)?;
        let shifted = columns.shifted(INNER);
        let mut frames = vec![Frame { level: &inner, columns: &shifted }];
        frames.extend(self.frames.iter().copied());
        let mut lowerer = ExprLowerer::new(self.lowering, frames);
        let mut conditions = Vec::new();
        for condition in conjuncts(query.quals) {
            conditions.push(lowerer.expr(condition)?.expr);
        }
        let Some(target) = query.targets.iter().find(|target| !target.junk) else {
            return unsupported("correlated scalar subquery without a column");
        };
        let value = lowerer.expr(target.expr)?;
        let parts = lowerer.parts;
        if !parts.scalars.is_empty() {
            return unsupported("subquery in a correlated subquery");
        }
        let (own, shared): (Vec<Expr>, Vec<Expr>) =
            conditions.into_iter().partition(|condition| condition.columns().iter().all(|column| *column >= INNER));
        let (equal, rest) = split_equalities(shared, INNER);
        if !rest.is_empty() || equal.is_empty() {
            return unsupported("scalar subquery correlated by other than equalities");
        }
        if let Some(own) = Expr::conjunction(own) {
            right = filter(right, inward(&own)?);
        }
        let mut kinds = Vec::with_capacity(equal.len());
        for (_, key) in &equal {
            match key_type(key, &right) {
                Some(kind) => kinds.push(kind),
                None => return unsupported("scalar subquery correlated by an expression"),
            }
        }
        let keys: Vec<Expr> = equal.iter().map(|(_, key)| key.clone()).collect();
        let mut calls = Vec::new();
        for call in &parts.aggregates {
            for expr in call.exprs() {
                inward(expr)?;
            }
            calls.push(call.map(|expr| expr.map_columns(&mut |column| column - INNER)));
        }
        let value_expr = if query.has_aggregates {
            let mut is_outer = false;
            let value = value.expr.map_columns(&mut |column| match Reference::of(column) {
                Reference::Aggregate(index) => keys.len() + index,
                _ => {
                    is_outer = true;
                    column
                }
            });
            if is_outer {
                return unsupported("correlated scalar subquery whose value depends on the row around it");
            }
            value
        } else {
            calls.push(single(inward(&value.expr)?, &value.kind));
            Expr::Column(keys.len())
        };
        // What the value is where the group is empty: counts are zero, all else is NULL.
        let without = value_expr.replace(&mut |part| match part {
            Expr::Column(column) => Some(Expr::Const(of_no_rows(calls[*column - keys.len()].kind))),
            _ => None,
        });
        let is_null = without.eval(Tuple::single(&[]), &EvalContext::default()).is_null();
        let grouped_columns = kinds.iter().cloned().chain(calls.iter().map(|call| call.output.clone())).collect();
        let width = keys.len();
        let node = PlanNode::Aggregate { input: Box::new(right), keys, aggregates: calls };
        let grouped = Plan { node, columns: grouped_columns };
        let mut targets: Vec<(Expr, ColumnType)> =
            kinds.into_iter().enumerate().map(|(at, kind)| (Expr::Column(at), kind)).collect();
        targets.push((value_expr, value.kind.clone()));
        targets.push((Expr::Const(Value::Bool(true)), ColumnType::new(oid::BOOL)));
        let part = ScalarPart {
            plan: project(grouped, targets),
            domain: None,
            equal: equal.into_iter().enumerate().map(|(at, (outer, _))| (outer, at)).collect(),
            value: width,
            without: (!is_null).then_some((width + 1, without)),
        };
        let expr = self.parts.scalar(part);
        Ok(Typed { expr, ..value })
    }
}

/// An expression over the subquery's own columns only.
fn inward(expr: &Expr) -> Result<Expr, LowerError> {
    if expr.columns().iter().any(|column| *column < INNER) {
        return unsupported("correlated subquery that computes with the row around it");
    }
    Ok(expr.map_columns(&mut |column| column - INNER))
}

/// The default collation stands for "not bytewise": order is refused, equality works.
fn typed(expr: Expr, kind: ColumnType) -> Typed {
    let collation = if kind.collation == Collation::Unordered { 100 } else { 0 };
    Typed { expr, kind, collation }
}

/// The value of the one row there may be; more are an error value.
pub(super) fn single(value: Expr, kind: &ColumnType) -> AggregateCall {
    AggregateCall {
        kind: AggregateKind::Single,
        args: vec![value],
        distinct: false,
        filter: None,
        order: vec![],
        input: Some(kind.clone()),
        output: kind.clone(),
    }
}

/// The type of one side of an equality: a column, or a widening of one that the equality asked for.
fn key_type(key: &Expr, plan: &Plan) -> Option<ColumnType> {
    match key {
        Expr::Column(column) => plan.columns.get(*column).cloned(),
        Expr::Call { function, .. } => match function.symbol {
            "i2toi4" => Some(ColumnType::new(oid::INT4)),
            "int28" | "int48" => Some(ColumnType::new(oid::INT8)),
            "ftod" => Some(ColumnType::new(oid::FLOAT8)),
            _ => None,
        },
        _ => None,
    }
}

fn gives_one_row(plan: &Plan) -> bool {
    match &plan.node {
        PlanNode::Aggregate { keys, .. } => keys.is_empty(),
        PlanNode::Project { input, .. } => gives_one_row(input),
        PlanNode::Values { rows } => rows.len() == 1,
        PlanNode::Join(join) => {
            join.kind == crate::plan::JoinKind::Inner
                && join.equal.is_empty()
                && join.residual.is_none()
                && gives_one_row(&join.left)
                && gives_one_row(&join.right)
        }
        _ => false,
    }
}
