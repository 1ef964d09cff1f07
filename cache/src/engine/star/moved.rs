//! Driver rows that came or went in one step.

use crate::Delta;
use crate::delta::{consolidate, hash_columns};
use crate::engine::bag::same;
use crate::engine::operator::{Batch, rows};
use crate::key::{KeyMap, KeySpec, KeyState};
use hashbrown::HashTable;
use std::sync::Arc;
use weir_planner::Row;
use weir_planner::eval::EvalContext;

/// Up to this many are compared one by one with those that a link's change reaches.
const FEW_DRIVERS: usize = 8;

/// What drivers that went have looked up by this key.
pub(super) fn keys_of_gone(batches: &[Arc<Batch>], key: &KeySpec, eval: &EvalContext) -> KeyMap<()> {
    let mut keys = KeyMap::default();
    for (row, _) in rows(batches).filter(|(_, weight)| *weight < 0) {
        key.with_key(row, eval, |key, state| {
            if state == KeyState::Present {
                keys.get_or_insert(key, || ());
            }
        });
    }
    keys
}

pub(super) struct MovedDrivers {
    /// Consolidated.
    pub rows: Delta,
    /// Places of `rows` by these columns, which no two drivers share, when there are many.
    index: HashTable<u32>,
    unique: Vec<usize>,
}

impl MovedDrivers {
    /// `unique`: by which columns [`MovedDrivers::contains`] will be asked, if at all.
    pub fn new(batches: &[Arc<Batch>], unique: Option<Vec<usize>>) -> MovedDrivers {
        let mut moved: Delta = rows(batches).map(|(row, weight)| (row.clone(), weight)).collect();
        consolidate(&mut moved);
        let mut index = HashTable::new();
        let unique = unique.unwrap_or_default();
        if !unique.is_empty() && moved.len() > FEW_DRIVERS {
            let hash = |place: &u32| hash_columns(&moved[*place as usize].0, &unique);
            index.reserve(moved.len(), hash);
            (0..moved.len() as u32).for_each(|place| _ = index.insert_unique(hash(&place), place, hash));
        }
        MovedDrivers { rows: moved, index, unique }
    }

    /// Whether a driver that is there now came in this step: one with the same unique columns went, or is it.
    #[inline]
    pub fn contains(&self, driver: &Row) -> bool {
        if self.index.is_empty() {
            return self.rows.iter().any(|(row, _)| same(row, driver));
        }
        let is_it = |place: &u32| {
            let row = &self.rows[*place as usize].0;
            self.unique.iter().all(|&column| row[column] == driver[column])
        };
        self.index.find(hash_columns(driver, &self.unique), is_it).is_some()
    }
}
