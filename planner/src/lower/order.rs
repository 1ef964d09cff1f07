//! The end of a SELECT: output columns, DISTINCT, ORDER BY, LIMIT and OFFSET.

use super::error::LowerError;
use super::expr::{Columns, ExprLowerer, Typed};
use super::kinds::has_order;
use super::select::{filter, project};
use super::{Level, LoweredQuery, Lowering, Purpose, unsupported};
use crate::expr::Expr;
use crate::optimize::simplified;
use crate::plan::{Node as PlanNode, Plan, SortKey, WindowCall, WindowKind};
use crate::query::{Query, SortGroup};
use crate::tree::Node;
use crate::types::{ColumnType, oid};
use crate::value::Value;

/// The rows of a query, and what they are sorted by.
pub(super) struct OrderedRows {
    /// Columns that are carried, columns that are shown, and columns that only the keys mention.
    pub plan: Plan,
    pub keys: Vec<SortKey>,
    /// How many columns are carried.
    pub carried: usize,
    /// Of the shown columns.
    pub names: Vec<String>,
}

impl OrderedRows {
    /// Without the columns that only the keys mention.
    pub fn shown(self) -> LoweredQuery {
        let OrderedRows { mut plan, carried, names, .. } = self;
        let width = carried + names.len();
        if plan.columns.len() > width {
            let kept = plan.columns[..width].iter().cloned().enumerate();
            let kept = kept.map(|(i, kind)| (Expr::Column(i), kind)).collect();
            plan = project(plan, kept);
        }
        LoweredQuery { plan, names }
    }
}

impl Lowering<'_> {
    /// `targets` are the lowered select list over `plan`, hidden targets included.
    pub(super) fn finish(
        &mut self,
        plan: Plan,
        targets: Vec<Typed>,
        level: &Level<'_>,
    ) -> Result<OrderedRows, LowerError> {
        let query = level.query;
        let visible: Vec<usize> = (0..targets.len()).filter(|i| !query.targets[*i].junk).collect();
        let names = visible.iter().map(|i| query.targets[*i].name.unwrap_or("?column?").to_owned()).collect();
        let is_sort_key = |i: &usize| query.sort.iter().any(|item| item.target == query.targets[*i].reference);
        let hidden = (0..targets.len()).filter(|i| query.targets[*i].junk).filter(is_sort_key);
        let shown: Vec<usize> = visible.iter().copied().chain(hidden).collect();
        let column = |i: &usize| (targets[*i].expr.clone(), targets[*i].kind.clone());
        let carried = level.carried_columns();
        let kept = carried.iter().cloned().enumerate().map(|(at, kind)| (Expr::Column(at), kind));
        let mut plan = project(plan, kept.chain(shown.iter().map(column)).collect());
        let place = |i: usize| shown.iter().position(|shown| *shown == i).map(|at| Expr::Column(carried.len() + at));
        if query.distinct_on {
            plan = self.first_of_each(plan, carried.len(), &shown, &targets, query)?;
        } else if !query.distinct.is_empty() {
            for i in &shown {
                self.check_equality("DISTINCT", &targets[*i].kind, targets[*i].collation)?;
            }
            let columns = plan.columns.clone();
            plan = Plan { node: PlanNode::Distinct { input: Box::new(plan) }, columns };
        }
        let keys = self.sort_keys("ORDER BY", query, &query.sort, &targets, place)?;
        let limit = self.row_count(query.limit, "LIMIT", level)?;
        let offset = self.row_count(query.offset, "OFFSET", level)?;
        if self.purpose == Purpose::Maintain && keys.is_empty() && (limit.is_some() || offset.is_some()) {
            return unsupported("LIMIT without ORDER BY");
        }
        if query.with_ties {
            plan = self.first_with_ties(plan, carried.len(), keys.clone(), limit, offset)?;
        } else if level.carried.is_some() {
            plan = first_of_all(plan, carried.len(), keys.clone(), limit, offset)?;
        } else if !keys.is_empty() || limit.is_some() || offset.is_some() {
            let columns = plan.columns.clone();
            plan = Plan { node: PlanNode::Sort { input: Box::new(plan), keys: keys.clone(), limit, offset }, columns };
        }
        Ok(OrderedRows { plan, keys, carried: carried.len(), names })
    }

    /// DISTINCT ON: the first row, by ORDER BY, of each group of rows that agree in its expressions. Which of several
    /// first rows that tie is not settled, in Postgres either.
    fn first_of_each(
        &self,
        plan: Plan,
        carried: usize,
        shown: &[usize],
        targets: &[Typed],
        query: &Query<'_>,
    ) -> Result<Plan, LowerError> {
        let locate = |reference: usize| {
            let index = query.targets.iter().position(|target| target.reference == reference)?;
            let place = shown.iter().position(|shown| *shown == index)?;
            Some((index, Expr::Column(carried + place)))
        };
        let mut partition: Vec<Expr> = (0..carried).map(Expr::Column).collect();
        for item in &query.distinct {
            let Some((index, column)) = locate(item.target) else {
                return unsupported("DISTINCT ON without ORDER BY");
            };
            self.check_equality("DISTINCT ON", &targets[index].kind, targets[index].collation)?;
            partition.push(column);
        }
        let is_key = |item: &&SortGroup| query.distinct.iter().any(|key| key.target == item.target);
        let rest: Vec<SortGroup> = query.sort.iter().filter(|item| !is_key(item)).copied().collect();
        let all_keys = (0..shown.len()).all(|place| partition.contains(&Expr::Column(carried + place)));
        if rest.is_empty() && !all_keys {
            return unsupported("DISTINCT ON without ORDER BY");
        }
        let order = self.sort_keys("ORDER BY", query, &rest, targets, |i| {
            shown.iter().position(|shown| *shown == i).map(|at| Expr::Column(carried + at))
        })?;
        Ok(numbered_between(plan, partition, order, None, Some(1)))
    }

    /// ORDER BY items as keys; `locate` gives the expression of a target by its index in the select list.
    pub(super) fn sort_keys(
        &self,
        what: &str,
        query: &Query<'_>,
        items: &[SortGroup],
        targets: &[Typed],
        locate: impl Fn(usize) -> Option<Expr>,
    ) -> Result<Vec<SortKey>, LowerError> {
        let mut keys = Vec::with_capacity(items.len());
        for item in items {
            let index = query.targets.iter().position(|target| target.reference == item.target);
            let Some((index, expr)) = index.and_then(|i| locate(i).map(|expr| (i, expr))) else {
                return unsupported(format!("{what} of a column that is not there"));
            };
            keys.push(self.sort_key(what, item, &targets[index], expr)?);
        }
        Ok(keys)
    }

    /// One item as a key over `expr`, which has the type of `target`.
    pub(super) fn sort_key(
        &self,
        what: &str,
        item: &SortGroup,
        target: &Typed,
        expr: Expr,
    ) -> Result<SortKey, LowerError> {
        if !has_order(target.kind.oid) && !target.is_enum() {
            return unsupported(format!("{what} on type {}", self.type_name(target.kind.oid)));
        }
        self.check_order(what, target.collation)?;
        self.check_type_order(what, &target.kind)?;
        let descending = self.direction(what, item.sort_operator)?;
        let (expr, kind) = self.ordered(expr, &target.kind);
        Ok(SortKey { expr, kind, descending, nulls_first: item.nulls_first })
    }

    /// `<` or `>` of the type's default order.
    fn direction(&self, what: &str, operator: u32) -> Result<bool, LowerError> {
        let entry = self.catalog.operators.get(&operator);
        let entry = entry.ok_or(LowerError::Missing { kind: "operator", oid: operator })?;
        match (self.is_builtin(entry.function), entry.name.as_str()) {
            (true, "<") => Ok(false),
            (true, ">") => Ok(true),
            _ => unsupported(format!("{what} USING {}", entry.name)),
        }
    }

    fn is_builtin(&self, function: u32) -> bool {
        self.catalog.functions.get(&function).is_some_and(|entry| entry.schema == "pg_catalog")
    }

    fn row_count(&mut self, node: Option<&Node>, what: &str, level: &Level<'_>) -> Result<Option<Expr>, LowerError> {
        let Some(node) = node else { return Ok(None) };
        let columns = Columns::default();
        let mut lowerer = ExprLowerer::new(self, level.frames(&columns));
        let count = lowerer.expr(node)?.expr;
        if !lowerer.parts.scalars.is_empty() || !count.columns().is_empty() {
            return unsupported(format!("subquery in {what}"));
        }
        Ok(if count == Expr::Const(Value::Null) { None } else { Some(count) })
    }
}

/// ORDER BY … LIMIT … OFFSET within each of the carried rows, the first `carried` columns. Without a limit the order of a
/// subquery means nothing.
fn first_of_all(
    plan: Plan,
    carried: usize,
    keys: Vec<SortKey>,
    limit: Option<Expr>,
    offset: Option<Expr>,
) -> Result<Plan, LowerError> {
    let count = |expr: Option<Expr>| match expr.as_ref().map(simplified) {
        None => Ok(None),
        Some(Expr::Const(Value::Int8(count))) if count >= 0 => Ok(Some(count)),
        Some(_) => unsupported("LIMIT of a correlated subquery that is not a constant"),
    };
    let (limit, offset) = (count(limit)?, count(offset)?);
    if limit.is_none() && offset.is_none() {
        return Ok(plan);
    }
    if keys.is_empty() {
        return unsupported("LIMIT without ORDER BY in a correlated subquery");
    }
    let partition = (0..carried).map(Expr::Column).collect();
    let last = limit.map(|limit| limit.saturating_add(offset.unwrap_or(0)));
    Ok(numbered_between(plan, partition, keys, offset, last))
}

/// The rows whose number in their partition is above `after` and at most `last`.
fn numbered_between(
    plan: Plan,
    partition: Vec<Expr>,
    order: Vec<SortKey>,
    after: Option<i64>,
    last: Option<i64>,
) -> Plan {
    let bigint = ColumnType::new(oid::INT8);
    let kept: Vec<(Expr, ColumnType)> =
        plan.columns.iter().cloned().enumerate().map(|(at, kind)| (Expr::Column(at), kind)).collect();
    let columns = plan.columns.iter().cloned().chain([bigint.clone()]).collect();
    let number = Expr::Column(plan.columns.len());
    let functions = vec![WindowCall::plain(WindowKind::RowNumber, partition, order, bigint)];
    let numbered = Plan { node: PlanNode::Window { input: Box::new(plan), functions }, columns };
    let compare = |symbol: &str, bound: i64| Expr::call(symbol, vec![number.clone(), Expr::Const(Value::Int8(bound))]);
    let conditions = match (after, last) {
        (None, Some(1)) => vec![compare("int8eq", 1)],
        _ => {
            let after = after.map(|after| compare("int8gt", after));
            after.into_iter().chain(last.map(|last| compare("int8le", last))).collect()
        }
    };
    match Expr::conjunction(conditions) {
        Some(condition) => project(filter(numbered, condition), kept),
        None => project(numbered, kept),
    }
}
