//! Joins of two inputs that are no [`super::star`] (semi, anti and full joins, outer joins with conditions, products):
//! matching pairs by `ΔL ⋈ R_old + L_new ⋈ ΔR`, where both arrangements are already new and `R_old` is derived
//! for the few keys that changed on both sides. Rows without a match are [`super::outer_join`]'s part.

use super::arrangement::Arrangement;
use super::graph::{NodeId, SlotId};
use super::operator::{Batch, Operator, Output, StepContext, count, evaluate, evaluate_row, rows};
use super::outer_join::{Side, match_count, unmatched_delta};
use super::spec::{JoinSpec, Matching};
use crate::Delta;
use crate::key::{KeyMap, KeyState};
use std::sync::Arc;
use weir_planner::eval::{EvalContext, Tuple};
use weir_planner::{Row, Value};

pub(crate) struct JoinOperator {
    pub spec: JoinSpec,
    pub left: SlotId,
    pub right: SlotId,
}

/// What the residual says about a pair that is equal in the key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Match,
    NoMatch,
    Undecided,
}

impl JoinOperator {
    #[inline]
    pub(crate) fn verdict(&self, left: &[Value], right: &[Value], context: &EvalContext) -> Verdict {
        match &self.spec.residual {
            None => Verdict::Match,
            Some(residual) => match evaluate(residual, Tuple::pair(&left[..self.spec.left_width], right), context) {
                Value::Bool(true) => Verdict::Match,
                Value::Error(_) => Verdict::Undecided,
                _ => Verdict::NoMatch,
            },
        }
    }

    fn emits_pairs(&self) -> bool {
        matches!(self.spec.matching, Matching::Inner | Matching::Left | Matching::Full)
    }

    #[inline]
    fn output_row(&self, left: &[Value], right: &[Value], context: &EvalContext) -> Row {
        evaluate_row(&self.spec.output, Tuple::pair(&left[..self.spec.left_width], right), context)
    }

    /// Emits the pair, or counts it when its residual fails.
    #[inline]
    fn pair(&self, left: &Row, right: &Row, weight: i64, context: &EvalContext, out: &mut Output) {
        match self.verdict(left, right, context) {
            Verdict::Match if self.emits_pairs() => out.push(self.output_row(left, right, context), weight),
            Verdict::Undecided => out.errors += weight,
            _ => {}
        }
    }

    /// A left row that matches nothing (or, for a semi join, something).
    fn left_row(&self, row: &Row, weight: i64, context: &EvalContext, out: &mut Output) {
        match self.spec.matching {
            Matching::Left | Matching::Full => {
                let nulls = nulls(self.spec.right_width);
                out.push(self.output_row(row, &nulls, context), weight);
            }
            Matching::Semi | Matching::Anti => out.push(row.clone(), weight),
            Matching::Inner => {}
        }
    }

    fn right_row(&self, row: &Row, weight: i64, context: &EvalContext, out: &mut Output) {
        let nulls = nulls(self.spec.left_width);
        out.push(self.output_row(&nulls, row, context), weight);
    }

    fn left_side<'a>(&'a self, arrangement: &'a Arrangement) -> Side<'a> {
        Side { key: &self.spec.left_key, arrangement, is_left: true }
    }

    fn right_side<'a>(&'a self, arrangement: &'a Arrangement) -> Side<'a> {
        Side { key: &self.spec.right_key, arrangement, is_left: false }
    }
}

/// A row of NULLs for the missing side.
fn nulls(width: usize) -> Vec<Value> {
    vec![Value::Null; width]
}

/// The changes of one input by key, of the keys that are asked for; rows whose key is NULL are left out, failed keys are
/// counted.
fn group_by_key(
    batches: &[Arc<Batch>],
    side: &Side<'_>,
    is_asked_for: impl Fn(&[Value]) -> bool,
    context: &EvalContext,
    errors: &mut i64,
) -> KeyMap<Delta> {
    let mut groups: KeyMap<Delta> = KeyMap::default();
    for (row, weight) in rows(batches) {
        side.key.with_key(row, context, |key, state| match state {
            KeyState::Present if !is_asked_for(key) => {}
            KeyState::Present => groups.get_or_insert(key, Delta::new).push((row.clone(), weight)),
            KeyState::HasNull => {}
            KeyState::Failed => *errors += weight,
        });
    }
    groups
}

impl Operator for JoinOperator {
    fn step(&mut self, inputs: &[Vec<Arc<Batch>>], context: &StepContext<'_>, out: &mut Output) {
        let eval = context.eval;
        let left = context.graph.arrangement(self.left);
        let right = context.graph.arrangement(self.right);
        let (left_side, right_side) = (self.left_side(left), self.right_side(right));
        // Left rows look up by the keys that they have, and those that went by the keys that they had. Where less has changed on
        // the right, it is taken for asked for.
        let asks = count(&inputs[1]) > count(&inputs[0]);
        let mut gone: KeyMap<()> = KeyMap::default();
        for (row, _) in rows(&inputs[0]).filter(|(_, weight)| *weight < 0 && asks) {
            left_side.key.with_key(row, eval, |key, state| {
                if state == KeyState::Present {
                    gone.get_or_insert(key, || ());
                }
            });
        }
        let is_asked_for = |key: &[Value]| !asks || left.get(key).is_some() || gone.get(key).is_some();
        let right_changes = group_by_key(&inputs[1], &right_side, is_asked_for, eval, &mut out.errors);
        let with_pairs = self.emits_pairs() || self.spec.residual.is_some();

        let mut old_right: KeyMap<Delta> = KeyMap::default();
        for (row, weight) in rows(&inputs[0]) {
            left_side.key.with_key(row, eval, |key, state| match state {
                KeyState::Failed => out.errors += weight,
                KeyState::Present if with_pairs => match right_changes.get(key) {
                    None => {
                        if let Some(bag) = right.get(key) {
                            bag.for_each(|other, count| self.pair(row, other, weight * count, eval, out));
                        }
                    }
                    Some(changes) => {
                        let old = old_right.get_or_insert(key, || before(right, key, changes));
                        for (other, count) in old.iter() {
                            self.pair(row, other, weight * count, eval, out);
                        }
                    }
                },
                _ => {}
            });
        }
        if with_pairs {
            for (key, changes) in right_changes.iter() {
                if let Some(bag) = left.get(key.values()) {
                    bag.for_each(|row, weight| {
                        for (other, count) in changes {
                            self.pair(row, other, weight * count, eval, out);
                        }
                    });
                }
            }
        }

        if self.spec.matching != Matching::Inner {
            let of_matched = self.spec.matching == Matching::Semi;
            unmatched_delta(
                self,
                &inputs[0],
                &left_side,
                &right_side,
                &right_changes,
                of_matched,
                eval,
                |row, weight| self.left_row(row, weight, eval, out),
            );
        }
        if self.spec.matching == Matching::Full {
            let left_changes = group_by_key(&inputs[0], &left_side, |_| true, eval, &mut 0);
            unmatched_delta(self, &inputs[1], &right_side, &left_side, &left_changes, false, eval, |row, weight| {
                self.right_row(row, weight, eval, out)
            });
        }
    }

    fn content(&self, inputs: &[NodeId], context: &StepContext<'_>, f: &mut dyn FnMut(&Row, i64)) -> i64 {
        let eval = context.eval;
        let left = context.graph.arrangement(self.left);
        let right = context.graph.arrangement(self.right);
        let mut out = Output::default();
        let wants_match = self.spec.matching == Matching::Semi;
        context.graph.content(inputs[0], &mut |row, weight| {
            self.spec.left_key.with_key(row, eval, |key, state| {
                let bag = right.get(key).filter(|_| state == KeyState::Present);
                match state {
                    KeyState::Failed => out.errors += weight,
                    _ => {
                        if let Some(bag) = bag {
                            bag.for_each(|other, count| self.pair(row, other, weight * count, eval, &mut out));
                        }
                        if self.spec.matching != Matching::Inner {
                            let matches = bag.map_or(0, |bag| match_count(self, row, true, bag, eval));
                            if (matches != 0) == wants_match {
                                self.left_row(row, weight, eval, &mut out);
                            }
                        }
                    }
                }
            });
            out.rows.drain(..).for_each(|(row, weight)| f(&row, weight));
        });
        // Failed right keys count once, and a full join has right rows of its own to add.
        if self.spec.matching != Matching::Full && right.is_complete() {
            return out.errors;
        }
        context.graph.content(inputs[1], &mut |row, weight| {
            self.spec.right_key.with_key(row, eval, |key, state| match state {
                KeyState::Failed => out.errors += weight,
                _ if self.spec.matching == Matching::Full => {
                    let bag = left.get(key).filter(|_| state == KeyState::Present);
                    if bag.map_or(0, |bag| match_count(self, row, false, bag, eval)) == 0 {
                        self.right_row(row, weight, eval, &mut out);
                    }
                }
                _ => {}
            });
            out.rows.drain(..).for_each(|(row, weight)| f(&row, weight));
        });
        out.errors
    }
}

/// The bag under a key as it was before these changes, consolidated.
fn before(arrangement: &Arrangement, key: &[Value], changes: &Delta) -> Delta {
    let mut rows: Delta = changes.iter().map(|(row, weight)| (row.clone(), -weight)).collect();
    if let Some(bag) = arrangement.get(key) {
        bag.for_each(|row, weight| rows.push((row.clone(), weight)));
    }
    crate::delta::consolidate(&mut rows);
    rows
}
