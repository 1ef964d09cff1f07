//! Texts of the types of which only the binary image is known.

use crate::server::connect;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use weir_planner::render::encode_text;
use weir_planner::settings::Settings;
use weir_planner::types::ColumnType;
use weir_planner::value::decode_binary;
use weir_tests::rng::{rounds, seeded};

/// Values per type and group of settings.
const VALUES: (usize, usize) = (300, 5_000);

type Make = fn(&mut StdRng) -> String;

/// Types, and how a text that they take in is made.
const TYPES: &[(&str, Make)] = &[
    ("json", |rng| format!("[{}, \"ä\"]", float(rng).replace("NaN", "1").replace("Infinity", "2"))),
    ("jsonpath", |rng| format!("$.a[{}] ? (@ > {})", rng.random_range(0..9), rng.random_range(0..9))),
    ("refcursor", |_| "a \"b\"".into()),
    ("xml", |rng| ["<a>ä</a>", "a<b/>", "", "<a b=\"c\"/>"].choose(rng).expect("not empty").to_string()),
    ("macaddr", |rng| hex(rng, 6)),
    ("macaddr8", |rng| hex(rng, 8)),
    ("oid", |rng| rng.random::<u32>().to_string()),
    ("xid", |rng| rng.random::<u32>().to_string()),
    ("cid", |rng| rng.random::<u32>().to_string()),
    ("xid8", |rng| rng.random::<u64>().to_string()),
    ("pg_lsn", |rng| format!("{:X}/{:X}", rng.random::<u32>() >> rng.random_range(0..32), rng.random::<u32>())),
    ("tid", |rng| format!("({},{})", rng.random::<u32>(), rng.random::<u16>())),
    ("\"char\"", |rng| char::from(rng.random_range(b' '..=b'~')).to_string()),
    ("bit(11)", |rng| bits(rng, 11)),
    ("varbit", |rng| {
        let count = rng.random_range(0..40);
        bits(rng, count)
    }),
    ("point", point),
    ("line", |rng| format!("{{1,{},{}}}", rng.random_range(-9..9), rng.random::<f64>())),
    ("lseg", |rng| format!("[{},{}]", point(rng), point(rng))),
    ("box", |rng| format!("{},{}", point(rng), point(rng))),
    ("path", |rng| if rng.random() { format!("({})", points(rng)) } else { format!("[{}]", points(rng)) }),
    ("polygon", |rng| format!("({})", points(rng))),
    ("circle", |rng| format!("<{},{}>", point(rng), rng.random::<f64>())),
    ("tsvector", |rng| {
        let words = ["a", "'b''c'", "'d\\\\e'", "ä", "f:1", "g:3A,2", "h:16383B,5C,1D", "' i j'"];
        (0..rng.random_range(0..6)).map(|_| *words.choose(rng).expect("not empty")).collect::<Vec<_>>().join(" ")
    }),
    ("int4multirange", |rng| ranges(rng, |rng| rng.random_range(-50..50).to_string())),
    ("int8multirange", |rng| ranges(rng, |rng| rng.random_range(-5_000_000_000_i64..50).to_string())),
    ("nummultirange", |rng| ranges(rng, |rng| format!("{}.50", rng.random_range(-50..50)))),
    ("datemultirange", |rng| ranges(rng, |rng| format!("2024-02-{:02}", rng.random_range(1..30)))),
    ("tsmultirange", |rng| ranges(rng, |rng| format!("2024-02-{:02} 12:00", rng.random_range(1..30)))),
    ("tstzmultirange", |rng| ranges(rng, |rng| format!("2024-02-{:02} 12:00", rng.random_range(1..30)))),
];

fn float(rng: &mut StdRng) -> String {
    match rng.random_range(0..8) {
        0 => ["NaN", "Infinity", "-Infinity", "0", "-0", "1e300"].choose(rng).expect("not empty").to_string(),
        1..4 => rng.random_range(-99..99).to_string(),
        _ => (rng.random::<f64>() * 10f64.powi(rng.random_range(-20..20))).to_string(),
    }
}

fn point(rng: &mut StdRng) -> String {
    format!("({},{})", float(rng), float(rng))
}

fn points(rng: &mut StdRng) -> String {
    (0..rng.random_range(1..5)).map(|_| point(rng)).collect::<Vec<_>>().join(",")
}

fn bits(rng: &mut StdRng, count: usize) -> String {
    (0..count).map(|_| if rng.random() { '1' } else { '0' }).collect()
}

fn hex(rng: &mut StdRng, count: usize) -> String {
    (0..count).map(|_| format!("{:02x}", rng.random::<u8>())).collect::<Vec<_>>().join(":")
}

fn ranges(rng: &mut StdRng, bound: impl Fn(&mut StdRng) -> String) -> String {
    // Bounds that are out of order are an error, so each is alone.
    let open = [("[", ",)"), ("(", ",)"), ("(,", "]"), ("(,", ")")];
    let ranges: Vec<String> = (0..rng.random_range(0..4))
        .map(|_| {
            let bound = bound(rng);
            let (before, after) = open.choose(rng).expect("not empty");
            match rng.random() {
                true => format!("[{bound},{bound}]"),
                false => format!("{before}{bound}{after}"),
            }
        })
        .collect();
    format!("{{{}}}", ranges.join(","))
}

#[tokio::test]
async fn images_are_shown_as_texts() {
    let client = connect().await;
    let mut rng = seeded("images_are_shown_as_texts");
    for digits in [1, 0, -4] {
        client.batch_execute(&format!("SET extra_float_digits = {digits}")).await.expect("a known setting");
        let settings = Settings { extra_float_digits: digits, ..Settings::default() };
        for (name, make) in TYPES {
            let about = "SELECT oid::int8, typsend::text FROM pg_type WHERE oid = $1::text::regtype";
            let row = client.query_one(about, &[name]).await.expect("a known type");
            let (type_oid, send): (i64, String) = (row.get(0), row.get(1));
            let texts: Vec<String> = (0..rounds(VALUES.0, VALUES.1)).map(|_| make(&mut rng)).collect();
            // A type that has another one's function.
            let cast = if send == "textsend" { "::text" } else { "" };
            let query = format!(
                "SELECT format('%s', x), pg_catalog.{send}(x{cast}) FROM (SELECT t::{name} AS x FROM unnest($1::text[]) AS u (t)) AS t"
            );
            let rows = client.query(&query, &[&texts]).await.unwrap_or_else(|error| panic!("{query}: {error:?}"));
            for row in rows {
                let (text, binary): (String, Vec<u8>) = (row.get(0), row.get(1));
                let value = decode_binary(type_oid as u32, &binary).expect("an image");
                let mut out = Vec::new();
                encode_text(&value, &ColumnType::new(type_oid as u32), &settings, &mut out).expect("a text");
                assert_eq!(String::from_utf8_lossy(&out), text, "{name} with extra_float_digits {digits}");
            }
        }
    }
}
