//! What differs between the result files of two runs.

use super::run::Run;
use std::collections::BTreeMap;
use std::process::Command;

/// The lines only the direct run has (`-`) and only the run through Weir has (`+`), in order, by test.
pub type Differences = BTreeMap<String, Vec<String>>;

/// Compares all results. Both runs must have run the same tests, and each must have left a result.
pub fn find(direct: &Run, weir: &Run) -> Differences {
    assert_eq!(direct.finished(), weir.finished(), "the runs are of different tests");
    assert!(!direct.finished().is_empty(), "nothing was run");
    let mut found = Differences::new();
    for test in direct.finished() {
        let results = (direct.result(test), weir.result(test));
        assert!(!results.0.is_empty(), "{test} left an empty result");
        if results.0 != results.1 {
            found.insert(test.clone(), differing_lines(direct, weir, test));
        }
    }
    found
}

fn differing_lines(direct: &Run, weir: &Run, test: &str) -> Vec<String> {
    let mut diff = Command::new("diff");
    diff.args(["--text", "--old-line-format=-%L", "--new-line-format=+%L", "--unchanged-line-format="]);
    let done = diff.arg(direct.result_path(test)).arg(weir.result_path(test)).output().expect("diff can be run");
    assert_eq!(done.status.code(), Some(1), "diff: {}", String::from_utf8_lossy(&done.stderr));
    let lines = String::from_utf8_lossy(&done.stdout).lines().map(without_object_ids).collect::<Vec<_>>();
    assert!(!lines.is_empty(), "{test} differs in no line");
    lines
}

/// Shortest run of digits that is taken for the OID of a user's object (they begin at 16384).
const OID_DIGITS: usize = 5;

/// OIDs change with every object that is created before: an explanation cannot name them. Trailing blanks go too.
pub fn without_object_ids(line: &str) -> String {
    let mut out = String::new();
    let mut digits = String::new();
    for character in line.trim_end().chars().chain(['\n']) {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        out.push_str(if digits.len() >= OID_DIGITS { "<oid>" } else { &digits });
        digits.clear();
        out.push(character);
    }
    out.pop();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_ids_are_blanked() {
        assert_eq!(without_object_ids("+ 16448 | watch 1234  "), "+ <oid> | watch 1234");
        assert_eq!(without_object_ids("-rows 99999"), "-rows <oid>");
    }
}
