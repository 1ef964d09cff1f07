//! From an accepted socket to a session: the untyped first packets, then the upstream connection. Authentication is
//! not Weir's: its messages are relayed byte for byte (trust, password, MD5, SCRAM), so Postgres verifies the role and
//! Weir holds no secret.

use super::cancel;
use super::context::SessionContext;
use super::listener::MAX_CLIENTS;
use super::relay::{Relay, SessionError};
use crate::wire::backend;
use crate::wire::endpoint::Endpoint;
use crate::wire::startup::{self, Packet};
use crate::wire::stream::{self, Stream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A client must have sent its start-up packet within this time; Postgres' own default (`authentication_timeout`).
const STARTUP_TIMEOUT: Duration = Duration::from_secs(60);

/// A farewell that the client does not read is given up after this time.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(5);

/// Encryption requests before the start-up packet; a client asks at most once for each of TLS and GSSAPI.
const MAX_ENCRYPTION_REQUESTS: usize = 4;

/// What the client wants, once it has said so. The start-up packet itself stays in the endpoint's input.
enum Wish {
    Cancel(Vec<u8>),
    Session { raw: bool, length: usize },
    Nothing,
}

pub(super) async fn accept(socket: Stream, context: &Arc<SessionContext>) -> Result<(), SessionError> {
    let mut client = Endpoint::new(socket);
    let wish = match tokio::time::timeout(STARTUP_TIMEOUT, wish(&mut client, context)).await {
        Ok(Ok(wish)) => wish,
        Ok(Err(SessionError::Startup(error))) => return refuse(&mut client, "08P01", &error.to_string()).await,
        Ok(Err(error)) => return Err(error),
        Err(_) => return refuse(&mut client, "08P01", "canceling authentication due to timeout").await,
    };
    match wish {
        Wish::Nothing => Ok(()),
        Wish::Cancel(key) => {
            cancel::request(context, &key).await;
            Ok(())
        }
        Wish::Session { .. } if context.clients.load(Ordering::Relaxed) > MAX_CLIENTS => {
            refuse(&mut client, "53300", "sorry, too many clients already").await
        }
        Wish::Session { raw, length } => {
            let mut upstream = match stream::connect(&context.config.upstream).await {
                Ok(stream) => Endpoint::new(stream),
                Err(error) => {
                    let message = format!("the upstream Postgres cannot be reached: {error}");
                    return refuse(&mut client, "57P03", &message).await;
                }
            };
            client.input.move_to(length, &mut upstream.output);
            Relay::new(client, upstream, context.clone(), raw).run().await
        }
    }
}

async fn wish(client: &mut Endpoint, context: &SessionContext) -> Result<Wish, SessionError> {
    for _ in 0..=MAX_ENCRYPTION_REQUESTS {
        let (packet, length) = loop {
            match startup::parse(client.input.filled()) {
                Ok(Some((packet, length))) => break (wanted(packet, context, length), length),
                Ok(None) if client.ended => return Ok(Wish::Nothing),
                Ok(None) => client.fill().await?,
                Err(error) => return Err(error.into()),
            }
        };
        if let Some(wish) = packet {
            return Ok(wish);
        }
        // Encryption is not offered: a single N, and the client goes on in the clear or leaves.
        client.input.consume(length);
        client.output.extend(b"N");
        client.flush().await?;
    }
    Ok(Wish::Nothing)
}

/// `None`: a request for encryption.
fn wanted(packet: Packet<'_>, context: &SessionContext, length: usize) -> Option<Wish> {
    match packet {
        Packet::Ssl | Packet::GssEncryption => None,
        Packet::Cancel { key } => Some(Wish::Cancel(key.to_vec())),
        Packet::Startup(startup) => {
            let raw = startup.replication || startup.database != context.database().as_bytes();
            Some(Wish::Session { raw, length })
        }
    }
}

/// Says a FATAL error and closes.
async fn refuse(client: &mut Endpoint, sqlstate: &str, message: &str) -> Result<(), SessionError> {
    let mut out = Vec::new();
    backend::error(&mut out, "FATAL", sqlstate, message);
    client.output.extend(&out);
    let farewell = async {
        client.flush().await?;
        client.shutdown().await
    };
    tokio::time::timeout(FAREWELL_TIMEOUT, farewell).await.unwrap_or(Ok(()))?;
    Ok(())
}
