//! Indexes that readers may use: by hash of key columns for equality, by order for ORDER BY … LIMIT and ranges.

use super::directory::RowId;
use super::order_key::{OrderedColumn, compare_rows};
use super::store::Store;
use super::tree::{Change, Cursor, Entry, EntryOrder, MissingEntry, Tree};
use std::cmp::Ordering;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use weir_planner::Value;

/// What an index serves. Columns are positions in the stored row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum IndexSpec {
    /// Equality on all of these columns, ascending; rows with a NULL in one of them are not in the index.
    Hash(Vec<usize>),
    /// The whole table in this order.
    Ordered(Vec<OrderedColumn>),
}

/// One version of an index. Cloning shares the pages.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    pub(crate) spec: Arc<IndexSpec>,
    hasher: foldhash::fast::RandomState,
    tree: Tree,
    pub(super) usage: Arc<Usage>,
}

/// When an index was last of use, in generations of the publisher.
#[derive(Debug, Default)]
pub(super) struct Usage(AtomicU64);

impl Usage {
    /// Readers on several cores must not fight for the cache line: written once per generation.
    #[inline]
    fn touch(&self, generation: u64) {
        if self.0.load(Relaxed) < generation {
            self.0.store(generation, Relaxed);
        }
    }
    pub(super) fn last(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Index {
    pub(super) fn new(spec: IndexSpec) -> Index {
        Index {
            spec: Arc::new(spec),
            hasher: foldhash::fast::RandomState::default(),
            tree: Tree::default(),
            usage: Arc::default(),
        }
    }

    /// Marks the index as used by a reader of this generation.
    #[inline]
    pub(super) fn touch(&self, generation: u64) {
        self.usage.touch(generation);
    }

    /// The hash of key values given in the order of the spec's columns; None when one is NULL: it equals nothing.
    #[inline]
    pub(crate) fn hash<'a>(&self, key: impl Iterator<Item = &'a Value>) -> Option<u64> {
        let mut state = self.hasher.build_hasher();
        for value in key {
            if value.is_null() {
                return None;
            }
            if value.is_canonical() { value.hash(&mut state) } else { value.canonical().hash(&mut state) }
        }
        Some(state.finish())
    }

    /// Rows whose key has this hash, ascending. Other keys may share the hash: the caller checks the rows.
    #[inline]
    pub(crate) fn with_hash(&self, hash: u64) -> impl Iterator<Item = RowId> + '_ {
        self.tree.seek(move |entry| entry.key < hash).take_while(move |entry| entry.key == hash).map(|e| e.id)
    }

    /// Entries in order, from the first for which `before` is false (monotone: true up to there).
    pub(crate) fn seek(&self, before: impl Fn(&Entry) -> bool) -> Cursor<'_> {
        self.tree.seek(before)
    }

    pub(crate) fn iter(&self) -> Cursor<'_> {
        self.tree.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.tree.len()
    }

    /// The entry of a row, None when the row does not belong into the index.
    fn entry(&self, row: &[Value], id: RowId) -> Option<Entry> {
        let key = match &*self.spec {
            IndexSpec::Hash(columns) => self.hash(columns.iter().map(|&column| &row[column]))?,
            IndexSpec::Ordered(columns) => columns[0].prefix(&row[columns[0].column]),
        };
        Some(Entry { key, id })
    }

    /// Whether a row in place of another leaves the index as it is.
    pub(super) fn is_same(&self, old: &[Value], new: &[Value]) -> bool {
        match &*self.spec {
            IndexSpec::Hash(columns) => columns.iter().all(|&column| old[column] == new[column]),
            IndexSpec::Ordered(columns) => columns.iter().all(|key| old[key.column] == new[key.column]),
        }
    }

    /// Follows rows that died and rows that were born; both are still readable in `store`.
    pub(super) fn apply(&mut self, store: &Store, died: &[RowId], born: &[RowId]) -> Result<(), MissingEntry> {
        let deletes = died.iter().filter_map(|&id| self.entry(store.row(id), id)).map(Change::Delete);
        let inserts = born.iter().filter_map(|&id| self.entry(store.row(id), id)).map(Change::Insert);
        let mut changes: Vec<Change> = deletes.chain(inserts).collect();
        match &*self.spec {
            IndexSpec::Hash(_) => {
                let order = ByHash;
                changes.sort_unstable_by(|a, b| order.compare(a.entry(), b.entry()));
                self.tree.apply(&changes, &order)
            }
            IndexSpec::Ordered(columns) => {
                let order = ByRow { columns, store };
                changes.sort_unstable_by(|a, b| order.compare(a.entry(), b.entry()));
                self.tree.apply(&changes, &order)
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.tree.bytes()
    }
}

struct ByHash;

impl EntryOrder for ByHash {
    #[inline]
    fn compare(&self, a: &Entry, b: &Entry) -> Ordering {
        (a.key, a.id).cmp(&(b.key, b.id))
    }
}

struct ByRow<'a> {
    columns: &'a [OrderedColumn],
    store: &'a Store,
}

impl EntryOrder for ByRow<'_> {
    #[inline]
    fn compare(&self, a: &Entry, b: &Entry) -> Ordering {
        a.key.cmp(&b.key).then_with(|| {
            if a.id == b.id {
                return Ordering::Equal;
            }
            compare_rows(self.columns, self.store.row(a.id), self.store.row(b.id)).then(a.id.cmp(&b.id))
        })
    }
}
