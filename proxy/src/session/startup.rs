//! From an accepted socket to a session: encryption, the start-up packet or a cancel request
//! (`ProcessStartupPacket` in `src/backend/tcop/backend_startup.c`).

use super::cancel;
use super::context::SessionContext;
use super::login;
use super::relay::{Relay, SessionError};
use crate::wire::backend;
use crate::wire::endpoint::Endpoint;
use crate::wire::startup::{self, Packet};
use crate::wire::stream::Stream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// A farewell that the client does not read is given up after this time.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(5);

/// The first byte of a TLS handshake, which no length of a start-up packet begins with.
const TLS_HANDSHAKE: u8 = 0x16;

/// What the client wants, once it has said so. The start-up packet itself stays in the endpoint's input.
enum Wish {
    Cancel(Vec<u8>),
    Session {
        raw: bool,
        length: usize,
    },
    /// A start-up packet that only Postgres can refuse.
    Unknown {
        length: usize,
    },
    Nothing,
}

/// What Weir itself says before it closes.
pub(super) struct Refusal {
    pub(super) sqlstate: &'static str,
    pub(super) message: String,
    pub(super) detail: Option<&'static str>,
    pub(super) hint: Option<&'static str>,
}

impl Refusal {
    pub(super) fn new(sqlstate: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { sqlstate, message: message.into(), detail: None, hint: None }
    }
}

/// Serves one client to its end.
pub(super) async fn accept(socket: Stream, context: &Arc<SessionContext>) -> Result<(), SessionError> {
    let deadline = Instant::now() + context.config.authentication_timeout;
    // As Postgres: a start-up packet that does not come is not answered.
    let Ok(greeted) = tokio::time::timeout_at(deadline, greet(socket, context)).await else { return Ok(()) };
    let (mut client, wish) = match greeted? {
        (client, Ok(wish)) => (client, wish),
        (mut client, Err(refusal)) => return refuse(&mut client, &refusal).await,
    };
    let (raw, length) = match wish {
        Wish::Nothing => return Ok(()),
        Wish::Cancel(key) => {
            cancel::request(context, &key).await;
            return Ok(());
        }
        Wish::Unknown { length } => (None, length),
        Wish::Session { raw, length } => (Some(raw), length),
    };
    if context.clients.load(Ordering::Relaxed) > context.config.max_clients {
        return refuse(&mut client, &Refusal::new("53300", "sorry, too many clients already")).await;
    }
    let packet = client.input.filled()[..length].to_vec();
    client.input.consume(length);
    let login = async {
        match raw {
            Some(_) => login::log_in(&mut client, &packet, context).await,
            None => login::pass_on(&packet, context).await,
        }
    };
    match tokio::time::timeout_at(deadline, login).await {
        Ok(Ok(Ok(logged_in))) => Relay::new(client, logged_in, context.clone(), raw.unwrap_or(true)).run().await,
        Ok(Ok(Err(refusal))) => refuse(&mut client, &refusal).await,
        Ok(Err(error)) => Err(error),
        Err(_) => refuse(&mut client, &Refusal::new("57014", "canceling authentication due to timeout")).await,
    }
}

/// Agrees on encryption and reads the first packet that is no request for it.
async fn greet(socket: Stream, context: &SessionContext) -> Result<(Endpoint, Result<Wish, Refusal>), SessionError> {
    let mut socket = socket;
    if let Stream::Tcp(tcp) = socket {
        let mut first = [0];
        if tcp.peek(&mut first).await? == 1 && first[0] == TLS_HANDSHAKE {
            let Some(tls) = &context.config.tls else {
                return Ok((Endpoint::new(Stream::Tcp(tcp)), Ok(Wish::Nothing)));
            };
            socket = tls.accept(tcp, true).await.map_err(SessionError::Handshake)?;
        } else {
            socket = Stream::Tcp(tcp);
        }
    }
    let mut client = Endpoint::new(socket);
    // Each is asked for at most once, in either order, and not within TLS.
    let (mut tls_asked, mut gss_asked) = (client.stream().is_encrypted(), client.stream().is_encrypted());
    loop {
        let (packet, length) = loop {
            match startup::parse(client.input.filled())? {
                Some(parsed) => break parsed,
                None if client.ended => return Ok((client, Ok(Wish::Nothing))),
                None => client.fill().await?,
            }
        };
        let asked = match packet {
            Packet::Ssl if !tls_asked => "SSL",
            Packet::GssEncryption if !gss_asked => "GSSAPI encryption",
            packet => {
                let wish = wanted(packet, context, length, client.stream());
                return Ok((client, wish));
            }
        };
        client.input.consume(length);
        if !client.input.is_empty() {
            // Read before the handshake, so possibly put there by somebody else (CVE-2021-23214).
            let mut refusal = Refusal::new("08P01", format!("received unencrypted data after {asked} request"));
            refusal.detail = Some(
                "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.",
            );
            return Ok((client, Err(refusal)));
        }
        let tls = context.config.tls.as_ref().filter(|_| asked == "SSL" && matches!(client.stream(), Stream::Tcp(_)));
        client.output.extend(if tls.is_some() { b"S" } else { b"N" });
        client.flush().await?;
        tls_asked = tls_asked || asked == "SSL";
        gss_asked = gss_asked || asked != "SSL";
        if let Some(tls) = tls {
            let Stream::Tcp(tcp) = client.into_stream() else { unreachable!("TLS is offered on TCP only") };
            client = Endpoint::new(tls.accept(tcp, false).await.map_err(SessionError::Handshake)?);
            gss_asked = true;
        }
    }
}

fn wanted(packet: Packet<'_>, context: &SessionContext, length: usize, stream: &Stream) -> Result<Wish, Refusal> {
    let exposed = context.config.tls_required && matches!(stream, Stream::Tcp(_));
    match packet {
        Packet::Cancel { key } => Ok(Wish::Cancel(key.to_vec())),
        _ if exposed => Err(Refusal::new("28000", "connection requires TLS")),
        Packet::Startup(startup) => {
            let raw = startup.replication || startup.database != context.database().as_bytes();
            Ok(Wish::Session { raw, length })
        }
        // A second request for encryption is a protocol version that Postgres does not know.
        Packet::Ssl | Packet::GssEncryption | Packet::Unknown => Ok(Wish::Unknown { length }),
    }
}

/// Says a FATAL error and closes.
async fn refuse(client: &mut Endpoint, refusal: &Refusal) -> Result<(), SessionError> {
    let mut out = Vec::new();
    let further = [(b'D', refusal.detail), (b'H', refusal.hint)];
    backend::fatal(&mut out, refusal.sqlstate, &refusal.message, &further);
    client.output.extend(&out);
    let farewell = async {
        client.flush().await?;
        client.shutdown().await
    };
    tokio::time::timeout(FAREWELL_TIMEOUT, farewell).await.unwrap_or(Ok(()))?;
    Ok(())
}
