//! Which calls are equalities, so that a join can look its partners up.

use crate::expr::Expr;
use crate::functions::{Function, lookup};

/// An equality of two operands of one type, or the casts that make it one without losing anything.
struct Equality {
    /// C symbol of the equality of the common type.
    same_type: &'static str,
    /// C symbol of the cast of the left operand, if one is needed.
    left: Option<&'static str>,
    right: Option<&'static str>,
}

fn equality(symbol: &'static str) -> Option<Equality> {
    let (same_type, left, right) = match symbol {
        "booleq" | "int2eq" | "int4eq" | "int8eq" | "float4eq" | "float8eq" | "numeric_eq" | "texteq" | "bpchareq"
        | "nameeq" | "byteaeq" | "date_eq" | "time_eq" | "timestamp_eq" | "timestamptz_eq" | "interval_eq"
        | "uuid_eq" | "enum_eq" | "range_eq" | "array_eq" | "jsonb_eq" | "network_eq" | "timetz_eq" | "oideq"
        | "macaddr_eq" | "macaddr8_eq" => (symbol, None, None),
        "int24eq" => ("int4eq", Some("i2toi4"), None),
        "int42eq" => ("int4eq", None, Some("i2toi4")),
        "int28eq" => ("int8eq", Some("int28"), None),
        "int82eq" => ("int8eq", None, Some("int28")),
        "int48eq" => ("int8eq", Some("int48"), None),
        "int84eq" => ("int8eq", None, Some("int48")),
        "float48eq" => ("float8eq", Some("ftod"), None),
        "float84eq" => ("float8eq", None, Some("ftod")),
        _ => return None,
    };
    Some(Equality { same_type, left, right })
}

/// An equality of two types as the equality of one, where it is one of those.
pub fn in_one_type(function: &Function, args: &[Expr]) -> Option<Expr> {
    let Equality { same_type, left, right } = equality(function.symbol)?;
    let [first, second] = args else { return None };
    if left.is_none() && right.is_none() {
        return None;
    }
    Some(Expr::Call { function: lookup(same_type)?, args: vec![cast(first, left)?, cast(second, right)?] })
}

/// Pairs that a join can look up, each over its own side's row, and the conditions that are left (over left columns,
/// then right columns).
///
/// `a = b` in a condition holds exactly when both are not null and equal in SQL's sense, which is what
/// [`crate::plan::Join::equal`] asks; the order of the operands of AND does not matter to its truth.
pub fn split_equalities(conjuncts: Vec<Expr>, left_width: usize) -> (Vec<(Expr, Expr)>, Vec<Expr>) {
    let mut equal = Vec::new();
    let mut residual = Vec::new();
    for conjunct in conjuncts {
        match as_pair(&conjunct, left_width) {
            Some(pair) => equal.push(pair),
            None => residual.push(conjunct),
        }
    }
    (equal, residual)
}

fn as_pair(conjunct: &Expr, left_width: usize) -> Option<(Expr, Expr)> {
    let Expr::Call { function, args } = conjunct else { return None };
    let [first, second] = args.as_slice() else { return None };
    let casts = equality(function.symbol)?;
    let first_side = side(first, left_width)?;
    let second_side = side(second, left_width)?;
    let first = cast(first, casts.left)?;
    let second = cast(second, casts.right)?;
    let (left, right) = match (first_side, second_side) {
        (Side::Left, Side::Right) => (first, second),
        (Side::Right, Side::Left) => (second, first),
        _ => return None,
    };
    Some((left, right.map_columns(&mut |c| c - left_width)))
}

fn cast(expr: &Expr, symbol: Option<&str>) -> Option<Expr> {
    match symbol {
        None => Some(expr.clone()),
        Some(symbol) => Some(Expr::Call { function: lookup(symbol)?, args: vec![expr.clone()] }),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// The one side of a join an expression reads; None for none or both.
pub(super) fn side(expr: &Expr, left_width: usize) -> Option<Side> {
    let columns = expr.columns();
    let (first, last) = (*columns.first()?, *columns.last()?);
    match (first < left_width, last < left_width) {
        (true, true) => Some(Side::Left),
        (false, false) => Some(Side::Right),
        _ => None,
    }
}
