//! The upstream Postgres: where it is, how it wants to be reached, and connections to it over TCP, TLS or a Unix socket.
//! Sessions, cancel requests, Weir's own control connections and the replication stream all open theirs here; what is
//! said on a connection is theirs.

mod connect;
mod options;

pub use connect::{Encryption, Opened, UpstreamError};
pub use options::OptionError;

use crate::tls::TlsError;
use crate::tls::client::{ClientTls, SslMode};
use std::sync::Arc;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// libpq's default port (`DEF_PGPORT`).
pub const DEFAULT_PORT: u16 = 5432;

/// An upstream server (or several, tried in order), and the role and database of Weir's own connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Upstream {
    config: Arc<Config>,
    tls: Arc<ClientTls>,
}

/// Without TLS, whatever the server offers.
impl From<Config> for Upstream {
    fn from(config: Config) -> Upstream {
        Upstream { config: Arc::new(config), tls: Arc::new(ClientTls::disabled()) }
    }
}

impl Upstream {
    pub fn new(config: Config, tls: ClientTls) -> Upstream {
        Upstream { config: Arc::new(config), tls: Arc::new(tls) }
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The role of Weir's own connections.
    pub fn user(&self) -> &str {
        self.config.get_user().unwrap_or_default()
    }

    /// The database of Weir's own connections.
    pub fn database(&self) -> &str {
        self.config.get_dbname().unwrap_or(self.user())
    }

    /// Weir shows the server a certificate of its own.
    pub fn shows_certificate(&self) -> bool {
        self.tls.options().certificate.is_some() && self.tls.options().mode != SslMode::Disable
    }

    /// Reads root certificates and Weir's own certificate again, for connections opened from now on.
    pub fn reload_certificates(&self) -> Result<(), TlsError> {
        self.tls.reload()
    }

    /// The upstream for people: host, port and database, no secret.
    pub fn describe(&self) -> String {
        let host = match (self.config.get_hosts().first(), self.config.get_hostaddrs().first()) {
            (Some(Host::Tcp(host)), _) => host.clone(),
            (Some(Host::Unix(folder)), _) => folder.display().to_string(),
            (None, Some(address)) => address.to_string(),
            (None, None) => "?".to_owned(),
        };
        format!("{host}:{}/{}", self.config.get_ports().first().copied().unwrap_or(DEFAULT_PORT), self.database())
    }
}
