//! Text input against each type's input function: value or error, from well-formed and damaged spellings.

use crate::generate;
use crate::server::connect;
use rand::Rng;
use rand::rngs::StdRng;
use weir_planner::parse::decode_text;
use weir_planner::render::{Unrenderable, encode_text};
use weir_planner::settings::Settings;
use weir_planner::types::{ColumnType, oid};
use weir_tests::rng::{rounds, seeded};

const TEXTS: (usize, usize) = (600, 20_000);

/// Types with their names and spellings that are likely to be special.
const CASES: &[(u32, &str, &[&str])] = &[
    (oid::BOOL, "bool", &["t", "TRUE", "yes", "no", "on", "of", "o", "off", "1", "0", " f ", "ture", ""]),
    (oid::INT2, "int2", &["32767", "32768", "-32768", "-32769", "+1", " 1 ", "1 2", "1.0", "0x1", "1_0", "", "-", "١"]),
    (
        oid::INT4,
        "int4",
        &["2147483647", "2147483648", "-2147483648", "-2147483649", "99999999999999999999", "0b1", "1e3"],
    ),
    (oid::INT8, "int8", &["9223372036854775807", "9223372036854775808", "-9223372036854775808", "00012", "abc"]),
    (
        oid::FLOAT4,
        "float4",
        &["1e38", "1e39", "1e-46", "nan", "inf", "-infinity", "0x1p3", "1.", ".1", ".", "1e", "1e+2", "-0"],
    ),
    (oid::FLOAT8, "float8", &["1e308", "1e309", "1e-400", "NaN", "+Inf", "Infinity", "nan(1)", "1d", "--1", "1 ", ""]),
    (
        oid::NUMERIC,
        "numeric",
        &[
            "1e10",
            "1.5e-3",
            "NaN",
            "-NaN",
            "inf",
            "-Infinity",
            "1_000",
            "0x10",
            ".",
            "1.",
            "1e",
            "1e99999999999",
            "1e131072",
            "1e-16384",
            "0e-20",
            "+ 1",
        ],
    ),
    (
        oid::UUID,
        "uuid",
        &[
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "{a0eebc999c0b4ef8bb6d6bb9bd380a11}",
            "A0EE-BC99-9C0B-4EF8-BB6D-6BB9-BD38-0A11",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
            "{a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "-a0eebc999c0b4ef8bb6d6bb9bd380a11",
        ],
    ),
    (
        oid::DATE,
        "date",
        &[
            "2024-02-29",
            "2023-02-29",
            "2024-13-01",
            "2024-00-10",
            "infinity",
            "-infinity",
            "today",
            "2024-1-1",
            "20240101",
            "0000-01-01",
            "January 8, 1999",
        ],
    ),
    (
        oid::TIME,
        "time",
        &[
            "00:00",
            "23:59:59.999999",
            "24:00:00",
            "24:00:01",
            "25:00",
            "12:60",
            "12:00:60",
            "12:00:61",
            "04:05 PM",
            "12:34:56.1234567",
        ],
    ),
    (
        oid::TIMESTAMP,
        "timestamp",
        &[
            "2024-02-29 12:34",
            "2024-02-30 00:00:00",
            "2024-01-01T01:02:03.5",
            "2024-01-01 00:00:00+02",
            "2024-01-01 24:00:00",
            "2024-01-01",
            "infinity",
            "epoch",
            "2024-01-01  00:00:00",
            "2024-01-01 25:00:00",
        ],
    ),
    (
        oid::TIMESTAMPTZ,
        "timestamptz",
        &[
            "2024-03-31 02:30:00",
            "2024-10-27 02:30:00",
            "2024-01-01 00:00:00Z",
            "2024-01-01 00:00:00+05:30",
            "2024-01-01 00:00:00-0330",
            "2024-01-01 00:00:00+16",
            "2024-01-01 00:00:00 UTC",
            "2024-01-01T00:00:00.123456+00",
            "0001-01-01 00:00:00",
        ],
    ),
    (oid::BYTEA, "bytea", &["\\x", "\\x00ff", "\\x0", "\\xzz", "\\x0 1", "abc", "\\\\", "\\001"]),
    (oid::TEXT, "text", &["", "ä"]),
];

/// A well-formed text, sometimes with a character changed, dropped or added.
fn text(rng: &mut StdRng, type_oid: u32, special: &[&str]) -> String {
    let settings = Settings::default();
    let mut text = if rng.random_range(0..3) == 0 {
        special[rng.random_range(0..special.len())].to_owned()
    } else {
        let mut out = Vec::new();
        let value = generate::value(rng, type_oid);
        match encode_text(&value, &ColumnType::new(type_oid), &settings, &mut out) {
            Ok(()) => String::from_utf8(out).expect("UTF-8"),
            Err(_) => String::new(),
        }
    };
    if rng.random_range(0..4) == 0 {
        let mut characters: Vec<char> = text.chars().collect();
        let at = rng.random_range(0..=characters.len());
        let noise = [' ', '-', '+', '.', '0', '9', 'e', 'x', ':', '_', '\t'];
        let noise = noise[rng.random_range(0..noise.len())];
        match rng.random_range(0..3) {
            0 if at < characters.len() => characters[at] = noise,
            1 if at < characters.len() => {
                characters.remove(at);
            }
            _ => characters.insert(at, noise),
        }
        text = characters.into_iter().collect();
    }
    text
}

#[tokio::test]
async fn input_agrees() {
    let client = connect().await;
    let mut rng = seeded("input_agrees");
    let settings = Settings { time_zone: "Europe/Berlin".into(), ..Settings::default() };
    client.batch_execute("SET TIME ZONE 'Europe/Berlin'").await.expect("a known zone");
    let (mut mismatches, mut unshown) = (Vec::new(), Vec::new());
    for (type_oid, name, special) in CASES {
        client
            .batch_execute(&format!(
                "CREATE OR REPLACE FUNCTION pg_temp.read_{name}(t text) RETURNS text[] LANGUAGE plpgsql AS $body$
                 DECLARE r {name};
                 BEGIN
                     EXECUTE 'SELECT ' || quote_literal(t) || '::{name}' INTO r;
                     RETURN ARRAY['value', format('%s', r)];
                 EXCEPTION WHEN OTHERS THEN RETURN ARRAY['error', SQLSTATE, SQLERRM];
                 END $body$"
            ))
            .await
            .expect("the function can be made");
        let texts: Vec<String> = (0..rounds(TEXTS.0, TEXTS.1)).map(|_| text(&mut rng, *type_oid, special)).collect();
        let query = format!("SELECT pg_temp.read_{name}(t) FROM unnest($1::text[]) AS t");
        let rows = client.query(&query, &[&texts]).await.expect("every error is caught");
        let mut read = 0;
        for (text, row) in texts.iter().zip(&rows) {
            let expected: Vec<String> = row.get(0);
            let actual = match decode_text(*type_oid, -1, text, &settings) {
                Ok(value) => {
                    let mut out = Vec::new();
                    // A moment at the very end of time may have no local time that Weir can tell: Postgres shows it.
                    if let Err(error) = encode_text(&value, &ColumnType::new(*type_oid), &settings, &mut out) {
                        assert_eq!(error, Unrenderable::TimestampRange, "{name} {text:?}");
                        unshown.push(text.clone());
                        continue;
                    }
                    vec!["value".to_owned(), String::from_utf8(out).expect("UTF-8")]
                }
                Err(error) if error.is_unsupported() => continue,
                Err(error) => vec!["error".to_owned(), error.sqlstate.to_owned(), error.message.to_string()],
            };
            read += 1;
            if actual != expected {
                mismatches.push(format!("{name} {text:?}\n    postgres {expected:?}\n    weir     {actual:?}"));
            }
        }
        assert!(read * 5 > texts.len(), "{name}: only {read} of {} texts were read", texts.len());
    }
    assert!(unshown.len() <= 10, "{unshown:?}");
    let shown = mismatches.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(mismatches.is_empty(), "{} mismatches\n{shown}", mismatches.len());
}
