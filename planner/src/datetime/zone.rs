//! Time zones by name, from the system's tz database: the one Postgres reads, too.

use super::{MICROS_PER_SECOND, UNIX_EPOCH_SECONDS, is_valid_timestamp};
use jiff::tz::{AmbiguousOffset, TimeZone};
use std::cell::RefCell;

/// A resolved `TimeZone` setting.
#[derive(Clone, Debug)]
pub struct Zone {
    zone: TimeZone,
    /// Seconds east of UTC, where that never changes.
    fixed: Option<i32>,
}

thread_local! {
    /// The zone last asked for: a session, and a plan, has one.
    static LAST: RefCell<Option<(String, Option<Zone>)>> = const { RefCell::new(None) };
}

impl Zone {
    /// The zone of that name as `SHOW TimeZone` spells it; `None` where it is not in the tz database and not a
    /// fixed offset (`<+02>-02`).
    pub fn named(name: &str) -> Option<Zone> {
        LAST.with_borrow_mut(|last| {
            if let Some((known, zone)) = last
                && known == name
            {
                return zone.clone();
            }
            let zone = Zone::resolve(name);
            *last = Some((name.to_owned(), zone.clone()));
            zone
        })
    }

    fn resolve(name: &str) -> Option<Zone> {
        if name.starts_with('<') {
            // What `SET TIME ZONE 2` leaves; forms with daylight rules are read differently by Postgres.
            let zone = TimeZone::posix(name).ok().filter(|_| !name.contains(','))?;
            let fixed = Some(zone.to_offset(jiff::Timestamp::UNIX_EPOCH).seconds());
            return Some(Zone { zone, fixed });
        }
        let zone = TimeZone::get(name).ok()?;
        let fixed = zone.to_fixed_offset().ok().map(|offset| offset.seconds());
        Some(Zone { zone, fixed })
    }

    /// Seconds east of UTC at an instant (microseconds since 2000-01-01 UTC); `None` beyond the years the tz
    /// library covers.
    pub fn offset_at(&self, micros: i64) -> Option<i32> {
        if self.fixed.is_some() {
            return self.fixed;
        }
        let instant = jiff::Timestamp::from_second(micros.div_euclid(MICROS_PER_SECOND) + UNIX_EPOCH_SECONDS).ok()?;
        Some(self.zone.to_offset(instant).seconds())
    }

    /// The instants around this one at which the zone has the same offset: from the first up to, not including, the
    /// second, in microseconds since 2000-01-01 UTC. `None` where [`Zone::offset_at`] is.
    pub fn steady_instants(&self, micros: i64) -> Option<(i64, i64)> {
        if self.fixed.is_some() {
            return Some((i64::MIN, i64::MAX));
        }
        let [before, after] = self.transitions(micros, 1)?;
        Some((before.first().map_or(i64::MIN, |(at, ..)| *at), after.first().map_or(i64::MAX, |(at, ..)| *at)))
    }

    /// The local times around this one, within which [`Zone::to_utc`] is a constant shift. It is none only at the local
    /// times a transition leaves and enters.
    pub fn steady_locals(&self, local: i64) -> Option<(i64, i64)> {
        /// Offsets are shorter than a day, and no zone changes three times within a few days.
        const TRANSITIONS: usize = 3;
        if self.fixed.is_some() {
            return Some((i64::MIN, i64::MAX));
        }
        let (mut from, mut until) = (i64::MIN, i64::MAX);
        for (at, old, new) in self.transitions(local, TRANSITIONS)?.into_iter().flatten() {
            for edge in [old, new].map(|offset| at.saturating_add(offset as i64 * MICROS_PER_SECOND)) {
                if edge <= local {
                    from = from.max(edge);
                } else {
                    until = until.min(edge);
                }
            }
        }
        Some((from, until))
    }

    /// So many changes of the offset up to and with an instant, latest first, and after it: when, and the offsets before
    /// and after.
    fn transitions(&self, micros: i64, count: usize) -> Option<[Vec<(i64, i32, i32)>; 2]> {
        let seconds = micros.div_euclid(MICROS_PER_SECOND) + UNIX_EPOCH_SECONDS;
        let instant = jiff::Timestamp::from_second(seconds).ok()?;
        let step = |at: jiff::Timestamp| {
            // Changes of the abbreviation alone stand among them: they do no harm.
            let micros = (at.as_second() - UNIX_EPOCH_SECONDS).checked_mul(MICROS_PER_SECOND)?;
            let before = self.zone.to_offset(at.checked_sub(jiff::SignedDuration::from_nanos(1)).ok()?).seconds();
            Some((micros, before, self.zone.to_offset(at).seconds()))
        };
        // What stands at the instant itself has happened.
        let next = instant.checked_add(jiff::SignedDuration::from_nanos(1)).ok()?;
        let before = self.zone.preceding(next).take(count).map(|t| step(t.timestamp())).collect::<Option<_>>()?;
        let after = self.zone.following(instant).take(count).map(|t| step(t.timestamp())).collect::<Option<_>>()?;
        Some([before, after])
    }

    /// As [`Self::offset_at`], with what the zone calls that time (`CEST`).
    pub fn offset_and_name(&self, micros: i64) -> Option<(i32, String)> {
        let seconds = micros.div_euclid(MICROS_PER_SECOND) + UNIX_EPOCH_SECONDS;
        let info = self.zone.to_offset_info(jiff::Timestamp::from_second(seconds).ok()?);
        Some((info.offset().seconds(), info.abbreviation().to_owned()))
    }

    /// Local time of an instant, in microseconds since 2000-01-01 00:00 local.
    pub fn to_local(&self, micros: i64) -> Option<i64> {
        micros.checked_add(self.offset_at(micros)? as i64 * MICROS_PER_SECOND)
    }

    /// The instant of a local time. In a gap the offset before it is used, in an overlap the offset after it
    /// (`DetermineTimeZoneOffset`).
    pub fn to_utc(&self, local: i64) -> Option<i64> {
        let offset = match self.fixed {
            Some(offset) => offset,
            None => {
                let seconds = local.div_euclid(MICROS_PER_SECOND) + UNIX_EPOCH_SECONDS;
                let local = jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::from_second(seconds).ok()?);
                match self.zone.to_ambiguous_timestamp(local).offset() {
                    AmbiguousOffset::Unambiguous { offset } => offset.seconds(),
                    AmbiguousOffset::Gap { before, .. } => before.seconds(),
                    AmbiguousOffset::Fold { after, .. } => after.seconds(),
                }
            }
        };
        let utc = local.checked_sub(offset as i64 * MICROS_PER_SECOND)?;
        is_valid_timestamp(utc).then_some(utc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datetime::{Civil, MICROS_PER_DAY, MICROS_PER_HOUR, days_from_civil};

    #[test]
    fn gaps_and_overlaps() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let at = |month, day, minutes: i64| {
            days_from_civil(Civil { year: 2024, month, day }) * MICROS_PER_DAY + minutes * 60 * MICROS_PER_SECOND
        };
        // 02:30 does not exist on 31 March: read as +01, that is 01:30 UTC.
        assert_eq!(berlin.to_utc(at(3, 31, 150)), Some(at(3, 31, 90)));
        // 02:30 exists twice on 27 October: the later, +01.
        assert_eq!(berlin.to_utc(at(10, 27, 150)), Some(at(10, 27, 90)));
        assert_eq!(berlin.offset_at(at(7, 1, 0)), Some(7200));
        assert!(Zone::named("Nowhere/Land").is_none());
        assert_eq!(Zone::named("<+02>-02").unwrap().to_utc(0), Some(-2 * MICROS_PER_HOUR));
    }
}
