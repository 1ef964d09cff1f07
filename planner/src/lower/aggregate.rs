//! Aggregates, GROUP BY and HAVING.

use super::aggregate_kind::{aggregate_kind, ordered_set_kind};
use super::domain::same;
use super::error::{LowerError, Unsupported};
use super::expr::{ExprLowerer, Typed};
use super::grouping::{CARRIED, GroupedBy, grouping_sets};
use super::kinds::has_extremes;
use super::parts::{Reference, ScalarPart};
use super::select::{SelectList, project};
use super::{Level, Lowering, unsupported};
use crate::catalog::FunctionEntry;
use crate::expr::Expr;
use crate::functions::{JsonRole, json_image};
use crate::plan::{AggregateCall, AggregateKind, Join, JoinKind, Node as PlanNode, Plan, SortKey};
use crate::query::SortGroup;
use crate::tree::Node;
use crate::types::{Collation, ColumnType, oid};
use crate::value::{Value, element_type};

impl ExprLowerer<'_, '_> {
    pub(super) fn aggregate(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let entry = self.lowering.function_entry(node.oid("aggfnoid")?)?;
        let signature = format!("aggregate {}", self.lowering.signature(entry));
        if node.index("agglevelsup")? != 0 {
            return unsupported("aggregate of an outer query");
        }
        if let Some(found) = self.ordered_set_of_parts(node, entry, &signature)? {
            return Ok(found);
        }
        if let Some(found) = self.interval_sum(node, entry, &signature)? {
            return Ok(found);
        }
        // Hidden targets are there to be sorted by.
        let mut targets = Vec::new();
        for (at, target) in node.nodes("args")?.into_iter().enumerate() {
            targets.push((
                target.index("ressortgroupref")?,
                self.aggregated(entry, at, target.child("expr")?)?,
                target.bool("resjunk")?,
            ));
        }
        let mut args: Vec<Typed> = targets.iter().filter(|(.., junk)| !junk).map(|(_, arg, _)| arg.clone()).collect();
        let input = args.first().map(|arg| arg.kind.clone());
        let direct = node.nodes("aggdirectargs")?;
        let kind_of_call = node.word("aggkind")?;
        let kind = match kind_of_call {
            Some("n") if direct.is_empty() => aggregate_kind(entry, input.as_ref()),
            Some("o") => ordered_set_kind(entry, input.as_ref()),
            _ => None,
        };
        let Some(kind) = kind else {
            return unsupported(if kind_of_call == Some("n") { signature } else { format!("ordered-set {signature}") });
        };
        for fraction in direct {
            let fraction = self.expr(fraction)?;
            if !fraction.expr.columns().is_empty() {
                return unsupported(format!("ordered-set {signature} of a fraction that differs from group to group"));
            }
            args.push(fraction);
        }
        let collation = node.oid("inputcollid")?;
        if let (AggregateKind::Min | AggregateKind::Max, Some(input)) = (kind, &input) {
            if !has_extremes(input.oid) && input.collation != Collation::Labels {
                return unsupported(signature);
            }
            self.lowering.check_order(&signature, collation)?;
        }
        let distinct = !node.list("aggdistinct")?.is_empty();
        if distinct && (entry.name == "regr_count" || matches!(kind, AggregateKind::FloatPairs(_))) {
            return unsupported(format!("DISTINCT in {signature}"));
        }
        if let (true, Some(arg)) = (distinct, args.first()) {
            self.lowering.check_equality("DISTINCT in an aggregate", &arg.kind, arg.collation)?;
        }
        let order = match kind {
            AggregateKind::JsonbObjectAgg => self.member_order(node, &signature, &targets)?,
            AggregateKind::PercentileCont | AggregateKind::PercentileDisc | AggregateKind::Mode => {
                self.aggregate_order(node, &signature, &targets)?
            }
            kind if kind.is_listed() => self.aggregate_order(node, &signature, &targets)?,
            _ => vec![],
        };
        // What an order does not change is not sorted; but an expression to sort by may fail.
        let hidden = |(_, target, junk): &(usize, Typed, bool)| *junk && !matches!(target.expr, Expr::Column(_));
        if order.is_empty() && targets.iter().any(hidden) {
            return unsupported(format!("ORDER BY in {signature}"));
        }
        let filter = node.optional("aggfilter")?.map(|filter| self.expr(filter)).transpose()?;
        let result = self.typed(Expr::Const(Value::Null), node.oid("aggtype")?, node.oid("aggcollid")?)?;
        self.aggregate_arguments(kind, entry, &signature, &mut args, &result.kind)?;
        let of_enum = input.clone().filter(|input| input.collation == Collation::Labels);
        let mut call = AggregateCall {
            kind,
            args: args.into_iter().map(|arg| arg.expr).collect(),
            distinct,
            filter: filter.map(|filter| filter.expr),
            order,
            input,
            output: result.kind.clone(),
        };
        let expr = match (kind, of_enum) {
            // The extreme of the labels' places.
            (AggregateKind::Min | AggregateKind::Max, Some(labels)) => {
                let (place, kind) = self.lowering.ordered(call.args.remove(0), &labels);
                call = AggregateCall { args: vec![place], input: Some(kind.clone()), output: kind, ..call };
                let place = self.parts.aggregate(call);
                self.lowering.of_order(place, &labels)
            }
            (AggregateKind::Mode | AggregateKind::PercentileDisc, Some(_)) => return unsupported(signature),
            _ => self.parts.aggregate(call),
        };
        Ok(Typed { expr, ..result })
    }

    /// The argument number `at`; a value of which JSON is made may be a row as a whole.
    pub(super) fn aggregated(&mut self, entry: &FunctionEntry, at: usize, node: &Node) -> Result<Typed, LowerError> {
        let role = match (entry.name.as_str(), at) {
            ("json_agg", 0) | ("json_object_agg", 1) => JsonRole::Json,
            ("jsonb_agg", 0) | ("jsonb_object_agg", 1) => JsonRole::Jsonb,
            _ => return self.expr(node),
        };
        match self.row_as_json(node, role)? {
            Some(expr) => Ok(Typed { expr, kind: ColumnType::new(oid::RECORD), collation: 0 }),
            None => self.expr(node),
        }
    }

    /// In which order an aggregate takes its rows: ORDER BY, or with DISTINCT the order of its arguments.
    fn aggregate_order(
        &mut self,
        node: &Node,
        signature: &str,
        targets: &[(usize, Typed, bool)],
    ) -> Result<Vec<SortKey>, LowerError> {
        let distinct = node.nodes("aggdistinct")?;
        let items = if distinct.is_empty() { node.nodes("aggorder")? } else { distinct };
        if items.is_empty() {
            return unsupported(format!("{signature} without ORDER BY"));
        }
        let mut keys = Vec::with_capacity(items.len());
        for item in items {
            let item = SortGroup::read(item)?;
            let Some((_, target, _)) = targets.iter().find(|(reference, ..)| *reference == item.target) else {
                return unsupported(format!("ORDER BY in {signature}"));
            };
            let what = format!("ORDER BY in {signature}");
            keys.push(self.lowering.sort_key(&what, &item, target, target.expr.clone())?);
        }
        Ok(keys)
    }

    /// `jsonb_object_agg` sorts members itself. Without ORDER BY only which of several values of one key comes last is
    /// open: with the key as order, that is a question of rows that tie.
    fn member_order(
        &mut self,
        node: &Node,
        signature: &str,
        targets: &[(usize, Typed, bool)],
    ) -> Result<Vec<SortKey>, LowerError> {
        if !node.nodes("aggdistinct")?.is_empty() || !node.nodes("aggorder")?.is_empty() {
            return self.aggregate_order(node, signature, targets);
        }
        let Some((_, key, _)) = targets.first() else { return unsupported(signature.to_owned()) };
        self.lowering.check_equality(signature, &key.kind, key.collation)?;
        let (expr, kind) = (key.expr.clone(), key.kind.clone());
        Ok(vec![SortKey { expr, kind, descending: false, nulls_first: false }])
    }

    /// Puts what is aggregated in the place of the arguments as they are written.
    pub(super) fn aggregate_arguments(
        &mut self,
        kind: AggregateKind,
        entry: &FunctionEntry,
        signature: &str,
        args: &mut Vec<Typed>,
        output: &ColumnType,
    ) -> Result<(), LowerError> {
        if kind == AggregateKind::ArrayAgg && element_type(output.oid).is_none() {
            return unsupported(signature.to_owned());
        }
        // `regr_count` (`int8inc_float8_float8`) counts the rows that have both.
        if let ("regr_count", [y, x]) = (entry.name.as_str(), &args[..]) {
            let missing = (Expr::IsNull(Box::new(y.expr.clone())), Expr::Const(Value::Null));
            let pair = Expr::Case { branches: vec![missing], otherwise: Box::new(x.expr.clone()) };
            *args = vec![Typed { expr: pair, ..x.clone() }];
        }
        self.json_arguments(kind, signature, args)
    }

    /// Puts JSON in the place of the arguments of JSON aggregates.
    fn json_arguments(&mut self, kind: AggregateKind, signature: &str, args: &mut [Typed]) -> Result<(), LowerError> {
        let roles: &[JsonRole] = match kind {
            AggregateKind::JsonAgg => &[JsonRole::Json],
            AggregateKind::JsonbAgg => &[JsonRole::Jsonb],
            AggregateKind::JsonObjectAgg => &[JsonRole::Key, JsonRole::Json],
            AggregateKind::JsonbObjectAgg => &[JsonRole::Key, JsonRole::Jsonb],
            _ => return Ok(()),
        };
        // (A row as a whole is JSON already.)
        for (arg, role) in args.iter_mut().zip(roles).filter(|(arg, _)| arg.kind.oid != oid::RECORD) {
            let Some(function) = json_image(arg.kind.oid, *role) else {
                let kind = self.lowering.type_name(arg.kind.oid);
                return unsupported(format!("{signature} of type {kind}"));
            };
            let settings = self.lowering.uses.settings.union(function.settings);
            self.lowering.uses.settings = settings;
            arg.expr = Expr::Call { function, args: vec![arg.expr.clone()] };
        }
        Ok(())
    }
}

impl Lowering<'_> {
    /// Groups `plan` and puts the group's columns into the select list: keys first, then aggregates.
    pub(super) fn aggregation(
        &mut self,
        mut plan: Plan,
        list: &mut SelectList,
        level: &Level<'_>,
    ) -> Result<Plan, LowerError> {
        let query = level.query;
        // Carried columns are grouped by whatever is grouped by besides.
        let carried = level.carried_columns().iter().cloned().enumerate();
        let mut keys: Vec<Typed> =
            carried.map(|(at, kind)| Typed { expr: Expr::Column(at), kind, collation: 0 }).collect();
        let references: Vec<usize> =
            std::iter::repeat_n(CARRIED, keys.len()).chain(query.group.iter().map(|item| item.target)).collect();
        for item in &query.group {
            let index = query.targets.iter().position(|target| target.reference == item.target);
            let Some(index) = index else { return unsupported("GROUP BY of a column that is not there") };
            let key = list.targets[index].clone();
            self.check_equality("GROUP BY", &key.kind, key.collation)?;
            keys.push(key);
        }
        // Scalar subqueries inside keys and aggregates belong to the rows that are grouped.
        let mut calls = std::mem::take(&mut list.parts.aggregates);
        let mut inner: Vec<&mut Expr> = Vec::new();
        for call in &mut calls {
            let keys = call.order.iter_mut().map(|key| &mut key.expr);
            inner.extend(call.args.iter_mut().chain(call.filter.iter_mut()).chain(keys));
        }
        plan = list.parts.join_scalars(plan, &mut inner, self)?;
        if keys.iter().any(|key| has_scalar(&key.expr)) {
            return Err(Unsupported::new("subquery in GROUP BY").into());
        }
        // A bare column that is no key depends on one: Postgres has checked that the keys contain its table's primary
        // key. Grouping by it too gives the same groups.
        if keys.iter().any(|key| has_set(&key.expr)) {
            return unsupported("GROUP BY of a set-returning function");
        }
        let mut dependent: Vec<usize> = Vec::new();
        for expr in list.exprs() {
            expr.replace(&mut |part| {
                if keys.iter().any(|key| key.expr == *part) {
                    return Some(part.clone());
                }
                if let Expr::Column(column) = part
                    && let Reference::Input(column) = Reference::of(*column)
                    && !dependent.contains(&column)
                {
                    dependent.push(column);
                }
                None
            });
        }
        // What a subquery mentions is a key, or else may be a part of one, of which nothing is known beside the group.
        for expr in list.parts.scalars.iter().flatten().flat_map(ScalarPart::outer) {
            let is_grouped =
                |column: &usize| dependent.contains(column) || keys.iter().any(|key| key.expr == Expr::Column(*column));
            if !keys.iter().any(|key| key.expr == *expr) && !expr.columns().iter().all(is_grouped) {
                return unsupported("subquery that depends on a part of a GROUP BY expression");
            }
        }
        if !dependent.is_empty() && query.range.iter().any(|entry| self.has_heirs(entry)) {
            return unsupported("a column that depends on the key of a table that others inherit from");
        }
        if !dependent.is_empty() && !query.grouping_sets.is_empty() {
            return unsupported("a column beside GROUPING SETS that depends on a grouping column");
        }
        for column in dependent {
            let kind = plan.columns[column].clone();
            self.check_equality("GROUP BY", &kind, 0)?;
            keys.push(Typed { expr: Expr::Column(column), kind, collation: 0 });
        }
        for expr in list.all_exprs() {
            *expr = expr.replace(&mut |part| {
                if let Some(key) = keys.iter().position(|key| key.expr == *part) {
                    return Some(Expr::Column(key));
                }
                match part {
                    Expr::Column(column) => Some(match Reference::of(*column) {
                        Reference::Aggregate(index) => Expr::Column(keys.len() + index),
                        Reference::Grouping(index) => Expr::Column(keys.len() + calls.len() + index),
                        _ => part.clone(),
                    }),
                    _ => None,
                }
            });
        }
        let columns = keys.iter().map(|key| key.kind.clone()).chain(calls.iter().map(|call| call.output.clone()));
        let columns: Vec<ColumnType> = columns.collect();
        let keys: Vec<Expr> = keys.into_iter().map(|key| key.expr).collect();
        let groupings = std::mem::take(&mut list.parts.groupings);
        if !groupings.is_empty() || !query.grouping_sets.is_empty() {
            return grouping_sets(plan, level, &GroupedBy { keys, references, calls, groupings, columns });
        }
        let defaults: Vec<Value> = calls.iter().map(|call| of_no_rows(call.kind)).collect();
        let grouped = Plan { node: PlanNode::Aggregate { input: Box::new(plan), keys, aggregates: calls }, columns };
        Ok(match &level.carried {
            Some(carried) if query.group.is_empty() => with_empty_groups(grouped, carried, defaults),
            _ => grouped,
        })
    }
}

/// The aggregate's value over no rows.
pub(super) fn of_no_rows(kind: AggregateKind) -> Value {
    match kind {
        AggregateKind::Count | AggregateKind::CountRows => Value::Int8(0),
        _ => Value::Null,
    }
}

/// Without GROUP BY there is a row for no rows, too: one for every carried row. `grouped` are the groups by these.
fn with_empty_groups(grouped: Plan, carried: &Plan, defaults: Vec<Value>) -> Plan {
    let width = carried.columns.len();
    let flag = ColumnType::new(oid::BOOL);
    let columns = grouped.columns.clone();
    let shown = columns.iter().cloned().enumerate().map(|(at, kind)| (Expr::Column(at), kind));
    let marked = project(grouped, shown.chain([(Expr::Const(Value::Bool(true)), flag)]).collect());
    let equal = carried.columns.iter().enumerate();
    let equal = equal.flat_map(|(at, kind)| same(&Expr::Column(at), &Expr::Column(at), kind)).collect();
    let there = width + columns.len();
    let joined = carried.columns.iter().chain(&marked.columns).cloned().collect();
    let join = Join { kind: JoinKind::Left, left: carried.clone(), right: marked, equal, residual: None };
    let joined = Plan { node: PlanNode::Join(Box::new(join)), columns: joined };
    let value = |(at, default): (usize, Value)| {
        let value = Expr::Column(2 * width + at);
        match default {
            Value::Null => value,
            default => {
                let missing = Expr::IsNull(Box::new(Expr::Column(there)));
                Expr::Case { branches: vec![(missing, Expr::Const(default))], otherwise: Box::new(value) }
            }
        }
    };
    let exprs = (0..width).map(Expr::Column).chain(defaults.into_iter().enumerate().map(value));
    project(joined, exprs.zip(columns).collect())
}

fn has_set(expr: &Expr) -> bool {
    expr.columns().into_iter().any(|column| matches!(Reference::of(column), Reference::Set(_)))
}

fn has_scalar(expr: &Expr) -> bool {
    expr.columns().into_iter().any(|column| matches!(Reference::of(column), Reference::Scalar(_)))
}
