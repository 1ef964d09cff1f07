//! Keys by SQL equality: a set that numbers different keys from zero, for joins, groups and DISTINCT.

use super::ReadError;
use super::rows::Flat;
use crate::key::of_several_looks;
use hashbrown::HashTable;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};
use weir_planner::Value;

/// Keeps of each class of equal keys the image that came first.
#[derive(Debug)]
pub(super) struct KeySet {
    /// By number of a key to which equal ones have come that look different: in which columns they do.
    mixed: HashMap<u32, Box<[bool]>>,
    keys: Flat,
    numbers: HashTable<(u64, u32)>,
    hasher: foldhash::fast::RandomState,
}

impl KeySet {
    pub(super) fn new(width: usize) -> KeySet {
        KeySet { mixed: HashMap::new(), keys: Flat::new(width), numbers: HashTable::new(), hasher: Default::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Each key looks like all that are equal to it. Of others Postgres shows the one it meets first, which is not known.
    pub(super) fn settled(&self) -> Result<(), ReadError> {
        if self.mixed.is_empty() { Ok(()) } else { Err(ReadError::Eval(of_several_looks())) }
    }

    /// The key with this number as it is shown: error values where it is not known how it looks.
    pub(super) fn shown(&self, number: usize) -> impl Iterator<Item = Value> {
        let mixed = if self.mixed.is_empty() { None } else { self.mixed.get(&(number as u32)) };
        let is_mixed = move |column: usize| mixed.is_some_and(|mixed| mixed[column]);
        let shown = move |(column, value): (usize, &Value)| {
            if is_mixed(column) { of_several_looks().into() } else { value.clone() }
        };
        self.keys.row(number).iter().enumerate().map(shown)
    }

    fn hash(&self, key: &[Value]) -> u64 {
        let mut state = self.hasher.build_hasher();
        for value in key {
            if value.is_canonical() { value.hash(&mut state) } else { value.canonical().hash(&mut state) }
        }
        state.finish()
    }

    pub(super) fn find(&self, key: &[Value]) -> Option<usize> {
        let hash = self.hash(key);
        let found = self.numbers.find(hash, |(of, number)| *of == hash && same(self.keys.row(*number as usize), key));
        found.map(|(_, number)| *number as usize)
    }

    /// The key's number, and whether it is new.
    pub(super) fn number(&mut self, key: &[Value]) -> (usize, bool) {
        let hash = self.hash(key);
        let keys = &self.keys;
        let found = self.numbers.find(hash, |(of, number)| *of == hash && same(keys.row(*number as usize), key));
        if let Some((_, number)) = found {
            let known = keys.row(*number as usize);
            if known != key {
                let mixed = self.mixed.entry(*number).or_insert_with(|| vec![false; key.len()].into());
                mixed
                    .iter_mut()
                    .zip(known.iter().zip(key))
                    .for_each(|(mixed, (known, value))| *mixed |= known != value);
            }
            return (*number as usize, false);
        }
        let number = self.keys.len();
        let entry = (hash, u32::try_from(number).expect("the row budget of a read is below 2^32"));
        self.numbers.insert_unique(hash, entry, |(hash, _)| *hash);
        self.keys.push(key.iter().cloned());
        (number, true)
    }
}

/// SQL equality of keys of one type, NULLs being the same.
#[inline]
pub(super) fn same(a: &[Value], b: &[Value]) -> bool {
    a.iter().zip(b).all(|(a, b)| a == b || (!(a.is_canonical() && b.is_canonical()) && a.canonical() == b.canonical()))
}
