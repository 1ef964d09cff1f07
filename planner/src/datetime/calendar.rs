//! Days to year, month, day and back; microseconds to hours, minutes, seconds and back.

use super::{MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND, UNIX_EPOCH_DAYS};

/// A calendar day. Years are astronomical: 0 is 1 BC, -1 is 2 BC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
}

/// Days from 1 March of year 0 to 1970-01-01.
const MARCH_EPOCH: i64 = 719_468;
/// Days in 400 years.
const DAYS_PER_ERA: i64 = 146_097;

/// Days since 2000-01-01 of a day. Months and days out of range are the caller's concern.
pub fn days_from_civil(civil: Civil) -> i64 {
    // Counting years from March puts the leap day last.
    let year = if civil.month <= 2 { civil.year - 1 } else { civil.year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month = (civil.month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + civil.day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_PER_ERA + day_of_era - MARCH_EPOCH - UNIX_EPOCH_DAYS
}

/// The day that is so many days after 2000-01-01.
pub fn civil_from_days(days: i64) -> Civil {
    let shifted = days + UNIX_EPOCH_DAYS + MARCH_EPOCH;
    let era = shifted.div_euclid(DAYS_PER_ERA);
    let day_of_era = shifted.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Civil { year, month, day: day_of_year - (153 * shifted_month + 2) / 5 + 1 }
}

pub fn is_leap_year(year: i64) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

/// Days in a month of an astronomical year; `month` is 1 to 12.
pub fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap_year(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A time of day in fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub micros: i64,
}

impl Clock {
    /// Fields of a number of microseconds; all have its sign.
    #[inline]
    pub fn from_micros(time: i64) -> Clock {
        let (hour, rest) = (time / MICROS_PER_HOUR, time % MICROS_PER_HOUR);
        let (minute, rest) = (rest / MICROS_PER_MINUTE, rest % MICROS_PER_MINUTE);
        Clock { hour, minute, second: rest / MICROS_PER_SECOND, micros: rest % MICROS_PER_SECOND }
    }

    pub fn to_micros(self) -> i64 {
        self.hour * MICROS_PER_HOUR + self.minute * MICROS_PER_MINUTE + self.second * MICROS_PER_SECOND + self.micros
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_back() {
        assert_eq!(days_from_civil(Civil { year: 2000, month: 1, day: 1 }), 0);
        assert_eq!(days_from_civil(Civil { year: 1970, month: 1, day: 1 }), -UNIX_EPOCH_DAYS);
        assert_eq!(days_from_civil(Civil { year: -4713, month: 11, day: 24 }), super::super::MIN_DATE as i64);
        assert_eq!(days_from_civil(Civil { year: 5_874_898, month: 1, day: 1 }), super::super::END_DATE as i64);
        let mut days = super::super::MIN_DATE as i64;
        while days < 4_000_000 {
            assert_eq!(days_from_civil(civil_from_days(days)), days);
            days += 13;
        }
    }
}
