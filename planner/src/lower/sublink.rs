//! Subqueries in expressions. EXISTS and IN as conditions of WHERE become semi-joins, NOT EXISTS an anti-join; a
//! subquery that is certain to give one value is joined. All others are refused.

use super::error::LowerError;
use super::expr::{Columns, ExprLowerer, Frame, Typed};
use super::from::join;
use super::select::filter;
use super::{Level, Lowering, unsupported};
use crate::expr::Expr;
use crate::plan::{JoinKind, Node as PlanNode, Plan};
use crate::query::Query;
use crate::tree::{Node, Tree};

/// `SubLinkType` of `src/include/nodes/primnodes.h`.
const EXISTS: i64 = 0;
const ANY: i64 = 2;
const SCALAR: i64 = 4;

impl Lowering<'_> {
    /// WHERE: plain conditions first, then the joins that subqueries became.
    pub(super) fn where_clause(
        &mut self,
        mut plan: Plan,
        columns: &Columns,
        level: &Level<'_>,
    ) -> Result<Plan, LowerError> {
        let mut conditions = Vec::new();
        let mut subqueries = Vec::new();
        for node in conjuncts(level.query.quals) {
            match membership(node)? {
                Some(kind) => subqueries.push(kind),
                None => conditions.push(node),
            }
        }
        let mut lowerer = ExprLowerer::new(self, vec![Frame { level, columns }]);
        let mut predicates = Vec::new();
        for node in conditions {
            predicates.push(lowerer.expr(node)?.expr);
        }
        let mut parts = lowerer.parts;
        plan = parts.join_scalars(plan, &mut predicates.iter_mut().collect::<Vec<_>>())?;
        if let Some(predicate) = Expr::conjunction(predicates) {
            plan = filter(plan, predicate);
        }
        for subquery in subqueries {
            plan = self.membership_join(plan, columns, subquery, level)?;
        }
        Ok(plan)
    }

    fn membership_join(
        &mut self,
        left: Plan,
        columns: &Columns,
        subquery: Membership<'_>,
        level: &Level<'_>,
    ) -> Result<Plan, LowerError> {
        let width = left.columns.len();
        let node = subquery.link.child("subselect")?;
        if !reaches_out(node) {
            let right = self.query(node, Some(level))?.plan;
            let mut outputs = Vec::new();
            for (position, kind) in right.columns.iter().enumerate() {
                outputs.push(Typed { expr: Expr::Column(width + position), kind: kind.clone(), collation: 0 });
            }
            let frames = vec![Frame { level, columns }];
            let conditions = self.test_conditions(subquery.link, frames, outputs)?;
            return Ok(join(subquery.kind, left, right, conditions));
        }
        // A correlated one is taken apart: its FROM becomes the right side, its WHERE the join's condition.
        let query = Query::read(node)?;
        if !is_plain(&query) {
            return unsupported("correlated subquery with grouping, set operation or LIMIT");
        }
        let inner = Level { query: &query, parent: Some(level) };
        let (mut right, inner_columns) = self.join_all(&inner)?;
        let shifted = inner_columns.shifted(width);
        let frames = vec![Frame { level: &inner, columns: &shifted }, Frame { level, columns }];
        let mut lowerer = ExprLowerer::new(self, frames.clone());
        let mut conditions = Vec::new();
        for node in conjuncts(query.quals) {
            conditions.push(lowerer.expr(node)?.expr);
        }
        let mut outputs = Vec::new();
        if subquery.link.int("subLinkType")? == ANY {
            for target in query.targets.iter().filter(|target| !target.junk) {
                outputs.push(lowerer.expr(target.expr)?);
            }
        }
        if !lowerer.parts.scalars.is_empty() {
            return unsupported("subquery in a correlated subquery");
        }
        let (own, shared): (Vec<Expr>, Vec<Expr>) =
            conditions.into_iter().partition(|condition| condition.columns().iter().all(|c| *c >= width));
        let own = own.into_iter().map(|condition| condition.map_columns(&mut |c| c - width)).collect();
        if let Some(own) = Expr::conjunction(own) {
            right = filter(right, own);
        }
        let mut conditions = shared;
        conditions.extend(self.test_conditions(subquery.link, frames[1..].to_vec(), outputs)?);
        Ok(join(subquery.kind, left, right, conditions))
    }

    /// The comparisons of `(a, b) IN (SELECT …)`; none for EXISTS.
    fn test_conditions(
        &mut self,
        link: &Node,
        frames: Vec<Frame<'_>>,
        outputs: Vec<Typed>,
    ) -> Result<Vec<Expr>, LowerError> {
        let Some(test) = link.optional("testexpr")? else { return Ok(vec![]) };
        let mut lowerer = ExprLowerer::new(self, frames);
        lowerer.sublink_columns = outputs;
        let conditions = lowerer.expr(test)?.expr.into_conjuncts();
        if !lowerer.parts.scalars.is_empty() {
            return unsupported("subquery in the tested value of IN");
        }
        Ok(conditions)
    }
}

/// A condition of WHERE that is a semi-join or anti-join.
struct Membership<'t> {
    kind: JoinKind,
    link: &'t Node,
}

fn membership(node: &Node) -> Result<Option<Membership<'_>>, LowerError> {
    let (link, negated) = match node.label.as_str() {
        "SUBLINK" => (node, false),
        "BOOLEXPR" if node.word("boolop")? == Some("not") => match node.nodes("args")?.as_slice() {
            [arg] if arg.label == "SUBLINK" => (*arg, true),
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    Ok(match (link.int("subLinkType")?, negated) {
        (EXISTS, false) => Some(Membership { kind: JoinKind::Semi, link }),
        (EXISTS, true) => Some(Membership { kind: JoinKind::Anti, link }),
        // In WHERE unknown is as good as false; under NOT it is not.
        (ANY, false) => Some(Membership { kind: JoinKind::Semi, link }),
        (ANY, true) => return unsupported("NOT IN (subquery)"),
        _ => None,
    })
}

/// The operands of a top-level AND.
fn conjuncts(quals: Option<&Node>) -> Vec<&Node> {
    let Some(node) = quals else { return vec![] };
    match (node.label.as_str(), node.word("boolop"), node.nodes("args")) {
        ("BOOLEXPR", Ok(Some("and")), Ok(args)) => args.into_iter().flat_map(|arg| conjuncts(Some(arg))).collect(),
        _ => vec![node],
    }
}

/// The query mentions a column of a query around it.
fn reaches_out(query: &Node) -> bool {
    fn mentions(node: &Node, depth: i64) -> bool {
        let depth = depth + i64::from(node.label == "QUERY");
        let level = node.int("varlevelsup").or_else(|_| node.int("agglevelsup")).unwrap_or(0);
        level >= depth && level > 0 || node.fields.iter().any(|(_, value)| inside(value, depth))
    }
    fn inside(tree: &Tree, depth: i64) -> bool {
        match tree {
            Tree::Node(node) => mentions(node, depth),
            Tree::List(items) => items.iter().any(|item| inside(item, depth)),
            _ => false,
        }
    }
    mentions(query, 0)
}

/// FROM and WHERE only, so that membership is decided row by row.
fn is_plain(query: &Query<'_>) -> bool {
    query.unsupported.is_none()
        && !query.has_aggregates
        && !query.has_windows
        && query.set_operation.is_none()
        && query.limit.is_none()
        && query.offset.is_none()
}

impl ExprLowerer<'_, '_> {
    /// `(SELECT …)` as a value: only where it gives exactly one row whatever the data, and does not depend on the row
    /// around it.
    pub(super) fn scalar_subquery(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let what = match node.int("subLinkType")? {
            SCALAR => "scalar subquery",
            EXISTS => return unsupported("EXISTS outside a top-level condition of WHERE"),
            1 => return unsupported("ALL (subquery)"),
            ANY => return unsupported("IN (subquery) outside a top-level condition of WHERE"),
            3 => return unsupported("row comparison with a subquery"),
            6 => return unsupported("ARRAY(subquery)"),
            _ => return unsupported("subquery of this kind"),
        };
        let query = node.child("subselect")?;
        if reaches_out(query) {
            return unsupported("correlated scalar subquery");
        }
        let Some(frame) = self.frames.first().copied() else { return unsupported(what) };
        let plan = self.lowering.query(query, Some(frame.level))?.plan;
        if !gives_one_row(&plan) {
            return unsupported("scalar subquery that may give other than one row");
        }
        let Some(kind) = plan.columns.first().cloned() else { return unsupported(what) };
        // The default collation stands for "not bytewise": order is refused, equality works.
        let collation = if kind.collation == crate::Collation::Bytes { 0 } else { 100 };
        Ok(Typed { expr: self.parts.scalar(plan), kind, collation })
    }
}

fn gives_one_row(plan: &Plan) -> bool {
    match &plan.node {
        PlanNode::Aggregate { keys, .. } => keys.is_empty(),
        PlanNode::Project { input, .. } => gives_one_row(input),
        PlanNode::Values { rows } => rows.len() == 1,
        PlanNode::Join(join) => {
            join.kind == JoinKind::Inner
                && join.equal.is_empty()
                && join.residual.is_none()
                && gives_one_row(&join.left)
                && gives_one_row(&join.right)
        }
        _ => false,
    }
}
