//! Texts that differ in their literals only are answered from memory without each being analysed; where a literal is
//! more than a value, the answer is Postgres' all the same.

use weir_tests::oracle::{Order, compare, compare_tables};
use weir_tests::postgres::TestServer;
use weir_tests::weir::TestWeir;
use weir_tests::wire::{RawClient, Table};

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
const KINDS: [fn(u32) -> String; 16] = [
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
    // Fails for some numbers before any row is looked at.
    |n| format!("SELECT CASE WHEN id > 1000 THEN 7 / ({n} % 3) ELSE id END AS c FROM items WHERE id < 4 ORDER BY 1"),
    |n| {
        let zero = n % 2;
        format!(
            "SELECT id FROM (SELECT id, {zero} AS z FROM items) s WHERE id > 1000 AND 7 / z = 1 OR id = {n} ORDER BY 1"
        )
    },
    |n| {
        let (limit, least) = (n % 3 + 1, n % 9 + 2);
        format!(
            "SELECT i.id, x.big FROM items i LEFT JOIN LATERAL (SELECT big FROM items j WHERE j.id < i.id ORDER BY big DESC \
             LIMIT {limit}) x ON true WHERE i.id < {least} ORDER BY 1, 2"
        )
    },
    |n| format!("SELECT percentile_cont(ARRAY[0.25, 0.{n}]) WITHIN GROUP (ORDER BY ratio) AS p FROM items"),
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

#[test]
fn constants_are_computed_before_any_row() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    item_table(&weir);
    let mut client = RawClient::superuser(&weir.address());
    let mut direct = RawClient::superuser(&server.address());
    // No row asks for what fails.
    let failing = [
        "SELECT CASE WHEN id > 1000 THEN 1 / 0 ELSE id END AS c FROM items WHERE id = 3",
        "SELECT id FROM items WHERE id > 1000 AND 10 / (2 - 2) = 1",
        "SELECT coalesce(id, ('a' || 'b')::int) AS c FROM items WHERE id = 3",
        "SELECT CASE WHEN id > 1000 THEN 1 / z ELSE 2 END AS c FROM (SELECT id, 0 AS z FROM items) s",
        "SELECT sum(CASE WHEN id > 1000 THEN sqrt(-1::numeric) ELSE price END) AS s FROM items",
        "SELECT i.id FROM items i JOIN items j ON i.id = j.id AND (i.id < 0 AND j.id / 0 > 1 AND 1 / 0 > 1) ORDER BY 1",
    ];
    for _ in 0..10 {
        for sql in failing {
            compare(&mut client, &mut direct, sql, Order::Exact).unwrap();
            assert!(!client.last_route().starts_with("memory"), "{sql}");
        }
    }
    // A parameter is a constant, too.
    let sql = "SELECT CASE WHEN id > 1000 THEN 12 / $1::int ELSE id END AS c FROM items WHERE id < 4 ORDER BY 1";
    let (mut from_memory, started) = (0, std::time::Instant::now());
    for round in 0.. {
        if from_memory > 20 {
            break;
        }
        assert!(started.elapsed().as_secs() < 20, "{from_memory} from memory, {}", client.last_route());
        let value = (round % 3).to_string();
        let answers =
            [&mut client, &mut direct].map(|side| Table::read(&side.extended(sql, &[Some(value.as_str())], 0)));
        compare_tables(&answers[0], &answers[1], Order::Exact).unwrap();
        let is_from_memory = client.last_route().starts_with("memory");
        assert!(!is_from_memory || value != "0");
        from_memory += usize::from(is_from_memory);
    }
}
