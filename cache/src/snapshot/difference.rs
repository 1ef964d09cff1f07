//! By what two versions of a table differ. Versions share the chunks that did not change, so that finding this costs what
//! changed and not what is there, and a reader who has one version needs no log to come to another.

use super::directory::RowId;
use super::version::TableVersion;
use crate::Delta;
use std::sync::Arc;
use weir_planner::Row;

/// A walk over the rows by which one version differs from an earlier one: what is gone first, then what has come. Applied
/// to the rows of the one it gives those of the other, in whatever way the versions came about; a row that was moved in
/// memory is not mentioned.
///
/// Keeps both versions alive: at most the rows of two versions, however slowly it is walked.
#[derive(Debug)]
pub struct Difference {
    /// `None`: nothing, so that all rows have come.
    from: Option<Arc<TableVersion>>,
    to: Arc<TableVersion>,
    /// The next chunk to look at; those of `from` are counted before those of `to`.
    next: usize,
}

impl Difference {
    pub fn new(from: Option<Arc<TableVersion>>, to: Arc<TableVersion>) -> Difference {
        Difference { from, to, next: 0 }
    }

    /// Appends the differences of the next chunk that has some (rows with their weights; at most 1024 different ones). False:
    /// there are no more, and nothing was appended.
    pub fn step(&mut self, out: &mut Delta) -> bool {
        let before = out.len();
        let gone = self.from.as_ref().map_or(0, |from| from.chunks());
        while self.next < gone + self.to.chunks() && out.len() == before {
            match &self.from {
                Some(from) if self.next < gone => from.without(Some(&self.to), self.next, -1, out),
                from => self.to.without(from.as_deref(), self.next - gone, 1, out),
            }
            self.next += 1;
        }
        out.len() > before
    }
}

impl TableVersion {
    /// The two hold the same rows, and this is known without looking at them.
    pub fn is_same_content(&self, other: &TableVersion) -> bool {
        Arc::ptr_eq(&self.contents, &other.contents)
    }

    fn chunks(&self) -> usize {
        self.contents.store.chunks()
    }

    /// Rows of one chunk that `other` holds less often, with by how much.
    fn without(&self, other: Option<&TableVersion>, chunk: usize, sign: i64, out: &mut Delta) {
        let Some(other) = other else {
            out.extend(self.contents.store.iter_chunk(chunk).map(|(_, row, count)| (row.clone(), sign * count as i64)));
            return;
        };
        for (id, row, count) in self.contents.store.iter_chunk_besides(chunk, &other.contents.store) {
            let missing = count.saturating_sub(other.copies(id, row));
            if missing > 0 {
                out.push((row.clone(), sign * missing as i64));
            }
        }
    }

    /// How often this version holds this very row under this id.
    fn copies(&self, id: RowId, row: &Row) -> u64 {
        let store = &self.contents.store;
        if !store.is_used(id) || store.live_row(id).is_none() {
            return 0;
        }
        let (held, count) = store.row_and_count(id);
        if Arc::ptr_eq(held, row) || held == row { count } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delta::consolidate;
    use crate::{Position, Publisher};
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    use weir_planner::{ColumnType, RelationId, Value};

    const TABLE: RelationId = RelationId(1);

    fn rows(version: &TableVersion) -> Delta {
        let mut rows = Delta::new();
        version.for_each(&mut |row, count| rows.push((row.clone(), count)));
        rows
    }

    fn walked(from: Option<&Arc<TableVersion>>, to: &Arc<TableVersion>) -> Delta {
        let mut walk = Difference::new(from.cloned(), to.clone());
        let mut delta = Delta::new();
        while walk.step(&mut delta) {}
        assert!(!walk.step(&mut delta), "the walk stays at its end");
        delta
    }

    #[test]
    fn any_two_versions_differ_by_what_the_walk_says() {
        let mut rng = StdRng::seed_from_u64(41);
        let mut publisher = Publisher::new();
        let (int4, text) = (ColumnType::new(23), ColumnType::new(25));
        publisher.add(TABLE, vec![int4, text]);
        let mut present: Vec<Row> = Vec::new();
        let mut versions: Vec<Arc<TableVersion>> = Vec::new();
        for step in 1..400_u64 {
            let mut delta = Delta::new();
            // Rows come in floods now and then, so that chunks die and are compacted; some come twice.
            let (gone, come) = match step % 20 {
                0 => (present.len() * 9 / 10, 10),
                10 => (0, 3000),
                _ => (rng.random_range(0..4).min(present.len()), rng.random_range(0..4)),
            };
            for _ in 0..gone {
                delta.push((present.swap_remove(rng.random_range(0..present.len())), -1));
            }
            for _ in 0..come {
                let (number, word) = (rng.random_range(0..5000), ["a", "b"][rng.random_range(0..2)]);
                let row = Row::from(vec![Value::Int4(number), Value::text(word)]);
                delta.push((row.clone(), 1));
                present.push(row);
            }
            consolidate(&mut delta);
            publisher.apply(TABLE, &delta);
            publisher.stamp(TABLE, Position(step));
            versions.push(publisher.publish(Position(step)).tables[&TABLE].clone());
            let to = versions.last().expect("it was just pushed");
            for from in [None, versions.get(rng.random_range(0..versions.len())), versions.iter().rev().nth(1)] {
                let mut sum = from.map_or(Delta::new(), |from| rows(from));
                sum.extend(walked(from, to));
                sum.extend(rows(to).into_iter().map(|(row, weight)| (row, -weight)));
                consolidate(&mut sum);
                assert!(sum.is_empty(), "step {step}: off by {sum:?}");
            }
            assert!(walked(Some(to), to).is_empty());
        }
    }

    #[test]
    fn one_changed_row_of_many_is_all_that_is_told() {
        let mut publisher = Publisher::new();
        publisher.add(TABLE, vec![ColumnType::new(23)]);
        let row = |n: i32| Row::from(vec![Value::Int4(n)]);
        let version = |publisher: &mut Publisher, position, delta: &Delta| {
            publisher.apply(TABLE, delta);
            publisher.stamp(TABLE, Position(position));
            publisher.publish(Position(position)).tables[&TABLE].clone()
        };
        let first = version(&mut publisher, 1, &(0..10_000).map(|n| (row(n), 1)).collect());
        let second = version(&mut publisher, 2, &vec![(row(77), -1), (row(-1), 2)]);
        assert_eq!(walked(Some(&first), &second), vec![(row(77), -1), (row(-1), 2)]);
        assert_eq!(walked(Some(&second), &first), vec![(row(-1), -2), (row(77), 1)]);
    }
}
