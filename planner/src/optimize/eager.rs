//! Aggregation before a join.
//!
//! `SELECT u.id, u.name, sum(t.amount) FROM u LEFT JOIN t ON t.user_id = u.id GROUP BY u.id, u.name`, with u.id unique,
//! has one group per row of u, and that group holds the rows of t with this user_id. So t can be aggregated by user_id
//! first, and u joined to one row each: a change of t then touches one group instead of moving joined rows.
//!
//! Equivalence. Let D be the side whose unique key is among the grouping columns and F the other side; all grouping
//! columns are D's, all aggregates read F only, and the join has equalities only (each one-sided).
//! - A group is one row d of D; its members are the partners of d in F, which are the group of F whose keys equal d's
//!   (SQL equality on both sides; a NULL key is in no join and its group finds no partner).
//! - Inner join: a row without partner makes no group, before and after.
//! - D outer: a row without partner makes a group of one padded row. Aggregates of an argument that is NULL there give
//!   NULL, `count` of it 0, `count(*)` 1; the join pads NULL, which is put right by COALESCE. Other arguments are
//!   left alone.
//! - D may be a single row, which has the empty key; but without grouping columns there is a group whatever joins.
//! - An argument that fails for a row of F without partner makes an error in a group that nothing joins.

use super::facts::unique_keys;
use super::map_inputs;
use super::safety::{is_null_when, rejects_null};
use crate::catalog::Catalog;
use crate::expr::Expr;
use crate::plan::{AggregateCall, AggregateKind, Join, JoinKind, Node, Plan};
use crate::types::{ColumnType, oid};
use crate::value::Value;

pub fn aggregate_before_join(plan: Plan, catalog: &Catalog) -> Plan {
    let plan = map_inputs(plan, &mut |input| aggregate_before_join(input, catalog));
    match rewritten(&plan, catalog) {
        Some(better) => better,
        None => plan,
    }
}

/// The dimension side of the join: the one with a row per group.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dimension {
    Left,
    Right,
}

fn rewritten(plan: &Plan, catalog: &Catalog) -> Option<Plan> {
    let Node::Aggregate { input, keys, aggregates } = &plan.node else { return None };
    let Node::Join(join) = &input.node else { return None };
    // Without keys there is one row, also where nothing joins.
    if keys.is_empty() || join.residual.is_some() || join.equal.is_empty() {
        return None;
    }
    let sides: &[Dimension] = match join.kind {
        JoinKind::Inner => &[Dimension::Left, Dimension::Right],
        JoinKind::Left => &[Dimension::Left],
        JoinKind::Right => &[Dimension::Right],
        _ => return None,
    };
    sides.iter().find_map(|side| with_dimension(plan, join, keys, aggregates, *side, catalog))
}

fn with_dimension(
    plan: &Plan,
    join: &Join,
    keys: &[Expr],
    aggregates: &[AggregateCall],
    side: Dimension,
    catalog: &Catalog,
) -> Option<Plan> {
    let width = join.left.columns.len();
    let total = width + join.right.columns.len();
    let (dimension, facts) = match side {
        Dimension::Left => (&join.left, &join.right),
        Dimension::Right => (&join.right, &join.left),
    };
    let (dimension_range, facts_range) = match side {
        Dimension::Left => (0..width, width..total),
        Dimension::Right => (width..total, 0..width),
    };
    let columns: Vec<usize> = keys.iter().flat_map(Expr::columns).collect();
    if !columns.iter().all(|column| dimension_range.contains(column)) {
        return None;
    }
    let is_key = |column: &usize| keys.contains(&Expr::Column(*column + dimension_range.start));
    if !unique_keys(dimension, catalog).iter().any(|key| key.iter().all(is_key)) {
        return None;
    }
    let outer = join.kind != JoinKind::Inner;
    let padded = |column: usize| facts_range.contains(&column);
    let mut inner = Vec::with_capacity(aggregates.len());
    for call in aggregates {
        let read: Vec<usize> = call.exprs().flat_map(Expr::columns).collect();
        let same_for_padding = !outer || padded_row_is_known(call, &padded);
        if !read.iter().all(|column| facts_range.contains(column)) || !same_for_padding {
            return None;
        }
        inner.push(call.map(|expr| expr.map_columns(&mut |column| column - facts_range.start)));
    }
    // The facts by their side of the equalities.
    let (fact_keys, dimension_keys): (Vec<Expr>, Vec<Expr>) = match side {
        Dimension::Left => join.equal.iter().map(|(l, r)| (r.clone(), l.clone())).unzip(),
        Dimension::Right => join.equal.iter().cloned().unzip(),
    };
    // The type of a key is that of the column on either side: both sides of an equality have one type.
    let mut grouped_columns: Vec<ColumnType> = Vec::new();
    for (fact, dimension_key) in fact_keys.iter().zip(&dimension_keys) {
        grouped_columns.push(match (fact, dimension_key) {
            (Expr::Column(column), _) => facts.columns[*column].clone(),
            (_, Expr::Column(column)) => dimension.columns[*column].clone(),
            _ => return None,
        });
    }
    grouped_columns.extend(inner.iter().map(|call| call.output.clone()));
    let group_count = fact_keys.len();
    let grouped = Plan {
        node: Node::Aggregate { input: Box::new(facts.clone()), keys: fact_keys, aggregates: inner },
        columns: grouped_columns,
    };
    let joined = join_dimension(join.kind, side, dimension, grouped, dimension_keys);
    // Columns of the new join: the dimension's and the group's, in the sides' order.
    let (dimension_at, group_at) = match side {
        Dimension::Left => (0, dimension.columns.len()),
        Dimension::Right => (group_count + aggregates.len(), 0),
    };
    let mut exprs: Vec<Expr> =
        keys.iter().map(|key| key.map_columns(&mut |column| column - dimension_range.start + dimension_at)).collect();
    for (index, call) in aggregates.iter().enumerate() {
        exprs.push(padded_value(call, Expr::Column(group_at + group_count + index), outer));
    }
    Some(Plan { node: Node::Project { input: Box::new(joined), exprs }, columns: plan.columns.clone() })
}

fn join_dimension(kind: JoinKind, side: Dimension, dimension: &Plan, grouped: Plan, keys: Vec<Expr>) -> Plan {
    let pairs = keys.into_iter().enumerate().map(|(index, key)| (key, Expr::Column(index)));
    let (left, right, equal) = match side {
        Dimension::Left => (dimension.clone(), grouped, pairs.collect()),
        Dimension::Right => (grouped, dimension.clone(), pairs.map(|(key, column)| (column, key)).collect()),
    };
    let columns = left.columns.iter().chain(&right.columns).cloned().collect();
    Plan { node: Node::Join(Box::new(Join { kind, left, right, equal, residual: None })), columns }
}

/// What this aggregate gives for one padded row is NULL, or a count that [`padded_value`] knows.
fn padded_row_is_known(call: &AggregateCall, padded: &dyn Fn(usize) -> bool) -> bool {
    match (&call.filter, call.args.first()) {
        (None, None) => true,
        (Some(filter), _) if rejects_null(filter, padded) => true,
        (_, Some(arg)) => !call.kind.takes_nulls() && is_null_when(arg, padded),
        (_, None) => false,
    }
}

fn padded_value(call: &AggregateCall, column: Expr, outer: bool) -> Expr {
    let count = matches!(call.kind, AggregateKind::Count | AggregateKind::CountRows);
    if !outer || !count {
        return column;
    }
    debug_assert_eq!(call.output.oid, oid::INT8, "count gives bigint");
    let of_padding = i64::from(call.kind == AggregateKind::CountRows && call.filter.is_none());
    Expr::Coalesce(vec![column, Expr::Const(Value::Int8(of_padding))])
}
