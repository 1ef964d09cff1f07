//! One comparison of a value of the row with a time.

use super::{difference, is_time, reads_clock};
use crate::expr::Expr;
use crate::functions::lookup;
use crate::value::Value;

/// `key comparison time`: both of one type among date, timestamp and timestamptz.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TimeBound {
    /// Over the row, without the clock.
    pub key: Expr,
    pub comparison: Comparison,
    /// Of the clock and constants.
    pub time: Expr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

impl Comparison {
    pub(super) fn of(name: &str) -> Option<Comparison> {
        Some(match name {
            "lt" => Comparison::Less,
            "le" => Comparison::LessOrEqual,
            "eq" => Comparison::Equal,
            "ge" => Comparison::GreaterOrEqual,
            "gt" => Comparison::Greater,
            _ => return None,
        })
    }

    /// With its sides exchanged.
    pub(super) fn commuted(self) -> Comparison {
        match self {
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Equal => Comparison::Equal,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
            Comparison::Greater => Comparison::Less,
        }
    }
}

impl TimeBound {
    /// The comparison that this expression is, if it is one.
    pub fn of(expr: &Expr) -> Option<TimeBound> {
        let Expr::Call { function, args } = expr else { return None };
        let [left, right] = args.as_slice() else { return None };
        let Some((comparison, casts)) = operator(function.symbol) else {
            return difference::bound(function.symbol, left, right);
        };
        let [left, right] = [(left, casts[0]), (right, casts[1])].map(|(side, cast)| match cast {
            Some(symbol) => lookup(symbol).map(|function| Expr::Call { function, args: vec![side.clone()] }),
            None => Some(side.clone()),
        });
        let (left, right) = (left?, right?);
        if is_time(&right) && !reads_clock(&left) {
            Some(TimeBound { key: left, comparison, time: right })
        } else if is_time(&left) && !reads_clock(&right) {
            Some(TimeBound { key: right, comparison: comparison.commuted(), time: left })
        } else {
            None
        }
    }

    /// Where a value of the key's type lies among all of them: days or microseconds, infinities at the ends. None for NULL,
    /// errors and anything else.
    pub fn point(value: &Value) -> Option<i64> {
        match value {
            Value::Date(days) => Some(match *days {
                i32::MIN => i64::MIN,
                i32::MAX => i64::MAX,
                days => days.into(),
            }),
            Value::Timestamp(micros) | Value::TimestampTz(micros) => Some(*micros),
            _ => None,
        }
    }

    /// A copy over other columns.
    pub fn map_key(&self, f: impl FnOnce(&Expr) -> Expr) -> TimeBound {
        TimeBound { key: f(&self.key), ..self.clone() }
    }
}

/// What a comparison's symbol says, and what makes both sides of one type where they are not: Postgres compares a date with
/// a timestamp as that day's midnight, and either with a timestamptz as the instant it is in the session's zone.
fn operator(symbol: &str) -> Option<(Comparison, [Option<&'static str>; 2])> {
    let mut words = symbol.split('_');
    let (left, name, right) = (words.next()?, words.next()?, words.next());
    if words.next().is_some() {
        return None;
    }
    let comparison = Comparison::of(name)?;
    let casts = match (left, right) {
        ("date" | "timestamp", None) => [None, None],
        ("date", Some("timestamp")) => [Some("date_timestamp"), None],
        ("timestamp", Some("date")) => [None, Some("date_timestamp")],
        ("date", Some("timestamptz")) => [Some("date_timestamptz"), None],
        ("timestamptz", Some("date")) => [None, Some("date_timestamptz")],
        ("timestamp", Some("timestamptz")) => [Some("timestamp_timestamptz"), None],
        ("timestamptz", Some("timestamp")) => [None, Some("timestamp_timestamptz")],
        _ => return None,
    };
    Some((comparison, casts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_may_stand_on_either_side() {
        let now = || Expr::Call { function: lookup("now").expect("registered"), args: vec![] };
        let call = |symbol, args| Expr::Call { function: lookup(symbol).expect("registered"), args };
        let plain = TimeBound::of(&call("timestamp_lt", vec![now(), Expr::Column(3)])).expect("a bound");
        assert_eq!((plain.comparison, plain.key), (Comparison::Greater, Expr::Column(3)));
        let mixed = TimeBound::of(&call("date_ge_timestamptz", vec![Expr::Column(0), now()])).expect("a bound");
        assert_eq!(mixed.key, call("date_timestamptz", vec![Expr::Column(0)]));
        assert_eq!(TimeBound::of(&call("timestamp_lt", vec![now(), now()])), None, "no value of the row");
        assert_eq!(TimeBound::of(&call("timestamp_ne", vec![now(), Expr::Column(0)])), None);
    }
}
