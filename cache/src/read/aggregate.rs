//! GROUP BY of one read.

use super::ReadError;
use super::op::Op;
use super::run::{Flow, Run, Sink, fail};
use weir_planner::Expr;
use weir_planner::plan::AggregateCall;

impl Run<'_> {
    pub(super) fn aggregate(&self, _input: &Op, _keys: &[Expr], _calls: &[AggregateCall], _sink: Sink<'_>) -> Flow {
        fail(ReadError::Unsupported("aggregates".into()))
    }
}
