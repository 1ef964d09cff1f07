//! The FROM clause: joins of relations, subqueries, WITH queries and VALUES.

use super::error::LowerError;
use super::expr::{Columns, ExprLowerer, Frame};
use super::{Level, Lowering, unsupported};
use crate::expr::Expr;
use crate::optimize::split_equalities;
use crate::plan::{Join, JoinKind, Node as PlanNode, Plan};
use crate::query::{FromItem, JoinType, RangeKind};
use crate::tree::Tree;

impl Lowering<'_> {
    /// All items of the FROM list, joined without condition. An empty list is one row without columns.
    pub(super) fn join_all(&mut self, level: &Level<'_>) -> Result<(Plan, Columns), LowerError> {
        let mut joined: Option<(Plan, Columns)> = None;
        for item in &level.query.from {
            let (right, right_columns) = self.item(item, level)?;
            joined = Some(match joined {
                None => (right, right_columns),
                Some((left, columns)) => {
                    let width = left.columns.len();
                    (cross_join(left, right), columns.concat(right_columns, width))
                }
            });
        }
        Ok(joined.unwrap_or_else(|| {
            (Plan { node: PlanNode::Values { rows: vec![vec![]] }, columns: vec![] }, Columns::default())
        }))
    }

    fn item(&mut self, item: &FromItem<'_>, level: &Level<'_>) -> Result<(Plan, Columns), LowerError> {
        let (kind, left, right, quals) = match item {
            FromItem::Range(varno) => return self.range_entry(*varno, level),
            FromItem::Join { kind, left, right, quals } => (*kind, left, right, *quals),
        };
        let (left, left_columns) = self.item(left, level)?;
        let (right, right_columns) = self.item(right, level)?;
        let width = left.columns.len();
        let columns = left_columns.concat(right_columns, width);
        let condition = match quals {
            None => None,
            Some(node) => {
                let mut lowerer = ExprLowerer::new(self, vec![Frame { level, columns: &columns }]);
                let condition = lowerer.expr(node)?.expr;
                if !lowerer.parts.scalars.is_empty() {
                    return unsupported("subquery in a join condition");
                }
                Some(condition)
            }
        };
        let kind = match kind {
            JoinType::Inner => JoinKind::Inner,
            JoinType::Left => JoinKind::Left,
            JoinType::Right => JoinKind::Right,
            JoinType::Full => JoinKind::Full,
        };
        Ok((join(kind, left, right, condition.map(Expr::into_conjuncts).unwrap_or_default()), columns))
    }

    fn range_entry(&mut self, varno: usize, level: &Level<'_>) -> Result<(Plan, Columns), LowerError> {
        let Some(entry) = varno.checked_sub(1).and_then(|index| level.query.range.get(index)) else {
            return unsupported("a range table entry that is not there");
        };
        match &entry.kind {
            RangeKind::Relation { sampled: true, .. } => unsupported("TABLESAMPLE"),
            RangeKind::Relation { oid, .. } => self.relation(*oid, varno),
            RangeKind::Subquery(query) => Ok(numbered(self.query(query, Some(level))?.plan, varno)),
            RangeKind::Cte { recursive: true, .. } => unsupported("WITH RECURSIVE"),
            RangeKind::Cte { name, levels_up, .. } => {
                let mut home = level;
                for _ in 0..*levels_up {
                    match home.parent {
                        Some(parent) => home = parent,
                        None => return unsupported(format!("WITH query {name} out of reach")),
                    }
                }
                let Some(cte) = home.query.ctes.iter().find(|cte| cte.name == *name) else {
                    return unsupported(format!("WITH query {name} out of reach"));
                };
                if cte.recursive {
                    return unsupported("WITH RECURSIVE");
                }
                // Inlined at every use; Postgres evaluates it once, which differs only for volatile functions.
                Ok(numbered(self.query(cte.query, Some(home))?.plan, varno))
            }
            RangeKind::Values { rows } => self.values(rows, varno, level),
            RangeKind::Join { .. } | RangeKind::Group { .. } => unsupported("a join named as a FROM item"),
            RangeKind::Other(what) => unsupported(*what),
        }
    }

    fn values(&mut self, rows: &[Tree], varno: usize, level: &Level<'_>) -> Result<(Plan, Columns), LowerError> {
        let columns = Columns::default();
        let mut kinds = Vec::new();
        let mut lowered = Vec::with_capacity(rows.len());
        for row in rows {
            let Tree::List(row) = row else { return unsupported("VALUES of an unknown form") };
            let mut lowerer = ExprLowerer::new(self, vec![Frame { level, columns: &columns }]);
            let row = lowerer.exprs(row)?;
            if !lowerer.parts.scalars.is_empty() {
                return unsupported("subquery in VALUES");
            }
            if kinds.is_empty() {
                kinds = row.iter().map(|value| value.kind.clone()).collect();
            }
            if kinds.len() != row.len() || kinds.iter().zip(&row).any(|(kind, value)| kind.oid != value.kind.oid) {
                return unsupported("VALUES of mixed types");
            }
            lowered.push(row.into_iter().map(|value| value.expr).collect());
        }
        Ok(numbered(Plan { node: PlanNode::Values { rows: lowered }, columns: kinds }, varno))
    }
}

/// Columns of a subquery are numbered from 1 in order.
fn numbered(plan: Plan, varno: usize) -> (Plan, Columns) {
    let mut columns = Columns::default();
    for position in 0..plan.columns.len() {
        columns.insert(varno, position as i64 + 1, position);
    }
    (plan, columns)
}

/// A join on the AND of `conjuncts` over left columns, then right columns.
pub(super) fn join(kind: JoinKind, left: Plan, right: Plan, conjuncts: Vec<Expr>) -> Plan {
    let columns = match kind {
        JoinKind::Semi | JoinKind::Anti => left.columns.clone(),
        _ => left.columns.iter().chain(&right.columns).cloned().collect(),
    };
    let (equal, residual) = split_equalities(conjuncts, left.columns.len());
    let residual = Expr::conjunction(residual);
    Plan { node: PlanNode::Join(Box::new(Join { kind, left, right, equal, residual })), columns }
}

pub(super) fn cross_join(left: Plan, right: Plan) -> Plan {
    join(JoinKind::Inner, left, right, vec![])
}
