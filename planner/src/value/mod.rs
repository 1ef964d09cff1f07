//! Postgres values: representation, identity, SQL equality and order, text and binary images.
//!
//! `PartialEq`/`Eq`/`Hash` are *image identity* (1.0 and 1.00 differ), which is what a Z-set of rows needs;
//! SQL equality is image identity of [`Value::canonical`]; SQL order is [`compare`]. No operators live here
//! beyond those of [`Numeric`]; they are in [`crate::functions`].

mod array;
mod binary;
mod canonical;
pub(crate) mod datum;
mod error;
mod identity;
mod inet;
pub(crate) mod jsonb;
mod numeric;
mod order;
mod range;

pub use array::{Array, array_type, element_type};
pub use binary::{DecodeError, EncodeError, decode_binary, encode_binary};
pub use canonical::has_many_images;
pub use datum::DatumError;
pub use error::EvalError;
pub use inet::{Inet, IpVersion};
pub use numeric::{Numeric, NumericSpread, NumericSum, Spread};
pub use order::{compare, compare_floats, compare_nulls, compare_sort_keys};
pub use range::{Bounds, Place, Range, RangeBound, bound_type, of_flags, present};

use std::sync::Arc;

/// One row: shared, immutable.
pub type Row = Arc<[Value]>;

/// A Postgres value. The column's type says how to read it (`Text` serves text, varchar, name, unknown).
#[derive(Clone, Debug)]
pub enum Value {
    Null,
    Bool(bool),
    Int2(i16),
    Int4(i32),
    Int8(i64),
    Float4(f32),
    Float8(f64),
    Numeric(Numeric),
    Text(Arc<str>),
    /// char(n): trailing blanks are kept in the image and ignored in comparison.
    Bpchar(Arc<str>),
    Bytea(Arc<[u8]>),
    /// Days since 2000-01-01; `i32::MIN`/`i32::MAX` are the infinities.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 2000-01-01 00:00; `i64::MIN`/`i64::MAX` are the infinities.
    Timestamp(i64),
    /// Microseconds since 2000-01-01 00:00 UTC; `i64::MIN`/`i64::MAX` are the infinities.
    TimestampTz(i64),
    Interval(Arc<Interval>),
    Uuid(Arc<[u8; 16]>),
    Array(Arc<Array>),
    Range(Arc<Range>),
    /// inet and cidr.
    Inet(Inet),
    /// Microseconds since midnight and the zone's seconds west of Greenwich.
    TimeTz(i64, i32),
    /// A jsonb as `jsonb_out` prints it: members are unique and sorted, one space follows `:` and `,`.
    Jsonb(Arc<str>),
    /// Binary image (`typsend`) of a type without known operations.
    Opaque(Arc<[u8]>),
    /// The evaluation of this value failed; deleting the rows it came from heals it.
    Error(Arc<EvalError>),
}

/// Rows are arrays of values: a row of n columns costs 24·n bytes plus what its long values own.
const _: () = assert!(size_of::<Value>() <= 24);

/// `interval` as stored: the three fields do not mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interval {
    pub months: i32,
    pub days: i32,
    pub micros: i64,
}

impl Value {
    #[inline]
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    #[inline]
    pub fn is_error(&self) -> bool {
        matches!(self, Value::Error(_))
    }

    /// Whether a condition with this value passes: NULL and errors do not.
    #[inline]
    pub fn is_true(&self) -> bool {
        matches!(self, Value::Bool(true))
    }

    pub fn text(text: &str) -> Value {
        Value::Text(Arc::from(text))
    }

    pub fn interval(months: i32, days: i32, micros: i64) -> Value {
        Value::Interval(Arc::new(Interval { months, days, micros }))
    }

    /// Bytes this value owns on the heap (shared ones counted in full), for memory accounts.
    #[inline]
    pub fn heap_size(&self) -> usize {
        match self {
            Value::Int4(_) | Value::Int8(_) | Value::Date(_) | Value::Null => 0,
            _ => self.shared_size(),
        }
    }

    fn shared_size(&self) -> usize {
        /// Strong and weak counts in front of every shared allocation.
        const ARC_HEADER: usize = 16;
        match self {
            Value::Text(v) | Value::Bpchar(v) | Value::Jsonb(v) => ARC_HEADER + v.len(),
            Value::Bytea(v) | Value::Opaque(v) => ARC_HEADER + v.len(),
            Value::Interval(_) | Value::Uuid(_) => ARC_HEADER + 16,
            Value::Numeric(v) => v.heap_size(),
            Value::Array(v) => {
                let own: usize = v.elements.iter().map(Value::heap_size).sum();
                ARC_HEADER + size_of::<Array>() + size_of_val::<[Value]>(&v.elements) + own
            }
            Value::Range(v) => ARC_HEADER + v.heap_size(),
            Value::Error(v) => ARC_HEADER + size_of::<EvalError>() + v.message.len(),
            _ => 0,
        }
    }
}

impl From<EvalError> for Value {
    #[cold]
    fn from(error: EvalError) -> Value {
        Value::Error(Arc::new(error))
    }
}

impl From<Result<Value, EvalError>> for Value {
    #[inline]
    fn from(result: Result<Value, EvalError>) -> Value {
        match result {
            Ok(value) => value,
            Err(error) => error.into(),
        }
    }
}
