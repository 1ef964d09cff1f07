//! From a row's image to its id. Owned by the publisher alone, changed in place, never shared.
//!
//! Only the columns that tell the rows apart are hashed (see [`identity`](super::identity)): an update of other
//! columns then finds its predecessor's entry and keeps it.

use super::directory::RowId;
use super::identity::Identity;
use super::store::Store;
use hashbrown::HashTable;
use weir_planner::{Row, Value};

/// Rows that had one hash and were not equal, beyond one per lookup, before other columns are looked for: far more
/// than a well chosen identity ever meets, and a few hundred microseconds of work.
const STRAIN_LIMIT: usize = 4_096;

/// Id and 32 bits of the row's hash, so that growing the table never touches a row.
#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u32,
    id: RowId,
}

#[derive(Debug, Default)]
pub(super) struct IdMap {
    entries: HashTable<Entry>,
    identity: Identity,
    strain: usize,
}

/// What the map knows of a row that is to be added.
pub(super) enum Place {
    /// The row is there already.
    Present(RowId),
    /// A dead row that this one may replace under its id, without a change of this map.
    Vacated(RowId),
    New,
}

/// Spreads the kept 32 bits over the 64 the table wants (it takes its tag from the top and its bucket from below).
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl IdMap {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn hash(&self, row: &[Value]) -> u32 {
        self.identity.hash(row)
    }

    /// The id of this very row, if it is alive.
    pub(super) fn find(&mut self, hash: u32, row: &Row, store: &Store) -> Option<RowId> {
        match self.place(hash, row, store, |_| false) {
            Place::Present(id) => Some(id),
            Place::Vacated(_) | Place::New => None,
        }
    }

    /// Where a row is or may go. `may_replace` decides on the id of a dead row that has the same hash.
    pub(super) fn place(&mut self, hash: u32, row: &Row, store: &Store, may_replace: impl Fn(RowId) -> bool) -> Place {
        let mut vacated = None;
        let mut others = 0;
        let present = self.entries.find(spread(hash), |entry| {
            if entry.hash != hash {
                return false;
            }
            match store.live_row(entry.id) {
                Some(other) if same(other, row) => return true,
                Some(_) => others += 1,
                None if vacated.is_none() && may_replace(entry.id) => vacated = Some(entry.id),
                None => {}
            }
            false
        });
        self.strain = (self.strain + others).saturating_sub(1);
        match (present, vacated) {
            (Some(entry), _) => Place::Present(entry.id),
            (None, Some(id)) => Place::Vacated(id),
            (None, None) => Place::New,
        }
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
            Err(_) => unreachable!("every row has an entry under its hash until it is forgotten"),
        }
    }

    /// Chooses the columns that are hashed by looking at some of the rows to come. Only while the map is empty.
    pub(super) fn identify<'a>(&mut self, rows: impl ExactSizeIterator<Item = &'a Row>) {
        debug_assert!(self.entries.is_empty(), "entries stand under the hash of the columns chosen before");
        self.identity = Identity::of(rows);
        self.strain = 0;
    }

    /// The hashed columns do not tell the rows apart: [`IdMap::rebuild`] is due.
    pub(super) fn is_strained(&self) -> bool {
        self.strain > STRAIN_LIMIT
    }

    /// Enters all these rows anew under other columns.
    pub(super) fn rebuild(&mut self, rows: &[(RowId, &Row)]) {
        self.strain = 0;
        self.entries.clear();
        self.identity.widen(rows.iter().map(|(_, row)| *row));
        for &(id, row) in rows {
            self.insert(self.hash(row), id);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.entries.allocation_size()
    }
}

fn same(a: &Row, b: &Row) -> bool {
    std::sync::Arc::ptr_eq(a, b) || a == b
}
