//! Postgres' calendar and time zones: days and microseconds since 2000-01-01, proleptic Gregorian.
//!
//! Shared by the date/time functions and by text input and output. No text formats live here.

mod calendar;
mod zone;

pub use calendar::{Civil, Clock, civil_from_days, days_from_civil, days_in_month, is_leap_year};
pub use zone::Zone;

pub const MICROS_PER_SECOND: i64 = 1_000_000;
pub const MICROS_PER_MINUTE: i64 = 60 * MICROS_PER_SECOND;
pub const MICROS_PER_HOUR: i64 = 60 * MICROS_PER_MINUTE;
pub const MICROS_PER_DAY: i64 = 24 * MICROS_PER_HOUR;

/// Seconds from 1970-01-01 to 2000-01-01, both UTC.
pub const UNIX_EPOCH_SECONDS: i64 = 946_684_800;
/// Days from 1970-01-01 to 2000-01-01.
pub const UNIX_EPOCH_DAYS: i64 = 10_957;
/// Julian day of 2000-01-01 (`POSTGRES_EPOCH_JDATE`).
pub const EPOCH_JULIAN_DAY: i64 = 2_451_545;

/// `MIN_TIMESTAMP`: 4714-11-24 BC (Julian day 0).
pub const MIN_TIMESTAMP: i64 = -211_813_488_000_000_000;
/// `END_TIMESTAMP`: 294277-01-01, exclusive.
pub const END_TIMESTAMP: i64 = 9_223_371_331_200_000_000;
/// First valid date, as days since 2000-01-01 (`DATETIME_MIN_JULIAN`).
pub const MIN_DATE: i32 = -2_451_545;
/// First invalid date after the valid ones (`DATE_END_JULIAN`, 5874898-01-01).
pub const END_DATE: i32 = 2_147_483_494 - 2_451_545;

/// A stored timestamp that is an infinity.
#[inline]
pub fn is_infinite_timestamp(micros: i64) -> bool {
    micros == i64::MIN || micros == i64::MAX
}

/// A stored date that is an infinity.
#[inline]
pub fn is_infinite_date(days: i32) -> bool {
    days == i32::MIN || days == i32::MAX
}

/// `IS_VALID_DATE`.
#[inline]
pub fn is_valid_date(days: i32) -> bool {
    (MIN_DATE..END_DATE).contains(&days)
}

/// `IS_VALID_TIMESTAMP`.
#[inline]
pub fn is_valid_timestamp(micros: i64) -> bool {
    (MIN_TIMESTAMP..END_TIMESTAMP).contains(&micros)
}

/// Days since the epoch and microseconds within the day.
#[inline]
pub fn split_timestamp(micros: i64) -> (i64, i64) {
    (micros.div_euclid(MICROS_PER_DAY), micros.rem_euclid(MICROS_PER_DAY))
}
