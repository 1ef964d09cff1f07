//! Image identity: two values are the same image when Postgres would send the same bytes for them.

use super::Value;
use std::hash::{Hash, Hasher};

impl PartialEq for Value {
    /// Most keys are integers, and most values of rows that are compared are: they are compared where they stand.
    #[inline(always)]
    fn eq(&self, other: &Value) -> bool {
        use Value::*;
        match (self, other) {
            (Int4(a), Int4(b)) => a == b,
            (Int8(a), Int8(b)) => a == b,
            _ => self.is_same(other),
        }
    }
}

impl Value {
    fn is_same(&self, other: &Value) -> bool {
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
            (Text(a), Text(b)) | (Bpchar(a), Bpchar(b)) | (Jsonb(a), Jsonb(b)) => a == b,
            (Bytea(a), Bytea(b)) | (Opaque(a), Opaque(b)) => a == b,
            (Interval(a), Interval(b)) => a == b,
            (Uuid(a), Uuid(b)) => a == b,
            (Array(a), Array(b)) => a == b,
            (Range(a), Range(b)) => a == b,
            (Inet(a), Inet(b)) => a == b,
            (TimeTz(a, west), TimeTz(b, other)) => a == b && west == other,
            (Error(a), Error(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl Hash for Value {
    #[inline(always)]
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Value::Int4(v) => state.write_u64(*v as u64),
            Value::Int8(v) => state.write_u64(*v as u64),
            _ => self.hash_any(state),
        }
    }
}

impl Value {
    fn hash_any<H: Hasher>(&self, state: &mut H) {
        use Value::*;
        // One word per value for the fixed-size types. The variant is left out: values that meet in one table
        // have one type, and equality still tells the others apart.
        match self {
            Null => state.write_u64(0x9e37_79b9_7f4a_7c15),
            Bool(v) => state.write_u64(*v as u64),
            Int2(v) => state.write_u64(*v as u64),
            Int4(v) | Date(v) => state.write_u64(*v as u64),
            Int8(v) | Time(v) | Timestamp(v) | TimestampTz(v) => state.write_u64(*v as u64),
            Float4(v) => state.write_u64(v.to_bits() as u64),
            Float8(v) => state.write_u64(v.to_bits()),
            Numeric(v) => v.hash(state),
            Text(v) | Bpchar(v) | Jsonb(v) => v.hash(state),
            Bytea(v) | Opaque(v) => v.hash(state),
            Interval(v) => v.hash(state),
            Uuid(v) => v.hash(state),
            Array(v) => v.hash(state),
            Range(v) => v.hash(state),
            Inet(v) => v.hash(state),
            TimeTz(v, west) => (v, west).hash(state),
            Error(v) => v.hash(state),
        }
    }
}
