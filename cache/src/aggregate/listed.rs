//! Values in an order the call gives: `string_agg`, `array_agg`.

use super::ordered::image_order;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use weir_planner::plan::SortKey;
use weir_planner::value::compare_nulls;
use weir_planner::{EvalError, Value};

/// The key's direction and where its NULLs go.
#[derive(Clone, Copy, Debug)]
struct Direction {
    descending: bool,
    nulls_first: bool,
}

/// One row: what it is sorted by, then its arguments.
#[derive(Debug)]
struct Entry {
    directions: Arc<[Direction]>,
    values: Box<[Value]>,
}

impl Entry {
    fn by_keys(&self, other: &Entry) -> Ordering {
        let pairs = self.values.iter().zip(&other.values).zip(self.directions.iter());
        let orders = pairs.map(|((a, b), key)| compare_nulls(a, b, key.descending, key.nulls_first));
        orders.fold(Ordering::Equal, Ordering::then)
    }
}

impl Ord for Entry {
    /// By the keys, then by anything that tells images apart.
    fn cmp(&self, other: &Entry) -> Ordering {
        self.by_keys(other).then_with(|| {
            let orders = self.values.iter().zip(&other.values).map(|(a, b)| image_order(a, b));
            orders.fold(Ordering::Equal, Ordering::then)
        })
    }
}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Entry {}

/// A multiset of rows in the call's order.
#[derive(Debug)]
pub(crate) struct ListedValues {
    directions: Arc<[Direction]>,
    rows: BTreeMap<Entry, i64>,
    /// Each class of equal arguments counts once.
    distinct: bool,
    heap: usize,
}

impl ListedValues {
    pub fn new(order: &[SortKey], distinct: bool) -> ListedValues {
        let direction = |key: &SortKey| Direction { descending: key.descending, nulls_first: key.nulls_first };
        ListedValues { directions: order.iter().map(direction).collect(), rows: BTreeMap::new(), distinct, heap: 0 }
    }

    /// `values`: the keys, then the arguments.
    pub fn add(&mut self, values: Box<[Value]>, weight: i64) {
        let size = values.iter().map(|value| size_of::<Value>() + value.heap_size()).sum::<usize>();
        let entry = Entry { directions: self.directions.clone(), values };
        if let Some(count) = self.rows.get_mut(&entry) {
            *count += weight;
            if *count == 0 {
                self.rows.remove(&entry);
                self.heap = self.heap.saturating_sub(size);
            }
        } else {
            self.rows.insert(entry, weight);
            self.heap += size;
        }
    }

    /// Calls `f` with each row's arguments in order. Rows that the keys leave equal and that differ have no order that
    /// could be known.
    pub fn for_each(&self, mut f: impl FnMut(&[Value])) -> Result<(), EvalError> {
        let keys = self.directions.len();
        let mut last: Option<&Entry> = None;
        for (entry, count) in self.rows.iter().filter(|(_, count)| **count > 0) {
            let arguments = &entry.values[keys..];
            if let Some(last) = last
                && last.by_keys(entry) == Ordering::Equal
                && last.values[keys..] != *arguments
            {
                return Err(EvalError::unsupported("an aggregate whose value depends on the order of equal rows"));
            }
            let is_new = last.is_none_or(|last| last.values[keys..] != *arguments);
            let copies = if self.distinct { i64::from(is_new) } else { *count };
            (0..copies).for_each(|_| f(arguments));
            last = Some(entry);
        }
        Ok(())
    }

    pub fn bytes(&self) -> usize {
        self.heap + self.rows.len() * size_of::<(Entry, i64)>()
    }
}
