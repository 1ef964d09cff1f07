//! Aggregates, GROUP BY and HAVING.

use super::error::{LowerError, Unsupported};
use super::expr::{ExprLowerer, Typed};
use super::grouping::{GroupedBy, grouping_sets};
use super::kinds::{Representation, has_order, representation};
use super::parts::Reference;
use super::select::SelectList;
use super::{Lowering, unsupported};
use crate::catalog::FunctionEntry;
use crate::expr::Expr;
use crate::plan::{AggregateCall, AggregateKind, Node as PlanNode, Plan, SortKey};
use crate::query::{Query, SortGroup};
use crate::tree::Node;
use crate::types::ColumnType;
use crate::value::{self, array_type, element_type};

impl ExprLowerer<'_, '_> {
    pub(super) fn aggregate(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let entry = self.lowering.function_entry(node.oid("aggfnoid")?)?;
        let signature = format!("aggregate {}", self.lowering.signature(entry));
        if node.index("agglevelsup")? != 0 {
            return unsupported("aggregate of an outer query");
        }
        if node.word("aggkind")? != Some("n") || !node.list("aggdirectargs")?.is_empty() {
            return unsupported(format!("ordered-set {signature}"));
        }
        // Hidden targets are there to be sorted by.
        let mut targets = Vec::new();
        for target in node.nodes("args")? {
            targets.push((
                target.index("ressortgroupref")?,
                self.expr(target.child("expr")?)?,
                target.bool("resjunk")?,
            ));
        }
        let args: Vec<Typed> = targets.iter().filter(|(.., junk)| !junk).map(|(_, arg, _)| arg.clone()).collect();
        let input = args.first().map(|arg| arg.kind.clone());
        let Some(kind) = aggregate_kind(entry, input.as_ref()) else {
            if is_order_dependent(entry) {
                return unsupported(format!("{signature}: its result depends on the order of rows"));
            }
            return unsupported(signature);
        };
        let collation = node.oid("inputcollid")?;
        if let (AggregateKind::Min | AggregateKind::Max, Some(input)) = (kind, &input) {
            if !has_order(input.oid) {
                return unsupported(signature);
            }
            self.lowering.check_order(&signature, collation)?;
        }
        let distinct = !node.list("aggdistinct")?.is_empty();
        if let (true, Some(arg)) = (distinct, args.first()) {
            self.lowering.check_equality("DISTINCT in an aggregate", &arg.kind, arg.collation)?;
        }
        let order = if kind.is_listed() { self.aggregate_order(node, &signature, &targets)? } else { vec![] };
        let filter = node.optional("aggfilter")?.map(|filter| self.expr(filter)).transpose()?;
        let result = self.typed(Expr::Const(crate::Value::Null), node.oid("aggtype")?, node.oid("aggcollid")?)?;
        if kind == AggregateKind::ArrayAgg && element_type(result.kind.oid).is_none() {
            return unsupported(signature);
        }
        let expr = self.parts.aggregate(AggregateCall {
            kind,
            args: args.into_iter().map(|arg| arg.expr).collect(),
            distinct,
            filter: filter.map(|filter| filter.expr),
            order,
            input,
            output: result.kind.clone(),
        });
        Ok(Typed { expr, ..result })
    }

    /// In which order an aggregate takes its rows: ORDER BY, or with DISTINCT the order of its arguments.
    fn aggregate_order(
        &mut self,
        node: &Node,
        signature: &str,
        targets: &[(usize, Typed, bool)],
    ) -> Result<Vec<SortKey>, LowerError> {
        let distinct = node.nodes("aggdistinct")?;
        let items = if distinct.is_empty() { node.nodes("aggorder")? } else { distinct };
        if items.is_empty() {
            return unsupported(format!("{signature} without ORDER BY"));
        }
        let mut keys = Vec::with_capacity(items.len());
        for item in items {
            let item = SortGroup::read(item)?;
            let Some((_, target, _)) = targets.iter().find(|(reference, ..)| *reference == item.target) else {
                return unsupported(format!("ORDER BY in {signature}"));
            };
            let what = format!("ORDER BY in {signature}");
            keys.push(self.lowering.sort_key(&what, &item, target, target.expr.clone())?);
        }
        Ok(keys)
    }
}

/// Aggregates have no C symbol of their own: they are known by name and argument type.
pub(super) fn aggregate_kind(entry: &FunctionEntry, input: Option<&ColumnType>) -> Option<AggregateKind> {
    use AggregateKind::*;
    if entry.schema != "pg_catalog" || entry.kind != 'a' {
        return None;
    }
    let Some(input) = input else { return (entry.name == "count").then_some(CountRows) };
    let element = input.oid;
    let input = representation(input.oid);
    let exact =
        matches!(input, Representation::Int2 | Representation::Int4 | Representation::Int8 | Representation::Numeric);
    let spread = |deviation, sample| exact.then_some(Spread(value::Spread { deviation, sample }));
    let integer = matches!(input, Representation::Int2 | Representation::Int4);
    let float = matches!(input, Representation::Float4 | Representation::Float8);
    match entry.name.as_str() {
        "count" => Some(Count),
        "sum" if integer => Some(SumInt),
        "sum" if input == Representation::Int8 => Some(SumInt8),
        "sum" if input == Representation::Numeric => Some(SumNumeric),
        "sum" if float => Some(SumFloat),
        "avg" if integer || input == Representation::Int8 => Some(AvgInt),
        "avg" if input == Representation::Numeric => Some(AvgNumeric),
        "avg" if float => Some(AvgFloat),
        "min" => Some(Min),
        "max" => Some(Max),
        "bool_and" | "every" => Some(BoolAnd),
        "bool_or" => Some(BoolOr),
        "bit_and" if integer || input == Representation::Int8 => Some(BitAnd),
        "bit_or" if integer || input == Representation::Int8 => Some(BitOr),
        "bit_xor" if integer || input == Representation::Int8 => Some(BitXor),
        "var_pop" => spread(false, false),
        "var_samp" | "variance" => spread(false, true),
        "stddev_pop" => spread(true, false),
        "stddev_samp" | "stddev" => spread(true, true),
        "string_agg" if input == Representation::Text => Some(StringAgg),
        "array_agg" if array_type(element).is_some() => Some(ArrayAgg),
        _ => None,
    }
}

/// Postgres updates the state of these row by row in floating point (Youngs and Cramer; float.c): another order of rows
/// gives another last digit.
fn is_order_dependent(entry: &FunctionEntry) -> bool {
    const NAMES: [&str; 17] = [
        "var_pop",
        "var_samp",
        "variance",
        "stddev_pop",
        "stddev_samp",
        "stddev",
        "covar_pop",
        "covar_samp",
        "corr",
        "regr_avgx",
        "regr_avgy",
        "regr_intercept",
        "regr_r2",
        "regr_slope",
        "regr_sxx",
        "regr_sxy",
        "regr_syy",
    ];
    entry.schema == "pg_catalog" && NAMES.contains(&entry.name.as_str())
}

impl Lowering<'_> {
    /// Groups `plan` and puts the group's columns into the select list: keys first, then aggregates.
    pub(super) fn aggregation(
        &mut self,
        mut plan: Plan,
        list: &mut SelectList,
        query: &Query<'_>,
    ) -> Result<Plan, LowerError> {
        let mut keys: Vec<Typed> = Vec::new();
        let references: Vec<usize> = query.group.iter().map(|item| item.target).collect();
        for item in &query.group {
            let index = query.targets.iter().position(|target| target.reference == item.target);
            let Some(index) = index else { return unsupported("GROUP BY of a column that is not there") };
            let key = list.targets[index].clone();
            self.check_equality("GROUP BY", &key.kind, key.collation)?;
            keys.push(key);
        }
        // Scalar subqueries inside keys and aggregates belong to the rows that are grouped.
        let mut calls = std::mem::take(&mut list.parts.aggregates);
        let mut inner: Vec<&mut Expr> = Vec::new();
        for call in &mut calls {
            let keys = call.order.iter_mut().map(|key| &mut key.expr);
            inner.extend(call.args.iter_mut().chain(call.filter.iter_mut()).chain(keys));
        }
        plan = list.parts.join_scalars(plan, &mut inner)?;
        if list.parts.scalars.iter().flatten().any(|scalar| !scalar.equal.is_empty()) {
            return unsupported("correlated scalar subquery beside GROUP BY");
        }
        if keys.iter().any(|key| has_scalar(&key.expr)) {
            return Err(Unsupported::new("subquery in GROUP BY").into());
        }
        // A bare column that is no key depends on one: Postgres has checked that the keys contain its table's primary
        // key. Grouping by it too gives the same groups.
        let mut dependent: Vec<usize> = Vec::new();
        for expr in list.exprs() {
            expr.replace(&mut |part| {
                if keys.iter().any(|key| key.expr == *part) {
                    return Some(part.clone());
                }
                if let Expr::Column(column) = part
                    && let Reference::Input(column) = Reference::of(*column)
                    && !dependent.contains(&column)
                {
                    dependent.push(column);
                }
                None
            });
        }
        if !dependent.is_empty() && !query.grouping_sets.is_empty() {
            return unsupported("a column beside GROUPING SETS that depends on a grouping column");
        }
        for column in dependent {
            let kind = plan.columns[column].clone();
            self.check_equality("GROUP BY", &kind, 0)?;
            keys.push(Typed { expr: Expr::Column(column), kind, collation: 0 });
        }
        for expr in list.exprs() {
            *expr = expr.replace(&mut |part| {
                if let Some(key) = keys.iter().position(|key| key.expr == *part) {
                    return Some(Expr::Column(key));
                }
                match part {
                    Expr::Column(column) => Some(match Reference::of(*column) {
                        Reference::Aggregate(index) => Expr::Column(keys.len() + index),
                        Reference::Grouping(index) => Expr::Column(keys.len() + calls.len() + index),
                        _ => part.clone(),
                    }),
                    _ => None,
                }
            });
        }
        let columns = keys.iter().map(|key| key.kind.clone()).chain(calls.iter().map(|call| call.output.clone()));
        let columns: Vec<ColumnType> = columns.collect();
        let keys: Vec<Expr> = keys.into_iter().map(|key| key.expr).collect();
        let groupings = std::mem::take(&mut list.parts.groupings);
        if !groupings.is_empty() || !query.grouping_sets.is_empty() {
            return grouping_sets(plan, query, &GroupedBy { keys, references, calls, groupings, columns });
        }
        Ok(Plan { node: PlanNode::Aggregate { input: Box::new(plan), keys, aggregates: calls }, columns })
    }
}

fn has_scalar(expr: &Expr) -> bool {
    expr.columns().into_iter().any(|column| matches!(Reference::of(column), Reference::Scalar(_)))
}
