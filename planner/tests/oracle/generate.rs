//! Generated values: edges of every type, and random ones around them.

use crate::templates;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::sync::Arc;
use weir_planner::Value;
use weir_planner::datetime::{END_DATE, END_TIMESTAMP, MICROS_PER_DAY, MIN_DATE, MIN_TIMESTAMP};
use weir_planner::types::oid;
use weir_planner::value::{Inet, IpVersion, Numeric, Range, RangeBound, bound_type};

/// Types whose values can be generated.
pub const TYPES: &[u32] = &[
    oid::BOOL,
    oid::BYTEA,
    oid::NAME,
    oid::INT2,
    oid::INT4,
    oid::INT8,
    oid::TEXT,
    oid::FLOAT4,
    oid::FLOAT8,
    oid::BPCHAR,
    oid::VARCHAR,
    oid::DATE,
    oid::TIME,
    oid::TIMESTAMP,
    oid::TIMESTAMPTZ,
    oid::INTERVAL,
    oid::NUMERIC,
    oid::UUID,
    oid::OID,
    oid::INET,
    oid::CIDR,
    oid::TIMETZ,
    oid::MACADDR,
    oid::MACADDR8,
    oid::INT4RANGE,
    oid::INT8RANGE,
    oid::NUMRANGE,
    oid::DATERANGE,
    oid::TSRANGE,
    oid::TSTZRANGE,
];

fn pick<T: Copy>(rng: &mut StdRng, choices: &[T]) -> T {
    *choices.choose(rng).expect("there are choices")
}

/// A value of that type; never NULL.
pub fn value(rng: &mut StdRng, type_oid: u32) -> Value {
    match type_oid {
        oid::BOOL => Value::Bool(rng.random()),
        oid::INT2 => Value::Int2(integer(rng, i16::MIN as i64, i16::MAX as i64) as i16),
        oid::INT4 => Value::Int4(integer(rng, i32::MIN as i64, i32::MAX as i64) as i32),
        oid::INT8 => Value::Int8(integer(rng, i64::MIN, i64::MAX)),
        oid::FLOAT4 => Value::Float4(float4(rng)),
        oid::FLOAT8 => Value::Float8(float8(rng)),
        oid::NUMERIC => Value::Numeric(numeric(rng)),
        oid::TEXT | oid::VARCHAR | oid::NAME => Value::Text(text(rng).into()),
        oid::BPCHAR => Value::Bpchar(text(rng).into()),
        oid::BYTEA => Value::Bytea((0..rng.random_range(0..6)).map(|_| rng.random::<u8>()).collect()),
        oid::DATE => Value::Date(date(rng)),
        oid::TIME => Value::Time(match rng.random_range(0..6) {
            0 => 0,
            1 => MICROS_PER_DAY,
            2 => rng.random_range(0..86_400) * 1_000_000,
            _ => rng.random_range(0..MICROS_PER_DAY),
        }),
        oid::TIMESTAMP => Value::Timestamp(timestamp(rng)),
        oid::TIMESTAMPTZ => Value::TimestampTz(timestamp(rng)),
        oid::INTERVAL => interval(rng),
        oid::UUID => Value::Uuid(Arc::new(std::array::from_fn(|_| pick(rng, &[0, 1, 255, 0x7f, 0xab])))),
        oid::INET => Value::Inet(inet(rng)),
        oid::CIDR => {
            // No bits beyond the network's.
            let mut network = inet(rng);
            for (at, byte) in network.address.iter_mut().enumerate() {
                let kept = usize::from(network.bits).saturating_sub(at * 8).min(8);
                *byte &= (0xff00u32 >> kept) as u8;
            }
            Value::Inet(network)
        }
        oid::TIMETZ => {
            let Value::Time(micros) = value(rng, oid::TIME) else { unreachable!("a time is a time") };
            Value::TimeTz(micros, pick(rng, &[0, -3600, 3600, 12600, -49500, 57599, -57599, 1]))
        }
        oid::OID => Value::Opaque(pick(rng, &[0, 1, 2, 1 << 31, u32::MAX, 16384]).to_be_bytes().into()),
        oid::MACADDR => Value::Opaque((0..6).map(|_| pick(rng, &[0, 1, 0x0a, 0x7f, 0xff])).collect()),
        oid::MACADDR8 => Value::Opaque((0..8).map(|_| pick(rng, &[0, 1, 0x0a, 0x7f, 0xff])).collect()),
        other => match bound_type(other) {
            Some(bound) => range(rng, bound),
            None => panic!("no generator for type {other}"),
        },
    }
}

fn inet(rng: &mut StdRng) -> Inet {
    let version = pick(rng, &[IpVersion::V4, IpVersion::V6]);
    let mapped = rng.random_range(0..4) == 0;
    let byte = |at: usize, rng: &mut StdRng| match at {
        0..10 if mapped => 0,
        10 | 11 if mapped => pick(rng, &[0, 255]),
        _ => pick(rng, &[0, 0, 0, 1, 10, 192, 255]),
    };
    let bytes: Vec<u8> = (0..version.length()).map(|at| byte(at, rng)).collect();
    let bits = if rng.random() { version.width() } else { rng.random_range(0..=version.width()) };
    Inet::new(version, bits, &bytes).expect("as many bytes as the version has")
}

fn range(rng: &mut StdRng, element: u32) -> Value {
    let mut bound = || match rng.random_range(0..6) {
        0 => RangeBound::infinite(),
        _ => RangeBound::new(Some(value(rng, element)), rng.random()),
    };
    let (lower, upper) = (bound(), bound());
    let turned = Range::new(element, upper.clone(), lower.clone());
    let made = Range::new(element, lower, upper).or(turned).unwrap_or_else(|_| Range::empty(element));
    Value::Range(made.into())
}

/// An integer of any magnitude, often at an edge.
pub fn integer(rng: &mut StdRng, min: i64, max: i64) -> i64 {
    match rng.random_range(0..8) {
        0 => pick(rng, &[min, min + 1, max - 1, max]),
        1 | 2 => pick(rng, &[-2, -1, 0, 1, 2, 3, 7, 10]),
        3 => rng.random_range(-1000..=1000),
        _ => {
            let value = rng.random_range(min..=max);
            value >> rng.random_range(0..63)
        }
    }
}

fn float8(rng: &mut StdRng) -> f64 {
    match rng.random_range(0..10) {
        0 => pick(rng, &[0.0, -0.0, 1.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
        1 => {
            pick(rng, &[f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, 1e23, 0.1, 2.5, 9007199254740993.0, 1e15, 1e-5])
        }
        // Around the limits of the integer types.
        2 => pick(
            rng,
            &[
                32767.5,
                -32768.5,
                2147483647.5,
                -2147483648.5,
                9.223372036854775e18,
                9.223372036854776e18,
                -9.223372036854776e18,
            ],
        ),
        3 => rng.random_range(-10_000..10_000) as f64 / 2.0,
        4 => rng.random_range(-1_000_000..1_000_000) as f64 / 100.0,
        5 => 2f64.powi(rng.random_range(-1074..1024)) * pick(rng, &[1.0, -1.0]),
        // Short decimals with an exponent: where the shortest digits may sit between two values.
        6 => format!("{}e{}", rng.random_range(1..1000), rng.random_range(-30..30)).parse().expect("a number"),
        7 => rng.random_range(-1e6..1e6),
        _ => f64::from_bits(rng.random()),
    }
}

fn float4(rng: &mut StdRng) -> f32 {
    match rng.random_range(0..6) {
        0 => {
            pick(rng, &[0.0, -0.0, 1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN_POSITIVE, 1e-45])
        }
        1 => pick(rng, &[16777216.0, 16777218.0, 2147483648.0, -2147483648.0, 9.2233715e18, 0.1, 1e6, 1e5, 1e-5]),
        2 => rng.random_range(-10_000..10_000) as f32 / 2.0,
        3 => 2f32.powi(rng.random_range(-149..128)),
        4 => float8(rng) as f32,
        _ => f32::from_bits(rng.random()),
    }
}

fn digits(rng: &mut StdRng, count: usize) -> String {
    let style = rng.random_range(0..4);
    (0..count)
        .map(|_| match style {
            0 => '9',
            1 => '0',
            _ => (b'0' + rng.random_range(0..10u8)) as char,
        })
        .collect()
}

pub fn numeric(rng: &mut StdRng) -> Numeric {
    let text = match rng.random_range(0..12) {
        0 => pick(rng, &["0", "0.0", "0.00000", "1", "-1", "1.0", "10", "-10.00", "0.5", "1.5", "2.5", "-0.5", "0.05"])
            .to_owned(),
        1 => pick(
            rng,
            &[
                "NaN",
                "Infinity",
                "-Infinity",
                "1e40",
                "-1e-40",
                "9999.5",
                "0.00005",
                "32767.5",
                "2147483647.5",
                "9223372036854775807.5",
                "-9223372036854775808.5",
                "170141183460469231731687303715884105727",
                "-170141183460469231731687303715884105728",
            ],
        )
        .to_owned(),
        2 => {
            let (whole, fraction) = (rng.random_range(0..60), rng.random_range(0..60));
            format!("{}1{}.{}", sign(rng), digits(rng, whole), digits(rng, fraction))
        }
        3 if rng.random_range(0..8) == 0 => {
            let (whole, fraction) = (rng.random_range(0..400), rng.random_range(0..400));
            format!("{}1{}.{}", sign(rng), digits(rng, whole), digits(rng, fraction))
        }
        4 => format!("{}{}", sign(rng), rng.random_range(0..100)),
        5 => format!("{}0.{}", sign(rng), {
            let n = rng.random_range(1..30);
            digits(rng, n)
        }),
        // Money.
        6..=8 => format!("{}{}.{:02}", sign(rng), rng.random_range(0..100_000), rng.random_range(0..100)),
        _ => {
            let (whole, fraction) = (rng.random_range(1..20), rng.random_range(0..12));
            format!("{}{}.{}", sign(rng), digits(rng, whole), digits(rng, fraction))
        }
    };
    Numeric::parse(text.trim_end_matches('.')).expect("a number")
}

fn sign(rng: &mut StdRng) -> &'static str {
    pick(rng, &["", "", "-"])
}

pub fn text(rng: &mut StdRng) -> String {
    let pieces = ["a", "b", "A", "Z", "ab", " ", "  ", "%", "_", "\\", "ä", "€", "😀", "0", "1", ",", "-", "aa", "."];
    match rng.random_range(0..12) {
        0 => String::new(),
        1 => "Game of the year".to_owned(),
        _ => (0..rng.random_range(1..7)).map(|_| pick(rng, &pieces)).collect(),
    }
}

fn date(rng: &mut StdRng) -> i32 {
    match rng.random_range(0..8) {
        0 => pick(rng, &[i32::MIN, i32::MAX]),
        1 => pick(rng, &[MIN_DATE, MIN_DATE + 1, END_DATE - 1, 0, -1, 1, 106_751_991, 107_000_000]),
        2 => rng.random_range(MIN_DATE..END_DATE),
        3 => rng.random_range(-800_000..-600_000),
        _ => rng.random_range(-40_000..40_000),
    }
}

fn timestamp(rng: &mut StdRng) -> i64 {
    match rng.random_range(0..10) {
        0 => pick(rng, &[i64::MIN, i64::MAX]),
        1 => pick(rng, &[MIN_TIMESTAMP, MIN_TIMESTAMP + 1, END_TIMESTAMP - 1, 0, -1, 1, -MICROS_PER_DAY]),
        2 => rng.random_range(MIN_TIMESTAMP..END_TIMESTAMP),
        // Around year 1.
        3 => rng.random_range(-73_000_000_000_000_000..-62_000_000_000_000_000),
        // Whole hours around daylight changes.
        4 | 5 => rng.random_range(-400_000..400_000) * 3_600_000_000,
        6 => rng.random_range(-30_000..30_000) * MICROS_PER_DAY,
        _ => rng.random_range(-3_000_000_000_000_000..3_000_000_000_000_000),
    }
}

fn interval(rng: &mut StdRng) -> Value {
    let zero_or = |rng: &mut StdRng, n: i64| if rng.random_range(0..3) == 0 { 0 } else { n };
    match rng.random_range(0..8) {
        0 => Value::interval(0, 0, 0),
        1 => {
            let months = pick(rng, &[i32::MAX, i32::MIN + 1, 12, -12, 1, -1]);
            Value::interval(months, pick(rng, &[0, i32::MAX, -30, 30]), pick(rng, &[0, MICROS_PER_DAY, -1]))
        }
        2 => Value::interval(
            integer(rng, i32::MIN as i64, i32::MAX as i64) as i32,
            integer(rng, i32::MIN as i64, i32::MAX as i64) as i32,
            integer(rng, i64::MIN, i64::MAX),
        ),
        _ => {
            let (months, days) = (rng.random_range(-40..40), rng.random_range(-100..100));
            let micros = match rng.random_range(0..3) {
                0 => rng.random_range(-100_000..100_000) * 1_000_000,
                _ => rng.random_range(-3 * MICROS_PER_DAY..3 * MICROS_PER_DAY),
            };
            Value::interval(zero_or(rng, months) as i32, zero_or(rng, days) as i32, zero_or(rng, micros))
        }
    }
}

/// A number whose power or logarithm is of a usual size.
fn moderate(rng: &mut StdRng, symbol: &str, index: usize) -> Numeric {
    let most = pick(rng, &[3, 6, 12, 25]);
    let decimals = rng.random_range(0..most);
    let fraction = digits(rng, decimals);
    let text = match (rng.random_range(0..10), index) {
        (0, _) => {
            pick(rng, &["0", "1", "1.0", "2", "10", "0.1", "0.5", "100", "0.01", "1000000", "-1", "-2", "3"]).to_owned()
        }
        // Near one, where a logarithm is small.
        (1, _) => format!("{}{fraction}", pick(rng, &["1.000", "0.999", "1.0000000000", "0.99999999999"])),
        (2 | 3, 1) if symbol.starts_with("numeric_power") => format!("{}{}", sign(rng), rng.random_range(0..400)),
        (4, 1) if symbol.starts_with("numeric_power") => format!("{}{}.{fraction}", sign(rng), rng.random_range(0..4)),
        (5, _) => format!("0.{}{fraction}", pick(rng, &["", "0", "000", "0000000"])),
        (6, _) => format!("{}.{fraction}", rng.random_range(0..1_000_000)),
        (7, _) if symbol == "numeric_exp" => format!("{}{}.{fraction}", sign(rng), rng.random_range(0..900)),
        (8, _) => format!("{}{}", sign(rng), rng.random_range(1..1000)),
        _ => format!("{}{}.{fraction}", if symbol == "numeric_exp" { sign(rng) } else { "" }, rng.random_range(0..40)),
    };
    Numeric::parse(text.trim_end_matches('.')).expect("a number")
}

/// Arguments that a function takes from a small vocabulary, where random values would only meet errors.
pub fn argument(rng: &mut StdRng, symbol: &str, index: usize, type_oid: u32) -> Value {
    let units = [
        "microseconds",
        "milliseconds",
        "second",
        "seconds",
        "minute",
        "hour",
        "day",
        "week",
        "month",
        "quarter",
        "year",
        "decade",
        "century",
        "millennium",
        "dow",
        "isodow",
        "doy",
        "isoyear",
        "epoch",
        "DAY",
        "Month",
        "nonsense",
    ];
    let zones =
        ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "GMT", "Nowhere/City"];
    if index == 1
        && let Some(template) = templates::of_symbol(rng, symbol)
    {
        return Value::text(&template);
    }
    let is_unit = ["_trunc", "_part", "date_part(", "extract_"].iter().any(|part| symbol.contains(part));
    match (symbol, index, type_oid) {
        ("timestamptz_trunc_zone", 2, _) | ("timestamptz_zone" | "timestamp_zone", 0, _) => {
            Value::text(pick(rng, &zones))
        }
        (_, 0, oid::TEXT) if is_unit => Value::text(pick(rng, &units)),
        ("numeric", 1, _) => {
            let precision = rng.random_range(1..40);
            let scale = rng.random_range(0..=precision.min(20));
            Value::Int4((precision << 16 | scale) + 4)
        }
        ("varchar" | "bpchar", 1, _) => Value::Int4(pick(rng, &[-1, 5, 6, 7, 9, 14])),
        ("numeric_round" | "numeric_trunc", 1, _) => Value::Int4(rng.random_range(-30..40)),
        ("lpad" | "rpad" | "repeat" | "lpad(text,int4)" | "rpad(text,int4)", 1, _) => {
            Value::Int4(rng.random_range(-2..15))
        }
        ("text_substr" | "text_substr_no_len" | "text_left" | "text_right" | "split_part", _, oid::INT4) => {
            if rng.random_range(0..20) == 0 { value(rng, oid::INT4) } else { Value::Int4(rng.random_range(-8..9)) }
        }
        ("timestamp_scale" | "timestamptz_scale" | "time_scale", 1, _) => Value::Int4(rng.random_range(0..=6)),
        ("make_date", _, _) => Value::Int4(match (index, rng.random_range(0..6)) {
            (_, 0) => integer(rng, -10_000_000, 10_000_000) as i32,
            (0, _) => rng.random_range(-5000..6000),
            (1, _) => rng.random_range(0..14),
            _ => rng.random_range(0..33),
        }),
        ("date_pli" | "date_mii" | "integer_pl_date(int4,date)", _, oid::INT4) if rng.random() => {
            Value::Int4(rng.random_range(-4000..4000))
        }
        ("interval_mul" | "mul_d_interval" | "interval_div", _, oid::FLOAT8) if rng.random_range(0..4) > 0 => {
            Value::Float8(pick(rng, &[0.5, 2.0, 3.0, 7.0, -1.5, 0.1, 1.0 / 3.0, 12.25, 0.0, -30.0]))
        }
        ("timestamp_bin" | "timestamptz_bin", 0, _) if rng.random_range(0..4) > 0 => {
            let micros = pick(rng, &[1, 1_000_000, 900_000_000, 3_600_000_000, 7_000_000]);
            Value::interval(0, rng.random_range(0..3), micros)
        }
        ("make_timestamptz_at_timezone", 6, _) => Value::text(pick(rng, &zones)),
        (
            "make_timestamp" | "make_timestamptz" | "make_timestamptz_at_timezone" | "make_time" | "make_interval",
            _,
            _,
        ) if rng.random_range(0..20) > 0 => {
            let place = if symbol == "make_time" { index + 3 } else { index };
            match (place, type_oid) {
                (_, oid::FLOAT8) => Value::Float8(match rng.random_range(0..5) {
                    0 => pick(rng, &[59.9999999, 60.0, 0.0, 0.0000005, 1.5, 59.999999]),
                    1 => rng.random_range(0..60) as f64,
                    _ => rng.random_range(0.0..60.0),
                }),
                (0, _) => Value::Int4(rng.random_range(-3..3000)),
                (1, _) => Value::Int4(rng.random_range(1..13)),
                (2, _) => Value::Int4(rng.random_range(1..32)),
                (3, _) => Value::Int4(rng.random_range(0..25)),
                _ => Value::Int4(rng.random_range(0..60)),
            }
        }
        (
            "numeric_exp"
            | "numeric_ln"
            | "numeric_log"
            | "log(numeric)"
            | "log10(numeric)"
            | "numeric_power"
            | "numeric_power (before 16)",
            _,
            _,
        ) if rng.random_range(0..200) > 0 => Value::Numeric(moderate(rng, symbol, index)),
        ("numeric_fac", _, _) => Value::Int8(rng.random_range(-3..120)),
        ("width_bucket_numeric", 3, _) if rng.random_range(0..8) > 0 => Value::Int4(rng.random_range(1..50)),
        ("width_bucket_numeric" | "numeric_gcd" | "numeric_lcm", _, oid::NUMERIC) if rng.random_range(0..4) > 0 => {
            let places = pick(rng, &["", "0", ".0", ".5", ".25", ".75"]);
            Value::Numeric(Numeric::parse(&format!("{}{places}", rng.random_range(-60..60))).expect("a number"))
        }
        ("repeat", 0, _) => Value::Text(text(rng).into()),
        _ => value(rng, type_oid),
    }
}
