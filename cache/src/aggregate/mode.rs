//! The most frequent value: `mode`.

use super::ordered::ByOrder;
use crate::key::canonical;
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};
use weir_planner::{EvalError, Value};

/// Classes of equal values, by value and by how many there are: a row comes and goes in O(log n).
#[derive(Debug, Default)]
pub(crate) struct ModeValues {
    classes: BTreeMap<ByOrder, Class>,
    /// None stands before all values of its frequency.
    frequencies: BTreeSet<(i64, Option<ByOrder>)>,
    heap: usize,
}

#[derive(Debug, Default)]
struct Class {
    count: i64,
    images: SmallVec<[(Value, i64); 1]>,
}

impl ModeValues {
    pub fn add(&mut self, value: &Value, weight: i64) {
        let key = ByOrder(canonical(value));
        let size = 2 * (size_of::<(ByOrder, Class)>() + value.heap_size());
        let class = self.classes.entry(key.clone()).or_insert_with(|| {
            self.heap += size;
            Class::default()
        });
        match class.images.iter().position(|(image, _)| image == value) {
            Some(at) => {
                class.images[at].1 += weight;
                if class.images[at].1 == 0 {
                    class.images.swap_remove(at);
                }
            }
            None => class.images.push((value.clone(), weight)),
        }
        let before = class.count;
        class.count += weight;
        let after = class.count;
        if class.images.is_empty() {
            self.classes.remove(&key);
            self.heap = self.heap.saturating_sub(size);
        }
        if before > 0 {
            self.frequencies.remove(&(before, Some(key.clone())));
        }
        if after > 0 {
            self.frequencies.insert((after, Some(key)));
        }
    }

    /// `mode_final`: of equally frequent values the first in the order.
    pub fn value(&self, descending: bool) -> Result<Value, EvalError> {
        let Some((most, last)) = self.frequencies.last() else { return Ok(Value::Null) };
        let found = match descending {
            true => last,
            false => match self.frequencies.range((*most, None)..).next() {
                Some((_, first)) => first,
                None => last,
            },
        };
        match found.as_ref().and_then(|key| self.classes.get(key)).map(|class| &class.images[..]) {
            Some([(image, _)]) => Ok(image.clone()),
            _ => Err(EvalError::unsettled("a mode that is one of several looks of equal values")),
        }
    }

    pub fn bytes(&self) -> usize {
        self.heap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_first_in_order() {
        let mut mode = ModeValues::default();
        assert_eq!(mode.value(false), Ok(Value::Null));
        for value in [3, 1, 2, 3, 1] {
            mode.add(&Value::Int4(value), 1);
        }
        assert_eq!((mode.value(false), mode.value(true)), (Ok(Value::Int4(1)), Ok(Value::Int4(3))));
        mode.add(&Value::Int4(3), -1);
        assert_eq!((mode.value(false), mode.value(true)), (Ok(Value::Int4(1)), Ok(Value::Int4(1))));
        for (value, weight) in [(1, -2), (2, -1), (3, -1)] {
            mode.add(&Value::Int4(value), weight);
        }
        assert_eq!((mode.value(true), mode.bytes()), (Ok(Value::Null), 0));
    }
}
