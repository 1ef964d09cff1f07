//! The list of differences that have an explanation, and whether it holds.
//!
//! A file of blocks: `== test`, the explanation, then the differing lines, which begin with `-` or `+`. A difference that
//! is not listed and a listed one that no longer appears are both failures: the list is what is true, not what is excused.

use super::difference::{Differences, without_object_ids};
use std::fmt::Write;

/// What is wrong with the differences, given the list; empty when all is as listed.
pub fn check(found: &Differences, list: &str) -> String {
    let listed = read(list);
    let mut complaints = String::new();
    for (test, lines) in found {
        if listed.get(test).map(|block| in_order(block)) != Some(in_order(lines)) {
            let word = if listed.contains_key(test) { "other than the explained ones" } else { "unexplained" };
            let _ = writeln!(complaints, "{test}: {word} differences (- directly, + through Weir):\n== {test}");
            for line in lines {
                let _ = writeln!(complaints, "{line}");
            }
        }
    }
    for test in listed.keys().filter(|test| !found.contains_key(*test)) {
        let _ = writeln!(complaints, "{test}: the explained differences are gone; take them from the list");
    }
    complaints
}

/// The order of the lines does not count: catalogue queries without ORDER BY answer in the order in which rows happen to lie.
fn in_order(lines: &[String]) -> Vec<&str> {
    let mut sorted: Vec<&str> = lines.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted
}

/// Panics when a block has no explanation: that is a mistake in the list.
fn read(list: &str) -> Differences {
    let mut blocks = Differences::new();
    let mut test = None;
    let mut explained = false;
    for line in list.lines() {
        if let Some(name) = line.strip_prefix("== ") {
            blocks.insert(name.to_owned(), Vec::new());
            test = Some(name.to_owned());
            explained = false;
        } else if let (true, Some(test)) = (line.starts_with(['-', '+']), &test) {
            assert!(explained, "the differences of {test} are listed without an explanation");
            blocks.get_mut(test).expect("just inserted").push(without_object_ids(line));
        } else if !line.trim().is_empty() {
            explained = true;
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "== a\nBecause.\n-one\n+two 16400\n== b\nTherefore.\n+three\n";

    #[test]
    fn only_what_is_listed_passes() {
        assert_eq!(check(&read(LIST), LIST), "");
        assert_eq!(check(&read("== a\nBecause.\n+two 16400\n-one\n== b\nTherefore.\n+three\n"), LIST), "");
        for (found, complaint) in [
            ("== a\nBecause.\n-one\n+two 20000\n", "b: the explained differences are gone"),
            ("== a\nBecause.\n-one\n== b\nTherefore.\n+three\n", "a: other than the explained"),
            (&format!("{LIST}== c\nWhy?\n+x\n"), "c: unexplained"),
        ] {
            let complaints = check(&read(found), LIST);
            assert!(complaints.contains(complaint), "{complaints}");
        }
    }

    #[test]
    #[should_panic(expected = "without an explanation")]
    fn explanation_is_required() {
        check(&Differences::new(), "== a\n-one\n");
    }
}
