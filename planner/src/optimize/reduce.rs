//! Groups that are looked up for few keys are made of those keys' rows only.
//!
//! `SELECT … FROM part p JOIN line l … WHERE p.brand = 'x' AND l.quantity < (SELECT 0.2 * avg(quantity) FROM line WHERE
//! partkey = p.partkey)` is a join with `line` grouped by part. Of all groups only those of the few parts with that brand
//! find a partner, so the rows of `line` are cut down by a semi-join with these parts before they are grouped.
//!
//! Equivalence. A *restriction* of a plan says that above it a row counts only if one of its columns has a value that a
//! column of another plan, the *source*, has. It comes from a join whose other side has only such values in the column that it
//! is compared with, and holds below
//! - filters, projections of the column, UNION ALL, semi-joins and anti-joins on their left;
//! - an inner join, on the side that has the column, and on the other one in what it is compared with;
//! - a left join on its left, and on its right in what the column is compared with;
//! - grouping by the column, as every group is either kept whole or goes whole.
//!
//! Equality is transitive, for all sides of it have one type. It is put to use at the scans below a grouping: elsewhere the
//! join that it comes from drops the same rows. Whatever decides on the way whether a row exists must be certain not to fail
//! ([`Certainty`]), or an error that Postgres may raise would go unseen with the rows. A failing argument makes an error in a
//! group that nothing joins.

use super::certainty::Certainty;
use super::map_inputs;
use super::selective::{is_selective_scan, selective_source};
use crate::catalog::Catalog;
use crate::expr::Expr;
use crate::plan::{Join, JoinKind, Node, Plan};

/// What counts above a plan: rows whose `column` is among the values of `source`'s `key`.
#[derive(Clone)]
struct Restriction {
    column: usize,
    source: Plan,
    key: usize,
    /// A grouping lies between the join that it comes from and here.
    below_grouping: bool,
}

impl Restriction {
    fn of_column(&self, column: usize) -> Restriction {
        Restriction { column, ..self.clone() }
    }
}

pub fn reduce(plan: Plan, catalog: &Catalog) -> Plan {
    restricted(plan, &[], &Certainty { relations: catalog })
}

fn restricted(mut plan: Plan, wanted: &[Restriction], certainty: &Certainty<'_>) -> Plan {
    match plan.node {
        Node::Scan { .. } => applied(plan, wanted),
        Node::Filter { ref input, .. } if matches!(input.node, Node::Scan { .. }) => applied(plan, wanted),
        Node::Filter { input, predicate } => {
            let wanted = if certainty.of_expr(&predicate, &input) { wanted } else { &[] };
            plan.node = Node::Filter { input: Box::new(restricted(*input, wanted, certainty)), predicate };
            plan
        }
        Node::Project { input, exprs } => {
            let below = of_columns(wanted, &exprs, false);
            plan.node = Node::Project { input: Box::new(restricted(*input, &below, certainty)), exprs };
            plan
        }
        Node::Aggregate { input, keys, aggregates } => {
            let is_certain = keys.iter().all(|key| certainty.of_expr(key, &input));
            let below = of_columns(if is_certain { wanted } else { &[] }, &keys, true);
            plan.node = Node::Aggregate { input: Box::new(restricted(*input, &below, certainty)), keys, aggregates };
            plan
        }
        Node::Join(join) => {
            plan.node = Node::Join(Box::new(restricted_join(*join, wanted, certainty)));
            plan
        }
        Node::UnionAll { .. } => map_inputs(plan, &mut |input| restricted(input, wanted, certainty)),
        _ => map_inputs(plan, &mut |input| restricted(input, &[], certainty)),
    }
}

/// Restrictions of what these expressions are made of, where they are columns.
fn of_columns(wanted: &[Restriction], exprs: &[Expr], is_grouping: bool) -> Vec<Restriction> {
    let below = |restriction: &Restriction| match exprs.get(restriction.column) {
        Some(Expr::Column(column)) => {
            let below_grouping = restriction.below_grouping || is_grouping;
            Some(Restriction { below_grouping, ..restriction.of_column(*column) })
        }
        _ => None,
    };
    wanted.iter().filter_map(below).collect()
}

fn restricted_join(mut join: Join, wanted: &[Restriction], certainty: &Certainty<'_>) -> Join {
    let width = join.left.columns.len();
    let wanted = if certainty.of_join(&join) { wanted } else { &[] };
    let mut left: Vec<Restriction> = wanted.iter().filter(|wanted| wanted.column < width).cloned().collect();
    let mut right: Vec<Restriction> = Vec::new();
    if join.kind == JoinKind::Inner {
        let of_right = wanted.iter().filter(|wanted| wanted.column >= width);
        right.extend(of_right.map(|wanted| wanted.of_column(wanted.column - width)));
    }
    let own = (left.clone(), right.clone());
    let from = |source: Option<(Plan, usize)>, column: usize| {
        source.map(|(source, key)| Restriction { column, source, key, below_grouping: false })
    };
    // A key that fails makes its row undecided, with a partner or without.
    let is_certain_left = join.equal.iter().all(|(left, _)| certainty.of_expr(left, &join.left));
    let is_certain_right = join.equal.iter().all(|(_, right)| certainty.of_expr(right, &join.right));
    for (first, second) in &join.equal {
        let (Expr::Column(first), Expr::Column(second)) = (first, second) else { continue };
        // Right rows that no left row is compared with appear nowhere, unless the right side is kept.
        if matches!(join.kind, JoinKind::Inner | JoinKind::Left | JoinKind::Semi | JoinKind::Anti) {
            right.extend(own.0.iter().filter(|own| own.column == *first).map(|own| own.of_column(*second)));
            right.extend(from(selective_source(&join.left, *first).filter(|_| is_certain_right), *second));
        }
        if matches!(join.kind, JoinKind::Inner | JoinKind::Semi) {
            left.extend(own.1.iter().filter(|own| own.column == *second).map(|own| own.of_column(*first)));
            left.extend(from(selective_source(&join.right, *second).filter(|_| is_certain_left), *first));
        }
    }
    if matches!(join.kind, JoinKind::Right | JoinKind::Full) {
        (left, right) = (vec![], vec![]);
    }
    join.left = restricted(std::mem::replace(&mut join.left, super::empty()), &left, certainty);
    join.right = restricted(std::mem::replace(&mut join.right, super::empty()), &right, certainty);
    join
}

/// The scan cut down by the first restriction that asks for it; one that is as selective itself stays as it is.
fn applied(plan: Plan, wanted: &[Restriction]) -> Plan {
    let first = wanted.iter().find(|wanted| wanted.below_grouping);
    let Some(Restriction { column, source, key, .. }) = first.filter(|_| !is_selective_scan(&plan)) else {
        return plan;
    };
    let columns = plan.columns.clone();
    let equal = vec![(Expr::Column(*column), Expr::Column(*key))];
    let join = Join { kind: JoinKind::Semi, left: plan, right: source.clone(), equal, residual: None };
    Plan { node: Node::Join(Box::new(join)), columns }
}
