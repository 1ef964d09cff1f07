//! Sums and averages of intervals, put together from the sums of their fields (`interval_pl`, `interval_div`).

use super::error::LowerError;
use super::expr::{ExprLowerer, Typed};
use super::parts::{Parts, WindowPart};
use super::unsupported;
use crate::catalog::FunctionEntry;
use crate::expr::Expr;
use crate::functions::{INTERVAL_FIELDS, interval_field, interval_of_fields};
use crate::plan::{AggregateCall, AggregateKind, WindowKind};
use crate::tree::Node;
use crate::types::{ColumnType, oid};
use crate::value::Value;

impl ExprLowerer<'_, '_> {
    /// Such an aggregate; None for another one.
    pub(super) fn interval_sum(
        &mut self,
        node: &Node,
        entry: &FunctionEntry,
        signature: &str,
    ) -> Result<Option<Typed>, LowerError> {
        if !is_interval_sum(entry) {
            return Ok(None);
        }
        if !node.list("aggdistinct")?.is_empty() || !node.list("aggorder")?.is_empty() {
            return unsupported(format!("DISTINCT or ORDER BY in {signature}"));
        }
        let [target] = node.nodes("args")?[..] else { return unsupported(signature) };
        let value = self.expr(target.child("expr")?)?.expr;
        let filter = node.optional("aggfilter")?.map(|filter| self.expr(filter)).transpose()?.map(|filter| filter.expr);
        let mut add = |parts: &mut Parts, kind, arg, input, output| {
            parts.aggregate(AggregateCall {
                kind,
                args: vec![arg],
                distinct: false,
                filter: filter.clone(),
                order: vec![],
                input: Some(ColumnType::new(input)),
                output: ColumnType::new(output),
            })
        };
        let expr = of_fields(&mut self.parts, entry.name == "avg", value, &mut add);
        let result = self.typed(Expr::Const(Value::Null), node.oid("aggtype")?, node.oid("aggcollid")?)?;
        Ok(Some(Typed { expr, ..result }))
    }

    /// The same over a window's frames.
    pub(super) fn interval_sum_in_window(
        &mut self,
        node: &Node,
        entry: &FunctionEntry,
    ) -> Result<Option<Typed>, LowerError> {
        let [target] = node.nodes("args")?[..] else { return Ok(None) };
        if !is_interval_sum(entry) {
            return Ok(None);
        }
        let value = self.expr(target)?.expr;
        let filter = node.optional("aggfilter")?.map(|filter| self.expr(filter)).transpose()?.map(|filter| filter.expr);
        let clause = node.index("winref")?;
        let mut add = |parts: &mut Parts, kind, arg, input, output| {
            parts.window(WindowPart {
                kind: WindowKind::Aggregate(kind),
                args: vec![arg],
                filter: filter.clone(),
                clause,
                input: Some(ColumnType::new(input)),
                output: ColumnType::new(output),
            })
        };
        let expr = of_fields(&mut self.parts, entry.name == "avg", value, &mut add);
        let result = self.typed(Expr::Const(Value::Null), node.oid("wintype")?, node.oid("wincollid")?)?;
        Ok(Some(Typed { expr, ..result }))
    }
}

fn is_interval_sum(entry: &FunctionEntry) -> bool {
    let is_sum = matches!(entry.name.as_str(), "sum" | "avg") && entry.argument_types == [oid::INTERVAL];
    is_sum && entry.schema == "pg_catalog"
}

/// Has an aggregate added to the parts: its kind and argument, types of the argument and of the value.
type Add<'a> = &'a mut dyn FnMut(&mut Parts, AggregateKind, Expr, u32, u32) -> Expr;

fn of_fields(parts: &mut Parts, is_average: bool, value: Expr, add: Add<'_>) -> Expr {
    let mut sums = Vec::new();
    for field in 0..INTERVAL_FIELDS {
        let args = vec![value.clone(), Expr::Const(Value::Int4(field))];
        let field = Expr::Call { function: interval_field(), args };
        sums.push(add(parts, AggregateKind::SumInt8, field, oid::INT8, oid::NUMERIC));
    }
    let sum = Expr::Call { function: interval_of_fields(), args: sums };
    if !is_average {
        return sum;
    }
    let count = add(parts, AggregateKind::Count, value, oid::INTERVAL, oid::INT8);
    Expr::call("interval_div", vec![sum, Expr::call("i8tod", vec![count])])
}
