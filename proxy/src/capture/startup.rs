//! Opens a replication connection: socket, StartupMessage with `replication=database`, authentication (trust, cleartext,
//! md5, SCRAM-SHA-256 with channel binding over TLS). Takes the same configuration as the control connections.

use super::client::{Connection, Frame};
use super::error::CaptureError;
use crate::upstream::{Encryption, Upstream};
use bytes::Buf;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256};
use postgres_protocol::message::frontend;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::Config;

/// A server that accepts the socket but does not finish authentication in this time is taken for dead, unless the
/// configuration names its own connect timeout.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(10);

/// "invalid_authorization_specification": no line of pg_hba.conf fits the connection.
const NOT_AUTHORIZED: &str = "28000";

/// Connects as the control connections do.
pub(super) async fn connect(upstream: &Upstream) -> Result<Connection, CaptureError> {
    let mut attempts = upstream.attempts().iter().peekable();
    loop {
        let encryption = *attempts.next().expect("every sslmode tries something");
        match log_in(upstream, encryption).await {
            Err(CaptureError::Server(error)) if attempts.peek().is_some() && error.sqlstate == NOT_AUTHORIZED => {}
            result => return result,
        }
    }
}

async fn log_in(upstream: &Upstream, encryption: Encryption) -> Result<Connection, CaptureError> {
    let stream = upstream.open(encryption).await?.stream;
    let end_point = stream.end_point().cloned();
    let mut connection = Connection::new(Box::new(stream));
    let limit = upstream.config().get_connect_timeout().copied().filter(|limit| !limit.is_zero());
    let login = authenticate(&mut connection, upstream.config(), end_point);
    match tokio::time::timeout(limit.unwrap_or(STARTUP_TIMEOUT), login).await {
        Ok(Ok(())) => Ok(connection),
        Ok(Err(error)) => Err(error),
        Err(_elapsed) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer at start-up").into()),
    }
}

/// Start-up and authentication up to the first ReadyForQuery.
async fn authenticate(
    connection: &mut Connection,
    config: &Config,
    end_point: Option<Arc<[u8]>>,
) -> Result<(), CaptureError> {
    let user = config
        .get_user()
        .ok_or_else(|| CaptureError::Authentication("the upstream configuration names no user".into()))?;
    let mut parameters = vec![
        ("user", user),
        ("database", config.get_dbname().unwrap_or(user)),
        ("replication", "database"),
        ("application_name", "weir capture"),
        ("client_encoding", "UTF8"),
    ];
    if let Some(options) = config.get_options() {
        parameters.push(("options", options));
    }
    connection.send(|output| frontend::startup_message(parameters, output)).await?;
    loop {
        let Frame { tag, mut body } = connection.frame().await?;
        match tag {
            b'R' if body.len() >= 4 => match body.get_u32() {
                0 => {}
                3 => {
                    let password = password(config)?.to_vec();
                    connection.send(|output| frontend::password_message(&password, output)).await?;
                }
                5 => {
                    let salt = body.first_chunk::<4>().copied();
                    let salt = salt.ok_or_else(|| CaptureError::Protocol("md5 request without salt".into()))?;
                    let hash = md5_hash(user.as_bytes(), password(config)?, salt);
                    connection.send(|output| frontend::password_message(hash.as_bytes(), output)).await?;
                }
                10 => scram(connection, password(config)?, &body, end_point.as_deref()).await?,
                method => return Err(CaptureError::Authentication(format!("method {method} is not supported"))),
            },
            b'K' if body.len() >= 8 => connection.process_id = body.get_i32(),
            b'Z' => return Ok(()),
            tag => return Err(CaptureError::Protocol(format!("message {:?} at start-up", tag as char))),
        }
    }
}

fn password(config: &Config) -> Result<&[u8], CaptureError> {
    config
        .get_password()
        .ok_or_else(|| CaptureError::Authentication("the server asks for a password; none given".into()))
}

/// The SASL exchange (RFC 5802) after AuthenticationSASL, up to its final message; bound to the TLS connection where
/// the server offers that.
async fn scram(
    connection: &mut Connection,
    password: &[u8],
    mechanisms: &[u8],
    end_point: Option<&[u8]>,
) -> Result<(), CaptureError> {
    let offered = |wanted: &str| mechanisms.split(|&byte| byte == 0).any(|name| name == wanted.as_bytes());
    let (mechanism, binding) = match end_point {
        Some(hash) if offered(SCRAM_SHA_256_PLUS) => {
            (SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(hash.to_vec()))
        }
        Some(_) if offered(SCRAM_SHA_256) => (SCRAM_SHA_256, ChannelBinding::unrequested()),
        None if offered(SCRAM_SHA_256) => (SCRAM_SHA_256, ChannelBinding::unsupported()),
        _ => return Err(CaptureError::Authentication("the server offers no SCRAM-SHA-256".into())),
    };
    let refused = |error: io::Error| CaptureError::Authentication(error.to_string());
    let mut exchange = ScramSha256::new(password, binding);
    let first = exchange.message().to_vec();
    connection.send(|output| frontend::sasl_initial_response(mechanism, &first, output)).await?;
    exchange.update(&sasl_step(connection, 11).await?).map_err(refused)?;
    let proof = exchange.message().to_vec();
    connection.send(|output| frontend::sasl_response(&proof, output)).await?;
    exchange.finish(&sasl_step(connection, 12).await?).map_err(refused)
}

/// The data of the expected SASL step: 11 continue, 12 final.
async fn sasl_step(connection: &mut Connection, expected: u32) -> Result<Vec<u8>, CaptureError> {
    let Frame { tag, mut body } = connection.frame().await?;
    if tag == b'R' && body.len() >= 4 && body.get_u32() == expected {
        return Ok(body.to_vec());
    }
    Err(CaptureError::Protocol("the SASL exchange broke off".into()))
}
