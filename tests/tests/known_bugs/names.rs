//! Whose names, and whose rights.

use crate::ground::Ground;
use weir_tests::wire::RawClient;

/// #941: names in a definition mean what they meant when it was made, whoever reads and under whatever search path.
#[test]
fn names_are_those_of_the_search_path_at_creation() {
    let mut ground = Ground::new(
        "CREATE SCHEMA one; CREATE SCHEMA two; CREATE TABLE one.t (v int); CREATE TABLE two.t (v int); \
         INSERT INTO one.t VALUES (1); INSERT INTO two.t VALUES (2)",
    );
    ground.app.execute("SET search_path = one, public");
    ground.create("public.seen", "SELECT v FROM t", "DIFFERENTIAL");
    ground.weir.wait_until_live(&["public.seen"]);
    ground.app.execute("SET search_path = two, public");
    ground.app.execute("INSERT INTO one.t VALUES (10); INSERT INTO two.t VALUES (20)");
    for _ in 0..3 {
        ground.read_anyhow("SELECT * FROM public.seen");
    }
    ground.app.execute("CREATE TABLE public.t (v int)");
    ground.app.execute("SET search_path = public");
    ground.read_anyhow("SELECT * FROM seen");
    ground.expect("SELECT v FROM public.seen ORDER BY v", &["1", "10"]);
}

/// #903: who may not read the base tables makes no stream table of them, and who may not read a stream table is refused,
/// also right behind one who may.
#[test]
fn rights_are_asked_of_postgres() {
    let mut ground = Ground::new(
        "CREATE TABLE secret (v int); INSERT INTO secret VALUES (1); CREATE ROLE clerk LOGIN; GRANT CREATE ON SCHEMA public TO clerk; \
         GRANT USAGE ON SCHEMA pgtrickle TO clerk",
    );
    ground.stream("exposed", "SELECT v FROM secret");
    let connect = |address: String| {
        RawClient::connect(&address, &[("user", "clerk"), ("database", "postgres")], "").expect("trusted")
    };
    let (mut clerk, mut direct) = (connect(ground.weir.address()), connect(ground.server.address()));
    for sql in ["SELECT v FROM exposed", "SELECT v FROM secret"] {
        ground.app.execute(sql);
        let (through, directly) = (clerk.query(sql), direct.query(sql));
        assert_eq!(through.error.expect("refused").code, "42501", "{sql}");
        assert_eq!(directly.error.expect("refused").code, "42501", "{sql}");
    }
    // A definition is checked as the one who gives it.
    let make = "SELECT pgtrickle.create_stream_table('public.mine', 'SELECT v FROM public.secret')";
    assert_eq!(clerk.query(make).error.expect("refused").code, "42501");
    ground.app.execute("GRANT SELECT ON secret TO clerk");
    clerk.execute(make);
    ground.app.execute("REVOKE SELECT ON secret FROM clerk");
    ground.app.execute("GRANT SELECT ON exposed TO clerk");
    assert_eq!(clerk.execute("SELECT v FROM exposed").scalar(), "1");
    ground.app.execute("REVOKE SELECT ON exposed FROM clerk");
    assert_eq!(clerk.query("SELECT v FROM exposed").error.expect("refused again").code, "42501");
}
