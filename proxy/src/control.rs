//! Weir's own connections to Postgres (never a client's): catalogue queries, copies, visibility, history.

use crate::upstream::{Encryption, Upstream, UpstreamError};
use crate::wire::stream::Stream;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Mutex, mpsc};
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::{AsyncMessage, Client};

#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("control connection: {0}")]
    Upstream(#[from] UpstreamError),
    #[error("control connection: {0}")]
    Postgres(#[from] tokio_postgres::Error),
    #[error("control connection is gone")]
    Gone,
}

/// Opens a control connection and drives it on its own task until it closes. Settings that shape results are fixed:
/// see `SETTINGS`.
pub async fn connect(upstream: &Upstream, purpose: &str) -> Result<Client, ControlError> {
    open(upstream, purpose, Ears::default()).await
}

/// As [`connect`], with a value for every notification that arrives; the channel closes with the connection.
pub async fn connect_listening(
    upstream: &Upstream,
    purpose: &str,
) -> Result<(Client, mpsc::UnboundedReceiver<()>), ControlError> {
    let (notified, notifications) = mpsc::unbounded_channel();
    let ears = Ears { notified: Some(notified), ..Ears::default() };
    Ok((open(upstream, purpose, ears).await?, notifications))
}

/// As [`connect`], with the number of notices and warnings that have arrived: a statement's are counted when its answer is
/// there.
pub async fn connect_counting_notices(
    upstream: &Upstream,
    purpose: &str,
) -> Result<(Client, Arc<AtomicU64>), ControlError> {
    let ears = Ears::default();
    Ok((open(upstream, purpose, ears.clone()).await?, ears.notices))
}

/// Who hears what the server says unasked.
#[derive(Clone, Default)]
struct Ears {
    notified: Option<mpsc::UnboundedSender<()>>,
    notices: Arc<AtomicU64>,
}

async fn open(upstream: &Upstream, purpose: &str, ears: Ears) -> Result<Client, ControlError> {
    let mut attempts = upstream.attempts().iter().peekable();
    loop {
        let encryption = *attempts.next().expect("every sslmode tries something");
        match log_in(upstream, purpose, encryption, ears.clone()).await {
            // pg_hba.conf has no line for a connection with (or without) TLS: `allow` and `prefer` try the other.
            Err(ControlError::Postgres(error))
                if attempts.peek().is_some()
                    && error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => {}
            Ok(client) => {
                client.batch_execute(SETTINGS).await?;
                return Ok(client);
            }
            Err(error) => return Err(error),
        }
    }
}

async fn log_in(
    upstream: &Upstream,
    purpose: &str,
    encryption: Encryption,
    ears: Ears,
) -> Result<Client, ControlError> {
    let stream = upstream.open(encryption).await?.stream;
    let mut config = upstream.config().clone();
    config.application_name(format!("weir {purpose}"));
    // Encryption has been agreed; what is left for the library is to ask the stream for its channel binding.
    config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
    let (client, mut connection) = config.connect_raw(stream, AsItIs).await?;
    tokio::spawn(async move {
        loop {
            match std::future::poll_fn(|context| connection.poll_message(context)).await {
                Some(Ok(AsyncMessage::Notification(_))) => {
                    // Nobody listens any more: the connection is about to be closed.
                    let _ = ears.notified.as_ref().map(|notified| notified.send(()));
                }
                Some(Ok(AsyncMessage::Notice(_))) => {
                    ears.notices.fetch_add(1, Ordering::Release);
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return tracing::debug!(%error, "control connection closed"),
                None => return,
            }
        }
    });
    Ok(client)
}

/// The stream is secured already, or is to be used in the clear.
struct AsItIs;

impl TlsConnect<Stream> for AsItIs {
    type Stream = Stream;
    type Error = Infallible;
    type Future = Ready<Result<Stream, Infallible>>;

    fn connect(self, stream: Stream) -> Ready<Result<Stream, Infallible>> {
        ready(Ok(stream))
    }
}

impl TlsStream for Stream {
    fn channel_binding(&self) -> ChannelBinding {
        self.end_point().map_or(ChannelBinding::none(), |hash| ChannelBinding::tls_server_end_point(hash.to_vec()))
    }
}

/// A control session neither inherits role or database defaults that change meaning, nor waits for ever, nor is
/// killed for idling.
const SETTINGS: &str = "SET search_path = pg_catalog; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; \
     SET IntervalStyle = 'postgres'; SET extra_float_digits = 1; SET bytea_output = 'hex'; \
     SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off; \
     SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET row_security = on; \
     SET client_min_messages = warning; SET jit = off; SET quote_all_identifiers = off";

/// A control connection that is opened when first needed and again after it was lost. Cheap to clone; clones share the
/// connection.
#[derive(Clone)]
pub struct Standing {
    upstream: Upstream,
    purpose: &'static str,
    client: Arc<Mutex<Option<Arc<Client>>>>,
}

impl Standing {
    pub fn new(upstream: Upstream, purpose: &'static str) -> Standing {
        Standing { upstream, purpose, client: Arc::default() }
    }

    /// The open connection, opened now if need be. Statements may be pipelined on it; transactions need [`connect`].
    pub async fn client(&self) -> Result<Arc<Client>, ControlError> {
        let mut slot = self.client.lock().await;
        if let Some(client) = slot.as_ref().filter(|client| !client.is_closed()) {
            return Ok(client.clone());
        }
        let client = Arc::new(connect(&self.upstream, self.purpose).await?);
        *slot = Some(client.clone());
        Ok(client)
    }
}
