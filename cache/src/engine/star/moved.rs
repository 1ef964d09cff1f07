//! Driver rows that came or went in one step.

use crate::Delta;
use crate::delta::consolidate;
use crate::engine::bag::same;
use crate::engine::operator::{Batch, rows};
use crate::key::{KeyMap, KeySpec, KeyState};
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
    /// The same by image, when there are many.
    index: KeyMap<()>,
}

impl MovedDrivers {
    pub fn new(batches: &[Arc<Batch>], is_looked_up: bool) -> MovedDrivers {
        let mut moved: Delta = rows(batches).map(|(row, weight)| (row.clone(), weight)).collect();
        consolidate(&mut moved);
        let mut index = KeyMap::default();
        if is_looked_up && moved.len() > FEW_DRIVERS {
            moved.iter().for_each(|(row, _)| *index.get_or_insert(row, || ()) = ());
        }
        MovedDrivers { rows: moved, index }
    }

    #[inline]
    pub fn contains(&self, driver: &Row) -> bool {
        if !self.index.is_empty() {
            return self.index.get(driver).is_some();
        }
        self.rows.iter().any(|(row, _)| same(row, driver))
    }
}
