//! Conditions on the time: `e(row) op T(now)`, whose outcome for a row changes while nothing is written.
//!
//! [`split`] finds them among the conjuncts of a filter, [`lift`] within any expression; [`check`] says whether a plan reads
//! the clock in such conditions only. How T moves is [`crate::functions::Piece`]'s to say; what keeps the rows is the cache's.

mod bound;
mod check;
mod difference;

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
    /// A comparison with the time and nothing else.
    Timed(TimeBound),
    /// It reads the clock in another way, under OR for example: [`lift`] says whether in comparisons only.
    Mixed(Expr),
}

/// The conjuncts of a predicate, in order.
pub fn split(predicate: &Expr) -> Vec<Conjunct> {
    let conjunct = |expr: Expr| match (reads_clock(&expr), TimeBound::of(&expr)) {
        (false, _) => Conjunct::Plain(expr),
        (true, Some(bound)) => Conjunct::Timed(bound),
        (true, None) => Conjunct::Mixed(expr),
    };
    predicate.clone().into_conjuncts().into_iter().map(conjunct).collect()
}

/// Puts columns from `width` on in the place of the comparisons with the time within these expressions, and returns the
/// comparisons, each once. Err: the clock is read outside of such comparisons as well.
pub fn lift<'e>(exprs: impl IntoIterator<Item = &'e mut Expr>, width: usize) -> Result<Vec<TimeBound>, String> {
    let mut bounds: Vec<TimeBound> = Vec::new();
    for expr in exprs {
        if !reads_clock(expr) {
            continue;
        }
        *expr = expr.replace(&mut |part| {
            let bound = TimeBound::of(part)?;
            let known = bounds.iter().position(|known| *known == bound);
            Some(Expr::Column(
                width
                    + known.unwrap_or_else(|| {
                        bounds.push(bound);
                        bounds.len() - 1
                    }),
            ))
        });
        if reads_clock(expr) {
            return Err("other than compared with a value of the row".to_owned());
        }
    }
    Ok(bounds)
}
