//! Constant folding, and one spelling for comparisons of integers of different widths.
//!
//! A call of constants is replaced by its value when the function reads no setting and the call does not fail; a
//! failing one stays, because Postgres would raise its error only if it is evaluated. `int8col = 5::int4` becomes
//! `int8col = 5::int8`: the cast is exact, and an index lookup or a join can use the result.

use super::map_inputs;
use crate::eval::{EvalContext, Tuple};
use crate::expr::Expr;
use crate::plan::{Node, Plan};
use crate::value::Value;

pub fn fold(plan: Plan) -> Plan {
    let mut plan = map_inputs(plan, &mut fold);
    let simplify = |expr: &mut Expr| *expr = simplified(expr);
    match &mut plan.node {
        Node::Scan { .. } | Node::Distinct { .. } | Node::UnionAll { .. } => {}
        Node::Values { rows } => rows.iter_mut().flatten().for_each(simplify),
        Node::Filter { predicate, .. } => simplify(predicate),
        Node::Project { exprs, .. } => exprs.iter_mut().for_each(simplify),
        Node::Join(join) => {
            for (left, right) in &mut join.equal {
                simplify(left);
                simplify(right);
            }
            join.residual.iter_mut().for_each(simplify);
        }
        Node::Aggregate { keys, aggregates, .. } => {
            keys.iter_mut().for_each(simplify);
            for call in aggregates {
                call.args.iter_mut().chain(&mut call.filter).for_each(simplify);
            }
        }
        Node::Window { functions, .. } => {
            for function in functions {
                function.partition.iter_mut().for_each(simplify);
                function.order.iter_mut().for_each(|key| simplify(&mut key.expr));
            }
        }
        Node::Sort { keys, limit, offset, .. } => {
            keys.iter_mut().for_each(|key| simplify(&mut key.expr));
            limit.iter_mut().chain(offset).for_each(simplify);
        }
    }
    plan
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
