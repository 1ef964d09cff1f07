//! Large results and COPY: bytes in bulk, one client.

use crate::latencies::Latencies;
use crate::load::{Protocol, Statement, run_after};
use bytes::{BufMut, BytesMut};
use std::time::{Duration, Instant};
use weir_tests::wire::RawClient;

/// Rows copied.
pub const ROWS: usize = 1_000_000;

/// Rows of the large result.
pub const RESULT_ROWS: usize = 100_000;

/// Payload of one CopyData message, about what psql sends.
const COPY_DATA_BYTES: usize = 8 * 1024;

/// Written to the socket at once.
const WRITE_BYTES: usize = 64 * 1024;

/// One row as COPY's text format has it: an integer and 96 characters, as in the large result.
fn line(at: usize) -> String {
    format!("{at}\t{:096}\n", at * 7919)
}

/// Creates the tables and fills the one that is read.
pub fn initialise(address: &str) {
    let mut client = RawClient::superuser(address);
    client.execute(&format!(
        "CREATE TABLE bulk_read (a int, b text); CREATE TABLE bulk_written (a int, b text); \
         INSERT INTO bulk_read SELECT n, lpad((n * 7919)::text, 96, '0') FROM generate_series(1, {ROWS}::bigint) n"
    ));
    client.execute("VACUUM ANALYZE bulk_read");
}

/// `SELECT` of the large result, repeated for `length`.
pub fn result(address: &str, protocol: Protocol, length: Duration) -> Latencies {
    let sql = format!("SELECT * FROM bulk_read LIMIT {RESULT_ROWS}");
    run_after(0, address, &Statement { sql, keys: None }, protocol, 1, length)
}

/// One `COPY … TO STDOUT` of all rows.
pub fn copy_out(address: &str) -> Latencies {
    let statement = Statement { sql: "COPY bulk_read TO STDOUT".to_owned(), keys: None };
    run_after(0, address, &statement, Protocol::Simple, 1, Duration::ZERO)
}

/// One `COPY … FROM STDIN` of all rows into the emptied table.
pub fn copy_in(address: &str) -> Latencies {
    let mut client = RawClient::superuser(address);
    client.execute("TRUNCATE bulk_written");
    let messages = copy_data();
    let mut request = BytesMut::new();
    let sql = "COPY bulk_written FROM STDIN";
    postgres_protocol::message::frontend::query(sql, &mut request).expect("the statement has no zero byte");
    let started = Instant::now();
    client.send(&request).expect("the connection holds");
    client.receive_until(b'G').expect("the copy begins");
    for part in messages.chunks(WRITE_BYTES) {
        client.send(part).expect("the connection holds");
    }
    let said = client.receive_until(b'Z').expect("the connection holds");
    let took = started.elapsed();
    assert!(said.iter().any(|message| message.tag == b'C'), "COPY failed: {said:?}");
    let mut latencies = Latencies::default();
    latencies.record(took);
    latencies
}

/// All rows in CopyData messages, and CopyDone.
fn copy_data() -> BytesMut {
    let mut messages = BytesMut::new();
    let mut payload = Vec::with_capacity(2 * COPY_DATA_BYTES);
    let mut say = |payload: &mut Vec<u8>| {
        messages.put_u8(b'd');
        messages.put_u32(payload.len() as u32 + 4);
        messages.put_slice(payload);
        payload.clear();
    };
    for at in 0..ROWS {
        payload.extend_from_slice(line(at).as_bytes());
        if payload.len() >= COPY_DATA_BYTES {
            say(&mut payload);
        }
    }
    say(&mut payload);
    messages.put_slice(b"c\0\0\0\x04");
    messages
}
