//! Rewriting expressions when nodes are folded into each other: substitution of columns, the columns used, conjuncts.

use weir_planner::Expr;

/// The direct parts of an expression.
fn children(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::Column(_) | Expr::Const(_) | Expr::Param(_) => vec![],
        Expr::Call { args, .. } | Expr::And(args) | Expr::Or(args) | Expr::Coalesce(args) => args.iter().collect(),
        Expr::MinMax { args, .. } => args.iter().collect(),
        Expr::Not(arg) | Expr::IsNull(arg) | Expr::IsNotNull(arg) => vec![arg],
        Expr::BooleanTest { arg, .. } | Expr::ViaText { arg, .. } => vec![arg],
        Expr::Case { branches, otherwise } => {
            branches.iter().flat_map(|(when, then)| [when, then]).chain([&**otherwise]).collect()
        }
        Expr::NullIf { args, .. } | Expr::Distinct { args, .. } => vec![&args.0, &args.1],
        Expr::ScalarArray { left, list, .. } => std::iter::once(&**left).chain(list).collect(),
    }
}

/// The same expression with its direct parts replaced.
fn map_children(expr: &Expr, f: &mut impl FnMut(&Expr) -> Expr) -> Expr {
    let mut all = |list: &[Expr]| list.iter().map(&mut *f).collect::<Vec<Expr>>();
    match expr {
        Expr::Column(_) | Expr::Const(_) | Expr::Param(_) => expr.clone(),
        Expr::Call { function, args } => Expr::Call { function, args: all(args) },
        Expr::And(args) => Expr::And(all(args)),
        Expr::Or(args) => Expr::Or(all(args)),
        Expr::Coalesce(args) => Expr::Coalesce(all(args)),
        Expr::MinMax { greatest, args } => Expr::MinMax { greatest: *greatest, args: all(args) },
        Expr::Not(arg) => Expr::Not(Box::new(f(arg))),
        Expr::IsNull(arg) => Expr::IsNull(Box::new(f(arg))),
        Expr::IsNotNull(arg) => Expr::IsNotNull(Box::new(f(arg))),
        Expr::BooleanTest { arg, test } => Expr::BooleanTest { arg: Box::new(f(arg)), test: *test },
        Expr::ViaText { arg, from, to } => Expr::ViaText { arg: Box::new(f(arg)), from: from.clone(), to: to.clone() },
        Expr::Case { branches, otherwise } => Expr::Case {
            branches: branches.iter().map(|(when, then)| (f(when), f(then))).collect(),
            otherwise: Box::new(f(otherwise)),
        },
        Expr::NullIf { equal, args } => Expr::NullIf { equal, args: Box::new((f(&args.0), f(&args.1))) },
        Expr::Distinct { equal, args } => Expr::Distinct { equal, args: Box::new((f(&args.0), f(&args.1))) },
        Expr::ScalarArray { function, any, left, list } => {
            let left = Box::new(f(left));
            Expr::ScalarArray { function, any: *any, left, list: list.iter().map(f).collect() }
        }
    }
}

/// The expression with every column `i` replaced by `outputs[i]`.
pub(super) fn substitute(expr: &Expr, outputs: &[Expr]) -> Expr {
    match expr {
        Expr::Column(index) => outputs[*index].clone(),
        _ => map_children(expr, &mut |child| substitute(child, outputs)),
    }
}

/// The expression with every column moved up by `offset`.
pub(super) fn shift(expr: &Expr, offset: usize) -> Expr {
    match expr {
        Expr::Column(index) => Expr::Column(index + offset),
        _ => map_children(expr, &mut |child| shift(child, offset)),
    }
}

/// The expression with every column moved down by `offset`; all must be at least that.
pub(super) fn shift_down(expr: &Expr, offset: usize) -> Expr {
    match expr {
        Expr::Column(index) => Expr::Column(index - offset),
        _ => map_children(expr, &mut |child| shift_down(child, offset)),
    }
}

/// Calls `f` for every part of the expression, itself included.
pub(super) fn visit(expr: &Expr, f: &mut impl FnMut(&Expr)) {
    f(expr);
    for child in children(expr) {
        visit(child, f);
    }
}

/// Least and greatest column used, None for an expression without columns.
pub(super) fn column_range(expr: &Expr) -> Option<(usize, usize)> {
    let mut range = None;
    visit(expr, &mut |part| {
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
    visit(expr, &mut |_| nodes += 1);
    nodes
}

/// The parts of a condition that must all be true.
pub(super) fn conjuncts(predicate: Expr) -> Vec<Expr> {
    match predicate {
        Expr::And(parts) => parts.into_iter().flat_map(conjuncts).collect(),
        other => vec![other],
    }
}
