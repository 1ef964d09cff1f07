//! Relations in FROM: tables and stream tables are scanned, partitioned ones leaf by leaf, heirs beside whom they inherit from,
//! ordinary views expanded.

use super::error::{LowerError, Unsupported};
use super::expr::{Columns, ExprLowerer, Frame};
use super::{Level, Lowering, unsupported};
use crate::catalog::{RelationEntry, RelationKind};
use crate::expand::{Expanded, expand};
use crate::expr::Expr;
use crate::plan::{Node as PlanNode, Plan};
use crate::query::{FromItem, Query, RangeEntry, RangeKind, statement};
use crate::tree::{Tree, parse};
use crate::types::RelationId;

impl<'c> Lowering<'c> {
    /// The plan of relation `oid` and where its columns stand in it, as range table entry `varno`.
    pub(super) fn relation(
        &mut self,
        oid: u32,
        with_children: bool,
        varno: usize,
    ) -> Result<(Plan, Columns), LowerError> {
        let entry = self.catalog.relations.get(&oid).ok_or(LowerError::Missing { kind: "relation", oid })?;
        match &entry.kind {
            RelationKind::Table | RelationKind::StreamTable { .. } => self.scan(oid, entry, varno),
            RelationKind::Partitioned { .. } if !with_children => unsupported("ONLY of a partitioned table"),
            RelationKind::Partitioned { leaves } => self.union(leaves, "partition", entry, varno),
            RelationKind::Parent { .. } if !with_children => self.scan(oid, entry, varno),
            RelationKind::Parent { tables } => self.union(tables, "heir", entry, varno),
            RelationKind::View { tree } => {
                let tree = parse(tree)?;
                let Expanded { tree, functions } = expand(&tree, self.catalog);
                self.uses.bodies.extend(functions);
                let Some(query) = statement(&tree) else { return unsupported("a view of more than one statement") };
                let view = self.view(query)?;
                let mut columns = Columns::default();
                for (position, column) in entry.columns.iter().enumerate() {
                    columns.insert(varno, i64::from(column.number), position);
                }
                Ok((view, columns))
            }
            RelationKind::Other { reason } => {
                Err(Unsupported::because(reason.clone(), format!("{}.{}", entry.schema, entry.name)).into())
            }
        }
    }

    /// Its rows are those of several tables: the key of the first is unique in that one alone, which Postgres disregards where
    /// columns are said to depend on it.
    pub(super) fn has_heirs(&self, entry: &RangeEntry<'_>) -> bool {
        let RangeKind::Relation { oid, with_children: true, .. } = entry.kind else { return false };
        matches!(self.catalog.relations.get(&oid), Some(RelationEntry { kind: RelationKind::Parent { .. }, .. }))
    }

    /// A view sees nothing of the query it is used in.
    fn view(&mut self, query: &crate::tree::Node) -> Result<Plan, LowerError> {
        Ok(super::without_order(self.query(query, None)?.plan))
    }

    fn scan(&mut self, oid: u32, entry: &RelationEntry, varno: usize) -> Result<(Plan, Columns), LowerError> {
        let mut columns = Columns::default();
        let mut kinds = Vec::with_capacity(entry.columns.len());
        for (position, column) in entry.columns.iter().enumerate() {
            columns.insert(varno, i64::from(column.number), position);
            kinds.push(self.kind(column.type_oid, column.typmod, column.collation)?);
        }
        let scan = PlanNode::Scan { relation: RelationId(oid), columns: (0..kinds.len()).collect() };
        let plan = Plan { node: scan, columns: kinds };
        if entry.generated.is_empty() {
            return Ok((plan, columns));
        }
        Ok((self.with_generated(plan, entry)?, columns))
    }

    /// Every one of `tables` is a table of its own, with its own order of columns and its own generated ones. `what` each is of the
    /// `root`.
    fn union(
        &mut self,
        tables: &[u32],
        what: &str,
        root: &RelationEntry,
        varno: usize,
    ) -> Result<(Plan, Columns), LowerError> {
        let (mut columns, mut kinds) = (Columns::default(), Vec::with_capacity(root.columns.len()));
        for (position, column) in root.columns.iter().enumerate() {
            columns.insert(varno, i64::from(column.number), position);
            kinds.push(self.kind(column.type_oid, column.typmod, column.collation)?);
        }
        let mut inputs = Vec::with_capacity(tables.len());
        for &oid in tables {
            let table = self.catalog.relations.get(&oid).ok_or(LowerError::Missing { kind: "relation", oid })?;
            if let RelationKind::Other { reason } = &table.kind {
                let (cannot, name) =
                    (format!("{what} that cannot be followed"), format!("{}.{}", table.schema, table.name));
                return Err(Unsupported::because(cannot, format!("{reason} {name}")).into());
            }
            let (scan, _) = self.scan(oid, table, varno)?;
            let mut exprs = Vec::with_capacity(kinds.len());
            for (column, kind) in root.columns.iter().zip(&kinds) {
                let found = table.columns.iter().position(|own| own.name == column.name);
                match found.filter(|position| scan.columns[*position] == *kind) {
                    Some(position) => exprs.push(Expr::Column(position)),
                    // Read while it was being changed.
                    None => return unsupported(format!("{what} without the column {}", column.name)),
                }
            }
            let same = exprs.len() == scan.columns.len()
                && exprs.iter().enumerate().all(|(position, expr)| *expr == Expr::Column(position));
            inputs.push(if same {
                scan
            } else {
                Plan { node: PlanNode::Project { input: Box::new(scan), exprs }, columns: kinds.clone() }
            });
        }
        let node = match inputs.len() {
            0 => PlanNode::Values { rows: vec![] },
            1 => return Ok((inputs.remove(0), columns)),
            _ => PlanNode::UnionAll { inputs },
        };
        Ok((Plan { node, columns: kinds }, columns))
    }

    /// Generated columns are computed: logical replication does not carry them before 18.
    fn with_generated(&mut self, plan: Plan, entry: &RelationEntry) -> Result<Plan, LowerError> {
        // The stored expression's Vars have varno 1 and this relation's attribute numbers.
        let query = Query {
            targets: vec![],
            range: vec![RangeEntry {
                name: &entry.name,
                columns: &[],
                kind: RangeKind::Relation { oid: 0, with_children: true, sampled: false },
                lateral: false,
            }],
            from: vec![FromItem::Range(1)],
            quals: None,
            group: vec![],
            grouping_sets: vec![],
            group_distinct: false,
            having: None,
            windows: vec![],
            distinct: vec![],
            distinct_on: false,
            sort: vec![],
            limit: None,
            offset: None,
            with_ties: false,
            set_operation: None,
            ctes: vec![],
            has_aggregates: false,
            has_windows: false,
            has_target_sets: false,
            unsupported: None,
        };
        let level = Level::new(&query, None);
        let mut columns = Columns::default();
        for (position, column) in entry.columns.iter().enumerate() {
            columns.insert(1, i64::from(column.number), position);
        }
        let mut exprs: Vec<Expr> = (0..plan.columns.len()).map(Expr::Column).collect();
        for (position, tree) in &entry.generated {
            let tree = parse(tree)?;
            let node = match &tree {
                Tree::Node(node) => node,
                _ => return unsupported("generated column"),
            };
            let name = entry.columns.get(*position).map_or("?", |column| column.name.as_str());
            let frame = Frame { level: &level, columns: &columns };
            let outer = std::mem::replace(&mut self.stored_values, true);
            let lowered = ExprLowerer::new(self, vec![frame]).expr(node);
            self.stored_values = outer;
            let expr = lowered.map_err(|error| match error {
                LowerError::Unsupported(reason) => {
                    Unsupported::because(format!("generated column {name}"), reason.to_string()).into()
                }
                other => other,
            })?;
            match exprs.get_mut(*position) {
                Some(slot) => *slot = expr.expr,
                None => return unsupported(format!("generated column {name}")),
            }
        }
        let kinds = plan.columns.clone();
        Ok(Plan { node: PlanNode::Project { input: Box::new(plan), exprs }, columns: kinds })
    }
}
