//! What the readers of a table that was let go need of its changes. Where all of them are filters, a row that none may let
//! through does not matter; and columns that no reader reads do not. Whoever decodes the changes then need not make them.

use super::Engine;
use super::graph::{Body, NodeId};
use super::map::passes;
use super::spec::OperatorSpec;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use weir_planner::eval::EvalContext;
use weir_planner::plan::AggregateCall;
use weir_planner::{Expr, RelationId, Value};

/// It holds for as long as the table is the same: readers of a table that was let go only become fewer, as a new one could not
/// be filled.
#[derive(Debug)]
pub struct TableNeeds {
    /// Of all readers. None: some reader is told of every row.
    conditions: Option<Vec<(Expr, Arc<EvalContext>)>>,
    /// What they read, ascending.
    decisive: Vec<usize>,
    /// By position in the row: whether anything reads it. None: all of them are needed.
    read: Option<Vec<bool>>,
}

impl TableNeeds {
    /// Positions of the values that [`TableNeeds::may_matter`] looks at, ascending. None: every row matters.
    pub fn decisive(&self) -> Option<&[usize]> {
        self.conditions.is_some().then_some(self.decisive.as_slice())
    }

    /// False when no reader does anything about this row.
    pub fn may_matter(&self, row: &[Value]) -> bool {
        let Some(conditions) = &self.conditions else { return true };
        let may_pass = |(condition, context): &(Expr, Arc<EvalContext>)| passes(condition, row, context) != Some(false);
        // What panics here does so again where that is seen to.
        catch_unwind(AssertUnwindSafe(|| conditions.iter().any(may_pass))).unwrap_or(true)
    }

    /// False: nothing looks at the value at this position, and NULL will do.
    pub fn reads(&self, position: usize) -> bool {
        self.read.as_ref().is_none_or(|read| read.get(position).copied().unwrap_or(false))
    }

    /// Nothing looks at values from this position on. None: whole rows are needed.
    pub fn width(&self) -> Option<usize> {
        self.read.as_ref().map(Vec::len)
    }
}

impl Engine {
    /// None: the table's rows are kept, or whole rows of all changes are needed.
    pub fn needs_of(&self, id: RelationId) -> Option<TableNeeds> {
        let node = self.table_node(id).ok()?;
        let consumers = &self.graph.node(node).consumers;
        if consumers.is_empty() || !self.graph.is_let_go(node) {
            return None;
        }
        let condition = |(reader, _): &(NodeId, usize)| match &self.graph.node(*reader).body {
            Body::Operator(Some(operator)) => {
                Some((operator.condition()?.clone(), self.graph.node(*reader).context.clone()))
            }
            _ => None,
        };
        let conditions: Option<Vec<_>> = consumers.iter().map(condition).collect();
        let mut decisive: Vec<usize> = conditions.iter().flatten().flat_map(|(it, _)| it.columns()).collect();
        decisive.sort_unstable();
        decisive.dedup();
        let read = self.columns_read(node).map(|columns| {
            let mut read = vec![];
            for column in columns {
                read.resize(read.len().max(column + 1), false);
                read[column] = true;
            }
            read
        });
        (conditions.is_some() || read.is_some()).then_some(TableNeeds { conditions, decisive, read })
    }

    /// Columns of a node's rows that anything reads. None: whole rows are kept, or may be.
    fn columns_read(&self, id: NodeId) -> Option<Vec<usize>> {
        let node = self.graph.node(id);
        if node.slots.iter().any(Option::is_some) || self.roots.contains_key(&id) {
            return None;
        }
        let mut columns = vec![];
        for (reader, _) in &node.consumers {
            match &self.graph.node(*reader).spec.as_deref()?.operator {
                OperatorSpec::Map(exprs) => columns.extend(exprs.iter().flat_map(Expr::columns)),
                OperatorSpec::Filter(predicate) => {
                    columns.extend(predicate.columns());
                    columns.extend(self.columns_read(*reader)?);
                }
                OperatorSpec::Aggregate { keys, calls, .. } => {
                    columns.extend(keys.exprs.iter().flat_map(Expr::columns));
                    columns.extend(calls.iter().flat_map(AggregateCall::exprs).flat_map(Expr::columns));
                }
                _ => return None,
            }
        }
        Some(columns)
    }
}
