//! What capturing changes costs those who write, each way against no capture at all: processor time of the writer's own
//! backend, WAL, and what Weir and its sessions spend on the other side. One statement is one transaction.

use crate::processor;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;
use weir_tests::postgres::TestServer;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// Ways of capturing; the first is what the others are compared with.
const WAYS: [&str; 3] = ["none", "wal", "trigger"];

/// Statements per turn and kind: a turn lasts some ten milliseconds, so that all ways meet the same neighbours.
const TURN_ROWS: u32 = 200;

const SCHEMA: &str = "CREATE TABLE narrow (id bigserial PRIMARY KEY, account int NOT NULL, amount numeric NOT NULL, at timestamptz NOT NULL DEFAULT now());
     CREATE TABLE wide (id bigserial PRIMARY KEY, account int NOT NULL, body text NOT NULL);
     INSERT INTO narrow (account, amount) SELECT i % 100, i FROM generate_series(1, 20000) i;
     INSERT INTO wide (account, body) SELECT i % 100, repeat(md5(i::text), 50) FROM generate_series(1, 2000) i;
     ANALYZE";

const VIEWS: &str = "SELECT pgtrickle.create_stream_table('per_account', 'SELECT account, count(*) AS n, sum(amount) AS total FROM narrow GROUP BY account', '1s', 'DIFFERENTIAL');
     SELECT pgtrickle.create_stream_table('per_body', 'SELECT account, count(*) AS n, sum(length(body)) AS total FROM wide GROUP BY account', '1s', 'DIFFERENTIAL')";

struct Kind {
    name: &'static str,
    sql: &'static str,
    /// Rows written by one statement.
    rows: u32,
}

const KINDS: [Kind; 6] = [
    Kind { name: "INSERT of 1 row", sql: "INSERT INTO narrow (account, amount) VALUES (7, 12.5)", rows: 1 },
    Kind {
        name: "INSERT of 100 rows",
        sql: "INSERT INTO narrow (account, amount) SELECT i, i FROM generate_series(1, 100) i",
        rows: 100,
    },
    Kind {
        name: "UPDATE of 1 row",
        sql: "UPDATE narrow SET amount = amount + 1 WHERE id = (SELECT 1 + (random() * 19000)::int)",
        rows: 1,
    },
    Kind {
        name: "UPDATE of 100 rows",
        sql: "DO $$ DECLARE f int := random() * 19000; BEGIN UPDATE narrow SET amount = amount + 1 WHERE id > f AND id <= f + 100; END $$",
        rows: 100,
    },
    Kind {
        name: "UPDATE of 1 row of 1.6 kB",
        sql: "UPDATE wide SET account = account + 1 WHERE id = (SELECT 1 + (random() * 1900)::int)",
        rows: 1,
    },
    Kind { name: "UPDATE that finds no row", sql: "UPDATE narrow SET amount = 0 WHERE id = -1", rows: 1 },
];

struct Way {
    server: TestServer,
    weir: Option<TestWeir>,
    writer: RawClient,
    backend: u32,
}

/// Sums over all turns of one kind.
#[derive(Clone, Copy, Default)]
struct Cost {
    statements: u32,
    backend: Duration,
    weir: Duration,
    sessions: Duration,
    wal_bytes: u64,
}

/// Measures all kinds, the ways taking turns, and writes `capture.md`.
pub fn measure(repetitions: u32, output: &Path) -> std::io::Result<()> {
    println!("capture: what it costs writers");
    let mut ways: Vec<Way> = WAYS.iter().map(|way| Way::start(way)).collect();
    let costs: Vec<Vec<Cost>> = KINDS.iter().map(|kind| turns(kind, &mut ways, repetitions)).collect();
    std::fs::create_dir_all(output)?;
    std::fs::write(output.join("capture.md"), report(&costs, repetitions))
}

fn turns(kind: &Kind, ways: &mut [Way], repetitions: u32) -> Vec<Cost> {
    let mut costs = vec![Cost::default(); ways.len()];
    // The first turn warms caches and plans.
    for turn in 0..=repetitions {
        for (way, cost) in ways.iter_mut().zip(&mut costs) {
            let spent = way.turn(kind);
            if turn > 0 {
                cost.add(spent);
            }
        }
    }
    costs
}

impl Way {
    fn start(way: &str) -> Way {
        let server = TestServer::options().conf("wal_level = logical").conf("max_prepared_transactions = 0").start();
        let mut writer = RawClient::superuser(&server.address());
        writer.execute(SCHEMA);
        let weir = (way != WAYS[0]).then(|| TestWeir::start_with(&server, &["--capture", way]));
        if let Some(weir) = &weir {
            RawClient::superuser(&weir.address()).execute(VIEWS);
            weir.wait_until_live(&["per_account", "per_body"]);
        }
        let backend = writer.execute("SELECT pg_backend_pid()").scalar().parse().expect("a process id");
        Way { server, weir, writer, backend }
    }

    fn turn(&mut self, kind: &Kind) -> Cost {
        let statements = (TURN_ROWS / kind.rows).max(10);
        let mut watcher = RawClient::superuser(&self.server.address());
        let sessions = watcher.execute("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'weir %'").texts();
        let sessions: Vec<u32> = sessions.iter().filter_map(|row| row[0].parse().ok()).collect();
        let position = "SELECT pg_current_wal_insert_lsn() - '0/0'";
        let wal: u64 = watcher.execute(position).scalar().parse().expect("a number");
        let before = self.spent(&sessions);
        for _ in 0..statements {
            self.writer.execute(kind.sql);
        }
        let backend = processor::spent(self.backend, None) - before.backend;
        let wal_bytes = watcher.execute(position).scalar().parse::<u64>().expect("a number") - wal;
        // What the writes cause on the other side comes a little later.
        std::thread::sleep(Duration::from_millis(100));
        let after = self.spent(&sessions);
        let (weir, sessions) = (after.weir - before.weir, after.sessions.saturating_sub(before.sessions));
        Cost { statements, backend, weir, sessions, wal_bytes }
    }

    fn spent(&self, sessions: &[u32]) -> Cost {
        let alive = |pid: &&u32| Path::new(&format!("/proc/{pid}/task")).exists();
        Cost {
            backend: processor::spent(self.backend, None),
            weir: self.weir.as_ref().map_or(Duration::ZERO, |weir| processor::spent(weir.process_id(), None)),
            sessions: sessions.iter().filter(alive).map(|&pid| processor::spent(pid, None)).sum(),
            ..Cost::default()
        }
    }
}

impl Cost {
    fn add(&mut self, other: Cost) {
        self.statements += other.statements;
        self.backend += other.backend;
        self.weir += other.weir;
        self.sessions += other.sessions;
        self.wal_bytes += other.wal_bytes;
    }

    fn micros(&self, spent: Duration) -> f64 {
        spent.as_secs_f64() * 1e6 / f64::from(self.statements.max(1))
    }
}

fn report(costs: &[Vec<Cost>], repetitions: u32) -> String {
    let build = if cfg!(debug_assertions) { "a debug build: do not quote Weir's figures" } else { "release build" };
    let mut text = format!(
        "# What capture costs writers\n\nWritten by `weir-bench --parts capture` ({build}). One connection straight to \
         Postgres, one statement per transaction, tables with a primary key that one stream table reads. The ways took \
         turns, {repetitions} times each; processor time only, so that neighbours on the machine matter little. `none`: \
         no Weir, no triggers, replica identity DEFAULT; all servers have `wal_level = logical` and `fsync = off`. \
         *Writer*: the backend that runs the statement. *Weir* and *Weir's sessions* in Postgres (the walsender, or the \
         session that drains) work beside it, their idle polling included. An INSERT writes the same WAL with a walsender or without; \
         what it costs more is probably the waking of it at every commit (not taken apart).\n\n\
         | statement | capture | writer, µs | ratio to none | WAL, bytes | Weir, µs | Weir's sessions, µs |\n|---|---|---|---|---|---|---|\n"
    );
    for (kind, costs) in KINDS.iter().zip(costs) {
        let none = costs[0].micros(costs[0].backend);
        for (way, cost) in WAYS.iter().zip(costs) {
            let writer = cost.micros(cost.backend);
            let _ = writeln!(
                text,
                "| {} | {way} | {writer:.0} | {:.2} | {} | {:.0} | {:.0} |",
                kind.name,
                writer / none,
                cost.wal_bytes / u64::from(cost.statements.max(1)),
                cost.micros(cost.weir),
                cost.micros(cost.sessions)
            );
        }
    }
    text
}
