//! Memory: what rows occupy, and how they come near the processor. Sizes are estimates kept up incrementally: shared text is
//! counted at each place that holds it.

use std::hint::black_box;
use weir_planner::{Row, Value};

/// A row's entry in a bag: the fat pointer, its weight, and the hash table's slack.
pub(crate) const ENTRY_BYTES: usize = 28;

/// Reference counts in front of every shared allocation.
const SHARED_HEADER_BYTES: usize = 16;

/// What a row occupies on the heap.
pub(crate) fn row_bytes(row: &Row) -> usize {
    SHARED_HEADER_BYTES + size_of_val::<[Value]>(row) + row.iter().map(Value::heap_size).sum::<usize>()
}

/// Looks into every cache line of a row.
pub(crate) fn touch(row: &Row) {
    /// Values in a cache line, nearly.
    const STRIDE: usize = 2;
    row.iter().step_by(STRIDE).for_each(|value| _ = black_box(value.is_null()));
}

/// Looks at what the row's long values own.
pub(crate) fn touch_owned(row: &Row) {
    for value in row.iter() {
        match value {
            Value::Text(text) | Value::Bpchar(text) | Value::Jsonb(text) => _ = black_box(text.as_bytes().first()),
            Value::Bytea(bytes) | Value::Opaque(bytes) => _ = black_box(bytes.first()),
            _ => {}
        }
    }
}
