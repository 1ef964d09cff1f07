//! When a stream table is due: the `schedule` and `refresh_tier` columns as the scheduler uses them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use weir_planner::datetime::civil_from_days;

/// Seconds from 1970-01-01 to 2000-01-01, where the planner's days begin.
const EPOCH_2000: u64 = 946_684_800;
const SECONDS_PER_DAY: i64 = 86_400;
/// Every day that an expression can mean comes within so many days: 29 February on a given weekday, at most 40 years.
const HORIZON_DAYS: i64 = 40 * 366;

/// How often a table is refreshed by the scheduler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Whenever what it reads has changed.
    Calculated,
    /// Every so often; the tier's factor is in it.
    Every(Duration),
    Cron(Cron),
    /// Tier `frozen`, or an expression that means no day at all.
    Never,
}

impl Schedule {
    /// From the catalog: the text, its milliseconds when it is a duration, and the tier's factor (None: frozen). The text was
    /// checked when it was written.
    pub fn from_catalog(text: Option<&str>, milliseconds: Option<i64>, factor: Option<i32>) -> Schedule {
        let Some(factor) = factor else { return Schedule::Never };
        match (text, milliseconds) {
            (None, _) => Schedule::Calculated,
            (_, Some(milliseconds)) => {
                let factor = u64::from(factor.unsigned_abs());
                Schedule::Every(Duration::from_millis(milliseconds.unsigned_abs().saturating_mul(factor)))
            }
            (Some(text), None) => Cron::parse(text).map_or(Schedule::Never, Schedule::Cron),
        }
    }
}

/// A cron expression in UTC: five fields, six with the second in front, or an alias. As in Vixie cron, a day matches either
/// of day of month and day of week when both are restricted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    // Bit n: the value n is meant.
    seconds: u64,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    either_day: bool,
}

impl Cron {
    /// None: it is no such expression.
    pub fn parse(text: &str) -> Option<Cron> {
        let text = match text.trim().to_ascii_lowercase().as_str() {
            "@hourly" => "0 * * * *".to_owned(),
            "@daily" | "@midnight" => "0 0 * * *".to_owned(),
            "@weekly" => "0 0 * * 0".to_owned(),
            "@monthly" => "0 0 1 * *".to_owned(),
            "@yearly" | "@annually" => "0 0 1 1 *".to_owned(),
            other => other.to_owned(),
        };
        let mut fields: Vec<&str> = text.split_ascii_whitespace().collect();
        if fields.len() == 5 {
            fields.insert(0, "0");
        }
        let [second, minute, hour, day, month, weekday] = fields[..] else { return None };
        const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
        const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
        let weekdays = field(weekday, 0, 7, &WEEKDAYS, 0)?;
        Some(Cron {
            seconds: field(second, 0, 59, &[], 0)?,
            minutes: field(minute, 0, 59, &[], 0)?,
            hours: field(hour, 0, 23, &[], 0)?,
            days: field(day, 1, 31, &[], 0)?,
            months: field(month, 1, 12, &MONTHS, 1)?,
            // Sunday is 0 and 7.
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            either_day: !day.starts_with('*') && !weekday.starts_with('*'),
        })
    }

    /// The first moment after `now` that it means; None when there is none.
    pub fn next_after(&self, now: SystemTime) -> Option<SystemTime> {
        let unix = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let after = i64::try_from(unix).ok()? - EPOCH_2000 as i64;
        let next = self.next_second(after)?;
        Some(UNIX_EPOCH + Duration::from_secs(u64::try_from(next + EPOCH_2000 as i64).ok()?))
    }

    /// Both in seconds since 2000-01-01.
    fn next_second(&self, after: i64) -> Option<i64> {
        let earliest = after + 1;
        let first_day = earliest.div_euclid(SECONDS_PER_DAY);
        for day in first_day..first_day + HORIZON_DAYS {
            if !self.means_day(day) {
                continue;
            }
            let from = if day == first_day { earliest.rem_euclid(SECONDS_PER_DAY) } else { 0 };
            if let Some(second) = self.second_of_day(from) {
                return Some(day * SECONDS_PER_DAY + second);
            }
        }
        None
    }

    fn means_day(&self, day: i64) -> bool {
        /// 2000-01-01 was a Saturday.
        const FIRST_WEEKDAY: i64 = 6;
        let civil = civil_from_days(day);
        let in_month = self.days >> civil.day & 1 == 1;
        let in_week = self.weekdays >> (day + FIRST_WEEKDAY).rem_euclid(7) & 1 == 1;
        self.months >> civil.month & 1 == 1 && if self.either_day { in_month || in_week } else { in_month && in_week }
    }

    /// The first second of a day, at or after `from`.
    fn second_of_day(&self, from: i64) -> Option<i64> {
        let (hour, minute, second) = (from / 3_600, from / 60 % 60, from % 60);
        let at_or_after = |mask: u64, least: i64| (least..60).find(|value| mask >> value & 1 == 1);
        if self.hours >> hour & 1 == 1 {
            if self.minutes >> minute & 1 == 1
                && let Some(second) = at_or_after(self.seconds, second)
            {
                return Some(hour * 3_600 + minute * 60 + second);
            }
            if let Some(minute) = at_or_after(self.minutes, minute + 1) {
                return Some(hour * 3_600 + minute * 60 + at_or_after(self.seconds, 0)?);
            }
        }
        let hour = at_or_after(self.hours, hour + 1)?;
        Some(hour * 3_600 + at_or_after(self.minutes, 0)? * 60 + at_or_after(self.seconds, 0)?)
    }
}

/// Lists of `*`, `n`, `a-b`, each with `/step`; names count from `first_name`.
fn field(text: &str, lowest: u64, highest: u64, names: &[&str], first_name: u64) -> Option<u64> {
    let number = |text: &str| -> Option<u64> {
        match names.iter().position(|name| *name == text) {
            Some(index) => Some(first_name + index as u64),
            None => text.parse().ok(),
        }
    };
    let mut mask = 0;
    for item in text.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<usize>().ok().filter(|step| *step > 0)?)),
            None => (item, None),
        };
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (number(from)?, number(to)?),
            None if range == "*" => (lowest, highest),
            // `5/10`: from 5 on.
            None => (number(range)?, if step.is_some() { highest } else { number(range)? }),
        };
        if from < lowest || to > highest || from > to {
            return None;
        }
        for value in (from..=to).step_by(step.unwrap_or(1)) {
            mask |= 1 << value;
        }
    }
    Some(mask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_planner::datetime::{Civil, days_from_civil};

    fn at(text: &str) -> i64 {
        let numbers: Vec<i64> =
            text.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().expect("a number")).collect();
        let day = days_from_civil(Civil { year: numbers[0], month: numbers[1], day: numbers[2] });
        day * SECONDS_PER_DAY + numbers[3] * 3_600 + numbers[4] * 60 + numbers[5]
    }

    #[test]
    fn the_next_moment_is_the_first_one_meant() {
        for (expression, after, expected) in [
            ("*/5 * * * *", "2024-03-10 23:58:30", "2024-03-11 00:00:00"),
            ("* * * * *", "2024-03-10 23:58:00", "2024-03-10 23:59:00"),
            ("*/10 * * * * *", "2024-03-10 23:59:50", "2024-03-11 00:00:00"),
            ("30 15 10 * * *", "2024-03-10 10:15:29", "2024-03-10 10:15:30"),
            ("30 15 10 * * *", "2024-03-10 10:15:30", "2024-03-11 10:15:30"),
            ("0 0 29 2 *", "2024-02-29 00:00:00", "2028-02-29 00:00:00"),
            ("0 12 * * MON-FRI", "2024-03-08 12:00:00", "2024-03-11 12:00:00"),
            ("0 0 * * 7", "2024-03-05 01:00:00", "2024-03-10 00:00:00"),
            // The thirteenth, or a Friday.
            ("0 0 13 * 5", "2024-03-08 00:00:00", "2024-03-13 00:00:00"),
            ("0 0 13 * 5", "2024-03-13 00:00:00", "2024-03-15 00:00:00"),
            ("0 0 13 JAN *", "2024-03-13 00:00:00", "2025-01-13 00:00:00"),
            ("5/20,1 8-9 * * *", "2024-03-13 08:05:00", "2024-03-13 08:25:00"),
            ("5/20,1 8-9 * * *", "2024-03-13 08:45:00", "2024-03-13 09:01:00"),
            ("@hourly", "2024-12-31 23:00:00", "2025-01-01 00:00:00"),
            ("@Weekly", "2024-03-10 00:00:00", "2024-03-17 00:00:00"),
            ("@monthly", "2024-03-10 00:00:00", "2024-04-01 00:00:00"),
            ("@daily", "2024-03-10 00:00:00", "2024-03-11 00:00:00"),
        ] {
            let cron = Cron::parse(expression).unwrap_or_else(|| panic!("{expression} is not read"));
            assert_eq!(cron.next_second(at(after)), Some(at(expected)), "{expression} after {after}");
        }
        let never = Cron::parse("0 0 30 2 *").expect("well-formed");
        assert_eq!(never.next_second(0), None);
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in [
            "",
            "* * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "5-1 * * * *",
            "*/0 * * * *",
            "@often",
            "a * * * *",
        ] {
            assert_eq!(Cron::parse(text), None, "{text}");
        }
    }

    #[test]
    fn tiers_stretch_durations_only() {
        let second = Duration::from_secs(1);
        assert_eq!(Schedule::from_catalog(Some("1s"), Some(1_000), Some(10)), Schedule::Every(second * 10));
        assert_eq!(Schedule::from_catalog(None, None, Some(10)), Schedule::Calculated);
        assert_eq!(Schedule::from_catalog(Some("1s"), Some(1_000), None), Schedule::Never);
        assert!(matches!(Schedule::from_catalog(Some("@daily"), None, Some(2)), Schedule::Cron(_)));
    }
}
