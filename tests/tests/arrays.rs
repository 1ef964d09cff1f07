//! `= ANY ($1)`, `<> ALL ($1)` and the other operators over array parameters of every supported element type, in text and
//! in binary, with NULL elements, no elements, NULL arrays; array constants; and array columns as they are sent. The same
//! statement directly is the oracle, and memory must have answered.

use bytes::{BufMut, BytesMut};
use postgres_protocol::message::frontend;
use rand::Rng;
use rand::rngs::StdRng;
use weir_tests::oracle::{Order, compare, compare_from_memory, compare_tables};
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::weir::TestWeir;
use weir_tests::wire::{RawClient, Table};

/// Column, its type, and literals of it; all of them occur in the table.
const TYPES: [(&str, &str, [&str; 5]); 13] = [
    ("small", "int2", ["0", "1", "-32768", "32767", "7"]),
    ("id", "int4", ["1", "2", "3", "40", "-5"]),
    ("big", "int8", ["0", "1", "9223372036854775807", "-9223372036854775808", "7"]),
    ("price", "numeric", ["0", "0.00", "1.50", "NaN", "-12345678901234567890.5"]),
    ("ratio", "float8", ["0", "-0", "1.5", "NaN", "Infinity"]),
    ("name", "text", ["", "a", "NULL", "it's {\"q\\\"}", "häuser b"]),
    ("code", "varchar", ["a", "b", "a b", "null", "x,y"]),
    ("fixed", "bpchar", ["a", "b", "ab", "x  ", ""]),
    (
        "tag",
        "uuid",
        [
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12",
            "12345678-9abc-def0-1234-56789abcdef0",
        ],
    ),
    ("flag", "bool", ["t", "f", "t", "f", "t"]),
    ("day", "date", ["2024-02-29", "1999-12-31", "infinity", "-infinity", "0044-03-15 BC"]),
    ("at", "timestamp", ["2024-02-29 12:00:00.5", "1999-12-31", "infinity", "2000-01-01", "2024-01-01 00:00:01"]),
    (
        "seen",
        "timestamptz",
        ["2024-02-29 12:00:00.5+02", "1999-12-31 00:00+00", "infinity", "2000-01-01 00:00+00", "2024-06-01 12:00+00"],
    ),
];

fn install(weir: &TestWeir, random: &mut StdRng) {
    let mut client = RawClient::superuser(&weir.address());
    let columns: Vec<String> = TYPES.iter().map(|(column, kind, _)| format!("{column} {kind}")).collect();
    client.execute(&format!("CREATE TABLE item ({}, words text[], numbers int[])", columns.join(", ")));
    for _ in 0..60 {
        let mut values: Vec<String> = TYPES.iter().map(|(_, kind, of)| literal(random, kind, of, 0.15)).collect();
        values.push(
            ["NULL", "'{}'", "ARRAY['a', NULL, 'x y', '', '\"']", "'{{a,b},{c,d}}'"][random.random_range(0..4)].into(),
        );
        values.push(["NULL", "'[0:1]={1,2}'", "ARRAY[3, NULL]"][random.random_range(0..3)].into());
        client.execute(&format!("INSERT INTO item VALUES ({})", values.join(", ")));
    }
    client.execute(
        "SELECT pgtrickle.create_stream_table(name => 'items', query => 'SELECT * FROM item', schedule => '1s', \
         refresh_mode => 'DIFFERENTIAL')",
    );
    weir.wait_until_live(&["items"]);
}

fn literal(random: &mut StdRng, kind: &str, of: &[&str], nulls: f64) -> String {
    if random.random_bool(nulls) {
        return "NULL".into();
    }
    format!("'{}'::{kind}", of[random.random_range(0..of.len())].replace('\'', "''"))
}

/// A random array as SQL.
fn array(random: &mut StdRng, kind: &str, of: &[&str]) -> String {
    if random.random_bool(0.08) {
        return format!("NULL::{kind}[]");
    }
    let nulls = if random.random_bool(0.3) { 0.3 } else { 0.0 };
    let elements: Vec<String> = (0..random.random_range(0..5)).map(|_| literal(random, kind, of, nulls)).collect();
    format!("ARRAY[{}]::{kind}[]", elements.join(", "))
}

/// The value's image in this format, by Postgres.
fn image(direct: &mut RawClient, sql: &str, format: i16) -> Option<Vec<u8>> {
    let table = Table::read(&direct.extended(&format!("SELECT {sql}"), &[], format));
    assert!(table.error.is_none(), "{sql}: {:?}", table.error);
    table.rows[0][0].as_ref().map(|bytes| bytes.to_vec())
}

/// One statement with one parameter in this format; results in binary.
fn ask(client: &mut RawClient, sql: &str, format: i16, parameter: Option<&[u8]>) -> Table {
    let mut buffer = BytesMut::new();
    frontend::parse("", sql, [], &mut buffer).expect("no zero byte");
    let write = |value: Option<&[u8]>, buffer: &mut BytesMut| match value {
        Some(bytes) => {
            buffer.put_slice(bytes);
            Ok(postgres_protocol::IsNull::No)
        }
        None => Ok(postgres_protocol::IsNull::Yes),
    };
    assert!(frontend::bind("", "", [format], [parameter], write, [1], &mut buffer).is_ok());
    frontend::describe(b'P', "", &mut buffer).expect("no zero byte");
    frontend::execute("", 0, &mut buffer).expect("no zero byte");
    frontend::sync(&mut buffer);
    client.send(&buffer).expect("the connection holds");
    Table::read(&client.receive_until(b'Z').expect("the connection holds"))
}

#[test]
fn parameters() {
    let mut random = rng::seeded("array parameters");
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    install(&weir, &mut random);
    let mut through = RawClient::superuser(&weir.address());
    let mut direct = RawClient::superuser(&server.address());
    through.execute("SET weir.consistency = 'latest'");
    let mut from_memory = 0;
    let mut asked = 0;
    for (column, kind, of) in TYPES {
        let others = [("<>", "ALL"), ("<", "ANY"), (">=", "ALL"), ("=", "ALL"), ("<>", "ANY")];
        for (operator, quantifier) in [("=", "ANY"), others[random.random_range(0..others.len())]] {
            let sql = format!("SELECT id, {column} FROM items WHERE {column} {operator} {quantifier} ($1::{kind}[])");
            // Met, analysed, and the reader's privileges asked for.
            let is_passing = |route: &str| route.contains("analysis") || route.contains("privilege");
            let mut route = String::new();
            for _ in 0..500 {
                ask(&mut through, &sql, 0, Some(b"{}"));
                route = through.last_route();
                if !is_passing(&route) {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            assert_eq!(route, "memory", "{sql}");
            for _ in 0..rng::rounds(8, 200) {
                let value = array(&mut random, kind, &of);
                let format = random.random_range(0..2);
                let bytes = image(&mut direct, &value, format);
                let (ours, theirs) = (
                    ask(&mut through, &sql, format, bytes.as_deref()),
                    ask(&mut direct, &sql, format, bytes.as_deref()),
                );
                asked += 1;
                let route = through.last_route();
                // A verdict or an analysis may just have aged out; a date of before Christ is not read out of text. Nothing
                // else may stand in the way.
                let is_distant = route == "forwarded: parameter not understood" && value.contains("BC") && format == 0;
                assert!(route == "memory" || is_passing(&route) || is_distant, "{route}: {sql} with {value}");
                from_memory += usize::from(route == "memory");
                if let Err(difference) = compare_tables(&ours, &theirs, Order::Any) {
                    panic!("{sql} with {value} in format {format}:\n{difference}");
                }
            }
        }
    }
    assert!(from_memory * 10 > asked * 9, "{from_memory} of {asked} from memory");
}

#[test]
fn constants_and_columns() {
    let mut random = rng::seeded("array constants");
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    install(&weir, &mut random);
    let mut through = RawClient::superuser(&weir.address());
    let mut direct = RawClient::superuser(&server.address());
    through.execute("SET weir.consistency = 'latest'");
    compare_from_memory(&mut through, &mut direct, "SELECT words, numbers FROM items", Order::Any).unwrap();
    for _ in 0..rng::rounds(20, 400) {
        let (column, kind, of) = TYPES[random.random_range(0..TYPES.len())];
        let value = array(&mut random, kind, &of);
        let test = ["= ANY", "<> ALL", "> ANY", "<= ALL"][random.random_range(0..4)];
        let sql = format!("SELECT {column}, id FROM items WHERE {column} {test} ({value})");
        // A date of before Christ is not read out of text: then the answer must be right, wherever it comes from.
        match value.contains("BC") {
            true => compare(&mut through, &mut direct, &sql, Order::Any).unwrap(),
            false => compare_from_memory(&mut through, &mut direct, &sql, Order::Any).unwrap(),
        }
    }
}
