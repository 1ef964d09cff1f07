//! A stream table that does not fit into the memory budget is left to Postgres; smaller ones and the process go on.

use std::time::{Duration, Instant};
use weir_tests::oracle::{Order, compare};
use weir_tests::postgres::TestServer;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

#[test]
fn a_table_that_outgrows_the_budget_is_postgres_to_answer() {
    let server = TestServer::start();
    let weir = TestWeir::start_with(&server, &["--memory-budget-mib", "16"]);
    let mut client = RawClient::superuser(&weir.address());
    let mut direct = RawClient::superuser(&server.address());
    client.execute(
        "CREATE TABLE small (id int PRIMARY KEY, n int); INSERT INTO small SELECT g, g % 3 FROM generate_series(1, 90) g; \
         CREATE TABLE large (id int PRIMARY KEY, name text); \
         INSERT INTO large SELECT g, 'a name of some length ' || g FROM generate_series(1, 1000) g",
    );
    for (name, query) in [
        ("few", "SELECT n, count(*) AS c FROM small GROUP BY n"),
        ("many", "SELECT name, count(*) AS c, max(id) AS last FROM large GROUP BY name"),
    ] {
        client.execute(&format!(
            "SELECT pgtrickle.create_stream_table(name => '{name}', query => '{query}', schedule => '1s', \
             refresh_mode => 'DIFFERENTIAL')"
        ));
    }
    weir.wait_until_live(&["few", "many"]);
    direct.execute("INSERT INTO large SELECT g, 'a name of some length ' || g FROM generate_series(1001, 90000) g");
    client.execute("SET weir.consistency = 'latest'");
    // The refresh that exceeds the budget is the last one memory answers with; every answer on the way is right.
    let started = Instant::now();
    loop {
        compare(&mut client, &mut direct, "SELECT count(*), sum(c), max(last) FROM many", Order::Exact).unwrap();
        let route = client.last_route();
        if route == "forwarded: stream table out of service" {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "90,000 groups do not fit into 16 MiB, but: {route}");
        std::thread::sleep(Duration::from_millis(10));
    }
    direct.execute("INSERT INTO small VALUES (91, 1)");
    weir.wait_until_live(&["few"]);
    compare(&mut client, &mut direct, "SELECT * FROM few ORDER BY n", Order::Exact).unwrap();
}
