//! Whether a plan has one answer: whoever evaluates it, in whatever order, finds the same rows. Where it has not, any answer
//! is right, but half of one and half of another is not.

use crate::plan::{AggregateCall, AggregateKind, FrameMode, Node, Plan, WindowCall, WindowKind};
use crate::types::{ColumnType, oid};
use crate::value::has_many_images;

impl Plan {
    /// No row depends on the order of rows that an ORDER BY leaves equal, on which of several equal values stands for them,
    /// or on the order in which floats are added. It errs towards false. What the relations read hold is not looked at.
    pub fn is_determined(&self) -> bool {
        let mut found = true;
        self.visit(&mut |plan| found &= plan.has_one_answer());
        found
    }

    fn has_one_answer(&self) -> bool {
        match &self.node {
            Node::Sort { limit, offset, .. } => limit.is_none() && offset.is_none(),
            Node::Distinct { .. } => self.columns.iter().all(has_one_image),
            Node::Aggregate { keys, aggregates, .. } => {
                self.columns.iter().take(keys.len()).all(has_one_image) && aggregates.iter().all(is_determined)
            }
            Node::Window { functions, .. } => functions.iter().all(is_same_for_peers),
            Node::Scan { .. }
            | Node::Join(_)
            | Node::Values { .. }
            | Node::Filter { .. }
            | Node::Project { .. }
            | Node::UnionAll { .. }
            | Node::ProjectSet(_)
            | Node::Repeat { .. }
            | Node::Fence { .. } => true,
        }
    }
}

/// Equal values look alike.
pub(crate) fn has_one_image(kind: &ColumnType) -> bool {
    let is_padded = matches!(kind.oid, oid::NUMERIC | oid::BPCHAR) && kind.typmod >= 0;
    is_padded || !has_many_images(kind.oid)
}

fn is_determined(call: &AggregateCall) -> bool {
    use AggregateKind::*;
    match call.kind {
        SumFloat | AvgFloat | FloatSpread(_) | FloatPairs(_) => false,
        // One of the values that came, or a list of them.
        Min | Max | Mode | PercentileDisc | StringAgg | ArrayAgg | JsonAgg | JsonbAgg | JsonObjectAgg
        | JsonbObjectAgg => call.input.as_ref().is_some_and(has_one_image),
        _ => true,
    }
}

/// Rows that the window's order leaves equal are given the same.
fn is_same_for_peers(call: &WindowCall) -> bool {
    let images = call.input.as_ref().is_none_or(has_one_image);
    match call.kind {
        WindowKind::Rank | WindowKind::DenseRank | WindowKind::PercentRank | WindowKind::CumeDist => true,
        WindowKind::Aggregate(kind) => {
            use AggregateKind::*;
            let is_float = matches!(kind, SumFloat | AvgFloat | FloatSpread(_) | FloatPairs(_));
            images && !is_float && !kind.is_listed() && call.frame.mode != FrameMode::Rows
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::Expr;
    use crate::types::RelationId;
    use crate::value::Value;

    fn scan(kinds: &[ColumnType]) -> Plan {
        let columns = (0..kinds.len()).collect();
        Plan { node: Node::Scan { relation: RelationId(1), columns }, columns: kinds.to_vec() }
    }

    #[test]
    fn what_may_differ_is_not_determined() {
        let int = ColumnType::new(oid::INT4);
        let scaled = ColumnType { typmod: 655_366, ..ColumnType::new(oid::NUMERIC) };
        for (kind, expected) in [(int.clone(), true), (scaled, true), (ColumnType::new(oid::NUMERIC), false)] {
            let columns = vec![kind.clone()];
            let distinct = Plan { node: Node::Distinct { input: Box::new(scan(&columns)) }, columns };
            assert_eq!(distinct.is_determined(), expected, "{kind:?}");
        }
        let sorted = |limit: Option<Expr>| {
            let node =
                Node::Sort { input: Box::new(scan(std::slice::from_ref(&int))), keys: vec![], limit, offset: None };
            Plan { node, columns: vec![int.clone()] }
        };
        assert!(sorted(None).is_determined());
        let limited = sorted(Some(Expr::Const(Value::Int8(3))));
        assert!(!limited.is_determined());
        let above = Plan { node: Node::Fence { input: Box::new(limited) }, columns: vec![int.clone()] };
        assert!(!above.is_determined(), "what is below counts");
        for (kind, expected) in [(WindowKind::Rank, true), (WindowKind::RowNumber, false), (WindowKind::Lag, false)] {
            let functions = vec![WindowCall::plain(kind, vec![], vec![], ColumnType::new(oid::INT8))];
            let node = Node::Window { input: Box::new(scan(std::slice::from_ref(&int))), functions };
            let columns = vec![int.clone(), ColumnType::new(oid::INT8)];
            assert_eq!(Plan { node, columns }.is_determined(), expected, "{kind:?}");
        }
    }
}
