//! Postgres values. `PartialEq`/`Eq`/`Hash` are *image identity* (1.0 and 1.00 differ), which is what a
//! Z-set of rows needs; SQL equality is image identity of [`Value::canonical`]; SQL order is [`compare`].

mod numeric;

pub use numeric::Numeric;

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
    /// Binary image (`typsend`) of a type without known operations.
    Opaque(Arc<[u8]>),
    /// The evaluation of this value failed; deleting the rows it came from heals it.
    Error(Arc<EvalError>),
}

/// `interval` as stored: the three fields do not mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interval {
    pub months: i32,
    pub days: i32,
    pub micros: i64,
}

/// What Postgres would have raised.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{message}")]
pub struct EvalError {
    pub sqlstate: &'static str,
    pub message: String,
}

impl EvalError {
    pub fn new(sqlstate: &'static str, message: impl Into<String>) -> EvalError {
        EvalError { sqlstate, message: message.into() }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        use Value::*;
        match (self, other) {
            (Null, Null) => true,
            (Bool(a), Bool(b)) => a == b,
            (Int2(a), Int2(b)) => a == b,
            (Int4(a), Int4(b)) | (Date(a), Date(b)) => a == b,
            (Int8(a), Int8(b)) | (Time(a), Time(b)) => a == b,
            (Timestamp(a), Timestamp(b)) | (TimestampTz(a), TimestampTz(b)) => a == b,
            (Float4(a), Float4(b)) => a.to_bits() == b.to_bits(),
            (Float8(a), Float8(b)) => a.to_bits() == b.to_bits(),
            (Numeric(a), Numeric(b)) => a == b,
            (Text(a), Text(b)) | (Bpchar(a), Bpchar(b)) => a == b,
            (Bytea(a), Bytea(b)) | (Opaque(a), Opaque(b)) => a == b,
            (Interval(a), Interval(b)) => a == b,
            (Uuid(a), Uuid(b)) => a == b,
            (Error(a), Error(b)) => a == b,
            _ => false,
        }
    }
}
impl Eq for Value {}

impl std::hash::Hash for Value {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        use Value::*;
        std::mem::discriminant(self).hash(state);
        match self {
            Null => {}
            Bool(v) => v.hash(state),
            Int2(v) => v.hash(state),
            Int4(v) | Date(v) => v.hash(state),
            Int8(v) | Time(v) | Timestamp(v) | TimestampTz(v) => v.hash(state),
            Float4(v) => v.to_bits().hash(state),
            Float8(v) => v.to_bits().hash(state),
            Numeric(v) => v.hash(state),
            Text(v) | Bpchar(v) => v.hash(state),
            Bytea(v) | Opaque(v) => v.hash(state),
            Interval(v) => v.hash(state),
            Uuid(v) => v.hash(state),
            Error(v) => v.hash(state),
        }
    }
}
