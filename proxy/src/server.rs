//! Composition: builds the parts of `weir serve` and ties their lives together.

use crate::analysis::Analyser;
use crate::catalog::{self, install};
use crate::config::Config;
use crate::control;
use crate::http;
use crate::maintain;
use crate::metrics::Metrics;
use crate::published::Published;
use crate::registry::Registry;
use crate::session::{self, Listener, SessionContext, Workers};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// What every session and every HTTP request may use.
#[derive(Clone)]
pub struct Services {
    pub config: Arc<Config>,
    pub registry: Arc<Registry>,
    pub published: Arc<Published>,
    pub metrics: Arc<Metrics>,
    pub maintenance: maintain::Handle,
}

impl Services {
    /// Starts everything that runs behind the sessions. Must be called within a tokio runtime.
    pub fn start(config: Config) -> io::Result<Services> {
        let config = Arc::new(config);
        let registry = Arc::new(Registry::default());
        let published = Arc::new(Published::default());
        let metrics = Arc::new(Metrics::default());
        let maintenance = maintain::start(config.clone(), registry.clone(), published.clone(), metrics.clone())?;
        Ok(Services { config, registry, published, metrics, maintenance })
    }
}

/// How long the first client waits for Weir's SQL to be installed. Where that does not succeed (Postgres is down, or
/// the role may not), clients are served all the same, and the maintenance goes on trying.
const INSTALL_WAIT: Duration = Duration::from_secs(5);

/// The functions a client may call are there before the first client is.
async fn install_first(config: &Config) {
    let install = async {
        let client = control::connect(&config.upstream, "installation").await.map_err(|error| error.to_string())?;
        install::install(&client).await.map_err(|error| error.to_string())?;
        catalog::capture::settle(&client, config.capture).await.map(|_| ()).map_err(|error| install::describe(&error))
    };
    match tokio::time::timeout(INSTALL_WAIT, install).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error, "Weir's SQL is not installed yet"),
        Err(_) => tracing::warn!("Weir's SQL is not installed yet: the upstream does not answer"),
    }
}

/// Reads certificates again at every SIGHUP, as Postgres does; connections that stand are not touched.
async fn reload_certificates(config: Arc<Config>) {
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => {
            tracing::warn!(%error, "SIGHUP cannot be listened to: certificates are not reloaded");
            return;
        }
    };
    while hangup.recv().await.is_some() {
        let server = config.tls.as_ref().map_or(Ok(()), |tls| tls.reload());
        match server.and_then(|()| config.upstream.reload_certificates()) {
            Ok(()) => tracing::info!("certificates reloaded"),
            Err(error) => tracing::error!(%error, "certificates were not reloaded"),
        }
    }
}

/// Serves clients and HTTP until `stop` resolves.
pub async fn run(config: Config, stop: impl Future<Output = ()>) -> io::Result<()> {
    install_first(&config).await;
    let listener = Listener::bind(config.listen, config.unix.as_ref()).await?;
    let http_listener = tokio::net::TcpListener::bind(config.http).await?;
    let upstream = config.upstream.describe();
    tracing::info!(listen = %listener.local_addr()?, http = %http_listener.local_addr()?, %upstream, "serving");
    let services = Services::start(config)?;
    tokio::spawn(reload_certificates(services.config.clone()));
    let context = SessionContext::new(
        services.config.clone(),
        services.registry.clone(),
        services.published.clone(),
        Analyser::start(services.config.upstream.clone(), services.registry.clone(), services.metrics.clone()),
        services.maintenance.clone(),
        services.metrics.clone(),
    );
    let workers = Workers::start()?;
    tokio::select! {
        () = session::serve(listener, Arc::new(context), workers) => Ok(()),
        result = http::serve(http_listener, services) => result,
        () = stop => Ok(()),
    }
}
