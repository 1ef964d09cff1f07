//! From Postgres' analysed trees to plans. Name lookup, overloads, coercions and output names are already settled in
//! the tree; lowering only translates, and refuses by name what it does not translate exactly.
//!
//! A query is lowered clause by clause in Postgres' logical order: FROM, WHERE, GROUP BY, HAVING, windows, select
//! list, DISTINCT, ORDER BY, LIMIT. The result is then rewritten by [`crate::optimize`].

mod aggregate;
mod aggregate_kind;
mod arguments;
mod array_subquery;
mod cast;
mod constant;
mod constant_json;
mod domain;
mod domain_cast;
mod enums;
mod error;
mod expr;
mod from;
mod function;
mod grouping;
mod inline;
mod interval_sum;
mod json;
mod jsonpath;
mod kinds;
mod lateral;
mod mark;
mod order;
mod ordered_set;
mod parts;
mod relation;
mod row;
mod scalar;
mod select;
mod set_operation;
mod set_returning;
mod sublink;
mod ties;
mod turns;
mod whole_row;
mod window;

pub use constant::decode as decode_datum;
pub use error::{LowerError, Unsupported};
pub use jsonpath::DEFAULT_COLLATION;
pub use kinds::{has_equality, has_order};

use crate::catalog::Catalog;
use crate::expand::{Expanded, expand};
use crate::expr::Expr;
use crate::optimize::{failure_in_planning, is_sound, is_sound_over, optimize, optimize_maintained};
use crate::plan::{Node as PlanNode, Plan, PlanUses, SortKey};
use crate::query::{Query, statement};
use crate::tree::{Node, parse};
use crate::types::ColumnType;
use error::unsupported;
use expr::{Columns, Frame};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Views in views (in CTEs, in subqueries …) that are followed before giving up.
const MAX_QUERY_DEPTH: usize = 32;

/// A statement or view as a plan.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// Yields exactly the output columns. With ORDER BY the answer's order is that of the topmost [`PlanNode::Sort`];
    /// a Project above it keeps that order.
    pub plan: Plan,
    pub columns: Vec<OutputColumn>,
    pub uses: PlanUses,
    /// Number of external parameters the plan mentions: one more than the highest index.
    pub params: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputColumn {
    pub name: String,
    pub kind: ColumnType,
}

/// Lowers a client's statement (`pg_proc.prosqlbody`): order and limit as written.
pub fn lower_statement(tree: &str, catalog: &Catalog) -> Result<Lowered, LowerError> {
    guarded(|| lower(tree, catalog, Purpose::Read))
}

/// Lowers a view that is to be maintained (`pg_rewrite.ev_action`): a bag of rows; ORDER BY counts only with LIMIT.
pub fn lower_view(tree: &str, catalog: &Catalog) -> Result<Lowered, LowerError> {
    guarded(|| lower(tree, catalog, Purpose::Maintain))
}

/// A panic here is a defect of the planner. It must not cost more than the one query, which Postgres answers.
fn guarded(lower: impl FnOnce() -> Result<Lowered, LowerError>) -> Result<Lowered, LowerError> {
    catch_unwind(AssertUnwindSafe(lower)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(Unsupported::because("defect of the planner", text.unwrap_or("a panic without a text")).into())
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Read,
    Maintain,
}

fn lower(tree: &str, catalog: &Catalog, purpose: Purpose) -> Result<Lowered, LowerError> {
    let tree = parse(tree)?;
    let Expanded { tree, functions } = expand(&tree, catalog);
    let Some(node) = statement(&tree) else { return unsupported("more or less than one statement") };
    let mut lowering = Lowering {
        catalog,
        uses: PlanUses { bodies: functions, ..PlanUses::default() },
        params: 0,
        depth: 0,
        purpose,
        immutable_bodies: 0,
        stored_values: false,
    };
    let query = lowering.query(node, None)?;
    let plan = match (purpose, query.plan) {
        (Purpose::Maintain, plan) => without_order(plan),
        (Purpose::Read, plan) => plan,
    };
    let columns =
        query.names.into_iter().zip(&plan.columns).map(|(name, kind)| OutputColumn { name, kind: kind.clone() });
    let columns = columns.collect();
    if purpose == Purpose::Maintain
        && let Some(error) = failure_in_planning(&plan)
    {
        return Err(Unsupported::because("constant expression", error.to_string()).into());
    }
    let plan = match purpose {
        Purpose::Read => optimize(plan, catalog),
        Purpose::Maintain => optimize_maintained(plan, catalog),
    };
    Ok(Lowered { plan, columns, uses: lowering.uses, params: lowering.params })
}

/// A bag has no order: ORDER BY without LIMIT is dropped, but for the errors of what it sorts by.
fn without_order(mut plan: Plan) -> Plan {
    match plan.node {
        PlanNode::Sort { input, keys, limit: None, offset: None } => {
            let input = without_order(*input);
            let keys: Vec<SortKey> = keys.into_iter().filter(|key| !is_sound_over(&key.expr, &input)).collect();
            if keys.is_empty() { input } else { beside(input, keys) }
        }
        PlanNode::Project { input, exprs } => {
            plan.node = PlanNode::Project { input: Box::new(without_order(*input)), exprs };
            plan
        }
        _ => plan,
    }
}

/// The input's rows, for each of which the keys are computed and not used.
fn beside(input: Plan, keys: Vec<SortKey>) -> Plan {
    let columns = input.columns.clone();
    let shown = || (0..columns.len()).map(Expr::Column);
    let mut computed = columns.clone();
    computed.extend(keys.iter().map(|key| key.kind.clone()));
    let exprs = shown().chain(keys.into_iter().map(|key| key.expr)).collect();
    let computed = fenced(Plan { node: PlanNode::Project { input: Box::new(input), exprs }, columns: computed });
    Plan { node: PlanNode::Project { input: Box::new(computed), exprs: shown().collect() }, columns }
}

fn is_ordered(plan: &Plan) -> bool {
    match &plan.node {
        PlanNode::Sort { limit, offset, .. } => limit.is_none() && offset.is_none(),
        PlanNode::Project { input, .. } => is_ordered(input),
        _ => false,
    }
}

/// A query that Postgres evaluates by itself.
fn fenced(plan: Plan) -> Plan {
    Plan { columns: plan.columns.clone(), node: PlanNode::Fence { input: Box::new(plan) } }
}

/// State of one lowering.
struct Lowering<'c> {
    catalog: &'c Catalog,
    uses: PlanUses,
    params: usize,
    depth: usize,
    purpose: Purpose,
    /// Bodies of functions that are declared immutable, around the expression being lowered.
    immutable_bodies: usize,
    /// The expression is one of a stored generated column.
    stored_values: bool,
}

/// A query and the queries around it; WITH names are looked up through it.
struct Level<'q> {
    query: &'q Query<'q>,
    parent: Option<&'q Level<'q>>,
    /// Rows that FROM begins with; every clause keeps their columns in front of its own ([`domain`]).
    carried: Option<Plan>,
    /// Where the columns of the queries around it, from its parent outwards, stand in the carried columns.
    outer: Vec<Columns>,
}

impl<'q> Level<'q> {
    fn new(query: &'q Query<'q>, parent: Option<&'q Level<'q>>) -> Level<'q> {
        Level { query, parent, carried: None, outer: vec![] }
    }

    /// Columns in front of the query's own.
    fn carried_columns(&self) -> &[ColumnType] {
        self.carried.as_ref().map_or(&[], |plan| &plan.columns)
    }

    /// This level as an expression sees it, and the levels around it as far as their columns are carried.
    fn frames<'l>(&'l self, columns: &'l Columns) -> Vec<Frame<'l>> {
        let around = std::iter::successors(self.parent, |level| level.parent);
        let outer = around.zip(&self.outer).map(|(level, columns)| Frame { level, columns });
        std::iter::once(Frame { level: self, columns }).chain(outer).collect()
    }
}

/// A lowered query: its visible columns and their names.
struct LoweredQuery {
    plan: Plan,
    names: Vec<String>,
}

impl Lowering<'_> {
    fn query(&mut self, node: &Node, parent: Option<&Level<'_>>) -> Result<LoweredQuery, LowerError> {
        let lowered = self.nested(|lowering| {
            let query = Query::read(node)?;
            lowering.select(&Level::new(&query, parent))
        })?;
        // The order of a subquery's rows means nothing to the query around it, but Postgres does not merge the two.
        Ok(match parent {
            Some(_) => {
                let is_apart = is_ordered(&lowered.plan);
                let plan = without_order(lowered.plan);
                LoweredQuery {
                    plan: if is_apart && !is_sound(&plan) { fenced(plan) } else { plan },
                    names: lowered.names,
                }
            }
            None => lowered,
        })
    }

    /// One query further down.
    fn nested<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T, LowerError>) -> Result<T, LowerError> {
        if self.depth >= MAX_QUERY_DEPTH {
            return unsupported("queries nested too deeply");
        }
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_costs_one_query() {
        let Err(LowerError::Unsupported(defect)) = guarded(|| panic!("broken: {}", 7)) else {
            panic!("a panic is no plan");
        };
        assert_eq!((defect.construct.as_str(), defect.detail.as_str()), ("defect of the planner", "broken: 7"));
    }
}
