//! Constant folding, and one spelling for comparisons of integers of different widths.
//!
//! A call of constants is replaced by its value when the function reads no setting and the call does not fail; a
//! failing one stays, because Postgres would raise its error only if it is evaluated. `int8col = 5::int4` becomes
//! `int8col = 5::int8`: the cast is exact, and an index lookup or a join can use the result.

use super::map_inputs;
use crate::eval::{EvalContext, Tuple};
use crate::expr::Expr;
use crate::plan::Plan;
use crate::value::Value;

pub fn fold(plan: Plan) -> Plan {
    let mut plan = map_inputs(plan, &mut fold);
    plan.own_exprs_mut(&mut |expr| *expr = simplified(expr));
    plan
}

/// The plan of the same statement with these constants in the place of its parameters. `None` when there are fewer.
pub fn with_constants(plan: &Plan, values: &[Value]) -> Option<Plan> {
    let mut complete = true;
    let mut plan = plan.clone();
    plan.exprs_mut(&mut |expr| {
        let constant = |part: &Expr| match part {
            Expr::Param(index) => values.get(*index).cloned().map(Expr::Const),
            _ => None,
        };
        *expr = expr.replace(&mut |part| constant(part));
        expr.visit(&mut |part| complete &= !matches!(part, Expr::Param(_)));
    });
    complete.then(|| fold(plan))
}

pub fn simplified(expr: &Expr) -> Expr {
    let expr = expr.map_children(&mut simplified);
    match &expr {
        Expr::Call { function, args } => {
            if let Some(same_type) = super::equality::in_one_type(function, args) {
                return simplified(&same_type);
            }
            let constant = args.iter().all(|arg| matches!(arg, Expr::Const(_)));
            if constant && function.settings.is_empty() { evaluated(expr) } else { expr }
        }
        Expr::And(args) | Expr::Or(args) => {
            // The neutral element goes; whatever else decides is evaluated as written.
            let neutral = Expr::Const(Value::Bool(matches!(expr, Expr::And(_))));
            let mut rest: Vec<Expr> = args.iter().filter(|arg| **arg != neutral).cloned().collect();
            match (rest.len(), &expr) {
                (0, _) => neutral,
                (1, _) => rest.remove(0),
                (_, Expr::And(_)) => Expr::And(rest),
                _ => Expr::Or(rest),
            }
        }
        // One spelling for arrays that are known: a list.
        Expr::ArrayMember { function, any, left, array } => match &**array {
            Expr::Const(Value::Array(array)) => Expr::ScalarArray {
                function,
                any: *any,
                left: left.clone(),
                list: array.elements.iter().cloned().map(Expr::Const).collect(),
            },
            _ => expr,
        },
        Expr::Not(arg) if matches!(**arg, Expr::Const(_)) => evaluated(expr),
        _ => expr,
    }
}

fn evaluated(expr: Expr) -> Expr {
    match expr.eval(Tuple::single(&[]), &EvalContext::default()) {
        Value::Error(_) => expr,
        value => Expr::Const(value),
    }
}
