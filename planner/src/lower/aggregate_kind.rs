//! Which aggregates are known.

use super::kinds::{Representation, representation};
use crate::catalog::FunctionEntry;
use crate::plan::{AggregateKind, PairStatistic};
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
    let spread = |deviation, sample| {
        let spread = value::Spread { deviation, sample };
        if float { Some(FloatSpread(spread)) } else { (integer || numeric).then_some(Spread(spread)) }
    };
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
        name if entry.argument_types == [oid::FLOAT8; 2] => pair_statistic(name).map(FloatPairs),
        "string_agg" if matches!(input, Representation::Text | Representation::Bytea) => Some(StringAgg),
        "array_agg" if array_type(element).is_some() => Some(ArrayAgg),
        "json_agg" => Some(JsonAgg),
        "jsonb_agg" => Some(JsonbAgg),
        "json_object_agg" => Some(JsonObjectAgg),
        "jsonb_object_agg" => Some(JsonbObjectAgg),
        _ => None,
    }
}

fn pair_statistic(name: &str) -> Option<PairStatistic> {
    Some(match name {
        "covar_pop" => PairStatistic::CovarPop,
        "covar_samp" => PairStatistic::CovarSamp,
        "corr" => PairStatistic::Corr,
        "regr_avgx" => PairStatistic::AvgX,
        "regr_avgy" => PairStatistic::AvgY,
        "regr_sxx" => PairStatistic::Sxx,
        "regr_syy" => PairStatistic::Syy,
        "regr_sxy" => PairStatistic::Sxy,
        "regr_slope" => PairStatistic::Slope,
        "regr_intercept" => PairStatistic::Intercept,
        "regr_r2" => PairStatistic::R2,
        _ => return None,
    })
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
