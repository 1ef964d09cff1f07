//! Withholds all stream tables from memory between a DDL mark in the stream and the moment the catalog has been read again.

use crate::registry::{Registry, State, StreamTable, Tables};
use std::sync::{Arc, Mutex};

/// Publishes the registry; while marks are unread, live tables are shown as populating.
pub(super) struct Suspension {
    registry: Arc<Registry>,
    /// Marks seen in the stream and not yet read from the catalog.
    unread: Mutex<u64>,
}

impl Suspension {
    pub(super) fn new(registry: Arc<Registry>) -> Suspension {
        Suspension { registry, unread: Mutex::new(0) }
    }

    /// A mark was seen: no local answer until it is read. Called before the mark's position is published.
    pub(super) fn mark(&self) {
        let mut unread = self.lock();
        *unread += 1;
        let mut tables = Tables::clone(&self.registry.tables());
        withhold(&mut tables);
        self.registry.replace(tables);
    }

    /// Marks seen so far; give it back to [`Suspension::read`] after the catalog was read.
    pub(super) fn unread(&self) -> u64 {
        *self.lock()
    }

    pub(super) fn read(&self, count: u64) {
        let mut unread = self.lock();
        *unread = unread.saturating_sub(count);
    }

    /// `over`: names of what stands over stream tables.
    pub(super) fn publish(&self, tables: Vec<StreamTable>, over: &[String]) {
        let names = tables.iter().map(|table| &table.name).chain(over).map(|name| name.to_lowercase()).collect();
        let mut tables = Tables { by_id: tables.into_iter().map(|table| (table.id, table)).collect(), names };
        let unread = self.lock();
        if *unread > 0 {
            withhold(&mut tables);
        }
        // Cached analyses stay good when nothing has changed.
        if *self.registry.tables() != tables {
            self.registry.replace(tables);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, u64> {
        self.unread.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn withhold(tables: &mut Tables) {
    for table in tables.by_id.values_mut().filter(|table| table.state == State::Live) {
        table.state = State::Populating;
    }
}
