//! Driver rows that came or went in one step.

use crate::Delta;
use crate::delta::consolidate;
use crate::engine::bag::same;
use crate::engine::operator::{Batch, rows};
use crate::key::KeyMap;
use std::sync::Arc;
use weir_planner::Row;

/// Up to this many are compared one by one with those that a link's change reaches.
const FEW_DRIVERS: usize = 8;

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
