//! The two runs of a program compared, and what the matrix prints.

use super::Program;
use super::stage::Counters;
use std::collections::BTreeMap;
use std::fmt::Write;

/// At most this many differing lines are shown.
const SHOWN_LINES: usize = 12;

/// What a program did.
#[derive(Debug)]
pub(super) struct Run {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A program's two runs.
#[derive(Debug)]
pub struct Outcome {
    pub name: &'static str,
    /// The first line of its output: name and version of the client.
    pub version: String,
    /// Lines compared.
    pub lines: usize,
    /// What differs or is wrong; empty when nothing is.
    pub faults: Vec<String>,
    /// Statements on stream tables that memory answered.
    pub answered: u64,
    /// Those that were forwarded, per reason.
    pub forwarded: Vec<(String, u64)>,
    /// Kinds of read whose last repetition was forwarded, with the reason.
    pub never: Vec<(String, String)>,
    /// Kinds of read whose last repetition memory answered.
    pub kinds_from_memory: usize,
}

impl Outcome {
    pub(super) fn new(program: &Program, direct: Run, through: Run, counters: Counters, routes: &str) -> Outcome {
        let mut faults = Vec::new();
        if direct.status != Some(0) {
            faults.push(format!(
                "fails directly, status {:?}: {}\n{}",
                direct.status,
                tail(&direct.stdout),
                tail(&direct.stderr)
            ));
        }
        if through.status != direct.status {
            faults.push(format!("status {:?} through Weir, {:?} directly", through.status, direct.status));
        }
        for (what, ours, theirs) in
            [("stdout", &through.stdout, &direct.stdout), ("stderr", &through.stderr, &direct.stderr)]
        {
            if let Some(difference) = difference(ours, theirs) {
                faults.push(format!("{what} differs:{difference}"));
            }
        }
        if program.reads_stream_tables && counters.answered == 0 {
            faults.push("no read was answered from memory".to_owned());
        }
        // The last route of a kind counts: nobody waits for the analysis of a text that is met for the first time.
        let last: BTreeMap<&str, &str> = routes.lines().filter_map(|line| line.split_once('\t')).collect();
        let never = last.iter().filter(|(_, route)| **route != "memory");
        Outcome {
            name: program.name,
            version: direct.stdout.lines().next().unwrap_or_default().to_owned(),
            lines: direct.stdout.lines().count(),
            faults,
            answered: counters.answered,
            forwarded: counters.forwarded,
            never: never.map(|(kind, route)| ((*kind).to_owned(), (*route).to_owned())).collect(),
            kinds_from_memory: last.values().filter(|route| **route == "memory").count(),
        }
    }

    /// Share of the statements on stream tables that memory answered, in percent.
    pub fn share(&self) -> Option<f64> {
        let forwarded: u64 = self.forwarded.iter().map(|(_, n)| n).sum();
        let all = self.answered + forwarded;
        (all > 0).then(|| 100.0 * self.answered as f64 / all as f64)
    }
}

/// The lines that differ, or nothing.
fn difference(through: &str, direct: &str) -> Option<String> {
    if through == direct {
        return None;
    }
    let (ours, theirs): (Vec<_>, Vec<_>) = (through.lines().collect(), direct.lines().collect());
    let same = ours.iter().zip(&theirs).take_while(|(left, right)| left == right).count();
    let mut shown =
        format!(" from line {} on ({} lines through Weir, {} directly)", same + 1, ours.len(), theirs.len());
    for at in same..same + SHOWN_LINES {
        if ours.get(at) == theirs.get(at) {
            continue;
        }
        for (side, line) in [("Weir  ", ours.get(at)), ("direct", theirs.get(at))] {
            let _ = write!(shown, "\n    {side} {}", line.unwrap_or(&"(end)"));
        }
    }
    Some(shown)
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

/// The outcomes as a Markdown table, and below it what was never answered from memory.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut out = String::from(
        "| program | client | lines compared | differences | reads from memory | forwarded, by reason |\n|---|---|---|---|---|---|\n",
    );
    for outcome in outcomes {
        let reasons: Vec<_> = outcome.forwarded.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
        let share = outcome.share().map_or("-".to_owned(), |share| format!("{} ({share:.0} %)", outcome.answered));
        let differences = if outcome.faults.is_empty() { "none".to_owned() } else { outcome.faults.len().to_string() };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {differences} | {share} | {} |",
            outcome.name,
            outcome.version,
            outcome.lines,
            reasons.join(", ")
        );
    }
    for outcome in outcomes {
        for (kind, route) in &outcome.never {
            let _ = write!(out, "\n{}: `{kind}` {route}", outcome.name);
        }
    }
    out.push('\n');
    out
}
