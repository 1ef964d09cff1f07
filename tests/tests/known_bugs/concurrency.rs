//! Several at once.

use crate::ground::Ground;
use std::sync::atomic::{AtomicBool, Ordering};
use weir_tests::wire::RawClient;

const ACCOUNTS: &str = "CREATE TABLE account (id int PRIMARY KEY, balance bigint); \
     INSERT INTO account SELECT n, 100 FROM generate_series(1, 20) n";

/// #536: a transaction that wrote early and commits late, behind others and behind a refresh, loses nothing.
#[test]
fn a_writer_that_commits_late_loses_nothing() {
    let mut ground = Ground::new(ACCOUNTS);
    ground.stream("total", "SELECT count(*) AS n, sum(balance) AS total FROM account");
    let mut late = [RawClient::superuser(&ground.weir.address()), RawClient::superuser(&ground.server.address())];
    for (writer, client) in late.iter_mut().enumerate() {
        client.execute(&format!("BEGIN; INSERT INTO account VALUES (100 + {writer}, 7)"));
    }
    for round in 0..5 {
        ground.commit(&format!("UPDATE account SET balance = balance + 1 WHERE id = {round} + 1"));
    }
    ground.app.execute("SELECT pgtrickle.refresh_stream_table('total')");
    for client in &mut late {
        client.execute("COMMIT");
        ground.check();
    }
    ground.expect("SELECT n, total FROM total", &["22|2019"]);
}

/// #1052: while writers move money and refreshes are asked for, every reader sees whole transactions only.
#[test]
fn readers_see_whole_transactions_while_refreshes_run() {
    let mut ground = Ground::new(ACCOUNTS);
    ground.stream("balances", "SELECT id, balance FROM account");
    ground.stream("total", "SELECT sum(balance) AS total FROM balances");
    let (writing, weir, server) = (AtomicBool::new(true), ground.weir.address(), ground.server.address());
    std::thread::scope(|scope| {
        let (writing, weir) = (&writing, &weir);
        let writers: Vec<_> = [weir.clone(), server.clone()]
            .into_iter()
            .enumerate()
            .map(|(of, address)| {
                scope.spawn(move || {
                    let mut client = RawClient::superuser(&address);
                    for n in 0..150 {
                        let (from, to) = (1 + (n * 7 + of) % 20, 1 + (n * 11 + 3 * of) % 20);
                        client.query(&format!(
                            "BEGIN; UPDATE account SET balance = balance - 5 WHERE id = {from}; \
                             UPDATE account SET balance = balance + 5 WHERE id = {to}; COMMIT"
                        ));
                        client.query("ROLLBACK");
                    }
                })
            })
            .collect();
        let refresher = scope.spawn(move || {
            let mut client = RawClient::superuser(weir);
            while writing.load(Ordering::Relaxed) {
                client.execute("SELECT pgtrickle.refresh_stream_table('total')");
            }
        });
        let reader = scope.spawn(move || {
            let mut client = RawClient::superuser(weir);
            let mut reads = 0;
            while writing.load(Ordering::Relaxed) {
                for sql in ["SELECT total FROM total", "SELECT sum(balance) FROM balances"] {
                    assert_eq!(client.execute(sql).scalar(), "2000", "{sql}");
                    reads += 1;
                }
            }
            reads
        });
        writers.into_iter().for_each(|writer| writer.join().expect("the writer ends"));
        writing.store(false, Ordering::Relaxed);
        refresher.join().expect("the refresher ends");
        assert!(reader.join().expect("the reader ends") > 0);
    });
    ground.check();
}

/// #1119: a stream table over one that is maintained with its writers' transactions shows what the writer has just done.
#[test]
fn what_is_below_an_immediate_table_follows_at_once() {
    let mut ground = Ground::new(ACCOUNTS);
    ground.app.execute(
        "SELECT pgtrickle.create_stream_table(name => 'rich', query => 'SELECT id, balance FROM account WHERE balance > 150', \
         refresh_mode => 'IMMEDIATE')",
    );
    ground.weir.wait_until_live(&["rich"]);
    ground.stream("riches", "SELECT count(*) AS n, sum(balance) AS total FROM rich");
    ground.app.execute("SET weir.consistency = 'session'");
    for id in 1..=10 {
        ground.app.execute(&format!("UPDATE account SET balance = balance + 100 WHERE id = {id}"));
        assert_eq!(ground.app.execute("SELECT n FROM riches").scalar(), id.to_string());
    }
}

/// 0.72: killed between taking a change in and recording it, Weir neither loses nor doubles anything.
#[test]
fn a_crash_neither_loses_nor_doubles() {
    let mut ground = Ground::new(ACCOUNTS);
    ground.stream("total", "SELECT count(*) AS n, sum(balance) AS total FROM account");
    for round in 0..3 {
        let mut writer = RawClient::superuser(&ground.server.address());
        for n in 0..20 {
            writer.execute(&format!("INSERT INTO account VALUES ({}, 1)", 1000 + round * 100 + n));
            if n == 10 {
                ground.weir.kill();
            }
        }
        ground.weir.start_again();
        ground.weir.wait_until_live(&["total"]);
        ground.app = RawClient::superuser(&ground.weir.address());
        ground.app.execute("SET weir.consistency = 'latest'");
        ground.check();
    }
    ground.expect("SELECT n FROM total", &["80"]);
}

/// 0.77: of two stream tables over one base table, one comes and goes while the other is maintained.
#[test]
fn one_of_two_consumers_comes_and_goes() {
    let mut ground = Ground::new(ACCOUNTS);
    ground.stream("total", "SELECT sum(balance) AS total FROM account");
    let address = ground.server.address();
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            let mut client = RawClient::superuser(&address);
            for n in 0..300 {
                client.execute(&format!("UPDATE account SET balance = balance + 1 WHERE id = {} % 20 + 1", n));
            }
        });
        for _ in 0..4 {
            ground.create("other", "SELECT id, balance % 10 AS digit FROM account", "DIFFERENTIAL");
            ground.app.execute("SELECT pgtrickle.drop_stream_table('other')");
        }
        writer.join().expect("the writer ends");
    });
    ground.check();
    ground.expect("SELECT total FROM total", &["2300"]);
}

/// The middle of a chain gets another query: what is above follows the new one.
#[test]
fn a_chain_follows_an_altered_query() {
    let mut ground = Ground::new(ACCOUNTS);
    ground.stream("chosen", "SELECT id, balance FROM account WHERE id <= 5");
    ground.stream("sums", "SELECT count(*) AS n, sum(balance) AS total FROM chosen");
    ground.app.execute(
        "SELECT pgtrickle.alter_stream_table('chosen', query => 'SELECT id, balance FROM account WHERE id > 12')",
    );
    ground.weir.wait_until_live(&["chosen", "sums"]);
    ground.commit("UPDATE account SET balance = 0 WHERE id IN (1, 13)");
    ground.expect("SELECT n, total FROM sums", &["8|700"]);
}
