//! Casts to domains: the value, unless a constraint of the domain or of one below it does not hold.

use super::error::LowerError;
use super::expr::{ExprLowerer, Typed};
use super::unsupported;
use crate::catalog::TypeEntry;
use crate::cost::{CALL, at_cost, cost};
use crate::expr::{BooleanTest, Expr};
use crate::functions::domain_violation;
use crate::tree::{Node, parse};
use crate::value::Value;

impl ExprLowerer<'_, '_> {
    pub(super) fn domain_cast(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let value = self.relabel(node)?;
        // What is stored has been checked.
        if self.lowering.stored_values {
            return Ok(value);
        }
        let domain = node.oid("resulttype")?;
        let name = Expr::Const(Value::text(&self.lowering.type_name(domain)));
        let violation = |constraint: Option<&str>| {
            let constraint = constraint.map(|constraint| Expr::Const(Value::text(constraint)));
            let args = [value.expr.clone(), name.clone()].into_iter().chain(constraint);
            Expr::Call { function: domain_violation(), args: args.collect() }
        };
        let domains = self.domains_below(domain);
        let mut branches = Vec::new();
        if domains.iter().any(|domain| domain.not_null) {
            branches.push((Expr::IsNull(Box::new(value.expr.clone())), violation(None)));
        }
        let outer = self.domain_value.replace(value.clone());
        // Those of the domain below come first.
        for (constraint, tree) in domains.iter().rev().flat_map(|domain| &domain.checks) {
            let tree = parse(tree)?;
            let Some(check) = tree.as_node() else { return unsupported("a domain's constraint") };
            let arg = Box::new(self.expr(check)?.expr);
            branches.push((Expr::BooleanTest { arg, test: BooleanTest::IsFalse }, violation(Some(constraint))));
        }
        self.domain_value = outer;
        if branches.is_empty() {
            return Ok(value);
        }
        let cost = CALL + cost(&value.expr);
        let checked = Expr::Case { branches, otherwise: Box::new(value.expr.clone()) };
        Ok(Typed { expr: at_cost(checked, cost), ..value })
    }

    /// The domain and those it is made of.
    fn domains_below(&self, domain: u32) -> Vec<TypeEntry> {
        let mut found = Vec::new();
        let mut next = domain;
        while let Some(entry) = self.lowering.catalog.types.get(&next).filter(|entry| entry.kind == 'd') {
            found.push(entry.clone());
            next = entry.base;
        }
        found
    }
}
