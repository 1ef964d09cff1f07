//! The harness itself: a server starts, answers, restarts and leaves nothing behind.

use weir_tests::oracle::{Order, compare};
use weir_tests::postgres::{Auth, StopMode, TestServer};
use weir_tests::wire::RawClient;

#[tokio::test]
async fn server_answers_and_survives_a_crash() {
    let server = TestServer::start();
    let client = server.connect().await;
    let row = client.query_one("SELECT current_setting('wal_level'), 1 + 1", &[]).await.expect("answers");
    assert_eq!((row.get::<_, &str>(0), row.get::<_, i32>(1)), ("logical", 2));
    client.batch_execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await.expect("writes");
    server.restart(StopMode::Immediate);
    let count: i64 = server.connect().await.query_one("SELECT count(*) FROM t", &[]).await.expect("answers").get(0);
    assert_eq!(count, 1, "a committed row survives the crash");
}

#[test]
fn directory_is_removed() {
    let before = directories();
    let server = TestServer::start();
    let ours: Vec<_> = directories().into_iter().filter(|name| !before.contains(name)).collect();
    drop(server);
    let after = directories();
    assert!(!ours.is_empty() && ours.iter().any(|name| !after.contains(name)));
}

fn directories() -> Vec<String> {
    let prefix = format!("weir-pg-{}-", std::process::id());
    let entries = std::fs::read_dir(std::env::temp_dir()).expect("readable").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(|n| n.starts_with(&prefix)).collect()
}

#[test]
fn password_methods() {
    for auth in [Auth::Md5, Auth::ScramSha256] {
        let server = TestServer::options().auth(auth).start();
        assert_eq!(RawClient::superuser(&server.address()).query("SELECT 7").scalar(), "7");
        let wrong = RawClient::connect(&server.address(), &[("user", "postgres"), ("database", "postgres")], "wrong");
        assert!(wrong.err().expect("refused").to_string().starts_with("28P01"), "{auth:?}");
    }
}

#[test]
fn oracle_tells_differences() {
    let server = TestServer::start();
    let (mut left, mut right) = (RawClient::superuser(&server.address()), RawClient::superuser(&server.address()));
    let sql = "SELECT a, a::numeric / 3 AS third FROM generate_series(1, 5) a";
    compare(&mut left, &mut right, sql, Order::Exact).expect("same server, same answer");
    for (setting, sql) in [
        ("SET extra_float_digits = 0", "SELECT 0.1::float8 + 0.2"),
        ("SET search_path = pg_catalog", "SELECT current_schemas(false)"),
        ("CREATE TEMP TABLE t AS SELECT 1::bigint AS a", "SELECT a FROM t"),
    ] {
        left.execute(setting);
        if sql.ends_with('t') {
            right.execute("CREATE TEMP TABLE t AS SELECT 1::int AS a");
        }
        compare(&mut left, &mut right, sql, Order::Any).expect_err(sql);
    }
}
