//! Placeholders. While a select list is lowered its aggregates, window functions and scalar subqueries have no column
//! yet: each gets a number far beyond any row and is collected; the clause that computes it then puts the real column
//! in.

use super::error::LowerError;
use crate::expr::Expr;
use crate::plan::{AggregateCall, Plan, WindowKind};
use crate::types::ColumnType;

const AGGREGATES: usize = 1 << 28;
const WINDOWS: usize = 2 << 28;
const SCALARS: usize = 3 << 28;

/// What expressions ask the surrounding clauses to compute.
#[derive(Default)]
pub(super) struct Parts {
    pub aggregates: Vec<AggregateCall>,
    pub windows: Vec<WindowPart>,
    /// Plans of exactly one row and one column; taken once joined.
    pub scalars: Vec<Option<Plan>>,
}

pub(super) struct WindowPart {
    pub kind: WindowKind,
    /// [`crate::query::WindowClause::reference`].
    pub clause: usize,
    pub output: ColumnType,
}

/// What a column number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    Input(usize),
    Aggregate(usize),
    Window(usize),
    Scalar(usize),
}

impl Reference {
    pub fn of(column: usize) -> Reference {
        match column {
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

    pub fn window(&mut self, part: WindowPart) -> Expr {
        self.windows.push(part);
        Expr::Column(WINDOWS + self.windows.len() - 1)
    }

    pub fn scalar(&mut self, plan: Plan) -> Expr {
        self.scalars.push(Some(plan));
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
                let position = plan.columns.len();
                plan = super::from::cross_join(plan, scalar);
                **expr = expr.map_columns(&mut |c| if c == column { position } else { c });
            }
        }
        Ok(plan)
    }
}
