//! Fields of timestamps and intervals as a template writes them (`DCH_to_char`).

use super::date_template::{Case, Field, FieldNode, Node};
use super::ordinal;
use crate::datetime::{Civil, Clock, EPOCH_JULIAN_DAY, civil_from_days, days_from_civil, split_timestamp};
use crate::functions::extract::{iso_week, iso_year_start, shown_year};
use crate::value::{EvalError, Interval};
use std::fmt::Write;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ROMAN: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];
/// Letters of a name's short form.
const SHORT: usize = 3;
/// Characters of the longest name of a day or month.
const LONGEST_NAME: usize = 9;
const SECONDS_PER_HOUR: i32 = 3600;

/// What is written: the fields of a timestamp, or those of an interval.
pub(super) struct Moment {
    /// Days since 2000-01-01; none of an interval.
    days: Option<i64>,
    /// Astronomical, or an interval's years.
    year: i64,
    month: i64,
    day: i64,
    /// An interval's may be more than 24 or negative.
    clock: Clock,
    /// Counted from 1, or an interval's days where a month has 30.
    day_of_year: i64,
    /// Seconds east of UTC, and what the zone calls that.
    offset: i32,
    zone: String,
}

impl Moment {
    /// A local timestamp that is not infinite.
    pub(super) fn of_timestamp(local: i64, offset: i32, zone: String) -> Moment {
        let (days, time) = split_timestamp(local);
        let Civil { year, month, day } = civil_from_days(days);
        let day_of_year = days - days_from_civil(Civil { year, month: 1, day: 1 }) + 1;
        Moment { days: Some(days), year, month, day, clock: Clock::from_micros(time), day_of_year, offset, zone }
    }

    pub(super) fn of_interval(interval: &Interval) -> Moment {
        let (months, day) = (interval.months as i64, interval.days as i64);
        Moment {
            days: None,
            year: months / 12,
            month: months % 12,
            day,
            clock: Clock::from_micros(interval.micros),
            day_of_year: months * 30 + day,
            offset: 0,
            zone: String::new(),
        }
    }

    /// The day since 2000-01-01; an interval has none.
    fn date(&self) -> Result<i64, EvalError> {
        self.days.ok_or_else(|| EvalError::new("22007", "invalid format specification for an interval value"))
    }

    /// Fields that Postgres reckons from an interval's parts as if they were a date's.
    fn pretended_date(&self) -> Result<i64, EvalError> {
        self.days.ok_or_else(|| EvalError::unsupported("to_char of an interval by ISO week or Julian day"))
    }

    /// The year as it is shown: of a date, without a year zero and without a sign.
    fn shown_year(&self, astronomical: i64) -> i64 {
        if self.days.is_some() { shown_year(astronomical).abs() } else { astronomical }
    }

    fn iso_year(&self) -> Result<i64, EvalError> {
        Ok(self.shown_year(iso_week(self.pretended_date()?).0))
    }

    fn is_afternoon(&self) -> bool {
        self.clock.hour % 24 >= 12
    }
}

/// The moment by the template.
pub(super) fn write(template: &[Node], moment: &Moment) -> Result<String, EvalError> {
    let mut out = String::new();
    for node in template {
        match node {
            Node::Separator(c) | Node::Space(c) | Node::Text(c) => out.push(*c),
            Node::Field(node) => write_field(node, moment, &mut out)?,
        }
    }
    Ok(out)
}

/// A number that Postgres reckons in 32 bits.
fn narrow(number: i64) -> Result<i64, EvalError> {
    i32::try_from(number).map(i64::from).map_err(|_| EvalError::unsupported("to_char of so long an interval"))
}

fn write_field(node: &FieldNode, moment: &Moment, out: &mut String) -> Result<(), EvalError> {
    let start = out.len();
    // With a sign, a number is one character wider.
    let mut padded = |number: i64, width: usize| {
        let width = if node.fill { 0 } else { width + usize::from(number < 0) };
        write!(out, "{number:0width$}").expect("a string can be written to");
    };
    let clock = moment.clock;
    match node.field {
        Field::Hour24 => padded(clock.hour, 2),
        Field::Hour12 => {
            let hour = clock.hour % 12;
            // The width is chosen by the sign of the hours, not by that of what is left of them.
            let width = if node.fill { 0 } else { 2 + usize::from(clock.hour < 0) };
            write!(out, "{:0width$}", if hour == 0 { 12 } else { hour }).expect("a string can be written to");
        }
        Field::Minute => padded(clock.minute, 2),
        Field::Second => padded(clock.second, 2),
        Field::Fraction(digits) => fraction(clock.micros, digits as usize, out),
        Field::Milliseconds => fraction(clock.micros, 3, out),
        Field::Microseconds => fraction(clock.micros, 6, out),
        Field::SecondsOfDay => {
            let seconds = clock.hour * i64::from(SECONDS_PER_HOUR) + clock.minute * 60 + clock.second;
            write!(out, "{}", narrow(seconds)?).expect("a string can be written to");
        }
        Field::Month => padded(moment.month, 2),
        Field::DayOfMonth => {
            let width = if node.fill { 0 } else { 2 };
            write!(out, "{:0width$}", moment.day).expect("a string can be written to");
        }
        Field::DayOfYear => {
            let width = if node.fill { 0 } else { 3 };
            write!(out, "{:0width$}", narrow(moment.day_of_year)?).expect("a string can be written to");
        }
        Field::IsoDayOfYear => {
            let days = moment.pretended_date()?;
            padded(days - iso_year_start(iso_week(days).0) + 1, 3);
        }
        Field::DayOfWeek => padded(day_of_week(moment.date()?) as i64 + 1, 1),
        Field::IsoDay => {
            let day = day_of_week(moment.date()?) as i64;
            padded(if day == 0 { 7 } else { day }, 1);
        }
        Field::Week => {
            let width = if node.fill { 0 } else { 2 };
            write!(out, "{:0width$}", narrow(moment.day_of_year - 1)? / 7 + 1).expect("a string can be written to");
        }
        Field::IsoWeek => padded(iso_week(moment.pretended_date()?).1, 2),
        Field::WeekOfMonth => padded(narrow(moment.day - 1)? / 7 + 1, 1),
        Field::Quarter if moment.month == 0 => return Ok(()),
        Field::Quarter => padded((moment.month - 1) / 3 + 1, 1),
        Field::Century => {
            let year = moment.year;
            let century = match moment.days {
                None => year / 100,
                Some(_) if year > 0 => (year - 1) / 100 + 1,
                Some(_) => year / 100 - 1,
            };
            padded(century, 2);
        }
        Field::YearWithComma => {
            let year = moment.shown_year(moment.year);
            write!(out, "{},{:03}", year / 1000, year % 1000).expect("a string can be written to");
        }
        Field::Year(digits) => years(node, moment, moment.shown_year(moment.year), digits, out),
        Field::IsoYear(digits) => years(node, moment, moment.iso_year()?, digits, out),
        Field::Julian => padded(moment.pretended_date()? + EPOCH_JULIAN_DAY, 1),
        _ => return write_word(node, moment, out),
    }
    if let Some(upper) = node.ordinal {
        let end = ordinal(&out.as_bytes()[start..], upper);
        out.push_str(end);
    }
    Ok(())
}

/// The last digits of a year. The width is chosen by the sign of the year whole.
fn years(node: &FieldNode, moment: &Moment, year: i64, digits: usize, out: &mut String) {
    let signed = usize::from(moment.shown_year(moment.year) < 0);
    let (kept, width) = match digits {
        4 => (year, 4 + signed),
        3 => (year % 1000, 3 + signed),
        2 => (year % 100, 2 + signed),
        _ => (year % 10, 1),
    };
    let width = if node.fill { 0 } else { width };
    write!(out, "{kept:0width$}").expect("a string can be written to");
}

/// The first digits of the microseconds.
fn fraction(micros: i64, digits: usize, out: &mut String) {
    write!(out, "{:0digits$}", micros / 10i64.pow(6 - digits as u32)).expect("a string can be written to");
}

/// 0 is Sunday: 2000-01-01 was a Saturday.
fn day_of_week(days: i64) -> usize {
    (days + 6).rem_euclid(7) as usize
}

/// Fields that are words or have no ordinal.
fn write_word(node: &FieldNode, moment: &Moment, out: &mut String) -> Result<(), EvalError> {
    let name = |name: &str, case: Case, width: usize, out: &mut String| {
        if node.localized {
            return Err(EvalError::unsupported("to_char with TM"));
        }
        let name = match case {
            Case::Upper => name.to_ascii_uppercase(),
            Case::Capital => name.to_owned(),
            Case::Lower => name.to_ascii_lowercase(),
        };
        let width = if node.fill { 0 } else { width };
        write!(out, "{name:<width$}").expect("a string can be written to");
        Ok(())
    };
    let letters = |words: [&'static str; 2], upper: bool, points: bool, out: &mut String| {
        for letter in words[usize::from(upper)].chars() {
            out.push(letter);
            if points {
                out.push('.');
            }
        }
    };
    match node.field {
        Field::HalfDay { points, upper } => {
            let words = if moment.is_afternoon() { ["pm", "PM"] } else { ["am", "AM"] };
            letters(words, upper, points, out);
        }
        Field::Era { points, upper } => {
            moment.date()?;
            let words = if moment.year <= 0 { ["bc", "BC"] } else { ["ad", "AD"] };
            letters(words, upper, points, out);
        }
        Field::MonthName(case) => {
            moment.date()?;
            name(MONTHS[moment.month as usize - 1], case, LONGEST_NAME, out)?;
        }
        Field::ShortMonth(case) => {
            moment.date()?;
            name(&MONTHS[moment.month as usize - 1][..SHORT], case, 0, out)?;
        }
        Field::Day(case) => name(DAYS[day_of_week(moment.date()?)], case, LONGEST_NAME, out)?,
        Field::ShortDay(case) => name(&DAYS[day_of_week(moment.date()?)][..SHORT], case, 0, out)?,
        Field::Roman { .. } if moment.month == 0 && moment.year == 0 => {}
        Field::Roman { upper } => {
            // Months of an interval count back from December where they are negative; whole years are December.
            let month = match moment.month {
                0 if moment.year >= 0 => 12,
                0 => 1,
                month if month < 0 => 13 + month,
                month => month,
            };
            let width = if node.fill { 0 } else { 4 };
            let roman = ROMAN[month as usize - 1];
            let roman = if upper { roman.to_owned() } else { roman.to_ascii_lowercase() };
            write!(out, "{roman:<width$}").expect("a string can be written to");
        }
        Field::Zone { upper } => {
            moment.date()?;
            out.push_str(&if upper { moment.zone.clone() } else { moment.zone.to_ascii_lowercase() });
        }
        Field::ZoneHour | Field::ZoneMinute | Field::Offset => {
            moment.date()?;
            let seconds = moment.offset.abs();
            let (hours, minutes) = (seconds / SECONDS_PER_HOUR, seconds % SECONDS_PER_HOUR / 60);
            let sign = if moment.offset >= 0 { '+' } else { '-' };
            let width = if node.fill && node.field == Field::Offset { 0 } else { 2 };
            let written = match node.field {
                Field::ZoneHour => write!(out, "{sign}{hours:02}"),
                Field::ZoneMinute => write!(out, "{minutes:02}"),
                _ if seconds % SECONDS_PER_HOUR == 0 => write!(out, "{sign}{hours:0width$}"),
                _ => write!(out, "{sign}{hours:0width$}:{minutes:02}"),
            };
            written.expect("a string can be written to");
        }
        Field::ByVersion => return Err(EvalError::unsupported("of, tzh and tzm in lower case")),
        // FX asks for nothing here.
        _ => {}
    }
    Ok(())
}
