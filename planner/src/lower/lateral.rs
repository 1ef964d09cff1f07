//! Items of FROM that read the rows to their left: LATERAL, and functions of other items' columns.

use super::domain::Dependent;
use super::error::LowerError;
use super::expr::{Columns, ExprLowerer};
use super::from::{cross_join, join};
use super::select::{filter, project};
use super::sublink::{mentions_outer, reaches_out};
use super::{Level, Lowering, unsupported};
use crate::expr::Expr;
use crate::plan::{JoinKind, Node as PlanNode, Plan};
use crate::query::{FromItem, JoinType, Query, RangeKind};
use crate::tree::{Node, Tree};

/// Rows, and where the columns of range table entries stand in them.
type Rows = (Plan, Columns);

impl Lowering<'_> {
    /// `left` joined without condition with an item, which may read it.
    pub(super) fn beside(
        &mut self,
        left: Option<Rows>,
        item: &FromItem<'_>,
        level: &Level<'_>,
    ) -> Result<Rows, LowerError> {
        if !is_lateral(item, level) {
            let (right, right_columns) = self.item(item, level)?;
            return Ok(match left {
                None => (right, right_columns),
                Some((left, columns)) => {
                    let width = left.columns.len();
                    (cross_join(left, right), columns.concat(right_columns, width))
                }
            });
        }
        match item {
            FromItem::Range(varno) => {
                let left = left.unwrap_or_else(|| (one_row(), Columns::default()));
                self.lateral(left, *varno, level, None)
            }
            FromItem::Join { kind: JoinType::Right | JoinType::Full, .. } => {
                unsupported("LATERAL inside RIGHT or FULL JOIN")
            }
            FromItem::Join { kind, left: first, right, quals } => {
                let rows = self.beside(left, first, level)?;
                match (kind, &**right) {
                    (JoinType::Left, FromItem::Range(varno)) if is_lateral(right, level) => {
                        let always = Expr::Const(crate::Value::Bool(true));
                        self.lateral(rows, *varno, level, Some((*quals, always)))
                    }
                    (JoinType::Left, _) if is_lateral(right, level) => unsupported("LATERAL inside a nested join"),
                    (JoinType::Left, _) => {
                        let right = self.item(right, level)?;
                        self.joined(JoinKind::Left, rows, right, *quals, level, true)
                    }
                    _ => {
                        let (plan, columns) = self.beside(Some(rows), right, level)?;
                        let Some(quals) = quals else { return Ok((plan, columns)) };
                        let width = plan.columns.len();
                        let mut lowerer = ExprLowerer::new(self, level.frames(&columns));
                        let mut condition = lowerer.expr(quals)?.expr;
                        let mut parts = lowerer.parts;
                        let plan = filter(parts.join_scalars(plan, &mut [&mut condition], self)?, condition);
                        Ok((first_columns(plan, width), columns))
                    }
                }
            }
        }
    }

    /// A range table entry that reads the rows of `left`. `on`: LEFT JOIN's condition, and what it is where none is
    /// written.
    fn lateral(
        &mut self,
        left: Rows,
        varno: usize,
        level: &Level<'_>,
        on: Option<(Option<&Node>, Expr)>,
    ) -> Result<Rows, LowerError> {
        match level.query.range.get(varno.wrapping_sub(1)).map(|entry| &entry.kind) {
            Some(RangeKind::Functions { calls, ordinality }) => {
                let condition = match on {
                    None => None,
                    Some((None, always)) => Some(always),
                    Some((Some(node), _)) => {
                        let mut columns = left.1.clone();
                        let width: usize = calls.len() + usize::from(*ordinality);
                        for at in 0..width {
                            columns.insert(varno, at as i64 + 1, left.0.columns.len() + at);
                        }
                        let mut lowerer = ExprLowerer::new(self, level.frames(&columns));
                        let condition = lowerer.expr(node)?.expr;
                        if !lowerer.parts.scalars.is_empty() {
                            return unsupported("subquery in the condition of LEFT JOIN LATERAL");
                        }
                        Some(condition)
                    }
                };
                self.functions(calls, *ordinality, left, varno, level, condition)
            }
            Some(RangeKind::Subquery(node)) => match on {
                None => self.lateral_query(left, node, varno, level),
                Some((quals, _)) => self.left_lateral_query(left, node, varno, level, quals),
            },
            Some(RangeKind::Values { rows }) if on.is_none() => self.lateral_values(left, rows, varno, level),
            _ => unsupported("LATERAL of this kind"),
        }
    }

    fn lateral_query(
        &mut self,
        (left, columns): Rows,
        node: &Node,
        varno: usize,
        level: &Level<'_>,
    ) -> Result<Rows, LowerError> {
        let width = left.columns.len();
        if is_row_by_row(&Query::read(node)?) {
            // Row by row: the left rows themselves are carried through it.
            let outer = std::iter::once(columns.clone()).chain(level.outer.iter().cloned()).collect();
            let plan = self.carrying(node, level, outer, left)?;
            return Ok((plan.clone(), numbered(columns, varno, width, plan.columns.len() - width)));
        }
        let frames = level.frames(&columns);
        let Dependent { plan, exprs } = self.dependent(node, &frames)?;
        let (right, pairs) = self.resolved(plan, &exprs, &left);
        let own = right.columns.len() - exprs.len();
        let plan = with_pairs(join(JoinKind::Inner, left, right, vec![]), pairs);
        Ok((plan, numbered(columns, varno, width + exprs.len(), own)))
    }

    fn left_lateral_query(
        &mut self,
        (left, columns): Rows,
        node: &Node,
        varno: usize,
        level: &Level<'_>,
        quals: Option<&Node>,
    ) -> Result<Rows, LowerError> {
        let width = left.columns.len();
        let frames = level.frames(&columns);
        let Dependent { plan, exprs } = self.dependent(node, &frames)?;
        let (right, pairs) = self.resolved(plan, &exprs, &left);
        let own = right.columns.len() - exprs.len();
        let columns = numbered(columns.clone(), varno, width + exprs.len(), own);
        let mut conditions = Vec::new();
        if let Some(quals) = quals {
            let mut lowerer = ExprLowerer::new(self, level.frames(&columns));
            conditions = lowerer.expr(quals)?.expr.into_conjuncts();
            if !lowerer.parts.scalars.is_empty() {
                return unsupported("subquery in the condition of LEFT JOIN LATERAL");
            }
        }
        Ok((with_pairs(join(JoinKind::Left, left, right, conditions), pairs), columns))
    }

    /// One branch per row of VALUES.
    fn lateral_values(
        &mut self,
        (left, columns): Rows,
        rows: &[Tree],
        varno: usize,
        level: &Level<'_>,
    ) -> Result<Rows, LowerError> {
        let width = left.columns.len();
        let mut inputs = Vec::with_capacity(rows.len());
        for row in rows {
            let Tree::List(row) = row else { return unsupported("VALUES of an unknown form") };
            let mut lowerer = ExprLowerer::new(self, level.frames(&columns));
            let row = lowerer.exprs(row)?;
            if !lowerer.parts.scalars.is_empty() {
                return unsupported("subquery in VALUES");
            }
            let kept = left.columns.iter().cloned().enumerate().map(|(at, kind)| (Expr::Column(at), kind));
            let own = row.into_iter().map(|value| (value.expr, value.kind));
            inputs.push(project(left.clone(), kept.chain(own).collect()));
        }
        let Some(kinds) = inputs.first().map(|input: &Plan| input.columns.clone()) else {
            return unsupported("VALUES of an unknown form");
        };
        let differs = |input: &Plan| input.columns.iter().zip(&kinds).any(|(own, kind)| own.oid != kind.oid);
        if inputs.iter().any(|input| input.columns.len() != kinds.len() || differs(input)) {
            return unsupported("VALUES of mixed types");
        }
        let own = kinds.len() - width;
        let plan = Plan { node: PlanNode::UnionAll { inputs }, columns: kinds };
        Ok((plan, numbered(columns, varno, width, own)))
    }
}

/// The item reads rows outside itself.
pub(super) fn is_lateral(item: &FromItem<'_>, level: &Level<'_>) -> bool {
    match item {
        FromItem::Join { left, right, quals, .. } => {
            is_lateral(left, level) || is_lateral(right, level) || quals.is_some_and(|quals| mentions_outer(quals, 1))
        }
        FromItem::Range(varno) => match level.query.range.get(varno.wrapping_sub(1)).map(|entry| &entry.kind) {
            Some(RangeKind::Subquery(query)) => reaches_out(query),
            Some(RangeKind::Functions { calls, .. }) => calls.iter().any(|(node, _)| reads_columns(node)),
            Some(RangeKind::Values { rows }) => rows.iter().any(any_column),
            _ => false,
        },
    }
}

/// FROM, WHERE and a select list: what it gives for one row does not depend on others.
fn is_row_by_row(query: &Query<'_>) -> bool {
    query.unsupported.is_none()
        && !query.has_aggregates
        && !query.has_windows
        && query.set_operation.is_none()
        && query.distinct.is_empty()
        && query.limit.is_none()
        && query.offset.is_none()
}

fn reads_columns(node: &Node) -> bool {
    node.label == "VAR" || node.fields.iter().any(|(_, value)| any_column(value))
}

fn any_column(tree: &Tree) -> bool {
    match tree {
        Tree::Node(node) => reads_columns(node),
        Tree::List(items) => items.iter().any(any_column),
        _ => false,
    }
}

/// FROM without items.
pub(super) fn one_row() -> Plan {
    Plan { node: PlanNode::Values { rows: vec![vec![]] }, columns: vec![] }
}

fn numbered(mut columns: Columns, varno: usize, first: usize, count: usize) -> Columns {
    for at in 0..count {
        columns.insert(varno, at as i64 + 1, first + at);
    }
    columns
}

fn with_pairs(mut plan: Plan, pairs: Vec<(Expr, Expr)>) -> Plan {
    if let PlanNode::Join(join) = &mut plan.node {
        join.equal.extend(pairs);
    }
    plan
}

pub(super) fn first_columns(plan: Plan, count: usize) -> Plan {
    if plan.columns.len() == count {
        return plan;
    }
    let kept = plan.columns[..count].iter().cloned().enumerate();
    let kept = kept.map(|(at, kind)| (Expr::Column(at), kind)).collect();
    project(plan, kept)
}
