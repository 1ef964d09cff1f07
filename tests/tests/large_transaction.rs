//! A huge transaction: until all of it is in, readers have the last complete version, from memory.

use std::time::{Duration, Instant};
use weir_tests::postgres::TestServer;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn the_last_complete_version_stays_readable() {
    let rows: u64 = if std::env::var_os("WEIR_LONG").is_some() { 1_000_000 } else { 100_000 };
    let server = TestServer::options().conf("max_wal_size = 4GB").start();
    let mut direct = RawClient::superuser(&server.address());
    direct.execute(&format!(
        "CREATE TABLE account (id int PRIMARY KEY, branch int NOT NULL, balance bigint NOT NULL); \
         INSERT INTO account SELECT i, i % 100, 1 FROM generate_series(1, {rows}) i"
    ));
    let weir = TestWeir::start(&server);
    let mut through = RawClient::superuser(&weir.address());
    through.execute(
        "SELECT pgtrickle.create_stream_table('branches', \
             'SELECT branch, count(*) AS accounts, sum(balance) AS total FROM account GROUP BY branch', '1s', 'DIFFERENTIAL')",
    );
    // One row per account as well: the delta that is published is as large as the transaction.
    through.execute(
        "SELECT pgtrickle.create_stream_table('rich', 'SELECT id, balance AS held FROM account', '1s', 'DIFFERENTIAL')",
    );
    weir.wait_until_live_within(&["branches", "rich"], PATIENCE);
    let sql = "SELECT (SELECT SUM(total) FROM branches), (SELECT SUM(held) FROM rich)";
    let mut reader = RawClient::superuser(&weir.address());
    reader.execute("SET weir.consistency = 'scheduled'");
    let started = Instant::now();
    loop {
        reader.execute(sql);
        if reader.last_route() == "memory" {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "not answered from memory: {}", reader.last_route());
        std::thread::sleep(Duration::from_millis(20));
    }
    let update = std::thread::spawn(move || {
        direct.execute("UPDATE account SET balance = 3");
        Instant::now()
    });
    let (before, after) = (rows.to_string(), (rows * 3).to_string());
    let (mut reads, mut from_memory, mut longest) = (0_u64, 0_u64, Duration::ZERO);
    let seen = loop {
        let asked = Instant::now();
        let answer = reader.execute(sql).texts().remove(0);
        longest = longest.max(asked.elapsed());
        reads += 1;
        assert_eq!(answer[0], answer[1], "two tables at two positions");
        if answer[0] == after {
            break Instant::now();
        }
        assert_eq!(answer[0], before, "part of a transaction");
        from_memory += u64::from(reader.last_route() == "memory");
        assert!(started.elapsed() < PATIENCE, "the transaction does not arrive");
    };
    let committed = update.join().expect("the update succeeds");
    println!(
        "{rows} rows: {reads} reads meanwhile, the longest {longest:?}; visible {:?} after the commit",
        seen.saturating_duration_since(committed)
    );
    // A verdict on privileges may run out meanwhile; then Postgres answers once.
    assert!(reads > 10 && from_memory * 10 > reads * 9, "{from_memory} of {reads} reads came from memory");
}
