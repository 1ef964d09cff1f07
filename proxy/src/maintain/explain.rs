//! What a maintained table is made of: its operators as text, and the columns each of its own is computed from.

use super::keeper::Keeper;
use super::populate::Maintenance;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use weir_planner::expr::Expr;
use weir_planner::plan::{JoinKind, Node};
use weir_planner::{Plan, RelationId};

/// A relation and the position among its live columns.
type Origin = (RelationId, usize);

/// `{"operator_tree": …, "lineage": [[[relation, position], …], …], "source_rows": "name: kept, …"}`, or `{}` when the table is not maintained from deltas.
pub(super) fn explain(keeper: &Keeper, pgt_id: Option<i64>) -> Json {
    let Some(view) = keeper.views.values().find(|view| Some(view.row.pgt_id) == pgt_id) else { return json!({}) };
    let Maintenance::Incremental(plan) = &view.how else { return json!({}) };
    let name = |id: RelationId| match (keeper.tables.get(&id), keeper.views.get(&id)) {
        (Some(base), _) => format!("{}.{}", base.table.spec.schema, base.table.spec.name),
        (None, Some(view)) => format!("{}.{}", view.row.schema, view.row.name),
        (None, None) => id.0.to_string(),
    };
    let lineage: Vec<Vec<(u32, usize)>> = lineage(plan)
        .into_iter()
        .map(|origins| origins.into_iter().map(|(id, column)| (id.0, column)).collect())
        .collect();
    let bases = view.sources.iter().filter_map(|id| keeper.tables.get(id).map(|base| (*id, base)));
    let mut rows: Vec<String> = bases.map(|(id, base)| format!("{}: {}", name(id), base.describe_rows())).collect();
    rows.sort_unstable();
    let source_rows = Some(rows.join(", ")).filter(|rows| !rows.is_empty());
    json!({ "operator_tree": plan.to_text(&name), "lineage": lineage, "source_rows": source_rows })
}

/// For every output column, the stored columns that its value is computed from.
fn lineage(plan: &Plan) -> Vec<BTreeSet<Origin>> {
    match &plan.node {
        Node::Scan { relation, columns } => {
            columns.iter().map(|column| BTreeSet::from([(*relation, *column)])).collect()
        }
        Node::Values { .. } => vec![BTreeSet::new(); plan.columns.len()],
        Node::Filter { input, .. } | Node::Sort { input, .. } | Node::Distinct { input } | Node::Fence { input } => {
            lineage(input)
        }
        Node::Repeat { input } => {
            let mut below = lineage(input);
            below.pop();
            below
        }
        Node::Project { input, exprs } => {
            let below = lineage(input);
            exprs.iter().map(|expr| of([expr], &below)).collect()
        }
        Node::Join(join) => {
            let mut below = lineage(&join.left);
            if !matches!(join.kind, JoinKind::Semi | JoinKind::Anti) {
                below.extend(lineage(&join.right));
            }
            below
        }
        Node::Aggregate { input, keys, aggregates } => {
            let below = lineage(input);
            let keys = keys.iter().map(|key| of([key], &below));
            keys.chain(aggregates.iter().map(|call| of(call.args.iter().chain(&call.filter), &below))).collect()
        }
        Node::ProjectSet(set) => {
            let mut below = lineage(&set.input);
            let mut added: Vec<_> = set.calls.calls.iter().map(|call| of(&call.args, &below)).collect();
            added.resize(set.calls.width(), BTreeSet::new());
            below.extend(added);
            below
        }
        Node::Window { input, functions } => {
            let mut below = lineage(input);
            let calls: Vec<_> = functions.iter().map(|call| of(call.exprs(), &below)).collect();
            below.extend(calls);
            below
        }
        Node::UnionAll { inputs } => {
            let mut merged = vec![BTreeSet::new(); plan.columns.len()];
            for input in inputs {
                for (column, origins) in merged.iter_mut().zip(lineage(input)) {
                    column.extend(origins);
                }
            }
            merged
        }
    }
}

fn of<'a>(exprs: impl IntoIterator<Item = &'a Expr>, below: &[BTreeSet<Origin>]) -> BTreeSet<Origin> {
    let columns = exprs.into_iter().flat_map(Expr::columns);
    columns.filter_map(|column| below.get(column)).flatten().copied().collect()
}
