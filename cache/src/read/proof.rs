//! Expressions that may fail, and that a read would rather not evaluate for every row: those of rows beyond its LIMIT, and
//! conditions of rows that an index passes over. Postgres may evaluate them for all rows, and raise what they raise.
//!
//! That they fail for no row of a table is remembered: versions share their rows, so that only what has come since is evaluated.

use super::op::Scan;
use super::run::{Run, Stop};
use crate::TableVersion;
use crate::snapshot::{Chunk, ContentsId, Mask, SlotsId, offsets};
use std::collections::HashMap;
use std::ops::ControlFlow::{self, Continue};
use std::sync::Mutex;
use weir_planner::eval::{EvalContext, Tuple};
use weir_planner::optimize::is_certain;
use weir_planner::settings::Settings;
use weir_planner::temporal::reads_clock;
use weir_planner::{Expr, Value};

/// Expressions over a stored row, with what is known of their errors.
#[derive(Debug, Default)]
pub(super) struct Proof {
    exprs: Vec<Expr>,
    /// They give the same for a row in every execution under the same settings.
    is_settled: bool,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    settings: Settings,
    /// Rows that were looked at last, and whether none fails.
    last: Option<(ContentsId, bool)>,
    /// By the address of a chunk's slots: those whose rows do not fail.
    sound: HashMap<usize, (SlotsId, Mask), foldhash::fast::RandomState>,
}

impl Proof {
    /// Of those among the expressions that may fail.
    pub(super) fn of<'e>(exprs: impl IntoIterator<Item = &'e Expr>) -> Proof {
        let exprs: Vec<Expr> = exprs.into_iter().filter(|expr| !is_certain(expr)).cloned().collect();
        let is_settled = exprs.iter().all(|expr| {
            let mut has_params = false;
            expr.visit(&mut |part| has_params |= matches!(part, Expr::Param(_)));
            !has_params && !reads_clock(expr)
        });
        Proof { exprs, is_settled, known: Mutex::default() }
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
        // Whoever has the lock is finding out, which takes longer than a scan.
        let Some(mut known) = proof.known.try_lock().ok().filter(|_| proof.is_settled) else {
            return Continue(false);
        };
        let version = self.version(scan)?;
        let known = &mut *known;
        if known.settings != self.context.settings {
            *known = Known { settings: self.context.settings.clone(), ..Known::default() };
        }
        match &known.last {
            Some((contents, holds)) if *contents == version.contents_id() => Continue(*holds),
            _ => {
                let holds = self.prove(&proof.exprs, version, known)?;
                known.last = Some((version.contents_id(), holds));
                Continue(holds)
            }
        }
    }

    fn prove(&self, exprs: &[Expr], version: &TableVersion, known: &mut Known) -> ControlFlow<Stop, bool> {
        known.sound.retain(|_, (slots, _)| !slots.is_gone());
        for chunk in version.all_chunks() {
            let slots = chunk.slots();
            let (_, sound) = known.sound.entry(slots.address()).or_insert_with(|| (slots, Mask::default()));
            let mut fresh = chunk.mask();
            fresh.iter_mut().zip(&*sound).for_each(|(fresh, sound)| *fresh &= !sound);
            self.visit(fresh.iter().map(|word| word.count_ones() as usize).sum())?;
            if offsets(&fresh).any(|offset| fails(exprs, chunk, offset, self.context)) {
                return Continue(false);
            }
            sound.iter_mut().zip(&fresh).for_each(|(sound, fresh)| *sound |= fresh);
        }
        Continue(true)
    }
}

fn fails(exprs: &[Expr], chunk: &Chunk, offset: usize, context: &EvalContext) -> bool {
    exprs.iter().any(|expr| matches!(expr.eval(Tuple::single(chunk.row(offset)), context), Value::Error(_)))
}
