//! Values by rank: `percentile_cont`, `percentile_disc`.

use super::ordered::ByOrder;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use weir_planner::eval::{EvalContext, Tuple};
use weir_planner::functions::lookup;
use weir_planner::plan::{AggregateCall, AggregateKind};
use weir_planner::value::compare;
use weir_planner::{EvalError, Value};

/// An ordered multiset cut in two where it was last looked at. A row comes and goes in O(log n), and moves the wanted rank
/// by at most one place: to look again is to carry a value or two across the cut.
#[derive(Debug, Default)]
pub(crate) struct RankedValues {
    /// All values here are less than those in `high`.
    low: Half,
    high: Half,
    heap: usize,
}

#[derive(Debug, Default)]
struct Half {
    values: BTreeMap<ByOrder, i64>,
    count: i64,
}

impl Half {
    /// The change of the number of different values.
    fn add(&mut self, value: &Value, weight: i64) -> i64 {
        self.count += weight;
        let key = ByOrder(value.clone());
        if let Some(count) = self.values.get_mut(&key) {
            *count += weight;
            if *count == 0 {
                self.values.remove(&key);
                return -1;
            }
            return 0;
        }
        self.values.insert(key, weight);
        1
    }
}

impl RankedValues {
    pub fn add(&mut self, value: &Value, weight: i64) {
        let is_low = self.low.values.last_key_value().is_some_and(|(last, _)| last.order(value) != Ordering::Less);
        let half = if is_low { &mut self.low } else { &mut self.high };
        let size = size_of::<(ByOrder, i64)>() + value.heap_size();
        match half.add(value, weight) {
            1 => self.heap += size,
            -1 => self.heap = self.heap.saturating_sub(size),
            _ => {}
        }
    }

    fn count(&self) -> i64 {
        self.low.count + self.high.count
    }

    /// The value with that many others before it. Equal values that look different have no order that could be known.
    fn at(&mut self, rank: i64) -> Result<Value, EvalError> {
        loop {
            if self.low.count > rank
                && let Some((value, count)) = self.low.values.pop_last()
            {
                self.low.count -= count;
                self.high.count += count;
                self.high.values.insert(value, count);
            } else if let Some(entry) = self.high.values.first_entry()
                && self.low.count + entry.get() <= rank
            {
                let (value, count) = entry.remove_entry();
                self.high.count -= count;
                self.low.count += count;
                self.low.values.insert(value, count);
            } else {
                break;
            }
        }
        let mut from = self.high.values.keys();
        let Some(ByOrder(value)) = from.next() else {
            return Err(EvalError::unsupported("a rank beyond the last row"));
        };
        let mut neighbours = from.next().into_iter().chain(self.low.values.keys().next_back());
        if neighbours.any(|ByOrder(other)| compare(other, value) == Ordering::Equal) {
            return Err(EvalError::unsettled("a percentile that is one of several looks of equal values"));
        }
        Ok(value.clone())
    }

    /// `percentile_disc_final`, `percentile_cont_final_common` (orderedsetaggs.c).
    pub fn value(&mut self, call: &AggregateCall, context: &EvalContext) -> Result<Value, EvalError> {
        let fraction = match call.args.get(1).map(|fraction| fraction.eval(Tuple::single(&[]), context)) {
            Some(Value::Float8(fraction)) => fraction,
            Some(Value::Error(error)) => return Err((*error).clone()),
            _ => return Ok(Value::Null),
        };
        if !(0.0..=1.0).contains(&fraction) {
            return Err(EvalError::new("22003", format!("percentile value {fraction} is not between 0 and 1")));
        }
        let count = self.count();
        if count == 0 {
            return Ok(Value::Null);
        }
        let descending = call.order.first().is_some_and(|key| key.descending);
        let ranked = |rank: i64| if descending { count - 1 - rank } else { rank };
        if call.kind == AggregateKind::PercentileDisc {
            let number = (fraction * count as f64).ceil() as i64;
            return self.at(ranked(number.max(1) - 1));
        }
        let place = fraction * (count - 1) as f64;
        let low = self.at(ranked(place.floor() as i64))?;
        if place.floor() == place.ceil() {
            return Ok(low);
        }
        let high = self.at(ranked(place.ceil() as i64))?;
        // A compiler may fuse multiplication and addition, and round once: where that would be seen nothing is said.
        let proportion = place - place.floor();
        let fused = fraction.mul_add((count - 1) as f64, -place.floor());
        between(&low, &high, proportion, fused, context)
    }

    pub fn bytes(&self) -> usize {
        self.heap
    }
}

/// `float8_lerp`, `interval_lerp`.
fn between(low: &Value, high: &Value, proportion: f64, fused: f64, context: &EvalContext) -> Result<Value, EvalError> {
    let unsettled = || EvalError::unsettled("percentile_cont of which the processor decides the last digit");
    match (low, high) {
        (Value::Float8(low), Value::Float8(high)) if low.is_finite() && high.is_finite() => {
            let width = high - low;
            let value = low + proportion * width;
            let others = [low + fused * width, proportion.mul_add(width, *low), fused.mul_add(width, *low)];
            if value.is_finite() && others.iter().all(|other| other.to_bits() == value.to_bits()) {
                return Ok(Value::Float8(value));
            }
            Err(unsettled())
        }
        (Value::Interval(_), Value::Interval(_)) if proportion.to_bits() == fused.to_bits() => {
            let call = |symbol: &str, a: &Value, b: &Value| match lookup(symbol) {
                Some(function) => (function.eval)(&[a, b], context),
                None => Err(EvalError::unsupported(format!("{symbol} is not registered"))),
            };
            let width = call("interval_mi", high, low)?;
            let part = call("interval_mul", &width, &Value::Float8(proportion))?;
            call("interval_pl", &part, low)
        }
        _ => Err(unsettled()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    /// Ranks over random histories are those of the sorted list.
    #[test]
    fn ranks_follow_a_sorted_list() {
        let mut rng = StdRng::seed_from_u64(11);
        let (mut ranked, mut list): (RankedValues, Vec<i32>) = (RankedValues::default(), vec![]);
        for _ in 0..4000 {
            if !list.is_empty() && rng.random_bool(0.45) {
                let gone = list.swap_remove(rng.random_range(0..list.len()));
                ranked.add(&Value::Int4(gone), -1);
            } else {
                let come = rng.random_range(0..60);
                list.push(come);
                ranked.add(&Value::Int4(come), 1);
            }
            list.sort_unstable();
            assert_eq!(ranked.count(), list.len() as i64);
            if !list.is_empty() {
                let rank = rng.random_range(0..list.len());
                assert_eq!(ranked.at(rank as i64), Ok(Value::Int4(list[rank])));
            }
        }
        list.iter().for_each(|value| ranked.add(&Value::Int4(*value), -1));
        assert_eq!((ranked.count(), ranked.bytes()), (0, 0));
    }
}
