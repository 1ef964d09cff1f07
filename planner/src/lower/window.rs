//! Window functions that number rows.

use super::error::{LowerError, Unsupported};
use super::expr::{ExprLowerer, Typed};
use super::parts::{Reference, WindowPart};
use super::select::SelectList;
use super::{Lowering, unsupported};
use crate::expr::Expr;
use crate::plan::{Node as PlanNode, Plan, WindowCall, WindowKind};
use crate::query::Query;
use crate::tree::Node;

impl ExprLowerer<'_, '_> {
    pub(super) fn window_function(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let entry = self.lowering.function_entry(node.oid("winfnoid")?)?;
        let kind = match (entry.schema.as_str(), entry.name.as_str()) {
            ("pg_catalog", "row_number") => WindowKind::RowNumber,
            ("pg_catalog", "rank") => WindowKind::Rank,
            ("pg_catalog", "dense_rank") => WindowKind::DenseRank,
            _ => return Err(Unsupported::new(format!("window function {}", entry.name)).into()),
        };
        if !node.list("args")?.is_empty() || node.optional("aggfilter")?.is_some() {
            return unsupported(format!("window function {} with arguments", entry.name));
        }
        let result = self.typed(Expr::Const(crate::Value::Null), node.oid("wintype")?, node.oid("wincollid")?)?;
        let part = WindowPart { kind, clause: node.index("winref")?, output: result.kind.clone() };
        Ok(Typed { expr: self.parts.window(part), ..result })
    }
}

impl Lowering<'_> {
    /// Adds the window columns to `plan` and puts them into the select list. Frames do not matter to these functions.
    pub(super) fn windows(&mut self, plan: Plan, list: &mut SelectList, query: &Query<'_>) -> Result<Plan, LowerError> {
        let mut functions = Vec::with_capacity(list.parts.windows.len());
        for part in &list.parts.windows {
            let clause = query.windows.iter().find(|clause| clause.reference == part.clause);
            let Some(clause) = clause else { return unsupported("a window that is not there") };
            let mut partition = Vec::with_capacity(clause.partition.len());
            for item in &clause.partition {
                let index = query.targets.iter().position(|target| target.reference == item.target);
                let Some(target) = index.map(|i| &list.targets[i]) else {
                    return unsupported("PARTITION BY of a column that is not there");
                };
                self.check_equality("PARTITION BY", &target.kind, target.collation)?;
                partition.push(target.expr.clone());
            }
            let order = self.sort_keys("ORDER BY in a window", query, &clause.order, &list.targets, |i| {
                Some(list.targets[i].expr.clone())
            })?;
            functions.push(WindowCall { kind: part.kind, partition, order, output: part.output.clone() });
        }
        let width = plan.columns.len();
        for target in &mut list.targets {
            target.expr = target.expr.map_columns(&mut |column| match Reference::of(column) {
                Reference::Window(index) => width + index,
                _ => column,
            });
        }
        let columns = plan.columns.iter().chain(functions.iter().map(|f| &f.output)).cloned().collect();
        Ok(Plan { node: PlanNode::Window { input: Box::new(plan), functions }, columns })
    }
}
