//! Dates and times in ISO form: `2024-03-01`, `2024-03-01 12:34:56.789`, with `Z` or `±hh[:mm]` for timestamptz.
//!
//! With a four-digit year in front no DateStyle reads these differently. Everything else is left to Postgres.

use super::trim;
use crate::datetime::{
    Civil, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND, Zone, days_from_civil, days_in_month,
};
use crate::value::EvalError;

/// `MAX_TIMESTAMP_PRECISION`: digits of a second's fraction.
const MAX_PRECISION: i32 = 6;

#[cold]
fn unusual(what: &str) -> EvalError {
    EvalError::unsupported(format!("{what} input in a form other than ISO"))
}

#[cold]
fn field_out_of_range(text: &str) -> EvalError {
    EvalError::datetime_overflow(format!("date/time field value out of range: \"{text}\""))
}

/// Exactly `length` digits at the front, and the rest.
fn digits(text: &str, length: usize) -> Option<(i64, &str)> {
    let (head, rest) = text.split_at_checked(length)?;
    head.bytes().all(|b| b.is_ascii_digit()).then(|| (head.bytes().fold(0, |v, b| v * 10 + (b - b'0') as i64), rest))
}

/// A part of the text that has the right form: its value unless there is no such day or time, and the rest.
/// (Which error Postgres raises is certain only once the whole text has the right form.)
type Part<'a> = (Option<i64>, &'a str);

/// `yyyy-mm-dd` at the front: days since 2000-01-01.
fn leading_date(text: &str) -> Option<Part<'_>> {
    let (year, rest) = digits(text, 4)?;
    let (month, rest) = digits(rest.strip_prefix('-')?, 2)?;
    let (day, rest) = digits(rest.strip_prefix('-')?, 2)?;
    let valid = year > 0 && (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month);
    Some((valid.then(|| days_from_civil(Civil { year, month, day })), rest))
}

/// `hh:mm[:ss[.ffffff]]` at the front, in microseconds.
fn leading_time(text: &str) -> Option<Part<'_>> {
    let (hour, rest) = digits(text, 2)?;
    let (minute, mut rest) = digits(rest.strip_prefix(':')?, 2)?;
    let mut second = 0;
    let mut micros = 0;
    if let Some(tail) = rest.strip_prefix(':') {
        (second, rest) = digits(tail, 2)?;
        if let Some(tail) = rest.strip_prefix('.') {
            let length = tail.bytes().take_while(u8::is_ascii_digit).count();
            if length == 0 || length > MAX_PRECISION as usize {
                return None;
            }
            let (value, tail) = digits(tail, length)?;
            micros = value * 10i64.pow(MAX_PRECISION as u32 - length as u32);
            rest = tail;
        }
    }
    // Second 60 and hour 24 are legal in places; Postgres knows which.
    if hour == 24 || second == 60 {
        return None;
    }
    let valid = hour < 24 && minute < 60 && second < 60;
    let time = hour * MICROS_PER_HOUR + minute * MICROS_PER_MINUTE + second * MICROS_PER_SECOND + micros;
    Some((valid.then_some(time), rest))
}

/// Offset east of UTC in microseconds: `Z`, `±hh`, `±hh:mm`, `±hhmm`, to the end of the text.
fn offset(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let (hour, rest) = digits(rest, 2)?;
    let minute = match rest {
        "" => 0,
        _ => match digits(rest.strip_prefix(':').unwrap_or(rest), 2)? {
            (minute, "") => minute,
            _ => return None,
        },
    };
    // `MAX_TZDISP_HOUR`; beyond it Postgres raises an error of its own.
    (hour <= 15 && minute <= 59).then_some(sign * (hour * MICROS_PER_HOUR + minute * MICROS_PER_MINUTE))
}

/// `date_in`.
pub(super) fn date(text: &str) -> Result<i32, EvalError> {
    match trim(text) {
        "infinity" => Ok(i32::MAX),
        "-infinity" => Ok(i32::MIN),
        body => match leading_date(body) {
            Some((days, "")) => days.map(|days| days as i32).ok_or_else(|| field_out_of_range(text)),
            _ => Err(unusual("date")),
        },
    }
}

/// `time_in`, with the fraction rounded to the typmod.
pub(super) fn time(text: &str, typmod: i32) -> Result<i64, EvalError> {
    match leading_time(trim(text)) {
        Some((time, "")) => time.map(|time| round_to_precision(time, typmod)).ok_or_else(|| field_out_of_range(text)),
        _ => Err(unusual("time")),
    }
}

/// Date and time, in microseconds, and what follows them; a bare date is midnight.
fn local(text: &str) -> Option<Part<'_>> {
    let (days, rest) = leading_date(text)?;
    let midnight = days.map(|days| days * MICROS_PER_DAY);
    if rest.is_empty() {
        return Some((midnight, rest));
    }
    let (time, rest) = leading_time(rest.strip_prefix([' ', 'T'])?)?;
    Some((midnight.zip(time).map(|(midnight, time)| midnight + time), rest))
}

/// `timestamp_in`. A zone is left to Postgres (it would ignore it).
pub(super) fn timestamp(text: &str, typmod: i32) -> Result<i64, EvalError> {
    match trim(text) {
        "infinity" => Ok(i64::MAX),
        "-infinity" => Ok(i64::MIN),
        body => match local(body) {
            Some((micros, "")) => {
                micros.map(|micros| round_to_precision(micros, typmod)).ok_or_else(|| field_out_of_range(text))
            }
            _ => Err(unusual("timestamp")),
        },
    }
}

/// `timestamptz_in`: without an offset the time is local to the session's zone.
pub(super) fn timestamptz(text: &str, typmod: i32, time_zone: &str) -> Result<i64, EvalError> {
    let unusual = || unusual("timestamp with time zone");
    match trim(text) {
        "infinity" => Ok(i64::MAX),
        "-infinity" => Ok(i64::MIN),
        body => {
            let (micros, rest) = local(body).ok_or_else(unusual)?;
            let offset = if rest.is_empty() { None } else { Some(offset(rest).ok_or_else(unusual)?) };
            let micros = micros.ok_or_else(|| field_out_of_range(text))?;
            let utc = match offset {
                Some(offset) => micros - offset,
                None => Zone::named(time_zone)
                    .ok_or_else(|| EvalError::unsupported(format!("time zone {time_zone:?} is not known")))?
                    .to_utc(micros)
                    .ok_or_else(unusual)?,
            };
            Ok(round_to_precision(utc, typmod))
        }
    }
}

/// `AdjustTimestampForTypmod`: half away from zero.
pub(crate) fn round_to_precision(micros: i64, typmod: i32) -> i64 {
    if !(0..MAX_PRECISION).contains(&typmod) {
        return micros;
    }
    let unit = 10i64.pow((MAX_PRECISION - typmod) as u32);
    let half = unit / 2;
    if micros >= 0 { (micros + half) / unit * unit } else { -((-micros + half) / unit * unit) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_forms() {
        assert_eq!(date("2000-01-02"), Ok(1));
        assert_eq!(timestamp("2000-01-01 00:00:01.5", -1), Ok(1_500_000));
        assert_eq!(timestamp("2000-01-01T00:01", -1), Ok(60_000_000));
        assert_eq!(timestamptz("2000-01-01 02:00:00+02", -1, "Asia/Tokyo"), Ok(0));
        assert_eq!(timestamptz("2000-01-01 09:00:00", -1, "Asia/Tokyo"), Ok(0));
        assert_eq!(timestamp("2000-01-01 00:00:00.05", 1), Ok(100_000));
    }

    #[test]
    fn no_such_day_and_other_forms() {
        assert_eq!(date("2023-02-29").unwrap_err().sqlstate, "22008");
        assert!(date("1/2/2024").unwrap_err().is_unsupported());
        assert!(date("today").unwrap_err().is_unsupported());
        assert!(timestamp("2024-01-01 24:00:00", -1).unwrap_err().is_unsupported());
    }
}
