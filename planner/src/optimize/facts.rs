//! What is known of a plan's rows: columns that are never NULL, column sets that are unique.

use super::map_inputs;
use crate::catalog::Catalog;
use crate::expr::Expr;
use crate::plan::{AggregateKind, JoinKind, Node, Plan, WindowKind};
use std::collections::BTreeSet;

/// Output columns that are never NULL.
pub fn not_null(plan: &Plan, catalog: &Catalog) -> BTreeSet<usize> {
    match &plan.node {
        Node::Scan { relation, columns } => {
            let Some(entry) = catalog.relations.get(&relation.0) else { return BTreeSet::new() };
            let is_not_null =
                |stored: &usize| entry.columns.get(*stored).is_some_and(|c| c.not_null && c.generated == ' ');
            (0..columns.len()).filter(|column| is_not_null(&columns[*column])).collect()
        }
        Node::Filter { input, .. } | Node::Sort { input, .. } | Node::Distinct { input } => not_null(input, catalog),
        Node::Window { input, functions } => {
            let mut found = not_null(input, catalog);
            let counts = |kind: WindowKind| match kind {
                WindowKind::Aggregate(kind) => is_count(kind),
                kind => kind.is_ranking(),
            };
            let numbered = functions.iter().enumerate().filter(|(_, function)| counts(function.kind));
            found.extend(numbered.map(|(index, _)| input.columns.len() + index));
            found
        }
        Node::Project { input, exprs } => {
            let below = not_null(input, catalog);
            (0..exprs.len()).filter(|i| is_not_null(&exprs[*i], &below)).collect()
        }
        Node::Join(join) => {
            let width = join.left.columns.len();
            let mut found = BTreeSet::new();
            if !matches!(join.kind, JoinKind::Right | JoinKind::Full) {
                found.extend(not_null(&join.left, catalog));
            }
            if matches!(join.kind, JoinKind::Inner | JoinKind::Right) {
                found.extend(not_null(&join.right, catalog).into_iter().map(|column| column + width));
            }
            found
        }
        Node::Aggregate { input, keys, aggregates } => {
            let below = not_null(input, catalog);
            let keys_known = (0..keys.len()).filter(|i| is_not_null(&keys[*i], &below));
            let counts = aggregates.iter().enumerate().filter(|(_, call)| is_count(call.kind));
            keys_known.chain(counts.map(|(i, _)| keys.len() + i)).collect()
        }
        Node::Repeat { input } => {
            let mut found = not_null(input, catalog);
            found.remove(&plan.columns.len());
            found
        }
        Node::ProjectSet(set) => {
            let mut found = not_null(&set.input, catalog);
            found.extend((set.calls.ordinality && set.calls.left.is_none()).then(|| plan.columns.len() - 1));
            found
        }
        Node::Fence { input } => not_null(input, catalog),
        Node::Values { .. } | Node::UnionAll { .. } => BTreeSet::new(),
    }
}

fn is_not_null(expr: &Expr, columns: &BTreeSet<usize>) -> bool {
    match expr {
        Expr::Column(column) => columns.contains(column),
        Expr::Const(value) => !value.is_null(),
        Expr::Coalesce(args) => args.iter().any(|arg| is_not_null(arg, columns)),
        _ => false,
    }
}

fn is_count(kind: AggregateKind) -> bool {
    matches!(kind, AggregateKind::Count | AggregateKind::CountRows)
}

/// Sets of output columns of which no two rows have the same values (NULL being the same as NULL).
pub fn unique_keys(plan: &Plan, catalog: &Catalog) -> Vec<Vec<usize>> {
    match &plan.node {
        Node::Scan { relation, columns } => {
            let Some(entry) = catalog.relations.get(&relation.0) else { return vec![] };
            let position = |stored: &usize| columns.iter().position(|column| column == stored);
            entry.unique_keys.iter().filter_map(|key| key.iter().map(position).collect()).collect()
        }
        Node::Filter { input, .. } | Node::Sort { input, .. } | Node::Window { input, .. } => {
            unique_keys(input, catalog)
        }
        Node::Distinct { input } => {
            let mut found = unique_keys(input, catalog);
            found.push((0..plan.columns.len()).collect());
            found
        }
        Node::Project { input, exprs } => {
            let position = |below: &usize| exprs.iter().position(|expr| *expr == Expr::Column(*below));
            let keys = unique_keys(input, catalog);
            keys.iter().filter_map(|key| key.iter().map(position).collect()).collect()
        }
        Node::Aggregate { keys, .. } => vec![(0..keys.len()).collect()],
        Node::Join(join) => {
            let left = unique_keys(&join.left, catalog);
            // At most one partner on the right: the left side's keys still tell rows apart.
            let right_columns: Vec<usize> = join
                .equal
                .iter()
                .filter_map(|(_, right)| match right {
                    Expr::Column(column) => Some(*column),
                    _ => None,
                })
                .collect();
            let one_partner = || {
                let keys = unique_keys(&join.right, catalog);
                keys.iter().any(|key| key.iter().all(|column| right_columns.contains(column)))
            };
            match join.kind {
                JoinKind::Semi | JoinKind::Anti => left,
                JoinKind::Inner | JoinKind::Left if one_partner() => left,
                _ => vec![],
            }
        }
        Node::Fence { input } => unique_keys(input, catalog),
        Node::Values { .. } | Node::UnionAll { .. } | Node::Repeat { .. } | Node::ProjectSet(_) => vec![],
    }
}

/// `count(x)` of a column that is never NULL counts rows.
pub fn count_rows(plan: Plan, catalog: &Catalog) -> Plan {
    let mut plan = map_inputs(plan, &mut |input| count_rows(input, catalog));
    if let Node::Aggregate { input, aggregates, .. } = &mut plan.node {
        let known = not_null(input, catalog);
        for call in aggregates {
            if call.kind == AggregateKind::Count && !call.distinct && call.args.iter().all(|a| is_not_null(a, &known)) {
                call.kind = AggregateKind::CountRows;
                call.args.clear();
                call.input = None;
            }
        }
    }
    plan
}
