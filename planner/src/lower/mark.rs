//! The truth of EXISTS, IN, `op ANY` and `op ALL` as a value: under OR, NOT and CASE, in ON and in the select list.
//!
//! For each row of the domain it is known whether any comparison is true (for ALL: false), and whether any is unknown.
//! No row at all makes ANY false and ALL true. A row compared with a subquery of one row is known in the same way.

use super::domain::Dependent;
use super::error::LowerError;
use super::expr::{ExprLowerer, Typed, boolean};
use super::parts::ScalarPart;
use super::scalar::single;
use super::select::{filter, project};
use super::sublink::{ALL, EXISTS, reaches_out};
use super::unsupported;
use crate::expr::Expr;
use crate::functions::costing;
use crate::optimize::{cannot_fail_itself, split_equalities};
use crate::plan::{AggregateCall, AggregateKind, Node as PlanNode, Plan};
use crate::tree::Node;
use crate::types::{ColumnType, oid};
use crate::value::Value;

/// Columns of the subquery stand this far behind those of the row around it while its comparison is looked at.
const LISTED: usize = 1 << 24;

impl ExprLowerer<'_, '_> {
    pub(super) fn mark(&mut self, link: &Node) -> Result<Typed, LowerError> {
        let query = link.child("subselect")?;
        match link.int("subLinkType")? {
            EXISTS if reaches_out(query) => self.exists_over_domain(query),
            EXISTS => self.exists(query),
            kind => {
                let Some(test) = link.optional("testexpr")? else { return unsupported("subquery of this kind") };
                if kind != ALL
                    && !reaches_out(query)
                    && let Some(listed) = self.listed(query, test)?
                {
                    return Ok(listed);
                }
                self.compared(query, test, kind == ALL)
            }
        }
    }

    /// Whether a query that depends on nothing has rows.
    fn exists(&mut self, query: &Node) -> Result<Typed, LowerError> {
        let Some(frame) = self.frames.first().copied() else { return unsupported("EXISTS here") };
        let plan = self.lowering.query(query, Some(frame.level))?.plan;
        let plan = grouped(plan, 0, vec![count(None)]);
        let some = compare("int8gt", Expr::Column(0), 0);
        let plan = project(plan, vec![(some, ColumnType::new(oid::BOOL))]);
        let part = ScalarPart { plan, domain: None, equal: vec![], value: 0, without: None };
        Ok(boolean(self.parts.scalar(part)))
    }

    fn exists_over_domain(&mut self, query: &Node) -> Result<Typed, LowerError> {
        let frames = self.frames.clone();
        let Dependent { plan, exprs } = self.lowering.dependent(query, &frames)?;
        let width = exprs.len();
        let plan = grouped(plan, width, vec![count(None)]);
        let part = ScalarPart { plan, domain: Some(exprs), equal: vec![], value: width, without: None };
        Ok(boolean(Expr::IsNotNull(Box::new(self.parts.scalar(part)))))
    }

    /// `x IN (SELECT y …)` over a list that is the same for all rows: looked up, not compared with each.
    fn listed(&mut self, query: &Node, test: &Node) -> Result<Option<Typed>, LowerError> {
        let Some(frame) = self.frames.first().copied() else { return unsupported("IN here") };
        let list = self.lowering.query(query, Some(frame.level))?.plan;
        let outputs = outputs(&list, 0, LISTED);
        let mut lowerer = ExprLowerer::new(self.lowering, self.frames.clone());
        lowerer.sublink_columns = outputs;
        let condition = lowerer.expr(test)?.expr;
        if !lowerer.parts.scalars.is_empty() {
            return unsupported("subquery in the tested value of IN");
        }
        let Some((tested, listed)) = split_equalities(vec![condition], LISTED).0.pop() else { return Ok(None) };
        // A cast of the listed value has another type: not known here.
        let Expr::Column(at) = listed else { return Ok(None) };
        let kind = list.columns[at].clone();
        let list = project(list, vec![(Expr::Column(at), kind.clone())]);
        let state = grouped(list.clone(), 0, vec![count(None), count(Some(Expr::IsNull(Box::new(Expr::Column(0)))))]);
        let (empty, nulls) = (compare("int8eq", Expr::Column(0), 0), compare("int8gt", Expr::Column(1), 0));
        let unknown = Expr::Case {
            branches: vec![(empty, Expr::Const(Value::Bool(false))), (nulls, Expr::Const(Value::Null))],
            otherwise: Box::new(Expr::Const(Value::Bool(true))),
        };
        // False for an empty list, NULL for one with a NULL in it, else true.
        let state = project(state, vec![(unknown, ColumnType::new(oid::BOOL))]);
        let state = ScalarPart { plan: state, domain: None, equal: vec![], value: 0, without: None };
        let found = grouped(list, 1, vec![count(None)]);
        let found = ScalarPart { plan: found, domain: None, equal: vec![(tested.clone(), 0)], value: 1, without: None };
        let found = Expr::IsNotNull(Box::new(self.parts.scalar(found)));
        let state = self.parts.scalar(state);
        let is_false = Expr::Not(Box::new(state.clone()));
        let open = Expr::Or(vec![Expr::IsNull(Box::new(tested)), Expr::IsNull(Box::new(state))]);
        let expr = Expr::Case {
            branches: vec![
                (found, Expr::Const(Value::Bool(true))),
                (is_false, Expr::Const(Value::Bool(false))),
                (open, Expr::Const(Value::Null)),
            ],
            otherwise: Box::new(Expr::Const(Value::Bool(false))),
        };
        Ok(Some(boolean(expr)))
    }

    /// `(a, b) < (SELECT x, y …)`: the comparison with the one row that there may be, NULL without one.
    pub(super) fn compared_row(&mut self, link: &Node) -> Result<Typed, LowerError> {
        let Some(test) = link.optional("testexpr")? else { return unsupported("subquery of this kind") };
        let query = link.child("subselect")?;
        let Compared { plan, exprs, comparison } = self.compared_rows(query, test)?;
        // Postgres compares with NULLs where there is no row, if that is known before the rows around it.
        if !reaches_out(query) && !is_sure(&comparison) {
            return unsupported("a row that is computed, compared with a subquery");
        }
        let width = exprs.len();
        let flag = ColumnType::new(oid::BOOL);
        let plan = grouped(
            with_keys(plan, width, vec![(comparison, flag.clone())]),
            width,
            vec![single(Expr::Column(width), &flag)],
        );
        let part = ScalarPart { plan, domain: Some(exprs), equal: vec![], value: width, without: None };
        Ok(boolean(self.parts.scalar(part)))
    }

    /// A comparison with the rows of a query, over the domain of what both mention.
    fn compared_rows(&mut self, query: &Node, test: &Node) -> Result<Compared, LowerError> {
        let frames = self.frames.clone();
        let domain = self.lowering.domain(&[query, test], &frames)?;
        let Dependent { plan, exprs } = self.lowering.over_domain(query, &domain, &frames)?;
        let inner = super::Lowering::domain_frames(&frames, &domain);
        let mut lowerer = ExprLowerer::new(self.lowering, inner);
        lowerer.sublink_columns = outputs(&plan, exprs.len(), 0);
        let comparison = lowerer.expr(test)?.expr;
        if !lowerer.parts.scalars.is_empty() {
            return unsupported("subquery in a value compared with a subquery");
        }
        Ok(Compared { plan, exprs, comparison })
    }

    /// Any comparison that decides.
    fn compared(&mut self, query: &Node, test: &Node, all: bool) -> Result<Typed, LowerError> {
        let Compared { plan, exprs, comparison } = self.compared_rows(query, test)?;
        let width = exprs.len();
        // What decides: a true one for ANY, a false one for ALL.
        let decisive = if all { Expr::Not(Box::new(comparison.clone())) } else { comparison.clone() };
        let flag = ColumnType::new(oid::BOOL);
        let plan = with_keys(plan, width, vec![(decisive, flag.clone())]);
        let value = Expr::Column(width);
        // Rows that decide nothing are left out: a row of the domain without any is decided by that.
        let certain_not =
            Expr::BooleanTest { arg: Box::new(value.clone()), test: crate::expr::BooleanTest::IsNotFalse };
        let plan = grouped(filter(plan, certain_not), width, vec![count(Some(value))]);
        let decided = compare("int8gt", Expr::Column(width), 0);
        let outcome = Expr::Case {
            branches: vec![(decided, Expr::Const(Value::Bool(!all)))],
            otherwise: Box::new(Expr::Const(Value::Null)),
        };
        let there = (Expr::Const(Value::Bool(true)), flag.clone());
        let plan = with_keys(plan, width, vec![(outcome, flag), there]);
        let without = Some((width + 1, Expr::Const(Value::Bool(all))));
        let part = ScalarPart { plan, domain: Some(exprs), equal: vec![], value: width, without };
        Ok(boolean(self.parts.scalar(part)))
    }
}

/// The columns of a subquery from `first` on, as the comparison sees them, moved up by `offset`.
fn outputs(plan: &Plan, first: usize, offset: usize) -> Vec<Typed> {
    let columns = plan.columns.iter().enumerate().skip(first);
    columns.map(|(at, kind)| Typed { expr: Expr::Column(at + offset), kind: kind.clone(), collation: 0 }).collect()
}

/// A comparison of rows in which nothing can fail.
fn is_sure(comparison: &Expr) -> bool {
    let itself = match comparison {
        Expr::Case { .. } => true,
        Expr::Call { function, .. } if *function == costing() => true,
        expr => cannot_fail_itself(expr),
    };
    itself && comparison.children().into_iter().all(is_sure)
}

/// A query over a domain, and a comparison over its columns.
struct Compared {
    plan: Plan,
    /// What the domain's columns are, with which the plan's begin.
    exprs: Vec<Expr>,
    comparison: Expr,
}

/// The first `keys` columns and others.
fn with_keys(plan: Plan, keys: usize, others: Vec<(Expr, ColumnType)>) -> Plan {
    let keys = plan.columns[..keys].iter().cloned().enumerate().map(|(at, kind)| (Expr::Column(at), kind));
    let columns = keys.chain(others).collect();
    project(plan, columns)
}

/// Groups by the first `keys` columns.
fn grouped(plan: Plan, keys: usize, aggregates: Vec<AggregateCall>) -> Plan {
    let kinds = plan.columns[..keys].iter().cloned();
    let columns = kinds.chain(aggregates.iter().map(|call| call.output.clone())).collect();
    let keys = (0..keys).map(Expr::Column).collect();
    Plan { node: PlanNode::Aggregate { input: Box::new(plan), keys, aggregates }, columns }
}

fn count(filter: Option<Expr>) -> AggregateCall {
    AggregateCall {
        kind: AggregateKind::CountRows,
        args: vec![],
        distinct: false,
        filter,
        order: vec![],
        input: None,
        output: ColumnType::new(oid::INT8),
    }
}

fn compare(symbol: &str, left: Expr, right: i64) -> Expr {
    Expr::call(symbol, vec![left, Expr::Const(Value::Int8(right))])
}
