//! Stream tables that read the time: their rows change with no write.

use std::time::{Duration, Instant};
use weir_tests::pair::Pair;
use weir_tests::postgres::TestServer;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

const PATIENCE: Duration = Duration::from_secs(30);

/// Reads until memory answers this.
fn wait_for(client: &mut RawClient, sql: &str, expected: &str) {
    let started = Instant::now();
    loop {
        let answer = client.query(sql);
        assert_eq!(answer.error, None, "{sql}");
        let route = client.last_route();
        if route.starts_with("memory") && answer.scalar() == expected {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{sql}: {:?} by {route}", answer.texts());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn rows_leave_with_no_write() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut pair = Pair::superuser(&server, &weir);
    pair.through.execute("CREATE TABLE event (id int PRIMARY KEY, at timestamptz NOT NULL)");
    pair.through.execute(
        "SELECT pgtrickle.create_stream_table('recent', \
             'SELECT id FROM event WHERE at > now() - interval ''4 seconds''', '1s', 'DIFFERENTIAL')",
    );
    // A stream table over it moves with it.
    pair.through.execute("SELECT pgtrickle.create_stream_table('recent_count', 'SELECT count(*) AS n FROM recent')");
    let mode = "SELECT string_agg(concat_ws(' ', pgt_name, requested_refresh_mode, effective_refresh_mode), ', ' ORDER BY pgt_id) \
         FROM pgtrickle.pgt_stream_tables";
    let started = Instant::now();
    while pair.direct.query(mode).scalar() != "recent DIFFERENTIAL FULL, recent_count AUTO FULL" {
        assert!(started.elapsed() < PATIENCE, "{}", pair.direct.query(mode).scalar());
        std::thread::sleep(Duration::from_millis(50));
    }
    // At the levels that promise Postgres' present answer, Postgres gives it.
    pair.forwarded("SELECT count(*) FROM recent", "stream table reads the time");
    pair.through.execute("SET weir.consistency = 'latest'");
    pair.forwarded("SELECT n FROM recent_count", "stream table reads the time");
    let mut reader = RawClient::superuser(&weir.address());
    reader.execute("SET weir.consistency = 'scheduled'");
    wait_for(&mut reader, "SELECT count(*) FROM recent", "0");
    // The third one stays: its time has not come.
    pair.direct.execute("INSERT INTO event VALUES (1, now()), (2, now()), (3, now() + interval '1 hour')");
    wait_for(&mut reader, "SELECT count(*) FROM recent", "3");
    wait_for(&mut reader, "SELECT n FROM recent_count", "3");
    wait_for(&mut reader, "SELECT count(*) FROM recent", "1");
    wait_for(&mut reader, "SELECT n FROM recent_count", "1");
}

#[test]
fn what_else_depends_on_the_moment_or_the_reader_stays_out() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut client = RawClient::superuser(&weir.address());
    client.execute("CREATE TABLE event (id int PRIMARY KEY, at timestamptz NOT NULL, who text)");
    let started = Instant::now();
    while client.query("SELECT pgtrickle.weir_is_connected()").scalar() != "t" {
        assert!(started.elapsed() < PATIENCE, "Weir cannot be asked:\n{}", weir.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    for (name, query) in [
        ("by_day", "SELECT id FROM event WHERE at >= CURRENT_DATE"),
        ("by_user", "SELECT id FROM event WHERE who = CURRENT_USER AND at > now()"),
        ("by_clock", "SELECT id FROM event WHERE at > clock_timestamp()"),
    ] {
        client.execute(&format!("SELECT pgtrickle.create_stream_table('{name}', $q${query}$q$, '1h')"));
    }
    let immediate = client.query("SELECT pgtrickle.create_stream_table('at_once', 'SELECT id FROM event WHERE at > now()', refresh_mode => 'IMMEDIATE')");
    let reads_clock = client.query("SELECT string_agg(pgt_name, ' ' ORDER BY pgt_id) FROM pgtrickle.pgt_stream_tables WHERE pgtrickle.reads_clock(pgt_relid)");
    assert_eq!(reads_clock.scalar(), "by_day by_user");
    let obstacles = client.query(
        "SELECT string_agg(concat_ws(': ', pgt_name, pgtrickle.reader_obstacle(pgt_relid)), '; ' ORDER BY pgt_id) FROM pgtrickle.pgt_stream_tables",
    );
    assert_eq!(
        obstacles.scalar(),
        "by_day; by_user: it reads the current user or schema; \
         by_clock: function clock_timestamp() may answer differently for another reader or moment"
    );
    assert_eq!(immediate.error.map(|error| error.code).as_deref(), Some("0A000"));
}
