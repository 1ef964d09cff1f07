//! The order in which Postgres asks a row conditions (`order_qual_clauses` of createplan.c): cheap ones first, equally cheap ones
//! as they were written, but equalities after the others: they are taken out and put back (`equivclass.c`). A row that fails one is not asked the next, and so the order decides which errors are raised.

use super::map_inputs;
use super::safety::cannot_fail;
use crate::expr::Expr;
use crate::plan::{Node, Plan};

/// Elements that an array is taken to have that is not known yet (`estimate_array_length` of selfuncs.c).
const USUAL_ELEMENTS: usize = 10;
/// From so many elements on an array is hashed (`MIN_ARRAY_SIZE_FOR_HASHED_SAOP` of clauses.c).
const HASHED_ELEMENTS: usize = 9;

/// What Postgres takes an expression to cost (`cost_qual_eval_walker` of costsize.c), in halves of an operator.
fn cost(expr: &Expr) -> usize {
    let own = match expr {
        Expr::Call { .. } | Expr::Distinct { .. } | Expr::NullIf { .. } => 2,
        // Half of the elements are compared until the outcome is known.
        Expr::ScalarArray { list, .. } if list.len() < HASHED_ELEMENTS => list.len(),
        Expr::ScalarArray { .. } => 4,
        Expr::ArrayMember { .. } => USUAL_ELEMENTS,
        Expr::MinMax { args, .. } => 2 * args.len(),
        Expr::ViaText { .. } => 4,
        _ => 0,
    };
    own + expr.children().into_iter().map(cost).sum::<usize>()
}

/// By an operator that merge joins could use, over at least one column.
fn is_equality(expr: &Expr) -> bool {
    let is_equal = |symbol: &str| symbol.ends_with("eq") || symbol.contains("_eq_");
    matches!(expr, Expr::Call { function, args } if args.len() == 2 && is_equal(function.symbol))
}

/// Brings conditions into that order.
pub fn as_asked(conjuncts: &mut [Expr]) {
    conjuncts.sort_by_cached_key(|conjunct| (cost(conjunct), is_equality(conjunct)));
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
