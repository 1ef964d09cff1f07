//! A read prepared once per statement and executed over any snapshot.

use super::ReadError;
use super::compile::compile;
use super::op::{Lazy, Op, Scan, Sort};
use super::rewrite::substitute;
use super::rows::{Flat, Rows};
use super::run::{Budget, Flow, Run, Stop};
use crate::Snapshot;
use smallvec::SmallVec;
use std::ops::ControlFlow::{self, Break, Continue};
use weir_planner::eval::{EvalContext, Tuple};
use weir_planner::optimize::computed_in_planning;
use weir_planner::{Expr, Plan, RelationId, Row};

/// A plan with everything done that does not depend on rows or parameters: columns resolved, conditions split and
/// pushed down, candidates for indexes recognised. Cheap to share between sessions (`Arc`), never changes.
#[derive(Debug)]
pub struct Compiled {
    plan: Plan,
    relations: Vec<RelationId>,
    /// Parts without columns that may fail: Postgres computes them before it looks at any row.
    in_planning: Vec<Expr>,
    op: Op,
    /// The answer's columns over the root's tuples; for a sort of a scan, over the stored row.
    outputs: Vec<Expr>,
    /// The stored columns `outputs` are, when they are nothing but columns.
    columns: Option<Vec<usize>>,
}

impl Compiled {
    /// Errors: [`ReadError::Unsupported`] for what cannot be answered exactly.
    pub fn new(plan: &Plan) -> Result<Compiled, ReadError> {
        let Lazy { op, outputs } = compile(plan)?;
        let outputs: Vec<Expr> = match &op {
            Op::Sort(sort) if matches!(sort.input, Op::Scan(_)) => {
                outputs.iter().map(|output| substitute(output, &sort.outputs)).collect()
            }
            _ => outputs,
        };
        let columns = outputs.iter().map(|output| if let Expr::Column(c) = output { Some(*c) } else { None }).collect();
        let in_planning = computed_in_planning(plan);
        Ok(Compiled { plan: plan.clone(), relations: plan.relations(), in_planning, op, outputs, columns })
    }

    /// The plan this was made from.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The relations read, each once.
    pub fn relations(&self) -> &[RelationId] {
        &self.relations
    }

    /// The rows at this snapshot. The caller has made sure that the tables are right at one position
    /// ([`Snapshot::common_position`]). On any error the statement is forwarded.
    pub fn execute<'a>(&'a self, snapshot: &'a Snapshot, context: &'a EvalContext) -> Result<Rows<'a>, ReadError> {
        self.execute_within(Budget::WHOLE, snapshot, context)
    }

    /// As [`Compiled::execute`], as long as the budget allows.
    pub fn execute_within<'a>(
        &'a self,
        budget: Budget<'a>,
        snapshot: &'a Snapshot,
        context: &'a EvalContext,
    ) -> Result<Rows<'a>, ReadError> {
        let run = Run::new(snapshot, context, budget);
        for part in &self.in_planning {
            result(run.value(part, Tuple::single(&[])))?;
        }
        match &self.op {
            Op::Scan(scan) => self.answer(&run, run.scan_rows(scan)),
            Op::Sort(sort) if matches!(sort.input, Op::Scan(_)) => self.answer(&run, run.sorted_rows(sort)),
            op => {
                let mut flat = Flat::new(self.outputs.len());
                let mut values = Vec::with_capacity(self.outputs.len());
                let flow = run.run(op, &mut |tuple, count| {
                    run.hold(count)?;
                    run.values(&self.outputs, tuple, &mut values)?;
                    flat.push(values.drain(..));
                    flat.repeat_last(count - 1);
                    Continue(())
                });
                result(flow)?;
                Ok(Rows::computed(flat))
            }
        }
    }

    /// Stored rows as the answer: borrowed when its columns are stored ones, else computed.
    fn answer<'a>(
        &'a self,
        run: &Run<'a>,
        found: ControlFlow<Stop, SmallVec<[&'a Row; 2]>>,
    ) -> Result<Rows<'a>, ReadError> {
        let found = result(found)?;
        if let Some(columns) = &self.columns {
            return Ok(Rows::stored(found, columns));
        }
        let mut flat = Flat::new(self.outputs.len());
        let mut values = Vec::with_capacity(self.outputs.len());
        for row in found {
            result(run.values(&self.outputs, Tuple::single(row), &mut values))?;
            flat.push(values.drain(..));
        }
        Ok(Rows::computed(flat))
    }
}

impl<'a> Run<'a> {
    /// The rows of a scan, as often as they occur.
    fn scan_rows(&self, scan: &Scan) -> ControlFlow<Stop, SmallVec<[&'a Row; 2]>> {
        let mut found = SmallVec::new();
        self.scan(scan, &mut |row, count, _| self.take(row, count, &mut found))?;
        Continue(found)
    }

    /// The rows of a sort over a scan.
    fn sorted_rows(&self, sort: &Sort) -> ControlFlow<Stop, SmallVec<[&'a Row; 2]>> {
        let Op::Scan(scan) = &sort.input else { unreachable!("only called for a sort over a scan") };
        let window = self.limits(sort)?;
        let rows = self.sort_scan(scan, sort, window)?;
        let mut found = SmallVec::new();
        window.cut(rows, |row, count| self.take(row, count, &mut found))?;
        Continue(found)
    }

    fn take(&self, row: &'a Row, count: u64, found: &mut SmallVec<[&'a Row; 2]>) -> Flow {
        self.hold(count)?;
        found.extend(std::iter::repeat_n(row, count as usize));
        Continue(())
    }
}

fn result<T>(flow: ControlFlow<Stop, T>) -> Result<T, ReadError> {
    match flow {
        Continue(value) => Ok(value),
        Break(Stop::Failed(error)) => Err(error),
        Break(Stop::Enough) => unreachable!("whoever asks for an early end catches it"),
    }
}
