//! Sums and averages of intervals, put together from the sums of their fields (`interval_pl`, `interval_div`).

use super::error::LowerError;
use super::expr::{ExprLowerer, Typed};
use super::unsupported;
use crate::catalog::FunctionEntry;
use crate::expr::Expr;
use crate::functions::{INTERVAL_FIELDS, interval_field, interval_of_fields};
use crate::plan::{AggregateCall, AggregateKind};
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
        let is_sum = matches!(entry.name.as_str(), "sum" | "avg") && entry.argument_types == [oid::INTERVAL];
        if !is_sum || entry.schema != "pg_catalog" {
            return Ok(None);
        }
        if !node.list("aggdistinct")?.is_empty() || !node.list("aggorder")?.is_empty() {
            return unsupported(format!("DISTINCT or ORDER BY in {signature}"));
        }
        let [target] = node.nodes("args")?[..] else { return unsupported(signature) };
        let value = self.expr(target.child("expr")?)?.expr;
        let filter = node.optional("aggfilter")?.map(|filter| self.expr(filter)).transpose()?.map(|filter| filter.expr);
        let call = |kind, arg, input, output| AggregateCall {
            kind,
            args: vec![arg],
            distinct: false,
            filter: filter.clone(),
            order: vec![],
            input: Some(ColumnType::new(input)),
            output: ColumnType::new(output),
        };
        let mut sums = Vec::new();
        for field in 0..INTERVAL_FIELDS {
            let args = vec![value.clone(), Expr::Const(Value::Int4(field))];
            let field = Expr::Call { function: interval_field(), args };
            sums.push(self.parts.aggregate(call(AggregateKind::SumInt8, field, oid::INT8, oid::NUMERIC)));
        }
        let sum = Expr::Call { function: interval_of_fields(), args: sums };
        let expr = if entry.name == "avg" {
            let count = self.parts.aggregate(call(AggregateKind::Count, value, oid::INTERVAL, oid::INT8));
            Expr::call("interval_div", vec![sum, Expr::call("i8tod", vec![count])])
        } else {
            sum
        };
        let result = self.typed(Expr::Const(Value::Null), node.oid("aggtype")?, node.oid("aggcollid")?)?;
        Ok(Some(Typed { expr, ..result }))
    }
}
