//! Names of date and time fields, as date_trunc and extract take them.

use crate::value::EvalError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Microseconds,
    Milliseconds,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    IsoYear,
    Epoch,
}

/// The unit of that name. Abbreviations and unknown names are left to Postgres, which words the error.
pub(super) fn unit(name: &str) -> Result<Unit, EvalError> {
    // EXTRACT writes lower case; other spellings fold in ASCII.
    let folded = name.to_ascii_lowercase();
    Ok(match folded.as_str() {
        "microsecond" | "microseconds" => Unit::Microseconds,
        "millisecond" | "milliseconds" => Unit::Milliseconds,
        "second" | "seconds" => Unit::Second,
        "minute" | "minutes" => Unit::Minute,
        "hour" | "hours" => Unit::Hour,
        "day" | "days" => Unit::Day,
        "week" | "weeks" => Unit::Week,
        "month" | "months" => Unit::Month,
        "quarter" => Unit::Quarter,
        "year" | "years" => Unit::Year,
        "decade" | "decades" => Unit::Decade,
        "century" | "centuries" => Unit::Century,
        "millennium" | "millennia" => Unit::Millennium,
        "dow" => Unit::DayOfWeek,
        "isodow" => Unit::IsoDayOfWeek,
        "doy" => Unit::DayOfYear,
        "isoyear" => Unit::IsoYear,
        "epoch" => Unit::Epoch,
        _ => return Err(EvalError::unsupported(format!("date and time unit {name:?}"))),
    })
}
