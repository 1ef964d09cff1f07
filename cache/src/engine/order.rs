//! An ordered bag of rows with positions: sorted blocks, so that insertion, removal and access by position cost
//! about the square root of its size at worst and a few comparisons in practice.

use super::spec::OrderSpec;
use crate::aggregate::image_order;
use std::cmp::Ordering;
use std::sync::Arc;
use weir_planner::value::compare_nulls;
use weir_planner::{Row, Value};

/// Rows per block before it splits: a block's pointers move within a page or two.
const BLOCK_ROWS: usize = 256;

impl OrderSpec {
    /// The order SQL asks for: Equal means peers.
    #[inline]
    pub fn compare(&self, a: &[Value], b: &[Value]) -> Ordering {
        for key in &self.columns {
            let order = compare_nulls(&a[key.column], &b[key.column], key.descending, key.nulls_first);
            if order != Ordering::Equal {
                return order;
            }
        }
        Ordering::Equal
    }

    /// A total order: peers, whose order SQL leaves open, by their values, so that one state has one answer.
    pub fn compare_total(&self, a: &Row, b: &Row) -> Ordering {
        if Arc::ptr_eq(a, b) {
            return Ordering::Equal;
        }
        self.compare(a, b).then_with(|| {
            a.iter()
                .zip(b.iter())
                .map(|(a, b)| image_order(a, b))
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal)
        })
    }

    /// True when some key of the row failed: its place cannot be told.
    pub fn fails(&self, row: &[Value]) -> bool {
        self.columns.iter().any(|key| row[key.column].is_error())
    }
}

/// Rows with multiplicities in total order.
#[derive(Debug, Default)]
pub(crate) struct OrderedBag {
    blocks: Vec<Block>,
    /// Entries with a negative weight: rows whose insertion is still to come.
    early: usize,
}

#[derive(Debug, Default)]
struct Block {
    rows: Vec<(Row, i64)>,
    total: i64,
}

impl OrderedBag {
    /// Adds `weight` to the row's multiplicity; returns the position of its first copy, in rows counted with
    /// multiplicity.
    pub fn add(&mut self, row: &Row, weight: i64, order: &OrderSpec) -> i64 {
        if self.blocks.is_empty() {
            self.blocks.push(Block::default());
        }
        let index = self.block_of(row, order).min(self.blocks.len() - 1);
        let position: i64 = self.blocks[..index].iter().map(|block| block.total).sum();
        let block = &mut self.blocks[index];
        let found = block.rows.binary_search_by(|(own, _)| order.compare_total(own, row));
        let at = found.unwrap_or_else(|at| at);
        let position = position + block.rows[..at].iter().map(|(_, weight)| weight).sum::<i64>();
        block.total += weight;
        let before = found.map_or(0, |at| block.rows[at].1);
        self.early = self.early + usize::from(before + weight < 0) - usize::from(before < 0);
        match found {
            Ok(at) => {
                block.rows[at].1 += weight;
                if block.rows[at].1 == 0 {
                    block.rows.remove(at);
                }
            }
            Err(at) => block.rows.insert(at, (row.clone(), weight)),
        }
        if block.rows.is_empty() {
            self.blocks.remove(index);
        } else if block.rows.len() > BLOCK_ROWS {
            let rows = block.rows.split_off(BLOCK_ROWS / 2);
            let total = rows.iter().map(|(_, weight)| weight).sum();
            block.total -= total;
            self.blocks.insert(index + 1, Block { rows, total });
        }
        position
    }

    /// Position at which the row is, or would be inserted.
    pub fn position(&self, row: &Row, order: &OrderSpec) -> i64 {
        let index = self.block_of(row, order);
        let before: i64 = self.blocks[..index].iter().map(|block| block.total).sum();
        let Some(block) = self.blocks.get(index) else { return before };
        let at = block.rows.partition_point(|(own, _)| order.compare_total(own, row) == Ordering::Less);
        before + block.rows[..at].iter().map(|(_, weight)| weight).sum::<i64>()
    }

    /// Position of the first row that is a peer of `row`, or where it would be.
    pub fn peers_begin(&self, row: &[Value], order: &OrderSpec) -> i64 {
        self.first_not(|own| order.compare(own, row) == Ordering::Less)
    }

    /// Position behind the last row that is a peer of `row`, or where it would be.
    pub fn peers_finish(&self, row: &[Value], order: &OrderSpec) -> i64 {
        self.first_not(|own| order.compare(own, row) != Ordering::Greater)
    }

    /// Position of the first row for which this does not hold, which holds for all before it.
    pub fn first_not(&self, is_before: impl Fn(&Row) -> bool) -> i64 {
        let index = self.blocks.partition_point(|block| block.rows.last().is_some_and(|(last, _)| is_before(last)));
        let before: i64 = self.blocks[..index].iter().map(|block| block.total).sum();
        let Some(block) = self.blocks.get(index) else { return before };
        let at = block.rows.partition_point(|(own, _)| is_before(own));
        before + block.rows[..at].iter().map(|(_, weight)| weight).sum::<i64>()
    }

    /// Position behind the last peer of the row at `position`; the greatest number where there is none behind it.
    pub fn peers_end(&self, position: i64, order: &OrderSpec) -> i64 {
        let mut rows = self.positions_from(position);
        let Some((_, first, _)) = rows.next() else { return i64::MAX };
        rows.find(|(_, row, _)| order.compare(first, row) != Ordering::Equal).map_or(i64::MAX, |(at, _, _)| at)
    }

    /// The first block whose last row is not before `row`.
    fn block_of(&self, row: &Row, order: &OrderSpec) -> usize {
        self.blocks.partition_point(|block| {
            block.rows.last().is_some_and(|(last, _)| order.compare_total(last, row) == Ordering::Less)
        })
    }

    /// Entries from the one that holds `position` on, each with the position of its first copy.
    pub fn positions_from(&self, position: i64) -> impl Iterator<Item = (i64, &Row, i64)> {
        let mut start = 0;
        let mut first = 0;
        while first < self.blocks.len() && start + self.blocks[first].total <= position {
            start += self.blocks[first].total;
            first += 1;
        }
        let mut at = start;
        self.blocks[first..]
            .iter()
            .flat_map(|block| block.rows.iter())
            .map(move |(row, weight)| {
                let own = at;
                at += weight;
                (own, row, *weight)
            })
            .skip_while(move |(own, _, weight)| own + weight <= position)
    }

    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Rows with multiplicity.
    pub fn total(&self) -> i64 {
        self.blocks.iter().map(|block| block.total).sum()
    }

    /// Every row there is has come, so that positions count rows.
    pub fn is_whole(&self) -> bool {
        self.early == 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec::OrderColumn;
    use super::*;
    use rand::{Rng, SeedableRng};

    #[test]
    fn behaves_as_a_sorted_list() {
        let order = OrderSpec { columns: vec![OrderColumn { column: 0, descending: true, nulls_first: false }] };
        let mut random = rand::rngs::StdRng::seed_from_u64(3);
        let mut bag = OrderedBag::default();
        let mut list: Vec<Row> = vec![];
        for _ in 0..6000 {
            if !list.is_empty() && random.random_bool(0.4) {
                let row = list.swap_remove(random.random_range(0..list.len()));
                bag.add(&row, -1, &order);
            } else {
                let row: Row =
                    [Value::Int4(random.random_range(0..900)), Value::Int4(random.random_range(0..3))].into();
                bag.add(&row, 1, &order);
                list.push(row);
            }
        }
        list.sort_by(|a, b| order.compare_total(a, b));
        for start in [0, 1, 255, 256, 700, list.len() as i64 - 1] {
            let mut at = None;
            let tail: Vec<Row> = bag
                .positions_from(start)
                .flat_map(|(own, row, weight)| {
                    at = at.or(Some(own));
                    std::iter::repeat_n(row.clone(), weight as usize)
                })
                .collect();
            let begin = at.expect("the start is within the list") as usize;
            assert!(begin as i64 <= start);
            assert_eq!(tail, list[begin..]);
        }
    }
}
