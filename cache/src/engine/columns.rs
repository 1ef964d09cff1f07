//! Which columns an expression reads, and the same expression over other positions.

use weir_planner::Expr;
use weir_planner::functions::Function;
use weir_planner::settings::SettingSet;

/// Marks the columns that the expression reads.
pub(crate) fn require(expr: &Expr, required: &mut [bool]) {
    for column in expr.columns() {
        required[column] = true;
    }
}

/// The same expression over other column positions.
pub(crate) fn remap(expr: &Expr, to: &dyn Fn(usize) -> usize) -> Expr {
    expr.map_columns(&mut |column| to(column))
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
    expr.visit(&mut |expr| match expr {
        Expr::Call { function, .. } | Expr::ScalarArray { function, .. } | Expr::ArrayMember { function, .. } => {
            check(function)
        }
        Expr::NullIf { equal, .. } | Expr::Distinct { equal, .. } => check(equal),
        Expr::Param(_) => parameter = true,
        _ => {}
    });
    if parameter { Some("a parameter".to_owned()) } else { reason }
}
