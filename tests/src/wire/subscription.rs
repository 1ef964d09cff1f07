//! A client of `COPY (SELECT * FROM pgtrickle.subscribe('name')) TO STDOUT`, in COPY's text format.

use super::{RawClient, ServerError, Table};
use bytes::Bytes;
use postgres_protocol::message::frontend;
use std::collections::BTreeMap;
use std::io;

/// A session that is being told of a stream table's rows and changes.
pub struct Subscription {
    client: RawClient,
}

/// What it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A row has come (the first ones: is there) or gone; its columns as COPY writes them, with the newline.
    Row { position: u64, has_come: bool, row: Bytes },
    /// Everything up to this position has been told.
    Progress(u64),
    /// It is over; nothing more will come.
    Ended(Option<Box<ServerError>>),
}

impl Subscription {
    /// Sends the statement; what comes of it is told by [`Subscription::told`].
    pub fn open(mut client: RawClient, name: &str) -> io::Result<Subscription> {
        let mut buffer = bytes::BytesMut::new();
        let literal = name.replace('\'', "''");
        frontend::query(&format!("COPY (SELECT * FROM pgtrickle.subscribe('{literal}')) TO STDOUT"), &mut buffer)?;
        client.send(&buffer)?;
        Ok(Subscription { client })
    }

    /// Waits for the next thing that is told. Err: the connection is lost.
    pub fn told(&mut self) -> io::Result<Told> {
        loop {
            let message = self.client.receive()?;
            match message.tag {
                b'd' => return read(&message.body),
                b'E' => {
                    let mut rest = vec![message];
                    rest.extend(self.client.receive_until(b'Z')?);
                    return Ok(Told::Ended(Table::read(&rest).error.map(Box::new)));
                }
                b'Z' => return Ok(Told::Ended(None)),
                _ => {}
            }
        }
    }

    /// A cancel request for this session, to be sent on a connection of its own.
    pub fn cancel_request(&self) -> Vec<u8> {
        self.client.cancel_request()
    }

    /// The session, for a subscription that has ended.
    pub fn into_client(self) -> RawClient {
        self.client
    }
}

/// A line of COPY: position, change, and the row behind them.
fn read(line: &Bytes) -> io::Result<Told> {
    let malformed = || io::Error::other(format!("not a line of a subscription: {}", String::from_utf8_lossy(line)));
    let tab = |from: usize| line[from..].iter().position(|byte| *byte == b'\t').map(|at| from + at);
    let first = tab(0).ok_or_else(malformed)?;
    let second = tab(first + 1).ok_or_else(malformed)?;
    let position = std::str::from_utf8(&line[..first]).ok().and_then(position).ok_or_else(malformed)?;
    let row = line.slice(second + 1..);
    match &line[first + 1..second] {
        b"snapshot" | b"insert" => Ok(Told::Row { position, has_come: true, row }),
        b"delete" => Ok(Told::Row { position, has_come: false, row }),
        b"progress" => Ok(Told::Progress(position)),
        _ => Err(malformed()),
    }
}

/// A `pg_lsn` as a number.
pub fn position(text: &str) -> Option<u64> {
    let (high, low) = text.split_once('/')?;
    Some(u64::from(u32::from_str_radix(high, 16).ok()?) << 32 | u64::from(u32::from_str_radix(low, 16).ok()?))
}

/// The rows that a subscription's changes add up to, with how often each is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held(pub BTreeMap<Bytes, u64>);

impl Held {
    /// Panics when a row goes that is not there.
    pub fn apply(&mut self, row: &Bytes, has_come: bool) {
        let count = self.0.entry(row.clone()).or_default();
        if has_come {
            *count += 1;
        } else {
            *count = count.checked_sub(1).unwrap_or_else(|| panic!("{row:?} goes and was not there"));
        }
        if *count == 0 {
            self.0.remove(row);
        }
    }

    /// The lines of a COPY of the same rows.
    pub fn of_copy(client: &mut RawClient, relation: &str) -> Held {
        let mut held = Held::default();
        for message in client.simple(&format!("COPY (SELECT * FROM {relation}) TO STDOUT")) {
            assert_ne!(message.tag, b'E', "{relation}: {:?}", message.body);
            if message.tag == b'd' {
                held.apply(&message.body, true);
            }
        }
        held
    }
}
