//! Who may read what: a role that may not gets Postgres' own error through Weir, to the letter, also for a statement that
//! another role, or the same role a moment before, has just had answered from memory.

use std::time::Duration;
use weir_tests::pair::Pair;
use weir_tests::postgres::TestServer;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// How long Weir may take to learn of a change of privileges: the event trigger's mark, or the polled stamp.
const NOTICE: Duration = Duration::from_millis(1500);
const READ: &str = "SELECT shop, n FROM totals ORDER BY shop";

/// A server with two stream tables, and a superuser's direct session.
struct Stack {
    server: TestServer,
    weir: TestWeir,
    admin: RawClient,
}

impl Stack {
    fn start() -> Stack {
        let server = TestServer::start();
        let weir = TestWeir::start(&server);
        let mut admin = RawClient::superuser(&server.address());
        let mut through = RawClient::superuser(&weir.address());
        admin.execute("CREATE ROLE reader LOGIN; CREATE ROLE stranger LOGIN; CREATE ROLE readers; CREATE ROLE keeper");
        through.execute(
            "CREATE TABLE sale (id int PRIMARY KEY, shop text NOT NULL, amount numeric(10,2)); \
             INSERT INTO sale SELECT i, 'shop ' || i % 5, i FROM generate_series(1, 50) i",
        );
        through.execute(
            "SELECT pgtrickle.create_stream_table('totals', 'SELECT shop, count(*) AS n, sum(amount) AS total \
             FROM sale GROUP BY shop', schedule => '1s', refresh_mode => 'DIFFERENTIAL')",
        );
        weir.wait_until_live(&["totals"]);
        Stack { server, weir, admin }
    }

    fn reader(&self, user: &str) -> Pair {
        Pair::of(&self.server, &self.weir, user, &[])
    }

    /// A change of privileges, made directly, and Weir knows of it.
    fn change(&mut self, sql: &str) {
        self.admin.execute(sql);
        std::thread::sleep(NOTICE);
    }
}

#[test]
fn select_on_the_relation() {
    let mut stack = Stack::start();
    stack.change("GRANT SELECT ON totals TO reader");
    let (mut reader, mut stranger) = (stack.reader("reader"), stack.reader("stranger"));
    stranger.refused(READ, "42501");
    reader.from_memory(READ);
    // The statement another role just had answered.
    stranger.refused(READ, "42501");
    stack.change("REVOKE SELECT ON totals FROM reader");
    reader.refused(READ, "42501");
    stack.change("GRANT SELECT ON totals TO PUBLIC");
    stranger.from_memory(READ);
    reader.from_memory(READ);
    stack.change("REVOKE SELECT ON totals FROM PUBLIC");
    stranger.refused(READ, "42501");
    reader.refused(READ, "42501");
}

#[test]
fn prepared_statements_are_checked_as_postgres_checks_them() {
    use postgres_protocol::message::frontend;
    let mut stack = Stack::start();
    stack.change("GRANT SELECT ON totals TO reader");
    let mut reader = stack.reader("reader");
    let run = |client: &mut RawClient, prepare: bool| {
        let mut out = bytes::BytesMut::new();
        if prepare {
            frontend::parse("r", READ, [], &mut out).expect("no zero byte");
        }
        weir_tests::wire::bind("", "r", &[], 0, &mut out);
        frontend::execute("", 0, &mut out).expect("no zero byte");
        frontend::sync(&mut out);
        client.send(&out).and_then(|()| client.receive_until(b'Z')).expect("the connection holds")
    };
    for i in 0..20 {
        assert_eq!(run(&mut reader.through, i == 0), run(&mut reader.direct, i == 0));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(reader.through.last_route(), "memory");
    stack.change("REVOKE SELECT ON totals FROM reader");
    let refused = run(&mut reader.through, false);
    assert_eq!(refused, run(&mut reader.direct, false));
    assert!(refused.iter().any(|message| message.tag == b'E'), "{refused:?}");
}

#[test]
fn select_on_every_column_read() {
    let mut stack = Stack::start();
    stack.change("GRANT SELECT (shop, n) ON totals TO reader");
    let mut reader = stack.reader("reader");
    reader.from_memory(READ);
    reader.from_memory("SELECT count(*) FROM totals WHERE n > 3");
    for sql in [
        "SELECT * FROM totals",
        "SELECT total FROM totals",
        "SELECT shop FROM totals WHERE total > 0",
        "SELECT shop FROM totals ORDER BY total",
        "SELECT totals FROM totals",
        "SELECT count(total) FROM totals",
    ] {
        reader.refused(sql, "42501");
    }
    stack.change("REVOKE SELECT (n) ON totals FROM reader");
    reader.refused(READ, "42501");
    reader.from_memory("SELECT shop FROM totals ORDER BY shop");
    // A column is enough to count the rows by; none is not.
    stack.change("REVOKE SELECT (shop) ON totals FROM reader");
    reader.refused("SELECT count(*) FROM totals", "42501");
}

#[test]
fn set_role_and_its_end() {
    let mut stack = Stack::start();
    stack.change("GRANT SELECT ON totals TO readers; GRANT readers TO stranger; ALTER ROLE stranger NOINHERIT");
    let mut stranger = stack.reader("stranger");
    stranger.refused(READ, "42501");
    for (on, off) in [
        ("SET ROLE readers", "RESET ROLE"),
        ("SET ROLE readers", "SET ROLE NONE"),
        ("SET ROLE readers", "RESET ALL; SET ROLE NONE"),
        ("SET ROLE readers", "DISCARD ALL"),
        ("SELECT set_config('role', 'readers', false)", "SELECT set_config('role', 'none', false)"),
        ("DO $$ BEGIN PERFORM set_config('role', 'readers', false); END $$", "DISCARD ALL"),
    ] {
        stranger.run(on);
        stranger.from_memory(READ);
        stranger.run(off);
        stranger.refused(READ, "42501");
    }
    // For one transaction, and undone with a savepoint.
    stranger.run("BEGIN");
    stranger.run("SET LOCAL ROLE readers");
    stranger.run(READ);
    stranger.run("COMMIT");
    stranger.refused(READ, "42501");
    stranger.run("BEGIN");
    stranger.run("SAVEPOINT a");
    stranger.run("SET ROLE readers");
    stranger.run(READ);
    stranger.run("ROLLBACK TO a");
    assert_eq!(stranger.same(READ).error.expect("refused").code, "42501");
    stranger.run("ROLLBACK");
}

#[test]
fn set_session_authorization() {
    let mut stack = Stack::start();
    stack.change("GRANT SELECT ON totals TO reader");
    let mut admin = stack.reader("postgres");
    admin.from_memory(READ);
    admin.run("SET SESSION AUTHORIZATION reader");
    admin.from_memory(READ);
    admin.run("SET SESSION AUTHORIZATION stranger");
    admin.refused(READ, "42501");
    admin.run("RESET SESSION AUTHORIZATION");
    admin.from_memory(READ);
    admin.run("BEGIN");
    admin.run("SET LOCAL SESSION AUTHORIZATION stranger");
    assert_eq!(admin.same(READ).error.expect("refused").code, "42501");
    admin.run("ROLLBACK");
    admin.from_memory(READ);
}

#[test]
fn membership_given_and_taken_during_a_session() {
    let mut stack = Stack::start();
    stack.change("GRANT SELECT ON totals TO readers");
    let mut stranger = stack.reader("stranger");
    stranger.refused(READ, "42501");
    stack.change("GRANT readers TO stranger");
    stranger.from_memory(READ);
    stack.change("REVOKE readers FROM stranger");
    stranger.refused(READ, "42501");
    stack.change("GRANT readers TO keeper; GRANT keeper TO stranger");
    stranger.from_memory(READ);
    stack.change("REVOKE readers FROM keeper");
    stranger.refused(READ, "42501");
    stack.change("ALTER ROLE stranger SUPERUSER");
    stranger.from_memory(READ);
    stack.change("ALTER ROLE stranger NOSUPERUSER");
    stranger.refused(READ, "42501");
}

#[test]
fn usage_of_the_schema() {
    let mut stack = Stack::start();
    let mut through = RawClient::superuser(&stack.weir.address());
    through.execute("CREATE SCHEMA shops");
    through.execute("SELECT pgtrickle.create_stream_table('shops.counts', 'SELECT shop, count(*) AS n FROM sale GROUP BY shop', '1s')");
    stack.weir.wait_until_live(&["shops.counts"]);
    let read = "SELECT n FROM shops.counts ORDER BY shop";
    stack.change("GRANT SELECT ON shops.counts TO reader; GRANT USAGE ON SCHEMA shops TO reader");
    let mut reader = stack.reader("reader");
    reader.from_memory(read);
    stack.change("REVOKE USAGE ON SCHEMA shops FROM reader");
    reader.refused(read, "42501");
    // Without USAGE the name is not even found through the search path.
    reader.run("SET search_path = shops, public");
    reader.refused("SELECT n FROM counts ORDER BY shop", "42P01");
    stack.change("GRANT USAGE ON SCHEMA shops TO reader");
    reader.from_memory("SELECT n FROM counts ORDER BY shop");
}

#[test]
fn the_search_path_of_the_session() {
    let mut stack = Stack::start();
    let mut through = RawClient::superuser(&stack.weir.address());
    through.execute("CREATE SCHEMA other; CREATE TABLE other.totals AS SELECT 'other' AS shop, 1 AS n");
    stack.change("GRANT USAGE ON SCHEMA other TO PUBLIC; GRANT SELECT ON totals TO PUBLIC; GRANT SELECT ON other.totals TO reader");
    let (mut reader, mut stranger) = (stack.reader("reader"), stack.reader("stranger"));
    reader.from_memory(READ);
    stranger.from_memory(READ);
    for session in [&mut reader, &mut stranger] {
        session.run("SET search_path = other, public");
    }
    assert_eq!(reader.same(READ).texts(), vec![vec!["other", "1"]]);
    reader.forwarded(READ, "reads a base table");
    stranger.refused(READ, "42501");
    reader.run("SELECT set_config('search_path', 'public', false)");
    reader.from_memory(READ);
    reader.run("SET search_path = nowhere");
    reader.refused(READ, "42P01");
    // A schema of the role's own, first in the default search path.
    stack.change("CREATE SCHEMA reader AUTHORIZATION reader; CREATE TABLE reader.totals AS SELECT 'own' AS shop, 2 AS n; ALTER TABLE reader.totals OWNER TO reader");
    reader.run("RESET search_path");
    assert_eq!(reader.same(READ).texts(), vec![vec!["own", "2"]]);
}

#[test]
fn temporary_objects_that_shadow_a_name() {
    let mut stack = Stack::start();
    stack.change("GRANT SELECT ON totals TO reader");
    let mut reader = stack.reader("reader");
    reader.from_memory(READ);
    for (create, drop) in [
        ("CREATE TEMP TABLE totals AS SELECT 'temp'::text AS shop, 1 AS n", "DROP TABLE pg_temp.totals"),
        ("CREATE TEMP VIEW totals AS SELECT 'view'::text AS shop, 2 AS n", "DROP VIEW pg_temp.totals"),
    ] {
        reader.run(create);
        // Each session's temporary table has its own OID: what is compared is its content.
        for client in [&mut reader.through, &mut reader.direct] {
            assert_eq!(client.execute(READ).rows.len(), 1, "{create}");
        }
        reader.run(drop);
        reader.run(READ);
    }
    // In a transaction that is rolled back.
    reader.run("DISCARD ALL");
    reader.run("BEGIN");
    reader.run("CREATE TEMP TABLE totals (shop text, n int)");
    assert_eq!(reader.through.execute(READ).rows.len(), 0);
    reader.direct.execute(READ);
    reader.run("ROLLBACK");
    assert_eq!(reader.same(READ).rows.len(), 5);
}

/// A view over a stream table.
const OVER: &str = "SELECT shop FROM over_totals ORDER BY shop";

#[test]
fn row_level_security_underneath_is_always_forwarded() {
    let mut stack = Stack::start();
    stack.change("GRANT SELECT ON totals, sale TO reader; CREATE VIEW over_totals AS SELECT shop FROM totals; GRANT SELECT ON over_totals TO reader");
    let mut reader = stack.reader("reader");
    reader.from_memory(READ);
    reader.from_memory(OVER);
    stack.change("ALTER TABLE sale ENABLE ROW LEVEL SECURITY");
    for sql in [READ, OVER] {
        for _ in 0..5 {
            assert_eq!(reader.same(sql).error, None);
            assert!(reader.through.last_route().starts_with("forwarded"), "{sql}: {}", reader.through.last_route());
        }
    }
    // The view's owner is a superuser: nothing is filtered until the owner is somebody else.
    stack.change("CREATE POLICY one_shop ON sale USING (shop = 'shop 1'); ALTER VIEW totals OWNER TO keeper; GRANT SELECT ON sale TO keeper");
    assert_eq!(reader.same(READ).rows.len(), 1, "the policy filters for the view's owner");
    stack.change("ALTER TABLE sale FORCE ROW LEVEL SECURITY");
    assert_eq!(reader.same(READ).rows.len(), 1);
    reader.run("SET row_security = off");
    assert!(reader.same(READ).error.is_some(), "filtering has become an error");
    reader.run("RESET row_security");
    stack.change("ALTER TABLE sale DISABLE ROW LEVEL SECURITY");
    assert_eq!(reader.same(READ).rows.len(), 5);
}

#[test]
fn the_view_owner_s_rights_on_base_tables() {
    let mut stack = Stack::start();
    stack.change("GRANT SELECT ON totals TO reader; ALTER VIEW totals OWNER TO keeper; GRANT SELECT ON sale TO keeper");
    let mut reader = stack.reader("reader");
    reader.from_memory(READ);
    // Every reader depends on the owner's rights, a superuser, too.
    stack.change("REVOKE SELECT ON sale FROM keeper");
    reader.refused(READ, "42501");
    stack.reader("postgres").refused(READ, "42501");
    stack.change("GRANT SELECT (id, shop, amount) ON sale TO keeper");
    reader.from_memory(READ);
    stack.change("REVOKE SELECT (amount) ON sale FROM keeper");
    reader.refused(READ, "42501");
}

/// In the extended protocol, with 4 for the parameter.
fn same_with_parameter(reader: &mut Pair, sql: &str) -> Vec<weir_tests::wire::Message> {
    reader.same_messages(sql, |client| client.extended(sql, &[Some("4")], 0))
}

/// Waits until memory answers it.
fn from_memory_with_parameter(reader: &mut Pair, sql: &str) {
    let started = std::time::Instant::now();
    loop {
        same_with_parameter(reader, sql);
        let route = reader.through.last_route();
        if route == "memory" {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{sql}: {route}");
    }
}

#[test]
fn execute_on_functions() {
    let mut stack = Stack::start();
    let mut through = RawClient::superuser(&stack.weir.address());
    through.execute(
        "SELECT pgtrickle.create_stream_table('lengths', 'SELECT id, length(shop) AS l, shop FROM sale', '1s')",
    );
    stack.weir.wait_until_live(&["lengths"]);
    stack.change("GRANT SELECT ON lengths TO reader, stranger");
    let mut reader = stack.reader("reader");
    let in_view = "SELECT id, l FROM lengths WHERE id < 4 ORDER BY id";
    let in_statement = "SELECT upper(shop) AS u FROM lengths ORDER BY id LIMIT 2";
    reader.from_memory(in_view);
    reader.from_memory(in_statement);
    stack.change("REVOKE EXECUTE ON FUNCTION pg_catalog.upper(text) FROM PUBLIC");
    reader.refused(in_statement, "42501");
    reader.from_memory(in_view);
    // A view's functions run with the reader's rights.
    stack.change("REVOKE EXECUTE ON FUNCTION pg_catalog.length(text) FROM PUBLIC");
    reader.refused(in_view, "42501");
    stack.change("GRANT EXECUTE ON FUNCTION pg_catalog.length(text) TO reader");
    reader.from_memory(in_view);
    // Also where Postgres, asked with NULL for the parameter, need not come to the function; in the table and in views over it.
    stack.change(
        "CREATE VIEW over_lengths AS SELECT id, l FROM lengths; \
         CREATE VIEW in_reverse AS SELECT id, reverse(shop) AS r FROM lengths; GRANT SELECT ON over_lengths, in_reverse TO reader",
    );
    let over = "SELECT l FROM over_lengths WHERE id = $1";
    let with_functions = ["SELECT id, l FROM lengths WHERE id = $1", over, "SELECT r FROM in_reverse WHERE id = $1"];
    with_functions.iter().for_each(|sql| from_memory_with_parameter(&mut reader, sql));
    stack.change(
        "REVOKE EXECUTE ON FUNCTION pg_catalog.reverse(text) FROM PUBLIC; \
         REVOKE EXECUTE ON FUNCTION pg_catalog.length(text) FROM reader",
    );
    for sql in with_functions {
        for _ in 0..10 {
            let answer = same_with_parameter(&mut reader, sql);
            assert!(answer.iter().any(|message| message.tag == b'E'), "{sql}: {answer:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    stack.change("GRANT EXECUTE ON FUNCTION pg_catalog.length(text) TO reader");
    // Whoever may read the view need not be allowed to read the table below it.
    stack.change("REVOKE SELECT ON lengths FROM reader");
    from_memory_with_parameter(&mut reader, over);
    stack.change("GRANT SELECT ON lengths TO reader");
    stack.reader("stranger").refused(in_view, "42501");
}

#[test]
fn security_barrier_and_security_invoker_views() {
    let mut stack = Stack::start();
    stack.change(
        "CREATE VIEW barred WITH (security_barrier) AS SELECT shop, n FROM totals WHERE shop <> 'shop 1'; \
         CREATE VIEW plain AS SELECT shop, n FROM totals; GRANT SELECT ON barred, plain TO reader",
    );
    let mut reader = stack.reader("reader");
    let barred = "SELECT shop FROM barred ORDER BY shop";
    let plain = "SELECT shop FROM plain ORDER BY shop";
    reader.from_memory(plain);
    assert_eq!(reader.same(barred).rows.len(), 4);
    // A condition that fails on the row the barrier hides must not be evaluated on it.
    reader.run("SELECT shop FROM barred WHERE 1 / (CASE WHEN shop = 'shop 1' THEN 0 ELSE 1 END) = 1 ORDER BY shop");
    reader.run("SELECT shop FROM barred WHERE 1 / (CASE WHEN shop = 'shop 1' THEN 0 ELSE 1 END) = 1 ORDER BY shop");
    reader.refused(READ, "42501");
    if stack.server.major() >= 15 {
        stack.change("ALTER VIEW plain SET (security_invoker = true)");
        reader.refused(plain, "42501");
        stack.change("GRANT SELECT ON totals TO reader");
        reader.from_memory(plain);
        // The stream table itself: its base table is then read as the reader.
        stack.change("ALTER VIEW totals SET (security_invoker = true)");
        reader.refused(READ, "42501");
        reader.refused(plain, "42501");
        stack.change("GRANT SELECT ON sale TO reader");
        assert_eq!(reader.same(READ).rows.len(), 5);
        stack.change("REVOKE SELECT ON sale FROM reader");
        reader.refused(READ, "42501");
        stack.change("ALTER VIEW totals RESET (security_invoker)");
        reader.from_memory(READ);
    }
}

#[test]
fn ownership_and_roles_that_go() {
    let mut stack = Stack::start();
    stack.change("ALTER VIEW totals OWNER TO reader; GRANT SELECT ON sale TO reader");
    let mut reader = stack.reader("reader");
    reader.from_memory(READ);
    stack.change("ALTER VIEW totals OWNER TO keeper; GRANT SELECT ON sale TO keeper");
    reader.refused(READ, "42501");
    // In a block, too, what was allowed before it began is not allowed for ever.
    stack.change("GRANT SELECT ON totals TO reader");
    reader.from_memory(READ);
    reader.run("BEGIN");
    reader.run(READ);
    stack.change("REVOKE SELECT ON totals FROM reader");
    assert_eq!(reader.same(READ).error.expect("refused within the block").code, "42501");
    reader.run("ROLLBACK");
}
