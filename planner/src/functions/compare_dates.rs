//! Comparison operators of dates, times and intervals. The symbols of timestamp serve timestamptz, too.

use super::define::strict_functions;
use super::zone::{local_date_start, local_instant};
use crate::datetime::MICROS_PER_DAY;
use crate::value::Value::*;

/// A date or timestamp on one scale on which every finite date is between the infinities, also those beyond
/// the range of timestamps (`date_cmp_timestamp_internal`).
fn date_point(days: i32) -> i128 {
    match days {
        i32::MIN => i128::MIN,
        i32::MAX => i128::MAX,
        _ => days as i128 * MICROS_PER_DAY as i128,
    }
}

fn timestamp_point(micros: i64) -> i128 {
    match micros {
        i64::MIN => i128::MIN,
        i64::MAX => i128::MAX,
        _ => micros as i128,
    }
}

strict_functions! {
    "date_eq" (&Date(a), &Date(b)) => Ok(Bool(a == b));
    "date_ne" (&Date(a), &Date(b)) => Ok(Bool(a != b));
    "date_lt" (&Date(a), &Date(b)) => Ok(Bool(a < b));
    "date_le" (&Date(a), &Date(b)) => Ok(Bool(a <= b));
    "date_gt" (&Date(a), &Date(b)) => Ok(Bool(a > b));
    "date_ge" (&Date(a), &Date(b)) => Ok(Bool(a >= b));
    "time_eq" (&Time(a), &Time(b)) => Ok(Bool(a == b));
    "time_ne" (&Time(a), &Time(b)) => Ok(Bool(a != b));
    "time_lt" (&Time(a), &Time(b)) => Ok(Bool(a < b));
    "time_le" (&Time(a), &Time(b)) => Ok(Bool(a <= b));
    "time_gt" (&Time(a), &Time(b)) => Ok(Bool(a > b));
    "time_ge" (&Time(a), &Time(b)) => Ok(Bool(a >= b));
    "timestamp_eq" (&Timestamp(a) | &TimestampTz(a), &Timestamp(b) | &TimestampTz(b)) => Ok(Bool(a == b));
    "timestamp_ne" (&Timestamp(a) | &TimestampTz(a), &Timestamp(b) | &TimestampTz(b)) => Ok(Bool(a != b));
    "timestamp_lt" (&Timestamp(a) | &TimestampTz(a), &Timestamp(b) | &TimestampTz(b)) => Ok(Bool(a < b));
    "timestamp_le" (&Timestamp(a) | &TimestampTz(a), &Timestamp(b) | &TimestampTz(b)) => Ok(Bool(a <= b));
    "timestamp_gt" (&Timestamp(a) | &TimestampTz(a), &Timestamp(b) | &TimestampTz(b)) => Ok(Bool(a > b));
    "timestamp_ge" (&Timestamp(a) | &TimestampTz(a), &Timestamp(b) | &TimestampTz(b)) => Ok(Bool(a >= b));
    "interval_eq" (Interval(a), Interval(b)) => Ok(Bool(a.span() == b.span()));
    "interval_ne" (Interval(a), Interval(b)) => Ok(Bool(a.span() != b.span()));
    "interval_lt" (Interval(a), Interval(b)) => Ok(Bool(a.span() < b.span()));
    "interval_le" (Interval(a), Interval(b)) => Ok(Bool(a.span() <= b.span()));
    "interval_gt" (Interval(a), Interval(b)) => Ok(Bool(a.span() > b.span()));
    "interval_ge" (Interval(a), Interval(b)) => Ok(Bool(a.span() >= b.span()));
    "date_eq_timestamp" (&Date(a), &Timestamp(b)) => Ok(Bool(date_point(a) == timestamp_point(b)));
    "date_ne_timestamp" (&Date(a), &Timestamp(b)) => Ok(Bool(date_point(a) != timestamp_point(b)));
    "date_lt_timestamp" (&Date(a), &Timestamp(b)) => Ok(Bool(date_point(a) < timestamp_point(b)));
    "date_le_timestamp" (&Date(a), &Timestamp(b)) => Ok(Bool(date_point(a) <= timestamp_point(b)));
    "date_gt_timestamp" (&Date(a), &Timestamp(b)) => Ok(Bool(date_point(a) > timestamp_point(b)));
    "date_ge_timestamp" (&Date(a), &Timestamp(b)) => Ok(Bool(date_point(a) >= timestamp_point(b)));
    "timestamp_eq_date" (&Timestamp(a), &Date(b)) => Ok(Bool(timestamp_point(a) == date_point(b)));
    "timestamp_ne_date" (&Timestamp(a), &Date(b)) => Ok(Bool(timestamp_point(a) != date_point(b)));
    "timestamp_lt_date" (&Timestamp(a), &Date(b)) => Ok(Bool(timestamp_point(a) < date_point(b)));
    "timestamp_le_date" (&Timestamp(a), &Date(b)) => Ok(Bool(timestamp_point(a) <= date_point(b)));
    "timestamp_gt_date" (&Timestamp(a), &Date(b)) => Ok(Bool(timestamp_point(a) > date_point(b)));
    "timestamp_ge_date" (&Timestamp(a), &Date(b)) => Ok(Bool(timestamp_point(a) >= date_point(b)));
    "timestamp_eq_timestamptz" (&Timestamp(a), &TimestampTz(b)) uses TIME_ZONE in ctx =>
        Ok(Bool(local_instant(a, ctx)? == b));
    "timestamp_ne_timestamptz" (&Timestamp(a), &TimestampTz(b)) uses TIME_ZONE in ctx =>
        Ok(Bool(local_instant(a, ctx)? != b));
    "timestamp_lt_timestamptz" (&Timestamp(a), &TimestampTz(b)) uses TIME_ZONE in ctx =>
        Ok(Bool(local_instant(a, ctx)? < b));
    "timestamp_le_timestamptz" (&Timestamp(a), &TimestampTz(b)) uses TIME_ZONE in ctx =>
        Ok(Bool(local_instant(a, ctx)? <= b));
    "timestamp_gt_timestamptz" (&Timestamp(a), &TimestampTz(b)) uses TIME_ZONE in ctx =>
        Ok(Bool(local_instant(a, ctx)? > b));
    "timestamp_ge_timestamptz" (&Timestamp(a), &TimestampTz(b)) uses TIME_ZONE in ctx =>
        Ok(Bool(local_instant(a, ctx)? >= b));
    "timestamptz_eq_timestamp" (&TimestampTz(a), &Timestamp(b)) uses TIME_ZONE in ctx =>
        Ok(Bool(a == local_instant(b, ctx)?));
    "timestamptz_ne_timestamp" (&TimestampTz(a), &Timestamp(b)) uses TIME_ZONE in ctx =>
        Ok(Bool(a != local_instant(b, ctx)?));
    "timestamptz_lt_timestamp" (&TimestampTz(a), &Timestamp(b)) uses TIME_ZONE in ctx =>
        Ok(Bool(a < local_instant(b, ctx)?));
    "timestamptz_le_timestamp" (&TimestampTz(a), &Timestamp(b)) uses TIME_ZONE in ctx =>
        Ok(Bool(a <= local_instant(b, ctx)?));
    "timestamptz_gt_timestamp" (&TimestampTz(a), &Timestamp(b)) uses TIME_ZONE in ctx =>
        Ok(Bool(a > local_instant(b, ctx)?));
    "timestamptz_ge_timestamp" (&TimestampTz(a), &Timestamp(b)) uses TIME_ZONE in ctx =>
        Ok(Bool(a >= local_instant(b, ctx)?));
    "date_eq_timestamptz" (&Date(a), &TimestampTz(b)) uses TIME_ZONE in ctx => Ok(Bool(local_date_start(a, ctx)? == b));
    "date_ne_timestamptz" (&Date(a), &TimestampTz(b)) uses TIME_ZONE in ctx => Ok(Bool(local_date_start(a, ctx)? != b));
    "date_lt_timestamptz" (&Date(a), &TimestampTz(b)) uses TIME_ZONE in ctx => Ok(Bool(local_date_start(a, ctx)? < b));
    "date_le_timestamptz" (&Date(a), &TimestampTz(b)) uses TIME_ZONE in ctx => Ok(Bool(local_date_start(a, ctx)? <= b));
    "date_gt_timestamptz" (&Date(a), &TimestampTz(b)) uses TIME_ZONE in ctx => Ok(Bool(local_date_start(a, ctx)? > b));
    "date_ge_timestamptz" (&Date(a), &TimestampTz(b)) uses TIME_ZONE in ctx => Ok(Bool(local_date_start(a, ctx)? >= b));
    "timestamptz_eq_date" (&TimestampTz(a), &Date(b)) uses TIME_ZONE in ctx => Ok(Bool(a == local_date_start(b, ctx)?));
    "timestamptz_ne_date" (&TimestampTz(a), &Date(b)) uses TIME_ZONE in ctx => Ok(Bool(a != local_date_start(b, ctx)?));
    "timestamptz_lt_date" (&TimestampTz(a), &Date(b)) uses TIME_ZONE in ctx => Ok(Bool(a < local_date_start(b, ctx)?));
    "timestamptz_le_date" (&TimestampTz(a), &Date(b)) uses TIME_ZONE in ctx => Ok(Bool(a <= local_date_start(b, ctx)?));
    "timestamptz_gt_date" (&TimestampTz(a), &Date(b)) uses TIME_ZONE in ctx => Ok(Bool(a > local_date_start(b, ctx)?));
    "timestamptz_ge_date" (&TimestampTz(a), &Date(b)) uses TIME_ZONE in ctx => Ok(Bool(a >= local_date_start(b, ctx)?));
}
