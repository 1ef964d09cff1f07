//! Expressions that may fail, and that a read would rather not evaluate for every row: those of rows beyond its LIMIT, and
//! conditions of rows that an index passes over. Postgres may evaluate them for all rows, and raise what they raise.
//!
//! That they fail for no row of a table is remembered with the table (`snapshot`'s soundness): the next read looks at what has come
//! since.

use super::op::Scan;
use super::run::{Run, Stop};
use crate::TableVersion;
use crate::snapshot::{Chunk, Sound, offsets};
use std::ops::ControlFlow::{self, Continue};
use std::sync::Arc;
use weir_planner::eval::{EvalContext, Tuple};
use weir_planner::optimize::is_certain;
use weir_planner::temporal::reads_clock;
use weir_planner::{Expr, Value};

/// Expressions over a stored row.
#[derive(Debug)]
pub(super) struct Proof {
    exprs: Arc<[Expr]>,
    /// They give the same for a row in every execution under the same settings.
    is_settled: bool,
}

impl Proof {
    /// Of those among the expressions that may fail.
    pub(super) fn of<'e>(exprs: impl IntoIterator<Item = &'e Expr>) -> Proof {
        let exprs: Arc<[Expr]> = exprs.into_iter().filter(|expr| !is_certain(expr)).cloned().collect();
        let is_settled = exprs.iter().all(|expr| {
            let mut has_params = false;
            expr.visit(&mut |part| has_params |= matches!(part, Expr::Param(_)));
            !has_params && !reads_clock(expr)
        });
        Proof { exprs, is_settled }
    }

    pub(super) fn exprs(&self) -> &[Expr] {
        &self.exprs
    }
}

impl Run<'_> {
    /// None of the expressions fails for any row of the table. False: one does, or that could not be found out.
    pub(super) fn is_proved(&self, proof: &Proof, scan: &Scan) -> ControlFlow<Stop, bool> {
        if proof.exprs.is_empty() {
            return Continue(true);
        }
        let version = self.version(scan)?;
        if !proof.is_settled {
            return Continue(false);
        }
        let Some(sound) = version.soundness().of(&proof.exprs, &self.context.settings) else { return Continue(false) };
        // Whoever has the lock is finding out, which takes as long as the scan that this one then does.
        let Ok(mut sound) = sound.try_lock() else { return Continue(false) };
        if let Some(outcome) = sound.outcome(version) {
            return Continue(outcome);
        }
        let outcome = self.prove(&proof.exprs, version, &mut sound)?;
        sound.conclude(version, outcome);
        Continue(outcome)
    }

    fn prove(&self, exprs: &[Expr], version: &TableVersion, sound: &mut Sound) -> ControlFlow<Stop, bool> {
        for chunk in version.all_chunks() {
            let open = sound.open(chunk);
            let rows = open.iter().map(|word| word.count_ones() as usize).sum();
            if rows == 0 {
                continue;
            }
            self.visit(rows)?;
            if offsets(&open).any(|offset| fails(exprs, chunk, offset, self.context)) {
                return Continue(false);
            }
            sound.add(chunk, &open);
        }
        Continue(true)
    }
}

fn fails(exprs: &[Expr], chunk: &Chunk, offset: usize, context: &EvalContext) -> bool {
    exprs.iter().any(|expr| matches!(expr.eval(Tuple::single(chunk.row(offset)), context), Value::Error(_)))
}
