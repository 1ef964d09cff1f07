//! A bag of rows: small ones in line, large ones hashed by image so that removal stays constant time.

use crate::delta::hash_values;
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

impl Bag {
    /// Adds `weight` to the row's multiplicity.
    pub fn add(&mut self, row: &Row, weight: i64) {
        match self {
            Bag::Empty => *self = Bag::One((row.clone(), weight)),
            Bag::One((own, own_weight)) => {
                if same(own, row) {
                    *own_weight += weight;
                    if *own_weight == 0 {
                        *self = Bag::Empty;
                    }
                } else {
                    *self = Bag::Few(vec![(own.clone(), *own_weight), (row.clone(), weight)]);
                }
            }
            Bag::Few(rows) => {
                if let Some(index) = rows.iter().position(|(own, _)| same(own, row)) {
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
                        many.add(&own, own_weight, hash_values(&own), hash_values);
                    }
                    many.add(row, weight, hash_values(row), hash_values);
                    *self = Bag::Many(Box::new(many));
                }
            }
            Bag::Many(many) => {
                many.add(row, weight, hash_values(row), hash_values);
                if many.is_empty() {
                    *self = Bag::Empty;
                }
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        matches!(self, Bag::Empty)
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

    /// The stored row equal to this image, with its multiplicity.
    pub fn find(&self, row: &Row, hash: u64) -> Option<&(Row, i64)> {
        self.table.find(hash, |(own, _)| same(own, row))
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

    /// Takes all rows out.
    pub fn drain(&mut self) -> Vec<(Row, i64)> {
        self.total = 0;
        std::mem::take(&mut self.table).into_iter().collect()
    }
}
