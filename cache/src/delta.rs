//! A change to a bag of rows.

use weir_planner::Row;

/// Rows with weights: +n inserted n times, -n deleted n times. Need not be consolidated unless said.
pub type Delta = Vec<(Row, i64)>;

/// Sums the weights of equal rows (image identity) and drops zeros; order is not kept.
pub fn consolidate(delta: &mut Delta) {
    if delta.len() < 2 {
        delta.retain(|(_, weight)| *weight != 0);
        return;
    }
    let mut sums: hashbrown::HashMap<Row, i64, foldhash::fast::RandomState> =
        hashbrown::HashMap::with_capacity_and_hasher(delta.len(), Default::default());
    for (row, weight) in delta.drain(..) {
        *sums.entry(row).or_insert(0) += weight;
    }
    delta.extend(sums.into_iter().filter(|(_, weight)| *weight != 0));
}
