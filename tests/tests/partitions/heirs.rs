//! What must hold by name of tables that others inherit from.

use crate::stage::{PLAIN_ROLE, SUMS, Stage};
use std::time::{Duration, Instant};
use weir_tests::oracle::{Order, compare_from_memory};
use weir_tests::weir::by_triggers;
use weir_tests::wire::RawClient;

const FAMILY: &str = "CREATE TABLE p (k int, g int, v int); CREATE TABLE p_0 () INHERITS (p); CREATE TABLE p_1 (w int) INHERITS (p_0); \
    INSERT INTO p SELECT n, n % 3, n FROM generate_series(0, 9) n; INSERT INTO p_1 VALUES (10, 1, 10, 10), (11, 2, 11, NULL)";

/// Triggers do not see what is written through whom a table inherits from: there is nothing to be tried with them.
fn from_the_wal(setup: &str) -> Option<Stage> {
    (!by_triggers()).then(|| Stage::new(setup))
}

#[test]
fn triggers_do_not_see_heirs() {
    if by_triggers() {
        let mut stage = Stage::new(FAMILY);
        let reason = stage.refusal(SUMS);
        assert!(reason.contains("other tables inherit from it"), "{reason}");
    }
}

/// Nothing would tell of a new heir before its first rows.
#[test]
fn without_event_triggers_heirs_are_left_to_postgres() {
    if by_triggers() {
        return;
    }
    let mut stage = Stage::of(FAMILY, PLAIN_ROLE);
    let reason = stage.refusal(SUMS);
    assert!(reason.contains("Weir may not install event triggers here"), "{reason}");
    // One that gets an heir while it is maintained.
    stage.app.execute("CREATE TABLE single (k int, g int, v int); INSERT INTO single VALUES (1, 1, 1)");
    stage.stream("of_single", "SELECT sum(v) AS total FROM single");
    stage.app.execute("CREATE TABLE second () INHERITS (single)");
    std::thread::sleep(Duration::from_secs(1));
    stage.app.execute("INSERT INTO second VALUES (2, 2, 2)");
    stage.check();
    stage.run("DROP TABLE second");
}

/// What cannot be followed leaves a table that is maintained to Postgres, until it goes.
#[test]
fn what_cannot_be_followed_is_named() {
    let Some(mut stage) = from_the_wal(&format!(
        "{FAMILY}; CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere; \
         CREATE FOREIGN TABLE abroad (k int, g int, v int) SERVER nowhere; CREATE UNLOGGED TABLE loose (k int, g int, v int); \
         CREATE TABLE secret (k int, g int, v int); ALTER TABLE secret ENABLE ROW LEVEL SECURITY"
    )) else {
        return;
    };
    stage.stream("sums", SUMS);
    for (table, words) in [("loose", "unlogged"), ("abroad", "foreign table"), ("secret", "row-level security")] {
        for parent in ["p", "p_1"] {
            stage.app.execute(&format!(
                "ALTER TABLE {table} ADD COLUMN IF NOT EXISTS w int; ALTER TABLE {table} INHERIT {parent}"
            ));
            let reason = stage.direct.execute("SELECT pgtrickle.watch_obstacle('p')").scalar();
            assert!(reason.contains(&format!("heir public.{table}: ")) && reason.contains(words), "{reason}");
            let (through, direct) = (stage.app.query("SELECT * FROM sums"), stage.direct.query("SELECT * FROM sums"));
            assert!(stage.app.last_route().starts_with("forwarded"), "{}", stage.app.last_route());
            assert_eq!((through.texts(), through.error), (direct.texts(), direct.error));
            stage.run(&format!("ALTER TABLE {table} NO INHERIT {parent}"));
        }
    }
    stage.app.execute("CREATE TABLE pk (k int PRIMARY KEY, v int); CREATE TABLE pk_0 () INHERITS (pk)");
    let reason = stage.refusal("SELECT k, v FROM pk GROUP BY k");
    assert!(reason.contains("depends on the key of a table that others inherit from"), "{reason}");
}

/// A session sees the rows of its own temporary heir, and nobody else does.
#[test]
fn a_temporary_heir() {
    let Some(mut stage) = from_the_wal(FAMILY) else { return };
    stage.stream("sums", SUMS);
    for round in 0..3 {
        stage.app.execute("CREATE TEMP TABLE passing () INHERITS (p)");
        stage.app.execute(&format!("INSERT INTO passing VALUES (1, 1, {round}), (1, 77, 1)"));
        let through = stage.app.query("SELECT * FROM sums ORDER BY g").texts();
        assert_eq!(through, stage.app.query(&format!("{SUMS} ORDER BY g")).texts(), "{}", stage.app.last_route());
        assert!(through.iter().any(|row| row[0] == "77"));
        stage.check();
        stage.app.execute("DROP TABLE passing");
        stage.live();
    }
}

/// Whoever inherits may have NULLs, also where the column is NOT NULL above.
#[test]
fn nulls_below_a_column_without() {
    let Some(mut stage) = from_the_wal(
        "CREATE TABLE p (k int, g int, v int); CREATE TABLE other (g int); INSERT INTO other VALUES (1), (2), (NULL)",
    ) else {
        return;
    };
    stage.app.execute(if stage.server.major() >= 18 {
        "ALTER TABLE p ADD CONSTRAINT n NOT NULL g NO INHERIT; CREATE TABLE p_0 () INHERITS (p)"
    } else {
        "ALTER TABLE p ALTER g SET NOT NULL; CREATE TABLE p_0 () INHERITS (p); ALTER TABLE p_0 ALTER g DROP NOT NULL"
    });
    stage.app.execute("INSERT INTO p VALUES (1, 1, 1)");
    stage.stream("missing", "SELECT g FROM other WHERE g NOT IN (SELECT g FROM p)");
    stage.stream("present", "SELECT count(g) AS n, count(*) AS rows FROM p WHERE g IS NOT NULL OR v = 7");
    stage.stream("alone", "SELECT g FROM other WHERE g NOT IN (SELECT g FROM ONLY p)");
    for statement in [
        "INSERT INTO p_0 VALUES (2, NULL, 7)",
        "UPDATE p SET v = 7",
        "DELETE FROM p_0",
        "INSERT INTO p_0 VALUES (2, 2, 7)",
        "INSERT INTO p_0 VALUES (2, NULL, NULL)",
    ] {
        stage.run(statement);
    }
}

/// Every write is seen by the next read, also into an heir that was made a moment ago, by the same session or another.
#[test]
fn a_session_sees_its_writes() {
    let Some(mut stage) = from_the_wal("CREATE TABLE p (k int, g int, v int); INSERT INTO p VALUES (-1, 0, 0)") else {
        return;
    };
    stage.stream("sums", SUMS);
    let read = "SELECT n, total FROM sums WHERE g = 0";
    let (mut rows, mut total) = (1, 0);
    for k in 0..24 {
        // From memory until the moment that the heir is made.
        if k % 4 == 0 {
            stage.live();
            while !stage.app.last_route().starts_with("memory") {
                stage.app.query(read);
            }
        }
        let heir = k / 4;
        match k % 8 {
            0 => stage.app.execute(&format!("CREATE TABLE p_{heir} (x int) INHERITS (p)")),
            4 => stage.app.execute(&format!(
                "CREATE TABLE p_{heir} (v int, x int, k int, g int); INSERT INTO p_{heir} VALUES (0, 0, 0, 0), (1, 1, 1, 1); \
                 ALTER TABLE p_{heir} INHERIT p"
            )),
            _ => stage.app.execute("SELECT 1"),
        };
        rows += i32::from(k % 8 == 4);
        let statement = match k % 3 {
            0 => format!("INSERT INTO p VALUES ({k}, 0, {k})"),
            1 => format!("INSERT INTO p_{heir} (v, g, k) VALUES ({k}, 0, {k})"),
            _ => format!(
                "WITH new AS (INSERT INTO p_{heir} (k, g, v) VALUES ({k}, 0, {k}) RETURNING k) SELECT count(*) FROM new"
            ),
        };
        stage.app.execute(&statement);
        (rows, total) = (rows + 1, total + k);
        let seen = stage.app.query(read);
        assert_eq!(seen.texts(), [[rows.to_string(), total.to_string()]], "{k}, route {}", stage.app.last_route());
        stage.app.execute(&format!("UPDATE p SET v = v + 1 WHERE k = {k} AND g = 0"));
        let count: i32 = stage
            .direct
            .execute(&format!("SELECT count(*) FROM p WHERE k = {k} AND g = 0"))
            .scalar()
            .parse()
            .expect("a count");
        total += count;
        let seen = stage.app.query(read);
        assert_eq!(seen.texts(), [[rows.to_string(), total.to_string()]], "{k}, route {}", stage.app.last_route());
    }
    stage.live();
}

/// An heir's writers are burdened like anybody's: whoever has it watched owns it, or holds TRIGGER on it.
#[test]
fn an_heir_of_somebody_else() {
    let Some(mut stage) = from_the_wal(&format!(
        "CREATE ROLE parent LOGIN; CREATE ROLE child LOGIN; GRANT ALL ON SCHEMA public TO parent, child; {FAMILY}; \
         ALTER TABLE p OWNER TO parent; ALTER TABLE p_0 OWNER TO parent; ALTER TABLE p_1 OWNER TO child; \
         GRANT SELECT ON p, p_0 TO child"
    )) else {
        return;
    };
    let parameters = [("user", "parent"), ("database", "postgres")];
    let mut parent = RawClient::connect(&stage.weir.address(), &parameters, "parent").expect("parent may log in");
    let create = format!("SELECT pgtrickle.create_stream_table('sums', $q${SUMS}$q$, '1s', 'DIFFERENTIAL')");
    let error = parent.query(&create).error.expect("p_1 is not parent's");
    assert_eq!(error.code, "42501");
    assert!(error.message.contains("permission denied to watch table public.p_1"), "{}", error.message);
    stage.app.execute("GRANT TRIGGER ON p_1 TO parent");
    parent.execute(&create);
    stage.weir.wait_until_live(&["sums"]);
    if let Err(difference) = compare_from_memory(&mut stage.reader, &mut stage.direct, "SELECT * FROM sums", Order::Any)
    {
        panic!("{difference}");
    }
}

#[test]
fn a_restart_finds_what_happened_meanwhile() {
    let Some(mut stage) = from_the_wal(FAMILY) else { return };
    stage.stream("sums", SUMS);
    for meanwhile in [
        "ALTER TABLE p_0 NO INHERIT p; CREATE TABLE p_2 () INHERITS (p)",
        "ALTER TABLE p_0 INHERIT p; DROP TABLE p_2; INSERT INTO p_1 VALUES (1, 1, 1, 1)",
    ] {
        stage.weir.kill();
        stage.direct.execute(meanwhile);
        stage.start_again();
        stage.live();
        stage.run("UPDATE p SET v = v + 1");
    }
}

/// `weir unwatch --all` gives back what the tables had.
#[test]
fn unwatching_restores_the_heirs() {
    let Some(mut stage) = from_the_wal(&format!("{FAMILY}; ALTER TABLE p_1 REPLICA IDENTITY NOTHING")) else { return };
    stage.stream("sums", SUMS);
    stage.run("CREATE TABLE p_2 () INHERITS (p_0)");
    stage.run("ALTER TABLE p_1 NO INHERIT p_0");
    let found = "SELECT string_agg(relname || ' ' || relreplident::text, ', ' ORDER BY relname) FROM pg_class \
         WHERE relname ~ '^p(_.)?$'";
    let started = Instant::now();
    while stage.direct.execute(found).scalar() != "p f, p_0 f, p_1 f, p_2 f" {
        assert!(started.elapsed() < Duration::from_secs(30), "{}", stage.direct.execute(found).scalar());
    }
    stage.unwatch();
    assert_eq!(stage.direct.execute(found).scalar(), "p d, p_0 d, p_1 n, p_2 d");
    stage.direct.execute("INSERT INTO p VALUES (1, 1, 1); UPDATE p SET v = 2; DELETE FROM p");
}

/// Columns come, go, are renamed and change their type in all tables at once, or in an heir alone.
#[test]
fn columns_of_a_family_change() {
    let Some(mut stage) = from_the_wal(
        "CREATE TABLE p (k int, g int, v int, twice int GENERATED ALWAYS AS (v * 2) STORED); CREATE TABLE p_0 (extra text) INHERITS (p); \
         CREATE TABLE p_1 (twice int GENERATED ALWAYS AS (v * 2) STORED, v int, g int, k int); INSERT INTO p_1 (k, g, v) VALUES (11, 1, 7); \
         ALTER TABLE p_1 INHERIT p; INSERT INTO p (k, g, v) SELECT n, n % 3, n FROM generate_series(0, 9) n",
    ) else {
        return;
    };
    stage.stream("sums", "SELECT g, sum(twice) AS total FROM p GROUP BY g");
    stage.stream("ranges", "SELECT min(k) AS least, max(k) AS most, count(*) AS n FROM p");
    for statement in [
        "INSERT INTO p_0 (k, g, v, extra) VALUES (1, 1, 4, 'a'), (2, 2, 5, NULL)",
        "ALTER TABLE p ADD COLUMN more int DEFAULT 5",
        "INSERT INTO p_1 (k, g, v, more) VALUES (3, 1, 4, 6)",
        "ALTER TABLE p RENAME COLUMN more TO less",
        "UPDATE p SET v = v + less",
        "ALTER TABLE p_0 DROP COLUMN extra",
        "ALTER TABLE p_0 ADD COLUMN own numeric",
        "UPDATE p_0 SET v = v + 1, own = 1",
        "ALTER TABLE p DROP COLUMN less",
        "DROP TABLE p_1",
        "INSERT INTO p_0 (k, g, v) VALUES (100, 1, 1)",
    ] {
        stage.run(statement);
    }
    // The views stand in the way of a change of a column's type, as they do in Postgres.
    assert!(stage.app.query("ALTER TABLE p ALTER COLUMN k TYPE bigint").error.is_some());
    // A type without a binary form in an heir alone: writes go on, whatever becomes of the stream tables.
    stage.app.execute("ALTER TABLE p_0 ADD COLUMN odd aclitem");
    stage.app.execute("INSERT INTO p_0 (k, g, v) VALUES (4, 1, 4), (14, 2, 5); UPDATE p SET v = v + 1");
    stage.check();
}
