//! A change to a bag of rows.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use weir_planner::{Row, Value};

/// Rows with weights: +n inserted n times, -n deleted n times. Need not be consolidated unless said.
pub type Delta = Vec<(Row, i64)>;

/// Below this many rows comparing all pairs is cheaper than hashing every row.
const PAIRWISE_LIMIT: usize = 8;

/// One random seed per process, so that data cannot aim at collisions.
static SEED: std::sync::LazyLock<foldhash::fast::RandomState> = std::sync::LazyLock::new(Default::default);

/// Hash of an image: equal for identical values.
#[inline]
pub fn hash_values(values: &[Value]) -> u64 {
    use std::hash::{BuildHasher, Hash, Hasher};
    let mut hasher = SEED.build_hasher();
    for value in values {
        value.hash(&mut hasher);
    }
    hasher.finish()
}

/// [`hash_values`] of some of a row's values.
#[inline]
pub(crate) fn hash_columns(row: &[Value], columns: &[usize]) -> u64 {
    use std::hash::{BuildHasher, Hash, Hasher};
    let mut hasher = SEED.build_hasher();
    for &column in columns {
        row[column].hash(&mut hasher);
    }
    hasher.finish()
}

/// Sums the weights of equal rows (image identity) and drops zeros. Rows keep the order of their first appearance.
pub fn consolidate(delta: &mut Delta) {
    if delta.len() <= PAIRWISE_LIMIT {
        consolidate_pairwise(delta);
    } else if !consolidate_by(delta, hash_fixed_width, COLLISIONS_PER_ROW) {
        consolidate_by(delta, hash_values, usize::MAX);
    }
}

/// Hash of the first few fixed-width values: enough to tell most rows apart at a fraction of the cost of hashing text.
fn hash_fixed_width(row: &[Value]) -> u64 {
    use std::hash::{BuildHasher, Hash, Hasher};
    let mut hasher = SEED.build_hasher();
    let fixed = |value: &&Value| !matches!(value, Value::Text(_) | Value::Bpchar(_) | Value::Null | Value::Bool(_));
    for value in row.iter().filter(fixed).take(FIXED_WIDTH_VALUES) {
        value.hash(&mut hasher);
    }
    hasher.finish()
}

/// Values that [`hash_fixed_width`] looks at.
const FIXED_WIDTH_VALUES: usize = 4;

/// When rows compare unequal under one hash more often than this, the cheap hash does not tell them apart.
const COLLISIONS_PER_ROW: usize = 4;

/// Consolidates by this hash; false (and only weights moved between equal rows) when collisions become too many.
fn consolidate_by(delta: &mut Delta, hash: impl Fn(&[Value]) -> u64, collisions_per_row: usize) -> bool {
    // The table holds positions in the delta; each entry keeps its hash so that growth never touches a row again.
    let mut table: HashTable<(u64, u32)> = HashTable::with_capacity(delta.len());
    let mut collisions = delta.len().saturating_mul(collisions_per_row);
    for index in 0..delta.len() {
        if delta[index].1 == 0 {
            continue;
        }
        let hash = hash(&delta[index].0);
        let same = |&(other, position): &(u64, u32)| {
            if other != hash {
                return false;
            }
            let (a, b) = (&delta[position as usize].0, &delta[index].0);
            let same = std::sync::Arc::ptr_eq(a, b) || a == b;
            collisions = collisions.saturating_sub(usize::from(!same));
            same
        };
        match table.entry(hash, same, |&(hash, _)| hash) {
            Entry::Occupied(entry) => {
                let first = entry.get().1 as usize;
                delta[first].1 += delta[index].1;
                delta[index].1 = 0;
            }
            Entry::Vacant(entry) => {
                entry.insert((hash, index as u32));
            }
        }
        if collisions == 0 {
            return false;
        }
    }
    delta.retain(|(_, weight)| *weight != 0);
    true
}

fn consolidate_pairwise(delta: &mut Delta) {
    for index in 1..delta.len() {
        let (earlier, rest) = delta.split_at_mut(index);
        let (row, weight) = &mut rest[0];
        if let Some(first) = earlier.iter_mut().find(|(other, w)| *w != 0 && other == row) {
            first.1 += *weight;
            *weight = 0;
        }
    }
    delta.retain(|(_, weight)| *weight != 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n: i32) -> Row {
        Row::from(vec![Value::Int4(n)])
    }

    #[test]
    fn sums_equal_rows_and_drops_zeros_at_any_size() {
        for copies in [1, 3, 50] {
            let mut delta = Delta::new();
            for n in 0..copies {
                delta.push((row(n), 1));
                delta.push((row(n + 1), -1));
            }
            consolidate(&mut delta);
            delta.sort_by_key(|(_, weight)| *weight);
            assert_eq!(delta, vec![(row(copies), -1), (row(0), 1)]);
        }
    }

    #[test]
    fn rows_that_differ_only_in_text_are_told_apart() {
        let text = |n: i32| Row::from(vec![Value::Int4(1), Value::text(&n.to_string())]);
        let mut delta: Delta = (0..1000).flat_map(|n| [(text(n), 1), (text(n + 1), -1)]).collect();
        consolidate(&mut delta);
        assert_eq!(delta, vec![(text(0), 1), (text(1000), -1)]);
    }

    #[test]
    fn images_are_not_confused() {
        let mut delta = vec![(Row::from(vec![Value::Int4(1)]), 1), (Row::from(vec![Value::Int8(1)]), -1)];
        consolidate(&mut delta);
        assert_eq!(delta.len(), 2);
    }
}
