//! A chunk's rows column by column, made when a large scan first asks: values that are numbers lie side by side, values
//! that repeat are numbered. Slots are filled once, so what has been made of a full chunk holds for all versions of it.

use std::collections::HashMap;
use weir_planner::{Numeric, Value};

/// Different values of a column in one chunk that are numbered; a column with more is looked up in its rows.
pub(crate) const MAX_CODES: usize = 256;

/// One column of all slots of a chunk, dead ones too.
#[derive(Debug)]
pub(crate) enum Column {
    Numbers(Numbers),
    Codes(Codes),
}

/// Values of one kind that are whole numbers, in SQL order.
#[derive(Debug)]
pub(crate) struct Numbers {
    pub(crate) kind: Kind,
    /// Zero where the value is NULL.
    pub(crate) values: Box<[i64]>,
    /// One bit for each slot; absent while no value is NULL.
    pub(crate) nulls: Option<Box<[u64]>>,
}

/// How a number is read as a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Int2,
    Int4,
    Int8,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    /// Mantissas of this display scale.
    Numeric(u16),
}

/// Values that repeat.
#[derive(Debug)]
pub(crate) struct Codes {
    /// Per slot, an index into `values`.
    pub(crate) codes: Box<[u16]>,
    /// Different images, NULL among them, in the order of their first slots.
    pub(crate) values: Vec<Value>,
}

impl Kind {
    /// The kind and number of a value that is one.
    pub(crate) fn of(value: &Value) -> Option<(Kind, i64)> {
        Some(match value {
            Value::Int2(v) => (Kind::Int2, i64::from(*v)),
            Value::Int4(v) => (Kind::Int4, i64::from(*v)),
            Value::Int8(v) => (Kind::Int8, *v),
            Value::Date(v) => (Kind::Date, i64::from(*v)),
            Value::Time(v) => (Kind::Time, *v),
            Value::Timestamp(v) => (Kind::Timestamp, *v),
            Value::TimestampTz(v) => (Kind::TimestampTz, *v),
            Value::Numeric(v) => {
                let (mantissa, dscale) = v.mantissa()?;
                (Kind::Numeric(dscale), i64::try_from(mantissa).ok()?)
            }
            _ => return None,
        })
    }

    pub(crate) fn value(self, number: i64) -> Value {
        // It came from a value of this kind, so that nothing is cut off.
        match self {
            Kind::Int2 => Value::Int2(number as i16),
            Kind::Int4 => Value::Int4(number as i32),
            Kind::Int8 => Value::Int8(number),
            Kind::Date => Value::Date(number as i32),
            Kind::Time => Value::Time(number),
            Kind::Timestamp => Value::Timestamp(number),
            Kind::TimestampTz => Value::TimestampTz(number),
            Kind::Numeric(dscale) => Value::Numeric(Numeric::new(i128::from(number), dscale)),
        }
    }

    /// Digits behind the point that its numbers stand for.
    pub(crate) fn dscale(self) -> u16 {
        if let Kind::Numeric(dscale) = self { dscale } else { 0 }
    }
}

impl Numbers {
    #[inline]
    pub(crate) fn is_null(&self, offset: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls[offset / 64] >> (offset % 64) & 1 != 0)
    }
}

impl Column {
    /// None: the values are neither numbers of one kind nor few.
    pub(super) fn of<'v>(values: impl Iterator<Item = &'v Value> + Clone) -> Option<Column> {
        numbers(values.clone()).map(Column::Numbers).or_else(|| codes(values).map(Column::Codes))
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Column::Numbers(numbers) => {
                numbers.values.len() * size_of::<i64>() + numbers.nulls.as_ref().map_or(0, |nulls| nulls.len() * 8)
            }
            Column::Codes(codes) => codes.codes.len() * size_of::<u16>() + codes.values.len() * size_of::<Value>(),
        }
    }
}

fn numbers<'v>(values: impl Iterator<Item = &'v Value>) -> Option<Numbers> {
    let mut kind = None;
    let mut nulls: Vec<u64> = Vec::new();
    let mut numbers = Vec::with_capacity(values.size_hint().0);
    for (offset, value) in values.enumerate() {
        if value.is_null() {
            nulls.resize(nulls.len().max(offset / 64 + 1), 0);
            nulls[offset / 64] |= 1 << (offset % 64);
            numbers.push(0);
            continue;
        }
        let (of, number) = Kind::of(value)?;
        if *kind.get_or_insert(of) != of {
            return None;
        }
        numbers.push(number);
    }
    let has_nulls = !nulls.is_empty();
    nulls.resize(numbers.len().div_ceil(64), 0);
    Some(Numbers { kind: kind?, values: numbers.into(), nulls: has_nulls.then(|| nulls.into()) })
}

fn codes<'v>(values: impl Iterator<Item = &'v Value>) -> Option<Codes> {
    let mut known: HashMap<&Value, u16, foldhash::fast::RandomState> = HashMap::default();
    let mut different = Vec::new();
    let mut codes = Vec::with_capacity(values.size_hint().0);
    for value in values {
        if value.is_error() {
            return None;
        }
        let next = different.len();
        let code = *known.entry(value).or_insert(next as u16);
        if usize::from(code) == next {
            if next == MAX_CODES {
                return None;
            }
            different.push(value.clone());
        }
        codes.push(code);
    }
    Some(Codes { codes: codes.into(), values: different })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(text: &str) -> Value {
        Value::Numeric(Numeric::parse(text).unwrap())
    }

    #[test]
    fn numbers_of_one_kind_lie_side_by_side() {
        let values = [numeric("1.50"), Value::Null, numeric("-2.25")];
        let Some(Column::Numbers(numbers)) = Column::of(values.iter()) else { panic!("they are numbers") };
        assert_eq!((numbers.kind, &numbers.values[..]), (Kind::Numeric(2), &[150, 0, -225][..]));
        assert!(!numbers.is_null(0) && numbers.is_null(1));
        assert_eq!(numbers.kind.value(-225), values[2]);
    }

    #[test]
    fn what_is_no_number_is_numbered_while_it_repeats() {
        for values in [
            vec![numeric("1.5"), numeric("1.50"), numeric("NaN"), numeric("1.5")],
            vec![Value::Text("a".into()), Value::Null, Value::Text("b".into()), Value::Text("a".into())],
            vec![Value::Null; 4],
        ] {
            let Some(Column::Codes(codes)) = Column::of(values.iter()) else { panic!("they are few") };
            let read: Vec<Value> = codes.codes.iter().map(|code| codes.values[usize::from(*code)].clone()).collect();
            assert_eq!(read, values);
        }
        let many: Vec<Value> = (0..=MAX_CODES).map(|n| Value::Text(n.to_string().into())).collect();
        assert!(Column::of(many.iter()).is_none());
        assert!(Column::of(many[1..].iter()).is_some());
    }
}
