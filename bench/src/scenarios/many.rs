//! Many stream tables in one Weir: made, refreshed, started again, dropped. What costs more per table the more there are
//! shows in the first tenth beside the last.

use super::{live, report};
use crate::latencies::Latencies;
use crate::processor;
use std::path::Path;
use std::time::{Duration, Instant};
use weir_tests::postgres::TestServer;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// Rows of each base table.
const ROWS: u32 = 1_000;
const COMMITS: u32 = 200;
/// How long Weir is watched doing nothing.
const IDLE: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(600);

pub(super) struct Many {
    pub tables: u32,
    pub bases: u32,
    /// One call each, in a session of its own through Weir.
    pub create: Vec<Duration>,
    pub drop: Vec<Duration>,
    /// From the last call until all are in memory.
    pub populated: Duration,
    /// `refresh_stream_table` of each, after a write to every base table.
    pub refresh: Latencies,
    /// One row into one base table, then a read at `latest` of one stream table over it.
    pub commit: Latencies,
    pub engine_micros_per_commit: f64,
    /// One transaction that writes to every base table, until every stream table has it.
    pub all_moved: Duration,
    /// From the start of the process until all are in memory, and Weir's processor time for it.
    pub restart: Duration,
    pub restart_processor: Duration,
    /// Share of one processor that Weir, and its sessions in Postgres, take when nothing happens.
    pub idle_weir: f64,
    pub idle_postgres: f64,
    pub resident_before: u64,
    pub resident: u64,
    pub resident_after: u64,
}

pub fn measure(tables: u32, bases: u32, output: &Path) -> std::io::Result<()> {
    let server = TestServer::start();
    let mut direct = RawClient::superuser(&server.address());
    for base in 0..bases {
        direct.execute(&format!(
            "CREATE TABLE base_{base} (id int PRIMARY KEY, g int NOT NULL, v int NOT NULL); \
             INSERT INTO base_{base} SELECT i, i % 20, i * 7 % 1000 FROM generate_series(1, {ROWS}) i"
        ));
    }
    let mut weir = TestWeir::start(&server);
    let mut through = RawClient::superuser(&weir.address());
    let resident_before = processor::resident_bytes(weir.process_id());
    let timed = |client: &mut RawClient, sql: &str| {
        let started = Instant::now();
        client.execute(sql);
        started.elapsed()
    };
    let create: Vec<Duration> = (0..tables).map(|at| timed(&mut through, &definition(at, bases))).collect();
    let populated = until_live(&weir, tables);
    println!("created: {:.1?}, populated after {populated:.1?}", create.iter().sum::<Duration>());

    let (commit, engine_micros_per_commit) = commits(&weir, &mut through, bases);
    let touch = |client: &mut RawClient| {
        let all: Vec<String> =
            (0..bases).map(|base| format!("UPDATE base_{base} SET v = v + 1 WHERE id = 1")).collect();
        client.execute(&all.join("; "));
    };
    let mut reader = RawClient::superuser(&weir.address());
    reader.execute("SET weir.consistency = 'latest'");
    let read_all =
        |client: &mut RawClient| (0..tables).for_each(|at| drop(client.execute(&format!("SELECT * FROM many_{at}"))));
    // Analysed, and answered from memory from now on.
    read_all(&mut reader);
    read_all(&mut reader);
    touch(&mut direct);
    let started = Instant::now();
    read_all(&mut reader);
    let all_moved = started.elapsed();
    touch(&mut direct);
    let mut refresh = Latencies::default();
    for at in 0..tables {
        refresh.record(timed(&mut through, &format!("SELECT pgtrickle.refresh_stream_table('many_{at}')")));
    }
    let (idle_weir, idle_postgres) = idle(&weir, &mut direct);
    let resident = processor::resident_bytes(weir.process_id());
    println!("refreshed; idle: {:.1} % in Weir, {:.1} % in Postgres", idle_weir * 100.0, idle_postgres * 100.0);

    weir.stop();
    let started = Instant::now();
    weir.start_again();
    until_live(&weir, tables);
    let restart = started.elapsed();
    let restart_processor = processor::spent(weir.process_id(), None);
    println!("started again: {restart:.1?}");

    let mut through = RawClient::superuser(&weir.address());
    // The last ones first: some of them read others.
    let drop: Vec<Duration> = (0..tables)
        .rev()
        .map(|at| timed(&mut through, &format!("SELECT pgtrickle.drop_stream_table('many_{at}')")))
        .collect();
    println!("dropped: {:.1?}", drop.iter().sum::<Duration>());
    let resident_after = processor::resident_bytes(weir.process_id());
    let many = Many {
        tables,
        bases,
        create,
        drop,
        populated,
        refresh,
        commit,
        engine_micros_per_commit,
        all_moved,
        restart,
        restart_processor,
        idle_weir,
        idle_postgres,
        resident_before,
        resident,
        resident_after,
    };
    report::many(output, &many)
}

/// Five shapes in turn over the base tables: groups, a filter, a join of two, distinct values, another stream table.
fn definition(at: u32, bases: u32) -> String {
    let base = at % bases;
    let query = match at / bases % 5 {
        0 => format!("SELECT g, count(*) AS n, sum(v) AS total FROM base_{base} GROUP BY g"),
        1 => format!("SELECT id, g, v FROM base_{base} WHERE v > {}", 500 + at % 400),
        2 => format!(
            "SELECT a.g, count(*) AS n, sum(a.v + b.v) AS total FROM base_{base} a JOIN base_{} b ON b.id = a.id GROUP BY a.g",
            (base + 1) % bases
        ),
        3 => format!("SELECT DISTINCT g, v % {} AS rest FROM base_{base}", 3 + at % 5),
        _ => format!("SELECT max(total) AS most, sum(n) AS rows FROM many_{}", at - 4 * bases),
    };
    format!("SELECT pgtrickle.create_stream_table('many_{at}', $q${query}$q$, '1s', 'DIFFERENTIAL')")
}

fn until_live(weir: &TestWeir, tables: u32) -> Duration {
    let started = Instant::now();
    while live(weir) < tables as usize {
        assert!(started.elapsed() < PATIENCE, "{} of {tables} stream tables are in memory", live(weir));
        std::thread::sleep(Duration::from_millis(20));
    }
    started.elapsed()
}

/// Commit and read together, and the engine thread's processor time per commit.
fn commits(weir: &TestWeir, writer: &mut RawClient, bases: u32) -> (Latencies, f64) {
    let mut reader = RawClient::superuser(&weir.address());
    reader.execute("SET weir.consistency = 'latest'");
    let read = |client: &mut RawClient, base: u32| client.execute(&format!("SELECT sum(n) FROM many_{base}")).scalar();
    // Analysed before the clock runs.
    for _ in 0..2 {
        (0..bases).for_each(|base| drop(read(&mut reader, base)));
    }
    let engine = || processor::spent(weir.process_id(), Some("weir-engine"));
    let before = engine();
    let mut latencies = Latencies::default();
    for at in 0..COMMITS {
        let base = at % bases;
        let id = 1_000_000 + at;
        let started = Instant::now();
        writer.execute(&format!("INSERT INTO base_{base} VALUES ({id}, {}, 1)", id % 20));
        assert_eq!(read(&mut reader, base), (ROWS + 1 + at / bases).to_string());
        latencies.record(started.elapsed());
    }
    (latencies, (engine() - before).as_secs_f64() * 1e6 / f64::from(COMMITS))
}

/// Shares of one processor over [`IDLE`].
fn idle(weir: &TestWeir, direct: &mut RawClient) -> (f64, f64) {
    let sessions = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'weir%' OR backend_type = 'walsender'";
    let sessions: Vec<u32> = direct.execute(sessions).texts().iter().filter_map(|row| row[0].parse().ok()).collect();
    let of_sessions = || sessions.iter().map(|pid| processor::spent(*pid, None)).sum::<Duration>();
    let before = (processor::spent(weir.process_id(), None), of_sessions());
    std::thread::sleep(IDLE);
    let share = |before: Duration, after: Duration| (after - before).as_secs_f64() / IDLE.as_secs_f64();
    (share(before.0, processor::spent(weir.process_id(), None)), share(before.1, of_sessions()))
}
