//! The results as Markdown: every figure beside the one it is to be compared with, of the same run.

use crate::commits::{Engine, Visibility};
use crate::load::Protocol;
use crate::plot::{Bar, bars};
use crate::reads::{Cell, Panel, Target};
use crate::writes::Writes;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

pub struct Report {
    text: String,
    goals: Vec<(String, String, bool)>,
    bars: Vec<Bar>,
}

impl Report {
    pub fn new(transactions: u64, users: u64, merchants: u64) -> Report {
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let build = if cfg!(debug_assertions) { "a debug build: do not quote these figures" } else { "release build" };
        let text = format!(
            "# Measurements\n\nWritten by `make bench`. Fraud scenario with {transactions} transactions, {users} users, \
             {merchants} merchants; {cores} cores shared by clients, Weir and Postgres; {build}. All targets took turns \
             in one run: compare figures within a table, not with other machines. What forwarding costs beside PgBouncer is in \
             [forwarding.md](forwarding.md).\n"
        );
        Report { text, goals: Vec::new(), bars: Vec::new() }
    }

    fn section(&mut self, title: &str, header: &str) {
        let columns = header.matches('|').count() - 1;
        let _ = writeln!(self.text, "\n## {title}\n\n{header}\n|{}", "---|".repeat(columns));
    }

    fn row(&mut self, cells: &[String]) {
        let _ = writeln!(self.text, "| {} |", cells.join(" | "));
    }

    fn goal(&mut self, goal: &str, measured: String, met: bool) {
        self.goals.push((goal.to_owned(), measured, met));
    }

    pub fn creation(&mut self, what: &str, elapsed: Duration, resident_bytes: u64) {
        self.section(&format!("Creating {what}"), "| until memory answers | resident memory of Weir after it |");
        self.row(&[format!("{:.2} s", elapsed.as_secs_f64()), mebibytes(resident_bytes)]);
    }

    pub fn memory(&mut self, resident_bytes: u64) {
        self.section("Memory after all measurements", "| resident memory of Weir |");
        self.row(&[mebibytes(resident_bytes)]);
    }

    pub fn commits(&mut self, what: &str, engine: Engine) {
        self.section(
            &format!("One-row commits, {what}"),
            "| commits | in the engine | with publishing | processor time of the engine thread | rows changed | rows/s in the engine | insert and read at `latest`, p50 | p99 |",
        );
        let trip = &engine.round_trip;
        self.row(&[
            format!("{:.0}", engine.commits),
            micros(engine.engine_micros_per_commit),
            micros(engine.micros_per_commit),
            micros(engine.processor_micros_per_commit),
            format!("{:.1}", engine.rows_per_commit),
            format!("{:.0}", engine.rows_per_commit / engine.engine_micros_per_commit * 1e6),
            micros(trip.quantile(0.5)),
            micros(trip.quantile(0.99)),
        ]);
        let limit = if what == "all nine" { 30_000.0 } else { 20.0 };
        let goal = format!("engine time per one-row commit, {what}: at most {}", micros(limit));
        self.goal(&goal, micros(engine.engine_micros_per_commit), engine.engine_micros_per_commit <= limit);
    }

    pub fn freshness(&mut self, what: &str, visibility: Visibility) {
        self.section(&format!("Commit to visible, 100 inserts/s, {what}"), "| reader | tries | p50 | p99 |");
        for (reader, latencies) in [
            ("another session at `latest`", &visibility.latest),
            ("another session polling at the default level", &visibility.default_level),
        ] {
            self.row(&[
                reader.to_owned(),
                latencies.count().to_string(),
                micros(latencies.quantile(0.5)),
                micros(latencies.quantile(0.99)),
            ]);
        }
        let (median, tail) = (visibility.latest.quantile(0.5), visibility.latest.quantile(0.99));
        let goal = format!("commit to visible at `latest`, {what}: at most 3 ms at p50, 50 ms at p99");
        self.goal(&goal, format!("{}, {}", micros(median), micros(tail)), median <= 3e3 && tail <= 5e4);
    }

    pub fn writes(&mut self, writes: Writes) {
        self.section("Writers, 8 clients, one-row inserts", "| way | inserts/s | ratio | p50 | p99 |");
        let base = writes.bare.throughput();
        for (way, latencies) in [
            ("Postgres without Weir", &writes.bare),
            ("past Weir, tables captured", &writes.captured),
            ("through Weir, tables captured", &writes.through),
        ] {
            self.row(&[
                way.to_owned(),
                format!("{:.0}", latencies.throughput()),
                format!("{:.2}", latencies.throughput() / base),
                micros(latencies.quantile(0.5)),
                micros(latencies.quantile(0.99)),
            ]);
        }
        let commits = writes.captured.count() as f64;
        let per_commit = |spent: Duration| micros(spent.as_secs_f64() * 1e6 / commits);
        let (weir, walsender) = (per_commit(writes.capture.weir), per_commit(writes.capture.walsender));
        let _ = writeln!(
            self.text,
            "\nProcessor time per captured commit past Weir: Weir {weir}, the walsender {walsender}."
        );
        let kept = writes.captured.throughput() / base;
        self.goal("writers keep at least 0.9 of their throughput", format!("{kept:.2}"), kept >= 0.9);
    }

    pub fn reads(&mut self, cells: Vec<Cell>) {
        self.section(
            "Reads",
            "| read | protocol | clients | target | from memory | p50 | p99 | statements/s | ratio to the plain table |",
        );
        let plain = |cell: &Cell| {
            let same = |other: &&Cell| {
                (other.query, other.protocol, other.clients) == (cell.query, cell.protocol, cell.clients)
            };
            cells.iter().filter(same).find(|other| other.target == Target::Table)
        };
        let mut rows = Vec::new();
        for cell in &cells {
            let ratio = plain(cell).map(|plain| cell.latencies.throughput() / plain.latencies.throughput());
            rows.push(vec![
                cell.query.to_owned(),
                cell.protocol.name().to_owned(),
                cell.clients.to_string(),
                cell.target.name().to_owned(),
                cell.from_memory.map_or_else(String::new, |share| format!("{:.0} %", share * 100.0)),
                micros(cell.latencies.quantile(0.5)),
                micros(cell.latencies.quantile(0.99)),
                format!("{:.0}", cell.latencies.throughput()),
                ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            ]);
            if cell.protocol == Protocol::Prepared && cell.clients == 1 {
                let label = format!("{}: {}", cell.query, cell.target.name());
                self.bars.push(Bar {
                    label,
                    micros: cell.latencies.quantile(0.5),
                    ours: cell.target == Target::Memory,
                });
            }
        }
        for row in rows {
            self.row(&row);
        }
        for cell in cells.iter().filter(|cell| cell.query.starts_with("point") && cell.protocol == Protocol::Prepared) {
            let (Target::Memory, Some(plain)) = (cell.target, plain(cell)) else { continue };
            let (ours, theirs) = (&cell.latencies, &plain.latencies);
            match cell.clients {
                1 => {
                    let (ours, theirs) = (ours.quantile(0.5), theirs.quantile(0.5));
                    let goal = "prepared point read, 1 client: faster at p50 than Postgres on the indexed table";
                    self.goal(goal, format!("{} against {}", micros(ours), micros(theirs)), ours < theirs);
                }
                8 => {
                    let ratio = ours.throughput() / theirs.throughput();
                    let goal = "prepared point read, 8 clients: at least 1.3 times the throughput of the indexed table";
                    self.goal(goal, format!("{ratio:.2}"), ratio >= 1.3);
                }
                _ => {}
            }
        }
    }

    pub fn dashboard(&mut self, panels: Vec<Panel>) {
        self.section(
            "Fraud dashboard, simple protocol, 1 client",
            "| panel | route | through Weir p50 | p99 | the view directly p50 | ratio |",
        );
        let mut worst: f64 = 0.0;
        for Panel { name, memory, view, route } in panels {
            let (ours, theirs): (f64, f64) = (memory.quantile(0.5), view.quantile(0.5));
            worst = if route.starts_with("memory") { worst.max(ours) } else { f64::INFINITY };
            self.row(&[
                name.to_owned(),
                route,
                micros(ours),
                micros(memory.quantile(0.99)),
                micros(theirs),
                format!("{:.0}", theirs / ours),
            ]);
        }
        self.goal(
            "every read of the fraud dashboard from memory, at most 0.2 ms at p50",
            micros(worst),
            worst <= 200.0,
        );
    }

    /// `README.md` and `reads.svg`.
    pub fn write(self, directory: &Path) -> std::io::Result<()> {
        let mut goals = String::from("\n## Goals\n\n| goal | measured | met |\n|---|---|---|\n");
        for (goal, measured, met) in &self.goals {
            let _ = writeln!(goals, "| {goal} | {measured} | {} |", if *met { "yes" } else { "**no**" });
        }
        let (head, rest) = self.text.split_once("\n## ").unwrap_or((&self.text, ""));
        let picture = "\n![median latency of prepared reads](reads.svg)\n";
        std::fs::create_dir_all(directory)?;
        std::fs::write(directory.join("README.md"), format!("{head}{goals}{picture}\n## {rest}"))?;
        std::fs::write(directory.join("reads.svg"), bars("Median latency of prepared reads, 1 client", &self.bars))
    }
}

pub fn mebibytes(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20))
}

/// A duration given in microseconds, in the unit it is read best in.
pub fn micros(micros: f64) -> String {
    match micros {
        _ if !micros.is_finite() => "not from memory".to_owned(),
        _ if micros < 1e3 => format!("{micros:.1} µs"),
        _ if micros < 1e6 => format!("{:.2} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_in_the_unit_they_are_read_best_in() {
        assert_eq!(micros(1234.0), "1.23 ms");
        assert_eq!(micros(12.34), "12.3 µs");
    }
}
