//! Weir's own connections to Postgres (never a client's): catalogue queries, copies, visibility, history.

use std::sync::Arc;
use tokio::sync::Mutex;
use tokio_postgres::{Client, Config, NoTls};

#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("control connection: {0}")]
    Postgres(#[from] tokio_postgres::Error),
    #[error("control connection is gone")]
    Gone,
}

/// Opens a control connection and drives it on its own task until it closes. Settings that shape results are fixed:
/// see `SETTINGS`.
pub async fn connect(config: &Config, purpose: &str) -> Result<Client, ControlError> {
    let mut config = config.clone();
    config.application_name(format!("weir {purpose}"));
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "control connection closed");
        }
    });
    client.batch_execute(SETTINGS).await?;
    Ok(client)
}

/// A control session neither inherits role or database defaults that change meaning, nor waits for ever, nor is
/// killed for idling.
const SETTINGS: &str = "SET search_path = pg_catalog; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; \
     SET IntervalStyle = 'postgres'; SET extra_float_digits = 1; SET bytea_output = 'hex'; \
     SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off; \
     SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET row_security = on; \
     SET client_min_messages = warning";

/// A control connection that is opened when first needed and again after it was lost. Cheap to clone; clones share the
/// connection.
#[derive(Clone)]
pub struct Standing {
    config: Config,
    purpose: &'static str,
    client: Arc<Mutex<Option<Arc<Client>>>>,
}

impl Standing {
    pub fn new(config: Config, purpose: &'static str) -> Standing {
        Standing { config, purpose, client: Arc::default() }
    }

    /// The open connection, opened now if need be. Statements may be pipelined on it; transactions need [`connect`].
    pub async fn client(&self) -> Result<Arc<Client>, ControlError> {
        let mut slot = self.client.lock().await;
        if let Some(client) = slot.as_ref().filter(|client| !client.is_closed()) {
            return Ok(client.clone());
        }
        let client = Arc::new(connect(&self.config, self.purpose).await?);
        *slot = Some(client.clone());
        Ok(client)
    }
}
