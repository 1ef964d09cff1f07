//! Which aggregates are known, and why others are not.

use super::error::LowerError;
use super::kinds::{Representation, representation};
use crate::catalog::FunctionEntry;
use crate::plan::AggregateKind;
use crate::tree::Node;
use crate::types::{ColumnType, oid};
use crate::value::{self, array_type};

/// Aggregates have no C symbol of their own: they are known by name and argument type.
pub(super) fn aggregate_kind(entry: &FunctionEntry, input: Option<&ColumnType>) -> Option<AggregateKind> {
    use AggregateKind::*;
    if entry.schema != "pg_catalog" || entry.kind != 'a' {
        return None;
    }
    let Some(input) = input else { return (entry.name == "count").then_some(CountRows) };
    let element = input.oid;
    let input = representation(input.oid);
    let integer = matches!(input, Representation::Int2 | Representation::Int4 | Representation::Int8);
    let float = matches!(input, Representation::Float4 | Representation::Float8);
    let numeric = input == Representation::Numeric;
    let spread = |deviation, sample| (integer || numeric).then_some(Spread(value::Spread { deviation, sample }));
    match entry.name.as_str() {
        "count" | "regr_count" => Some(Count),
        "sum" if input == Representation::Int8 => Some(SumInt8),
        "sum" if integer => Some(SumInt),
        "sum" if numeric => Some(SumNumeric),
        "sum" if float => Some(SumFloat),
        "avg" if integer => Some(AvgInt),
        "avg" if numeric => Some(AvgNumeric),
        "avg" if float => Some(AvgFloat),
        "min" => Some(Min),
        "max" => Some(Max),
        "bool_and" | "every" => Some(BoolAnd),
        "bool_or" => Some(BoolOr),
        "bit_and" if integer => Some(BitAnd),
        "bit_or" if integer => Some(BitOr),
        "bit_xor" if integer => Some(BitXor),
        "var_pop" => spread(false, false),
        "var_samp" | "variance" => spread(false, true),
        "stddev_pop" => spread(true, false),
        "stddev_samp" | "stddev" => spread(true, true),
        "string_agg" if matches!(input, Representation::Text | Representation::Bytea) => Some(StringAgg),
        "array_agg" if array_type(element).is_some() => Some(ArrayAgg),
        "json_agg" => Some(JsonAgg),
        "jsonb_agg" => Some(JsonbAgg),
        "json_object_agg" => Some(JsonObjectAgg),
        "jsonb_object_agg" => Some(JsonbObjectAgg),
        _ => None,
    }
}

/// Aggregates with WITHIN GROUP (orderedsetaggs.c); their order is checked as such.
pub(super) fn ordered_set_kind(entry: &FunctionEntry, input: Option<&ColumnType>) -> Option<AggregateKind> {
    if entry.schema != "pg_catalog" {
        return None;
    }
    if entry.name.starts_with("percentile") && entry.argument_types.first() != Some(&oid::FLOAT8) {
        return None;
    }
    ordered_set_kind_of(&entry.name, input?)
}

/// The same, of one fraction.
pub(super) fn ordered_set_kind_of(name: &str, input: &ColumnType) -> Option<AggregateKind> {
    match (name, representation(input.oid)) {
        ("percentile_cont", Representation::Float8 | Representation::Interval) => Some(AggregateKind::PercentileCont),
        ("percentile_disc", _) => Some(AggregateKind::PercentileDisc),
        ("mode", _) => Some(AggregateKind::Mode),
        _ => None,
    }
}

/// Why an aggregate is left to Postgres.
pub(super) fn refusal(entry: &FunctionEntry, signature: &str, node: &Node) -> Result<String, LowerError> {
    if node.word("aggkind")? != Some("n") {
        return Ok(format!("ordered-set {signature}"));
    }
    if entry.schema == "pg_catalog" && FLOATING.contains(&entry.name.as_str()) {
        return Ok(format!("{signature}: its result depends on the order of rows"));
    }
    Ok(signature.to_owned())
}

/// Postgres updates the state of these row by row in floating point (Youngs and Cramer; float.c): another order of rows
/// gives another last digit.
const FLOATING: [&str; 17] = [
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
