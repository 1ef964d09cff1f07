//! NUMERIC: unlimited precision, Postgres' display scale and division rules, NaN and infinities.

/// Placeholder representation until the arithmetic lands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Numeric(pub(crate) i64);
