//! The FROM clause: joins of relations, subqueries, WITH queries and VALUES.

use super::error::LowerError;
use super::expr::{Columns, ExprLowerer, Frame};
use super::lateral::one_row;
use super::parts::ScalarPart;
use super::select::project;
use super::{Level, Lowering, fenced, unsupported};
use crate::expr::Expr;
use crate::optimize::{is_sound, split_equalities};
use crate::plan::{Join, JoinKind, Node as PlanNode, Plan};
use crate::query::{FromItem, JoinType, RangeKind};
use crate::tree::{Node, Tree};

impl Lowering<'_> {
    /// All items of the FROM list, joined without condition, behind what is carried. An empty list is one row without
    /// columns.
    pub(super) fn join_all(&mut self, level: &Level<'_>) -> Result<(Plan, Columns), LowerError> {
        let mut joined = level.carried.clone().map(|plan| (plan, Columns::default()));
        for item in &level.query.from {
            joined = Some(self.beside(joined, item, level)?);
        }
        Ok(joined.unwrap_or_else(|| (one_row(), Columns::default())))
    }

    /// An item that reads nothing outside itself.
    pub(super) fn item(&mut self, item: &FromItem<'_>, level: &Level<'_>) -> Result<(Plan, Columns), LowerError> {
        let (kind, left, right, quals) = match item {
            FromItem::Range(varno) => return self.range_entry(*varno, level),
            FromItem::Join { kind, left, right, quals } => (*kind, left, right, *quals),
        };
        let left = self.item(left, level)?;
        let right = self.item(right, level)?;
        let kind = match kind {
            JoinType::Inner => JoinKind::Inner,
            JoinType::Left => JoinKind::Left,
            JoinType::Right => JoinKind::Right,
            JoinType::Full => JoinKind::Full,
        };
        self.joined(kind, left, right, quals, level, false)
    }

    /// Two items joined on a condition. `carried`: the left one begins with the carried columns.
    pub(super) fn joined(
        &mut self,
        kind: JoinKind,
        (left, left_columns): (Plan, Columns),
        (right, right_columns): (Plan, Columns),
        quals: Option<&Node>,
        level: &Level<'_>,
        carried: bool,
    ) -> Result<(Plan, Columns), LowerError> {
        let width = left.columns.len();
        let columns = left_columns.clone().concat(right_columns.clone(), width);
        let Some(node) = quals else { return Ok((join(kind, left, right, vec![]), columns)) };
        let frames = if carried { level.frames(&columns) } else { vec![Frame { level, columns: &columns }] };
        let mut lowerer = ExprLowerer::new(self, frames);
        let condition = lowerer.expr(node)?.expr;
        if lowerer.parts.scalars.is_empty() {
            return Ok((join(kind, left, right, condition.into_conjuncts()), columns));
        }
        self.joined_on_subquery(kind, (left, left_columns), (right, right_columns), node, level)
    }

    /// A condition with subqueries: their values are put beside the rows of the side they depend on.
    fn joined_on_subquery(
        &mut self,
        kind: JoinKind,
        (left, left_columns): (Plan, Columns),
        (right, right_columns): (Plan, Columns),
        node: &Node,
        level: &Level<'_>,
    ) -> Result<(Plan, Columns), LowerError> {
        let (left_width, right_width) = (left.columns.len(), right.columns.len());
        let shown = left_columns.clone().concat(right_columns.clone(), left_width);
        for is_left in [false, true] {
            // The side in question stands first, the other one far behind it.
            let (own, other) = if is_left { (&left_columns, &right_columns) } else { (&right_columns, &left_columns) };
            let columns = own.clone().concat(other.clone(), OTHER_SIDE);
            let mut lowerer = ExprLowerer::new(self, vec![Frame { level, columns: &columns }]);
            let mut condition = lowerer.expr(node)?.expr;
            let mut parts = lowerer.parts;
            let mentioned = parts.scalars.iter().flatten().flat_map(ScalarPart::outer).flat_map(Expr::columns);
            if mentioned.into_iter().any(|column| column >= OTHER_SIDE) {
                continue;
            }
            let side = if is_left { left.clone() } else { right.clone() };
            let side = parts.join_scalars(side, &mut [&mut condition], self)?;
            let added = side.columns.len();
            let condition = condition.map_columns(&mut |column| match (is_left, column >= OTHER_SIDE) {
                (true, false) => column,
                (true, true) => added + column - OTHER_SIDE,
                (false, false) => left_width + column,
                (false, true) => column - OTHER_SIDE,
            });
            let (first, second) = if is_left { (side, right) } else { (left, side) };
            let joined = join(kind, first, second, condition.into_conjuncts());
            let second_at = if is_left { added } else { left_width };
            let places = (0..left_width).chain(second_at..second_at + right_width);
            let kept = places.map(|at| (Expr::Column(at), joined.columns[at].clone())).collect();
            return Ok((project(joined, kept), shown));
        }
        unsupported("subquery in a join condition that depends on both sides")
    }

    fn range_entry(&mut self, varno: usize, level: &Level<'_>) -> Result<(Plan, Columns), LowerError> {
        let Some(entry) = varno.checked_sub(1).and_then(|index| level.query.range.get(index)) else {
            return unsupported("a range table entry that is not there");
        };
        match &entry.kind {
            RangeKind::Relation { sampled: true, .. } => unsupported("TABLESAMPLE"),
            RangeKind::Relation { oid, with_children, .. } => self.relation(*oid, *with_children, varno),
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
                // Put in place at every use. Where Postgres evaluates it by itself, that shows in the errors which it raises.
                let plan = self.query(cte.query, Some(home))?.plan;
                Ok(numbered(if cte.is_apart && !is_sound(&plan) { fenced(plan) } else { plan }, varno))
            }
            RangeKind::Values { rows } => self.values(rows, varno, level),
            RangeKind::Functions { calls, ordinality } => {
                self.functions(calls, *ordinality, (one_row(), Columns::default()), varno, level, None)
            }
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

/// Where the columns of the other side of a join stand while subqueries in its condition are looked at: farther than any
/// row reaches, nearer than the placeholders of [`super::parts`].
const OTHER_SIDE: usize = 1 << 24;

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
