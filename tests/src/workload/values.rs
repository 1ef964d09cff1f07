//! Random values as SQL literals, with the edges of their types among them.

use rand::Rng;
use rand::rngs::StdRng;

/// One value in this many is an edge.
const EDGE: u32 = 40;

fn edge(rng: &mut StdRng) -> bool {
    rng.random_range(0..EDGE) == 0
}

/// numeric(precision, 2) with `digits` digits before the point.
pub fn amount(rng: &mut StdRng, digits: u32) -> String {
    if edge(rng) {
        let largest = "9".repeat(digits as usize);
        return ["0", "0.01", "-0.01", &format!("{largest}.99"), &format!("-{largest}.99"), "1000", "0.10"]
            [rng.random_range(0..7)]
        .to_owned();
    }
    format!("{}.{:02}", rng.random_range(0..3000), rng.random_range(0..100))
}

/// A timestamptz expression.
pub fn instant(rng: &mut StdRng) -> String {
    if edge(rng) {
        let edges = ["'infinity'", "'-infinity'", "'0044-03-15 12:00:00+00 BC'", "'294276-12-31 23:59:59.999999+00'"];
        return edges[rng.random_range(0..edges.len())].to_owned();
    }
    // Postgres 14 takes no more than 2^31 of a unit.
    let microseconds = rng.random_range(0..7_200_000_000_u64);
    format!("now() - interval '{}.{:06} seconds'", microseconds / 1_000_000, microseconds % 1_000_000)
}

/// A name nobody else has: rankings that sort by name stay determined.
pub fn name(rng: &mut StdRng) -> String {
    let stems = ["O''Brien", "Łucja", "名前", "", " padded ", "NULL", "a\\b", "Zoë", "Émile", "emoji 🎲", "tab\there"];
    format!("'{} {:016x}'", stems[rng.random_range(0..stems.len())], rng.random::<u64>())
}

pub fn country(rng: &mut StdRng) -> String {
    let countries = ["US", "UK", "DE", "JP", "CN", "us", "", "ZZ"];
    format!("'{}'", countries[rng.random_range(0..countries.len())])
}
