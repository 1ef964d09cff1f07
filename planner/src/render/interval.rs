//! Interval text in the four IntervalStyles (`EncodeInterval` in datetime.c).

use super::date_time::fraction;
use super::{Unrenderable, infallible};
use crate::datetime::Clock;
use crate::value::Interval;
use std::io::Write;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntervalStyle {
    Postgres,
    PostgresVerbose,
    SqlStandard,
    Iso8601,
}

impl IntervalStyle {
    pub fn named(name: &str) -> Option<IntervalStyle> {
        Some(match name {
            "postgres" => IntervalStyle::Postgres,
            "postgres_verbose" => IntervalStyle::PostgresVerbose,
            "sql_standard" => IntervalStyle::SqlStandard,
            "iso_8601" => IntervalStyle::Iso8601,
            _ => return None,
        })
    }
}

/// The fields as printed; each has its own sign.
struct Fields {
    years: i64,
    months: i64,
    days: i64,
    clock: Clock,
}

impl Fields {
    fn all(&self) -> [i64; 7] {
        let Clock { hour, minute, second, micros } = self.clock;
        [self.years, self.months, self.days, hour, minute, second, micros]
    }
}

/// `interval_out`.
pub(super) fn interval(value: &Interval, style: IntervalStyle, out: &mut Vec<u8>) -> Result<(), Unrenderable> {
    let Interval { months, days, micros } = *value;
    // From 17 on these images are infinities; before, they are ordinary numbers.
    if (months, days, micros) == (i32::MAX, i32::MAX, i64::MAX)
        || (months, days, micros) == (i32::MIN, i32::MIN, i64::MIN)
        // Before 15 so many hours are an error.
        || i32::try_from(Clock::from_micros(micros).hour).is_err()
    {
        return Err(Unrenderable::InfiniteInterval);
    }
    let fields = Fields {
        years: months as i64 / 12,
        months: months as i64 % 12,
        days: days as i64,
        clock: Clock::from_micros(micros),
    };
    match style {
        IntervalStyle::Postgres => postgres(&fields, out),
        IntervalStyle::PostgresVerbose => verbose(&fields, out),
        IntervalStyle::SqlStandard => sql_standard(&fields, out),
        IntervalStyle::Iso8601 => iso_8601(&fields, out),
    }
    Ok(())
}

fn seconds(clock: Clock, two_digits: bool, out: &mut Vec<u8>) {
    let second = clock.second.unsigned_abs();
    infallible(if two_digits { write!(out, "{second:02}") } else { write!(out, "{second}") });
    fraction(clock.micros, out);
}

fn has_negative_clock(clock: Clock) -> bool {
    clock.hour < 0 || clock.minute < 0 || clock.second < 0 || clock.micros < 0
}

/// `1 year 2 mons -3 days +04:05:06`: a sign is spelled out after a negative field.
fn postgres(fields: &Fields, out: &mut Vec<u8>) {
    let mut empty = true;
    let mut after_negative = false;
    for (value, unit) in [(fields.years, "year"), (fields.months, "mon"), (fields.days, "day")] {
        if value == 0 {
            continue;
        }
        let space = if empty { "" } else { " " };
        let plus = if after_negative && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        infallible(write!(out, "{space}{plus}{value} {unit}{plural}"));
        after_negative = value < 0;
        empty = false;
    }
    let clock = fields.clock;
    if empty || clock.to_micros() != 0 {
        let space = if empty { "" } else { " " };
        let sign = if has_negative_clock(clock) {
            "-"
        } else if after_negative {
            "+"
        } else {
            ""
        };
        infallible(write!(out, "{space}{sign}{:02}:{:02}:", clock.hour.unsigned_abs(), clock.minute.unsigned_abs()));
        seconds(clock, true, out);
    }
}

/// `@ 1 year 2 mons ago`: the first field's sign decides about "ago".
fn verbose(fields: &Fields, out: &mut Vec<u8>) {
    out.push(b'@');
    let clock = fields.clock;
    let mut empty = true;
    let mut ago = false;
    let parts = [
        (fields.years, "year"),
        (fields.months, "mon"),
        (fields.days, "day"),
        (clock.hour, "hour"),
        (clock.minute, "min"),
    ];
    for (value, unit) in parts {
        if value == 0 {
            continue;
        }
        let shown = if empty {
            ago = value < 0;
            value.abs()
        } else if ago {
            -value
        } else {
            value
        };
        infallible(write!(out, " {shown} {unit}{}", if shown == 1 { "" } else { "s" }));
        empty = false;
    }
    if clock.second != 0 || clock.micros != 0 {
        out.push(b' ');
        if clock.second < 0 || clock.micros < 0 {
            if empty {
                ago = true;
            } else if !ago {
                out.push(b'-');
            }
        } else if ago {
            out.push(b'-');
        }
        seconds(clock, false, out);
        let singular = clock.second.abs() == 1 && clock.micros == 0;
        infallible(write!(out, " sec{}", if singular { "" } else { "s" }));
        empty = false;
    }
    if empty {
        out.extend_from_slice(b" 0");
    }
    if ago {
        out.extend_from_slice(b" ago");
    }
}

/// `1-2`, `3 4:05:06`, or all fields with signs where the standard has no form.
fn sql_standard(fields: &Fields, out: &mut Vec<u8>) {
    let negative = fields.all().iter().any(|field| *field < 0);
    let positive = fields.all().iter().any(|field| *field > 0);
    let Fields { years, months, days, clock } = *fields;
    let has_year_month = years != 0 || months != 0;
    let has_day_time = days != 0 || clock.to_micros() != 0;
    let is_mixed = (negative && positive) || (has_year_month && has_day_time);
    let (hour, minute) = (clock.hour.unsigned_abs(), clock.minute.unsigned_abs());
    if !negative && !positive {
        out.push(b'0');
        return;
    }
    if is_mixed {
        let sign = |negative: bool| if negative { '-' } else { '+' };
        let (year_sign, day_sign) = (sign(years < 0 || months < 0), sign(days < 0));
        let clock_sign = sign(has_negative_clock(clock));
        let (years, months, days) = (years.abs(), months.abs(), days.abs());
        infallible(write!(out, "{year_sign}{years}-{months} {day_sign}{days} {clock_sign}{hour}:{minute:02}:"));
        return seconds(clock, true, out);
    }
    if negative {
        out.push(b'-');
    }
    if has_year_month {
        infallible(write!(out, "{}-{}", years.abs(), months.abs()));
        return;
    }
    if days != 0 {
        infallible(write!(out, "{} ", days.abs()));
    }
    infallible(write!(out, "{hour}:{minute:02}:"));
    seconds(clock, true, out);
}

/// `P1Y2M3DT4H5M6S`.
fn iso_8601(fields: &Fields, out: &mut Vec<u8>) {
    if fields.all().iter().all(|field| *field == 0) {
        out.extend_from_slice(b"PT0S");
        return;
    }
    let part = |value: i64, letter: char, out: &mut Vec<u8>| {
        if value != 0 {
            infallible(write!(out, "{value}{letter}"));
        }
    };
    out.push(b'P');
    part(fields.years, 'Y', out);
    part(fields.months, 'M', out);
    part(fields.days, 'D', out);
    let clock = fields.clock;
    if clock.to_micros() == 0 {
        return;
    }
    out.push(b'T');
    part(clock.hour, 'H', out);
    part(clock.minute, 'M', out);
    if clock.second != 0 || clock.micros != 0 {
        if clock.second < 0 || clock.micros < 0 {
            out.push(b'-');
        }
        seconds(clock, false, out);
        out.push(b'S');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_styles() {
        let value = Interval { months: 14, days: -3, micros: 14_706_500_000 };
        let render = |style| {
            let mut out = Vec::new();
            interval(&value, style, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(render(IntervalStyle::Postgres), "1 year 2 mons -3 days +04:05:06.5");
        assert_eq!(render(IntervalStyle::PostgresVerbose), "@ 1 year 2 mons -3 days 4 hours 5 mins 6.5 secs");
        assert_eq!(render(IntervalStyle::SqlStandard), "+1-2 -3 +4:05:06.5");
        assert_eq!(render(IntervalStyle::Iso8601), "P1Y2M-3DT4H5M6.5S");
    }
}
