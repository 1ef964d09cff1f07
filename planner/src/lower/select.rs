//! One SELECT, clause by clause in Postgres' logical order.

use super::error::LowerError;
use super::expr::{Columns, ExprLowerer, Frame, Typed};
use super::parts::{Parts, WindowPart};
use super::{Level, LoweredQuery, Lowering, unsupported};
use crate::expr::Expr;
use crate::plan::{Node as PlanNode, Plan};

/// The select list (with the hidden targets that sorting and grouping refer to) and HAVING, before the clauses that
/// compute their parts.
pub(super) struct SelectList {
    pub targets: Vec<Typed>,
    pub having: Option<Expr>,
    pub parts: Parts,
}

impl SelectList {
    /// Everything that is evaluated over the present plan.
    pub fn exprs(&mut self) -> Vec<&mut Expr> {
        let windows = self.parts.windows.iter_mut().flat_map(WindowPart::exprs_mut);
        self.targets.iter_mut().map(|target| &mut target.expr).chain(&mut self.having).chain(windows).collect()
    }
}

impl Lowering<'_> {
    pub(super) fn select(&mut self, level: &Level<'_>) -> Result<LoweredQuery, LowerError> {
        let query = level.query;
        if let Some(clause) = query.unsupported {
            return unsupported(clause);
        }
        let (plan, columns) = match query.set_operation {
            Some(root) => self.set_operation(root, level)?,
            None => {
                let (plan, columns) = self.join_all(level)?;
                (self.where_clause(plan, &columns, level)?, columns)
            }
        };
        let mut list = self.select_list(level, &columns)?;
        let mut plan = plan;
        if query.has_aggregates {
            plan = self.aggregation(plan, &mut list, query)?;
        }
        if let Some(mut having) = list.having.take() {
            plan = list.parts.join_scalars(plan, &mut [&mut having])?;
            plan = filter(plan, having);
        }
        let mut windows = std::mem::take(&mut list.parts.windows);
        let targets = list.targets.iter_mut().map(|target| &mut target.expr);
        let mut exprs: Vec<&mut Expr> = targets.chain(windows.iter_mut().flat_map(WindowPart::exprs_mut)).collect();
        plan = list.parts.join_scalars(plan, &mut exprs)?;
        list.parts.windows = windows;
        if query.has_windows {
            plan = self.windows(plan, &mut list, level)?;
        }
        let targets = list.targets;
        self.finish(plan, targets, level)
    }

    fn select_list(&mut self, level: &Level<'_>, columns: &Columns) -> Result<SelectList, LowerError> {
        let mut lowerer = ExprLowerer::new(self, vec![Frame { level, columns }]);
        let targets =
            level.query.targets.iter().map(|target| lowerer.expr(target.expr)).collect::<Result<Vec<_>, _>>()?;
        let having = level.query.having.map(|node| lowerer.expr(node)).transpose()?.map(|having| having.expr);
        Ok(SelectList { targets, having, parts: lowerer.parts })
    }
}

pub(super) fn filter(plan: Plan, predicate: Expr) -> Plan {
    let columns = plan.columns.clone();
    Plan { node: PlanNode::Filter { input: Box::new(plan), predicate }, columns }
}

pub(super) fn project(plan: Plan, targets: Vec<(Expr, crate::types::ColumnType)>) -> Plan {
    let (exprs, columns) = targets.into_iter().unzip();
    Plan { node: PlanNode::Project { input: Box::new(plan), exprs }, columns }
}
