//! Whether a plan can be kept as the clock goes on.

use super::{lift, reads_clock};
use crate::datetime::MICROS_PER_DAY;
use crate::eval::EvalContext;
use crate::functions::{Course, Piece};
use crate::plan::{Node, Plan};
use crate::settings::{SettingSet, Settings};

/// Days since 2000 at which times are tried: what cannot be computed on these is refused beforehand.
const TRIED_DAYS: [i64; 4] = [1, 9_000, 9_797, 20_000];

/// Whether the plan reads the clock only in comparisons that are kept row by row: `e(row) op T(now)`, with a T that is known
/// to stand still or to run with the clock under these settings. Err: what else it does with it, for people.
pub fn check(plan: &Plan, settings: &Settings) -> Result<(), String> {
    let mut plan = plan.clone();
    walk(&mut plan, settings)
}

fn walk(plan: &mut Plan, settings: &Settings) -> Result<(), String> {
    let elsewhere = match &plan.node {
        Node::Filter { .. } | Node::Project { .. } | Node::Aggregate { .. } => None,
        node => Some(place(node)),
    };
    let mut exprs = Vec::new();
    plan.own_exprs_mut(&mut |expr| exprs.extend(reads_clock(expr).then(|| expr.clone())));
    let sets_read = matches!(&plan.node, Node::ProjectSet(set)
        if set.calls.calls.iter().any(|call| call.function.settings.contains(SettingSet::CLOCK)));
    if let Some(place) = elsewhere
        && (sets_read || !exprs.is_empty())
    {
        return Err(place.to_owned());
    }
    for bound in lift(&mut exprs, usize::MAX / 2)? {
        TRIED_DAYS.iter().try_for_each(|day| is_known(&bound.time, *day, settings))?;
    }
    plan.inputs_mut().into_iter().try_for_each(|input| walk(input, settings))
}

fn is_known(time: &crate::Expr, day: i64, settings: &Settings) -> Result<(), String> {
    let now_micros = day * MICROS_PER_DAY + 1;
    let context = EvalContext { settings: settings.clone(), now_micros, ..EvalContext::default() };
    let piece = Piece::of(time, &context)?;
    match (super::TimeBound::point(&piece.value), piece.course) {
        (Some(i64::MIN | i64::MAX) | None, _) => Err("a time that is no finite one".into()),
        (Some(_), Course::Still | Course::Running) => Ok(()),
    }
}

/// Where the clock was read.
fn place(node: &Node) -> &'static str {
    match node {
        Node::Join(_) => "in a join condition that is no filter of one side",
        Node::Window { .. } => "in a window function",
        Node::Sort { .. } => "in ORDER BY, LIMIT or OFFSET",
        Node::ProjectSet(_) => "in a set-returning function",
        _ => "as a value of its own",
    }
}
