//! From a row's image to its id. Owned by the publisher alone, changed in place, never shared.

use super::directory::RowId;
use super::store::Store;
use hashbrown::HashTable;
use std::hash::BuildHasher;
use weir_planner::Row;

/// Id and 32 bits of the row's hash, so that growing the table never touches a row.
#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u32,
    id: RowId,
}

#[derive(Debug, Default)]
pub(super) struct IdMap {
    entries: HashTable<Entry>,
    hasher: foldhash::fast::RandomState,
}

/// Spreads the kept 32 bits over the 64 the table wants (it takes its tag from the top and its bucket from below).
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl IdMap {
    pub(super) fn hash(&self, row: &Row) -> u32 {
        (self.hasher.hash_one(row) >> 32) as u32
    }

    pub(super) fn find(&self, hash: u32, row: &Row, store: &Store) -> Option<RowId> {
        self.entries.find(spread(hash), |entry| entry.hash == hash && same(store.row(entry.id), row)).map(|e| e.id)
    }

    /// The row that most likely has this hash; its image is not looked at.
    pub(super) fn guess(&self, hash: u32) -> Option<RowId> {
        self.entries.find(spread(hash), |entry| entry.hash == hash).map(|entry| entry.id)
    }

    pub(super) fn insert(&mut self, hash: u32, id: RowId) {
        self.entries.insert_unique(spread(hash), Entry { hash, id }, |entry| spread(entry.hash));
    }

    /// Removes the entry of a row with this hash.
    pub(super) fn remove(&mut self, hash: u32, id: RowId) {
        match self.entries.find_entry(spread(hash), |entry| entry.id == id) {
            Ok(entry) => drop(entry.remove()),
            Err(_) => unreachable!("every live row has an entry under its row's hash"),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.entries.allocation_size()
    }
}

fn same(a: &Row, b: &Row) -> bool {
    std::sync::Arc::ptr_eq(a, b) || a == b
}
