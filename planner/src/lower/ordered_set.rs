//! Aggregates with WITHIN GROUP that others are put together for: percentiles of several fractions, and where a row that is
//! not there would stand (orderedsetaggs.c).

use super::aggregate_kind::ordered_set_kind_of;
use super::error::LowerError;
use super::expr::{ExprLowerer, Typed};
use super::unsupported;
use crate::catalog::FunctionEntry;
use crate::expr::Expr;
use crate::functions::place_in_order;
use crate::optimize::simplified;
use crate::plan::{AggregateCall, AggregateKind, SortKey};
use crate::query::SortGroup;
use crate::tree::Node;
use crate::types::{ColumnType, oid};
use crate::value::{Value, element_type};

/// `float8[]`.
const FLOAT8_ARRAY: u32 = 1022;

/// What WITHIN GROUP sorts by, as values and as keys, in one order; and the filter.
struct Sorted {
    targets: Vec<Typed>,
    keys: Vec<SortKey>,
    filter: Option<Expr>,
}

impl ExprLowerer<'_, '_> {
    /// Such an aggregate; None for another one.
    pub(super) fn ordered_set_of_parts(
        &mut self,
        node: &Node,
        entry: &FunctionEntry,
        signature: &str,
    ) -> Result<Option<Typed>, LowerError> {
        if entry.schema != "pg_catalog" {
            return Ok(None);
        }
        match (node.word("aggkind")?, entry.name.as_str(), entry.argument_types.first()) {
            (Some("o"), "percentile_cont" | "percentile_disc", Some(&FLOAT8_ARRAY)) => {
                self.percentiles(node, entry, signature).map(Some)
            }
            (Some("h"), "rank" | "dense_rank" | "percent_rank" | "cume_dist", _) => {
                self.hypothetical(node, &entry.name, signature).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// An array of the percentiles, each by itself; NULL without values.
    fn percentiles(&mut self, node: &Node, entry: &FunctionEntry, signature: &str) -> Result<Typed, LowerError> {
        let Sorted { targets, keys, filter } = self.sorted_targets(node, signature)?;
        let (Some(value), Some(fractions)) = (targets.first(), node.nodes("aggdirectargs")?.first().copied()) else {
            return unsupported(signature);
        };
        let result = self.typed(Expr::Const(Value::Null), node.oid("aggtype")?, node.oid("aggcollid")?)?;
        let (Some(kind), Some(element)) =
            (ordered_set_kind_of(&entry.name, &value.kind), element_type(result.kind.oid).filter(|_| !value.is_enum()))
        else {
            return unsupported(format!("ordered-set {signature}"));
        };
        let output = self.lowering.kind(element, -1, node.oid("aggcollid")?)?;
        let call = |kind, args, output, order| AggregateCall {
            kind,
            args,
            distinct: false,
            filter: filter.clone(),
            order,
            input: Some(value.kind.clone()),
            output,
        };
        let mut items = Vec::new();
        for fraction in self.array_elements(fractions)? {
            let fraction = simplified(&fraction.expr);
            match fraction {
                Expr::Const(Value::Null) => {
                    items.push(Expr::Const(Value::Null));
                    continue;
                }
                Expr::Const(Value::Float8(fraction)) if (0.0..=1.0).contains(&fraction) => {}
                Expr::Param(_) => {}
                _ => return unsupported(format!("ordered-set {signature} of an unusual fraction")),
            }
            let args = vec![value.expr.clone(), fraction];
            items.push(self.parts.aggregate(call(kind, args, output.clone(), keys.clone())));
        }
        if items.is_empty() {
            return unsupported(format!("ordered-set {signature} of no fraction"));
        }
        let count = call(AggregateKind::Count, vec![value.expr.clone()], ColumnType::new(oid::INT8), vec![]);
        let none = Expr::call("int8eq", vec![self.parts.aggregate(count), Expr::Const(Value::Int8(0))]);
        let expr = Expr::Case {
            branches: vec![(none, Expr::Const(Value::Null))],
            otherwise: Box::new(Expr::Array { element, items }),
        };
        Ok(Typed { expr, ..result })
    }

    /// Counts of the rows before the one that is not there, or before and beside it.
    fn hypothetical(&mut self, node: &Node, name: &str, signature: &str) -> Result<Typed, LowerError> {
        let Sorted { targets, keys, filter } = self.sorted_targets(node, signature)?;
        let mut row = Vec::new();
        for direct in node.nodes("aggdirectargs")? {
            row.push(self.expr(direct)?);
        }
        if row.len() != targets.len() || keys.len() != targets.len() {
            return unsupported(format!("hypothetical-set {signature}"));
        }
        let mut places = Vec::new();
        for ((key, own), target) in keys.iter().zip(row).zip(&targets) {
            let flags = [key.descending, key.nulls_first].map(|flag| Expr::Const(Value::Bool(flag)));
            places.extend(flags);
            places.extend([key.expr.clone(), self.lowering.ordered(own.expr, &target.kind).0]);
        }
        let place = Expr::Call { function: place_in_order(), args: places };
        let before = Expr::call("int4lt", vec![place.clone(), Expr::Const(Value::Int4(0))]);
        let rows_where = |condition: Option<Expr>| {
            let conditions: Vec<Expr> = filter.iter().cloned().chain(condition).collect();
            AggregateCall {
                kind: AggregateKind::CountRows,
                args: vec![],
                distinct: false,
                filter: Expr::conjunction(conditions),
                order: vec![],
                input: None,
                output: ColumnType::new(oid::INT8),
            }
        };
        let one = Expr::Const(Value::Int8(1));
        let expr = match (name, &keys[..]) {
            ("rank", _) => {
                let count = self.parts.aggregate(rows_where(Some(before)));
                Expr::call("int8pl", vec![count, one])
            }
            ("percent_rank", _) => {
                let count = self.parts.aggregate(rows_where(Some(before)));
                let all = self.parts.aggregate(rows_where(None));
                let quotient = Expr::call(
                    "float8div",
                    vec![Expr::call("i8tod", vec![count]), Expr::call("i8tod", vec![all.clone()])],
                );
                let none = Expr::call("int8eq", vec![all, Expr::Const(Value::Int8(0))]);
                Expr::Case { branches: vec![(none, Expr::Const(Value::Float8(0.0)))], otherwise: Box::new(quotient) }
            }
            ("cume_dist", _) => {
                let until = Expr::call("int4le", vec![place, Expr::Const(Value::Int4(0))]);
                let count = Expr::call("int8pl", vec![self.parts.aggregate(rows_where(Some(until))), one.clone()]);
                let all = Expr::call("int8pl", vec![self.parts.aggregate(rows_where(None)), one]);
                Expr::call("float8div", vec![Expr::call("i8tod", vec![count]), Expr::call("i8tod", vec![all])])
            }
            ("dense_rank", [key]) => {
                self.lowering.check_equality(signature, &key.kind, 0)?;
                let is_null = Expr::IsNull(Box::new(key.expr.clone()));
                let nulls = rows_where(Expr::conjunction(vec![before.clone(), is_null]));
                let values = AggregateCall {
                    kind: AggregateKind::Count,
                    args: vec![key.expr.clone()],
                    distinct: true,
                    input: Some(key.kind.clone()),
                    ..rows_where(Some(before))
                };
                // All NULLs are one more.
                let nulls = Expr::call("int8gt", vec![self.parts.aggregate(nulls), Expr::Const(Value::Int8(0))]);
                let more = |count| Expr::Const(Value::Int8(count));
                let nulls = Expr::Case { branches: vec![(nulls, more(2))], otherwise: Box::new(more(1)) };
                Expr::call("int8pl", vec![self.parts.aggregate(values), nulls])
            }
            _ => return unsupported(format!("hypothetical-set {signature} over several keys")),
        };
        self.typed(expr, node.oid("aggtype")?, node.oid("aggcollid")?)
    }

    fn sorted_targets(&mut self, node: &Node, signature: &str) -> Result<Sorted, LowerError> {
        let mut targets = Vec::new();
        for target in node.nodes("args")? {
            targets.push((target.index("ressortgroupref")?, self.expr(target.child("expr")?)?));
        }
        let mut keys = Vec::with_capacity(targets.len());
        for (reference, target) in &targets {
            let items = node.nodes("aggorder")?.into_iter().map(SortGroup::read).collect::<Result<Vec<_>, _>>()?;
            let Some(item) = items.iter().find(|item| item.target == *reference) else {
                return unsupported(format!("ORDER BY in {signature}"));
            };
            let what = format!("ORDER BY in {signature}");
            keys.push(self.lowering.sort_key(&what, item, target, target.expr.clone())?);
        }
        let filter = node.optional("aggfilter")?.map(|filter| self.expr(filter)).transpose()?;
        let targets = targets.into_iter().map(|(_, target)| target).collect();
        Ok(Sorted { targets, keys, filter: filter.map(|filter| filter.expr) })
    }
}
