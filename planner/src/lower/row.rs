//! `ROW(…)` as an operand: comparisons by order, and tests for NULL. (Equality of rows is Postgres' analysis' to take apart.)

use super::error::LowerError;
use super::expr::{ExprLowerer, Typed, boolean};
use super::unsupported;
use crate::cost::{CALL, at_cost, cost};
use crate::expr::Expr;
use crate::functions::{Function, lookup_on};
use crate::tree::Node;
use crate::value::Value;

impl ExprLowerer<'_, '_> {
    /// `ROW(…) IS [NOT] NULL`: every field is (not) NULL.
    pub(super) fn row_null_test(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let row = node.child("arg")?;
        if row.label != "ROWEXPR" {
            return unsupported("IS NULL of a row");
        }
        let is_null = node.int("nulltesttype")? == 0;
        let fields = self.exprs(row.list("args")?)?.into_iter().map(|field| Box::new(field.expr));
        let tests: Vec<Expr> =
            fields.map(|field| if is_null { Expr::IsNull(field) } else { Expr::IsNotNull(field) }).collect();
        Ok(boolean(Expr::conjunction(tests).unwrap_or(Expr::Const(Value::Bool(true)))))
    }

    /// `(a, b) < (x, y)` and relatives. The first pair that is not equal decides, a NULL in a pair before makes the answer NULL, and
    /// the pairs behind are not evaluated (`EEOP_ROWCOMPARE_STEP` in execExprInterp.c).
    pub(super) fn row_comparison(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let (left, right) = (self.exprs(node.list("largs")?)?, self.exprs(node.list("rargs")?)?);
        let (operators, collations) = (node.numbers("opnos")?, node.numbers("inputcollids")?);
        let oid = |number: i64| u32::try_from(number).unwrap_or_default();
        let cost = left.iter().chain(&right).map(|field| cost(&field.expr)).sum::<usize>() + CALL * operators.len();
        let pairs = left.into_iter().zip(right).zip(operators.iter().zip(collations));
        let mut decided: Option<Expr> = None;
        for ((left, right), (&operator, &collation)) in pairs.rev() {
            let function = self.lowering.operator(oid(operator), oid(collation))?;
            let operands = vec![left, right];
            decided = Some(match decided {
                None => self.ordering(function, operands)?,
                Some(behind) => {
                    let (holds, fails) = self.strict_orders(function)?;
                    let holds = self.ordering(holds, operands.clone())?;
                    let fails = self.ordering(fails, operands)?;
                    let truth = |value| Expr::Const(Value::Bool(value));
                    let unknown = Expr::IsNull(Box::new(holds.clone()));
                    let branches =
                        vec![(holds, truth(true)), (fails, truth(false)), (unknown, Expr::Const(Value::Null))];
                    Expr::Case { branches, otherwise: Box::new(behind) }
                }
            });
        }
        match decided {
            // Each of its parts is computed by Postgres while it plans, also those that would not be asked for.
            Some(decided) if decided.columns().is_empty() => unsupported("row comparison without columns"),
            Some(decided) => Ok(boolean(at_cost(decided, cost))),
            None => unsupported("comparison of empty rows"),
        }
    }

    fn ordering(&mut self, function: &'static Function, operands: Vec<Typed>) -> Result<Expr, LowerError> {
        Ok(Expr::Call { function, args: self.call_arguments(function, operands)? })
    }

    /// Of `<`, `<=`, `>` or `>=`: what says that a pair decides for it, and what that it decides against it.
    fn strict_orders(
        &mut self,
        function: &'static Function,
    ) -> Result<(&'static Function, &'static Function), LowerError> {
        let named = |order: &str| {
            let symbol = in_order(function.symbol, order)?;
            lookup_on(&symbol, self.lowering.catalog.server_major).filter(|found| found.strict)
        };
        let is_less =
            ["lt", "le"].iter().any(|order| in_order(function.symbol, order).as_deref() == Some(function.symbol));
        match (named("lt"), named("gt")) {
            (Some(less), Some(greater)) => {
                self.lowering.used(less);
                self.lowering.used(greater);
                Ok(if is_less { (less, greater) } else { (greater, less) })
            }
            _ => unsupported(format!("row comparison by {}", function.symbol)),
        }
    }
}

/// The C symbol of the comparison of the same types in another order: `int4le` and `gt` are `int4gt`, `date_le_timestamp` is
/// `date_gt_timestamp`.
fn in_order(symbol: &str, order: &str) -> Option<String> {
    const ORDERS: [&str; 4] = ["lt", "le", "gt", "ge"];
    let between = |order: &str| format!("_{order}_");
    if let Some(own) = ORDERS.iter().find(|own| symbol.contains(&between(own))) {
        return Some(symbol.replacen(&between(own), &between(order), 1));
    }
    let stem = ORDERS.iter().find_map(|own| symbol.strip_suffix(own))?;
    Some(format!("{stem}{order}"))
}

#[cfg(test)]
mod tests {
    use super::in_order;

    #[test]
    fn symbols_of_other_orders() {
        for (symbol, order, expected) in [
            ("int4le", "gt", "int4gt"),
            ("text_lt", "gt", "text_gt"),
            ("int48ge", "lt", "int48lt"),
            ("date_le_timestamptz", "lt", "date_lt_timestamptz"),
            ("bpcharle", "lt", "bpcharlt"),
        ] {
            assert_eq!(in_order(symbol, order).as_deref(), Some(expected));
        }
        assert_eq!(in_order("texteq", "lt"), None);
    }
}
