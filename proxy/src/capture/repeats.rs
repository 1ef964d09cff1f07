//! Texts that repeat within a column are held once: flags, states, kinds, names of which there are few. Every row of such a
//! column then shares an allocation with others instead of having its own.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use weir_planner::Value;
use weir_planner::types::oid;
use weir_planner::value::{DecodeError, decode_binary};

/// Texts remembered per column, each in the place that its hash gives.
const PLACES: usize = 64;
/// Longer ones are seldom from a short list.
const LONGEST_BYTES: usize = 32;
/// Texts after which a column is judged, and how many of them must have been there before for it to be worth the search.
const TRIED: u32 = 256;
const EXPECTED: u32 = 128;

/// What has lately been decoded of one table, by column.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    columns: Vec<Column>,
    hasher: RandomState,
}

#[derive(Debug)]
enum Column {
    /// The texts, how many were looked for and how many found.
    Tried { places: Box<[Option<Arc<str>>; PLACES]>, looked_for: u32, found: u32 },
    /// Its values do not repeat, or are no texts.
    GivenUp,
}

impl Column {
    fn new() -> Column {
        Column::Tried { places: Box::new([const { None }; PLACES]), looked_for: 0, found: 0 }
    }
}

impl Repeats {
    /// [`decode_binary`] of a value of this column.
    pub(super) fn decode(&mut self, column: usize, type_oid: u32, bytes: &[u8]) -> Result<Value, DecodeError> {
        if !matches!(type_oid, oid::TEXT | oid::VARCHAR | oid::BPCHAR) || bytes.len() > LONGEST_BYTES {
            return decode_binary(type_oid, bytes);
        }
        if self.columns.len() <= column {
            self.columns.resize_with(column + 1, Column::new);
        }
        let known = &mut self.columns[column];
        let Column::Tried { places, looked_for, found } = known else { return decode_binary(type_oid, bytes) };
        let place = &mut places[self.hasher.hash_one(bytes) as usize % PLACES];
        *looked_for += 1;
        if let Some(text) = place
            && text.as_bytes() == bytes
        {
            *found += 1;
            let text = text.clone();
            return Ok(if type_oid == oid::BPCHAR { Value::Bpchar(text) } else { Value::Text(text) });
        }
        let value = decode_binary(type_oid, bytes)?;
        if let Value::Text(text) | Value::Bpchar(text) = &value {
            *place = Some(text.clone());
        }
        if *looked_for >= TRIED {
            let is_worth_it = *found >= EXPECTED;
            (*looked_for, *found) = (0, 0);
            if !is_worth_it {
                *known = Column::GivenUp;
            }
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &Value) -> &Arc<str> {
        let (Value::Text(text) | Value::Bpchar(text)) = value else { panic!("{value:?} is no text") };
        text
    }

    #[test]
    fn values_are_those_of_the_bytes_and_repeated_texts_are_shared() {
        let mut repeats = Repeats::default();
        let mut flags = vec![];
        for number in 0..2_000 {
            // One after another: two of them may have one place.
            let flag = ["A", "N"][number / 1_000];
            let comment = format!("comment {number}");
            flags.push(repeats.decode(0, oid::BPCHAR, flag.as_bytes()).expect("text"));
            assert_eq!(flags[number], Value::Bpchar(flag.into()));
            let value = repeats.decode(1, oid::VARCHAR, comment.as_bytes()).expect("text");
            assert_eq!(value, Value::text(&comment));
            let integer = (number as i32).to_be_bytes();
            assert_eq!(repeats.decode(2, oid::INT4, &integer), Ok(Value::Int4(number as i32)));
        }
        assert!(Arc::ptr_eq(text(&flags[600]), text(&flags[603])), "the same flag");
        assert!(matches!(repeats.columns[1], Column::GivenUp), "comments do not repeat");
        assert!(repeats.decode(0, oid::BPCHAR, &[0xff]).is_err());
    }
}
