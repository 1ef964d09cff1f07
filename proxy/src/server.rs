//! Composition: builds the parts of `weir serve` and ties their lives together.

use crate::analysis::Analyser;
use crate::config::{self, Config};
use crate::http;
use crate::maintain;
use crate::metrics::Metrics;
use crate::published::Published;
use crate::registry::Registry;
use crate::session::{self, Listener, SessionContext};
use std::io;
use std::sync::Arc;

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

/// Serves clients and HTTP until `stop` resolves.
pub async fn run(config: Config, stop: impl Future<Output = ()>) -> io::Result<()> {
    let listener = Listener::bind(config.listen).await?;
    let http_listener = tokio::net::TcpListener::bind(config.http).await?;
    let upstream = config::describe_upstream(&config.upstream);
    tracing::info!(listen = %listener.local_addr()?, http = %http_listener.local_addr()?, %upstream, "serving");
    let services = Services::start(config)?;
    let context = SessionContext::new(
        services.config.clone(),
        services.registry.clone(),
        services.published.clone(),
        Analyser::start(services.config.upstream.clone(), services.registry.clone(), services.metrics.clone()),
        services.maintenance.clone(),
        services.metrics.clone(),
    );
    tokio::select! {
        () = session::serve(listener, Arc::new(context)) => Ok(()),
        result = http::serve(http_listener, services) => result,
        () = stop => Ok(()),
    }
}
