//! PostgreSQL's own regression SQL through Weir: the result files are those of a direct run, but for the differences that
//! `tests/regress/` lists and explains. Fetches the suite and takes minutes: `make test-regress`.

use weir_tests::regress::run::Run;
use weir_tests::regress::suite::{SETUP, Suite, cut_after};
use weir_tests::regress::{difference, explained, reads};

/// Differences that come of Weir's being there at all, the same in every run of a major version.
const PRESENCE_15: &str = include_str!("../regress/15.presence.txt");
const PRESENCE_18: &str = include_str!("../regress/18.presence.txt");
/// Those that come of watching the suite's tables, in addition.
const WATCHED_15: &str = include_str!("../regress/15.watched.txt");
const WATCHED_18: &str = include_str!("../regress/18.watched.txt");

#[test]
#[ignore = "takes minutes and PostgreSQL's source package: `make test-regress` (part of `make test-long`) runs it"]
fn forwarded_15() {
    forwarded(15, PRESENCE_15);
}

#[test]
#[ignore = "takes minutes and PostgreSQL's source package: `make test-regress` (part of `make test-long`) runs it"]
fn forwarded_18() {
    forwarded(18, PRESENCE_18);
}

#[test]
#[ignore = "takes minutes and PostgreSQL's source package: `make test-regress` (part of `make test-long`) runs it"]
fn beside_stream_tables_15() {
    beside_stream_tables(15, &format!("{PRESENCE_15}\n{WATCHED_15}"));
}

#[test]
#[ignore = "takes minutes and PostgreSQL's source package: `make test-regress` (part of `make test-long`) runs it"]
fn beside_stream_tables_18() {
    beside_stream_tables(18, &format!("{PRESENCE_18}\n{WATCHED_18}"));
}

fn forwarded(major: u32, list: &str) {
    let suite = Suite::fetch(major);
    let parts = cut_after(&suite.groups(), &[SETUP]);
    let runs = [Run::direct, Run::through_weir].map(|start| {
        let mut run = start(&suite);
        run.set_up(&suite, &parts[0]);
        run.run(&suite, &parts[1]);
        run
    });
    judge(&suite, &runs, list);
}

fn beside_stream_tables(major: u32, list: &str) {
    let suite = Suite::fetch(major);
    let halves = cut_after(&suite.groups(), &[SETUP]);
    let parts = cut_after(&halves[1], &reads::PAUSES);
    let mut complaints = Vec::new();
    let runs = [Run::direct, Run::through_weir].map(|start| {
        let mut run = start(&suite);
        run.set_up(&suite, &halves[0]);
        for (number, groups) in parts.iter().enumerate() {
            run.run(&suite, groups);
            if number == 0 {
                reads::create_stream_tables(&run);
            }
            if number + 1 == parts.len() {
                reads::drop_domains_that_run_code(&run);
            }
            if run.weir.is_some() {
                let compared = reads::compare_all(&run);
                println!(
                    "{major}: pause {}: {} reads, {} from memory",
                    number + 1,
                    compared.answers,
                    compared.from_memory
                );
                complaints
                    .extend(compared.complaints.into_iter().map(|found| format!("pause {}: {found}", number + 1)));
            }
        }
        run
    });
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    judge(&suite, &runs, list);
}

fn judge(suite: &Suite, [direct, weir]: &[Run; 2], list: &str) {
    let found = difference::find(direct, weir);
    let complaints = explained::check(&found, list);
    println!(
        "{}: {} tests, {} with explained differences: {:?}",
        suite.version(),
        weir.finished().len(),
        found.len(),
        found.keys().collect::<Vec<_>>()
    );
    assert!(complaints.is_empty(), "{complaints}");
}
