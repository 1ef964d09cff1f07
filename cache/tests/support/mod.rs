//! What the cache's tests share: short ways to write plans, and an evaluator that is plainly right.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod naive;

use std::sync::Arc;
use weir_planner::functions::{Function, lookup};
use weir_planner::plan::{Node, SortKey};
use weir_planner::types::oid;
use weir_planner::{ColumnType, Expr, Plan, RelationId, Row, Value};

/// A registered function.
pub fn function(symbol: &str) -> &'static Function {
    lookup(symbol).unwrap_or_else(|| panic!("{symbol} is a registered function"))
}

pub fn call(symbol: &str, args: impl IntoIterator<Item = Expr>) -> Expr {
    Expr::Call { function: function(symbol), args: args.into_iter().collect() }
}

pub fn column(index: usize) -> Expr {
    Expr::Column(index)
}

pub fn int8(value: i64) -> Expr {
    Expr::Const(Value::Int8(value))
}

pub fn row(values: impl IntoIterator<Item = Value>) -> Row {
    Arc::from(values.into_iter().collect::<Vec<Value>>())
}

pub fn types(oids: &[u32]) -> Vec<ColumnType> {
    oids.iter().map(|&oid| ColumnType::new(oid)).collect()
}

pub fn scan(relation: RelationId, columns: &[ColumnType]) -> Plan {
    let all = (0..columns.len()).collect();
    Plan { node: Node::Scan { relation, columns: all }, columns: columns.to_vec() }
}

pub fn filter(input: Plan, predicate: Expr) -> Plan {
    let columns = input.columns.clone();
    Plan { node: Node::Filter { input: Box::new(input), predicate }, columns }
}

/// ORDER BY columns, `true` for DESC, with NULLs where Postgres puts them by default.
pub fn order(input: &Plan, keys: &[(usize, bool)]) -> Vec<SortKey> {
    keys.iter()
        .map(|&(index, descending)| SortKey {
            expr: column(index),
            kind: input.columns[index].clone(),
            descending,
            nulls_first: descending,
        })
        .collect()
}

pub fn sort(input: Plan, keys: &[(usize, bool)], limit: Option<i64>, offset: Option<i64>) -> Plan {
    let columns = input.columns.clone();
    let keys = order(&input, keys);
    let node = Node::Sort { input: Box::new(input), keys, limit: limit.map(int8), offset: offset.map(int8) };
    Plan { node, columns }
}

/// id bigint, name text, amount bigint: the table most tests use.
pub fn three_columns() -> Vec<ColumnType> {
    types(&[oid::INT8, oid::TEXT, oid::INT8])
}
