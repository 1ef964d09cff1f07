//! Reads inside transactions: whoever has written sees the uncommitted rows; after ROLLBACK they are gone.

use weir_tests::oracle::{Order, compare};
use weir_tests::postgres::TestServer;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

struct Bank {
    server: TestServer,
    weir: TestWeir,
}

/// A table of amounts and a stream table of its sums.
fn bank() -> Bank {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut setup = RawClient::superuser(&weir.address());
    setup.execute(
        "CREATE TABLE entry (id bigserial PRIMARY KEY, account int NOT NULL, amount numeric(12,2) NOT NULL); \
         INSERT INTO entry (account, amount) SELECT n % 5, n FROM generate_series(1, 50) n; \
         CREATE FUNCTION book(a int, m numeric) RETURNS bigint LANGUAGE sql AS \
         $$ INSERT INTO entry (account, amount) VALUES (a, m) RETURNING id $$",
    );
    setup.execute(
        "SELECT pgtrickle.create_stream_table(name => 'balance', query => \
         'SELECT account, SUM(amount) AS total, COUNT(*) AS entries FROM entry GROUP BY account', \
         schedule => '1s', refresh_mode => 'DIFFERENTIAL')",
    );
    weir.wait_until_live(&["balance"]);
    wait_for_analysis(&weir, READ);
    Bank { server, weir }
}

/// The first execution of a statement is forwarded while it is analysed; from then on memory may answer it.
fn wait_for_analysis(weir: &TestWeir, sql: &str) {
    let mut client = RawClient::superuser(&weir.address());
    for _ in 0..500 {
        client.execute(sql);
        if client.last_route().starts_with("memory") {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{sql} is not answered from memory: {}", client.last_route());
}

const READ: &str = "SELECT entries FROM balance WHERE account = 1";

#[test]
fn uncommitted_rows_are_seen_and_rollback_takes_them_away() {
    let bank = bank();
    let mut client = RawClient::superuser(&bank.weir.address());
    let mut other = RawClient::superuser(&bank.weir.address());
    let writes = [
        "INSERT INTO entry (account, amount) VALUES (1, 5)",
        "SELECT book(1, 5)",
        "WITH e AS (INSERT INTO entry (account, amount) VALUES (1, 5) RETURNING id) SELECT id FROM e",
        "DO $$ BEGIN INSERT INTO entry (account, amount) VALUES (1, 5); END $$",
        "/* comment first */ INSERT INTO entry (account, amount) VALUES (1, 5)",
        "PREPARE w AS INSERT INTO entry (account, amount) VALUES (1, 5); EXECUTE w; DEALLOCATE w",
        "CREATE TEMP TABLE x AS SELECT book(1, 5)",
        "SELECT 1; SELECT book(1, 5); SELECT 2",
    ];
    for write in writes {
        client.execute("BEGIN");
        assert_eq!(client.execute(READ).scalar(), "10", "{write}: before");
        client.execute(write);
        assert_eq!(client.execute(READ).scalar(), "11", "{write}: uncommitted row is seen");
        assert!(!client.last_route().starts_with("memory"), "{write}: only Postgres knows uncommitted rows");
        assert_eq!(other.execute(READ).scalar(), "10", "{write}: others do not see it");
        client.execute("ROLLBACK");
        assert_eq!(client.execute(READ).scalar(), "10", "{write}: gone after ROLLBACK");
        assert!(client.last_route().starts_with("memory"), "{write}: {}", client.last_route());
    }
}

#[test]
fn savepoints() {
    let bank = bank();
    let mut client = RawClient::superuser(&bank.weir.address());
    let insert = "INSERT INTO entry (account, amount) VALUES (1, 5)";
    for (sql, entries) in [
        ("BEGIN", "10"),
        (insert, "11"),
        ("SAVEPOINT a", "11"),
        (insert, "12"),
        ("ROLLBACK TO a", "11"),
        ("RELEASE a", "11"),
        ("COMMIT", "11"),
        ("BEGIN", "11"),
        ("SAVEPOINT a", "11"),
        (insert, "12"),
        ("ROLLBACK TO a", "11"),
        ("COMMIT AND CHAIN", "11"),
        (insert, "12"),
        ("ROLLBACK AND CHAIN", "11"),
        ("COMMIT", "11"),
    ] {
        client.execute(sql);
        assert_eq!(client.execute(READ).scalar(), entries, "after {sql}");
    }
}

#[test]
fn snapshots_of_their_own_are_kept() {
    let bank = bank();
    let mut client = RawClient::superuser(&bank.weir.address());
    let mut other = RawClient::superuser(&bank.server.address());
    for begin in [
        "BEGIN ISOLATION LEVEL REPEATABLE READ",
        "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY",
        "BEGIN; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ; BEGIN",
    ] {
        for sql in begin.split("; ") {
            client.execute(sql);
        }
        let first = client.execute(READ).scalar();
        other.execute("INSERT INTO entry (account, amount) VALUES (1, 5)");
        assert_eq!(client.execute(READ).scalar(), first, "{begin}: the snapshot does not move");
        client.execute("COMMIT");
        let seen: i64 =
            client.execute("SELECT count(*) FROM entry WHERE account = 1").scalar().parse().expect("bigint");
        assert_eq!(client.execute(READ).scalar(), seen.to_string(), "{begin}: after COMMIT the session goes on");
    }
}

#[test]
fn read_committed_moves_within_a_transaction() {
    let bank = bank();
    let mut client = RawClient::superuser(&bank.weir.address());
    let mut other = RawClient::superuser(&bank.weir.address());
    client.execute("BEGIN");
    client.execute("SELECT 1");
    let before: i64 = client.execute(READ).scalar().parse().expect("bigint");
    other.execute("INSERT INTO entry (account, amount) VALUES (1, 5)");
    // A forwarded read of this session shows the other's commit: from here on every read must.
    let base = client.execute("SELECT count(*) FROM entry WHERE account = 1").scalar();
    assert_eq!(base, (before + 1).to_string());
    assert_eq!(client.execute(READ).scalar(), base);
    client.execute("COMMIT");
}

#[test]
fn failed_transactions_refuse_reads() {
    let bank = bank();
    let mut client = RawClient::superuser(&bank.weir.address());
    let mut direct = RawClient::superuser(&bank.server.address());
    for sql in ["BEGIN", "SELECT 1/0"] {
        client.query(sql);
        direct.query(sql);
    }
    let refused = client.query(READ);
    assert_eq!(refused.error.as_ref().map(|error| error.code.as_str()), Some("25P02"));
    assert_eq!(refused, direct.query(READ), "the same error to the letter");
    client.execute("ROLLBACK");
    assert_eq!(client.execute(READ).scalar(), "10");
}

#[test]
fn creation_rolls_back_without_a_trace() {
    let bank = bank();
    let mut client = RawClient::superuser(&bank.weir.address());
    client.execute("BEGIN");
    client.execute("SELECT pgtrickle.create_stream_table('fleeting', 'SELECT account FROM entry', '1s')");
    assert_eq!(client.execute("SELECT count(*) FROM fleeting").scalar(), "50", "its creator sees it");
    client.execute("ROLLBACK");
    assert_eq!(client.query("SELECT * FROM fleeting").error.expect("gone").code, "42P01");
    let listed = "SELECT count(*) FROM pgtrickle.pgt_stream_tables WHERE pgt_name = 'fleeting'";
    assert_eq!(client.execute(listed).scalar(), "0");

    client.execute("BEGIN");
    client.execute("SELECT pgtrickle.drop_stream_table('balance')");
    assert_eq!(client.query(READ).error.expect("dropped in this transaction").code, "42P01");
    client.execute("ROLLBACK");
    assert_eq!(client.execute(READ).scalar(), "10", "still there");
}

#[test]
fn a_temporary_table_shadows_the_stream_table() {
    let bank = bank();
    let mut client = RawClient::superuser(&bank.weir.address());
    assert_eq!(client.execute(READ).scalar(), "10");
    client.execute("CREATE TEMP TABLE balance AS SELECT 1 AS account, 77 AS entries");
    assert_eq!(client.execute(READ).scalar(), "77", "pg_temp comes first");
    client.execute("DROP TABLE pg_temp.balance");
    assert_eq!(client.execute(READ).scalar(), "10");
    client.execute("CREATE SCHEMA other; CREATE TABLE other.balance AS SELECT 1 AS account, 88 AS entries");
    client.execute("SET search_path = other, public");
    assert_eq!(client.execute(READ).scalar(), "88");
    client.execute("DISCARD ALL");
    assert_eq!(client.execute(READ).scalar(), "10");
    client.execute("SELECT set_config('search_path', 'other', false)");
    assert_eq!(client.execute(READ).scalar(), "88", "changed by a function, unseen on the wire");
}

#[test]
fn settings_that_shape_the_answer() {
    let bank = bank();
    let mut setup = RawClient::superuser(&bank.weir.address());
    setup.execute(
        "CREATE TABLE event (id int PRIMARY KEY, at timestamptz, f float8, b bytea); \
         INSERT INTO event VALUES (1, '2026-03-29 01:30:00+00', 0.1, '\\xdeadbeef'), (2, 'infinity', 'NaN', NULL)",
    );
    setup.execute("SELECT pgtrickle.create_stream_table('events', 'SELECT id, at, f, b FROM event', '1s')");
    bank.weir.wait_until_live(&["events"]);
    let mut client = RawClient::superuser(&bank.weir.address());
    let mut direct = RawClient::superuser(&bank.server.address());
    for setting in [
        "SET TimeZone = 'Europe/Berlin'",
        "SET DateStyle = 'German'",
        "SET DateStyle = 'SQL, DMY'",
        "SET extra_float_digits = 0",
        "SET bytea_output = 'escape'",
        "SET client_encoding = 'LATIN1'",
        "SET LOCAL TimeZone = 'Asia/Tokyo'",
        "SELECT set_config('TimeZone', 'America/St_Johns', false)",
        "RESET ALL",
    ] {
        client.execute(setting);
        direct.execute(setting);
        compare(&mut client, &mut direct, "SELECT * FROM events ORDER BY id", Order::Exact)
            .unwrap_or_else(|difference| panic!("after {setting}: {difference}"));
    }
}
