//! Which inputs are probably small: those of which a filter leaves only what equals a constant or looks like a pattern. A
//! guess, without statistics; nothing but cost depends on it.

use crate::expr::Expr;
use crate::plan::{JoinKind, Node, Plan};
use crate::temporal::reads_clock;

/// A filtered scan that probably keeps few of its rows.
pub fn is_selective_scan(plan: &Plan) -> bool {
    match &plan.node {
        Node::Filter { input, predicate } => {
            matches!(input.node, Node::Scan { .. }) && !reads_clock(predicate) && is_selective(predicate)
        }
        Node::Project { input, .. } => is_selective_scan(input),
        _ => false,
    }
}

/// A condition that few rows pass.
fn is_selective(predicate: &Expr) -> bool {
    match predicate {
        Expr::And(args) => args.iter().any(is_selective),
        Expr::Or(args) => args.iter().all(is_selective),
        Expr::Call { function, args } => match args.as_slice() {
            [Expr::Column(_), Expr::Const(_)] | [Expr::Const(_), Expr::Column(_)] => {
                function.symbol.ends_with("eq") || function.symbol == "textlike"
            }
            // char(n) compared as text.
            [Expr::Call { function: cast, args }, Expr::Const(_)] => {
                matches!(args.as_slice(), [Expr::Column(_)])
                    && matches!(cast.symbol, "rtrim1" | "i2toi4" | "int28" | "int48")
                    && (function.symbol.ends_with("eq") || function.symbol == "textlike")
            }
            _ => false,
        },
        Expr::ScalarArray { function, any: true, left, list } => {
            matches!(**left, Expr::Column(_))
                && function.symbol.ends_with("eq")
                && list.iter().all(|item| matches!(item, Expr::Const(_)))
        }
        _ => false,
    }
}

/// A selective scan, and its column, among whose values every row of the plan has its own in this column.
pub fn selective_source(plan: &Plan, column: usize) -> Option<(Plan, usize)> {
    if is_selective_scan(plan) {
        return Some((plan.clone(), column));
    }
    match &plan.node {
        Node::Filter { input, .. } => selective_source(input, column),
        Node::Project { input, exprs } => match exprs.get(column)? {
            Expr::Column(below) => selective_source(input, *below),
            _ => None,
        },
        Node::Aggregate { input, keys, .. } => match keys.get(column)? {
            Expr::Column(below) => selective_source(input, *below),
            _ => None,
        },
        Node::Join(join) => {
            let width = join.left.columns.len();
            let keeps_left = matches!(join.kind, JoinKind::Inner | JoinKind::Left | JoinKind::Semi | JoinKind::Anti);
            let is_pair_strict = matches!(join.kind, JoinKind::Inner | JoinKind::Semi);
            let partner = |of_left: bool, column: usize| {
                join.equal.iter().find_map(|(left, right)| match (left, right) {
                    (Expr::Column(left), Expr::Column(right)) if of_left && *left == column => Some(*right),
                    (Expr::Column(left), Expr::Column(right)) if !of_left && *right == column => Some(*left),
                    _ => None,
                })
            };
            if column < width {
                let own = keeps_left.then(|| selective_source(&join.left, column)).flatten();
                let other = || selective_source(&join.right, partner(true, column).filter(|_| is_pair_strict)?);
                return own.or_else(other);
            }
            if join.kind != JoinKind::Inner {
                return None;
            }
            let other = || selective_source(&join.left, partner(false, column - width)?);
            selective_source(&join.right, column - width).or_else(other)
        }
        _ => None,
    }
}
