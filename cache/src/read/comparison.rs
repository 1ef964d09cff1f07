//! Which conditions an index can answer: comparisons of a column with a value that is the same for all rows.
//!
//! An index only narrows the rows down; the whole condition is evaluated on each, so an operator missing here costs
//! time and never an answer.

use weir_planner::types::oid;
use weir_planner::{Expr, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    /// The operator with its sides exchanged.
    fn flipped(self) -> Operator {
        match self {
            Operator::Equal => Operator::Equal,
            Operator::Less => Operator::Greater,
            Operator::LessOrEqual => Operator::GreaterOrEqual,
            Operator::Greater => Operator::Less,
            Operator::GreaterOrEqual => Operator::LessOrEqual,
        }
    }
}

/// Families of btree comparison functions in `pg_proc.prosrc`: prefix in front of eq, lt, le, gt, ge. Each compares by
/// the types' default order. The mixed integer families are here because the value is brought to the column's type.
const FAMILIES: &[&str] = &[
    "int2",
    "int4",
    "int8",
    "int24",
    "int28",
    "int42",
    "int48",
    "int82",
    "int84",
    "float4",
    "float8",
    "bool",
    "bpchar",
    "bytea",
    "oid",
    "name",
    "text",
    "text_",
    "numeric_",
    "date_",
    "time_",
    "timestamp_",
    "timestamptz_",
    "interval_",
    "uuid_",
];

/// The operator a function implements, by its C symbol.
pub(super) fn operator(symbol: &str) -> Option<Operator> {
    let (family, suffix) = symbol.split_at_checked(symbol.len().checked_sub(2)?)?;
    if !FAMILIES.contains(&family) {
        return None;
    }
    match suffix {
        "eq" => Some(Operator::Equal),
        "lt" => Some(Operator::Less),
        "le" => Some(Operator::LessOrEqual),
        "gt" => Some(Operator::Greater),
        "ge" => Some(Operator::GreaterOrEqual),
        _ => None,
    }
}

/// How numbers are compared that lie side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberOperator {
    Is(Operator),
    NotEqual,
}

/// A conjunct that compares its one column with an expression without columns, by the types' own order.
pub(super) fn number_comparison(conjunct: &Expr) -> Option<(NumberOperator, &Expr)> {
    let Expr::Call { function, args } = conjunct else { return None };
    if function.symbol.strip_suffix("ne").is_some_and(|family| FAMILIES.contains(&family)) {
        let (_, value, _) = sides(args)?;
        return Some((NumberOperator::NotEqual, value));
    }
    let (_, operator, value) = column_and_value(function.symbol, args)?;
    Some((NumberOperator::Is(operator), value))
}

/// What a comparison says of its column: operator and value.
fn column_and_value<'e>(symbol: &str, args: &'e [Expr]) -> Option<(usize, Operator, &'e Expr)> {
    let operator = operator(symbol)?;
    let (column, value, is_flipped) = sides(args)?;
    Some((column, if is_flipped { operator.flipped() } else { operator }, value))
}

/// A column and what it is compared with, the same for all rows; true when the column stands on the right.
fn sides(args: &[Expr]) -> Option<(usize, &Expr, bool)> {
    match args {
        [Expr::Column(column), value] if is_fixed(value) => Some((*column, value, false)),
        [value, Expr::Column(column)] if is_fixed(value) => Some((*column, value, true)),
        _ => None,
    }
}

fn is_fixed(expr: &Expr) -> bool {
    super::rewrite::column_range(expr).is_none()
}

/// A condition `column operator value`, or `column = ANY (values)`.
#[derive(Clone, Debug)]
pub(super) struct Comparison {
    pub(super) column: usize,
    pub(super) operator: Operator,
    pub(super) values: Values,
}

/// Expressions without columns that a column is compared with.
#[derive(Clone, Debug)]
pub(super) enum Values {
    /// More than one, or none, only for [`Operator::Equal`].
    List(Vec<Expr>),
    /// One whose value is an array; only for [`Operator::Equal`].
    Array(Expr),
}

impl Values {
    /// The one expression, if it is certain to be one.
    pub(super) fn single(&self) -> Option<&Expr> {
        match self {
            Values::List(list) => match &list[..] {
                [one] => Some(one),
                _ => None,
            },
            Values::Array(_) => None,
        }
    }
}

/// Recognises a conjunct that an index can answer.
pub(super) fn comparison(conjunct: &Expr) -> Option<Comparison> {
    match conjunct {
        Expr::Call { function, args } => {
            let (column, operator, value) = column_and_value(function.symbol, args)?;
            Some(Comparison { column, operator, values: Values::List(vec![value.clone()]) })
        }
        Expr::ScalarArray { function, any: true, left, list } if list.iter().all(is_fixed) => {
            let Expr::Column(column) = **left else { return None };
            (operator(function.symbol)? == Operator::Equal).then(|| Comparison {
                column,
                operator: Operator::Equal,
                values: Values::List(list.clone()),
            })
        }
        Expr::ArrayMember { function, any: true, left, array } if is_fixed(array) => {
            let Expr::Column(column) = **left else { return None };
            (operator(function.symbol)? == Operator::Equal).then(|| Comparison {
                column,
                operator: Operator::Equal,
                values: Values::Array((**array).clone()),
            })
        }
        // `WHERE flag` is `flag = true`.
        Expr::Column(column) => Some(Comparison {
            column: *column,
            operator: Operator::Equal,
            values: Values::List(vec![Expr::Const(Value::Bool(true))]),
        }),
        _ => None,
    }
}

/// The value in the column's type, so that its image is the one in the index. None: the index cannot be used.
pub(super) fn as_column_type(value: Value, column: u32) -> Option<Value> {
    let integer = match &value {
        Value::Int2(v) => Some(i64::from(*v)),
        Value::Int4(v) => Some(i64::from(*v)),
        Value::Int8(v) => Some(*v),
        _ => None,
    };
    if let Some(v) = integer {
        return match column {
            oid::INT2 => i16::try_from(v).ok().map(Value::Int2),
            oid::INT4 => i32::try_from(v).ok().map(Value::Int4),
            oid::INT8 => Some(Value::Int8(v)),
            _ => None,
        };
    }
    let fits = match &value {
        Value::Null => true,
        Value::Bool(_) => column == oid::BOOL,
        Value::Float4(_) => column == oid::FLOAT4,
        Value::Float8(_) => column == oid::FLOAT8,
        Value::Numeric(_) => column == oid::NUMERIC,
        Value::Text(_) => matches!(column, oid::TEXT | oid::VARCHAR | oid::NAME),
        Value::Bpchar(_) => column == oid::BPCHAR,
        Value::Bytea(_) => column == oid::BYTEA,
        Value::Date(_) => column == oid::DATE,
        Value::Time(_) => column == oid::TIME,
        Value::Timestamp(_) => column == oid::TIMESTAMP,
        Value::TimestampTz(_) => column == oid::TIMESTAMPTZ,
        Value::Interval(_) => column == oid::INTERVAL,
        Value::Uuid(_) => column == oid::UUID,
        _ => false,
    };
    fits.then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_read_as_operators() {
        assert_eq!(operator("int8eq"), Some(Operator::Equal));
        assert_eq!(operator("int84lt"), Some(Operator::Less));
        assert_eq!(operator("text_ge"), Some(Operator::GreaterOrEqual));
        assert_eq!(operator("numeric_eq"), Some(Operator::Equal));
        assert_eq!(operator("texteq"), Some(Operator::Equal));
        assert_eq!(operator("textlike"), None);
        assert_eq!(operator("numeric_ne"), None);
        assert_eq!(operator("q"), None);
    }

    #[test]
    fn integers_take_the_columns_type() {
        assert_eq!(as_column_type(Value::Int4(7), oid::INT8), Some(Value::Int8(7)));
        assert_eq!(as_column_type(Value::Int8(1 << 40), oid::INT4), None);
        assert_eq!(as_column_type(Value::Int4(7), oid::NUMERIC), None);
    }
}
