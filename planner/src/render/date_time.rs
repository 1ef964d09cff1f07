//! Dates and times in ISO style (`EncodeDateOnly`, `EncodeTimeOnly`, `EncodeDateTime`).

use super::{Unrenderable, infallible};
use crate::datetime::{Clock, Zone, civil_from_days, split_timestamp};
use std::io::Write;

/// Two digits.
fn pair(value: i64, out: &mut Vec<u8>) {
    out.push(b'0' + (value / 10) as u8);
    out.push(b'0' + (value % 10) as u8);
}

/// Year, month, day; the era follows at the very end of the whole text.
fn day(days: i64, out: &mut Vec<u8>) -> &'static [u8] {
    let civil = civil_from_days(days);
    let (year, era): (i64, &[u8]) = if civil.year > 0 { (civil.year, b"") } else { (1 - civil.year, b" BC") };
    if year < 10_000 {
        pair(year / 100, out);
        pair(year % 100, out);
    } else {
        infallible(write!(out, "{year}"));
    }
    out.push(b'-');
    pair(civil.month, out);
    out.push(b'-');
    pair(civil.day, out);
    era
}

/// Fraction of a second without trailing zeros (`AppendSeconds`).
pub(super) fn fraction(micros: i64, out: &mut Vec<u8>) {
    if micros == 0 {
        return;
    }
    out.push(b'.');
    let mut rest = micros.unsigned_abs();
    let mut unit = 100_000;
    while rest > 0 {
        out.push(b'0' + (rest / unit) as u8);
        rest %= unit;
        unit /= 10;
    }
}

/// `date_out`.
pub(super) fn date(days: i32, out: &mut Vec<u8>) {
    match days {
        i32::MIN => out.extend_from_slice(b"-infinity"),
        i32::MAX => out.extend_from_slice(b"infinity"),
        _ => {
            let era = day(days as i64, out);
            out.extend_from_slice(era);
        }
    }
}

/// `time_out`.
pub(super) fn time(micros: i64, out: &mut Vec<u8>) {
    let clock = Clock::from_micros(micros);
    pair(clock.hour, out);
    out.push(b':');
    pair(clock.minute, out);
    out.push(b':');
    pair(clock.second, out);
    fraction(clock.micros, out);
}

fn infinity(micros: i64, out: &mut Vec<u8>) -> bool {
    match micros {
        i64::MIN => out.extend_from_slice(b"-infinity"),
        i64::MAX => out.extend_from_slice(b"infinity"),
        _ => return false,
    }
    true
}

/// `timestamp_out`.
pub(super) fn timestamp(micros: i64, out: &mut Vec<u8>) {
    if infinity(micros, out) {
        return;
    }
    let (days, clock) = split_timestamp(micros);
    let era = day(days, out);
    out.push(b' ');
    time(clock, out);
    out.extend_from_slice(era);
}

/// `timestamptz_out`: local time with the offset in hours, minutes and seconds as far as they are not zero.
pub(super) fn timestamptz(micros: i64, zone: &Zone, out: &mut Vec<u8>) -> Result<(), Unrenderable> {
    if infinity(micros, out) {
        return Ok(());
    }
    let offset = zone.offset_at(micros).ok_or(Unrenderable::TimestampRange)?;
    let local = zone.to_local(micros).ok_or(Unrenderable::TimestampRange)?;
    let (days, clock) = split_timestamp(local);
    let era = day(days, out);
    out.push(b' ');
    time(clock, out);
    east(i64::from(offset), out);
    out.extend_from_slice(era);
    Ok(())
}

/// `timetz_out`: a time of day and seconds west of Greenwich.
pub(super) fn timetz(micros: i64, west: i32, out: &mut Vec<u8>) {
    time(micros, out);
    east(-i64::from(west), out);
}

/// Seconds east of Greenwich (`EncodeTimezone`).
fn east(offset: i64, out: &mut Vec<u8>) {
    out.push(if offset < 0 { b'-' } else { b'+' });
    let seconds = offset.abs();
    pair(seconds / 3600, out);
    if seconds % 3600 != 0 {
        out.push(b':');
        pair(seconds % 3600 / 60, out);
    }
    if seconds % 60 != 0 {
        out.push(b':');
        pair(seconds % 60, out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::text;
    use crate::settings::Settings;
    use crate::types::oid;
    use crate::value::Value;

    #[test]
    fn iso_forms() {
        let settings = Settings::default();
        assert_eq!(text(Value::Timestamp(0), oid::TIMESTAMP, &settings), "2000-01-01 00:00:00");
        assert_eq!(text(Value::Timestamp(-1), oid::TIMESTAMP, &settings), "1999-12-31 23:59:59.999999");
        assert_eq!(text(Value::Timestamp(120_000), oid::TIMESTAMP, &settings), "2000-01-01 00:00:00.12");
        assert_eq!(text(Value::Date(crate::datetime::MIN_DATE), oid::DATE, &settings), "4714-11-24 BC");
        assert_eq!(text(Value::Time(86_400_000_000), oid::TIME, &settings), "24:00:00");
    }

    #[test]
    fn offsets() {
        let zoned = |zone: &str| Settings { time_zone: zone.into(), ..Settings::default() };
        let at = |zone: &str, v| text(Value::TimestampTz(v), oid::TIMESTAMPTZ, &zoned(zone));
        assert_eq!(at("UTC", 0), "2000-01-01 00:00:00+00");
        assert_eq!(at("Asia/Kolkata", 0), "2000-01-01 05:30:00+05:30");
        assert_eq!(at("America/New_York", 0), "1999-12-31 19:00:00-05");
        // Liberia kept seconds in its offset until 1972.
        assert_eq!(at("Africa/Monrovia", -18_262 * 86_400_000_000), "1949-12-31 23:15:30-00:44:30");
        assert_eq!(at("UTC", i64::MAX), "infinity");
    }
}
