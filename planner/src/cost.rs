//! What Postgres takes an expression to cost (`cost_qual_eval_walker` of costsize.c), in halves of an operator. Nothing here is chosen
//! by it but the order in which Postgres asks conditions ([`crate::optimize::as_asked`]).

use crate::expr::Expr;
use crate::functions::{costing, is_called_in_postgres};
use crate::value::Value;

/// An operator, or a function that says nothing else of itself.
pub const CALL: usize = 2;
/// Elements that an array is taken to have that is not known yet (`estimate_array_length` of selfuncs.c).
const USUAL_ELEMENTS: usize = 10;
/// From so many elements on an array is hashed (`MIN_ARRAY_SIZE_FOR_HASHED_SAOP` of clauses.c).
const HASHED_ELEMENTS: usize = 9;

pub fn cost(expr: &Expr) -> usize {
    let own = match expr {
        Expr::Call { function, args } if *function == costing() => match &args[..] {
            [_, Expr::Const(Value::Int8(cost))] => return usize::try_from(*cost).unwrap_or_default(),
            _ => 0,
        },
        Expr::Call { function, .. } if is_called_in_postgres(function) => CALL,
        Expr::Distinct { .. } | Expr::NullIf { .. } | Expr::MinMax { .. } => CALL,
        // Half of the elements are compared until the outcome is known.
        Expr::ScalarArray { list, .. } if list.len() < HASHED_ELEMENTS => list.len(),
        Expr::ScalarArray { .. } => 2 * CALL,
        Expr::ArrayMember { .. } => USUAL_ELEMENTS,
        Expr::ViaText { .. } => 2 * CALL,
        _ => 0,
    };
    own + expr.children().into_iter().map(cost).sum::<usize>()
}

/// An expression that is written otherwise than in Postgres, where it costs this much.
pub fn at_cost(expr: Expr, cost: usize) -> Expr {
    let cost = Value::Int8(i64::try_from(cost).unwrap_or(i64::MAX));
    Expr::Call { function: costing(), args: vec![expr, Expr::Const(cost)] }
}
