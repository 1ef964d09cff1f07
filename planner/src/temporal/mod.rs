//! Conditions on the time: `e(row) op T(now)`, whose outcome for a row changes while nothing is written.
//!
//! [`split`] finds them among the conjuncts of a filter, [`check`] says whether a plan reads the clock in such conditions
//! only. How T moves is [`crate::functions::Piece`]'s to say; what keeps the rows is the cache's.

mod bound;
mod check;

pub use bound::{Comparison, TimeBound};
pub use check::check;

use crate::expr::Expr;
use crate::functions::is_clock;

/// The value depends on the transaction's time.
pub fn reads_clock(expr: &Expr) -> bool {
    let mut found = false;
    expr.visit(&mut |part| found |= is_clock(part));
    found
}

/// Of the clock and constants only.
pub fn is_time(expr: &Expr) -> bool {
    let mut reads = false;
    expr.visit(&mut |part| reads |= matches!(part, Expr::Column(_) | Expr::Param(_)));
    !reads && reads_clock(expr)
}

/// One conjunct of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conjunct {
    /// Nothing of the clock.
    Plain(Expr),
    Timed(TimeBound),
}

impl Conjunct {
    /// What is evaluated over a row, whatever the time.
    pub fn over_the_row(&self) -> &Expr {
        match self {
            Conjunct::Plain(expr) => expr,
            Conjunct::Timed(bound) => &bound.key,
        }
    }
}

/// The conjuncts of a predicate, in order. Err: a conjunct reads the clock in another way.
pub fn split(predicate: &Expr) -> Result<Vec<Conjunct>, String> {
    let conjunct = |expr: Expr| match (reads_clock(&expr), TimeBound::of(&expr)) {
        (false, _) => Ok(Conjunct::Plain(expr)),
        (true, Some(bound)) => Ok(Conjunct::Timed(bound)),
        (true, None) => Err("in a condition other than a value of the row compared with it".to_owned()),
    };
    predicate.clone().into_conjuncts().into_iter().map(conjunct).collect()
}
