//! Going from capture by triggers to the WAL and back while everybody writes, and what is said about the way in force.

use std::process::Command;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use weir_tests::oracle::{Order, compare_from_memory};
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::weir::{TestWeir, binary};
use weir_tests::wire::RawClient;

/// Nothing that is waited for here takes this long on a machine that is not stuck.
const PATIENCE: Duration = Duration::from_secs(180);
const WRITERS: usize = 4;
/// Rows that each transaction deletes and gets back. All of the writer's would be more and more WAL, which the walsender decodes
/// for nothing and more slowly than four writers write it.
const UNDONE: usize = 20;
/// The last writer is connected straight to Postgres.
const DIRECT_WRITER: usize = WRITERS - 1;

const SCHEMA: &str =
    "CREATE TABLE booked (id bigserial PRIMARY KEY, who int NOT NULL, amount bigint NOT NULL, note text)";
const VIEW: &str = "SELECT pgtrickle.create_stream_table('totals', \
     'SELECT who, count(*) AS n, sum(amount)::bigint AS total FROM booked GROUP BY who', '1s', 'DIFFERENTIAL')";

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Writers with known totals; those through Weir read theirs back after every commit, also in the midst of a switch. After
/// every switch the table equals its view.
#[test]
fn switching_loses_and_doubles_nothing() {
    let server = TestServer::options().conf("wal_level = logical").start();
    let weir = TestWeir::start_with(&server, &["--capture", "wal"]);
    let (mut through, mut direct) = (RawClient::superuser(&weir.address()), RawClient::superuser(&server.address()));
    through.execute(SCHEMA);
    through.execute(VIEW);
    through.execute("SET weir.consistency = 'latest'");
    weir.wait_until_live(&["totals"]);
    let (done, pause) = (AtomicBool::new(false), RwLock::new(()));
    std::thread::scope(|scope| {
        // A failed assertion must not leave the writers running.
        let ended = Ended(&done);
        for at in 0..WRITERS {
            let address = if at == DIRECT_WRITER { server.address() } else { weir.address() };
            let (done, pause) = (&done, &pause);
            scope.spawn(move || write(&address, at, done, pause));
        }
        for round in 0..rng::rounds(4, 60) {
            let mode = if round % 2 == 0 { "trigger" } else { "wal" };
            std::thread::sleep(Duration::from_millis(200));
            through.execute(&format!("SELECT pgtrickle.set_capture_mode('{mode}')"));
            until("the way is in force", || {
                direct.execute("SELECT DISTINCT lower(cdc_mode) FROM pgtrickle.check_cdc_health()").scalar() == mode
            });
            weir.wait_until_live(&["totals"]);
            std::thread::sleep(Duration::from_millis(200));
            let _writers_pause = pause.write();
            // The way is said to be in force when it is open; the tables are populated right after, or at the next reading of the
            // catalogue if the writers had left no gap for the lock that a watch needs.
            let started = Instant::now();
            while let Err(difference) =
                compare_from_memory(&mut through, &mut direct, "SELECT * FROM totals", Order::Any)
            {
                let is_on_its_way = ["forwarded: populating", "forwarded: stream table out of service"]
                    .iter()
                    .any(|route| difference.contains(route));
                let passes = is_on_its_way && started.elapsed() < PATIENCE;
                assert!(passes, "round {round}, {mode}:\n{difference}\n{}", weir.log());
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        drop(ended);
    });
    // Nothing of the triggers is left, once nobody holds the table's lock all the time.
    through.execute("SELECT pgtrickle.set_capture_mode('wal')");
    let left = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'weir_capture_%'";
    until("the triggers are gone", || direct.execute(left).scalar() == "0");
    let rows = direct.execute("SELECT count(*) FROM booked").scalar();
    eprintln!("{rows} rows written meanwhile");
}

struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Books amounts under its own name in transactions of several statements, some of which are undone.
fn write(address: &str, who: usize, done: &AtomicBool, pause: &RwLock<()>) {
    let mut client = RawClient::superuser(address);
    let (mut rows, mut total) = (0, 0);
    for round in 1.. {
        if done.load(Ordering::Relaxed) {
            return;
        }
        let _writing = pause.read();
        let amount = round % 17 + 1;
        client.execute(&format!(
            "BEGIN; INSERT INTO booked (who, amount) SELECT {who}, {amount} FROM generate_series(1, 3); SAVEPOINT s; \
             DELETE FROM booked WHERE id IN (SELECT id FROM booked WHERE who = {who} ORDER BY id DESC LIMIT {UNDONE}); ROLLBACK TO s; \
             UPDATE booked SET amount = amount + 1 WHERE who = {who} AND id = (SELECT max(id) FROM booked WHERE who = {who}); COMMIT"
        ));
        rows += 3;
        total += 3 * amount + 1;
        if round % 5 == 0 {
            client.execute(&format!("INSERT INTO booked (who, amount) VALUES ({who}, 1); SELECT 1"));
            rows += 1;
            total += 1;
        }
        let answer = client.query(&format!("SELECT n, total FROM totals WHERE who = {who}"));
        let expected = [[rows.to_string(), total.to_string()]];
        assert_eq!(answer.texts(), expected, "writer {who}, round {round}, route {}", client.last_route());
    }
}

/// On a server whose WAL carries nothing logical, Weir captures by triggers by itself and says so; what it has put on the
/// tables can be taken away.
#[test]
fn the_way_in_force_is_told() {
    let server = TestServer::options().conf("wal_level = replica").conf("max_prepared_transactions = 0").start();
    let mut weir = TestWeir::start(&server);
    let mut client = RawClient::superuser(&weir.address());
    client.execute(SCHEMA);
    client.execute(VIEW);
    weir.wait_until_live(&["totals"]);
    let told = [
        ("SELECT cdc_mode, coalesce(alert, 'none') FROM pgtrickle.check_cdc_health()", "TRIGGER"),
        ("SELECT cdc_mode FROM pgtrickle.pgt_cdc_status", "TRIGGER"),
        ("SELECT cdc_modes FROM pgtrickle.pg_stat_stream_tables", "{TRIGGER}"),
        ("SELECT count(*) FROM pgtrickle.trigger_inventory() WHERE present AND enabled", "4"),
        ("SELECT severity FROM pgtrickle.health_check() WHERE check_name = 'slot_lag'", "OK"),
        (
            "SELECT result FROM pgtrickle.validate_query('SELECT who FROM booked') WHERE check_name = 'resolved_refresh_mode'",
            "DIFFERENTIAL",
        ),
    ];
    for (sql, expected) in told {
        assert_eq!(client.execute(sql).texts()[0][0], expected, "{sql}");
    }
    let verdict = client.execute("SELECT missing, extra, ok FROM pgtrickle.verify_stream_table('totals')");
    assert_eq!(verdict.texts(), [["0", "0", "t"]]);
    let error = client.query("SELECT pgtrickle.set_capture_mode('wal')").error.expect("refused");
    assert_eq!((error.code.as_str(), error.message.contains("wal_level")), ("55000", true));
    let error = client.query("SELECT pgtrickle.set_capture_mode('smoke')").error.expect("refused");
    assert_eq!(error.code, "22023");
    client.execute("CREATE ROLE nobody; SET ROLE nobody");
    let error = client.query("SELECT pgtrickle.set_capture_mode('trigger')").error.expect("refused");
    assert_eq!(error.code, "42501");
    client.execute("RESET ROLE");

    let run = |command: &str, more: &[&str]| {
        let output = Command::new(binary()).args([command, "--upstream", &server.url()]).args(more).output();
        let output = output.expect("weir runs");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (fine, said) = run("check", &[]);
    assert!(fine && said.contains("captured by triggers"), "{said}");
    let (fine, said) = run("check", &["--capture", "wal"]);
    assert!(!fine && said.contains("wal_level is replica"), "{said}");
    weir.stop();
    let (fine, said) = run("unwatch", &["--all"]);
    assert!(fine && said.contains("1 tables"), "{said}");
    let mut direct = RawClient::superuser(&server.address());
    assert_eq!(
        direct
            .execute("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'weir_%' AND NOT tgname = 'catalog_mark'")
            .scalar(),
        "0"
    );
    direct.execute("INSERT INTO booked (who, amount) VALUES (1, 1)");
    assert_eq!(direct.execute("SELECT count(*) FROM pgtrickle_changes.changes").scalar(), "0");
}
