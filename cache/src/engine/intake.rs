//! Changes of a base table on their way to its readers: some at a time, while the rows they touch are near the processor. A
//! reader that is a filter is told only of rows that it does not drop; what nobody heeds is let go at once.

use super::graph::{Body, Graph, NodeId};
use super::operator::Batch;
use crate::Delta;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Changes handed on together: their rows, old and new, fit into a processor's own cache.
pub(super) const CHUNK_CHANGES: usize = if cfg!(test) { 2 } else { 128 };
/// Rows or keys of which the index does not stay in a processor's own cache.
pub(super) const WORTH_APPROACHING: usize = if cfg!(test) { 1 } else { 4096 };

/// What a table's changes become for each of its readers.
pub(crate) struct Intake {
    table: NodeId,
    /// Readers that are told of everything, and what.
    readers: Vec<(NodeId, usize)>,
    rows: Delta,
    filters: Vec<Heeded>,
}

/// What one filter is told of.
struct Heeded {
    reader: NodeId,
    port: usize,
    rows: Delta,
    /// Every row has been found to pass.
    pass: bool,
}

impl Graph {
    /// Begins to take in changes of a table.
    pub fn begin_intake(&self, table: NodeId) -> Intake {
        let is_filter = |reader: NodeId| match &self.node(reader).body {
            Body::Operator(Some(operator)) => operator.condition().is_some(),
            _ => false,
        };
        let consumers = &self.node(table).consumers;
        let (filters, readers): (Vec<_>, Vec<_>) = consumers.iter().partition(|(reader, _)| is_filter(*reader));
        let heeded = |(reader, port)| Heeded { reader, port, rows: Delta::new(), pass: true };
        Intake { table, readers, rows: Delta::new(), filters: filters.into_iter().map(heeded).collect() }
    }

    /// Takes in what some changes did to the table, and leaves `chunk` empty.
    pub fn take_in(&mut self, chunk: &mut Delta, intake: &mut Intake) {
        self.update_arrangements(intake.table, chunk);
        for heeded in &mut intake.filters {
            let node = self.node(heeded.reader);
            let Body::Operator(Some(operator)) = &node.body else { continue };
            let before = heeded.rows.len();
            let select = || operator.select(chunk, &node.context, &mut heeded.rows);
            match catch_unwind(AssertUnwindSafe(select)) {
                Ok(pass) => heeded.pass &= pass,
                // It will panic again where that is seen to.
                Err(_) => {
                    heeded.rows.truncate(before);
                    heeded.rows.extend_from_slice(chunk);
                    heeded.pass = false;
                }
            }
        }
        if !intake.readers.is_empty() {
            intake.rows.append(chunk);
        }
        chunk.clear();
    }

    /// Queues what has been taken in. `consolidated`: no row was added or removed twice.
    pub fn end_intake(&mut self, intake: Intake, consolidated: bool) {
        for Heeded { reader, port, rows, pass } in intake.filters {
            self.queue(Batch { rows, consolidated, pass }, &[(reader, port)]);
        }
        self.queue(Batch { rows: intake.rows, consolidated, pass: false }, &intake.readers);
    }

    fn queue(&mut self, batch: Batch, readers: &[(NodeId, usize)]) {
        if batch.rows.is_empty() {
            return;
        }
        let batch = Arc::new(batch);
        for &(reader, port) in readers {
            self.node_mut(reader).pending[port].push(batch.clone());
        }
    }
}
