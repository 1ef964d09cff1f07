//! Filters move towards the scans, and conditions into the joins they belong to.
//!
//! A condition that may fail goes where Postgres asks it: as far down as its columns allow, of rows that nothing matches, too,
//! together with those that cannot: whatever were asked of a row before it would hide its error.
//! A condition moves below
//! - a projection, with the projected expressions put in (where it is of window functions or of a limit, none does if
//!   another of its expressions may fail: Postgres evaluates that for all rows);
//! - an inner join, to the side it reads; an outer join, only to the side that is never padded with NULLs;
//! - grouping and DISTINCT, if it reads keys only and does not tell equal ones apart ([`is_safe`]);
//! - UNION ALL, into every branch; below what repeats rows; below set functions, if it reads nothing they return.
//!
//! An outer join whose padded rows a condition above rejects is an inner join.

use super::beside_sets::joined_below;
use super::disjunction::factored;
use super::joins::{Region, is_dissolvable, rebuild};
use super::safety::{cannot_fail, is_safe, may_move, rejects_null};
use super::{empty, filter, map_inputs};
use crate::determined::has_one_image;
use crate::expr::Expr;
use crate::plan::{Join, JoinKind, Node, Plan};
use crate::types::ColumnType;

pub fn push_filters(plan: Plan) -> Plan {
    push(plan, vec![])
}

/// The plan under the AND of `conjuncts` over its columns.
pub(super) fn push(mut plan: Plan, mut conjuncts: Vec<Expr>) -> Plan {
    match plan.node {
        Node::Filter { input, predicate } => {
            let mut all: Vec<Expr> = predicate.into_conjuncts().into_iter().flat_map(factored).collect();
            all.append(&mut conjuncts);
            push(*input, all)
        }
        Node::Project { input, exprs } => {
            let substitute = |conjunct: &Expr| {
                conjunct.replace(&mut |part| match part {
                    Expr::Column(column) => Some(exprs[*column].clone()),
                    _ => None,
                })
            };
            let stays = computes_whole(&input) && !exprs.iter().all(cannot_fail);
            let (below, above) = split(conjuncts, |conjunct| !stays && may_move(&substitute(conjunct)));
            let below = below.iter().map(substitute).collect();
            plan.node = Node::Project { input: Box::new(push(*input, below)), exprs };
            filter(plan, above)
        }
        Node::Join(join) => push_join(*join, plan.columns, conjuncts),
        Node::Aggregate { input, keys, aggregates } if !keys.is_empty() => {
            let substitute = |conjunct: &Expr| {
                conjunct.replace(&mut |part| match part {
                    Expr::Column(column) => Some(keys[*column].clone()),
                    _ => None,
                })
            };
            let (below, above) = below_grouping(conjuncts, &plan.columns[..keys.len()], &substitute);
            let below = below.iter().map(substitute).collect();
            plan.node = Node::Aggregate { input: Box::new(push(*input, below)), keys, aggregates };
            filter(plan, above)
        }
        Node::Distinct { input } => {
            let (below, above) = below_grouping(conjuncts, &plan.columns, &Expr::clone);
            plan.node = Node::Distinct { input: Box::new(push(*input, below)) };
            filter(plan, above)
        }
        Node::Repeat { input } => {
            let (below, above) = split(conjuncts, may_move);
            plan.node = Node::Repeat { input: Box::new(push(*input, below)) };
            filter(plan, above)
        }
        Node::ProjectSet(mut set) => {
            let width = set.input.columns.len();
            let (below, above) = split(conjuncts, |conjunct| {
                !conjunct.columns().is_empty()
                    && conjunct.columns().iter().all(|column| *column < width)
                    && may_move(conjunct)
            });
            set.input = push(std::mem::replace(&mut set.input, empty()), below);
            plan.node = Node::ProjectSet(set);
            filter(plan, above)
        }
        Node::UnionAll { inputs } => {
            let (below, above) = split(conjuncts, may_move);
            let inputs = inputs.into_iter().map(|input| push(input, below.clone())).collect();
            plan.node = Node::UnionAll { inputs };
            filter(plan, above)
        }
        _ => filter(map_inputs(plan, &mut push_filters), conjuncts),
    }
}

/// Columns computed over such an input are so for all of its rows: Postgres does not ask a condition below, and does not merge it
/// with the query around it.
fn computes_whole(input: &Plan) -> bool {
    match &input.node {
        Node::Filter { input, .. } | Node::Project { input, .. } => computes_whole(input),
        Node::Sort { limit, offset, .. } => limit.is_some() || offset.is_some(),
        Node::Window { .. } => true,
        _ => false,
    }
}

/// The conditions that are asked of rows before equal ones are put together, and those that are asked afterwards. Below goes what
/// reads keys only and does not tell equal ones apart. All that read keys stay together where one of them may fail: which of them
/// is asked first says whether it does.
fn below_grouping(
    conjuncts: Vec<Expr>,
    keys: &[ColumnType],
    substitute: &dyn Fn(&Expr) -> Expr,
) -> (Vec<Expr>, Vec<Expr>) {
    let of_keys = |conjunct: &Expr| {
        let columns = conjunct.columns();
        !columns.is_empty() && columns.iter().all(|column| *column < keys.len())
    };
    let goes = |conjunct: &Expr| {
        let below = substitute(conjunct);
        let is_alike = || conjunct.columns().iter().all(|column| has_one_image(&keys[*column]));
        is_safe(&below) || !cannot_fail(&below) && may_move(&below) && is_alike()
    };
    let is_torn = conjuncts.iter().any(|conjunct| of_keys(conjunct) && !cannot_fail(conjunct) && !goes(conjunct));
    split(conjuncts, |conjunct| !is_torn && of_keys(conjunct) && goes(conjunct))
}

fn split(conjuncts: Vec<Expr>, below: impl Fn(&Expr) -> bool) -> (Vec<Expr>, Vec<Expr>) {
    conjuncts.into_iter().partition(below)
}

fn push_join(join: Join, columns: Vec<crate::ColumnType>, conjuncts: Vec<Expr>) -> Plan {
    let mut plan = Plan { node: Node::Join(Box::new(join)), columns };
    if !conjuncts.iter().all(cannot_fail) {
        plan = joined_below(plan);
    }
    let Plan { node: Node::Join(join), columns } = plan else { return push(plan, conjuncts) };
    let mut join = *join;
    let width = join.left.columns.len();
    join.kind = strengthened(join.kind, &conjuncts, width);
    if join.kind == JoinKind::Inner && !is_dissolvable(&join) {
        let plan = Plan { node: Node::Join(Box::new(join)), columns };
        return filter(map_inputs(plan, &mut push_filters), conjuncts);
    }
    if join.kind == JoinKind::Inner {
        let mut region = Region::default();
        region.add(Plan { node: Node::Join(Box::new(join)), columns });
        region.conditions.extend(conjuncts);
        return rebuild(region);
    }
    let left_only = |expr: &Expr| !expr.columns().is_empty() && expr.columns().iter().all(|c| *c < width);
    let right_only = |expr: &Expr| !expr.columns().is_empty() && expr.columns().iter().all(|c| *c >= width);
    // WHERE: a side that is never padded may be filtered before the join.
    let (to_left, rest): (Vec<Expr>, Vec<Expr>) = conjuncts.into_iter().partition(|conjunct| {
        matches!(join.kind, JoinKind::Left | JoinKind::Semi | JoinKind::Anti)
            && left_only(conjunct)
            && may_move(conjunct)
    });
    let (mut to_right, above): (Vec<Expr>, Vec<Expr>) = rest
        .into_iter()
        .partition(|conjunct| join.kind == JoinKind::Right && right_only(conjunct) && may_move(conjunct));
    let mut to_left = to_left;
    // ON: a side whose unmatched rows do not appear may be filtered before the join.
    let conditions = join.residual.take().map(Expr::into_conjuncts).unwrap_or_default();
    let mut residual = Vec::new();
    for condition in conditions {
        match join.kind {
            JoinKind::Left | JoinKind::Semi | JoinKind::Anti if right_only(&condition) && may_move(&condition) => {
                to_right.push(condition);
            }
            JoinKind::Right if left_only(&condition) && may_move(&condition) => to_left.push(condition),
            _ => residual.push(condition),
        }
    }
    join.residual = Expr::conjunction(residual);
    let to_right = to_right.into_iter().map(|expr| expr.map_columns(&mut |c| c - width)).collect();
    join.left = push(std::mem::replace(&mut join.left, empty()), to_left);
    join.right = push(std::mem::replace(&mut join.right, empty()), to_right);
    filter(Plan { node: Node::Join(Box::new(join)), columns }, above)
}

/// The join kind once rows that a condition above rejects are not produced.
fn strengthened(kind: JoinKind, conjuncts: &[Expr], width: usize) -> JoinKind {
    let rejects_left = || conjuncts.iter().any(|conjunct| rejects_null(conjunct, &|column| column < width));
    let rejects_right = || conjuncts.iter().any(|conjunct| rejects_null(conjunct, &|column| column >= width));
    match kind {
        JoinKind::Left if rejects_right() => JoinKind::Inner,
        JoinKind::Right if rejects_left() => JoinKind::Inner,
        JoinKind::Full => match (rejects_left(), rejects_right()) {
            (true, true) => JoinKind::Inner,
            // Rows without a left partner go: what is left keeps every left row.
            (true, false) => JoinKind::Left,
            (false, true) => JoinKind::Right,
            (false, false) => JoinKind::Full,
        },
        kind => kind,
    }
}
