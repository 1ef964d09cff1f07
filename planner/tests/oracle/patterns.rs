//! Regular expressions and texts in which they may be found.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use weir_planner::Value;

const ATOMS: &[&str] = &[
    "a",
    "b",
    "c",
    "A",
    "0",
    "1",
    " ",
    "-",
    "_",
    "ä",
    "Ä",
    "ß",
    "ǅ",
    "σ",
    "K",
    "[α-ω]",
    "[À-Þ]",
    "[^à-þ]",
    "[ǅſ]",
    "[A-z]",
    "[[:lower:]]",
    "[^[:upper:]]",
    "[[:alnum:]]",
    "[[:blank:][:xdigit:]]",
    "€",
    ".",
    ".",
    "[abc]",
    "[^ab]",
    "[a-c]",
    "[0-9]",
    "[^0-9]",
    "[A-Za-z]",
    "[a-]",
    "[-a]",
    "[]a]",
    "[^]a]",
    "[[:digit:]]",
    "[[:alpha:]_]",
    "[^[:space:]]",
    "[[:upper:][:digit:]]",
    "[[:punct:]]",
    "\\d",
    "\\w",
    "\\s",
    "\\D",
    "\\W",
    "\\S",
    "[\\d.]",
    "[^\\w ]",
    "\\.",
    "\\-",
    "\\\\",
    "\\t",
    "\\n",
    "[^\\n]",
    "#",
    "\\x61",
    "\\u0062",
    "[\\x41-\\U00000043]",
    "\\e",
    "\\B",
    "[[.a.]b]",
    "[[=a=][.-.]]",
    "(?#a)",
    "\\*",
    "ab",
    "(",
    ",",
    "\"",
];
const ODD: &[&str] = &[
    "(?=a)",
    "(?i)",
    "(?<a",
    "\\1",
    "\\m",
    "\\y",
    "\\A",
    "[[.a.]]",
    "[[=a=]]",
    "a{2",
    "}",
    "{",
    ")",
    "[",
    "[b-a]",
    "***=",
    "[a-b-c]",
    "\\x41",
    "\\",
    "*",
    "(?:)",
    "()",
    "^*",
    "{,3}",
    "[^]",
    "[a-\\d]",
    "\\Z",
    "(?<!a)",
    "[a\\]",
    "[a-[:digit:]]",
];

const LOOKS: &[&str] = &["(?=", "(?!", "(?<=", "(?<!"];
/// Options, and what else says at the begin of a pattern how it is read.
const BEGINS: &[&str] = &[
    "(?i)", "(?c)", "(?si)", "(?x)", "(?n)", "(?p)", "(?w)", "(?m)", "(?xni)", "(?q)", "(?e)", "***=", "***:",
    "***:(?i)",
];

fn atom(rng: &mut StdRng, depth: usize) -> String {
    match rng.random_range(0..16) {
        15 if depth > 0 => format!("{}{})", LOOKS.choose(rng).expect("not empty"), pattern_of(rng, depth - 1)),
        0 | 14 if depth > 0 => format!("({})", pattern_of(rng, depth - 1)),
        1 | 2 if depth > 0 => format!("(?:{})", pattern_of(rng, depth - 1)),
        3 if rng.random_range(0..4) == 0 => (*ODD.choose(rng).expect("not empty")).to_owned(),
        4 => ["^", "$", "\\m", "\\M", "\\y", "\\Y", "\\A", "\\Z"][rng.random_range(0..8)].to_owned(),
        _ => match *ATOMS.choose(rng).expect("not empty") {
            "(" => "\\(".to_owned(),
            atom => atom.to_owned(),
        },
    }
}

fn pattern_of(rng: &mut StdRng, depth: usize) -> String {
    let branches: Vec<String> = (0..if rng.random_range(0..4) == 0 { 2 } else { 1 })
        .map(|_| {
            (0..rng.random_range(0..4))
                .map(|_| {
                    let quantifier = match rng.random_range(0..10) {
                        0 => "*",
                        1 => "+",
                        2 => "?",
                        3 => [
                            "{2}", "{1,2}", "{0,3}", "{2,}", "{0}", "{3,1}", "*?", "+?", "??", "{1,2}?", "{2}?",
                            "{1,1}", "{1}?", "{0,2}?", "**",
                        ]
                        .choose(rng)
                        .expect("not empty"),
                        _ => "",
                    };
                    format!("{}{quantifier}", atom(rng, depth))
                })
                .collect::<String>()
        })
        .collect();
    branches.join("|")
}

/// Parentheses in parentheses, quantified in every way, and back references to them.
fn captures(rng: &mut StdRng, depth: usize, refers: bool) -> String {
    let quantifiers =
        ["", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,2}", "{2}?", "{1,3}?", "{0,2}?"];
    let branch = |rng: &mut StdRng| -> String {
        (0..rng.random_range(0..4))
            .map(|_| {
                let atom = match rng.random_range(0..if refers { 11 } else { 9 }) {
                    9.. => format!("\\{}", rng.random_range(1..4)),
                    8 if depth > 0 => {
                        return format!(
                            "{}{})",
                            LOOKS.choose(rng).expect("not empty"),
                            captures(rng, depth - 1, refers)
                        );
                    }
                    0..3 if depth > 0 => format!("({})", captures(rng, depth - 1, refers)),
                    3 if depth > 0 => format!("(?:{})", captures(rng, depth - 1, refers)),
                    _ => (*["a", "b", ".", "ab", "[ab]", "(?:a|ab)"].choose(rng).expect("not empty")).to_owned(),
                };
                atom + quantifiers.choose(rng).expect("not empty")
            })
            .collect()
    };
    let branches = [1, 1, 2, 3][rng.random_range(0..4)];
    (0..branches).map(|_| branch(rng)).collect::<Vec<_>>().join("|")
}

fn text(rng: &mut StdRng) -> String {
    let pieces = [
        "a", "b", "c", "A", "B", "0", "1", "7", " ", "-", "_", ".", "ab", "aa", "\t", "\n", "\\", "*", "(", ",", "]",
        "\"",
    ];
    let mut text: String =
        (0..rng.random_range(0..9)).map(|_| *pieces.choose(rng).expect("not empty")).collect::<Vec<_>>().concat();
    if rng.random_range(0..8) == 0 {
        text.push_str(["ä", "€", "😀", "Ä"].choose(rng).expect("not empty"));
    }
    if rng.random_range(0..3) == 0 {
        let letters = [
            "ß", "ẞ", "Σ", "ς", "σ", "ǅ", "ǆ", "Ǆ", "ſ", "K", "İ", "ı", "é", "É", "٣", "\u{a0}", "\u{3000}", "¿", "—",
            "漢", "𐐀", "𐐨", "Ⅷ", "ⓐ",
        ];
        (0..rng.random_range(1..4)).for_each(|_| text.push_str(letters.choose(rng).expect("not empty")));
    }
    text
}

const SIMILAR: &[&str] =
    &["%", "_", "a", "b", "(", ")", "|", "*", "+", "?", "{2}", ".", "^", "$", "\\%", "\\_", "ä", "[a]", "\\\\"];

/// All arguments of a call that takes a pattern.
pub fn tuple(rng: &mut StdRng, symbol: &str) -> Option<Vec<Value>> {
    let similar = |rng: &mut StdRng| {
        let parts: Vec<&str> = (0..rng.random_range(0..6)).map(|_| *SIMILAR.choose(rng).expect("not empty")).collect();
        Value::text(&parts.concat())
    };
    let option = |rng: &mut StdRng| {
        Value::text(
            ["", "i", "g", "gi", "ci", "x", "n", "gn", "gp", "gw", "q", "gq", "qx", "gb"]
                .choose(rng)
                .expect("not empty"),
        )
    };
    let plain = |rng: &mut StdRng| {
        Value::text(["", "i", "c", "ic", "n", "x", "p", "w", "q", "m"].choose(rng).expect("not empty"))
    };
    match symbol {
        "similar_to_escape_1" => return Some(vec![similar(rng)]),
        "similar_to_escape_2" => {
            let escape = ["\\", "#", "", "a", "%"].choose(rng).expect("not empty");
            return Some(vec![similar(rng), Value::text(escape)]);
        }
        _ => {}
    }
    // Where parts of a match are asked for, some patterns have many, over few characters.
    let (text, pattern) = match rng.random_range(0..2) {
        0 => {
            let begin = if rng.random_range(0..2) == 0 { BEGINS.choose(rng).expect("not empty") } else { "" };
            (text(rng), format!("{begin}{}", pattern_of(rng, 2)))
        }
        _ => (
            (0..rng.random_range(0..8)).map(|_| if rng.random_bool(0.6) { 'a' } else { 'b' }).collect(),
            match rng.random_range(0..3) {
                // Most begin with parentheses to refer back to.
                0 => format!("({}){}", captures(rng, 1, false), captures(rng, 3, true)),
                _ => captures(rng, 3, false),
            },
        ),
    };
    let (text, pattern) = (Value::text(&text), Value::text(&pattern));
    let by = |rng: &mut StdRng| {
        let pieces = ["", "-", "xy", "ä", "\\&", "\\1", "<\\2>", "\\3\\1", "\\\\", "\\x", "\\", "\\0", "\\9"];
        Value::text(&(0..rng.random_range(1..3)).map(|_| *pieces.choose(rng).expect("not empty")).collect::<String>())
    };
    Some(match symbol {
        "textregexeq"
        | "textregexne"
        | "texticregexeq"
        | "texticregexne"
        | "regexp_like_no_flags"
        | "textregexsubstr"
        | "regexp_substr_no_start"
        | "regexp_instr_no_start"
        | "regexp_count_no_start"
        | "regexp_match_no_flags"
        | "regexp_split_to_array_no_flags"
        | "nameregexeq"
        | "nameregexne" => vec![text, pattern],
        "regexp_like" | "regexp_match" | "regexp_split_to_array" => vec![text, pattern, plain(rng)],
        "textregexreplace_noopt" => vec![text, pattern, by(rng)],
        "textregexreplace" => vec![text, pattern, by(rng), option(rng)],
        _ => return None,
    })
}
