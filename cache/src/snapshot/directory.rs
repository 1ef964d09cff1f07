//! Where each row is: a persistent array from row ids to slots. Indexes name rows by id, so a row that moves, or is
//! replaced by one with the same keys, changes this array and no index.

use std::sync::Arc;

/// Ids per page: a changed row copies 1 kB, a change of every hundredth row of a million copies 4 MB.
const PAGE_IDS: usize = 256;
/// Pages per branch: a version of a million rows is a copy of some sixty pointers.
const BRANCH_PAGES: usize = 64;
const BRANCH_IDS: usize = PAGE_IDS * BRANCH_PAGES;

/// Names a row within one table, from its insertion to its deletion or replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RowId(pub(super) u32);

/// Chunk number and offset of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(pub(super) u32);

impl Slot {
    const NONE: Slot = Slot(u32::MAX);
}

type Page = [Slot; PAGE_IDS];

#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    branches: Vec<Arc<Vec<Arc<Page>>>>,
}

impl Directory {
    /// Ids in use are below this.
    pub(super) fn end(&self) -> usize {
        self.branches.last().map_or(0, |last| (self.branches.len() - 1) * BRANCH_IDS + last.len() * PAGE_IDS)
    }

    #[inline]
    pub(super) fn slot(&self, id: RowId) -> Slot {
        let id = id.0 as usize;
        self.branches[id / BRANCH_IDS][id % BRANCH_IDS / PAGE_IDS][id % PAGE_IDS]
    }

    pub(super) fn is_used(&self, id: RowId) -> bool {
        (id.0 as usize) < self.end() && self.slot(id) != Slot::NONE
    }

    pub(super) fn set(&mut self, id: RowId, slot: Slot) {
        let id = id.0 as usize;
        while id >= self.end() {
            let page = Arc::new([Slot::NONE; PAGE_IDS]);
            match self.branches.last_mut() {
                Some(last) if last.len() < BRANCH_PAGES => Arc::make_mut(last).push(page),
                _ => self.branches.push(Arc::new(vec![page])),
            }
        }
        let branch = Arc::make_mut(&mut self.branches[id / BRANCH_IDS]);
        Arc::make_mut(&mut branch[id % BRANCH_IDS / PAGE_IDS])[id % PAGE_IDS] = slot;
    }

    pub(super) fn clear(&mut self, id: RowId) {
        self.set(id, Slot::NONE);
    }

    pub(super) fn bytes(&self) -> usize {
        self.end() * size_of::<Slot>()
    }
}
