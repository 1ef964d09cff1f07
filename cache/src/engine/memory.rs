//! Memory accounts. Sizes are estimates kept up incrementally: shared text is counted at each place that holds it.

use weir_planner::{Row, Value};

/// A row's entry in a bag: the fat pointer, its weight, and the hash table's slack.
pub(crate) const ENTRY_BYTES: usize = 28;

/// Reference counts in front of every shared allocation.
const SHARED_HEADER_BYTES: usize = 16;

/// What a row occupies on the heap.
pub(crate) fn row_bytes(row: &Row) -> usize {
    SHARED_HEADER_BYTES + size_of_val::<[Value]>(row) + row.iter().map(Value::heap_size).sum::<usize>()
}
