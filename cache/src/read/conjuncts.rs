//! The order in which Postgres asks a row conditions (`order_qual_clauses` of createplan.c): cheap ones first, equally cheap ones
//! as they were written. A row that fails one is not asked the next, and so the order decides which errors are raised.

use super::comparison::{Comparison, comparison};
use super::op::Scan;
use super::proof::Proof;
use weir_planner::Expr;
use weir_planner::optimize::is_certain;

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

/// Brings conditions into that order.
pub(super) fn as_asked(conjuncts: &mut [Expr]) {
    conjuncts.sort_by_cached_key(cost);
}

impl Scan {
    /// Has the scan ask these conditions, too.
    pub(super) fn add(&mut self, conjuncts: Vec<Expr>) {
        self.filters.extend(conjuncts);
        as_asked(&mut self.filters);
        self.doubts = Proof::of(&self.filters);
        let certain = self.filters.iter().take_while(|filter| is_certain(filter)).count();
        let (first, later) = self.filters.split_at(certain);
        let found = |filters: &[Expr]| -> Vec<Comparison> { filters.iter().filter_map(comparison).collect() };
        self.comparisons = found(first);
        self.always = self.comparisons.len();
        self.comparisons.extend(found(later));
    }
}
