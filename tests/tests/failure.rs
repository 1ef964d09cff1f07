//! Weir killed, Postgres crashed, stream tables created under open transactions: nothing lost, nothing doubled, and with
//! Weir dead the application's writes go on.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use weir_tests::oracle::{Order, compare, compare_from_memory, compare_scenario};
use weir_tests::postgres::{StopMode, TestServer};
use weir_tests::rng;
use weir_tests::scenario::{ECOMMERCE, FRAUD};
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;
use weir_tests::workload::Writer;

/// How long clients may be refused after Postgres has come back.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(30);

#[test]
fn killed_under_load_and_restarted() {
    let seed = rng::seed();
    eprintln!("WEIR_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let server = TestServer::start();
    let mut weir = TestWeir::start(&server);
    ECOMMERCE.install_hostile(&mut RawClient::superuser(&weir.address()));
    weir.wait_until_live(ECOMMERCE.tables);
    let mut direct = RawClient::superuser(&server.address());
    for round in 0..rng::rounds(3, 30) {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // Whatever fails here, the others end.
            let _stopped = StopOnDrop(&stop);
            // Half of the writers go past Weir: they must never notice anything.
            for at in 0..4 {
                let address = if at % 2 == 0 { weir.address() } else { server.address() };
                let rng = StdRng::seed_from_u64(random.random());
                let mut writer = Writer::new(ECOMMERCE, RawClient::superuser(&address), rng, &format!("w{round}-{at}"));
                let stop = &stop;
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        if let Err(error) = writer.act() {
                            assert!(at % 2 == 0, "a writer past Weir lost its connection: {error}");
                            return;
                        }
                    }
                });
            }
            std::thread::sleep(Duration::from_millis(random.random_range(100..600)));
            weir.kill();
            // What was prepared through it holds its locks until somebody ends it: whoever waits for them, and whoever
            // waits for those, would wait for ever.
            let (stop_cleaning, mut cleaner) = (&stop, RawClient::superuser(&server.address()));
            scope.spawn(move || {
                while !stop_cleaning.load(Ordering::Relaxed) {
                    roll_back_prepared(&mut cleaner, &format!("^w{round}-[02]-"));
                    std::thread::sleep(Duration::from_millis(50));
                }
            });
            // Weir is dead: writes go on.
            let inserted = direct.execute(
                "INSERT INTO orders (customer_id, product_id, unit_price) \
                 SELECT (SELECT min(id) FROM customers), (SELECT min(id) FROM products), 1",
            );
            assert_eq!(inserted.tag, "INSERT 0 1");
            weir.start_again();
            // Right at once: held or forwarded. Writers past Weir still write, so only a fixed fact is compared.
            let mut through = RawClient::superuser(&weir.address());
            let torn = through.execute(
                "SELECT (SELECT SUM(order_count) FROM category_revenue) = (SELECT SUM(order_count) FROM product_sales)",
            );
            assert_eq!(torn.scalar(), "t", "first read after the restart");
        });
        roll_back_prepared(&mut direct, "");
        let mut through = RawClient::superuser(&weir.address());
        through.execute("SET weir.consistency = 'latest'");
        for table in ECOMMERCE.tables {
            compare(&mut through, &mut direct, &format!("SELECT * FROM {table}"), Order::Any)
                .unwrap_or_else(|difference| panic!("round {round}, before memory is back: {difference}"));
        }
        weir.wait_until_live(ECOMMERCE.tables);
        compare_scenario(&mut through, &mut direct, ECOMMERCE, &mut random)
            .unwrap_or_else(|difference| panic!("round {round}, WEIR_TEST_SEED={seed}: {difference}"));
    }
    assert_no_foreign_slots(&mut direct);
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Two-phase transactions of writers whose connections broke, by their names.
fn roll_back_prepared(direct: &mut RawClient, names: &str) {
    for row in direct.execute(&format!("SELECT gid FROM pg_prepared_xacts WHERE gid ~ '{names}'")).texts() {
        // Its backend may be ending it still, or have done so.
        direct.query(&format!("ROLLBACK PREPARED '{}'", row[0]));
    }
}

/// At most the living Weir's slot exists, and it is active.
fn assert_no_foreign_slots(direct: &mut RawClient) {
    let slots = direct.execute("SELECT slot_name, active FROM pg_replication_slots").texts();
    assert!(slots.len() <= 1 && slots.iter().all(|row| row[1] == "t"), "{slots:?}");
}

#[test]
fn a_dead_weir_leaves_no_slot_and_breaks_no_write() {
    let server = TestServer::start();
    let mut weir = TestWeir::start(&server);
    FRAUD.install(&mut RawClient::superuser(&weir.address()));
    weir.wait_until_live(FRAUD.tables);
    weir.kill();
    let mut direct = RawClient::superuser(&server.address());
    let started = Instant::now();
    while direct.execute("SELECT count(*) FROM pg_replication_slots").scalar() != "0" {
        assert!(started.elapsed() < Duration::from_secs(10), "the slot of a dead Weir stays");
        std::thread::sleep(Duration::from_millis(50));
    }
    for write in [
        "INSERT INTO transactions (user_id, merchant_id, amount) VALUES (1, 1, 1)",
        "UPDATE transactions SET amount = amount + 1",
        "UPDATE users SET name = name || '!' WHERE id = 3",
        "DELETE FROM transactions WHERE id % 2 = 0",
        "TRUNCATE transactions",
        "CREATE TABLE unrelated (a int); DROP TABLE unrelated",
        "ALTER TABLE users ADD COLUMN note text",
    ] {
        direct.execute(write);
    }
    // The stream tables are views: direct readers are served by Postgres.
    assert_eq!(direct.execute("SELECT SUM(txn_count) FROM user_velocity").scalar(), "0");
}

#[test]
fn postgres_restarted_under_weir() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut client = RawClient::superuser(&weir.address());
    FRAUD.install(&mut client);
    weir.wait_until_live(FRAUD.tables);
    for (round, mode) in [StopMode::Fast, StopMode::Immediate].into_iter().enumerate() {
        client.execute(
            "INSERT INTO transactions (user_id, merchant_id, amount) SELECT 1, 1, n FROM generate_series(1, 50) n",
        );
        server.stop(mode);
        // With Postgres down a client gets an error, never an answer from a past that it cannot check.
        let refused = client.try_query("INSERT INTO transactions (user_id, merchant_id, amount) VALUES (1, 1, 1)");
        assert!(refused.map_or(true, |answer| answer.error.is_some()), "{mode:?}: nothing can be written");
        server.start_again();
        let mut direct = RawClient::superuser(&server.address());
        direct.execute("INSERT INTO transactions (user_id, merchant_id, amount) VALUES (2, 2, 2)");
        client = connect_again(&weir);
        client.execute("SET weir.consistency = 'latest'");
        for table in FRAUD.tables {
            compare(&mut client, &mut direct, &format!("SELECT * FROM {table}"), Order::Any)
                .unwrap_or_else(|difference| panic!("round {round}, at once: {difference}"));
        }
        weir.wait_until_live(FRAUD.tables);
        direct.execute("DELETE FROM transactions WHERE amount > 25");
        for table in FRAUD.tables {
            compare_from_memory(&mut client, &mut direct, &format!("SELECT * FROM {table}"), Order::Any)
                .unwrap_or_else(|difference| panic!("round {round}, recovered: {difference}"));
        }
    }
}

fn connect_again(weir: &TestWeir) -> RawClient {
    let started = Instant::now();
    loop {
        let parameters = [("user", "postgres"), ("database", "postgres")];
        match RawClient::connect(&weir.address(), &parameters, "postgres") {
            Ok(client) => return client,
            Err(error) => assert!(started.elapsed() < RECOVERY_TIMEOUT, "no connection through Weir: {error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Stream tables created while writers hold transactions open across the creation.
#[test]
fn created_under_open_transactions() {
    let seed = rng::seed();
    eprintln!("WEIR_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut setup = RawClient::superuser(&weir.address());
    let mut direct = RawClient::superuser(&server.address());
    for round in 0..rng::rounds(100, 400) {
        let table = format!("base_{round}");
        setup.execute(&format!(
            "CREATE TABLE {table} (id bigserial PRIMARY KEY, grp int NOT NULL, n int NOT NULL); \
             INSERT INTO {table} (grp, n) SELECT i % 3, i FROM generate_series(1, 10) i"
        ));
        let mut open: Vec<_> =
            (0..3).map(|at| OpenTransaction::begin(&server, &weir, &table, at, &mut random)).collect();
        let name = format!("stream_{round}");
        // The creation may wait for the open transactions, so it runs beside them.
        std::thread::scope(|scope| {
            let (weir, table, name) = (&weir, &table, &name);
            let creation = scope.spawn(move || {
                let mut creator = RawClient::superuser(&weir.address());
                create_with_retries(&mut creator, name, table);
            });
            std::thread::sleep(Duration::from_millis(random.random_range(0..60)));
            for transaction in &mut open {
                transaction.write(&mut random);
                transaction.end(&mut random);
                std::thread::sleep(Duration::from_millis(random.random_range(0..20)));
            }
            creation.join().expect("the stream table is created");
        });
        direct.execute(&format!("UPDATE {table} SET n = n + 1 WHERE id % 2 = 0"));
        weir.wait_until_live(&[&name]);
        setup.execute("SET weir.consistency = 'latest'");
        compare_from_memory(&mut setup, &mut direct, &format!("SELECT * FROM {name}"), Order::Any)
            .unwrap_or_else(|difference| panic!("round {round}, WEIR_TEST_SEED={seed}: {difference}"));
        setup.execute(&format!("SELECT pgtrickle.drop_stream_table('{name}'); DROP TABLE {table}"));
    }
}

/// Watching takes a lock with a short timeout so that it never queues the application's writes behind itself; the creator
/// tries again.
fn create_with_retries(creator: &mut RawClient, name: &str, table: &str) {
    let started = Instant::now();
    loop {
        let sql = format!(
            "SELECT pgtrickle.create_stream_table('{name}', \
             'SELECT grp, COUNT(*) AS c, SUM(n) AS s, MAX(n) AS m FROM {table} GROUP BY grp', '1s', 'DIFFERENTIAL')"
        );
        match creator.query(&sql).error {
            None => return,
            Some(error) if error.code == "55P03" && started.elapsed() < Duration::from_secs(20) => {}
            Some(error) => panic!("{sql}: {error:?}"),
        }
    }
}

/// A transaction that has written before the creation and ends during or after it.
struct OpenTransaction {
    client: RawClient,
    table: String,
    name: String,
}

impl OpenTransaction {
    fn begin(server: &TestServer, weir: &TestWeir, table: &str, at: usize, random: &mut StdRng) -> OpenTransaction {
        let address = if at == 0 { server.address() } else { weir.address() };
        let mut client = RawClient::superuser(&address);
        client.execute("BEGIN");
        let name = format!("{table}-{at}");
        let mut transaction = OpenTransaction { client, table: table.to_owned(), name };
        transaction.write(random);
        transaction
    }

    fn write(&mut self, random: &mut StdRng) {
        let insert = format!(
            "INSERT INTO {} (grp, n) VALUES ({}, {})",
            self.table,
            random.random_range(0..4),
            random.random_range(0..100)
        );
        match random.random_range(0..4) {
            0 => drop(self.client.execute(&insert)),
            1 => drop(self.client.execute(&format!("SAVEPOINT a; {insert}; ROLLBACK TO a; {insert}"))),
            2 => drop(self.client.execute(&format!("SAVEPOINT b; {insert}; RELEASE b; {insert}"))),
            // Rows of this transaction only: waiting for another open one would be a deadlock of the test itself.
            _ => drop(
                self.client.execute(&format!("{insert}; DELETE FROM {0} WHERE id = currval('{0}_id_seq')", self.table)),
            ),
        }
    }

    fn end(&mut self, random: &mut StdRng) {
        match random.random_range(0..5) {
            0 => drop(self.client.execute("ROLLBACK")),
            1 => {
                self.client.execute(&format!("PREPARE TRANSACTION '{}'", self.name));
                std::thread::sleep(Duration::from_millis(random.random_range(0..30)));
                let end = if random.random() { "COMMIT" } else { "ROLLBACK" };
                self.client.execute(&format!("{end} PREPARED '{}'", self.name));
            }
            _ => drop(self.client.execute("COMMIT")),
        }
    }
}
