//! Comparisons with the time, from plan to graph: a conjunct of a filter is an operator of its own, a part of another
//! expression becomes a column that such an operator writes.

use super::EngineError;
use super::build::{Builder, Built, maintainable};
use super::columns::require;
use super::graph::NodeId;
use super::map::Filter;
use super::spec::OperatorSpec;
use super::temporal::TemporalOperator;
use weir_planner::optimize::Dropper;
use weir_planner::temporal::{Conjunct, TimeBound, lift, split};
use weir_planner::{Expr, Plan};

impl Builder<'_> {
    /// What compares with the time stands above the rest, each comparison an operator of its own.
    pub(crate) fn build_timed(
        &mut self,
        input: &Plan,
        predicate: &Expr,
        required: &[bool],
    ) -> Result<Built, EngineError> {
        let mut conjuncts = split(predicate);
        let is_plain = |conjunct: &Conjunct| matches!(conjunct, Conjunct::Plain(_));
        let cannot_fail = |conjunct: &Conjunct| match conjunct {
            Conjunct::Timed(bound) => matches!(bound.key, Expr::Column(_)),
            Conjunct::Plain(_) => true,
            Conjunct::Mixed(_) => false,
        };
        // The index holds fewer rows behind the other conditions, but a key that fails does so in its turn.
        if conjuncts.iter().all(cannot_fail) {
            conjuncts.sort_by_key(|conjunct| !is_plain(conjunct));
        }
        let mut needed = required.to_vec();
        require(predicate, &mut needed);
        let above = conjuncts.split_off(conjuncts.iter().position(|c| !is_plain(c)).unwrap_or(conjuncts.len()));
        let below = conjuncts.into_iter().filter_map(|conjunct| match conjunct {
            Conjunct::Plain(expr) => Some(expr),
            _ => None,
        });
        let mut built = match Expr::conjunction(below.collect()) {
            Some(predicate) => self.build_filter(input, &predicate, &needed)?,
            None => self.build_dropped(input, &needed, Dropper::Other)?,
        };
        for conjunct in above {
            built.node = match conjunct {
                Conjunct::Timed(bound) => self.temporal(&built, &bound, None)?,
                Conjunct::Plain(mut expr) | Conjunct::Mixed(mut expr) => {
                    let bounds = self.lift([&mut expr], input.columns.len())?;
                    let marked = self.mark(built.clone(), &bounds)?;
                    maintainable(&expr)?;
                    let predicate = marked.remap(&expr);
                    let spec = OperatorSpec::Filter(predicate.clone());
                    self.node(spec, vec![marked.node], |_| Box::new(Filter { predicate }))
                }
            };
        }
        Ok(built)
    }

    pub(crate) fn lift<'e>(
        &self,
        exprs: impl IntoIterator<Item = &'e mut Expr>,
        width: usize,
    ) -> Result<Vec<TimeBound>, EngineError> {
        lift(exprs, width).map_err(|place| EngineError::Unsupported(format!("now() {place}")))
    }

    /// The rows with whether each of these comparisons holds as further columns.
    fn mark(&mut self, mut built: Built, bounds: &[TimeBound]) -> Result<Built, EngineError> {
        for bound in bounds {
            built.node = self.temporal(&built, bound, Some(built.width))?;
            built.columns.push(built.width);
            built.width += 1;
        }
        Ok(built)
    }

    fn temporal(&mut self, built: &Built, bound: &TimeBound, mark: Option<usize>) -> Result<NodeId, EngineError> {
        maintainable(&bound.key)?;
        let bound = bound.map_key(|key| built.remap(key));
        let context = (*self.context).clone();
        let spec = OperatorSpec::Temporal { bound: bound.clone(), mark };
        Ok(self.node(spec, vec![built.node], |_| Box::new(TemporalOperator::new(bound, mark, context))))
    }

    /// An input for expressions from which comparisons with the time were lifted.
    pub(crate) fn build_marked(
        &mut self,
        input: &Plan,
        exprs: &[&Expr],
        bounds: &[TimeBound],
    ) -> Result<Built, EngineError> {
        let mut needed = vec![false; input.columns.len() + bounds.len()];
        for expr in exprs.iter().copied().chain(bounds.iter().map(|bound| &bound.key)) {
            maintainable(expr)?;
            require(expr, &mut needed);
        }
        needed.truncate(input.columns.len());
        let built = self.build_dropped(input, &needed, Dropper::Other)?;
        self.mark(built, bounds)
    }
}
