//! UNION, INTERSECT and EXCEPT, with and without ALL.
//!
//! INTERSECT and EXCEPT count: the rows of both sides in one bag, each with the side it comes from, grouped whole (NULLs
//! are equal there), with how often each side has them.

use super::error::LowerError;
use super::expr::Columns;
use super::kinds::{has_equality, representation};
use super::select::{filter, project};
use super::{Level, Lowering, fenced, unsupported};
use crate::expand::type_of;
use crate::expr::Expr;
use crate::functions::lookup;
use crate::optimize::{is_sound, is_sound_throughout};
use crate::plan::{AggregateCall, AggregateKind, Node as PlanNode, Plan};
use crate::query::RangeKind;
use crate::tree::Node;
use crate::types::{ColumnType, oid};
use crate::value::{Value, has_many_images};

/// `SetOperation` of `src/include/nodes/parsenodes.h`.
const UNION: i64 = 1;
const INTERSECT: i64 = 2;
const EXCEPT: i64 = 3;

impl Lowering<'_> {
    /// The set operation as a plan; the query's own targets are Vars of its leftmost leaf.
    pub(super) fn set_operation(&mut self, root: &Node, level: &Level<'_>) -> Result<(Plan, Columns), LowerError> {
        let mut plan = self.operand(root, level)?;
        let is_union_all = root.int("op")? == UNION && root.bool("all")?;
        if (is_union_all && !is_merged(root, level)? && !is_sound(&plan))
            || (!takes_conditions(root, level)? && !is_sound_throughout(&plan))
        {
            plan = fenced(plan);
        }
        let mut leaf = root;
        while leaf.label == "SETOPERATIONSTMT" {
            leaf = leaf.child("larg")?;
        }
        let varno = leaf.index("rtindex")?;
        let mut columns = Columns::default();
        let carried = level.carried_columns().len();
        for position in carried..plan.columns.len() {
            columns.insert(varno, (position - carried) as i64 + 1, position);
        }
        Ok((plan, columns))
    }

    fn operand(&mut self, node: &Node, level: &Level<'_>) -> Result<Plan, LowerError> {
        if node.label != "SETOPERATIONSTMT" {
            let index = node.index("rtindex")?.wrapping_sub(1);
            return match level.query.range.get(index).map(|entry| &entry.kind) {
                Some(RangeKind::Subquery(query)) => match &level.carried {
                    None => Ok(self.query(query, Some(level))?.plan),
                    Some(carried) => {
                        let outer = std::iter::once(Columns::default()).chain(level.outer.iter().cloned()).collect();
                        self.carrying(query, level, outer, carried.clone())
                    }
                },
                _ => unsupported("a set operation over something else than queries"),
            };
        }
        let operation = node.int("op")?;
        let name = match operation {
            UNION => "UNION",
            INTERSECT => "INTERSECT",
            _ => "EXCEPT",
        };
        let mut kinds = level.carried_columns().to_vec();
        let mut collations = vec![0; kinds.len()];
        for ((type_oid, typmod), collation) in
            node.numbers("colTypes")?.iter().zip(node.numbers("colTypmods")?).zip(node.numbers("colCollations")?)
        {
            let collation = u32::try_from(*collation).unwrap_or(0);
            let type_oid = u32::try_from(*type_oid).unwrap_or(0);
            kinds.push(self.kind(type_oid, i32::try_from(*typmod).unwrap_or(-1), collation)?);
            collations.push(collation);
        }
        let left = self.operand(node.child("larg")?, level)?;
        let right = self.operand(node.child("rarg")?, level)?;
        if operation != UNION {
            for (kind, collation) in kinds.iter().zip(&collations) {
                self.check_equality(name, kind, *collation)?;
            }
            let all = node.bool("all")?;
            // What is left of a class must look like a row of the left side, and the count does not say how that looked.
            let varied = kinds.iter().find(|kind| has_many_images(kind.oid));
            if let (EXCEPT, true, Some(kind)) = (operation, all, varied) {
                return unsupported(format!("EXCEPT ALL on type {}", self.type_name(kind.oid)));
            }
            let sides = [self.coerced(left, &kinds)?, self.coerced(right, &kinds)?];
            return Ok(counted(sides, &kinds, operation == INTERSECT, all));
        }
        let mut inputs = Vec::new();
        for input in [left, right] {
            match self.coerced(input, &kinds)? {
                Plan { node: PlanNode::UnionAll { inputs: nested }, .. } => inputs.extend(nested),
                input => inputs.push(input),
            }
        }
        let all = Plan { node: PlanNode::UnionAll { inputs }, columns: kinds.clone() };
        if node.bool("all")? {
            return Ok(all);
        }
        for (kind, collation) in kinds.iter().zip(collations) {
            self.check_equality(name, kind, collation)?;
        }
        Ok(Plan { node: PlanNode::Distinct { input: Box::new(all) }, columns: kinds })
    }

    /// A leaf's columns as the set operation's types: Postgres leaves this coercion to its planner.
    fn coerced(&self, input: Plan, kinds: &[ColumnType]) -> Result<Plan, LowerError> {
        let same = |from: &ColumnType, to: &ColumnType| {
            from.oid == to.oid || (has_equality(from.oid) && representation(from.oid) == representation(to.oid))
        };
        if input.columns.len() != kinds.len() {
            return unsupported("a set operation over different numbers of columns");
        }
        if input.columns.iter().zip(kinds).all(|(from, to)| same(from, to)) {
            return Ok(Plan { node: input.node, columns: kinds.to_vec() });
        }
        let mut targets = Vec::with_capacity(kinds.len());
        for (index, (from, to)) in input.columns.iter().zip(kinds).enumerate() {
            let column = Expr::Column(index);
            let expr = if same(from, to) {
                column
            } else {
                let Some(function) = widening(from.oid, to.oid).and_then(lookup) else {
                    let (from, to) = (self.type_name(from.oid), self.type_name(to.oid));
                    return unsupported(format!("UNION of {from} and {to}"));
                };
                Expr::Call { function, args: vec![column] }
            };
            targets.push((expr, to.clone()));
        }
        Ok(project(input, targets))
    }
}

/// Whether Postgres makes the leaves parts of the query around them (`is_simple_union_all` of prepjointree.c). If it does not, it
/// computes all columns of each of their rows, needed or not.
fn is_merged(root: &Node, level: &Level<'_>) -> Result<bool, LowerError> {
    let is_union_all = |node: &Node| Ok(node.int("op")? == UNION && node.bool("all")?);
    Ok(level.query.ctes.is_empty()
        && all_of(root, &is_union_all)?
        && leaves_show(root, root.numbers("colTypes")?, level)?)
}

/// Whether Postgres asks the conditions of the query around it below the operation (`recurse_pushdown_safe` and
/// `compare_tlist_datatypes` of allpaths.c): below none of EXCEPT, and none on columns that a leaf has of another type. If it does
/// not, errors of rows that the conditions leave out are raised.
fn takes_conditions(root: &Node, level: &Level<'_>) -> Result<bool, LowerError> {
    let is_no_except = |node: &Node| Ok(node.int("op")? != EXCEPT);
    Ok(all_of(root, &is_no_except)? && leaves_show(root, root.numbers("colTypes")?, level)?)
}

/// Whether all operations from this one down are like that.
fn all_of(node: &Node, is_like_that: &dyn Fn(&Node) -> Result<bool, LowerError>) -> Result<bool, LowerError> {
    Ok(node.label != "SETOPERATIONSTMT"
        || (is_like_that(node)?
            && all_of(node.child("larg")?, is_like_that)?
            && all_of(node.child("rarg")?, is_like_that)?))
}

/// Whether all leaves have columns of just these types. A domain is not the type below it.
fn leaves_show(node: &Node, types: &[i64], level: &Level<'_>) -> Result<bool, LowerError> {
    if node.label == "SETOPERATIONSTMT" {
        return Ok(leaves_show(node.child("larg")?, types, level)? && leaves_show(node.child("rarg")?, types, level)?);
    }
    let index = node.index("rtindex")?.wrapping_sub(1);
    let Some(RangeKind::Subquery(query)) = level.query.range.get(index).map(|entry| &entry.kind) else {
        return Ok(false);
    };
    let targets = query.nodes("targetList")?;
    let mut shown = targets.iter().filter(|target| !target.bool("resjunk").unwrap_or(false));
    Ok(types.iter().all(|of| shown.next().and_then(|target| type_of(target.find("expr")?)).map(i64::from) == Some(*of)))
}

/// INTERSECT or EXCEPT of two bags with the same columns.
fn counted(sides: [Plan; 2], kinds: &[ColumnType], intersect: bool, all: bool) -> Plan {
    let width = kinds.len();
    let column = |index: usize| (Expr::Column(index), kinds[index].clone());
    let flag = ColumnType::new(oid::BOOL);
    let mut is_left = true;
    let inputs = sides.map(|side| {
        let mut targets: Vec<(Expr, ColumnType)> = (0..width).map(column).collect();
        targets.push((Expr::Const(Value::Bool(std::mem::replace(&mut is_left, false))), flag.clone()));
        project(side, targets)
    });
    let columns: Vec<ColumnType> = kinds.iter().cloned().chain([flag]).collect();
    let both = Plan { node: PlanNode::UnionAll { inputs: inputs.into() }, columns };
    let bigint = ColumnType::new(oid::INT8);
    let count = |filter: Expr| AggregateCall {
        kind: AggregateKind::CountRows,
        args: vec![],
        distinct: false,
        filter: Some(filter),
        order: vec![],
        input: None,
        output: bigint.clone(),
    };
    let from_left = Expr::Column(width);
    let aggregates = vec![count(from_left.clone()), count(Expr::Not(Box::new(from_left)))];
    let columns: Vec<ColumnType> = kinds.iter().cloned().chain([bigint.clone(), bigint.clone()]).collect();
    let keys = (0..width).map(Expr::Column).collect();
    let counts = Plan { node: PlanNode::Aggregate { input: Box::new(both), keys, aggregates }, columns };
    let (left, right) = (Expr::Column(width), Expr::Column(width + 1));
    let zero = Expr::Const(Value::Int8(0));
    if !all {
        let there = Expr::call("int8gt", vec![left, zero.clone()]);
        let other = Expr::call(if intersect { "int8gt" } else { "int8eq" }, vec![right, zero]);
        return project(filter(counts, Expr::And(vec![there, other])), (0..width).map(column).collect());
    }
    let times = if intersect {
        Expr::MinMax { greatest: false, args: vec![left, right] }
    } else {
        Expr::call("int8mi", vec![left, right])
    };
    let mut targets: Vec<(Expr, ColumnType)> = (0..width).map(column).collect();
    targets.push((times, bigint));
    let input = Box::new(project(counts, targets));
    Plan { node: PlanNode::Repeat { input }, columns: kinds.to_vec() }
}

/// The C symbol of the implicit cast between numeric types (`pg_cast.dat`).
fn widening(from: u32, to: u32) -> Option<&'static str> {
    Some(match (from, to) {
        (oid::INT2, oid::INT4) => "i2toi4",
        (oid::INT2, oid::INT8) => "int28",
        (oid::INT4, oid::INT8) => "int48",
        (oid::INT2, oid::NUMERIC) => "int2_numeric",
        (oid::INT4, oid::NUMERIC) => "int4_numeric",
        (oid::INT8, oid::NUMERIC) => "int8_numeric",
        (oid::INT2, oid::FLOAT8) => "i2tod",
        (oid::INT4, oid::FLOAT8) => "i4tod",
        (oid::INT8, oid::FLOAT8) => "i8tod",
        (oid::NUMERIC, oid::FLOAT8) => "numeric_float8",
        (oid::FLOAT4, oid::FLOAT8) => "ftod",
        _ => return None,
    })
}
