//! The indexes of one table on the publisher's side: built when readers ask, in slices; dropped when nobody reads them.

use super::demand::{DemandBoard, INDEX_MIN_ROWS};
use super::directory::RowId;
use super::index::{Index, IndexSpec};
use super::store::Store;
use std::sync::Arc;
use tracing::{debug, error};
use weir_planner::Value;

/// Indexes per table: each costs every changed row about half a microsecond.
pub const MAX_INDEXES: usize = 8;
/// An index is dropped when keeping it since its last use has cost this many times its build. A day of one change per
/// second on a thousand rows is less; an index nobody needs on a busy table of a million rows goes within the hour.
const IDLE_BUILDS: u64 = 32;
/// Least number of entry changes before an idle index goes, so that small tables do not forget theirs.
const IDLE_MIN_CHANGES: u64 = 1_000_000;

#[derive(Debug)]
struct Kept {
    index: Index,
    /// Entries changed since a reader was last seen to use it.
    idle_changes: u64,
    /// The use seen last.
    seen: u64,
}

/// An index being built: rows with ids below `next` are in it.
#[derive(Debug)]
struct Building {
    index: Index,
    next: usize,
}

#[derive(Debug, Default)]
pub(super) struct Indexes {
    pub(super) demands: Arc<DemandBoard>,
    kept: Vec<Kept>,
    building: Vec<Building>,
}

impl Indexes {
    /// The finished ones, as a version holds them.
    pub(super) fn share(&self) -> Vec<Index> {
        self.kept.iter().map(|kept| kept.index.clone()).collect()
    }

    /// Follows rows that died and were born; drops indexes that nobody has used for long.
    pub(super) fn follow(&mut self, store: &Store, died: &[RowId], born: &[RowId], generation: u64) {
        let limit = (store.distinct() as u64 * IDLE_BUILDS).max(IDLE_MIN_CHANGES);
        self.kept.retain_mut(|kept| {
            let used = kept.index.usage.last();
            if used > kept.seen {
                kept.seen = used;
                kept.idle_changes = 0;
            }
            kept.idle_changes += (died.len() + born.len()) as u64;
            if kept.idle_changes > limit {
                debug!(spec = ?kept.index.spec, generation, "dropping an index that is no longer read");
                return false;
            }
            follow(&mut kept.index, store, died, born)
        });
        self.building.retain_mut(|building| {
            let next = building.next;
            let covered = |ids: &[RowId]| ids.iter().copied().filter(|id| (id.0 as usize) < next).collect::<Vec<_>>();
            follow(&mut building.index, store, &covered(died), &covered(born))
        });
    }

    /// Whether a row in place of another leaves all indexes as they are.
    pub(super) fn are_same(&self, old: &[Value], new: &[Value]) -> bool {
        self.all().all(|index| index.is_same(old, new))
    }

    fn all(&self) -> impl Iterator<Item = &Index> {
        self.kept.iter().map(|kept| &kept.index).chain(self.building.iter().map(|building| &building.index))
    }

    /// Whether [`Indexes::build`] has work.
    pub(super) fn has_work(&self) -> bool {
        !self.building.is_empty() || self.demands.is_ready()
    }

    /// Spends up to `rows` rows on wanted indexes; true when one was finished.
    pub(super) fn build(&mut self, store: &Store, rows: &mut usize, generation: u64) -> bool {
        if self.demands.is_ready() {
            for spec in self.demands.take() {
                self.start(spec, store);
            }
        }
        let mut finished = false;
        while *rows > 0
            && let Some(building) = self.building.first_mut()
        {
            let mut born = Vec::new();
            while building.next < store.ids_end() && born.len() < *rows {
                let id = RowId(u32::try_from(building.next).expect("ids are 32 bits wide"));
                if store.is_used(id) {
                    born.push(id);
                }
                building.next += 1;
            }
            *rows = rows.saturating_sub(born.len());
            let sound = follow(&mut building.index, store, &[], &born);
            if !sound {
                self.building.remove(0);
            } else if building.next >= store.ids_end() {
                let index = self.building.remove(0).index;
                debug!(spec = ?index.spec, entries = index.len(), "index built");
                index.touch(generation);
                self.kept.push(Kept { index, idle_changes: 0, seen: generation });
                finished = true;
            }
        }
        finished
    }

    fn start(&mut self, spec: IndexSpec, store: &Store) {
        let is_known = self.kept.iter().any(|kept| *kept.index.spec == spec)
            || self.building.iter().any(|building| *building.index.spec == spec);
        if is_known || store.distinct() < INDEX_MIN_ROWS || self.kept.len() + self.building.len() >= MAX_INDEXES {
            return;
        }
        self.building.push(Building { index: Index::new(spec), next: 0 });
    }

    pub(super) fn bytes(&self) -> usize {
        self.all().map(Index::bytes).sum()
    }
}

/// False when the index turned out not to describe the table; it is then dropped: scans are always right.
fn follow(index: &mut Index, store: &Store, died: &[RowId], born: &[RowId]) -> bool {
    match index.apply(store, died, born) {
        Ok(()) => true,
        Err(cause) => {
            error!(spec = ?index.spec, %cause, "dropping a broken index");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::order_key::OrderedColumn;
    use super::super::table::Table;
    use super::*;
    use rand::Rng;
    use weir_planner::types::oid;
    use weir_planner::{ColumnType, Row};

    fn row(id: i64, payload: i64) -> Row {
        Arc::from([Value::Int8(id), Value::Int8(payload)])
    }

    /// Rows come, go and change while an index is built a few rows at a time: the finished one has all of them.
    #[test]
    fn an_index_built_in_slices_misses_nothing() {
        let mut rng = weir_tests::rng::seeded("indexes in slices");
        let ordered = OrderedColumn { column: 0, descending: true, nulls_first: true };
        for spec in [IndexSpec::Hash(vec![0]), IndexSpec::Ordered(vec![ordered])] {
            let mut table = Table::new(vec![ColumnType::new(oid::INT8), ColumnType::new(oid::INT8)]);
            let mut payloads: Vec<Option<i64>> = (0..2_000).map(|_| Some(0)).collect();
            let rows: Vec<(Row, i64)> = (0..2_000).map(|id| (row(id, 0), 1)).collect();
            table.apply(&rows, 0).expect("fits");
            for _ in 0..super::super::demand::DEMANDS_TO_BUILD {
                table.indexes.demands.wish(&spec);
            }
            let mut slices = 0;
            while table.indexes.has_work() {
                table.indexes.build(&table.store, &mut 90, 1);
                slices += 1;
                let mut delta = Vec::new();
                let changed: Vec<usize> = (0..2_000).filter(|_| rng.random_bool(0.02)).collect();
                for id in changed {
                    let payload = &mut payloads[id];
                    let id = id as i64;
                    match *payload {
                        Some(known) if rng.random_bool(0.3) => {
                            delta.push((row(id, known), -1));
                            *payload = None;
                        }
                        Some(known) => {
                            delta.push((row(id, known), -1));
                            delta.push((row(id, known + 1), 1));
                            *payload = Some(known + 1);
                        }
                        None => {
                            delta.push((row(id, 7), 1));
                            *payload = Some(7);
                        }
                    }
                }
                table.apply(&delta, 1).expect("fits");
            }
            assert!(slices > 10, "{slices} slices");
            let index = &table.indexes.share()[0];
            assert_eq!(index.len(), payloads.iter().flatten().count());
            for (id, payload) in payloads.iter().enumerate() {
                let id = Value::Int8(id as i64);
                let found: Vec<&Row> = match &*index.spec {
                    IndexSpec::Hash(_) => index
                        .with_hash(index.hash([&id].into_iter()).expect("no NULL"))
                        .map(|id| table.store.row(id))
                        .collect(),
                    IndexSpec::Ordered(_) => {
                        let prefix = ordered.prefix(&id);
                        let same = index.seek(|entry| entry.key < prefix).take_while(|entry| entry.key == prefix);
                        same.map(|entry| table.store.row(entry.id)).collect()
                    }
                };
                let want: Vec<Row> =
                    payload.iter().map(|&payload| Arc::from([id.clone(), Value::Int8(payload)])).collect();
                assert!(found.into_iter().eq(want.iter()), "{id:?} should be {want:?}");
            }
        }
    }
}
