//! Connecting, sending and receiving.

use super::Table;
use bytes::{BufMut, Bytes, BytesMut};
use postgres_protocol::authentication;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;
use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An answer that takes longer is a hang.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Bodies above this are a broken stream, not an answer a test asks for.
const MAX_BODY_BYTES: usize = 1 << 30;

/// One backend message: the tag and the body without its length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub tag: u8,
    pub body: Bytes,
}

/// One session, driven message by message.
pub struct RawClient {
    stream: BufReader<TcpStream>,
    /// Messages sent by the backend before the first ReadyForQuery.
    pub greeting: Vec<Message>,
}

impl RawClient {
    /// The superuser of a [`crate::postgres::TestServer`], directly or through Weir. Panics when refused.
    pub fn superuser(address: &str) -> RawClient {
        RawClient::superuser_of(address, "postgres")
    }

    /// As `superuser`, in another database.
    pub fn superuser_of(address: &str, database: &str) -> RawClient {
        let user = crate::postgres::SUPERUSER;
        let parameters = [("user", user), ("database", database), ("client_encoding", "UTF8")];
        RawClient::connect(address, &parameters, user)
            .unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"))
    }

    /// Starts a session. An error message of the backend becomes an `io::Error` with its text.
    pub fn connect(address: &str, parameters: &[(&str, &str)], password: &str) -> io::Result<RawClient> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        let mut client = RawClient { stream: BufReader::new(stream), greeting: Vec::new() };
        let mut buffer = BytesMut::new();
        frontend::startup_message(parameters.iter().copied(), &mut buffer)?;
        client.send(&buffer)?;
        let user = parameters.iter().find(|(name, _)| *name == "user").map_or("", |(_, value)| value);
        client.authenticate(user, password)?;
        loop {
            let message = client.receive()?;
            if message.tag == b'E' {
                return Err(refusal(&message));
            }
            let ready = message.tag == b'Z';
            client.greeting.push(message);
            if ready {
                return Ok(client);
            }
        }
    }

    /// Sends a start-up packet as it is, to a server that trusts; what it says up to ReadyForQuery or an error.
    pub fn greet(address: &str, packet: &[u8]) -> io::Result<Vec<Message>> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        let mut client = RawClient { stream: BufReader::new(stream), greeting: Vec::new() };
        client.send(packet)?;
        let mut messages = Vec::new();
        while messages.last().is_none_or(|message: &Message| !b"ZE".contains(&message.tag)) {
            messages.push(client.receive()?);
        }
        Ok(messages)
    }

    fn authenticate(&mut self, user: &str, password: &str) -> io::Result<()> {
        let mut scram: Option<ScramSha256> = None;
        loop {
            let message = self.receive()?;
            let body = match message.tag {
                b'R' if message.body.len() >= 4 => message.body,
                _ => return Err(refusal(&message)),
            };
            let mut reply = BytesMut::new();
            match i32::from_be_bytes([body[0], body[1], body[2], body[3]]) {
                0 => return Ok(()),
                3 => frontend::password_message(password.as_bytes(), &mut reply)?,
                5 => {
                    let salt = body[4..].try_into().map_err(|_| io::Error::other("md5 salt is not four bytes"))?;
                    let hash = authentication::md5_hash(user.as_bytes(), password.as_bytes(), salt);
                    frontend::password_message(hash.as_bytes(), &mut reply)?;
                }
                10 => {
                    let state = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
                    frontend::sasl_initial_response(SCRAM_SHA_256, state.message(), &mut reply)?;
                    scram = Some(state);
                }
                11 => {
                    let state = scram.as_mut().ok_or_else(|| io::Error::other("SASL continues before it began"))?;
                    state.update(&body[4..])?;
                    frontend::sasl_response(state.message(), &mut reply)?;
                }
                12 => {
                    scram.as_mut().ok_or_else(|| io::Error::other("SASL ends before it began"))?.finish(&body[4..])?
                }
                other => return Err(io::Error::other(format!("authentication request {other} is not known"))),
            }
            if !reply.is_empty() {
                self.send(&reply)?;
            }
        }
    }

    /// The socket, for a test that reads and writes it itself. Nothing may be on its way.
    pub fn into_stream(self) -> TcpStream {
        assert!(self.stream.buffer().is_empty(), "replies that nobody has read");
        self.stream.into_inner()
    }

    /// Writes frontend messages as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// The next backend message.
    pub fn receive(&mut self) -> io::Result<Message> {
        let mut header = [0; 5];
        self.stream.read_exact(&mut header)?;
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
        if !(4..MAX_BODY_BYTES).contains(&length) {
            return Err(io::Error::other(format!("message {:?} with length {length}", header[0] as char)));
        }
        let mut body = vec![0; length - 4];
        self.stream.read_exact(&mut body)?;
        Ok(Message { tag: header[0], body: body.into() })
    }

    /// All messages up to and with the next one of type `tag`.
    pub fn receive_until(&mut self, tag: u8) -> io::Result<Vec<Message>> {
        let mut messages = Vec::new();
        loop {
            let message = self.receive()?;
            let last = message.tag == tag;
            messages.push(message);
            if last {
                return Ok(messages);
            }
        }
    }

    /// A simple query, all messages up to ReadyForQuery. Panics when the connection breaks.
    pub fn simple(&mut self, sql: &str) -> Vec<Message> {
        self.try_simple(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// As `simple`, for servers that may go away.
    pub fn try_simple(&mut self, sql: &str) -> io::Result<Vec<Message>> {
        let mut buffer = BytesMut::new();
        frontend::query(sql, &mut buffer)?;
        self.send(&buffer)?;
        self.receive_until(b'Z')
    }

    /// As `query`, for servers that may go away.
    pub fn try_query(&mut self, sql: &str) -> io::Result<Table> {
        Ok(Table::read(&self.try_simple(sql)?))
    }

    /// A simple query read as a table (the last result, when there are several).
    pub fn query(&mut self, sql: &str) -> Table {
        Table::read(&self.simple(sql))
    }

    /// A simple query that must succeed.
    pub fn execute(&mut self, sql: &str) -> Table {
        let table = self.query(sql);
        assert!(table.error.is_none(), "{sql}: {:?}", table.error);
        table
    }

    /// Parse, Bind, Describe (portal), Execute, Sync with the unnamed statement; parameters in text, all results in
    /// `format` (0 text, 1 binary). All messages up to ReadyForQuery.
    pub fn extended(&mut self, sql: &str, parameters: &[Option<&str>], format: i16) -> Vec<Message> {
        let mut buffer = BytesMut::new();
        frontend::parse("", sql, [], &mut buffer).expect("the statement has no zero byte");
        bind("", "", parameters, format, &mut buffer);
        frontend::describe(b'P', "", &mut buffer).expect("the empty name has no zero byte");
        frontend::execute("", 0, &mut buffer).expect("the empty name has no zero byte");
        frontend::sync(&mut buffer);
        self.send(&buffer).and_then(|()| self.receive_until(b'Z')).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// A cancel request for this session, to be sent on a connection of its own.
    pub fn cancel_request(&self) -> Vec<u8> {
        let key = self.greeting.iter().find(|message| message.tag == b'K').expect("a session has a key");
        // `CANCEL_REQUEST_CODE` in `src/include/libpq/pqcomm.h`.
        let code: u32 = (1234 << 16) | 5678;
        [&(key.body.len() as u32 + 8).to_be_bytes()[..], &code.to_be_bytes(), &key.body].concat()
    }

    /// What `SHOW weir.last_route` says of the statement before.
    pub fn last_route(&mut self) -> String {
        let table = self.query("SHOW weir.last_route");
        match (&table.error, table.rows.first().and_then(|row| row.first())) {
            (None, Some(Some(route))) => String::from_utf8_lossy(route).into_owned(),
            (error, _) => format!("SHOW weir.last_route failed: {error:?}"),
        }
    }
}

/// Appends a Bind message with text parameters.
pub fn bind(portal: &str, statement: &str, parameters: &[Option<&str>], format: i16, buffer: &mut BytesMut) {
    let write = |value: Option<&str>, buffer: &mut BytesMut| match value {
        Some(text) => {
            buffer.put_slice(text.as_bytes());
            Ok(postgres_protocol::IsNull::No)
        }
        None => Ok(postgres_protocol::IsNull::Yes),
    };
    let bound = frontend::bind(portal, statement, [], parameters.iter().copied(), write, [format], buffer);
    assert!(bound.is_ok(), "text parameters can be written");
}

fn refusal(message: &Message) -> io::Error {
    let table = Table::read(std::slice::from_ref(message));
    io::Error::other(match table.error {
        Some(error) => format!("{} {}", error.code, error.message),
        None => format!("unexpected message {:?}", message.tag as char),
    })
}
