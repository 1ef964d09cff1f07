//! Random jsonpaths.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use weir_tests::documents::{number, word};

/// Where a part of a path stands: what it may name.
#[derive(Clone, Copy)]
struct Place {
    depth: usize,
    /// There is an `@`.
    in_filter: bool,
    /// There is a `last`.
    in_subscript: bool,
    /// The methods are there that came with 17.
    has_conversions: bool,
}

impl Place {
    fn deeper(self) -> Place {
        Place { depth: self.depth.saturating_sub(1), ..self }
    }
}

fn one(choices: &[&str], random: &mut StdRng) -> String {
    choices.choose(random).expect("there is one").to_string()
}

fn string(random: &mut StdRng) -> String {
    serde_json::to_string(word(random)).expect("a string is JSON")
}

/// A whole path, most of which are valid.
pub fn path(has_conversions: bool, random: &mut StdRng) -> String {
    let mode = one(&["", "", "lax ", "strict ", "strict "], random);
    let place = Place { depth: 3, in_filter: false, in_subscript: false, has_conversions };
    let body = if random.random_bool(0.25) { condition(place, random) } else { expression(place, random) };
    format!("{mode}{body}")
}

fn expression(place: Place, random: &mut StdRng) -> String {
    match random.random_range(0..if place.depth == 0 { 8 } else { 12 }) {
        0..8 => accessed(place, random),
        8 => {
            let sign = one(&["-", "+"], random);
            format!("{sign}{}", accessed(place.deeper(), random))
        }
        9 | 10 => {
            let operator = one(&["+", "-", "*", "/", "%"], random);
            let (left, right) = (expression(place.deeper(), random), expression(place.deeper(), random));
            format!("({left} {operator} {right})")
        }
        _ => {
            let inner = if random.random_bool(0.5) {
                expression(place.deeper(), random)
            } else {
                condition(place.deeper(), random)
            };
            format!("({inner}){}", accessor(place.deeper(), random))
        }
    }
}

fn accessed(place: Place, random: &mut StdRng) -> String {
    let mut text = match random.random_range(0..10) {
        0 => return number(random).trim_start_matches('-').to_owned(),
        1 => one(&["null", "true", "false"], random),
        2 => string(random),
        3 | 4 if place.in_subscript => "last".into(),
        3..8 if place.in_filter => "@".into(),
        _ => "$".into(),
    };
    for _ in 0..random.random_range(0..4) {
        text.push_str(&accessor(place.deeper(), random));
    }
    text
}

fn accessor(place: Place, random: &mut StdRng) -> String {
    match random.random_range(0..if place.depth == 0 { 12 } else { 18 }) {
        0..3 => one(&[".a", ".b", ".\"0\"", ".\"A b\""], random),
        3 => format!(".{}", string(random)),
        4 => ".*".into(),
        5 | 6 => "[*]".into(),
        7 => one(&["[0]", "[1]", "[last]", "[0 to 1]", "[1 to last]", "[last - 1]", "[0, 2]", "[1.7]", "[9]"], random),
        8 => one(&[".**", ".**{0}", ".**{1}", ".**{1 to 2}", ".**{last}", ".**{2 to last}"], random),
        9 => one(&[".type()", ".size()"], random),
        10 if place.has_conversions => {
            one(&[".bigint()", ".integer()", ".number()", ".boolean()", ".string()"], random)
        }
        10 | 11 => one(&[".abs()", ".floor()", ".ceiling()", ".double()"], random),
        12..16 => format!(" ? ({})", condition(Place { in_filter: true, ..place.deeper() }, random)),
        _ => {
            let place = Place { in_subscript: true, ..place.deeper() };
            let from = expression(place, random);
            match random.random_bool(0.5) {
                true => format!("[{from}]"),
                false => format!("[{from} to {}]", expression(place, random)),
            }
        }
    }
}

fn condition(place: Place, random: &mut StdRng) -> String {
    let inner = place.deeper();
    match random.random_range(0..if place.depth == 0 { 7 } else { 11 }) {
        0..4 => {
            let comparison = one(&["==", "!=", "<>", "<", ">", "<=", ">="], random);
            format!("{} {comparison} {}", expression(inner, random), expression(inner, random))
        }
        4 => format!("{} starts with {}", expression(inner, random), string(random)),
        5 => {
            let pattern =
                one(&["^a", "b$", "[a-z]+", "A.B", "\\\\d", "(a|b)", "ine", "^ü", "new.line", "[[:alpha:]]"], random);
            let flags =
                one(&["", "", " flag \"i\"", " flag \"s\"", " flag \"m\"", " flag \"q\"", " flag \"is\""], random);
            format!("{} like_regex \"{pattern}\"{flags}", expression(inner, random))
        }
        6 => format!("exists ({})", expression(inner, random)),
        7 => format!("({} && {})", condition(inner, random), condition(inner, random)),
        8 => format!("({} || {})", condition(inner, random), condition(inner, random)),
        9 => format!("!({})", condition(inner, random)),
        _ => format!("({}) is unknown", condition(inner, random)),
    }
}
