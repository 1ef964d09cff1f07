//! What an OR says of all its branches.
//!
//! `(a AND b) OR (a AND c)` is `a AND (b OR c)`, in three-valued logic too; Postgres does the same to every condition
//! (`find_duplicate_ors` of prepqual.c), so that a join written in each branch of an OR is still looked up.
//!
//! `(x = 1 AND y = 2) OR (x = 3 AND y = 4)` is true only where `x = 1 OR x = 3` is: a condition of x alone, which can be
//! asked before x and y are joined (`extract_restriction_or_clauses` of orclauses.c). It is asked besides the whole.

use super::safety::cannot_fail;
use crate::expr::Expr;
use std::ops::Range;

/// The condition as conjuncts, with those common to all branches of an OR in front of what is left of it.
pub fn factored(condition: Expr) -> Vec<Expr> {
    let Expr::Or(branches) = condition else { return vec![condition] };
    let branches: Vec<Vec<Expr>> = branches.into_iter().map(Expr::into_conjuncts).collect();
    let is_common = |conjunct: &Expr| cannot_fail(conjunct) && branches.iter().all(|branch| branch.contains(conjunct));
    let mut common: Vec<Expr> = Vec::new();
    for conjunct in branches.iter().flatten() {
        if !common.contains(conjunct) && is_common(conjunct) {
            common.push(conjunct.clone());
        }
    }
    let rest: Option<Vec<Expr>> = branches
        .into_iter()
        .map(|branch| Expr::conjunction(branch.into_iter().filter(|conjunct| !common.contains(conjunct)).collect()))
        .collect();
    // A branch that is nothing but what all have in common: the others only repeat it.
    if let Some(rest) = rest {
        common.push(Expr::Or(rest));
    }
    common
}

/// What an OR over several relations says of those columns alone, if it says something in every branch.
pub fn implied(condition: &Expr, columns: &Range<usize>) -> Option<Expr> {
    let Expr::Or(branches) = condition else { return None };
    let within = |expr: &Expr| expr.columns().iter().all(|column| columns.contains(column));
    if within(condition) {
        return None;
    }
    let of_branch = |branch: &Expr| {
        let conjuncts = branch.clone().into_conjuncts();
        let is_own = |conjunct: &Expr| !conjunct.columns().is_empty() && within(conjunct) && cannot_fail(conjunct);
        Expr::conjunction(conjuncts.into_iter().filter(is_own).collect())
    };
    branches.iter().map(of_branch).collect::<Option<Vec<Expr>>>().map(Expr::Or)
}
