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

const MODES: &str = "SELECT string_agg(concat_ws(' ', pgt_name, requested_refresh_mode, effective_refresh_mode), ', ' ORDER BY pgt_id) \
     FROM pgtrickle.pgt_stream_tables";

fn wait_for_modes(client: &mut RawClient, expected: &str) {
    let started = Instant::now();
    while client.query(MODES).scalar() != expected {
        assert!(started.elapsed() < PATIENCE, "{}", client.query(MODES).scalar());
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
    wait_for_modes(&mut pair.direct, "recent DIFFERENTIAL DIFFERENTIAL, recent_count AUTO DIFFERENTIAL");
    weir.wait_until_live(&["recent", "recent_count"]);
    let mut reader = RawClient::superuser(&weir.address());
    reader.execute("SET weir.consistency = 'scheduled'");
    // The third one stays: its time has not come.
    pair.through.execute("INSERT INTO event VALUES (1, now()), (2, now()), (3, now() + interval '1 hour')");
    let written = Instant::now();
    for level in ["session", "latest"] {
        pair.through.execute(&format!("SET weir.consistency = '{level}'"));
        for sql in ["SELECT count(*) FROM recent", "SELECT n FROM recent_count"] {
            assert_eq!(pair.through.execute(sql).scalar(), "3", "{}", pair.through.last_route());
        }
    }
    wait_for(&mut pair.through, "SELECT count(*) FROM recent", "1");
    assert!(written.elapsed() > Duration::from_millis(3_900), "they left before their time");
    wait_for(&mut pair.through, "SELECT n FROM recent_count", "1");
    wait_for(&mut reader, "SELECT n FROM recent_count", "1");
    let verdict = pair.through.execute("SELECT pgtrickle.verify_stream_table('recent')::text").scalar();
    assert!(verdict.ends_with(",1,1,0,0,t)"), "{verdict}");
    // The history has heard of it though nobody wrote.
    let deleted = "SELECT coalesce(sum(h.rows_deleted), 0) FROM pgtrickle.pgt_refresh_history h \
         JOIN pgtrickle.pgt_stream_tables t ON t.pgt_id = h.pgt_id WHERE t.pgt_name = 'recent'";
    let started = Instant::now();
    while pair.direct.query(deleted).scalar() != "2" {
        assert!(started.elapsed() < PATIENCE, "{}", pair.direct.query(deleted).scalar());
        std::thread::sleep(Duration::from_millis(50));
    }
    // Within a block the time is that of its BEGIN.
    pair.through.execute("INSERT INTO event VALUES (4, now() + interval '2 hours')");
    pair.through.execute("BEGIN");
    pair.through.execute("SELECT count(*) FROM recent");
    assert!(pair.through.last_route().starts_with("forwarded"), "{}", pair.through.last_route());
    pair.through.execute("COMMIT");
}

/// A day begins at the same moment for Weir as for Postgres, in the creator's time zone; other readers are Postgres'.
#[test]
fn days_are_those_of_the_zone() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut pair = Pair::superuser(&server, &weir);
    pair.through.execute("CREATE TABLE event (id int PRIMARY KEY, at timestamptz NOT NULL, d date, local timestamp)");
    for zone in ["UTC", "Europe/Berlin", "<+05>-05"] {
        let name = zone.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        for client in [&mut pair.through, &mut pair.direct] {
            client.execute(&format!("SET TimeZone = '{zone}'"));
        }
        let views = [
            "at >= now() - interval '7 days'",
            "at >= now() - interval '1 month 2 days'",
            "d >= CURRENT_DATE - 7",
            "at::date = CURRENT_DATE",
            "d >= now() - interval '3 days'",
            "at >= CURRENT_DATE",
            "at < date_trunc('hour', now())",
            "date_trunc('day', at, 'UTC') >= date_trunc('day', now(), 'UTC') - interval '2 days'",
            "local BETWEEN LOCALTIMESTAMP - interval '36 hours' AND LOCALTIMESTAMP",
            "local >= now() - interval '36 hours'",
            "CURRENT_TIMESTAMP - interval '5 days' < at AND id % 2 = 0",
            "now() - at BETWEEN interval '1 day' AND interval '1 month'",
            "CURRENT_DATE - d <= 3 OR LOCALTIMESTAMP - local > interval '40 days'",
        ];
        pair.through.execute(
            "TRUNCATE event; INSERT INTO event SELECT i, t, t::date, t::timestamp \
             FROM (SELECT i, now() - i * interval '3 hours 7 minutes' FROM generate_series(-100, 400) i) AS x (i, t)",
        );
        for (at, condition) in views.iter().enumerate() {
            let query = format!("SELECT * FROM event WHERE {condition}");
            let create = format!("create_stream_table('v{name}_{at}', $q${query}$q$, '1s', 'DIFFERENTIAL')");
            pair.through.execute(&format!("SELECT pgtrickle.{create}"));
            pair.from_memory(&format!("SELECT count(*), min(id), max(id) FROM v{name}_{at}"));
            pair.from_memory(&format!("SELECT * FROM v{name}_{at} ORDER BY id"));
        }
        pair.from_memory(&format!("COPY (SELECT * FROM v{name}_0 ORDER BY id) TO STDOUT"));
        // One-shot reads know the same days.
        pair.through.execute(&format!(
            "SELECT pgtrickle.create_stream_table('all{name}', 'SELECT * FROM event', '1s', 'DIFFERENTIAL')"
        ));
        for condition in
            ["d = CURRENT_DATE", "at::date >= CURRENT_DATE - 1", "local < LOCALTIMESTAMP - interval '1 day'"]
        {
            pair.from_memory(&format!("SELECT count(*), min(id) FROM all{name} WHERE {condition}"));
        }
        // What reads it means the days of the same zone.
        let create =
            format!("create_stream_table('c{name}', 'SELECT count(*) AS n FROM v{name}_2', '1s', 'DIFFERENTIAL')");
        pair.through.execute(&format!("SELECT pgtrickle.{create}"));
        pair.from_memory(&format!("SELECT n FROM c{name}"));
        for client in [&mut pair.through, &mut pair.direct] {
            client.execute("SET TimeZone = 'Asia/Tokyo'");
        }
        pair.forwarded(&format!("SELECT count(*) FROM v{name}_2"), "settings differ");
        pair.forwarded(&format!("SELECT n FROM c{name}"), "settings differ");
    }
}

/// Each partition's rows come and leave by themselves.
#[test]
fn windows_over_partitions() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut pair = Pair::superuser(&server, &weir);
    pair.through.execute(
        "CREATE TABLE event (id int NOT NULL, at timestamptz NOT NULL) PARTITION BY HASH (id); \
         CREATE TABLE event_0 PARTITION OF event FOR VALUES WITH (MODULUS 2, REMAINDER 0); \
         CREATE TABLE event_1 PARTITION OF event FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
    );
    pair.through.execute(
        "SELECT pgtrickle.create_stream_table('recent', \
             $$SELECT id % 3 AS third, count(*) AS n FROM event WHERE at > now() - interval '3 seconds' GROUP BY 1$$, '1s')",
    );
    weir.wait_until_live(&["recent"]);
    pair.through
        .execute("INSERT INTO event SELECT i, now() + (i % 2) * interval '1 hour' FROM generate_series(1, 30) i");
    assert_eq!(pair.through.execute("SELECT sum(n) FROM recent").scalar(), "30");
    wait_for(&mut pair.through, "SELECT sum(n) FROM recent", "15");
    pair.from_memory("SELECT * FROM recent ORDER BY third");
}

/// What is not known to move by itself stays with Postgres, evaluated on its schedule.
#[test]
fn other_uses_of_the_time_are_evaluated_on_the_schedule() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut pair = Pair::superuser(&server, &weir);
    pair.through.execute("CREATE TABLE event (id int PRIMARY KEY, at timestamptz NOT NULL)");
    pair.through.execute(
        "SELECT pgtrickle.create_stream_table('recent', \
             'SELECT id FROM event WHERE extract(epoch FROM now() - at) < 4', '1s', 'DIFFERENTIAL')",
    );
    pair.through.execute("SELECT pgtrickle.create_stream_table('recent_count', 'SELECT count(*) AS n FROM recent')");
    wait_for_modes(&mut pair.direct, "recent DIFFERENTIAL FULL, recent_count AUTO FULL");
    // At the levels that promise Postgres' present answer, Postgres gives it.
    pair.forwarded("SELECT count(*) FROM recent", "stream table reads the time");
    pair.through.execute("SET weir.consistency = 'latest'");
    pair.forwarded("SELECT n FROM recent_count", "stream table reads the time");
    let mut reader = RawClient::superuser(&weir.address());
    reader.execute("SET weir.consistency = 'scheduled'");
    wait_for(&mut reader, "SELECT count(*) FROM recent", "0");
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
    weir.wait_until_asked(&mut client);
    for (name, query) in [
        ("by_day", "SELECT id FROM event WHERE at >= CURRENT_DATE"),
        ("by_user", "SELECT id FROM event WHERE who = CURRENT_USER AND at > now()"),
        ("by_clock", "SELECT id FROM event WHERE at > clock_timestamp()"),
    ] {
        client.execute(&format!("SELECT pgtrickle.create_stream_table('{name}', $q${query}$q$, '1h')"));
    }
    let immediate = client.query("SELECT pgtrickle.create_stream_table('at_once', 'SELECT id FROM event WHERE extract(epoch FROM now() - at) < 1', refresh_mode => 'IMMEDIATE')");
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
