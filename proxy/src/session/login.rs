//! The upstream connection of a session, up to the point from which messages are only relayed. Postgres verifies the
//! role; Weir looks at what it asks for, because a login over two hops is not the same as over one.

use super::context::SessionContext;
use super::exchange::ServerError;
use super::relay::SessionError;
use super::startup::Refusal;
use crate::upstream::{Encryption, Opened, UpstreamError};
use crate::wire::endpoint::Endpoint;
use crate::wire::frame;

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

/// Opens the connection and sends the start-up packet, without looking at what comes of it.
pub(super) async fn pass_on(
    packet: &[u8],
    context: &SessionContext,
) -> Result<Result<LoggedIn, Refusal>, SessionError> {
    let encryption = context.config.upstream.attempts()[0];
    Ok(open(packet, context, encryption).await?.map_err(|error| unreachable(&error)))
}

fn unreachable(error: &UpstreamError) -> Refusal {
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

/// Opens the connection, sends the start-up packet, and waits for what Postgres asks for first.
pub(super) async fn log_in(
    _client: &mut Endpoint,
    packet: &[u8],
    context: &SessionContext,
) -> Result<Result<LoggedIn, Refusal>, SessionError> {
    let attempts = context.config.upstream.attempts();
    for (at, encryption) in attempts.iter().enumerate() {
        let last = at + 1 == attempts.len();
        let mut logged_in = match open(packet, context, *encryption).await? {
            Ok(logged_in) => logged_in,
            Err(_) if !last => continue,
            Err(error) => return Ok(Err(unreachable(&error))),
        };
        let refused = first_answer(&mut logged_in.upstream).await?;
        // As libpq with `allow` and `prefer`: pg_hba.conf may have a line for the other kind of connection.
        let other_kind = (*encryption == Encryption::Never) != logged_in.upstream.stream().is_encrypted();
        if !last && other_kind && refused.is_some_and(|error| error.sqlstate == NOT_AUTHORIZED) {
            continue;
        }
        return Ok(Ok(logged_in));
    }
    unreachable!("every sslmode tries something and the last attempt returns")
}

/// Waits for the first message that is no negotiation of the protocol version; says which error it is, if one.
async fn first_answer(upstream: &mut Endpoint) -> Result<Option<ServerError>, SessionError> {
    loop {
        let mut rest = upstream.input.filled();
        while let Some((b'v', body)) = frame::message(rest)? {
            rest = &rest[frame::HEADER_BYTES + body.len()..];
        }
        match (frame::message(rest)?, frame::header(rest)?) {
            (Some((b'E', body)), _) => return Ok(Some(ServerError::read(body))),
            (Some(_), _) => return Ok(None),
            (None, Some(header)) if header.total > MAX_ANSWER_BYTES => return Ok(None),
            (None, _) if upstream.ended => return Ok(None),
            (None, _) => upstream.fill().await?,
        }
    }
}
