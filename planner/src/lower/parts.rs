//! Placeholders. While a select list is lowered its aggregates, window functions and scalar subqueries have no column
//! yet: each gets a number far beyond any row and is collected; the clause that computes it then puts the real column
//! in.

use super::error::LowerError;
use crate::expr::Expr;
use crate::plan::{AggregateCall, Join, JoinKind, Node as PlanNode, Plan, WindowKind};
use crate::types::ColumnType;

const AGGREGATES: usize = 1 << 28;
const WINDOWS: usize = 2 << 28;
const SCALARS: usize = 3 << 28;
const GROUPINGS: usize = 4 << 28;

/// What expressions ask the surrounding clauses to compute.
#[derive(Default)]
pub(super) struct Parts {
    pub aggregates: Vec<AggregateCall>,
    pub windows: Vec<WindowPart>,
    /// `GROUPING(…)`: the grouping expressions named, as references.
    pub groupings: Vec<Vec<usize>>,
    /// Taken once joined.
    pub scalars: Vec<Option<ScalarPart>>,
}

/// A subquery that gives one value.
pub(super) struct ScalarPart {
    /// Exactly one row; with `equal` at most one row for each of their values.
    pub plan: Plan,
    /// Expressions over the row around it, and the column each equals.
    pub equal: Vec<(Expr, usize)>,
    /// The value's column.
    pub value: usize,
    /// A column that is never NULL, and the value where there is no row; None when that is NULL.
    pub without: Option<(usize, Expr)>,
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
}

impl Reference {
    pub fn of(column: usize) -> Reference {
        match column {
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

    pub fn scalar(&mut self, part: ScalarPart) -> Expr {
        self.scalars.push(Some(part));
        Expr::Column(SCALARS + self.scalars.len() - 1)
    }

    /// Joins the scalar subqueries that `exprs` use to the input of these expressions and puts the real columns in.
    pub fn join_scalars(&mut self, mut plan: Plan, exprs: &mut [&mut Expr]) -> Result<Plan, LowerError> {
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
                let kind = if scalar.equal.is_empty() { JoinKind::Inner } else { JoinKind::Left };
                let equal = scalar.equal.into_iter().map(|(outer, at)| (outer, Expr::Column(at))).collect();
                let columns = plan.columns.iter().chain(&scalar.plan.columns).cloned().collect();
                let join = Join { kind, left: plan, right: scalar.plan, equal, residual: None };
                plan = Plan { node: PlanNode::Join(Box::new(join)), columns };
                **expr = expr.replace(&mut |part| (*part == Expr::Column(column)).then(|| value.clone()));
            }
        }
        Ok(plan)
    }
}
