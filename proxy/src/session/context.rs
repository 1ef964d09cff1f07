//! What all sessions share.

use super::bookmark::Positions;
use super::cancel::Cancels;
use super::privilege::Privileges;
use crate::analysis::Analyser;
use crate::auth::Secrets;
use crate::config::Config;
use crate::maintain;
use crate::metrics::Metrics;
use crate::published::Published;
use crate::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use tokio::sync::Semaphore;
use weir_cache::Position;

pub struct SessionContext {
    pub config: Arc<Config>,
    pub registry: Arc<Registry>,
    pub published: Arc<Published>,
    pub analyser: Analyser,
    pub maintain: maintain::Handle,
    pub metrics: Arc<Metrics>,
    pub(super) secrets: Secrets,
    pub(super) cancels: Cancels,
    pub(super) positions: Positions,
    pub(super) privileges: Privileges,
    /// One for each core: how many reads are executed beside the sessions' threads.
    pub(super) places_elsewhere: Arc<Semaphore>,
    /// Open client connections.
    pub(super) clients: AtomicUsize,
}

impl SessionContext {
    /// Needs a running tokio runtime: the position queries of all sessions share one control connection and its task.
    pub fn new(
        config: Arc<Config>,
        registry: Arc<Registry>,
        published: Arc<Published>,
        analyser: Analyser,
        maintain: maintain::Handle,
        metrics: Arc<Metrics>,
    ) -> SessionContext {
        let positions = Positions::start(config.upstream.clone());
        let secrets = Secrets::new(config.upstream.clone(), config.login_superusers);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        SessionContext {
            config,
            registry,
            published,
            analyser,
            maintain,
            metrics,
            secrets,
            cancels: Cancels::default(),
            positions,
            privileges: Privileges::default(),
            places_elsewhere: Arc::new(Semaphore::new(cores)),
            clients: AtomicUsize::new(0),
        }
    }

    /// A position at or past everything that anybody can see now; `None` when Postgres could not be asked.
    pub(super) async fn visible_position(&self) -> Option<Position> {
        match self.maintain.position_now() {
            Some(position) => Some(position),
            None => self.positions.visible().await,
        }
    }

    /// The database whose stream tables Weir maintains; sessions in others are only forwarded.
    pub(super) fn database(&self) -> &str {
        self.config.upstream.database()
    }
}
