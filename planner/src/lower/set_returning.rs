//! Set-returning functions, in FROM and in the select list.

use super::error::{LowerError, Unsupported};
use super::expr::{Columns, ExprLowerer, Typed};
use super::parts::Reference;
use super::select::SelectList;
use super::{Level, Lowering, unsupported};
use crate::expr::Expr;
use crate::functions::{Function, array_of_set, lookup, lookup_set, takes_jsonpath};
use crate::plan::{Node as PlanNode, Plan, ProjectSet, SetCall, SetCalls};
use crate::tree::Node;
use crate::types::{ColumnType, oid};
use crate::value::element_type;

impl ExprLowerer<'_, '_> {
    /// One call, whose arguments are over the present row.
    pub(super) fn set_call(&mut self, node: &Node) -> Result<SetCall, LowerError> {
        if node.label != "FUNCEXPR" || !node.bool("funcretset")? {
            return unsupported("an expression that returns one row in FROM");
        }
        if node.bool("funcvariadic")? {
            return unsupported("VARIADIC call");
        }
        let entry = self.lowering.function_entry(node.oid("funcid")?)?;
        let refused = || Unsupported::new(format!("set-returning function {}", self.lowering.signature(entry)));
        if entry.schema != "pg_catalog" || entry.volatility == 'v' || entry.language != "internal" {
            return Err(refused().into());
        }
        if let Some(array) = array_of_set(&entry.prosrc).and_then(lookup) {
            return self.elements_of(array, node);
        }
        if !entry.strict {
            return Err(refused().into());
        }
        let Some(function) = lookup_set(&entry.prosrc) else { return Err(refused().into()) };
        let refused = refused();
        let written = node.list("args")?;
        let args = if takes_jsonpath(function.symbol) {
            self.jsonpath_arguments(node.oid("funcid")?, written)?
        } else {
            let args = self.exprs(written)?;
            // Arrays of other types are opaque.
            if matches!(function.symbol, "array_unnest" | "generate_subscripts" | "generate_subscripts_nodir")
                && args.first().is_none_or(|arg| element_type(arg.kind.oid).is_none())
            {
                return Err(refused.into());
            }
            args.into_iter().map(|arg| arg.expr).collect()
        };
        no_sets_in(&args)?;
        if !self.lowering.uses.functions.contains(&function) {
            self.lowering.uses.functions.push(function);
        }
        self.lowering.uses.settings = self.lowering.uses.settings.union(function.settings);
        let collation = node.oid("funccollid")?;
        let output = self.lowering.kind(node.oid("funcresulttype")?, -1, collation)?;
        Ok(SetCall { function, args, output })
    }

    /// What the elements are of what this function gives.
    fn elements_of(&mut self, array: &'static Function, node: &Node) -> Result<SetCall, LowerError> {
        let Some(unnest) = lookup_set("array_unnest") else { return unsupported("unnest") };
        let input_collation = node.oid("inputcollid")?;
        self.lowering.check_collation(array.symbol, input_collation)?;
        [array, unnest].into_iter().for_each(|function| self.lowering.used(function));
        let args: Vec<Expr> = self.exprs(node.list("args")?)?.into_iter().map(|arg| arg.expr).collect();
        no_sets_in(&args)?;
        let list = self.call_under(array, args, input_collation)?;
        let output = self.lowering.kind(node.oid("funcresulttype")?, -1, node.oid("funccollid")?)?;
        Ok(SetCall { function: unnest, args: vec![list], output })
    }

    /// In the select list: a placeholder for what [`target_sets`] adds.
    pub(super) fn target_set(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let call = self.set_call(node)?;
        let (kind, collation) = (call.output.clone(), node.oid("funccollid")?);
        Ok(Typed { expr: self.parts.set(call), kind, collation })
    }
}

fn no_sets_in(args: &[Expr]) -> Result<(), LowerError> {
    match args.iter().any(|arg| arg.columns().iter().any(|c| matches!(Reference::of(*c), Reference::Set(_)))) {
        true => unsupported("a set-returning function of a set-returning function"),
        false => Ok(()),
    }
}

impl Lowering<'_> {
    /// A function item of FROM beside the rows of `input`, whose columns its arguments may read. `left`: the condition of
    /// LEFT JOIN over the result's columns.
    pub(super) fn functions(
        &mut self,
        calls: &[(&Node, usize)],
        ordinality: bool,
        (input, columns): (Plan, Columns),
        varno: usize,
        level: &Level<'_>,
        left: Option<Expr>,
    ) -> Result<(Plan, Columns), LowerError> {
        let mut lowerer = ExprLowerer::new(self, level.frames(&columns));
        let mut lowered = Vec::with_capacity(calls.len());
        for (node, width) in calls {
            if *width != 1 {
                return unsupported("a function in FROM that returns several columns");
            }
            lowered.push(lowerer.set_call(node)?);
        }
        if !lowerer.parts.scalars.is_empty() {
            return unsupported("subquery in the arguments of a function in FROM");
        }
        let width = input.columns.len();
        let calls = SetCalls { calls: lowered, ordinality, left };
        let mut all = columns;
        for at in 0..calls.width() {
            all.insert(varno, at as i64 + 1, width + at);
        }
        Ok((beside(input, calls), all))
    }
}

/// Puts the columns of the select list's set-returning functions into `plan` and the list.
pub(super) fn target_sets(plan: Plan, list: &mut SelectList) -> Plan {
    let width = plan.columns.len();
    let calls = std::mem::take(&mut list.parts.sets);
    for target in &mut list.targets {
        target.expr = target.expr.map_columns(&mut |column| match Reference::of(column) {
            Reference::Set(index) => width + index,
            _ => column,
        });
    }
    if calls.is_empty() { plan } else { beside(plan, SetCalls { calls, ordinality: false, left: None }) }
}

fn beside(input: Plan, calls: SetCalls) -> Plan {
    let outputs = calls.calls.iter().map(|call| call.output.clone());
    let number = calls.ordinality.then(|| ColumnType::new(oid::INT8));
    let columns = input.columns.iter().cloned().chain(outputs).chain(number).collect();
    Plan { node: PlanNode::ProjectSet(Box::new(ProjectSet { input, calls })), columns }
}
