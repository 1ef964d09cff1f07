//! One SELECT, clause by clause in Postgres' logical order.

use super::error::LowerError;
use super::expr::{Columns, ExprLowerer, Typed};
use super::order::OrderedRows;
use super::parts::{Parts, ScalarPart, WindowPart};
use super::set_returning::target_sets;
use super::turns::{asked, turns};
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
        let sets = self.parts.sets.iter_mut().flat_map(|set| &mut set.args);
        let targets = self.targets.iter_mut().map(|target| &mut target.expr);
        targets.chain(&mut self.having).chain(windows).chain(sets).collect()
    }
}

impl SelectList {
    /// These, and what subqueries mention of the row around them.
    pub fn all_exprs(&mut self) -> Vec<&mut Expr> {
        let windows = self.parts.windows.iter_mut().flat_map(WindowPart::exprs_mut);
        let sets = self.parts.sets.iter_mut().flat_map(|set| &mut set.args);
        let targets = self.targets.iter_mut().map(|target| &mut target.expr);
        let scalars = self.parts.scalars.iter_mut().flatten().flat_map(ScalarPart::outer_mut);
        targets.chain(&mut self.having).chain(windows).chain(sets).chain(scalars).collect()
    }
}

impl Lowering<'_> {
    pub(super) fn select(&mut self, level: &Level<'_>) -> Result<LoweredQuery, LowerError> {
        Ok(self.ordered_select(level)?.shown())
    }

    pub(super) fn ordered_select(&mut self, level: &Level<'_>) -> Result<OrderedRows, LowerError> {
        let query = level.query;
        if let Some(clause) = query.unsupported {
            return unsupported(clause);
        }
        let (mut plan, columns) = match query.set_operation {
            Some(root) => self.set_operation(root, level)?,
            None => {
                let (plan, columns) = self.join_all(level)?;
                (self.where_clause(plan, &columns, level)?, columns)
            }
        };
        let mut list = self.select_list(level, &columns)?;
        if query.has_aggregates {
            plan = self.aggregation(plan, &mut list, level)?;
        }
        if let Some(having) = list.having.take() {
            let mut conditions = having.into_conjuncts();
            let turns = turns(&conditions, &list.parts);
            plan = list.parts.join_scalars(plan, &mut conditions.iter_mut().collect::<Vec<_>>(), self)?;
            plan = asked(plan, conditions, &turns);
        }
        let (mut windows, mut sets) = (std::mem::take(&mut list.parts.windows), std::mem::take(&mut list.parts.sets));
        let targets = list.targets.iter_mut().map(|target| &mut target.expr);
        let parts = windows.iter_mut().flat_map(WindowPart::exprs_mut);
        let mut exprs: Vec<&mut Expr> =
            targets.chain(parts).chain(sets.iter_mut().flat_map(|set| &mut set.args)).collect();
        plan = list.parts.join_scalars(plan, &mut exprs, self)?;
        (list.parts.windows, list.parts.sets) = (windows, sets);
        if query.has_windows {
            plan = self.windows(plan, &mut list, level)?;
        }
        if query.has_target_sets && query.has_windows {
            return unsupported("set-returning function beside window functions");
        }
        if query.has_target_sets {
            plan = target_sets(plan, &mut list);
        }
        let targets = list.targets;
        self.finish(plan, targets, level)
    }

    fn select_list(&mut self, level: &Level<'_>, columns: &Columns) -> Result<SelectList, LowerError> {
        let mut lowerer = ExprLowerer::new(self, level.frames(columns));
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
