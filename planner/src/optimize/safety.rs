//! Which expressions may be evaluated for more rows than Postgres would, and which reject NULL.

use crate::datetime::MICROS_PER_DAY;
use crate::eval::{EvalContext, Tuple};
use crate::expr::Expr;
use crate::temporal::{is_time, reads_clock};
use crate::value::Value;

const OPERATORS: [&str; 6] = ["eq", "ne", "lt", "le", "gt", "ge"];

/// Comparisons of values of one type, and of numbers or times of two: they do not fail, and do not tell equal values apart.
fn is_total_comparison(symbol: &str) -> bool {
    const TYPES: [&str; 29] = [
        "bool",
        "int2",
        "int4",
        "int8",
        "int24",
        "int42",
        "int28",
        "int82",
        "int48",
        "int84",
        "float4",
        "float8",
        "float48",
        "float84",
        "numeric_",
        "text",
        "text_",
        "bpchar",
        "name",
        "bytea",
        "date_",
        "time_",
        "timestamp_",
        "timestamptz_",
        "interval_",
        "uuid_",
        "char",
        "oid",
        "cash_",
    ];
    let is_of_one_type = symbol
        .get(symbol.len().wrapping_sub(2)..)
        .is_some_and(|ending| OPERATORS.contains(&ending) && TYPES.contains(&&symbol[..symbol.len() - 2]));
    is_of_one_type || is_comparison_of_date_and_timestamp(symbol)
}

/// Comparisons of a date with a timestamp: a date beyond the timestamps lies before or after all of them.
fn is_comparison_of_date_and_timestamp(symbol: &str) -> bool {
    const BOTH: [(&str, &str); 2] = [("date_", "_timestamp"), ("timestamp_", "_date")];
    let operator = |(left, right)| symbol.strip_prefix(left)?.strip_suffix(right);
    BOTH.into_iter().find_map(operator).is_some_and(|operator| OPERATORS.contains(&operator))
}

/// Calls that do not fail but may tell equal values apart (`char(n)` with and without padding).
fn is_total_text_call(symbol: &str, args: &[Expr]) -> bool {
    match (symbol, args) {
        // A pattern may only not end in a bare escape.
        ("textlike" | "textnlike", [_, Expr::Const(Value::Text(pattern))]) => {
            pattern.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 0
        }
        ("text_substr", [_, Expr::Const(Value::Int4(_)), Expr::Const(Value::Int4(length))]) => *length >= 0,
        // The cast from char(n).
        ("rtrim1", [_]) => true,
        _ => false,
    }
}

/// A time counted from `now()` by constants that is one at any moment a clock will show: it has no columns to fail on.
fn is_sure_time(expr: &Expr) -> bool {
    /// Microseconds since 2000: that year, and the year 2300.
    const TRIED: [i64; 2] = [0, 300 * 366 * MICROS_PER_DAY];
    let is_sure = |now_micros| {
        let context = EvalContext { now_micros, ..EvalContext::default() };
        !matches!(expr.eval(Tuple::single(&[]), &context), Value::Error(_) | Value::Null)
    };
    is_time(expr) && TRIED.into_iter().all(is_sure)
}

/// The expression never fails on values that are not errors themselves.
pub fn cannot_fail(expr: &Expr) -> bool {
    is_sure_time(expr) || cannot_fail_itself(expr) && expr.children().into_iter().all(cannot_fail)
}

/// The condition may be asked of rows that are joined with nothing afterwards. It may fail for one of them: so it does in Postgres, or
/// else the answer is left to Postgres. What reads the time is moved only if it cannot, since rows would be kept for it.
pub fn may_move(condition: &Expr) -> bool {
    cannot_fail(condition) || !reads_clock(condition)
}

/// As [`cannot_fail`], if none of its operands does.
pub fn cannot_fail_itself(expr: &Expr) -> bool {
    match expr {
        Expr::Call { function, args } => {
            is_total_comparison(function.symbol) || is_total_text_call(function.symbol, args)
        }
        other => is_logic_or_comparison(other),
    }
}

/// The expression never fails on values that are not errors themselves, and gives the same for equal values.
pub fn is_safe(expr: &Expr) -> bool {
    is_sure_time(expr) || is_logic_or_comparison(expr) && expr.children().into_iter().all(is_safe)
}

fn is_logic_or_comparison(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_) | Expr::Param(_) => true,
        Expr::Const(value) => !matches!(value, Value::Error(_)),
        Expr::Call { function, .. } | Expr::ScalarArray { function, .. } | Expr::ArrayMember { function, .. } => {
            is_total_comparison(function.symbol)
        }
        Expr::Distinct { equal, .. } => is_total_comparison(equal.symbol),
        Expr::And(_) | Expr::Or(_) | Expr::Not(_) | Expr::IsNull(_) | Expr::IsNotNull(_) | Expr::BooleanTest { .. } => {
            true
        }
        Expr::Array { .. }
        | Expr::Case { .. }
        | Expr::Coalesce(_)
        | Expr::NullIf { .. }
        | Expr::MinMax { .. }
        | Expr::ViaText { .. } => false,
    }
}

/// NULL whenever every column for which `null` holds is NULL: strict calls down to such a column.
pub fn is_null_when(expr: &Expr, null: &dyn Fn(usize) -> bool) -> bool {
    match expr {
        Expr::Column(column) => null(*column),
        Expr::Call { function, args } => function.strict && args.iter().any(|arg| is_null_when(arg, null)),
        Expr::Not(arg) | Expr::ViaText { arg, .. } => is_null_when(arg, null),
        _ => false,
    }
}

/// Not true whenever every column for which `null` holds is NULL.
pub fn rejects_null(expr: &Expr, null: &dyn Fn(usize) -> bool) -> bool {
    match expr {
        Expr::And(args) => args.iter().any(|arg| rejects_null(arg, null)),
        Expr::Or(args) => args.iter().all(|arg| rejects_null(arg, null)),
        Expr::IsNotNull(arg) => is_null_when(arg, null),
        Expr::ScalarArray { function, any: true, left, .. } => function.strict && is_null_when(left, null),
        other => is_null_when(other, null),
    }
}
