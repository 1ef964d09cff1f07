//! Conditions of WHERE with subqueries in them that stay conditions. Postgres asks a row first what it takes to be cheap, and
//! how much a subquery costs depends on statistics: of two conditions with subqueries it is not known which is asked first.
//! So whatever may fail among them is asked of every row that reaches any of them, and Postgres answers while one fails.

use super::fenced;
use super::parts::{Parts, Reference, ScalarPart};
use super::select::{filter, project};
use crate::expr::Expr;
use crate::optimize::{cannot_fail, is_sound, is_sound_throughout, turn};
use crate::plan::Plan;
use crate::types::{ColumnType, oid};

/// When a condition is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Certainly before all that may fail with a subquery in it, or there is no other such.
    Early,
    /// Perhaps before, perhaps after.
    Late,
    /// It may fail, and others may be asked before it or after it.
    LateAndMayFail,
}

/// No row fails for what it hands to the subquery, or for what the subquery computes of that. What a subquery computes that
/// depends on no row is no question of turns.
fn is_sure(part: &ScalarPart) -> bool {
    let depends_on_rows = part.domain.is_some();
    part.outer().all(cannot_fail) && (!depends_on_rows || is_sound(&part.plan) && is_sound_throughout(&part.plan))
}

/// The condition may fail for what a row hands to its subqueries.
pub(super) fn hands_over_what_may_fail(condition: &Expr, parts: &Parts) -> bool {
    !cannot_fail(condition) || !parts.scalars.iter().flatten().flat_map(ScalarPart::outer).all(cannot_fail)
}

/// When each is asked, before their subqueries are joined.
pub(super) fn turns(conditions: &[Expr], parts: &Parts) -> Vec<Turn> {
    let subqueries = |condition: &Expr| -> Vec<usize> {
        let of = |column: usize| match Reference::of(column) {
            Reference::Scalar(index) => Some(index),
            _ => None,
        };
        condition.columns().into_iter().filter_map(of).collect()
    };
    let subqueries: Vec<Vec<usize>> = conditions.iter().map(subqueries).collect();
    let is_sure = |part: &usize| parts.scalars[*part].as_ref().is_some_and(is_sure);
    let is_certain = |at: usize| cannot_fail(&conditions[at]) && subqueries[at].iter().all(is_sure);
    let may_fail = |at: usize| !subqueries[at].is_empty() && !is_certain(at);
    let key = |at: usize| (turn(&conditions[at]), at);
    let Some(first) = (0..conditions.len()).filter(|at| may_fail(*at)).map(key).min() else {
        return vec![Turn::Early; conditions.len()];
    };
    let turn_of = |at: usize| match may_fail(at) {
        true => Turn::LateAndMayFail,
        false if subqueries[at].is_empty() && key(at) < first => Turn::Early,
        false => Turn::Late,
    };
    let turns: Vec<Turn> = (0..conditions.len()).map(turn_of).collect();
    match turns.iter().filter(|turn| **turn != Turn::Early).count() {
        0 | 1 => vec![Turn::Early; conditions.len()],
        _ => turns,
    }
}

/// The rows of the plan for which all conditions are true, asked by their turns.
pub(super) fn asked(mut plan: Plan, conditions: Vec<Expr>, turns: &[Turn]) -> Plan {
    let (mut early, mut late, mut failing) = (Vec::new(), Vec::new(), Vec::new());
    for (condition, turn) in conditions.into_iter().zip(turns) {
        match turn {
            Turn::Early => early.push(condition),
            Turn::Late => late.push(condition),
            Turn::LateAndMayFail => failing.push(condition),
        }
    }
    if let Some(condition) = Expr::conjunction(early) {
        plan = filter(plan, condition);
    }
    if failing.is_empty() {
        return plan;
    }
    let width = plan.columns.len();
    let columns = plan.columns.iter().cloned().enumerate().map(|(at, kind)| (Expr::Column(at), kind));
    late.extend((width..width + failing.len()).map(Expr::Column));
    let targets = columns.chain(failing.into_iter().map(|condition| (condition, ColumnType::new(oid::BOOL)))).collect();
    let plan = fenced(project(plan, targets));
    match Expr::conjunction(late) {
        Some(condition) => filter(plan, condition),
        None => plan,
    }
}
