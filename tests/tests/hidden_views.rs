//! The costly part of a read that keeps coming is maintained beside the stream tables; its answers stay Postgres', while
//! rows change and when the table it reads is dropped and made anew.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use weir_tests::oracle::{Order, compare, compare_from_memory};
use weir_tests::postgres::TestServer;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// Enough for one execution to take a millisecond, also by columns.
const ROWS: u32 = 250_000;
/// Executions after which the part must have been installed: it has then cost many times the threshold.
const PATIENCE: u32 = 2_000;

const READS: [&str; 3] = [
    "SELECT category, COUNT(*) FILTER (WHERE level = 'HIGH') AS high, COUNT(*) AS n, \
     ROUND(AVG(amount), 2) AS mean FROM scored GROUP BY category ORDER BY n DESC, category",
    "SELECT COUNT(*), MAX(amount) FROM scored WHERE amount < 500",
    "SELECT DISTINCT level, category FROM scored",
];

fn hidden_views(weir: &TestWeir) -> usize {
    let mut stream = TcpStream::connect(weir.http_address()).expect("Weir's HTTP port is open");
    stream.write_all(b"GET /status HTTP/1.0\r\n\r\n").expect("the request is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer is text");
    let (_, rest) = answer.split_once("\"hidden_views\":").expect("the status tells the hidden views");
    rest.split(',').next().and_then(|n| n.parse().ok()).expect("a number")
}

fn create(client: &mut RawClient) {
    client.execute(
        "SELECT pgtrickle.create_stream_table(name => 'scored', query => $$ SELECT id, category, amount, \
         CASE WHEN amount > 900 THEN 'HIGH' ELSE 'LOW' END AS level FROM sale $$, schedule => '1s', \
         refresh_mode => 'DIFFERENTIAL')",
    );
}

#[test]
fn costly_parts_of_reads_are_maintained() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut client = RawClient::superuser(&weir.address());
    let mut direct = RawClient::superuser(&server.address());
    client.execute(&format!(
        "CREATE TABLE sale (id bigserial PRIMARY KEY, category text, amount numeric(10,2)); \
         INSERT INTO sale (category, amount) SELECT 'c' || n % 7, (n * 7919 % 100000) / 100.0 \
         FROM generate_series(1, {ROWS}) n"
    ));
    create(&mut client);
    weir.wait_until_live(&["scored"]);
    client.execute("SET weir.consistency = 'latest'");
    let mut executions = 0;
    while hidden_views(&weir) < READS.len() {
        READS.iter().for_each(|read| drop(client.query(read)));
        executions += 1;
        assert!(
            executions < PATIENCE,
            "{} hidden views after {executions} rounds\n{}",
            hidden_views(&weir),
            weir.log()
        );
    }
    for change in 0..20 {
        direct.execute(&format!("UPDATE sale SET amount = amount + 25, category = 'c8' WHERE id % 200 = {change}"));
        direct.execute(&format!("DELETE FROM sale WHERE id % 997 = {change}"));
        for read in READS {
            compare_from_memory(&mut client, &mut direct, read, Order::Any).unwrap();
        }
    }
    assert_eq!(hidden_views(&weir), READS.len());
    client.execute("SELECT pgtrickle.drop_stream_table('scored')");
    // The call returns when nobody is answered from the table any more; the engine lets go of it right after.
    let dropped = Instant::now();
    while hidden_views(&weir) > 0 {
        assert!(dropped.elapsed() < Duration::from_secs(10), "hidden views go with what they read");
        std::thread::sleep(Duration::from_millis(10));
    }
    create(&mut client);
    for read in READS {
        compare(&mut client, &mut direct, read, Order::Any).unwrap();
    }
}
