//! The set of watched tables, shared between the task that decodes the stream and the one that delivers.

use super::TableSpec;
use crate::metrics::Metrics;
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::sync::Arc;
use weir_cache::engine::TableNeeds;
use weir_planner::RelationId;

/// Distinguishes one `watch` of a table from the next: an answer about an older one is out of date.
pub(super) type Generation = u64;

pub(super) struct Watched {
    pub spec: TableSpec,
    pub generation: Generation,
    /// What is needed of its changes, if not all.
    pub needs: Option<Arc<Needs>>,
}

/// What may be left out, and where it is counted how much is.
pub(crate) struct Needs {
    pub of_readers: TableNeeds,
    pub metrics: Arc<Metrics>,
}

/// Read at every row, replaced as a whole at every `watch`.
#[derive(Clone, Default)]
pub(super) struct WatchList(Arc<ArcSwap<HashMap<RelationId, Arc<Watched>>>>);

impl WatchList {
    pub(super) fn get(&self, table: RelationId) -> Option<Arc<Watched>> {
        self.0.load().get(&table).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Watched>> {
        self.0.load().values().cloned().collect()
    }

    pub(super) fn insert(&self, watched: Watched) {
        let mut tables = HashMap::clone(&self.0.load());
        tables.insert(watched.spec.id, Arc::new(watched));
        self.0.store(Arc::new(tables));
    }

    pub(super) fn remove(&self, table: RelationId) {
        let mut tables = HashMap::clone(&self.0.load());
        tables.remove(&table);
        self.0.store(Arc::new(tables));
    }
}
