//! The classes of equal values of a DISTINCT aggregate.

use crate::key::{KeyMap, canonical};
use weir_planner::Value;

/// Values by SQL equality, with how often each occurs and the image that stands for it.
#[derive(Debug, Default)]
pub(crate) struct DistinctValues {
    classes: KeyMap<Class>,
}

#[derive(Debug)]
struct Class {
    /// The first image seen; kept as long as the class lives, so that what was added is what is taken back.
    image: Value,
    count: i64,
}

impl DistinctValues {
    /// Counts the value; when its class appears or vanishes: its image, with +1 or -1.
    #[inline]
    pub fn add(&mut self, value: &Value, weight: i64) -> Option<(Value, i64)> {
        let key = canonical(value);
        let key = std::slice::from_ref(&key);
        let class = self.classes.get_or_insert(key, || Class { image: value.clone(), count: 0 });
        let before = class.count;
        class.count += weight;
        let after = class.count;
        // Weights may dip below zero inside one unordered delta; the class counts only while it is above.
        if after == 0 {
            let class = self.classes.remove(key)?;
            return (before > 0).then_some((class.image, -1));
        }
        match (before > 0, after > 0) {
            (false, true) => Some((class.image.clone(), 1)),
            (true, false) => Some((class.image.clone(), -1)),
            _ => None,
        }
    }

    /// Number of distinct values.
    pub fn len(&self) -> i64 {
        self.classes.len() as i64
    }

    pub fn bytes(&self) -> usize {
        self.classes.bytes()
    }
}
