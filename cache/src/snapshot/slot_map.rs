//! From a row's image to its slot. Owned by the publisher alone, changed in place, never shared.

use super::store::{Slot, Store};
use hashbrown::HashTable;
use std::hash::BuildHasher;
use weir_planner::Row;

/// Slot and 32 bits of the row's hash, so that growing the table never touches a row.
#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u32,
    slot: Slot,
}

#[derive(Debug, Default)]
pub(super) struct SlotMap {
    entries: HashTable<Entry>,
    hasher: foldhash::fast::RandomState,
}

/// Spreads the kept 32 bits over the 64 the table wants (it takes its tag from the top and its bucket from below).
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl SlotMap {
    pub(super) fn hash(&self, row: &Row) -> u32 {
        (self.hasher.hash_one(row) >> 32) as u32
    }

    pub(super) fn find(&self, hash: u32, row: &Row, store: &Store) -> Option<Slot> {
        self.entries.find(spread(hash), |entry| entry.hash == hash && same(store.row(entry.slot), row)).map(|e| e.slot)
    }

    pub(super) fn insert(&mut self, hash: u32, slot: Slot) {
        self.entries.insert_unique(spread(hash), Entry { hash, slot }, |entry| spread(entry.hash));
    }

    /// Removes the row's entry and returns its slot.
    pub(super) fn remove(&mut self, hash: u32, slot: Slot) {
        match self.entries.find_entry(spread(hash), |entry| entry.slot == slot) {
            Ok(entry) => drop(entry.remove()),
            Err(_) => unreachable!("every live slot has an entry under its row's hash"),
        }
    }

    /// The row moved to another slot.
    pub(super) fn relocate(&mut self, hash: u32, from: Slot, to: Slot) {
        match self.entries.find_mut(spread(hash), |entry| entry.slot == from) {
            Some(entry) => entry.slot = to,
            None => unreachable!("every live slot has an entry under its row's hash"),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.entries.allocation_size()
    }
}

fn same(a: &Row, b: &Row) -> bool {
    std::sync::Arc::ptr_eq(a, b) || a == b
}
