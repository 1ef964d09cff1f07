//! Rows of FROM as a whole, as JSON: `to_jsonb(t)`, `row_to_json(t)`, `json_agg(t ORDER BY …)`.

use weir_tests::pair::Pair;
use weir_tests::postgres::TestServer;
use weir_tests::weir::TestWeir;

const VIEWS: [&str; 9] = [
    "SELECT id, to_jsonb(t) AS a, row_to_json(t) AS b, to_json(t) AS c FROM items t",
    "SELECT json_agg(t ORDER BY id) AS a, jsonb_agg(t ORDER BY id DESC) FILTER (WHERE n > 1) AS b FROM items t",
    "SELECT p.id, row_to_json(p) AS p, to_jsonb(t) AS t FROM parents p LEFT JOIN items t ON t.parent = p.id",
    "SELECT x.n, json_agg(x ORDER BY x.id) AS l FROM (SELECT id, n, upper(\"Name x\") AS word FROM items) x GROUP BY x.n",
    "SELECT id, jsonb_build_object('row', t, 'id', id) AS o, json_build_array(t, 1) AS a FROM items t",
    "SELECT p.id, (SELECT json_agg(t ORDER BY t.id) FROM items t WHERE t.parent = p.id) AS children FROM parents p",
    "SELECT json_object_agg(id, t ORDER BY id) AS a, jsonb_object_agg(id, t) AS b FROM items t",
    "SELECT to_jsonb(q) AS j FROM (SELECT 1 AS one, id AS \"two three\" FROM items) AS q(a, b)",
    "SELECT id, json_agg(t) OVER (PARTITION BY parent ORDER BY id) AS l FROM items t",
];

#[test]
fn rows_as_a_whole_are_objects() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut pair = Pair::superuser(&server, &weir);
    pair.direct.execute(
        "CREATE DOMAIN rank AS int CHECK (VALUE > 0); CREATE TABLE parents (id int, label text); INSERT INTO parents VALUES (1, 'a'), (2, NULL), (NULL, NULL); \
         CREATE TABLE items (id int PRIMARY KEY, parent int, gone int, \"Name x\" text, n numeric(6,2), at timestamptz, j jsonb, l int[], f float8, \
             iv interval, by bytea, r rank, twice numeric GENERATED ALWAYS AS (n * 2) STORED); ALTER TABLE items DROP COLUMN gone; \
         INSERT INTO items SELECT i, i % 3, 'it''s \"' || i, i / 2.0, timestamptz '2024-03-31 00:30+00' + i * interval '30 min', jsonb_build_object('z', i, 'a', null), \
             ARRAY[i, NULL], i / 3.0, i * interval '25 h', decode('0aff', 'hex'), i FROM generate_series(1, 4) i; INSERT INTO items (id) VALUES (9)",
    );
    pair.stream("kept_items", "SELECT * FROM items");
    pair.stream("kept_parents", "SELECT * FROM parents");
    for (at, view) in VIEWS.iter().enumerate() {
        pair.stream(&format!("whole{at}"), view);
    }
    pair.through.execute("SET weir.consistency = 'latest'");
    for change in [
        "SELECT 1",
        "UPDATE items SET parent = 1, \"Name x\" = NULL WHERE id = 4",
        "INSERT INTO items (id, parent, n) VALUES (5, 2, 7.5)",
        "DELETE FROM items WHERE id < 3",
        "UPDATE parents SET label = 'x\ny'",
        "TRUNCATE items",
    ] {
        pair.direct.execute(change);
        for (at, view) in VIEWS.iter().enumerate() {
            pair.settled(&format!("SELECT * FROM whole{at}"));
            // (Of a stream table nothing says that a column is not NULL, so that a row which is not there could not be told.)
            if !view.contains("LEFT JOIN") {
                pair.settled(&view.replace(" items", " kept_items").replace(" parents", " kept_parents"));
            }
        }
    }
}
