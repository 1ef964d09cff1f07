//! ORDER BY … LIMIT … OFFSET: all rows in order, the window's rows out.

use super::graph::NodeId;
use super::memory::{ENTRY_BYTES, row_bytes};
use super::operator::{Batch, Operator, Output, StepContext, rows};
use super::order::OrderedBag;
use super::spec::OrderSpec;
use crate::Delta;
use std::sync::Arc;
use weir_planner::Row;

pub(crate) struct TopKOperator {
    order: OrderSpec,
    offset: i64,
    /// Position after the last row of the window.
    end: i64,
    rows: OrderedBag,
    /// What is in the window as last emitted.
    window: Delta,
    heap: usize,
}

impl TopKOperator {
    pub fn new(order: OrderSpec, offset: u64, limit: u64) -> TopKOperator {
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        let end = offset.saturating_add(i64::try_from(limit).unwrap_or(i64::MAX));
        TopKOperator { order, offset, end, rows: OrderedBag::default(), window: vec![], heap: 0 }
    }

    fn window(&self) -> Delta {
        self.rows
            .positions_from(self.offset)
            .take_while(|(position, ..)| *position < self.end)
            .map(|(position, row, weight)| (row.clone(), (position + weight).min(self.end) - position.max(self.offset)))
            .collect()
    }
}

impl Operator for TopKOperator {
    fn step(&mut self, inputs: &[Vec<Arc<Batch>>], _context: &StepContext<'_>, out: &mut Output) {
        let mut first_change = i64::MAX;
        for (row, weight) in rows(&inputs[0]) {
            if self.order.fails(row) {
                out.errors += weight;
                continue;
            }
            first_change = first_change.min(self.rows.add(row, weight, &self.order));
            let size = (ENTRY_BYTES + row_bytes(row)) as isize * weight as isize;
            self.heap = self.heap.saturating_add_signed(size);
        }
        out.consolidated = true;
        if first_change >= self.end {
            return;
        }
        let new = self.window();
        out.rows = std::mem::replace(&mut self.window, new).into_iter().map(|(row, weight)| (row, -weight)).collect();
        out.rows.extend_from_slice(&self.window);
        crate::delta::consolidate(&mut out.rows);
    }

    fn content(&self, _inputs: &[NodeId], _context: &StepContext<'_>, f: &mut dyn FnMut(&Row, i64)) -> i64 {
        self.window.iter().for_each(|(row, weight)| f(row, *weight));
        0
    }

    fn is_stateful(&self) -> bool {
        true
    }

    fn bytes(&self) -> usize {
        self.heap
    }
}
