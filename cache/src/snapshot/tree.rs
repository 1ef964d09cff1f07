//! A persistent sorted array of (key, id): pages of entries under branches under one spine. A version is a copy of
//! the spine; a change copies the pages and branches it touches and shares the rest with older versions.

use super::directory::RowId;
use std::cmp::Ordering;
use std::sync::Arc;

/// Entries per page, 16 bytes each: a changed entry copies at most 4 kB; a million entries are some 5,500 pages.
const PAGE_MAX: usize = 256;
/// A page below this is joined with its neighbour, so that deletions do not leave a spine of slivers.
const PAGE_MIN: usize = 64;
/// Pages per branch: a changed entry copies at most this many page pointers, and a million entries are some 60 branches.
const BRANCH_MAX: usize = 128;
const BRANCH_MIN: usize = 16;

/// `key` orders first; entries of one key are ordered by the index (see [`EntryOrder`]) and at last by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: u64,
    pub(crate) id: RowId,
}

/// The total order of an index's entries.
pub(super) trait EntryOrder {
    fn compare(&self, a: &Entry, b: &Entry) -> Ordering;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Insert(Entry),
    Delete(Entry),
}

impl Change {
    pub(super) fn entry(&self) -> &Entry {
        match self {
            Change::Insert(entry) | Change::Delete(entry) => entry,
        }
    }
}

/// An entry to delete was not there: the index no longer describes its table and must not be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an index entry to delete is missing")]
pub(super) struct MissingEntry;

type Page = Vec<Entry>;

#[derive(Clone, Debug)]
struct Child<T> {
    /// The least entry below.
    first: Entry,
    below: Arc<T>,
}

type Branch = Vec<Child<Page>>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    branches: Vec<Child<Branch>>,
    len: usize,
}

impl Tree {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Entries in order, from the first one for which `before` is false. `before` must be true for a prefix of the
    /// order and false from there on.
    pub(crate) fn seek(&self, before: impl Fn(&Entry) -> bool) -> Cursor<'_> {
        let branch = self.branches.partition_point(|child| before(&child.first)).saturating_sub(1);
        let Some(child) = self.branches.get(branch) else {
            return Cursor { tree: self, branch: 0, page: 0, entries: &[] };
        };
        let page = child.below.partition_point(|child| before(&child.first)).saturating_sub(1);
        let entries = &child.below[page].below[..];
        let start = entries.partition_point(before);
        Cursor { tree: self, branch, page, entries: &entries[start..] }
    }

    pub(crate) fn iter(&self) -> Cursor<'_> {
        self.seek(|_| false)
    }

    /// Applies changes that are sorted by `order` (a delete and an insert of one entry do not meet).
    pub(super) fn apply(&mut self, changes: &[Change], order: &impl EntryOrder) -> Result<(), MissingEntry> {
        if changes.is_empty() {
            return Ok(());
        }
        if self.branches.is_empty() {
            let mut entries = Vec::with_capacity(changes.len());
            merge(&[], changes, order, &mut entries)?;
            self.rebuild(entries);
            return Ok(());
        }
        let mut rest = changes;
        let mut number = 0;
        while !rest.is_empty() && number < self.branches.len() {
            let mine = match self.branches.get(number + 1) {
                Some(next) => rest.partition_point(|change| order.compare(change.entry(), &next.first).is_lt()),
                None => rest.len(),
            };
            let (now, later) = rest.split_at(mine);
            rest = later;
            if now.is_empty() {
                number += 1;
                continue;
            }
            let (pages, grown) = changed_pages(&self.branches[number].below, now, order)?;
            self.len = self.len.strict_add_signed(grown);
            let replacement = divide(pages, BRANCH_MAX);
            let count = replacement.len();
            self.branches.splice(number..=number, replacement);
            number += count;
        }
        join_small(&mut self.branches, BRANCH_MIN, BRANCH_MAX);
        Ok(())
    }

    /// Replaces the content by sorted entries.
    pub(super) fn rebuild(&mut self, entries: Vec<Entry>) {
        // Three quarters full: the first random insertions then do not split every page.
        const FILL: usize = PAGE_MAX * 3 / 4;
        const BRANCH_FILL: usize = BRANCH_MAX * 3 / 4;
        self.len = entries.len();
        let pages: Vec<Child<Page>> = entries.chunks(FILL).map(|page| child(page.to_vec())).collect();
        self.branches = pages
            .chunks(BRANCH_FILL)
            .map(|branch| Child { first: branch[0].first, below: Arc::new(branch.to_vec()) })
            .collect();
    }

    pub(super) fn bytes(&self) -> usize {
        let pages = self.branches.iter().flat_map(|branch| branch.below.iter());
        pages.map(|page| page.below.capacity() * size_of::<Entry>() + size_of::<Child<Page>>()).sum()
    }
}

/// Walks entries in order.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    tree: &'a Tree,
    branch: usize,
    page: usize,
    entries: &'a [Entry],
}

impl Iterator for Cursor<'_> {
    type Item = Entry;

    #[inline]
    fn next(&mut self) -> Option<Entry> {
        loop {
            if let Some((&entry, rest)) = self.entries.split_first() {
                self.entries = rest;
                return Some(entry);
            }
            let branch = self.tree.branches.get(self.branch)?;
            match branch.below.get(self.page + 1) {
                Some(page) => {
                    self.page += 1;
                    self.entries = &page.below;
                }
                None => {
                    self.branch += 1;
                    self.page = 0;
                    self.entries = &self.tree.branches.get(self.branch)?.below[0].below;
                }
            }
        }
    }
}

fn child(page: Page) -> Child<Page> {
    Child { first: page[0], below: Arc::new(page) }
}

/// The pages of a branch after sorted changes that all belong to it, and by how many entries it grew.
fn changed_pages(
    pages: &[Child<Page>],
    changes: &[Change],
    order: &impl EntryOrder,
) -> Result<(Branch, isize), MissingEntry> {
    let mut out: Branch = Vec::with_capacity(pages.len() + 2);
    let mut grown = 0;
    let mut rest = changes;
    for (number, page) in pages.iter().enumerate() {
        let mine = match pages.get(number + 1) {
            Some(next) if !rest.is_empty() => {
                rest.partition_point(|change| order.compare(change.entry(), &next.first).is_lt())
            }
            Some(_) => 0,
            None => rest.len(),
        };
        let (now, later) = rest.split_at(mine);
        rest = later;
        if now.is_empty() {
            out.push(page.clone());
            continue;
        }
        let mut entries = Vec::with_capacity(page.below.len() + now.len());
        merge(&page.below, now, order, &mut entries)?;
        grown += entries.len() as isize - page.below.len() as isize;
        if entries.len() <= PAGE_MAX {
            if !entries.is_empty() {
                out.push(child(entries));
            }
        } else {
            let parts = entries.len().div_ceil(PAGE_MAX * 3 / 4);
            let size = entries.len().div_ceil(parts);
            out.extend(entries.chunks(size).map(|part| child(part.to_vec())));
        }
    }
    join_small(&mut out, PAGE_MIN, PAGE_MAX);
    Ok((out, grown))
}

/// Old entries and sorted changes, merged.
fn merge(
    mut old: &[Entry],
    changes: &[Change],
    order: &impl EntryOrder,
    out: &mut Vec<Entry>,
) -> Result<(), MissingEntry> {
    for change in changes {
        let before = old.partition_point(|entry| order.compare(entry, change.entry()).is_lt());
        out.extend_from_slice(&old[..before]);
        old = &old[before..];
        match change {
            Change::Insert(entry) => out.push(*entry),
            Change::Delete(entry) => match old.split_first() {
                Some((found, rest)) if found.id == entry.id => old = rest,
                _ => return Err(MissingEntry),
            },
        }
    }
    out.extend_from_slice(old);
    Ok(())
}

/// Cuts a run of pages into branches of at most `max`.
fn divide(pages: Branch, max: usize) -> Vec<Child<Branch>> {
    if pages.is_empty() {
        return Vec::new();
    }
    let size = pages.len().div_ceil(pages.len().div_ceil(max));
    if size == pages.len() {
        return vec![Child { first: pages[0].first, below: Arc::new(pages) }];
    }
    pages.chunks(size).map(|part| Child { first: part[0].first, below: Arc::new(part.to_vec()) }).collect()
}

/// Joins neighbours while one of them is below `min` and both fit into `max`.
fn join_small<T: Clone>(children: &mut Vec<Child<Vec<T>>>, min: usize, max: usize) {
    let mut number = 0;
    while number + 1 < children.len() {
        let (a, b) = (children[number].below.len(), children[number + 1].below.len());
        if a.min(b) < min && a + b <= max {
            let next = children.remove(number + 1);
            Arc::make_mut(&mut children[number].below).extend(next.below.iter().cloned());
        } else {
            number += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;
    use std::collections::BTreeSet;

    struct ById;
    impl EntryOrder for ById {
        fn compare(&self, a: &Entry, b: &Entry) -> Ordering {
            (a.key, a.id).cmp(&(b.key, b.id))
        }
    }

    fn entry((key, id): (u64, u32)) -> Entry {
        Entry { key, id: RowId(id) }
    }

    /// Random batches against a BTreeSet; older versions must not change.
    #[test]
    fn equals_a_set_of_pairs() {
        let mut rng = weir_tests::rng::seeded("tree");
        let mut tree = Tree::default();
        let mut model = BTreeSet::new();
        let mut versions = Vec::new();
        for round in 0..120 {
            let size = [1, 5, 400, 5_000][rng.random_range(0..4)];
            let shrink = round % 40 > 30;
            let mut changes = BTreeSet::new();
            for _ in 0..size {
                let pair = (rng.random_range(0..2_000u64) * 7, rng.random_range(0..20u32));
                if model.contains(&pair) {
                    changes.insert((pair, false));
                } else if !shrink {
                    changes.insert((pair, true));
                }
            }
            if shrink {
                let gone: Vec<_> = model.iter().copied().filter(|_| rng.random_bool(0.6)).collect();
                changes.extend(gone.into_iter().map(|pair| (pair, false)));
            }
            let list: Vec<Change> = changes
                .iter()
                .map(|&(pair, add)| if add { Change::Insert(entry(pair)) } else { Change::Delete(entry(pair)) })
                .collect();
            tree.apply(&list, &ById).expect("every deleted entry exists");
            for (pair, add) in changes {
                if add {
                    model.insert(pair)
                } else {
                    model.remove(&pair)
                };
            }
            assert_eq!(tree.len(), model.len());
            let from = rng.random_range(0..15_000u64);
            let got: Vec<_> = tree.seek(|e| e.key < from).map(|e| (e.key, e.id.0)).collect();
            let want: Vec<_> = model.range((from, 0)..).copied().collect();
            assert_eq!(got, want, "seek {from} in round {round}");
            versions.push((tree.clone(), model.clone()));
        }
        for (tree, model) in versions {
            assert!(tree.iter().map(|e| (e.key, e.id.0)).eq(model.iter().copied()));
        }
    }

    #[test]
    fn deleting_what_is_not_there_is_an_error() {
        let mut tree = Tree::default();
        tree.apply(&[Change::Insert(entry((1, 1)))], &ById).expect("inserting cannot fail");
        assert_eq!(tree.apply(&[Change::Delete(entry((1, 2)))], &ById), Err(MissingEntry));
    }
}
