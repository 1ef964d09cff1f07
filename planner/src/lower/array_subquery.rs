//! `ARRAY(SELECT … ORDER BY …)`: the list of a subquery's rows in their order, and no rows an empty list.

use super::error::LowerError;
use super::expr::{ExprLowerer, Typed};
use super::order::OrderedRows;
use super::parts::ScalarPart;
use super::select::project;
use super::sublink::reaches_out;
use super::{has_order, unsupported};
use crate::expand::type_of;
use crate::expr::Expr;
use crate::plan::{AggregateCall, AggregateKind, Node as PlanNode, Plan, SortKey};
use crate::tree::{Node, Tree};
use crate::types::{Collation, ColumnType, oid};
use crate::value::{Array, Value, array_type};

/// Whether the order of a list can be seen, or is as good as any other (`= ANY`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ListOrder {
    Matters,
    Any,
}

impl ExprLowerer<'_, '_> {
    pub(super) fn array_subquery(&mut self, node: &Node, order: ListOrder) -> Result<Typed, LowerError> {
        let query = node.child("subselect")?;
        let frames = self.frames.clone();
        let Some(frame) = frames.first().copied() else { return unsupported("ARRAY(subquery)") };
        let (rows, domain) = if reaches_out(query) {
            let (rows, exprs) = self.lowering.ordered_over_domain(query, &frames)?;
            (rows, Some(exprs))
        } else {
            (self.lowering.ordered_rows(query, frame.level)?, None)
        };
        let OrderedRows { plan, mut keys, carried, .. } = rows;
        // Rows that the list puts in order need not come in it.
        let plan = match plan.node {
            PlanNode::Sort { input, limit: None, offset: None, .. } => *input,
            node => Plan { node, columns: plan.columns },
        };
        let Some(input) = plan.columns.get(carried).cloned() else { return unsupported("ARRAY(subquery)") };
        // An array of a domain is of another type than one of the type below.
        let (Some(array), true) = (array_type(input.oid), first_type(query) == Some(input.oid)) else {
            return unsupported(format!("ARRAY(subquery) of type {}", self.lowering.type_name(input.oid)));
        };
        if keys.is_empty() {
            if order == ListOrder::Matters || !has_order(input.oid) {
                return unsupported("ARRAY(subquery) without ORDER BY");
            }
            let kind = ColumnType { collation: Collation::Bytes, ..input.clone() };
            keys.push(SortKey { expr: Expr::Column(carried), kind, descending: false, nulls_first: false });
        }
        let output = ColumnType { oid: array, ..input.clone() };
        let element = input.oid;
        let call = AggregateCall {
            kind: AggregateKind::ArrayAgg,
            args: vec![Expr::Column(carried)],
            distinct: false,
            filter: None,
            order: keys,
            input: Some(input),
            output: output.clone(),
        };
        let columns: Vec<ColumnType> = plan.columns[..carried].iter().cloned().chain([output.clone()]).collect();
        let groups = (0..carried).map(Expr::Column).collect();
        let node = PlanNode::Aggregate { input: Box::new(plan), keys: groups, aggregates: vec![call] };
        let lists = Plan { node, columns: columns.clone() };
        // Of a group there is a list; of nothing at all, and beside a row without a group, there is the empty one.
        let empty = Expr::Const(Value::Array(Array::list(element, vec![]).into()));
        let list = Expr::Coalesce(vec![Expr::Column(carried), empty.clone()]);
        let shown = (0..carried).map(Expr::Column).chain([list]).zip(columns);
        let there = (Expr::Const(Value::Bool(true)), ColumnType::new(oid::BOOL));
        let plan = project(lists, shown.chain([there]).collect());
        let without = domain.is_some().then_some((carried + 1, empty));
        let part = ScalarPart { plan, domain, equal: vec![], value: carried, without };
        Ok(Typed { expr: self.parts.scalar(part), kind: output, collation: 0 })
    }
}

/// The type of a query's first column, domains as such.
fn first_type(query: &Node) -> Option<u32> {
    let target = query.find("targetList").map_or(&[][..], Tree::items).first()?.as_node()?;
    type_of(target.find("expr")?)
}
