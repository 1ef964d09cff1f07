//! Every client program prints through Weir what it prints directly (`make test-drivers`; `docs/DRIVERS.md`).

use weir_tests::drivers::{ALL, Outcome, Program, Stage, table};

/// Runs the programs and panics with everything that differs.
fn run(programs: &[&Program]) {
    let stage = Stage::set();
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut faults: Vec<String> = Vec::new();
    for program in programs {
        match stage.run(program) {
            Ok(outcome) => {
                let verdict = if outcome.faults.is_empty() { "same" } else { "DIFFERENT" };
                println!("{}: {verdict}, {} reads from memory", outcome.name, outcome.answered);
                faults.extend(outcome.faults.iter().map(|fault| format!("{}: {fault}", outcome.name)));
                outcomes.push(outcome);
            }
            Err(reason) => faults.push(format!("{}: not installed: {reason}", program.name)),
        }
    }
    println!("\n{}", table(&outcomes));
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

/// Those of the Postgres client package: part of `make test`.
#[test]
fn postgres_clients() {
    run(&ALL.iter().filter(|program| program.quick).collect::<Vec<_>>());
}

/// All of them, or those in `WEIR_DRIVERS` (names with commas between). `WEIR_DRIVERS_SKIP` names what this machine cannot
/// have; it is printed, and everything else must be there.
#[test]
#[ignore = "takes ten minutes and installs 18 client programs: `make test-drivers` (part of `make test-long`) runs it"]
fn matrix() {
    let list = |name| std::env::var(name).unwrap_or_default();
    let (only, skip) = (list("WEIR_DRIVERS"), list("WEIR_DRIVERS_SKIP"));
    let named = |names: &str, program: &Program| names.split(',').any(|name| name == program.name);
    for program in ALL.iter().filter(|program| named(&skip, program)) {
        println!("{}: SKIPPED, as WEIR_DRIVERS_SKIP says", program.name);
    }
    let chosen = ALL.iter().filter(|program| !named(&skip, program) && (only.is_empty() || named(&only, program)));
    run(&chosen.collect::<Vec<_>>());
}
