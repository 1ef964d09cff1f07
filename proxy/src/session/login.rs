//! The upstream connection of a session, up to the point from which messages are only relayed. Postgres verifies the
//! role; Weir looks at what it asks for, because a login over two hops is not the same as over one.

use super::context::SessionContext;
use super::exchange::ServerError;
use super::relay::SessionError;
use super::sasl;
use super::startup::Refusal;
use crate::upstream::{Encryption, Opened, UpstreamError};
use crate::wire::endpoint::Endpoint;
use crate::wire::frame;
use crate::wire::startup::{self, Packet};
use crate::wire::stream::Stream;

/// A connection to Postgres over which the rest is relayed.
pub(super) struct LoggedIn {
    pub(super) upstream: Endpoint,
    /// Which of the configured hosts it leads to.
    pub(super) host: usize,
}

/// Of an answer to the start-up packet that is looked into: every request for authentication, every error text.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// "invalid_authorization_specification": no line of pg_hba.conf fits the connection.
const NOT_AUTHORIZED: &str = "28000";

/// AuthenticationOk, -CleartextPassword and -SASL (`src/include/libpq/protocol.h`).
const OK: u32 = 0;
const CLEARTEXT: u32 = 3;
const SASL: u32 = 10;

/// What Postgres says first.
#[derive(Debug)]
enum First {
    Error(ServerError),
    /// A request for authentication: its kind, and the mechanisms where it is for SASL.
    Authentication(u32, Vec<u8>),
    /// Nothing to look into.
    Other,
}

/// Opens the connection and sends the start-up packet, without looking at what comes of it.
pub(super) async fn pass_on(
    packet: &[u8],
    context: &SessionContext,
) -> Result<Result<LoggedIn, Refusal>, SessionError> {
    let encryption = context.config.upstream.attempts()[0];
    Ok(open(packet, context, encryption).await?.map_err(|error| out_of_reach(&error)))
}

fn out_of_reach(error: &UpstreamError) -> Refusal {
    Refusal::new(error.sqlstate(), format!("the upstream Postgres cannot be reached: {error}"))
}

async fn open(
    packet: &[u8],
    context: &SessionContext,
    encryption: Encryption,
) -> Result<Result<LoggedIn, UpstreamError>, SessionError> {
    let Opened { stream, host } = match context.config.upstream.open(encryption).await {
        Ok(opened) => opened,
        Err(error) => return Ok(Err(error)),
    };
    let mut upstream = Endpoint::new(stream);
    upstream.output.extend(packet);
    upstream.flush().await?;
    Ok(Ok(LoggedIn { upstream, host }))
}

/// Opens the connection, sends the start-up packet, and takes part in the authentication where it must.
pub(super) async fn log_in(
    client: &mut Endpoint,
    packet: &[u8],
    context: &SessionContext,
) -> Result<Result<LoggedIn, Refusal>, SessionError> {
    let attempts = context.config.upstream.attempts();
    for (at, encryption) in attempts.iter().enumerate() {
        let last = at + 1 == attempts.len();
        let mut logged_in = match open(packet, context, *encryption).await? {
            Ok(logged_in) => logged_in,
            Err(_) if !last => continue,
            Err(error) => return Ok(Err(out_of_reach(&error))),
        };
        let first = first_answer(&mut logged_in.upstream).await?;
        // As libpq with `allow` and `prefer`: pg_hba.conf may have a line for the other kind of connection.
        let other_kind = (*encryption == Encryption::Never) != logged_in.upstream.stream().is_encrypted();
        if !last && other_kind && matches!(&first, First::Error(error) if error.sqlstate == NOT_AUTHORIZED) {
            continue;
        }
        let outcome = authenticate(client, &mut logged_in.upstream, context, packet, first).await?;
        return Ok(outcome.map(|()| logged_in));
    }
    unreachable!("every sslmode tries something and the last attempt returns")
}

async fn authenticate(
    client: &mut Endpoint,
    upstream: &mut Endpoint,
    context: &SessionContext,
    packet: &[u8],
    first: First,
) -> Result<Result<(), Refusal>, SessionError> {
    match first {
        First::Authentication(OK, _)
            if upstream.stream().is_encrypted() && context.config.upstream.shows_certificate() =>
        {
            let mut refusal = Refusal::new("28000", "Postgres asked for nothing but a certificate, and saw Weir's");
            refusal.detail =
                Some("Certificate authentication cannot be relayed: any client would have Weir's identity.");
            refusal.hint =
                Some("Use scram-sha-256 with clientcert=verify-ca in pg_hba.conf for connections from Weir.");
            Ok(Err(refusal))
        }
        First::Authentication(CLEARTEXT, _) => Ok(may_pass_password(client.stream(), upstream.stream())),
        First::Authentication(SASL, list) => {
            let role = match startup::parse(packet)? {
                Some((Packet::Startup(startup), _)) => String::from_utf8_lossy(startup.user).into_owned(),
                _ => String::new(),
            };
            let mechanisms: Vec<&str> =
                list.split(|byte| *byte == 0).filter_map(|name| std::str::from_utf8(name).ok()).collect();
            let mechanisms: Vec<&str> = mechanisms.into_iter().filter(|name| !name.is_empty()).collect();
            pass_negotiation(client, upstream)?;
            sasl::authenticate(client, upstream, context, &role, &mechanisms).await
        }
        _ => Ok(Ok(())),
    }
}

/// A password in the clear (methods `password`, `ldap`, `pam`, `radius`) must not be less protected on one connection
/// than its owner sees on the other.
fn may_pass_password(client: &Stream, upstream: &Stream) -> Result<(), Refusal> {
    let (hint, exposed) = match (client, upstream) {
        (Stream::Tcp(_), Stream::Tls(_)) => ("Connect with sslmode=require.", true),
        (Stream::Tls(_), Stream::Tcp(_)) => ("Let Weir connect to Postgres with sslmode=require.", true),
        _ => ("", false),
    };
    if !exposed {
        return Ok(());
    }
    let mut refusal =
        Refusal::new("28000", "Postgres asks for a password in clear text, and one connection is without TLS");
    refusal.hint = Some(hint);
    Err(refusal)
}

/// Hands NegotiateProtocolVersion to the client and takes the request for SASL behind it out of the input.
fn pass_negotiation(client: &mut Endpoint, upstream: &mut Endpoint) -> Result<(), SessionError> {
    while let Some((tag, body)) = frame::message(upstream.input.filled())? {
        let total = frame::HEADER_BYTES + body.len();
        if tag != b'v' {
            upstream.input.consume(total);
            return Ok(());
        }
        upstream.input.move_to(total, &mut client.output);
    }
    Ok(())
}

/// Waits for the first message that is no negotiation of the protocol version. It is left where it is.
async fn first_answer(upstream: &mut Endpoint) -> Result<First, SessionError> {
    loop {
        let mut rest = upstream.input.filled();
        while let Some((b'v', body)) = frame::message(rest)? {
            rest = &rest[frame::HEADER_BYTES + body.len()..];
        }
        match (frame::message(rest)?, frame::header(rest)?) {
            (Some((b'E', body)), _) => return Ok(First::Error(ServerError::read(body))),
            (Some((b'R', body)), _) => {
                let Some((kind, list)) = body.split_first_chunk::<4>() else { return Ok(First::Other) };
                return Ok(First::Authentication(u32::from_be_bytes(*kind), list.to_vec()));
            }
            (Some(_), _) => return Ok(First::Other),
            (None, Some(header)) if header.total > MAX_ANSWER_BYTES => return Ok(First::Other),
            (None, _) if upstream.ended => return Ok(First::Other),
            (None, _) => upstream.fill().await?,
        }
    }
}

/// The client's next message; `None` where it is longer than `limit` or no message.
pub(super) async fn take_message(client: &mut Endpoint, limit: usize) -> Result<Option<(u8, Vec<u8>)>, SessionError> {
    loop {
        match frame::header(client.input.filled()) {
            Ok(Some(header)) if header.total <= limit + frame::HEADER_BYTES => {
                if let Some((tag, body)) = frame::message(client.input.filled())? {
                    let body = body.to_vec();
                    client.input.consume(header.total);
                    return Ok(Some((tag, body)));
                }
            }
            Ok(Some(_)) | Err(_) => return Ok(None),
            Ok(None) => {}
        }
        if client.ended {
            return Err(SessionError::ClientGone);
        }
        client.fill().await?;
    }
}
