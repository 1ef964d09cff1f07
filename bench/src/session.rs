//! One client session that sends a statement and waits for its ReadyForQuery, reading no more of the reply than headers.

use crate::load::{Protocol, Statement};
use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::fmt::Write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use weir_tests::wire::{RawClient, bind};

/// What one read takes at most: libpq begins with 16 KiB and grows with large results.
const READ_BYTES: usize = 64 * 1024;

/// Type byte and length word.
const HEADER_BYTES: usize = 5;

pub struct Session {
    stream: TcpStream,
    statement: Statement,
    protocol: Protocol,
    rng: StdRng,
    request: BytesMut,
    key: String,
    reply: Reply,
}

impl Session {
    /// Connects as the superuser. Must be called within the runtime that is to drive it.
    pub fn open(address: &str, statement: &Statement, protocol: Protocol, seed: u64) -> Session {
        let mut client = RawClient::superuser(address);
        let mut request = BytesMut::new();
        if protocol == Protocol::Prepared {
            let sql = statement.sql.replace("{}", "$1");
            frontend::parse("s", &sql, [], &mut request).expect("the statement has no zero byte");
            frontend::sync(&mut request);
            client.send(&request).expect("the connection holds");
            client.receive_until(b'Z').expect("the connection holds");
        }
        let stream = client.into_stream();
        stream.set_nonblocking(true).expect("a socket can be made to return at once");
        Session {
            stream: TcpStream::from_std(stream).expect("a runtime drives this thread"),
            statement: statement.clone(),
            protocol,
            rng: StdRng::seed_from_u64(seed),
            request,
            key: String::new(),
            reply: Reply::default(),
        }
    }

    /// One execution. Panics when the server answers with an error.
    pub async fn once(&mut self) {
        self.write_request();
        self.stream.write_all(&self.request).await.expect("the connection holds");
        loop {
            let count = self.stream.read(self.reply.space()).await.expect("the connection holds");
            assert!(count > 0, "the server has closed the connection: {}", self.statement.sql);
            match self.reply.advance(count) {
                Progress::More => {}
                Progress::Ready => return,
                Progress::Error(text) => panic!("{}: {text}", self.statement.sql),
            }
        }
    }

    fn write_request(&mut self) {
        self.request.clear();
        self.key.clear();
        if let Some(keys) = self.statement.keys {
            write!(self.key, "{}", self.rng.random_range(1..=keys)).expect("a String takes anything");
        }
        match self.protocol {
            Protocol::Simple if self.key.is_empty() => {
                frontend::query(&self.statement.sql, &mut self.request).expect("the statement has no zero byte");
            }
            Protocol::Simple => {
                let sql = self.statement.sql.replace("{}", &self.key);
                frontend::query(&sql, &mut self.request).expect("the statement has no zero byte");
            }
            Protocol::Prepared => {
                let key = Some(self.key.as_str());
                let parameters = if self.key.is_empty() { &[][..] } else { std::slice::from_ref(&key) };
                bind("", "s", parameters, 0, &mut self.request);
                frontend::execute("", 0, &mut self.request).expect("the empty name has no zero byte");
                frontend::sync(&mut self.request);
            }
        }
    }
}

/// How far a reply has come.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    More,
    Ready,
    Error(String),
}

/// A reply that is walked over from header to header.
struct Reply {
    bytes: Box<[u8]>,
    /// Unread bytes at the start of `bytes`: a header that has not arrived whole.
    kept: usize,
    /// Bytes of the present message's body that have not arrived.
    body_left: usize,
}

impl Default for Reply {
    fn default() -> Reply {
        Reply { bytes: vec![0; READ_BYTES].into(), kept: 0, body_left: 0 }
    }
}

impl Reply {
    fn space(&mut self) -> &mut [u8] {
        &mut self.bytes[self.kept..]
    }

    /// So many bytes were read into [`Reply::space`].
    fn advance(&mut self, count: usize) -> Progress {
        let end = self.kept + count;
        let mut at = self.body_left.min(end);
        self.body_left -= at;
        while let Some([tag, a, b, c, d]) = self.bytes[at..end].first_chunk::<HEADER_BYTES>() {
            let next = at + 1 + u32::from_be_bytes([*a, *b, *c, *d]) as usize;
            match tag {
                b'Z' if next == end => {
                    self.kept = 0;
                    return Progress::Ready;
                }
                b'E' => return Progress::Error(String::from_utf8_lossy(&self.bytes[at..next.min(end)]).into_owned()),
                _ => {}
            }
            if next > end {
                (self.body_left, self.kept) = (next - end, 0);
                // The status byte of ReadyForQuery may come alone.
                if *tag == b'Z' {
                    self.bytes.copy_within(at..end, 0);
                    (self.body_left, self.kept) = (0, end - at);
                }
                return Progress::More;
            }
            at = next;
        }
        self.bytes.copy_within(at..end, 0);
        self.kept = end - at;
        Progress::More
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_ready_however_it_is_cut() {
        let reply = b"2\0\0\0\x04D\0\0\0\x0a\0\x01Z\0\0\0C\0\0\0\x05aZ\0\0\0\x05I";
        for first in 1..reply.len() {
            for second in first..reply.len() {
                let mut walked = Reply::default();
                for part in [&reply[..first], &reply[first..second], &reply[second..]] {
                    if !part.is_empty() {
                        walked.space()[..part.len()].copy_from_slice(part);
                        let expected = part.as_ptr_range().end == reply.as_ptr_range().end;
                        let progress = walked.advance(part.len());
                        assert_eq!(progress == Progress::Ready, expected, "cut at {first} and {second}");
                    }
                }
            }
        }
    }
}
