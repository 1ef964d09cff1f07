//! Every kind of statement that changes rows, in random order: what is below in Postgres (triggers, cascades, rules of
//! conflict, values stored out of line) is followed without being looked at.

use crate::ground::Ground;
use rand::Rng;
use rand::rngs::StdRng;
use weir_tests::rng;

const TABLES: &str = "CREATE TABLE parent (id int PRIMARY KEY, name text); \
    CREATE TABLE child (id serial PRIMARY KEY, parent int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE, v int, note text); \
    CREATE TABLE nulled (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE SET NULL, at timestamptz DEFAULT now()); \
    CREATE TABLE loose (v int, note text); \
    CREATE TABLE log (what text, who int, n bigserial); \
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
      IF TG_OP = 'DELETE' THEN INSERT INTO log VALUES (TG_OP, OLD.id); RETURN OLD; END IF; \
      INSERT INTO log VALUES (TG_OP, NEW.id); \
      IF NEW.v > 90 THEN NEW.v := NULL; END IF; IF NEW.v < 0 THEN RETURN NULL; END IF; RETURN NEW; END $$; \
    CREATE TRIGGER note BEFORE INSERT OR UPDATE OR DELETE ON child FOR EACH ROW EXECUTE FUNCTION note(); \
    CREATE FUNCTION many(n int) RETURNS void LANGUAGE plpgsql AS $$ BEGIN \
      FOR i IN 1..n LOOP BEGIN INSERT INTO loose VALUES (i % 5, 'loop'); IF i % 3 = 0 THEN RAISE EXCEPTION 'no'; END IF; \
      EXCEPTION WHEN OTHERS THEN INSERT INTO loose VALUES (-i, 'caught'); END; END LOOP; END $$; \
    ALTER TABLE child ALTER COLUMN note SET STORAGE EXTERNAL; \
    INSERT INTO parent SELECT n, 'p' || n FROM generate_series(1, 12) n";

fn statement(random: &mut StdRng) -> String {
    let (a, b, v) = (random.random_range(1..20), random.random_range(1..20), random.random_range(-5..100));
    let long = random.random_range(0..6000);
    match random.random_range(0..20) {
        0 => format!(
            "INSERT INTO parent VALUES ({a}, 'new') ON CONFLICT (id) DO UPDATE SET name = excluded.name || parent.name"
        ),
        1 => format!("INSERT INTO parent VALUES ({a}, NULL), ({b}, 'b') ON CONFLICT DO NOTHING"),
        2 => format!("DELETE FROM parent WHERE id = {a}"),
        3 => format!(
            "UPDATE parent SET id = id + 100 WHERE id = {a} AND NOT EXISTS (SELECT 1 FROM parent p WHERE p.id = {a} + 100)"
        ),
        4..7 => format!(
            "INSERT INTO child (parent, v, note) SELECT id, {v}, repeat('x{a}', {long}) FROM parent WHERE id % 3 = {a} % 3"
        ),
        7 => format!("UPDATE child SET v = {v} WHERE id % 4 = {a} % 4"),
        8 => format!("UPDATE child SET note = note || '{a}' WHERE parent = {a}"),
        9 => format!("DELETE FROM child WHERE v = {v} OR id % 7 = {a} % 7"),
        10 => format!(
            "INSERT INTO nulled (id, parent) SELECT {v} + 100 * {a}, id FROM parent WHERE id = {b} ON CONFLICT DO NOTHING"
        ),
        11 => format!(
            "WITH gone AS (DELETE FROM loose WHERE v = {v} % 5 RETURNING *), \
                       more AS (INSERT INTO loose SELECT v + 1, note FROM gone RETURNING v) \
                       UPDATE nulled SET at = at + interval '1 second' * (SELECT count(*) FROM more)"
        ),
        12 => format!(
            "MERGE INTO child c USING parent p ON c.parent = p.id AND c.id % 5 = {a} % 5 \
                       WHEN MATCHED AND c.v > 50 THEN DELETE WHEN MATCHED THEN UPDATE SET v = c.v + 1 \
                       WHEN NOT MATCHED AND p.id < 6 THEN INSERT (parent, v) VALUES (p.id, 3)"
        ),
        13 => format!("SELECT many({a})"),
        14 => format!("INSERT INTO loose SELECT v, note FROM loose WHERE v = {a} % 5 LIMIT 2"),
        15 => format!("DELETE FROM loose WHERE ctid IN (SELECT ctid FROM loose WHERE v = {a} % 5 LIMIT 2)"),
        16 => format!(
            "SAVEPOINT s; DELETE FROM child; INSERT INTO loose VALUES ({v}, 'gone'); ROLLBACK TO s; \
                       INSERT INTO loose VALUES ({a}, 'kept'); SAVEPOINT s; UPDATE parent SET name = 'deep' WHERE id = {b}; RELEASE s"
        ),
        17 => format!("UPDATE loose SET v = l.v FROM (SELECT max(v) AS v FROM loose) l WHERE loose.v = {a} % 5"),
        18 => "UPDATE child SET v = v, note = note".to_owned(),
        _ => format!("INSERT INTO loose VALUES ({v} % 5, NULL), ({v} % 5, NULL)"),
    }
}

#[test]
fn statements_of_every_kind() {
    let mut random = rng::seeded("statements_of_every_kind");
    let mut ground = Ground::new(TABLES);
    let merges = ground.server.major() >= 15;
    ground.stream(
        "family",
        "SELECT p.id, p.name, c.id AS child, c.v, c.note FROM parent p LEFT JOIN child c ON c.parent = p.id",
    );
    ground
        .stream("notes", "SELECT right(note, 8) AS tail, length(note) AS size, count(*) AS n FROM child GROUP BY 1, 2");
    ground.stream("strays", "SELECT n.id, n.parent, p.name, n.at FROM nulled n LEFT JOIN parent p ON p.id = n.parent");
    ground.stream("heap", "SELECT v, note, count(*) AS n FROM loose GROUP BY v, note");
    ground.stream("rows_of_heap", "SELECT * FROM loose");
    ground.stream("log_by_kind", "SELECT what, count(*) AS n, max(who) AS last FROM log GROUP BY what");
    for _ in 0..rng::rounds(60, 2_000) {
        let statements: Vec<String> = (0..random.random_range(1..4))
            .map(|_| statement(&mut random))
            .filter(|statement| merges || !statement.starts_with("MERGE"))
            .collect();
        let end = if random.random_bool(0.1) { "ROLLBACK" } else { "COMMIT" };
        // Some of them Postgres refuses: then the whole transaction never was.
        let answer = ground.app.query(&format!("BEGIN; {}; {end}", statements.join("; ")));
        if let Some(error) = answer.error {
            assert!(error.code.starts_with("23"), "{statements:?}: {error:?}");
            ground.app.execute("ROLLBACK");
        }
        ground.check();
    }
}

/// COPY in its formats, a copy that fails at its end, and one that is wide.
#[test]
fn copies() {
    let mut ground =
        Ground::new("CREATE TABLE t (id int, note text, n numeric); CREATE TABLE u (id int PRIMARY KEY, v int)");
    ground.stream("t_rows", "SELECT * FROM t");
    ground.stream("t_sums", "SELECT note, count(*) AS c, sum(n) AS total FROM t GROUP BY note");
    ground.stream("u_rows", "SELECT id, v FROM u");
    let mut copy = |sql: &str, data: &str| {
        let mut request = bytes::BytesMut::new();
        postgres_protocol::message::frontend::query(sql, &mut request).expect("no NUL");
        ground.app.send(&request).expect("sent");
        ground.app.receive_until(b'G').expect("a copy begins");
        let mut body = bytes::BytesMut::new();
        for piece in data.as_bytes().chunks(1000) {
            let piece = postgres_protocol::message::frontend::CopyData::new(piece).expect("small");
            piece.write(&mut body);
        }
        postgres_protocol::message::frontend::copy_done(&mut body);
        ground.app.send(&body).expect("sent");
        let reply = ground.app.receive_until(b'Z').expect("an end");
        ground.check();
        reply.iter().all(|message| message.tag != b'E')
    };
    assert!(copy("COPY t FROM STDIN", "1\ta\t1.50\n1\ta\t1.50\n2\t\\N\tNaN\n"));
    assert!(copy("COPY t FROM STDIN WITH (FORMAT csv, HEADER)", "id,note,n\n3,\"a,b\",\n4,\"\",0.0\n"));
    let wide: String = (0..20_000).map(|n| format!("{n}\tnote {}\t{}.{:03}\n", n % 7, n, n % 1000)).collect();
    assert!(copy("COPY t FROM STDIN", &wide));
    assert!(copy("COPY u (id) FROM STDIN", "1\n2\n"));
    assert!(!copy("COPY u FROM STDIN", "3\t1\n4\t1\n1\t1\n"), "a key twice");
    assert!(!copy("COPY u FROM STDIN", "5\tx\n"));
    assert!(copy("COPY u FROM STDIN", "5\t5\n"));
    ground.expect("SELECT count(*), (SELECT count(*) FROM t) FROM u_rows", &["3|20005"]);
}
