//! Templates of `to_char` and of what reads by one, and texts that fit them more or less.

use crate::generate;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use weir_planner::Value;

const DATE_FIELDS: &[&str] = &[
    "A.D.", "A.M.", "AD", "AM", "B.C.", "BC", "CC", "DAY", "DDD", "DD", "DY", "Day", "Dy", "D", "FF1", "FF2", "FF3",
    "FF4", "FF5", "FF6", "FX", "HH24", "HH12", "HH", "IDDD", "ID", "IW", "IYYY", "IYY", "IY", "I", "J", "MI", "MM",
    "MONTH", "MON", "MS", "Month", "Mon", "OF", "P.M.", "PM", "Q", "RM", "SSSSS", "SSSS", "SS", "TZH", "TZM", "TZ",
    "US", "WW", "W", "Y,YYY", "YYYY", "YYY", "YY", "Y", "a.d.", "a.m.", "ad", "am", "b.c.", "bc", "cc", "day", "ddd",
    "dd", "dy", "d", "ff1", "ff4", "ff6", "fx", "hh24", "hh12", "hh", "iddd", "id", "iw", "iyyy", "iyy", "iy", "i",
    "j", "mi", "mm", "month", "mon", "ms", "of", "p.m.", "pm", "q", "rm", "sssss", "ssss", "ss", "tzh", "tzm", "tz",
    "us", "ww", "w", "y,yyy", "yyyy", "yyy", "yy", "y", "TM", "tm",
];
const USUAL_DATES: &[&str] = &[
    "YYYY-MM-DD",
    "YYYY-MM",
    "IYYY-\"W\"IW",
    "HH24:MI:SS",
    "FMMonth YYYY",
    "Dy DD Mon",
    "YYYY-MM-DD\"T\"HH24:MI:SS.US",
    "DD.MM.YYYY HH12:MI AM",
    "FMDDth FMMonth, YYYY",
    "Q",
    "YYYYMMDDHH24MISS",
];
const BETWEEN: &[&str] =
    &["-", "/", " ", ":", ".", ",", "\"of\"", "\"a\\\"b\"", "\\\"", "T", "x", "ä", "", "", "", "\"", "7"];

/// A template of dates and times: sometimes a usual one.
pub fn of_dates(rng: &mut StdRng) -> String {
    if rng.random_range(0..4) == 0 {
        return (*USUAL_DATES.choose(rng).expect("not empty")).to_owned();
    }
    let mut template = String::new();
    for _ in 0..rng.random_range(0..6) {
        template.push_str(BETWEEN.choose(rng).expect("not empty"));
        template.push_str(["", "", "", "FM", "fm"].choose(rng).expect("not empty"));
        template.push_str(DATE_FIELDS.choose(rng).expect("not empty"));
        template.push_str(["", "", "", "", "TH", "th", "SP"].choose(rng).expect("not empty"));
    }
    template.push_str(BETWEEN.choose(rng).expect("not empty"));
    template
}

const NUMBER_KEYS: &[&str] = &[
    "9", "9", "9", "99", "999", "9", "0", "00", "0", "0", ",", ".", ".9", ".99", ".00", ".90", "9.9", "B", "C", "EEEE",
    "FM", "FM", "MI", "PL", "PR", "RN", "SG", "SP", "TH", "V", "V9", "b", "fm", "mi", "pl", "pr", "rn", "sg", "sp",
    "th", "v99", "eeee", " ", "x", "\"9\"", "\\\"", "ä", "-", "/", "D", "G", "L", "S",
];
const USUAL_NUMBERS: &[&str] = &[
    "FM999999990.00",
    "999,999,999.99",
    "FM9,999,999",
    "0000",
    "9.99EEEE",
    "999D99",
    "FM00000",
    "$999,990.00",
    "999.99MI",
    "999PR",
    "FMRN",
    "RN",
    "rn",
    "99V99",
    "FM999.999",
    "9999th",
    "\"Good number:\"999",
    "FM990.0%",
];

pub fn of_numbers(rng: &mut StdRng) -> String {
    if rng.random_range(0..4) == 0 {
        return (*USUAL_NUMBERS.choose(rng).expect("not empty")).to_owned();
    }
    // Two of three do not draw from the forms that exclude each other.
    let known = if rng.random_range(0..3) == 0 { NUMBER_KEYS.len() } else { 17 };
    let prefix = ["", "", "FM", "B", "MI", "SG", "PL", "FMMI"].choose(rng).expect("not empty");
    let suffix = ["", "", "", "PR", "MI", "th", "TH", "PL", "SG", "FM"].choose(rng).expect("not empty");
    let middle: String =
        (0..rng.random_range(0..8)).map(|_| *NUMBER_KEYS[..known].choose(rng).expect("not empty")).collect();
    format!("{prefix}{middle}{suffix}")
}

/// Templates for reading, with what stands for each field.
const READ: &[(&str, &[&str])] = &[
    ("YYYY", &["2024", "1999", "0044", "12345", "24", "-5", "0"]),
    ("YYY", &["024", "999", "1", "520", "2024"]),
    ("YY", &["24", "70", "69", "0", "1999"]),
    ("Y", &["4", "9", "2024"]),
    ("MM", &["02", "12", "1", "13", "0", "00"]),
    ("DD", &["29", "31", "1", "0", "32", "05"]),
    ("HH24", &["00", "23", "24", "7", "-1"]),
    ("HH12", &["12", "01", "13", "0"]),
    ("HH", &["12", "1"]),
    ("MI", &["59", "60", "5", "00"]),
    ("SS", &["59", "60", "07", "7"]),
    ("MS", &["5", "50", "500", "1234", "05"]),
    ("US", &["5", "123456", "050000", "1234567"]),
    ("FF3", &["5", "123", "12", "1234"]),
    ("FF6", &["5", "123456"]),
    ("SSSS", &["86399", "0", "3661", "86400", "4000"]),
    ("AM", &["am", "PM", "Pm", "p.m."]),
    ("a.m.", &["a.m.", "P.M.", "am"]),
    ("AD", &["AD", "bc", "b.c."]),
    ("B.C.", &["B.C.", "a.d."]),
    ("Month", &["January", "february", "MAY", "Mai", "september"]),
    ("Mon", &["Jan", "dec", "SEP", "x"]),
    ("Day", &["Monday", "friday", "Sonntag"]),
    ("Dy", &["Mon", "SUN"]),
    ("DDD", &["001", "060", "366", "365", "367", "59"]),
    ("D", &["1", "7", "8"]),
    ("J", &["2451545", "1", "0", "3000000"]),
    ("Q", &["1", "4", "9"]),
    ("RM", &["XII", "iv", "i", "v"]),
    ("WW", &["1", "53", "07"]),
    ("W", &["1", "5", "2"]),
    ("CC", &["20", "21", "-1", "0"]),
    ("IYYY", &["2024", "2020", "1"]),
    ("IW", &["01", "53", "7", "54"]),
    ("ID", &["1", "7", "8"]),
    ("IDDD", &["001", "370", "60"]),
    ("FX", &[""]),
    ("TZH", &["+02", "-5"]),
    ("Y,YYY", &["2,024"]),
];
const GROUPS: &[&[&str]] = &[
    &["YYYY", "MM", "DD"],
    &["YYYY", "Mon", "DD"],
    &["DD", "MM", "YYYY", "HH24", "MI", "SS"],
    &["YYYY", "MM", "DD", "HH12", "MI", "AM"],
    &["IYYY", "IW", "ID"],
    &["IYYY", "IDDD"],
    &["YYYY", "DDD"],
    &["CC", "YY", "MM"],
    &["J"],
    &["YYYY", "WW"],
    &["YYYY", "MM", "W"],
    &["YYYY", "MM", "DD", "AD"],
    &["YYYY", "MM", "DD", "HH24", "MI", "SS", "US"],
    &["YY", "Month", "DD"],
    &["MM", "DD"],
];

/// A text and a template by which it may be a date.
pub fn date_text(rng: &mut StdRng) -> (String, String) {
    let fields: Vec<&(&str, &[&str])> = if rng.random_range(0..4) == 0 {
        (0..rng.random_range(0..5)).map(|_| READ.choose(rng).expect("not empty")).collect()
    } else {
        let group = GROUPS.choose(rng).expect("not empty");
        group.iter().filter_map(|name| READ.iter().find(|(known, _)| known == name)).collect()
    };
    let (mut text, mut template) = (String::new(), String::new());
    if rng.random_range(0..10) == 0 {
        template.push_str("FX");
    }
    for (name, values) in fields {
        template.push_str(["", "", "", "", "", "FM"].choose(rng).expect("not empty"));
        template.push_str(name);
        text.push_str(if rng.random_range(0..3) > 0 { values[0] } else { values.choose(rng).expect("not empty") });
        if rng.random_range(0..12) == 0 {
            template.push_str("th");
            text.push_str(["th", "st", "", "x"].choose(rng).expect("not empty"));
        }
        let between = ["-", " ", "/", "", ":", "  ", "T", "\"of\"", "x7", "ä", "."].choose(rng).expect("not empty");
        template.push_str(between);
        match rng.random_range(0..8) {
            0 => text.push_str(["", " ", "  ", "-", "xx", "ß", "- "].choose(rng).expect("not empty")),
            _ => text.push_str(between.trim_matches('"')),
        }
    }
    (text, template)
}

/// A text and a template by which it may be a number.
pub fn number_text(rng: &mut StdRng) -> (String, String) {
    let mut template = of_numbers(rng);
    let text = match rng.random_range(0..3) {
        0 => {
            template = ["999,999.99", "FM999999.999", "S999", "999MI", "9999PR", "0000", "99.9SG", "999th"]
                .choose(rng)
                .expect("not empty")
                .to_string();
            let number = rng.random_range(-99_999..99_999);
            ["{}", "{}.5", " {}", "<{}>", "{}-", "{},123", "+{}", "{}th", "$ {}"]
                .choose(rng)
                .expect("not empty")
                .replace("{}", &number.to_string())
        }
        1 => template.replace('9', "3").replace('0', "7").replace("FM", ""),
        _ => generate::numeric(rng).to_string(),
    };
    (text, template)
}

/// All arguments of a call where they must fit each other.
pub fn tuple(rng: &mut StdRng, symbol: &str) -> Option<Vec<Value>> {
    let (text, template) = match symbol {
        "to_date" | "to_timestamp" => date_text(rng),
        "numeric_to_number" => number_text(rng),
        _ => return None,
    };
    Some(vec![Value::text(&text), Value::text(&template)])
}

/// The template of a `to_char`.
pub fn of_symbol(rng: &mut StdRng, symbol: &str) -> Option<String> {
    match symbol {
        "timestamp_to_char" | "timestamptz_to_char" | "interval_to_char" => Some(of_dates(rng)),
        _ if symbol.ends_with("_to_char") => Some(of_numbers(rng)),
        _ => None,
    }
}
