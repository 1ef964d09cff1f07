//! Withholds all stream tables from memory between a DDL mark in the stream and the moment the catalog has been read again.

use crate::registry::{Registry, State, StreamTable, Tables};
use std::collections::HashMap;
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
        let mut tables: Vec<StreamTable> = self.registry.tables().by_id.values().cloned().collect();
        withhold(&mut tables);
        self.registry.replace(index(tables));
    }

    /// Marks seen so far; give it back to [`Suspension::read`] after the catalog was read.
    pub(super) fn unread(&self) -> u64 {
        *self.lock()
    }

    pub(super) fn read(&self, count: u64) {
        let mut unread = self.lock();
        *unread = unread.saturating_sub(count);
    }

    pub(super) fn publish(&self, mut tables: Vec<StreamTable>) {
        let unread = self.lock();
        if *unread > 0 {
            withhold(&mut tables);
        }
        let tables = index(tables);
        // Cached analyses stay good when nothing has changed.
        if *self.registry.tables() != tables {
            self.registry.replace(tables);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, u64> {
        self.unread.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn withhold(tables: &mut [StreamTable]) {
    for table in tables.iter_mut().filter(|table| table.state == State::Live) {
        table.state = State::Populating;
    }
}

fn index(tables: Vec<StreamTable>) -> Tables {
    let mut names: HashMap<String, Vec<_>> = HashMap::new();
    for table in &tables {
        names.entry(table.name.to_lowercase()).or_default().push(table.id);
    }
    Tables { by_id: tables.into_iter().map(|table| (table.id, table)).collect(), names }
}
