//! A bag of rows: small ones in line, large ones hashed by image so that removal stays constant time.

use crate::delta::{hash_columns, hash_values};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::sync::Arc;
use weir_planner::{Row, Value};

/// Above this many distinct rows a bag is hashed.
const INLINE_LIMIT: usize = 16;

/// Rows with multiplicities. Weights may be negative while a caller works through an unordered delta.
#[derive(Debug, Default)]
pub(crate) enum Bag {
    #[default]
    Empty,
    One((Row, i64)),
    Few(Vec<(Row, i64)>),
    Many(Box<HashedBag>),
}

/// By what the rows of a bag are told apart.
#[derive(Clone, Debug, Default)]
pub(crate) enum Identity {
    #[default]
    Whole,
    /// No two rows share their values in these columns. A row that comes need not be compared with those that are there; and
    /// were it equal to one after all, the two would only stand side by side.
    Columns(Box<[usize]>),
}

impl Identity {
    #[inline]
    fn hash(&self, row: &[Value]) -> u64 {
        match self {
            Identity::Whole => hash_values(row),
            Identity::Columns(columns) => hash_columns(row, columns),
        }
    }

    #[inline]
    fn may_be(&self, own: &[Value], row: &[Value]) -> bool {
        match self {
            Identity::Whole => own.first() == row.first(),
            Identity::Columns(columns) => columns.iter().all(|&column| own[column] == row[column]),
        }
    }

    /// Where this row is among a few, if it has to be there or may be.
    #[inline]
    fn place(&self, rows: &[(Row, i64)], row: &Row, weight: i64) -> Option<usize> {
        // Mostly it is the same allocation: then no row has to be fetched.
        let found = rows.iter().position(|(own, _)| Arc::ptr_eq(own, row));
        match self {
            Identity::Columns(_) if weight > 0 => found,
            _ => found.or_else(|| rows.iter().position(|(own, _)| own == row)),
        }
    }
}

impl Bag {
    /// Adds `weight` to the row's multiplicity. `identity` is always the same for a bag.
    pub fn add(&mut self, row: &Row, weight: i64, identity: &Identity) {
        match self {
            Bag::Empty => *self = Bag::One((row.clone(), weight)),
            Bag::One(own) => match identity.place(std::slice::from_ref(own), row, weight) {
                Some(_) => {
                    own.1 += weight;
                    if own.1 == 0 {
                        *self = Bag::Empty;
                    }
                }
                None => *self = Bag::Few(vec![own.clone(), (row.clone(), weight)]),
            },
            Bag::Few(rows) => {
                if let Some(index) = identity.place(rows, row, weight) {
                    rows[index].1 += weight;
                    if rows[index].1 == 0 {
                        rows.swap_remove(index);
                        if rows.is_empty() {
                            *self = Bag::Empty;
                        }
                    }
                } else if rows.len() < INLINE_LIMIT {
                    rows.push((row.clone(), weight));
                } else {
                    let mut many = HashedBag::default();
                    for (own, own_weight) in rows.drain(..) {
                        many.add(&own, own_weight, identity.hash(&own), |row| identity.hash(row));
                    }
                    many.add(row, weight, identity.hash(row), |row| identity.hash(row));
                    *self = Bag::Many(Box::new(many));
                }
            }
            Bag::Many(many) => {
                many.add(row, weight, identity.hash(row), |row| identity.hash(row));
                if many.is_empty() {
                    *self = Bag::Empty;
                }
            }
        }
    }

    /// Takes the row equal to this image out once; None when it is not there.
    pub fn take(&mut self, row: &Row, identity: &Identity) -> Option<Row> {
        let (stored, is_last) = match self {
            Bag::Empty => return None,
            Bag::One(own) if !same(&own.0, row) => return None,
            Bag::One((own, weight)) => {
                *weight -= 1;
                (own.clone(), *weight == 0)
            }
            Bag::Few(rows) => {
                let place = rows.iter().position(|(own, _)| same(own, row))?;
                rows[place].1 -= 1;
                let stored = if rows[place].1 == 0 { rows.swap_remove(place).0 } else { rows[place].0.clone() };
                (stored, rows.is_empty())
            }
            Bag::Many(many) => (many.take(row, identity.hash(row))?, many.is_empty()),
        };
        if is_last {
            *self = Bag::Empty;
        }
        Some(stored)
    }

    pub fn is_empty(&self) -> bool {
        matches!(self, Bag::Empty)
    }

    /// A row that may be the one equal to this image, as far as its identity tells.
    pub fn candidate(&self, row: &Row, identity: &Identity) -> Option<&Row> {
        match self {
            Bag::Empty => None,
            Bag::One((own, _)) => Some(own),
            Bag::Few(rows) => rows.iter().map(|(own, _)| own).find(|own| identity.may_be(own, row)),
            Bag::Many(many) => many.candidate(identity.hash(row)),
        }
    }

    /// Sum of the weights.
    pub fn total(&self) -> i64 {
        match self {
            Bag::Empty => 0,
            Bag::One((_, weight)) => *weight,
            Bag::Few(rows) => rows.iter().map(|(_, weight)| weight).sum(),
            Bag::Many(many) => many.total(),
        }
    }

    #[inline]
    pub fn for_each(&self, mut f: impl FnMut(&Row, i64)) {
        self.iter().for_each(|(row, weight)| f(row, *weight));
    }

    #[inline]
    pub fn iter(&self) -> BagRows<'_> {
        match self {
            Bag::Empty => BagRows::Listed([].iter()),
            Bag::One(row) => BagRows::Listed(std::slice::from_ref(row).iter()),
            Bag::Few(rows) => BagRows::Listed(rows.iter()),
            Bag::Many(many) => BagRows::Hashed(many.table.iter()),
        }
    }
}

/// Rows of a bag with their multiplicities.
pub(crate) enum BagRows<'a> {
    Listed(std::slice::Iter<'a, (Row, i64)>),
    Hashed(hashbrown::hash_table::Iter<'a, (Row, i64)>),
}

impl<'a> Iterator for BagRows<'a> {
    type Item = &'a (Row, i64);

    #[inline]
    fn next(&mut self) -> Option<&'a (Row, i64)> {
        match self {
            BagRows::Listed(rows) => rows.next(),
            BagRows::Hashed(rows) => rows.next(),
        }
    }
}

#[inline]
pub(crate) fn same(a: &Row, b: &Row) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

/// A large bag. The caller gives the hash, so that a table with a primary key can hash only that.
#[derive(Debug, Default)]
pub(crate) struct HashedBag {
    table: HashTable<(Row, i64)>,
    total: i64,
}

impl HashedBag {
    /// Adds `weight`; returns the row's multiplicity afterwards. `rehash` must agree with `hash`.
    pub fn add(&mut self, row: &Row, weight: i64, hash: u64, rehash: impl Fn(&[Value]) -> u64) -> i64 {
        self.total += weight;
        match self.table.entry(hash, |(own, _)| same(own, row), |(own, _)| rehash(own)) {
            Entry::Occupied(mut entry) => {
                entry.get_mut().1 += weight;
                let now = entry.get().1;
                if now == 0 {
                    entry.remove();
                }
                now
            }
            Entry::Vacant(entry) => {
                entry.insert((row.clone(), weight));
                weight
            }
        }
    }

    /// A row that may have this hash.
    pub fn candidate(&self, hash: u64) -> Option<&Row> {
        self.table.find(hash, |_| true).map(|(row, _)| row)
    }

    /// Takes the row equal to this image out once; None when it is not there.
    pub fn take(&mut self, row: &Row, hash: u64) -> Option<Row> {
        let mut entry = self.table.find_entry(hash, |(own, _)| same(own, row)).ok()?;
        self.total -= 1;
        match entry.get_mut() {
            (own, weight) if *weight != 1 => {
                *weight -= 1;
                Some(own.clone())
            }
            _ => Some(entry.remove().0.0),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Distinct rows.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn total(&self) -> i64 {
        self.total
    }

    pub fn for_each(&self, mut f: impl FnMut(&Row, i64)) {
        for (row, weight) in &self.table {
            f(row, *weight);
        }
    }

    /// The distinct rows.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.table.iter().map(|(row, _)| row)
    }

    /// Takes all rows out.
    pub fn drain(&mut self) -> Vec<(Row, i64)> {
        self.total = 0;
        std::mem::take(&mut self.table).into_iter().collect()
    }
}
