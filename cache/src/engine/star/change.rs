//! What changed in one link, by key: the difference in what drivers with this key are joined to.

use super::spec::LinkSpec;
use crate::Delta;
use crate::engine::arrangement::Arrangement;
use crate::engine::bag::Bag;
use crate::engine::operator::{Batch, rows};
use crate::key::{KeyMap, KeyState};
use std::cell::OnceCell;
use std::sync::Arc;
use weir_planner::eval::EvalContext;
use weir_planner::{Row, Value};

/// The change under one key.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// As it came, not consolidated.
    rows: Delta,
    /// Difference in the joined rows, with the row of NULLs where matches appear or vanish; consolidated.
    pub difference: Delta,
    /// The difference is one row for another: output columns that read neither's differing columns stand still.
    pub replacement: Option<Replacement>,
    /// At most one row is joined to a driver, before and after.
    pub is_single: bool,
    before: OnceCell<Delta>,
}

#[derive(Debug)]
pub(super) struct Replacement {
    pub old: Row,
    pub new: Row,
    /// Output columns that may differ, ascending.
    pub dirty: Vec<usize>,
}

impl Change {
    /// The rows joined before the change.
    pub fn before(&self, link: &LinkSpec, bag: Option<&Bag>, absent: &Row) -> &Delta {
        self.before.get_or_init(|| {
            let mut rows: Delta = self.rows.iter().map(|(row, weight)| (row.clone(), -weight)).collect();
            rows.extend(bag.into_iter().flat_map(Bag::iter).cloned());
            crate::delta::consolidate(&mut rows);
            if rows.is_empty() && link.outer {
                rows.push((absent.clone(), 1));
            }
            rows
        })
    }

    /// Works out the difference. `dirty` gives the output columns that read any of these columns of the link's row;
    /// None when a condition does.
    fn settle(
        &mut self,
        link: &LinkSpec,
        bag: Option<&Bag>,
        absent: &Row,
        dirty: impl Fn(&[usize]) -> Option<Vec<usize>>,
    ) {
        let now = bag.map_or(0, Bag::total);
        let before = now - self.rows.iter().map(|(_, weight)| weight).sum::<i64>();
        self.difference = self.rows.clone();
        if link.outer && (now == 0) != (before == 0) {
            self.difference.push((absent.clone(), if now == 0 { 1 } else { -1 }));
        }
        crate::delta::consolidate(&mut self.difference);
        self.is_single = now <= 1 && before <= 1;
        if let [(a, -1), (b, 1)] | [(b, 1), (a, -1)] = self.difference.as_slice() {
            let differing: Vec<usize> = (0..link.width).filter(|&column| a[column] != b[column]).collect();
            self.replacement = dirty(&differing).map(|dirty| Replacement { old: a.clone(), new: b.clone(), dirty });
        }
    }

    /// True when no output can change.
    pub fn is_void(&self) -> bool {
        self.difference.is_empty() || self.replacement.as_ref().is_some_and(|replacement| replacement.dirty.is_empty())
    }
}

/// The changes of a link by key, of the keys by which some driver looks it up or has done so until now. Rows whose key is
/// NULL are joined to nothing; failed keys are counted.
#[allow(clippy::too_many_arguments)]
pub(super) fn changes(
    batches: &[Arc<Batch>],
    link: &LinkSpec,
    arrangement: &Arrangement,
    is_looked_up: impl Fn(&[Value]) -> bool,
    absent: &Row,
    dirty: impl Fn(&[usize]) -> Option<Vec<usize>>,
    eval: &EvalContext,
    errors: &mut i64,
) -> KeyMap<Change> {
    let mut changes: KeyMap<Change> = KeyMap::default();
    for (row, weight) in rows(batches) {
        link.key.with_key(row, eval, |key, state| match state {
            KeyState::Present if !is_looked_up(key) => {}
            KeyState::Present => changes.get_or_insert(key, Change::default).rows.push((row.clone(), weight)),
            KeyState::HasNull => {}
            KeyState::Failed => *errors += weight,
        });
    }
    for (key, change) in changes.iter_mut() {
        change.settle(link, arrangement.get(key.values()), absent, &dirty);
    }
    changes
}
