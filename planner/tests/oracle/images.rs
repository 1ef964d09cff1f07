//! Text and binary images of every type, under the settings that change them.

use crate::generate::{self, TYPES};
use crate::server::{ValueArray, connect};
use weir_planner::render::encode_text;
use weir_planner::settings::Settings;
use weir_planner::types::{ColumnType, oid};
use weir_planner::value::{decode_binary, encode_binary};
use weir_tests::rng::{rounds, seeded};

/// Values per type and group of settings.
const VALUES: (usize, usize) = (1_500, 50_000);

fn all_settings() -> Vec<(Settings, Vec<u32>)> {
    let default = Settings::default;
    let mut cases = vec![(default(), TYPES.to_vec())];
    for style in ["postgres_verbose", "sql_standard", "iso_8601"] {
        cases.push((Settings { interval_style: style.into(), ..default() }, vec![oid::INTERVAL]));
    }
    for digits in [0, -3, -15, 3] {
        cases.push((Settings { extra_float_digits: digits, ..default() }, vec![oid::FLOAT4, oid::FLOAT8]));
    }
    for zone in ["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Africa/Monrovia", "<+02>-02"] {
        cases.push((Settings { time_zone: zone.into(), ..default() }, vec![oid::TIMESTAMPTZ]));
    }
    cases.push((Settings { bytea_output: "escape".into(), ..default() }, vec![oid::BYTEA]));
    cases
}

#[tokio::test]
async fn images_agree() {
    let client = connect().await;
    let mut rng = seeded("images_agree");
    let count = rounds(VALUES.0, VALUES.1);
    for (settings, types) in all_settings() {
        client
            .batch_execute(&format!(
                "SET TIME ZONE '{}'; SET IntervalStyle = {}; SET extra_float_digits = {}; SET bytea_output = {}",
                settings.time_zone, settings.interval_style, settings.extra_float_digits, settings.bytea_output
            ))
            .await
            .expect("known settings");
        for type_oid in types {
            let values: Vec<_> = (0..count).map(|_| generate::value(&mut rng, type_oid)).collect();
            let row = client
                .query_one(
                    "SELECT typname::text, typsend::text FROM pg_type WHERE oid = $1::int8",
                    &[&(type_oid as i64)],
                )
                .await
                .expect("a known type");
            let (name, send): (String, String) = (row.get(0), row.get(1));
            let array = ValueArray { element: type_oid, values: values.clone() };
            let query =
                format!("SELECT format('%s', x), pg_catalog.{send}(x) FROM unnest($1::pg_catalog.{name}[]) AS x");
            let rows = client.query(&query, &[&array]).await.unwrap_or_else(|error| panic!("{query}: {error:?}"));
            assert_eq!(rows.len(), values.len());
            let mut rendered = 0;
            for (value, row) in values.iter().zip(&rows) {
                let (text, binary): (String, Vec<u8>) = (row.get(0), row.get(1));
                let mut image = Vec::new();
                encode_binary(value, type_oid, &mut image).expect("a value has an image");
                assert_eq!(image, binary, "{name} {value:?}");
                assert_eq!(decode_binary(type_oid, &binary).as_ref(), Ok(value), "{name} {text}");
                let mut out = Vec::new();
                if encode_text(value, &ColumnType::new(type_oid), &settings, &mut out).is_ok() {
                    rendered += 1;
                    assert_eq!(String::from_utf8_lossy(&out), text, "{name} {value:?} under {settings:?}");
                }
            }
            assert!(
                rendered * 10 > count * 7,
                "{name}: only {rendered} of {count} values have a text under {settings:?}"
            );
        }
    }
}
