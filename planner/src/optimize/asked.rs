//! The order in which Postgres asks a row conditions (`order_qual_clauses` of createplan.c): cheap ones first, equally cheap ones
//! as they were written, but equalities after the others: they are taken out and put back (`equivclass.c`). A row that fails one is not asked the next, and so the order decides which errors are raised.

use super::map_inputs;
use super::safety::cannot_fail;
use crate::cost::cost;
use crate::expr::Expr;
use crate::plan::{Node, Plan};

/// By an operator that merge joins could use, over at least one column.
fn is_equality(expr: &Expr) -> bool {
    let is_equal = |symbol: &str| symbol.ends_with("eq") || symbol.contains("_eq_");
    matches!(expr, Expr::Call { function, args } if args.len() == 2 && is_equal(function.symbol))
}

/// Brings conditions into that order.
pub fn as_asked(conjuncts: &mut [Expr]) {
    conjuncts.sort_by_cached_key(turn);
}

/// What the order goes by. A subquery in the condition costs nothing here; in Postgres it does, if it depends on the row, and
/// how much depends on how large it takes tables to be.
pub fn turn(condition: &Expr) -> (usize, bool) {
    (cost(condition), is_equality(condition))
}

/// The plan with the conditions of its filters and joins in that order, where one of them may fail.
pub(super) fn order_conditions(plan: Plan) -> Plan {
    let mut plan = map_inputs(plan, &mut order_conditions);
    let ordered = |condition: Expr| {
        let mut conjuncts = condition.into_conjuncts();
        if !conjuncts.iter().all(cannot_fail) {
            as_asked(&mut conjuncts);
        }
        Expr::conjunction(conjuncts)
    };
    plan.node = match plan.node {
        Node::Filter { input, predicate } => match ordered(predicate) {
            Some(predicate) => Node::Filter { input, predicate },
            None => input.node,
        },
        Node::Join(mut join) => {
            join.residual = join.residual.and_then(ordered);
            Node::Join(join)
        }
        other => other,
    };
    plan
}
