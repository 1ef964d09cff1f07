//! Which columns an expression reads, and the same expression over other positions.

use weir_planner::Expr;
use weir_planner::functions::Function;
use weir_planner::settings::SettingSet;

/// Calls `f` on this expression and every one below it.
pub(crate) fn visit<'a>(expr: &'a Expr, f: &mut dyn FnMut(&'a Expr)) {
    f(expr);
    match expr {
        Expr::Column(_) | Expr::Const(_) | Expr::Param(_) => {}
        Expr::Call { args, .. }
        | Expr::And(args)
        | Expr::Or(args)
        | Expr::Coalesce(args)
        | Expr::MinMax { args, .. } => args.iter().for_each(|arg| visit(arg, f)),
        Expr::Not(arg)
        | Expr::IsNull(arg)
        | Expr::IsNotNull(arg)
        | Expr::BooleanTest { arg, .. }
        | Expr::ViaText { arg, .. } => visit(arg, f),
        Expr::Case { branches, otherwise } => {
            for (condition, value) in branches {
                visit(condition, f);
                visit(value, f);
            }
            visit(otherwise, f);
        }
        Expr::NullIf { args, .. } | Expr::Distinct { args, .. } => {
            visit(&args.0, f);
            visit(&args.1, f);
        }
        Expr::ScalarArray { left, list, .. } => {
            visit(left, f);
            list.iter().for_each(|arg| visit(arg, f));
        }
    }
}

/// Marks the columns that the expression reads.
pub(crate) fn require(expr: &Expr, required: &mut [bool]) {
    visit(expr, &mut |expr| {
        if let Expr::Column(index) = expr {
            required[*index] = true;
        }
    });
}

/// The same expression over other column positions.
pub(crate) fn remap(expr: &Expr, to: &dyn Fn(usize) -> usize) -> Expr {
    let one = |expr: &Expr| Box::new(remap(expr, to));
    let all = |exprs: &[Expr]| exprs.iter().map(|expr| remap(expr, to)).collect::<Vec<_>>();
    let pair = |args: &(Expr, Expr)| Box::new((remap(&args.0, to), remap(&args.1, to)));
    match expr {
        Expr::Column(index) => Expr::Column(to(*index)),
        Expr::Const(_) | Expr::Param(_) => expr.clone(),
        Expr::Call { function, args } => Expr::Call { function, args: all(args) },
        Expr::And(args) => Expr::And(all(args)),
        Expr::Or(args) => Expr::Or(all(args)),
        Expr::Not(arg) => Expr::Not(one(arg)),
        Expr::IsNull(arg) => Expr::IsNull(one(arg)),
        Expr::IsNotNull(arg) => Expr::IsNotNull(one(arg)),
        Expr::BooleanTest { arg, test } => Expr::BooleanTest { arg: one(arg), test: *test },
        Expr::Case { branches, otherwise } => Expr::Case {
            branches: branches.iter().map(|(condition, value)| (remap(condition, to), remap(value, to))).collect(),
            otherwise: one(otherwise),
        },
        Expr::Coalesce(args) => Expr::Coalesce(all(args)),
        Expr::NullIf { equal, args } => Expr::NullIf { equal, args: pair(args) },
        Expr::Distinct { equal, args } => Expr::Distinct { equal, args: pair(args) },
        Expr::ScalarArray { function, any, left, list } => {
            Expr::ScalarArray { function, any: *any, left: one(left), list: all(list) }
        }
        Expr::MinMax { greatest, args } => Expr::MinMax { greatest: *greatest, args: all(args) },
        Expr::ViaText { arg, from, to: target } => {
            Expr::ViaText { arg: one(arg), from: from.clone(), to: target.clone() }
        }
    }
}

/// Why an expression has no place in a maintained plan, if so.
pub(crate) fn unmaintainable(expr: &Expr) -> Option<String> {
    let mut reason = None;
    let mut check = |function: &'static Function| {
        if function.settings.contains(SettingSet::CLOCK) {
            reason = Some(format!("function {} depends on the transaction's clock", function.symbol));
        }
    };
    let mut parameter = false;
    visit(expr, &mut |expr| match expr {
        Expr::Call { function, .. } | Expr::ScalarArray { function, .. } => check(function),
        Expr::NullIf { equal, .. } | Expr::Distinct { equal, .. } => check(equal),
        Expr::Param(_) => parameter = true,
        _ => {}
    });
    if parameter { Some("a parameter".to_owned()) } else { reason }
}
