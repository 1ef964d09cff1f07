//! The classes of equal values of a DISTINCT aggregate.

use crate::key::{KeyMap, canonical};
use smallvec::SmallVec;
use weir_planner::Value;

/// Values by SQL equality.
#[derive(Debug, Default)]
pub(crate) struct DistinctValues {
    classes: KeyMap<Class>,
    /// Classes whose values do not look alike.
    mixed: usize,
}

#[derive(Debug)]
struct Class {
    /// How often each look occurs. Weights may dip below zero inside one unordered delta.
    looks: SmallVec<[(Value, i64); 1]>,
}

impl Class {
    /// The look that stands for the class where values are aggregated.
    fn shown(&self) -> Option<&Value> {
        self.looks.iter().find(|(_, count)| *count > 0).map(|(look, _)| look)
    }
}

impl DistinctValues {
    /// Counts the value; `told` hears which look stands for its class from now on (+1) and which does not any more (-1).
    #[inline]
    pub fn add(&mut self, value: &Value, weight: i64, mut told: impl FnMut(&Value, i64)) {
        let key = canonical(value);
        let key = std::slice::from_ref(&key);
        let class = self.classes.get_or_insert(key, || Class { looks: SmallVec::new() });
        let (before, was_mixed) = (class.shown().cloned(), class.looks.len() > 1);
        match class.looks.iter().position(|(look, _)| look == value) {
            None => class.looks.push((value.clone(), weight)),
            Some(at) => {
                class.looks[at].1 += weight;
                if class.looks[at].1 == 0 {
                    class.looks.remove(at);
                }
            }
        }
        match (was_mixed, class.looks.len() > 1) {
            (false, true) => self.mixed += 1,
            (true, false) => self.mixed -= 1,
            _ => {}
        }
        let after = class.shown();
        if before.as_ref() != after {
            before.iter().for_each(|look| told(look, -1));
            after.into_iter().for_each(|look| told(look, 1));
        }
        if class.looks.is_empty() {
            self.classes.remove(key);
        }
    }

    /// Postgres takes of each class the value that it meets first: all of them look alike, so that this is known.
    pub fn is_settled(&self) -> bool {
        self.mixed == 0
    }

    /// Number of distinct values.
    pub fn len(&self) -> i64 {
        self.classes.len() as i64
    }

    pub fn bytes(&self) -> usize {
        self.classes.bytes()
    }
}
