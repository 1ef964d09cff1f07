//! Texts that differ in their literals only are answered from memory without each being analysed; where a literal is
//! more than a value, the answer is Postgres' all the same.

use weir_tests::oracle::{Order, compare};
use weir_tests::postgres::TestServer;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

fn item_table(weir: &TestWeir) {
    let mut client = RawClient::superuser(&weir.address());
    client.execute(
        "CREATE TABLE item (id int PRIMARY KEY, big bigint, name text, price numeric(10,2), ratio float8, day date, \
         at timestamp, code varchar(8)); \
         INSERT INTO item SELECT n, n * 1000000000::bigint, 'name ' || n, n * 1.25, n / 3.0, date '2024-01-01' + n, \
         timestamp '2024-01-01' + n * interval '1 hour', 'c' || n % 9 FROM generate_series(1, 300) n",
    );
    client.execute(
        "SELECT pgtrickle.create_stream_table(name => 'items', query => 'SELECT * FROM item', schedule => '1s', \
         refresh_mode => 'DIFFERENTIAL')",
    );
    weir.wait_until_live(&["items"]);
}

/// Kinds of statements, each made with literals that follow from a number.
const KINDS: [fn(u32) -> String; 12] = [
    |n| format!("SELECT * FROM items WHERE id = {n}"),
    |n| format!("SELECT name, price * {n} AS p FROM items WHERE name = 'name {n}' AND price < {n}.50"),
    |n| {
        format!("SELECT id, -{n} AS minus FROM items WHERE big >= {n}0000000000 AND id < {} ORDER BY id LIMIT 3", n + 9)
    },
    |n| format!("SELECT id FROM items WHERE day = '2024-01-{:02}' ORDER BY 1", n % 27 + 1),
    |n| format!("SELECT id, code FROM items WHERE code IN ('c{}', 'c2', 'it''s') ORDER BY {}, 1", n % 9, n % 2 + 1),
    |n| format!("SELECT count(*), sum(price), '{n}' AS label, {n} AS n, {n}.0 AS m FROM items WHERE ratio > {n}e-1"),
    |n| format!("SELECT id FROM items WHERE at < timestamp '2024-01-02' + interval '{n} hours' ORDER BY id"),
    |n| format!("SELECT CASE WHEN id > {n} THEN 'many' ELSE 'few' END AS c, count(*) FROM items GROUP BY 1 ORDER BY 1"),
    |n| {
        format!(
            "SELECT round(price / {n}, 2)::numeric(8,1) AS r FROM items WHERE id BETWEEN {n} AND {} ORDER BY id",
            n + 3
        )
    },
    |n| format!("SELECT id / ({n} % 3) AS q FROM items WHERE id = {n}"),
    |n| {
        format!(
            "SELECT id FROM items WHERE id = '{n}' OR name = {} ORDER BY id",
            if n % 5 == 0 { "'today'" } else { "'x'" }
        )
    },
    |n| format!("SELECT id FROM items WHERE day > '{}' AND id < {n}", if n % 4 == 0 { "today" } else { "2024-02-30" }),
];

#[test]
fn answers_are_those_of_the_text_as_it_came() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    item_table(&weir);
    let mut client = RawClient::superuser(&weir.address());
    let mut direct = RawClient::superuser(&server.address());
    for round in 0..3 {
        for n in 1..40 {
            for kind in KINDS {
                compare(&mut client, &mut direct, &kind(n + 40 * round), Order::Exact).unwrap();
            }
        }
    }
}

#[test]
fn new_literals_need_no_new_analysis() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    item_table(&weir);
    let mut client = RawClient::superuser(&weir.address());
    for kind in [0, 1, 2, 3, 5, 7] {
        // Met and analysed.
        for _ in 0..200 {
            client.query(&KINDS[kind](1));
            if client.last_route().starts_with("memory") {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        for n in 2..60 {
            let text = KINDS[kind](n);
            client.query(&text);
            assert_eq!(client.last_route(), "memory", "{text}");
        }
    }
}
