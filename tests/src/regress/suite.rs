//! What is run: the files of one major version and the order of their groups.

use crate::postgres::Binaries;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The test that fills the tables which most others read; a group of its own, the first.
pub const SETUP: &str = "test_setup";

/// The regression SQL of one major version with the programs to run it.
pub struct Suite {
    pub major: u32,
    home: PathBuf,
}

impl Suite {
    /// Fetched and built on first use (`scripts/fetch-regress.sh`).
    pub fn fetch(major: u32) -> Suite {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/fetch-regress.sh");
        let done = Command::new(script).arg(major.to_string()).output().expect("the script can be run");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "the regression SQL of {major} cannot be had: {said}");
        let home = String::from_utf8(done.stdout).expect("the script prints a path");
        Suite { major, home: home.trim().into() }
    }

    /// `server 18.6, regression SQL of …`
    pub fn version(&self) -> String {
        std::fs::read_to_string(self.home.join("version")).expect("the script wrote it").trim().to_owned()
    }

    pub fn binaries(&self) -> Binaries {
        Binaries::at(self.major, self.programs())
    }

    /// The directory of `psql` and `pg_regress`.
    pub fn programs(&self) -> PathBuf {
        self.home.join("bin")
    }

    /// Modules that the tests load into the server.
    pub fn libraries(&self) -> PathBuf {
        self.home.join("lib")
    }

    /// Where `sql/`, `data/` and the schedule lie.
    pub fn input(&self) -> PathBuf {
        self.home.join("regress")
    }

    /// The groups of the parallel schedule; the tests of a group run at the same time.
    pub fn groups(&self) -> Vec<Group> {
        let path = self.input().join("parallel_schedule");
        read_schedule(&std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }
}

/// Tests that run at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group(pub Vec<String>);

fn read_schedule(text: &str) -> Vec<Group> {
    let tests = text.lines().filter_map(|line| line.trim().strip_prefix("test:"));
    tests.map(|names| Group(names.split_whitespace().map(str::to_owned).collect())).collect()
}

/// Cuts the schedule after the groups that contain these tests, which must come in this order.
pub fn cut_after(groups: &[Group], last_tests: &[&str]) -> Vec<Vec<Group>> {
    let mut rest = groups;
    let mut parts = Vec::new();
    for last in last_tests {
        let end = rest.iter().position(|Group(tests)| tests.iter().any(|test| test == last));
        let end = end.unwrap_or_else(|| panic!("no test {last} in the rest of the schedule"));
        parts.push(rest[..=end].to_vec());
        rest = &rest[end + 1..];
    }
    parts.push(rest.to_vec());
    parts
}

/// Writes a schedule of these groups.
pub fn write_schedule(groups: &[Group], path: &Path) {
    let lines: String = groups.iter().map(|Group(tests)| format!("test: {}\n", tests.join(" "))).collect();
    std::fs::write(path, lines).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedule_is_cut_between_groups() {
        let groups = read_schedule("# first\ntest: setup\n\ntest: a b\ntest: c\ntest: d e\n");
        let group = |names: &[&str]| Group(names.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(groups, [group(&["setup"]), group(&["a", "b"]), group(&["c"]), group(&["d", "e"])]);
        let parts = cut_after(&groups, &["a", "c"]);
        assert_eq!(parts, [groups[..2].to_vec(), groups[2..3].to_vec(), groups[3..].to_vec()]);
    }
}
