//! Tables that come into the publication while the stream is being opened.

use std::time::{Duration, Instant};
use weir_tests::oracle::{Order, compare_from_memory};
use weir_tests::postgres::TestServer;
use weir_tests::weir::{TestWeir, by_triggers};
use weir_tests::wire::RawClient;

const PATIENCE: Duration = Duration::from_secs(30);

/// Creating a slot waits twice for the transactions that are open (snapbuild.c: BUILDING_SNAPSHOT, FULL_SNAPSHOT). A table that
/// is watched during either, while others write, is followed all the same.
#[test]
fn a_table_that_is_watched_while_the_slot_is_created_is_followed() {
    if by_triggers() {
        return;
    }
    let server = TestServer::start();
    let mut weir = TestWeir::start(&server);
    let connect = || RawClient::superuser(&server.address());
    let (mut direct, mut first, mut second, mut writer) = (connect(), connect(), connect(), connect());
    direct.execute(
        "CREATE TABLE early (k int, v int); CREATE TABLE late (k int, v int); CREATE TABLE other (k int); \
         INSERT INTO early SELECT n % 3, n FROM generate_series(1, 50) n; INSERT INTO late SELECT k, v FROM early",
    );
    weir.kill();
    first.execute("BEGIN; SELECT pg_current_xact_id()");
    weir.start_again();
    wait_until_slot_waits(&mut direct, &mut first);
    second.execute("BEGIN; SELECT pg_current_xact_id()");
    watch(&mut direct, "early");
    first.execute("COMMIT");
    wait_until_slot_waits(&mut direct, &mut second);
    writer.execute("BEGIN; INSERT INTO other VALUES (1)");
    watch(&mut direct, "late");
    second.execute("COMMIT");
    writer.execute("INSERT INTO early VALUES (1, 100); INSERT INTO late VALUES (1, 100); COMMIT");

    let mut app = RawClient::superuser(&weir.address());
    app.execute("SET weir.consistency = 'latest'");
    for write in [
        "UPDATE early SET v = v + 1; UPDATE late SET v = v + 1",
        "DELETE FROM early WHERE v < 20; DELETE FROM late WHERE v < 20",
        "INSERT INTO early VALUES (7, 7); INSERT INTO late VALUES (7, 7)",
    ] {
        weir.wait_until_live(&["of_early", "of_late"]);
        direct.execute(write);
        for name in ["of_early", "of_late"] {
            let sql = format!("SELECT * FROM {name}");
            if let Err(difference) = compare_from_memory(&mut app, &mut direct, &sql, Order::Any) {
                panic!("after {write}\n{difference}\n{}", weir.log());
            }
        }
    }
    assert!(weir.log().contains("it is opened again"), "{}", weir.log());
}

fn watch(direct: &mut RawClient, table: &str) {
    let query = format!("SELECT k, count(*) AS n, sum(v) AS s FROM {table} GROUP BY k");
    direct.execute(&format!("SELECT pgtrickle.create_stream_table('of_{table}', $q${query}$q$, '1s', 'DIFFERENTIAL')"));
}

/// Until the walsender waits for this session's transaction.
fn wait_until_slot_waits(direct: &mut RawClient, holder: &mut RawClient) {
    let holder = value(holder, "SELECT pg_backend_pid()");
    let waits = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender' AND {holder} = ANY (pg_blocking_pids(pid))"
    );
    let started = Instant::now();
    while value(direct, &waits) != "1" {
        assert!(started.elapsed() < PATIENCE, "the slot waits for nobody");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn value(client: &mut RawClient, sql: &str) -> String {
    let answer = client.query(sql);
    let value = answer.rows.first().and_then(|row| row.first()?.clone());
    String::from_utf8_lossy(&value.unwrap_or_else(|| panic!("{sql}: {:?}", answer.error))).into_owned()
}
