//! Placeholders. While a select list is lowered its aggregates, window functions and scalar subqueries have no column
//! yet: each gets a number far beyond any row and is collected; the clause that computes it then puts the real column
//! in.

use super::Lowering;
use super::error::LowerError;
use crate::expr::Expr;
use crate::plan::{AggregateCall, Join, JoinKind, Node as PlanNode, Plan, SetCall, WindowKind};
use crate::types::ColumnType;

const AGGREGATES: usize = 1 << 28;
const WINDOWS: usize = 2 << 28;
const SCALARS: usize = 3 << 28;
const GROUPINGS: usize = 4 << 28;
const SETS: usize = 5 << 28;

/// What expressions ask the surrounding clauses to compute.
#[derive(Default)]
pub(super) struct Parts {
    pub aggregates: Vec<AggregateCall>,
    pub windows: Vec<WindowPart>,
    /// `GROUPING(…)`: the grouping expressions named, as references.
    pub groupings: Vec<Vec<usize>>,
    /// Set-returning functions of the select list.
    pub sets: Vec<SetCall>,
    /// Taken once joined.
    pub scalars: Vec<Option<ScalarPart>>,
}

/// A subquery that gives one value.
pub(super) struct ScalarPart {
    /// Exactly one row; with `equal` at most one row for each of their values; over a domain at most one row for each
    /// of its rows.
    pub plan: Plan,
    /// What the domain's columns are, over the row around it.
    pub domain: Option<Vec<Expr>>,
    /// Expressions over the row around it, and the column each equals.
    pub equal: Vec<(Expr, usize)>,
    /// The value's column.
    pub value: usize,
    /// A column that is never NULL, and the value where there is no row; None when that is NULL.
    pub without: Option<(usize, Expr)>,
}

impl ScalarPart {
    /// Expressions over the row around it.
    pub fn outer(&self) -> impl Iterator<Item = &Expr> {
        self.equal.iter().map(|(outer, _)| outer).chain(self.domain.iter().flatten())
    }

    pub fn outer_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        self.equal.iter_mut().map(|(outer, _)| outer).chain(self.domain.iter_mut().flatten())
    }
}

pub(super) struct WindowPart {
    pub kind: WindowKind,
    pub args: Vec<Expr>,
    pub filter: Option<Expr>,
    /// [`crate::query::WindowClause::reference`].
    pub clause: usize,
    pub input: Option<ColumnType>,
    pub output: ColumnType,
}

impl WindowPart {
    /// What is evaluated over the rows that the window orders.
    pub fn exprs_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        self.args.iter_mut().chain(&mut self.filter)
    }
}

/// What a column number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    Input(usize),
    Aggregate(usize),
    Window(usize),
    Scalar(usize),
    Grouping(usize),
    Set(usize),
}

impl Reference {
    pub fn of(column: usize) -> Reference {
        match column {
            c if c >= SETS => Reference::Set(c - SETS),
            c if c >= GROUPINGS => Reference::Grouping(c - GROUPINGS),
            c if c >= SCALARS => Reference::Scalar(c - SCALARS),
            c if c >= WINDOWS => Reference::Window(c - WINDOWS),
            c if c >= AGGREGATES => Reference::Aggregate(c - AGGREGATES),
            c => Reference::Input(c),
        }
    }
}

impl Parts {
    /// The same call twice is computed once.
    pub fn aggregate(&mut self, call: AggregateCall) -> Expr {
        let known = self.aggregates.iter().position(|other| *other == call);
        let index = known.unwrap_or_else(|| {
            self.aggregates.push(call);
            self.aggregates.len() - 1
        });
        Expr::Column(AGGREGATES + index)
    }

    pub fn grouping(&mut self, references: Vec<usize>) -> Expr {
        self.groupings.push(references);
        Expr::Column(GROUPINGS + self.groupings.len() - 1)
    }

    pub fn window(&mut self, part: WindowPart) -> Expr {
        self.windows.push(part);
        Expr::Column(WINDOWS + self.windows.len() - 1)
    }

    pub fn set(&mut self, call: SetCall) -> Expr {
        self.sets.push(call);
        Expr::Column(SETS + self.sets.len() - 1)
    }

    pub fn scalar(&mut self, part: ScalarPart) -> Expr {
        self.scalars.push(Some(part));
        Expr::Column(SCALARS + self.scalars.len() - 1)
    }

    /// Joins the scalar subqueries that `exprs` use to the input of these expressions and puts the real columns in.
    pub fn join_scalars(
        &mut self,
        mut plan: Plan,
        exprs: &mut [&mut Expr],
        lowering: &Lowering<'_>,
    ) -> Result<Plan, LowerError> {
        for expr in exprs {
            for column in expr.columns() {
                let Reference::Scalar(index) = Reference::of(column) else { continue };
                let Some(scalar) = self.scalars[index].take() else {
                    return super::unsupported("a subquery used at two stages of a query");
                };
                let width = plan.columns.len();
                let value = Expr::Column(width + scalar.value);
                let value = match scalar.without {
                    None => value,
                    Some((there, without)) => Expr::Case {
                        branches: vec![(Expr::IsNull(Box::new(Expr::Column(width + there))), without)],
                        otherwise: Box::new(value),
                    },
                };
                let is_one_row = scalar.equal.is_empty() && scalar.domain.is_none();
                let kind = if is_one_row { JoinKind::Inner } else { JoinKind::Left };
                let mut equal: Vec<_> = scalar.equal.into_iter().map(|(outer, at)| (outer, Expr::Column(at))).collect();
                let right = match scalar.domain {
                    None => scalar.plan,
                    Some(exprs) => {
                        let (right, pairs) = lowering.resolved(scalar.plan, &exprs, &plan);
                        equal.extend(pairs);
                        right
                    }
                };
                let columns = plan.columns.iter().chain(&right.columns).cloned().collect();
                let join = Join { kind, left: plan, right, equal, residual: None };
                plan = Plan { node: PlanNode::Join(Box::new(join)), columns };
                **expr = expr.replace(&mut |part| (*part == Expr::Column(column)).then(|| value.clone()));
            }
        }
        Ok(plan)
    }
}
