//! Subqueries as conditions of WHERE. EXISTS, IN and `op ANY` become semi-joins, their negations and `op ALL`
//! anti-joins on what must not be found: a partner for which the comparison is true or unknown.

use super::error::LowerError;
use super::expr::{Columns, ExprLowerer, Frame, Typed};
use super::from::join;
use super::select::{filter, project};
use super::turns::{asked, hands_over_what_may_fail, turns};
use super::{Level, Lowering, unsupported};
use crate::expr::{BooleanTest, Expr};
use crate::optimize::{not_null, split_equalities};
use crate::plan::{Join, JoinKind, Node as PlanNode, Plan};
use crate::query::Query;
use crate::tree::{Node, Tree};
use crate::types::{ColumnType, oid};
use crate::value::Value;

/// `SubLinkType` of `src/include/nodes/primnodes.h`.
pub(super) const EXISTS: i64 = 0;
pub(super) const ALL: i64 = 1;
pub(super) const ANY: i64 = 2;
pub(super) const ARRAY: i64 = 6;

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
        let all = conjuncts(level.query.quals);
        for node in &all {
            match membership(node)? {
                Some(subquery) if all.len() > 1 && self.has_its_turn(&subquery, columns, level) => {
                    conditions.push(*node)
                }
                Some(subquery) => subqueries.push(subquery),
                None => conditions.push(*node),
            }
        }
        let mut lowerer = ExprLowerer::new(self, level.frames(columns));
        let mut predicates = Vec::new();
        for node in conditions {
            predicates.push(lowerer.expr(node)?.expr);
        }
        let mut parts = lowerer.parts;
        let turns = turns(&predicates, &parts);
        plan = parts.join_scalars(plan, &mut predicates.iter_mut().collect::<Vec<_>>(), self)?;
        plan = asked(plan, predicates, &turns);
        for subquery in subqueries {
            plan = match self.membership_join(plan.clone(), columns, &subquery, level) {
                Err(LowerError::Unsupported(_)) => self.membership_filter(plan, columns, &subquery, level)?,
                joined => joined?,
            };
        }
        Ok(plan)
    }

    /// Postgres makes no join of it, and what it compares may fail: when it is asked matters.
    fn has_its_turn(&mut self, subquery: &Membership<'_>, columns: &Columns, level: &Level<'_>) -> bool {
        if subquery.partner.is_none() {
            return false;
        }
        let mut lowerer = ExprLowerer::new(self, level.frames(columns));
        let condition = lowerer.expr(subquery.condition);
        condition.is_ok_and(|condition| hands_over_what_may_fail(&condition.expr, &lowerer.parts))
    }

    fn membership_join(
        &mut self,
        left: Plan,
        columns: &Columns,
        subquery: &Membership<'_>,
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
            let frames = level.frames(columns);
            let conditions = self.test_conditions(subquery.link, frames, outputs)?;
            if subquery.partner == Some(BooleanTest::IsNotFalse)
                && let [condition] = &conditions[..]
                && let Some((tested, listed)) = split_equalities(vec![condition.clone()], width).0.pop()
            {
                return Ok(self.not_in(left, right, tested, listed));
            }
            return Ok(join(subquery.kind, left, right, subquery.partners(conditions)));
        }
        // A correlated one is taken apart: its FROM becomes the right side, its WHERE the join's condition.
        let query = Query::read(node)?;
        if !is_plain(&query) {
            return unsupported("correlated subquery with grouping, set operation or LIMIT");
        }
        let inner = Level::new(&query, Some(level));
        let (mut right, inner_columns) = self.join_all(&inner)?;
        let shifted = inner_columns.shifted(width);
        let mut frames = vec![Frame { level: &inner, columns: &shifted }];
        frames.extend(level.frames(columns));
        let mut lowerer = ExprLowerer::new(self, frames.clone());
        let mut conditions = Vec::new();
        for node in conjuncts(query.quals) {
            conditions.push(lowerer.expr(node)?.expr);
        }
        let mut outputs = Vec::new();
        if matches!(subquery.link.int("subLinkType")?, ANY | ALL) {
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
        conditions.extend(subquery.partners(self.test_conditions(subquery.link, frames[1..].to_vec(), outputs)?));
        Ok(join(subquery.kind, left, right, conditions))
    }

    /// The same as a condition on the truth of the comparison, for subqueries that are no join's side.
    fn membership_filter(
        &mut self,
        plan: Plan,
        columns: &Columns,
        subquery: &Membership<'_>,
        level: &Level<'_>,
    ) -> Result<Plan, LowerError> {
        let mut lowerer = ExprLowerer::new(self, level.frames(columns));
        let mut condition = lowerer.expr(subquery.condition)?.expr;
        let mut parts = lowerer.parts;
        let plan = parts.join_scalars(plan, &mut [&mut condition], self)?;
        Ok(filter(plan, condition))
    }

    /// `tested NOT IN (right)` over one column. Three questions that each look little up: is the value in the list; is
    /// there a NULL in the list, so that nothing is certainly not in it; is the value NULL and the list not empty.
    fn not_in(&self, left: Plan, right: Plan, tested: Expr, listed: Expr) -> Plan {
        let is_certain = |expr: &Expr, plan: &Plan| match expr {
            Expr::Column(column) => not_null(plan, self.catalog).contains(column),
            _ => false,
        };
        let any = |plan: Plan| {
            let flag = ColumnType::new(oid::BOOL);
            let some = project(plan, vec![(Expr::Const(Value::Bool(true)), flag.clone())]);
            Plan { node: PlanNode::Distinct { input: Box::new(some) }, columns: vec![flag] }
        };
        let without_nulls = is_certain(&listed, &right);
        let certain = is_certain(&tested, &left);
        let columns = left.columns.clone();
        let equal = vec![(tested.clone(), listed.clone())];
        let found = Join { kind: JoinKind::Anti, left, right: right.clone(), equal, residual: None };
        let mut plan = Plan { node: PlanNode::Join(Box::new(found)), columns };
        if !without_nulls {
            let nulls = filter(right.clone(), Expr::IsNull(Box::new(listed)));
            plan = join(JoinKind::Anti, plan, any(nulls), vec![]);
        }
        if !certain {
            plan = join(JoinKind::Anti, plan, any(right), vec![Expr::IsNull(Box::new(tested))]);
        }
        plan
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
    /// What the comparison must be for a row of the subquery to count; None for true.
    partner: Option<BooleanTest>,
    link: &'t Node,
    /// The whole condition.
    condition: &'t Node,
}

impl Membership<'_> {
    /// The join's conditions, from those of the comparison.
    fn partners(&self, conditions: Vec<Expr>) -> Vec<Expr> {
        match (self.partner, Expr::conjunction(conditions.clone())) {
            (Some(test), Some(comparison)) => vec![Expr::BooleanTest { arg: Box::new(comparison), test }],
            _ => conditions,
        }
    }
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
    // In WHERE unknown is as good as false; under NOT it is not.
    let (kind, partner) = match (link.int("subLinkType")?, negated) {
        (EXISTS | ANY, false) => (JoinKind::Semi, None),
        (EXISTS, true) => (JoinKind::Anti, None),
        (ANY, true) => (JoinKind::Anti, Some(BooleanTest::IsNotFalse)),
        (ALL, false) => (JoinKind::Anti, Some(BooleanTest::IsNotTrue)),
        (ALL, true) => (JoinKind::Semi, Some(BooleanTest::IsFalse)),
        _ => return Ok(None),
    };
    Ok(Some(Membership { kind, partner, link, condition: node }))
}

/// The operands of a top-level AND.
pub(super) fn conjuncts(quals: Option<&Node>) -> Vec<&Node> {
    let Some(node) = quals else { return vec![] };
    match (node.label.as_str(), node.word("boolop"), node.nodes("args")) {
        ("BOOLEXPR", Ok(Some("and")), Ok(args)) => args.into_iter().flat_map(|arg| conjuncts(Some(arg))).collect(),
        _ => vec![node],
    }
}

/// The query mentions a column of a query around it.
pub(super) fn reaches_out(query: &Node) -> bool {
    mentions_outer(query, 0)
}

/// A tree inside `depth` queries mentions a column of a query around these.
pub(super) fn mentions_outer(node: &Node, depth: i64) -> bool {
    fn inside(tree: &Tree, depth: i64) -> bool {
        match tree {
            Tree::Node(node) => mentions_outer(node, depth),
            Tree::List(items) => items.iter().any(|item| inside(item, depth)),
            _ => false,
        }
    }
    let depth = depth + i64::from(node.label == "QUERY");
    let level = node.int("varlevelsup").or_else(|_| node.int("agglevelsup")).unwrap_or(0);
    level >= depth && level > 0 || node.fields.iter().any(|(_, value)| inside(value, depth))
}

/// FROM and WHERE only, so that membership is decided row by row.
fn is_plain(query: &Query<'_>) -> bool {
    query.unsupported.is_none()
        && !query.has_aggregates
        && !query.has_windows
        && !query.has_target_sets
        && query.set_operation.is_none()
        && query.limit.is_none()
        && query.offset.is_none()
}
