//! Which columns tell the rows of a table apart, found by looking at some of its rows: a hash of one key column is a
//! fraction of a hash of the whole row, and stays the same when other columns are updated. Nothing relies on the
//! choice being right: rows of one hash are compared, and a choice that strains the map is replaced.

use hashbrown::HashSet;
use smallvec::SmallVec;
use std::hash::{BuildHasher, Hash, Hasher};
use weir_planner::{Row, Value};

/// Rows looked at, spread over all there are: a column that does not tell a hundredth of them apart is noticed.
const SAMPLE_ROWS: usize = 512;
/// Columns hashed at most; with more of them the whole row is as cheap.
const MAX_COLUMNS: usize = 4;
/// Choices that turned out wrong before the whole row is hashed for good.
const MAX_CHOICES: u32 = 3;

#[derive(Debug, Default)]
pub(super) struct Identity {
    hasher: foldhash::fast::RandomState,
    /// None: all of them.
    columns: Option<SmallVec<[usize; MAX_COLUMNS]>>,
    choices: u32,
}

impl Identity {
    /// Columns by which all rows looked at differ, leftmost first; a key usually stands there.
    pub(super) fn of<'a>(rows: impl ExactSizeIterator<Item = &'a Row>) -> Identity {
        let hasher = foldhash::fast::RandomState::default();
        let columns = choose(&sample(rows), &hasher);
        Identity { hasher, columns, choices: 1 }
    }

    /// Another choice, after the present one did not tell these rows apart.
    pub(super) fn widen<'a>(&mut self, rows: impl ExactSizeIterator<Item = &'a Row>) {
        let columns = choose(&sample(rows), &self.hasher);
        self.choices += 1;
        self.columns = columns.filter(|columns| self.choices <= MAX_CHOICES && Some(columns) != self.columns.as_ref());
    }

    #[inline]
    pub(super) fn hash(&self, row: &[Value]) -> u32 {
        let mut state = self.hasher.build_hasher();
        match &self.columns {
            Some(columns) => {
                // A row of another width is refused after it was looked up.
                for column in columns.iter().filter_map(|&column| row.get(column)) {
                    column.hash(&mut state);
                }
            }
            None => row.hash(&mut state),
        }
        (state.finish() >> 32) as u32
    }
}

fn sample<'a>(rows: impl ExactSizeIterator<Item = &'a Row>) -> Vec<&'a Row> {
    let step = rows.len().div_ceil(SAMPLE_ROWS).max(1);
    rows.step_by(step).collect()
}

/// The fewest columns, greedily, by which these rows all differ; None when there are none or too many.
fn choose(rows: &[&Row], hasher: &foldhash::fast::RandomState) -> Option<SmallVec<[usize; MAX_COLUMNS]>> {
    let width = rows.iter().map(|row| row.len()).min()?;
    let mut chosen = SmallVec::new();
    // Of each row, the hash of the columns chosen so far.
    let mut hashes = vec![0_u64; rows.len()];
    let mut classes = 0;
    while chosen.len() < MAX_COLUMNS {
        let (mut best, mut best_hashes) = (None, Vec::new());
        for column in (0..width).filter(|column| !chosen.contains(column)) {
            let extended: Vec<u64> =
                rows.iter().zip(&hashes).map(|(row, hash)| hasher.hash_one((hash, &row[column]))).collect();
            let apart = extended.iter().collect::<HashSet<_>>().len();
            if apart > classes {
                (classes, best, best_hashes) = (apart, Some(column), extended);
            }
            if apart == rows.len() {
                break;
            }
        }
        chosen.push(best?);
        if classes == rows.len() {
            return Some(chosen);
        }
        hashes = best_hashes;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(width: usize, value: impl Fn(i64, usize) -> i64) -> Vec<Row> {
        (0..2_000).map(|n| (0..width).map(|column| Value::Int8(value(n, column))).collect()).collect()
    }

    #[test]
    fn the_leftmost_key_is_chosen_and_two_columns_where_one_is_not_enough() {
        let keyed = rows(3, |n, column| [n % 7, n, n][column]);
        assert_eq!(Identity::of(keyed.iter()).columns.as_deref(), Some(&[1][..]));
        let pairs = rows(3, |n, column| [5, n % 50, n / 50][column]);
        let of_two = Identity::of(pairs.iter()).columns.expect("two columns are enough");
        assert_eq!(of_two.len(), 2);
        assert!(!of_two.contains(&0));
    }

    #[test]
    fn rows_that_few_columns_do_not_tell_apart_are_hashed_whole() {
        let bits = rows(16, |n, column| (n >> column) & 1);
        let identity = Identity::of(bits.iter());
        assert_eq!(identity.columns, None);
        assert_ne!(identity.hash(&bits[3]), identity.hash(&bits[4]));
    }

    #[test]
    fn a_choice_is_not_made_twice() {
        let keyed = rows(2, |n, column| [n, 3][column]);
        let mut identity = Identity::of(keyed.iter());
        assert_eq!(identity.columns.as_deref(), Some(&[0][..]));
        identity.widen(keyed.iter());
        assert_eq!(identity.columns, None);
    }
}
