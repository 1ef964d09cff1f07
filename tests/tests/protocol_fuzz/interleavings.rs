//! What goes together in one flight, or may not; and how a session begins.

use crate::stage::{Pair, stack};
use bytes::BytesMut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use weir_tests::postgres::TestServer;
use weir_tests::protocol::statements::{CACHED, schema};
use weir_tests::protocol::{Sequence, Step};
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// What drivers send in one flight with a read does not keep it from memory: the BEGIN of its block (pgjdbc with autocommit
/// off), the Close of another statement (tokio-postgres).
#[test]
fn reads_in_one_flight_with_others_are_answered_from_memory() {
    use Step::{Bind, Close, Execute, Parse, Sync};
    let (_server, weir) = stack(1);
    let mut client = RawClient::superuser(&weir.address());
    client.execute(&format!("SET search_path = {}", schema(0)));
    let run = |sql: &str| {
        [
            Parse { name: "", sql: sql.into(), types: vec![] },
            Bind { portal: "", statement: "", formats: vec![], values: vec![], results: vec![] },
            Execute { portal: "", rows: 0 },
        ]
    };
    let read = [&run(CACHED[1].sql)[..], &[Sync]].concat();
    let mut route = |flight: &[Step], batches: usize, after: &str| {
        let mut bytes = BytesMut::new();
        flight.iter().for_each(|step| step.encode(&mut bytes));
        client.send(&bytes).expect("it reads");
        for _ in 0..batches {
            let reply = client.receive_until(b'Z').expect("it answers");
            assert!(reply.iter().all(|message| message.tag != b'E'), "{reply:?}");
        }
        let route = client.last_route();
        client.simple(after);
        route
    };
    for (flight, batches, after) in [
        ([&run("BEGIN")[..], &read].concat(), 1, "COMMIT"),
        ([&[Close { kind: 'S', name: "gone" }, Sync][..], &read].concat(), 2, ""),
    ] {
        // The first ones may find the privilege unasked.
        let routes: Vec<_> = (0..5).map(|_| route(&flight, batches, after)).collect();
        assert_eq!(routes.last().map(String::as_str), Some("memory"), "{routes:?} for {flight:?}");
    }
}

/// A client that does not wait for CopyInResponse sends a Bind into the copy: the server ends the session, and names the Bind,
/// not what Weir would put in before it.
#[test]
fn nothing_is_put_in_where_a_copy_may_begin() {
    use Step::{Bind, Execute, Parse, Query, Sync, Wait};
    let (server, weir) = stack(1);
    let mut pair = Pair::new(&server, &weir, 0);
    let mut locker = RawClient::superuser(&server.address());
    let table = format!("{}.held", schema(0));
    let bind = |statement| Bind { portal: "", statement, formats: vec![], values: vec![], results: vec![] };
    let parse = |name, sql: &str| Parse { name, sql: sql.into(), types: vec![] };
    for unnamed in [
        vec![Query(CACHED[1].sql.into())],
        vec![parse("", CACHED[1].sql), bind(""), Execute { portal: "", rows: 0 }, Sync],
    ] {
        let sequence = [
            &[parse("s1", "COPY held FROM STDIN"), Sync, Wait][..],
            &unnamed,
            &[Wait, bind("s1"), Execute { portal: "", rows: 0 }, Sync, Wait, bind(""), Sync, Wait],
        ]
        .concat();
        let stopped = AtomicBool::new(false);
        let lock = format!("BEGIN; LOCK TABLE {table}");
        locker.execute(&lock);
        let found = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stopped.load(Ordering::Relaxed) {
                    let is_waited_for = format!(
                        "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = '{table}'::regclass AND NOT granted)"
                    );
                    while locker.query(&is_waited_for).scalar() != "t" && !stopped.load(Ordering::Relaxed) {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    // The client's patience ends, and it sends the Bind, before the copy can begin.
                    std::thread::sleep(Duration::from_millis(500));
                    locker.execute("COMMIT");
                    locker.execute(&lock);
                }
                locker.execute("COMMIT");
            });
            let found = pair.fails(&Sequence(sequence.clone()), 7);
            stopped.store(true, Ordering::Relaxed);
            found
        });
        assert_eq!(found, None, "{}", Sequence(sequence));
    }
}

/// Protocol versions that clients ask for, and options of the protocol that nobody knows: what the server says up to its
/// first ReadyForQuery, but for the key.
#[test]
fn start_up_in_every_version() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    for (minor, options) in [(0, ""), (0, "_pq_.unknown\0on\0"), (1, ""), (2, ""), (2, "_pq_.other\0\0"), (9, "")] {
        let mut packet = format!("user\0postgres\0database\0postgres\0{options}\0").into_bytes();
        let mut bytes = (packet.len() as u32 + 8).to_be_bytes().to_vec();
        bytes.extend((3_u32 << 16 | minor).to_be_bytes());
        bytes.append(&mut packet);
        let greet = |address: &str| {
            let mut messages = RawClient::greet(address, &bytes).expect("trusted");
            for message in messages.iter_mut().filter(|message| message.tag == b'K') {
                message.body = vec![0; message.body.len()].into();
            }
            messages
        };
        assert_eq!(greet(&weir.address()), greet(&server.address()), "3.{minor} {options:?}");
    }
}
