//! Random documents: nested, with keys and numbers that are hard to write down.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// A number as JSON and SQL write it.
pub fn number(random: &mut StdRng) -> &'static str {
    ["0", "1", "1.0", "1.50", "-7", "12345678901234567890.5", "1e-3", "2"].choose(random).expect("not empty")
}

/// A key or a string.
pub fn word(random: &mut StdRng) -> &'static str {
    ["a", "b", "0", "", "-1", "A b", "häuser", "\"q\\", "new\nline", "\u{1}", "a,b", "{x}", "null", ": ["]
        .choose(random)
        .expect("not empty")
}

/// A JSON text of containers in containers, at most so deep.
pub fn json(depth: usize, random: &mut StdRng) -> String {
    match random.random_range(0..if depth == 0 { 5 } else { 9 }) {
        0 => "null".into(),
        1 => ["true", "false"].choose(random).expect("not empty").to_string(),
        2 => number(random).into(),
        3 | 4 => serde_json::to_string(word(random)).expect("a string is JSON"),
        5 | 6 => {
            let items: Vec<String> = (0..random.random_range(0..4)).map(|_| json(depth - 1, random)).collect();
            format!("[{}]", items.join(","))
        }
        _ => {
            let member = |random: &mut StdRng| {
                let key = serde_json::to_string(word(random)).expect("a string is JSON");
                format!("{key}: {}", json(depth - 1, random))
            };
            let members: Vec<String> = (0..random.random_range(0..5)).map(|_| member(random)).collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}
