//! An ordered multiset of values, for MIN and MAX.

use crate::delta::hash_values;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use weir_planner::value::compare;
use weir_planner::{EvalError, Value};

/// What a tree entry costs beyond the value's own heap: the value, its count, and the tree's slack.
const ENTRY_BYTES: usize = (size_of::<Value>() + size_of::<i64>()) * 3 / 2;

/// Values by SQL order, images told apart, so that the extreme is always an image that is present.
#[derive(Debug, Default)]
pub(crate) struct OrderedValues {
    counts: BTreeMap<ByOrder, i64>,
    /// The last change, not yet in the tree: an update that leaves this argument alone takes it back at once.
    held: Option<(Value, i64)>,
    /// Nothing is taken back: only the greatest (true) or least values are kept.
    outermost: Option<bool>,
}

/// A value in [`image_order`].
#[derive(Clone, Debug)]
pub(super) struct ByOrder(pub Value);

impl ByOrder {
    pub fn order(&self, value: &Value) -> Ordering {
        image_order(&self.0, value)
    }
}

impl Ord for ByOrder {
    fn cmp(&self, other: &ByOrder) -> Ordering {
        image_order(&self.0, &other.0)
    }
}
impl PartialOrd for ByOrder {
    fn partial_cmp(&self, other: &ByOrder) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for ByOrder {
    fn eq(&self, other: &ByOrder) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for ByOrder {}

/// SQL order; different images of equal values in some fixed order.
pub(crate) fn image_order(a: &Value, b: &Value) -> Ordering {
    compare(a, b).then_with(|| {
        if a == b {
            Ordering::Equal
        } else {
            hash_values(std::slice::from_ref(a)).cmp(&hash_values(std::slice::from_ref(b)))
        }
    })
}

impl OrderedValues {
    /// For values that are only added, of which the least or the greatest is asked for.
    pub fn outermost(greatest: bool) -> OrderedValues {
        OrderedValues { outermost: Some(greatest), ..OrderedValues::default() }
    }

    #[inline]
    pub fn add(&mut self, value: &Value, weight: i64) {
        match &mut self.held {
            Some((held, held_weight)) if held == value => {
                *held_weight += weight;
                if *held_weight == 0 {
                    self.held = None;
                }
            }
            _ => {
                self.flush();
                self.held = Some((value.clone(), weight));
            }
        }
    }

    fn flush(&mut self) {
        let Some((value, weight)) = self.held.take() else { return };
        if let Some(greatest) = self.outermost
            && let Some((known, _)) = self.counts.first_key_value()
        {
            // Those that are kept are equal, and perhaps of several looks.
            match compare(&value, &known.0) {
                Ordering::Equal => {}
                order if order.is_gt() == greatest => self.counts.clear(),
                _ => return,
            }
        }
        let key = ByOrder(value);
        if let Some(count) = self.counts.get_mut(&key) {
            *count += weight;
            if *count == 0 {
                self.counts.remove(&key);
            }
        } else {
            self.counts.insert(key, weight);
        }
    }

    /// NULL when there is nothing.
    pub fn min(&mut self) -> Result<Value, EvalError> {
        self.flush();
        settled(self.counts.keys())
    }

    /// NULL when there is nothing.
    pub fn max(&mut self) -> Result<Value, EvalError> {
        self.flush();
        settled(self.counts.keys().rev())
    }

    pub fn bytes(&self) -> usize {
        self.counts.len() * ENTRY_BYTES
    }
}

/// The first value, unless its equal looks different (1.0 and 1.00): Postgres' choice is then the order of rows'.
fn settled<'v>(mut outermost: impl Iterator<Item = &'v ByOrder>) -> Result<Value, EvalError> {
    match (outermost.next(), outermost.next()) {
        (None, _) => Ok(Value::Null),
        (Some(value), Some(next)) if compare(&value.0, &next.0) == Ordering::Equal => {
            Err(EvalError::unsettled("an extreme that is one of several looks of equal values"))
        }
        (Some(value), _) => Ok(value.0.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_planner::Numeric;

    /// Every sequence of four of these values: what keeps the outermost only says what keeps all says.
    #[test]
    fn the_outermost_values_decide_as_all_values_do() {
        let values = ["1", "1.0", "2", "2.00", "NaN"].map(|text| Value::Numeric(Numeric::parse(text).unwrap()));
        let (mut settled, mut undecided) = (0, 0);
        for sequence in 0..values.len().pow(4) {
            let at = |place: u32| &values[sequence / values.len().pow(place) % values.len()];
            for greatest in [false, true] {
                let mut all = OrderedValues::default();
                let mut outermost = OrderedValues::outermost(greatest);
                (0..4).for_each(|place| {
                    [&mut all, &mut outermost].map(|state| state.add(at(place), 1)).into_iter().collect()
                });
                let [want, found] = [&mut all, &mut outermost].map(|s| if greatest { s.max() } else { s.min() });
                assert_eq!(found, want, "{sequence}");
                if want.is_ok() { settled += 1 } else { undecided += 1 }
            }
        }
        assert!(settled > 100 && undecided > 100, "{settled} {undecided}");
    }
}
