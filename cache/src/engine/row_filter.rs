//! Which changed rows of a table that was let go can matter: where all its readers are filters, those that one of them may let
//! through. Whoever decodes the changes then need not make rows of the others.

use super::Engine;
use super::graph::Body;
use super::map::passes;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use weir_planner::eval::EvalContext;
use weir_planner::{Expr, RelationId, Value};

/// The conditions of all readers of one table. It holds for as long as the table is the same: readers of a table that was
/// let go only become fewer, as a new one could not be filled.
#[derive(Debug)]
pub struct RowFilter {
    conditions: Vec<(Expr, Arc<EvalContext>)>,
    columns: Vec<usize>,
}

impl RowFilter {
    /// Positions in the table's row of the values that the conditions read, in ascending order.
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// False when no reader does anything about this row. Its values outside of [`RowFilter::columns`] are not looked at.
    pub fn may_matter(&self, row: &[Value]) -> bool {
        let may_pass = |(condition, context): &(Expr, Arc<EvalContext>)| passes(condition, row, context) != Some(false);
        // What panics here does so again where that is seen to.
        catch_unwind(AssertUnwindSafe(|| self.conditions.iter().any(may_pass))).unwrap_or(true)
    }
}

impl Engine {
    /// None: the table's rows are kept, or some reader is told of every change.
    pub fn row_filter(&self, id: RelationId) -> Option<RowFilter> {
        let node = self.table_node(id).ok()?;
        let consumers = &self.graph.node(node).consumers;
        if consumers.is_empty() || !self.graph.is_let_go(node) {
            return None;
        }
        let condition = |(reader, _): &(usize, usize)| match &self.graph.node(*reader).body {
            Body::Operator(Some(operator)) => {
                Some((operator.condition()?.clone(), self.graph.node(*reader).context.clone()))
            }
            _ => None,
        };
        let conditions: Vec<_> = consumers.iter().map(condition).collect::<Option<_>>()?;
        let mut columns: Vec<usize> = conditions.iter().flat_map(|(condition, _)| condition.columns()).collect();
        columns.sort_unstable();
        columns.dedup();
        Some(RowFilter { conditions, columns })
    }
}
