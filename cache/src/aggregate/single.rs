//! The value of a scalar subquery: of the one row there is, NULL without rows, an error with more.

use smallvec::SmallVec;
use weir_planner::{EvalError, Value};

/// All rows' values, NULLs too, by image.
#[derive(Debug, Default)]
pub(crate) struct SingleValue {
    values: SmallVec<[(Value, i64); 1]>,
}

impl SingleValue {
    pub fn add(&mut self, value: &Value, weight: i64) {
        match self.values.iter().position(|(own, _)| own == value) {
            Some(at) => {
                self.values[at].1 += weight;
                if self.values[at].1 == 0 {
                    self.values.swap_remove(at);
                }
            }
            None => self.values.push((value.clone(), weight)),
        }
    }

    pub fn value(&self) -> Value {
        match &self.values[..] {
            [] => Value::Null,
            [(value, 1)] => value.clone(),
            _ => EvalError::new("21000", "more than one row returned by a subquery used as an expression").into(),
        }
    }

    pub fn bytes(&self) -> usize {
        self.values.iter().map(|(value, _)| size_of::<(Value, i64)>() + value.heap_size()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_or_an_error_that_heals() {
        let mut single = SingleValue::default();
        assert_eq!(single.value(), Value::Null);
        single.add(&Value::Null, 1);
        single.add(&Value::Int4(7), 1);
        assert!(single.value().is_error());
        single.add(&Value::Null, -1);
        assert_eq!(single.value(), Value::Int4(7));
        single.add(&Value::Int4(7), 1);
        assert!(single.value().is_error());
    }
}
