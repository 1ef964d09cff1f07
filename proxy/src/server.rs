//! Composition: builds the parts of `weir serve` and ties their lives together.

use crate::config::Config;
use crate::maintain;
use crate::metrics::Metrics;
use crate::published::Published;
use crate::registry::Registry;
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
    pub fn start(config: Config) -> Services {
        let config = Arc::new(config);
        let registry = Arc::new(Registry::default());
        let published = Arc::new(Published::default());
        let metrics = Arc::new(Metrics::default());
        let maintenance = maintain::start(config.clone(), registry.clone(), published.clone(), metrics.clone());
        Services { config, registry, published, metrics, maintenance }
    }
}
