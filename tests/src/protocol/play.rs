//! One sequence over one connection: bytes in random pieces, pauses, and every message that comes back.

use super::step::{Sequence, Step};
use crate::wire::{Message, RawClient};
use bytes::{Bytes, BytesMut};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A client that waits for an answer gives up after this time: not every message asked for is answered (a Sync inside
/// COPY is not), and a client cannot know.
const WAIT: Duration = Duration::from_millis(150);
/// An end that takes longer is a hang.
const END: Duration = Duration::from_secs(30);
/// The last answer of a sequence holds this text.
const MARKER: &str = "end of sequence";

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    pub messages: Vec<Message>,
    pub end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The marker was answered: the connection lives.
    Marker,
    /// The server closed the connection.
    Closed,
    /// Neither.
    Hang,
}

/// A connection that sequences are played on.
pub struct Player {
    stream: TcpStream,
    input: BytesMut,
    received: Vec<Message>,
    ready: usize,
    closed: bool,
    temporary_from: u32,
}

impl Player {
    /// Relations with this OID or a later one are the session's own.
    pub fn connect(address: &str, options: &str, temporary_from: u32) -> io::Result<Player> {
        let parameters =
            [("user", "postgres"), ("database", "postgres"), ("client_encoding", "UTF8"), ("options", options)];
        let stream = RawClient::connect(address, &parameters, "")?.into_stream();
        Ok(Player { stream, input: BytesMut::new(), received: Vec::new(), ready: 0, closed: false, temporary_from })
    }

    /// Sends the sequence in pieces chosen by `pieces`, then what ends it, and collects the replies.
    pub fn play(&mut self, sequence: &Sequence, pieces: u64) -> Transcript {
        let mut rng = StdRng::seed_from_u64(pieces);
        self.received.clear();
        self.ready = 0;
        let mut asked = 0;
        let mut pending = BytesMut::new();
        for step in &sequence.0 {
            if *step == Step::Wait {
                self.send(&mut pending, &mut rng);
                if !self.read_until(WAIT, |player| player.ready >= asked || player.is_copying()) {
                    asked = self.ready;
                }
            } else {
                step.encode(&mut pending);
                asked += usize::from(step.asks_for_ready());
            }
        }
        if !sequence.is_fatal() {
            // Out of COPY, out of an error's shadow, out of a transaction.
            for step in [Step::CopyFail, Step::Sync, Step::Query("ROLLBACK".into()), marker()] {
                step.encode(&mut pending);
            }
        }
        self.send(&mut pending, &mut rng);
        let ended = self.read_until(END, |player| player.saw_marker());
        let end = match ended {
            true => End::Marker,
            false if self.closed => End::Closed,
            false => End::Hang,
        };
        Transcript { messages: std::mem::take(&mut self.received), end }
    }

    /// Failures to send show as the connection's end.
    fn send(&mut self, pending: &mut BytesMut, rng: &mut StdRng) {
        let mut rest = pending.split().freeze();
        while !rest.is_empty() && !self.closed {
            let piece = match rng.random_range(0..10) {
                0 => rng.random_range(1..=rest.len().min(7)),
                1 => rng.random_range(1..=rest.len()),
                _ => rest.len(),
            };
            let piece: Bytes = rest.split_to(piece);
            if self.stream.write_all(&piece).is_err() {
                return;
            }
            if !rest.is_empty() && rng.random_range(0..4) == 0 {
                std::thread::sleep(Duration::from_micros(rng.random_range(0..1500)));
            }
        }
    }

    /// COPY FROM STDIN has begun and nothing came since.
    fn is_copying(&self) -> bool {
        self.received.last().is_some_and(|message| message.tag == b'G')
    }

    fn saw_marker(&self) -> bool {
        let [.., row, _, ready] = &self.received[..] else { return false };
        ready.tag == b'Z' && row.tag == b'D' && row.body.ends_with(MARKER.as_bytes())
    }

    /// True when `done` came true in time.
    fn read_until(&mut self, limit: Duration, done: impl Fn(&Player) -> bool) -> bool {
        let started = Instant::now();
        let mut bytes = [0; 16 * 1024];
        loop {
            if done(self) {
                return true;
            }
            let left = limit.saturating_sub(started.elapsed());
            if self.closed || left.is_zero() {
                return false;
            }
            self.stream.set_read_timeout(Some(left)).expect("not zero");
            match self.stream.read(&mut bytes) {
                Ok(0) => self.closed = true,
                Ok(n) => {
                    self.input.extend_from_slice(&bytes[..n]);
                    self.split_messages();
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(_) => self.closed = true,
            }
        }
    }

    fn split_messages(&mut self) {
        while self.input.len() >= 5 {
            let length = u32::from_be_bytes([self.input[1], self.input[2], self.input[3], self.input[4]]) as usize;
            if self.input.len() < length + 1 {
                return;
            }
            let tag = self.input[0];
            let mut body = self.input.split_to(length + 1).split_off(5);
            if tag == b'T' {
                mask_temporary(&mut body, self.temporary_from);
            }
            self.ready += usize::from(tag == b'Z');
            self.received.push(Message { tag, body: body.freeze() });
        }
    }
}

/// Each session's temporary tables have OIDs of their own; in RowDescription they become 0.
fn mask_temporary(description: &mut [u8], temporary_from: u32) {
    let mut at = 2;
    while let Some(name) = description.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == 0)) {
        at += name + 1;
        if let Some(oid) = description.get_mut(at..at + 4)
            && u32::from_be_bytes([oid[0], oid[1], oid[2], oid[3]]) >= temporary_from
        {
            oid.fill(0);
        }
        // Table, column, type, size, modifier, format.
        at += 18;
    }
}

fn marker() -> Step {
    Step::Query(format!("SELECT '{MARKER}'"))
}

/// After an error in a block, an Execute or a description of the unnamed portal that memory ran before it: upstream knows no
/// such portal and may not be told of it any more. Both refuse with the same words; Weir's come from another line of Postgres'.
fn is_lost_portal(weir: &Message, direct: &Message) -> bool {
    let said = |message: &Message| -> Vec<Vec<u8>> {
        let fields = message.body.split(|byte| *byte == 0);
        fields.filter(|field| !matches!(field.first(), Some(b'F' | b'L' | b'R'))).map(<[u8]>::to_vec).collect()
    };
    let is_refusal = |message: &Message| message.tag == b'E' && message.body.windows(7).any(|w| w == b"\0C25P02");
    is_refusal(weir) && is_refusal(direct) && said(weir) == said(direct)
}

/// A message that ends the session, as it is read within a copy that failed and another that has begun since. Before the client's
/// there may be one of Weir's own, which asked how many Syncs the first copy had ignored.
fn is_stray_in_copy(weir: &Message, direct: &Message) -> bool {
    let said = |message: &Message| -> Option<(String, String)> {
        let text = String::from_utf8_lossy(&message.body).into_owned();
        let (before, rest) = text.split_once("Munexpected message type 0x")?;
        Some((before.to_owned(), rest.get(2..)?.to_owned()))
    };
    weir.tag == b'E' && direct.tag == b'E' && said(weir).is_some() && said(weir) == said(direct)
}

/// The first difference, told with what surrounds it; `None` when there is none. A server that gives a connection up may
/// lose the last of what it said on the way: then the shorter transcript must begin the longer.
pub fn difference(weir: &Transcript, direct: &Transcript) -> Option<String> {
    let mut pairs = weir.messages.iter().zip(&direct.messages);
    let both_closed = weir.end == End::Closed && direct.end == End::Closed;
    let is_known = |left: &_, right: &_| is_lost_portal(left, right) || (both_closed && is_stray_in_copy(left, right));
    let common = pairs.position(|(left, right)| left != right && !is_known(left, right));
    let place = match common {
        Some(place) => place,
        None if both_closed => return None,
        None if weir.messages.len() == direct.messages.len() && weir.end == direct.end && weir.end != End::Hang => {
            return None;
        }
        None => weir.messages.len().min(direct.messages.len()),
    };
    let show = |transcript: &Transcript| {
        let shown: Vec<_> = transcript.messages.iter().skip(place.saturating_sub(2)).take(6).map(show).collect();
        format!("{} ({:?} after {} messages)", shown.join("\n      "), transcript.end, transcript.messages.len())
    };
    Some(format!("from message {place} on:\n  weir:   {}\n  direct: {}", show(weir), show(direct)))
}

fn show(message: &Message) -> String {
    format!("{} {}", message.tag as char, message.body.escape_ascii())
}
