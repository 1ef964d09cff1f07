//! Conversions that go through a time zone: the session's, or one named in the call (`AT TIME ZONE`).

use super::define::strict_functions;
use super::timestamp::{date_of, timestamp_of, timestamp_out_of_range};
use crate::datetime::{Zone, is_infinite_timestamp, is_valid_timestamp};
use crate::eval::EvalContext;
use crate::value::EvalError;
use crate::value::Value::{self, *};

/// The session's zone.
pub(super) fn session_zone(ctx: &EvalContext) -> Result<Zone, EvalError> {
    let name = &ctx.settings.time_zone;
    Zone::named(name).ok_or_else(|| EvalError::unsupported(format!("time zone {name:?} is not known")))
}

/// A zone named in a call. Words without a slash may be abbreviations, which the server looks up in a
/// configurable list first; only the universal ones are certain.
pub(super) fn named_zone(name: &str) -> Result<Zone, EvalError> {
    let certain = name.contains('/') || name.eq_ignore_ascii_case("utc") || name.eq_ignore_ascii_case("gmt");
    certain
        .then(|| Zone::named(name))
        .flatten()
        .ok_or_else(|| EvalError::unsupported(format!("time zone {name:?} in a function call")))
}

/// Instant of a local timestamp; infinities stay.
pub(super) fn instant(zone: &Zone, local: i64) -> Result<i64, EvalError> {
    if is_infinite_timestamp(local) {
        return Ok(local);
    }
    zone.to_utc(local).ok_or_else(beyond_zone)
}

/// Local time of an instant; infinities stay. It may lie outside the range of timestamps by the offset, as
/// Postgres' broken-down times may.
pub(super) fn local_of(zone: &Zone, instant: i64) -> Result<i64, EvalError> {
    if is_infinite_timestamp(instant) {
        return Ok(instant);
    }
    zone.to_local(instant).ok_or_else(beyond_zone)
}

/// Local time of an instant as a timestamp.
fn local_timestamp(zone: &Zone, instant: i64) -> Result<Value, EvalError> {
    let local = local_of(zone, instant)?;
    if is_infinite_timestamp(local) || is_valid_timestamp(local) {
        Ok(Timestamp(local))
    } else {
        Err(timestamp_out_of_range())
    }
}

#[cold]
fn beyond_zone() -> EvalError {
    EvalError::unsupported("a timestamp beyond the years the time zone database covers")
}

/// Instant of a timestamp local to the session.
pub(super) fn local_instant(local: i64, ctx: &EvalContext) -> Result<i64, EvalError> {
    instant(&session_zone(ctx)?, local)
}

/// Instant at which a day begins in the session's zone.
pub(super) fn local_date_start(days: i32, ctx: &EvalContext) -> Result<i64, EvalError> {
    match timestamp_of(days) {
        Ok(local) => local_instant(local, ctx),
        // Postgres compares dates beyond the range of timestamps without an error.
        Err(_) => Err(EvalError::unsupported("a date beyond the range of timestamps")),
    }
}

fn to_date(at: i64, ctx: &EvalContext) -> Result<Value, EvalError> {
    Ok(Date(date_of(local_of(&session_zone(ctx)?, at)?)))
}

strict_functions! {
    "timestamptz_timestamp" (&TimestampTz(a)) uses TIME_ZONE in ctx => local_timestamp(&session_zone(ctx)?, a);
    "timestamp_timestamptz" (&Timestamp(a)) uses TIME_ZONE in ctx => local_instant(a, ctx).map(TimestampTz);
    "timestamptz_date" (&TimestampTz(a)) uses TIME_ZONE in ctx => to_date(a, ctx);
    "date_timestamptz" (&Date(a)) uses TIME_ZONE in ctx => local_instant(timestamp_of(a)?, ctx).map(TimestampTz);
    "timestamptz_zone" (Text(zone), &TimestampTz(a)) => local_timestamp(&named_zone(zone)?, a);
    "timestamp_zone" (Text(zone), &Timestamp(a)) => instant(&named_zone(zone)?, a).map(TimestampTz);
}
