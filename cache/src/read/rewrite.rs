//! Rewriting expressions when nodes are folded into each other: substitution of columns, the columns used, conjuncts.

use weir_planner::Expr;

/// The expression with every column `i` replaced by `outputs[i]`.
pub(super) fn substitute(expr: &Expr, outputs: &[Expr]) -> Expr {
    match expr {
        Expr::Column(index) => outputs[*index].clone(),
        _ => expr.map_children(&mut |child| substitute(child, outputs)),
    }
}

/// The expression with every column moved up by `offset`.
pub(super) fn shift(expr: &Expr, offset: usize) -> Expr {
    match expr {
        Expr::Column(index) => Expr::Column(index + offset),
        _ => expr.map_children(&mut |child| shift(child, offset)),
    }
}

/// The expression with every column moved down by `offset`; all must be at least that.
pub(super) fn shift_down(expr: &Expr, offset: usize) -> Expr {
    match expr {
        Expr::Column(index) => Expr::Column(index - offset),
        _ => expr.map_children(&mut |child| shift_down(child, offset)),
    }
}

/// Least and greatest column used, None for an expression without columns.
pub(super) fn column_range(expr: &Expr) -> Option<(usize, usize)> {
    let mut range = None;
    expr.visit(&mut |part| {
        if let Expr::Column(index) = part {
            let (low, high) = range.unwrap_or((*index, *index));
            range = Some((low.min(*index), high.max(*index)));
        }
    });
    range
}

/// Nodes of the expression.
pub(super) fn size(expr: &Expr) -> usize {
    let mut nodes = 0;
    expr.visit(&mut |_| nodes += 1);
    nodes
}

/// The parts of a condition that must all be true.
pub(super) fn conjuncts(predicate: Expr) -> Vec<Expr> {
    match predicate {
        Expr::And(parts) => parts.into_iter().flat_map(conjuncts).collect(),
        other => vec![other],
    }
}
