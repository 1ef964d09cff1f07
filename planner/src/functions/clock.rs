//! How an expression of `now()` and constants moves as the clock goes on: in pieces, within each of which it stands still or
//! runs with the clock. A function that is not known to do either has no pieces and is refused by name.

use super::time_unit::{Unit, unit};
use super::timestamp::{add_interval, negated};
use super::zone::{instant, local_of, named_zone, session_zone};
use crate::datetime::{MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND, Zone};
use crate::eval::{EvalContext, Tuple};
use crate::expr::Expr;
use crate::settings::SettingSet;
use crate::value::{Interval, Value};

/// An expression over a stretch of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// At the moment asked for.
    pub value: Value,
    pub course: Course,
    /// The clock's values for which this holds: from the first up to, not including, the second (microseconds since
    /// 2000-01-01 UTC).
    pub since: i64,
    pub until: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// The same value.
    Still,
    /// A timestamp that advances with the clock.
    Running,
}

impl Piece {
    /// The piece of a column-free expression at `context.now_micros`. Err: why there is none, for people.
    pub fn of(expr: &Expr, context: &EvalContext) -> Result<Piece, String> {
        let value = expr.eval(Tuple::single(&[]), context);
        if let Value::Error(error) = &value {
            return Err(error.to_string());
        }
        let mut piece = part(expr, context)?;
        // Two ways to the same value; what they do not agree on is not known well enough.
        if piece.value != value {
            return Err(format!("{value:?} moves with the clock in a way that is not known"));
        }
        piece.value = value;
        Ok(piece)
    }

    fn still(value: Value) -> Piece {
        Piece { value, course: Course::Still, since: i64::MIN, until: i64::MAX }
    }
}

fn part(expr: &Expr, context: &EvalContext) -> Result<Piece, String> {
    let Expr::Call { function, args } = expr else {
        let mut moves = false;
        expr.visit(&mut |part| moves |= is_clock(part));
        return match expr {
            _ if moves => Err("now() within an expression that is no call".into()),
            _ => Ok(Piece::still(expr.eval(Tuple::single(&[]), context))),
        };
    };
    if is_clock(expr) {
        let value = Value::TimestampTz(context.now_micros);
        return Ok(Piece { value, course: Course::Running, since: i64::MIN, until: i64::MAX });
    }
    let parts = args.iter().map(|arg| part(arg, context)).collect::<Result<Vec<_>, _>>()?;
    let since = parts.iter().map(|part| part.since).max().unwrap_or(i64::MIN);
    let until = parts.iter().map(|part| part.until).min().unwrap_or(i64::MAX);
    if parts.iter().all(|part| part.course == Course::Still) {
        return Ok(Piece { value: expr.eval(Tuple::single(&[]), context), course: Course::Still, since, until });
    }
    let running = parts.iter().position(|part| part.course == Course::Running).unwrap_or_default();
    let unknown = || format!("{} of now()", function.symbol);
    let (Value::Timestamp(at) | Value::TimestampTz(at)) = parts[running].value else { return Err(unknown()) };
    let mut hand = Hand { at, since, until, now: context.now_micros };
    let others: Vec<&Value> = parts.iter().map(|part| &part.value).collect();
    let session = || session_zone(context).map_err(|error| error.to_string());
    let named = |name: &str| named_zone(name).map_err(|error| error.to_string());
    match (function.symbol, running, others.as_slice()) {
        ("timestamptz_pl_interval", 0, [_, Value::Interval(by)]) => hand.shift_in_zone(by, session)?,
        ("timestamptz_mi_interval", 0, [_, Value::Interval(by)]) => {
            hand.shift_in_zone(&negated(by).map_err(|error| error.to_string())?, session)?;
        }
        ("timestamp_pl_interval", 0, [_, Value::Interval(by)]) => hand.shift(by)?,
        ("timestamp_mi_interval", 0, [_, Value::Interval(by)]) => {
            hand.shift(&negated(by).map_err(|error| error.to_string())?)?;
        }
        ("timestamptz_timestamp", 0, _) => hand.enter_local(&session()?)?,
        ("timestamptz_zone", 1, [Value::Text(zone), _]) => hand.enter_local(&named(zone)?)?,
        ("timestamp_timestamptz", 0, _) => hand.leave_local(&session()?)?,
        ("timestamp_zone", 1, [Value::Text(zone), _]) => hand.leave_local(&named(zone)?)?,
        // Steps: within the day (the hour …) of the local time nothing changes.
        ("timestamptz_date", 0, _) => {
            hand.enter_local(&session()?)?;
            return Ok(hand.within(MICROS_PER_DAY).still(expr, context));
        }
        ("timestamp_date", 0, _) => return Ok(hand.within(MICROS_PER_DAY).still(expr, context)),
        ("timestamptz_trunc", 1, [Value::Text(name), _]) => {
            let length = step_of(name)?;
            hand.enter_local(&session()?)?;
            return Ok(hand.within(length).still(expr, context));
        }
        ("timestamptz_trunc_zone", 1, [Value::Text(name), _, Value::Text(zone)]) => {
            let length = step_of(name)?;
            hand.enter_local(&named(zone)?)?;
            return Ok(hand.within(length).still(expr, context));
        }
        ("timestamp_trunc", 1, [Value::Text(name), _]) => {
            return Ok(hand.within(step_of(name)?).still(expr, context));
        }
        _ => return Err(unknown()),
    }
    let value = match function.symbol {
        "timestamp_pl_interval" | "timestamp_mi_interval" | "timestamptz_timestamp" | "timestamptz_zone" => {
            Value::Timestamp(hand.at)
        }
        _ => Value::TimestampTz(hand.at),
    };
    Ok(Piece { value, course: Course::Running, since: hand.since, until: hand.until })
}

/// The expression itself asks for the clock.
pub(crate) fn is_clock(expr: &Expr) -> bool {
    match expr {
        Expr::Call { function, .. } | Expr::ScalarArray { function, .. } | Expr::ArrayMember { function, .. } => {
            function.settings.contains(SettingSet::CLOCK)
        }
        Expr::NullIf { equal, .. } | Expr::Distinct { equal, .. } => equal.settings.contains(SettingSet::CLOCK),
        _ => false,
    }
}

/// How long what is truncated to this unit surely stands still, counted in steps of that length from local midnight: days
/// for the longer ones.
fn step_of(name: &str) -> Result<i64, String> {
    let unit = unit(name).map_err(|error| error.to_string())?;
    Ok(match unit {
        Unit::Microseconds => 1,
        Unit::Milliseconds => 1_000,
        Unit::Second => MICROS_PER_SECOND,
        Unit::Minute => MICROS_PER_MINUTE,
        Unit::Hour => MICROS_PER_HOUR,
        _ => MICROS_PER_DAY,
    })
}

/// A timestamp that runs with the clock, and the clock's values for which it does.
struct Hand {
    at: i64,
    since: i64,
    until: i64,
    now: i64,
}

impl Hand {
    /// What follows holds while the timestamp is from `from` up to, not including, `until`.
    fn between(&mut self, (from, until): (i64, i64)) {
        let clock = |bound: i64| match bound {
            i64::MIN | i64::MAX => bound,
            _ => self.now.saturating_add(bound.saturating_sub(self.at)),
        };
        (self.since, self.until) = (self.since.max(clock(from)), self.until.min(clock(until)));
    }

    /// What follows holds within a step of this length.
    fn within(mut self, length: i64) -> Hand {
        let start = self.at - self.at.rem_euclid(length);
        self.between((start, start.saturating_add(length)));
        self
    }

    fn still(self, expr: &Expr, context: &EvalContext) -> Piece {
        let value = expr.eval(Tuple::single(&[]), context);
        Piece { value, course: Course::Still, since: self.since, until: self.until }
    }

    fn enter_local(&mut self, zone: &Zone) -> Result<(), String> {
        let steady = zone.steady_instants(self.at).ok_or("a time beyond the time zone database")?;
        self.between(steady);
        self.at = local_of(zone, self.at).map_err(|error| error.to_string())?;
        Ok(())
    }

    fn leave_local(&mut self, zone: &Zone) -> Result<(), String> {
        let steady = zone.steady_locals(self.at).ok_or("a time beyond the time zone database")?;
        self.between(steady);
        self.at = instant(zone, self.at).map_err(|error| error.to_string())?;
        Ok(())
    }

    /// Months move all moments of a day by the same number of days.
    fn shift(&mut self, by: &Interval) -> Result<(), String> {
        if by.months != 0 {
            let start = self.at - self.at.rem_euclid(MICROS_PER_DAY);
            self.between((start, start.saturating_add(MICROS_PER_DAY)));
        }
        self.at = add_interval(self.at, by).map_err(|error| error.to_string())?;
        Ok(())
    }

    /// `timestamptz_pl_interval`: months, then days, each in local time; the rest in absolute time.
    fn shift_in_zone(&mut self, by: &Interval, zone: impl Fn() -> Result<Zone, String>) -> Result<(), String> {
        let steps =
            [Interval { months: by.months, days: 0, micros: 0 }, Interval { months: 0, days: by.days, micros: 0 }];
        for step in steps.iter().filter(|step| step.months != 0 || step.days != 0) {
            let zone = zone()?;
            self.enter_local(&zone)?;
            self.shift(step)?;
            self.leave_local(&zone)?;
        }
        self.shift(&Interval { months: 0, days: 0, micros: by.micros })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datetime::{Civil, days_from_civil};
    use crate::functions::lookup;
    use crate::settings::Settings;

    fn call(symbol: &str, args: Vec<Expr>) -> Expr {
        Expr::Call { function: lookup(symbol).expect(symbol), args }
    }

    fn now() -> Expr {
        call("now", vec![])
    }

    fn text(text: &str) -> Expr {
        Expr::Const(Value::text(text))
    }

    fn interval(months: i32, days: i32, micros: i64) -> Expr {
        Expr::Const(Value::interval(months, days, micros))
    }

    fn expressions() -> Vec<Expr> {
        let minus = |by: Expr| call("timestamptz_mi_interval", vec![now(), by]);
        let local = || call("timestamptz_timestamp", vec![now()]);
        let today = || call("timestamptz_date", vec![now()]);
        vec![
            now(),
            minus(interval(0, 0, 5_400_000_000)),
            minus(interval(0, 7, 0)),
            minus(interval(1, 0, 0)),
            minus(interval(1, 3, 86_400_000_000 * 3 / 2)),
            minus(interval(-13, 1, -1)),
            local(),
            call("timestamp_mi_interval", vec![local(), interval(1, 1, 1)]),
            call("timestamp_timestamptz", vec![call("timestamp_mi_interval", vec![local(), interval(0, 1, 7)])]),
            today(),
            call("date_mii", vec![today(), Expr::Const(Value::Int4(7))]),
            call("date_mi_interval", vec![today(), interval(1, 0, 0)]),
            call("date_timestamptz", vec![today()]),
            call("timestamptz_trunc", vec![text("day"), now()]),
            call("timestamptz_trunc", vec![text("hour"), minus(interval(0, 1, 0))]),
            call("timestamptz_trunc", vec![text("month"), now()]),
            call("timestamptz_trunc_zone", vec![text("week"), now(), text("America/New_York")]),
            call("timestamp_trunc", vec![text("minute"), local()]),
            call("timestamptz_zone", vec![text("Asia/Tokyo"), now()]),
            call("timestamp_date", vec![call("timestamptz_zone", vec![text("Europe/Berlin"), now()])]),
        ]
    }

    fn at(expr: &Expr, context: &EvalContext, now_micros: i64) -> Value {
        expr.eval(Tuple::single(&[]), &EvalContext { now_micros, ..context.clone() })
    }

    fn expected(piece: &Piece, moved: i64) -> Value {
        match (&piece.value, piece.course) {
            (Value::Timestamp(at), Course::Running) => Value::Timestamp(at + moved),
            (Value::TimestampTz(at), Course::Running) => Value::TimestampTz(at + moved),
            (value, _) => value.clone(),
        }
    }

    /// Within its piece an expression does what the piece says: tried at both ends, just inside of them and at random
    /// moments between; around the changes of offset and at random. A printed seed replays it.
    #[test]
    fn a_piece_says_what_the_expression_does() {
        use rand::rngs::StdRng;
        use rand::{Rng, SeedableRng};
        let seed = std::env::var("WEIR_CLOCK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_129);
        println!("WEIR_CLOCK_SEED={seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let day = |year, month, day| days_from_civil(Civil { year, month, day }) * MICROS_PER_DAY;
        for zone in ["UTC", "<+05>-05", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca"]
        {
            let settings = Settings { time_zone: zone.into(), ..Settings::default() };
            let context = EvalContext { settings, ..EvalContext::default() };
            for expr in expressions() {
                let mut moments: Vec<i64> = [(2024, 3, 31), (2024, 10, 27), (2024, 3, 10), (2024, 11, 3), (2024, 4, 6)]
                    .into_iter()
                    .map(|(y, m, d)| day(y, m, d) + random.random_range(-30..30) * MICROS_PER_HOUR)
                    .collect();
                moments.extend((0..60).map(|_| random.random_range(day(2020, 1, 1)..day(2031, 1, 1))));
                for moment in moments {
                    let here = EvalContext { now_micros: moment, ..context.clone() };
                    let piece = Piece::of(&expr, &here).unwrap_or_else(|reason| panic!("{expr:?} in {zone}: {reason}"));
                    assert!(piece.since <= moment && moment < piece.until, "{expr:?} {zone} {moment} {piece:?}");
                    let far = 40 * MICROS_PER_DAY;
                    let (first, last) = (piece.since.max(moment - far), piece.until.min(moment + far) - 1);
                    let mut tried = vec![first, last, moment];
                    tried.extend((0..20).map(|_| random.random_range(first..=last)));
                    for tried in tried {
                        let value = at(&expr, &context, tried);
                        assert_eq!(
                            value,
                            expected(&piece, tried - moment),
                            "{expr:?} {zone} {moment} {tried} {piece:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_not_known_has_no_piece() {
        let part = call("timestamptz_part", vec![text("hour"), now()]);
        assert_eq!(Piece::of(&part, &EvalContext::default()), Err("timestamptz_part of now()".into()));
        let days = call("timestamptz_mi_interval", vec![now(), interval(0, 1, 0)]);
        let piece = Piece::of(&days, &EvalContext::default()).expect("known");
        assert_eq!((piece.since, piece.until), (i64::MIN, i64::MAX), "without daylight rules a day is 24 hours");
    }
}
