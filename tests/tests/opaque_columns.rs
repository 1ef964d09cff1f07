//! Columns of types that Weir has no operations for: passed on by tables, joins and extremes, and shown from memory as Postgres
//! shows them.

use weir_tests::oracle::{Order, compare_from_memory};
use weir_tests::postgres::TestServer;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// Type, and three texts that it takes in.
const COLUMNS: &[(&str, [&str; 3])] = &[
    ("json", ["{\"a\":  1}", "[]", "\"ä\""]),
    ("jsonpath", ["$.a[*] ? (@ > 1)", "strict $", "$.\"ä\""]),
    ("macaddr", ["08:00:2b:01:02:03", "08-00-2b-01-02-04", "0800.2b01.0205"]),
    ("xid", ["1", "4294967295", "0"]),
    ("xid8", ["1", "18446744073709551615", "0"]),
    ("pg_lsn", ["0/0", "FFFFFFFF/FFFFFFFF", "16/B374D848"]),
    ("tid", ["(0,1)", "(4294967295,65535)", "(7,0)"]),
    ("bit(5)", ["00000", "10101", "00111"]),
    ("varbit", ["", "1", "101010101"]),
    ("point", ["(1,2)", "(0.1,1e300)", "(NaN,-Infinity)"]),
    ("line", ["{1,2,3}", "{0,-1,0.5}", "[(0,0),(1,3)]"]),
    ("lseg", ["[(1,2),(3,4)]", "[(0,0),(0,0)]", "(0.1,0.2),(3,4)"]),
    ("box", ["(1,2),(3,4)", "(0,0),(0,0)", "(5,1),(-5,2)"]),
    ("path", ["[(1,2),(3,4)]", "((1,2),(3,4),(0,0))", "[(0,0)]"]),
    ("polygon", ["((1,2),(3,4),(0,0))", "((0,0))", "((0.1,0.2),(0.3,0.4))"]),
    ("circle", ["<(1,2),3>", "<(0,0),0>", "<(0.1,0.2),0.3>"]),
    ("tsvector", ["a:1A b:2", "", "'it''s':3B,4"]),
    ("int4multirange", ["{[1,3),[5,7)}", "{}", "{(,2]}"]),
    ("tstzmultirange", ["{[2024-01-01 00:00+00,2024-02-01 00:00+00)}", "{}", "{(,)}"]),
];

#[test]
fn columns_of_any_type_are_shown_from_memory() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut through = RawClient::superuser(&weir.address());
    let mut direct = RawClient::superuser(&server.address());
    let columns: Vec<String> = COLUMNS.iter().enumerate().map(|(at, (kind, _))| format!("c{at} {kind}")).collect();
    direct.execute(&format!("CREATE TABLE held (id int PRIMARY KEY, k int, {})", columns.join(", ")));
    let definitions = [
        ("held_all", "SELECT * FROM held".to_owned()),
        ("held_twice", "SELECT h.*, g.c9 AS other FROM held h LEFT JOIN held g ON g.id = h.k".to_owned()),
        ("held_most", "SELECT k, min(c5) AS least, max(c5) AS most, max(c6) AS t FROM held GROUP BY k".to_owned()),
    ];
    for (name, query) in &definitions {
        through.execute(&format!(
            "SELECT pgtrickle.create_stream_table(name => '{name}', query => $q$ {query} $q$, schedule => '1s', \
             refresh_mode => 'DIFFERENTIAL')"
        ));
    }
    weir.wait_until_live(&["held_all", "held_twice", "held_most"]);
    through.execute("SET weir.consistency = 'latest'");
    for round in 0..4 {
        for id in 0..10 {
            let values: Vec<String> = COLUMNS
                .iter()
                .enumerate()
                .map(|(at, (_, texts))| match (id * 7 + at + round) % 4 {
                    3 => "NULL".to_owned(),
                    which => format!("'{}'", texts[which].replace('\'', "''")),
                })
                .collect();
            direct.execute(&format!("DELETE FROM held WHERE id = {id}"));
            direct.execute(&format!("INSERT INTO held VALUES ({id}, {}, {})", (id + round) % 4, values.join(", ")));
        }
        for (digits, zone) in [("1", "UTC"), ("0", "Asia/Kathmandu"), ("-5", "America/New_York")] {
            for client in [&mut through, &mut direct] {
                client.execute(&format!("SET extra_float_digits = {digits}; SET TimeZone = '{zone}'"));
            }
            for (name, _) in &definitions {
                compare_from_memory(&mut through, &mut direct, &format!("SELECT * FROM {name}"), Order::Any).unwrap();
            }
        }
    }
}
