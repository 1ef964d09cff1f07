//! The part of a join that depends on *whether* a row has matches: null extension, semi and anti joins.
//!
//! With z = 1 for a row without matches and 0 otherwise, the change of `Σ row · z` is
//! `Δrow · z_old + row_new · (z_new − z_old)`: the changed rows under the old matches, and all rows under each key
//! where matches appeared or vanished.

use super::arrangement::Arrangement;
use super::bag::Bag;
use super::join::{JoinOperator, Verdict};
use super::operator::{Batch, rows};
use crate::Delta;
use crate::key::{KeyMap, KeySpec, KeyState};
use std::sync::Arc;
use weir_planner::Row;
use weir_planner::eval::EvalContext;

/// One side of a join, with its rows at the present.
pub(crate) struct Side<'a> {
    pub key: &'a KeySpec,
    pub arrangement: &'a Arrangement,
    pub is_left: bool,
}

fn matches(join: &JoinOperator, row: &Row, row_is_left: bool, other: &Row, context: &EvalContext) -> bool {
    let verdict = if row_is_left { join.verdict(row, other, context) } else { join.verdict(other, row, context) };
    verdict == Verdict::Match
}

/// Number of rows in the bag that match.
pub(crate) fn match_count(join: &JoinOperator, row: &Row, row_is_left: bool, bag: &Bag, context: &EvalContext) -> i64 {
    if join.spec.residual.is_none() {
        return bag.total();
    }
    let mut count = 0;
    bag.for_each(|other, weight| {
        if matches(join, row, row_is_left, other, context) {
            count += weight;
        }
    });
    count
}

fn changed_count(join: &JoinOperator, row: &Row, row_is_left: bool, changes: &Delta, context: &EvalContext) -> i64 {
    if join.spec.residual.is_none() {
        return changes.iter().map(|(_, weight)| weight).sum();
    }
    changes.iter().filter(|(other, _)| matches(join, row, row_is_left, other, context)).map(|(_, weight)| weight).sum()
}

/// Emits the change in the rows of `this` side that have no match (`of_matched`: that have one).
#[allow(clippy::too_many_arguments)]
pub(crate) fn unmatched_delta(
    join: &JoinOperator,
    changes: &[Arc<Batch>],
    this: &Side<'_>,
    other: &Side<'_>,
    other_changes: &KeyMap<Delta>,
    of_matched: bool,
    context: &EvalContext,
    mut emit: impl FnMut(&Row, i64),
) {
    for (row, weight) in rows(changes) {
        let matched = this.key.with_key(row, context, |key, state| match state {
            KeyState::Failed => None,
            KeyState::HasNull => Some(false),
            KeyState::Present => {
                let new =
                    other.arrangement.get(key).map_or(0, |bag| match_count(join, row, this.is_left, bag, context));
                let change =
                    other_changes.get(key).map_or(0, |rows| changed_count(join, row, this.is_left, rows, context));
                Some(new != change)
            }
        });
        if matched == Some(of_matched) {
            emit(row, weight);
        }
    }
    for (key, changes) in other_changes.iter() {
        let Some(bag) = this.arrangement.get(key.values()) else { continue };
        let others = other.arrangement.get(key.values());
        if join.spec.residual.is_none() {
            let new = others.map_or(0, Bag::total);
            let old = new - changes.iter().map(|(_, weight)| weight).sum::<i64>();
            let sign = transition(old, new, of_matched);
            if sign != 0 {
                bag.for_each(|row, weight| emit(row, sign * weight));
            }
            continue;
        }
        bag.for_each(|row, weight| {
            let change = changed_count(join, row, this.is_left, changes, context);
            if change == 0 {
                return;
            }
            let new = others.map_or(0, |bag| match_count(join, row, this.is_left, bag, context));
            let sign = transition(new - change, new, of_matched);
            if sign != 0 {
                emit(row, sign * weight);
            }
        });
    }
}

/// +1 when the row enters the set of unmatched (or matched) rows, -1 when it leaves, 0 when nothing changes.
fn transition(old: i64, new: i64, of_matched: bool) -> i64 {
    match (old == 0, new == 0) {
        (false, true) => 1 - 2 * i64::from(of_matched),
        (true, false) => 2 * i64::from(of_matched) - 1,
        _ => 0,
    }
}
