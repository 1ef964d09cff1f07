//! Stars: a driving input and any number of inputs that its rows look up by keys of their own, joined in one step.
//!
//! Nothing in between is kept: the only state is the driver's rows indexed by each of its keys and each link's rows by
//! its key, in arrangements that others may share. [`chain`] finds stars in plans, [`build`] makes nodes of them,
//! [`change`] says what changed in a link, [`follow`] finds the drivers it concerns, [`expand`] goes from a driver row to
//! joined rows.
//!
//! **The product rule.** With D the driver's rows, Lᵢ what a driver row finds in link i (the row of NULLs where an outer
//! link has nothing), and ′ for the present, the change of Σ D·L₁·…·Lₙ is
//!
//! `ΔD·L₁·…·Lₙ + Σᵢ D′·L₁′·…·Lᵢ₋₁′·ΔLᵢ·Lᵢ₊₁·…·Lₙ`
//!
//! Arrangements are at the present; the past of a link is derived for the few keys that changed. ΔLᵢ is taken by key, so
//! that the drivers it concerns are those under that key in one index.

mod build;
mod chain;
mod change;
mod expand;
mod follow;
mod kept;
mod moved;
mod spec;

pub(super) use chain::Chain;
pub(crate) use spec::StarSpec;

use super::graph::{NodeId, SlotId};
use super::operator::{Batch, Operator, Output, StepContext, count};
use crate::Delta;
use crate::delta::consolidate;
use crate::key::{KeyMap, KeyState};
use change::Change;
use expand::{Inputs, Joined, Term, Walk};
use follow::LinkChange;
use kept::KeptRows;
use moved::MovedDrivers;
use std::sync::Arc;
use weir_planner::eval::{EvalContext, Tuple};
use weir_planner::{Expr, Row, Value};

pub(crate) struct StarOperator {
    spec: StarSpec,
    /// The driver's arrangements, by its keys.
    drivers: Vec<SlotId>,
    /// The links' arrangements.
    links: Vec<SlotId>,
    output: Vec<OutputColumn>,
    /// Per column of the concatenation: the output columns that read it.
    readers: Vec<Vec<usize>>,
    /// Per link and output column: whether the column reads the link.
    reads: Vec<Vec<bool>>,
    /// Columns of the concatenation that conditions read.
    decisive: Vec<bool>,
    /// Output rows of different driver rows differ: the driver's unique columns are among them.
    tells_drivers_apart: bool,
    /// Where the driver's unique columns are in its row and in the output, if they are.
    unique: Vec<(usize, usize)>,
    /// While the output is published.
    kept: Option<KeptRows>,
    /// NULLs, as many as the widest link has columns.
    absent: Row,
}

/// Most output columns are copies of a column.
enum OutputColumn {
    Copy { part: usize, column: usize },
    Computed(Expr),
}

impl OutputColumn {
    #[inline]
    fn value(&self, tuple: Tuple<'_>, parts: &[&[Value]], eval: &EvalContext) -> Value {
        match self {
            OutputColumn::Copy { part, column } => parts[*part][*column].clone(),
            OutputColumn::Computed(expr) => expr.eval(tuple, eval),
        }
    }
}

impl StarOperator {
    /// `unique`: columns of the driver that no two of its rows share.
    pub fn new(spec: StarSpec, drivers: Vec<SlotId>, links: Vec<SlotId>, unique: Option<Vec<usize>>) -> StarOperator {
        let starts: Vec<usize> = std::iter::once(0).chain((0..spec.links.len()).map(|link| spec.start(link))).collect();
        let width = spec.start(spec.links.len());
        let output = spec
            .output
            .iter()
            .map(|expr| match expr {
                Expr::Column(column) => {
                    let part = starts.iter().rposition(|start| start <= column).expect("the first part starts at 0");
                    OutputColumn::Copy { part, column: column - starts[part] }
                }
                other => OutputColumn::Computed(other.clone()),
            })
            .collect();
        let mut readers = vec![vec![]; width];
        for (index, expr) in spec.output.iter().enumerate() {
            expr.columns().into_iter().for_each(|column| readers[column].push(index));
        }
        let reads = |link: usize, spec: &spec::LinkSpec, output: &usize| {
            let start = starts[link + 1];
            readers[start..start + spec.width].iter().any(|readers| readers.contains(output))
        };
        let outputs: Vec<usize> = (0..spec.output.len()).collect();
        let reads =
            spec.links.iter().enumerate().map(|(link, of)| outputs.iter().map(|o| reads(link, of, o)).collect());
        let reads = reads.collect();
        let mut decisive = vec![false; width];
        for condition in spec.links.iter().flat_map(|link| &link.conditions) {
            super::columns::require(condition, &mut decisive);
        }
        let in_output = |column: &usize| {
            let output = spec.output.iter().position(|expr| *expr == Expr::Column(*column));
            output.filter(|_| *column < spec.driver_width).map(|output| (*column, output))
        };
        let unique: Option<Vec<_>> = unique.and_then(|columns| columns.iter().map(in_output).collect());
        let (tells_drivers_apart, unique) = (unique.is_some(), unique.unwrap_or_default());
        let absent = vec![Value::Null; spec.links.iter().map(|link| link.width).max().unwrap_or(0)].into();
        StarOperator {
            spec,
            drivers,
            links,
            output,
            readers,
            reads,
            decisive,
            tells_drivers_apart,
            unique,
            kept: None,
            absent,
        }
    }

    #[inline]
    fn output_row(&self, tuple: Tuple<'_>, parts: &[&[Value]], eval: &EvalContext) -> Row {
        self.output.iter().map(|column| column.value(tuple, parts, eval)).collect()
    }

    /// Output columns that read any of these columns of a link; None when a condition does.
    fn dirty(&self, link: usize, columns: &[usize]) -> Option<Vec<usize>> {
        let start = self.spec.start(link);
        if columns.iter().any(|column| self.decisive[start + column]) {
            return None;
        }
        let mut dirty: Vec<usize> = columns.iter().flat_map(|column| &self.readers[start + column]).copied().collect();
        dirty.sort_unstable();
        dirty.dedup();
        Some(dirty)
    }
}

impl Operator for StarOperator {
    fn step(&mut self, batches: &[Vec<Arc<Batch>>], context: &StepContext<'_>, out: &mut Output) {
        let mut kept = self.kept.take();
        let this = &*self;
        let graph = context.graph;
        let mut joined = Joined::default();
        // Of a link that has changed in few rows all keys are taken for looked up.
        let asks = |link: usize| count(&batches[link + 1]) > count(&batches[0]);
        // Drivers that have gone are in no index any more.
        let gone_keys: Vec<KeyMap<()>> = (0..this.spec.keys.len())
            .map(|key| {
                let is_asked = |link: usize| this.spec.links[link].driver_key == key && asks(link);
                let is_asked = (0..this.links.len()).any(is_asked);
                if is_asked {
                    moved::keys_of_gone(&batches[0], &this.spec.keys[key], context.eval)
                } else {
                    KeyMap::default()
                }
            })
            .collect();
        let changes: Vec<KeyMap<Change>> = (0..this.links.len())
            .map(|link| {
                let (spec, arrangement) = (&this.spec.links[link], graph.arrangement(this.links[link]));
                let (drivers, gone) = (graph.arrangement(this.drivers[spec.driver_key]), &gone_keys[spec.driver_key]);
                let asks = asks(link);
                let is_looked_up = |key: &[Value]| !asks || drivers.get(key).is_some() || gone.get(key).is_some();
                let (batches, absent) = (&batches[link + 1], &this.absent);
                let dirty = |columns: &[usize]| this.dirty(link, columns);
                let errors = &mut joined.out.errors;
                change::changes(batches, spec, arrangement, is_looked_up, absent, dirty, context.eval, errors)
            })
            .collect();
        let links = this.links.iter().map(|&slot| graph.arrangement(slot)).collect();
        let inputs = Inputs { star: this, links, changes: &changes, eval: context.eval };
        let any_link = changes.iter().any(|changes| !changes.is_empty());
        let unique = || this.unique.iter().map(|(driver, _)| *driver).collect();
        let moved = MovedDrivers::new(&batches[0], (any_link && this.tells_drivers_apart).then(unique));
        if let Some(kept) = &mut kept {
            moved.rows.iter().for_each(|(driver, _)| kept.remove(driver));
        }
        for (link, changes) in changes.iter().enumerate() {
            let drivers = graph.arrangement(this.drivers[this.spec.links[link].driver_key]);
            for (key, change) in changes.iter().filter(|(_, change)| !change.is_void()) {
                if let Some(bag) = drivers.get(key.values()) {
                    let what = LinkChange { link, key: key.values(), change };
                    inputs.follow(bag, &what, &moved, &mut kept, &mut joined);
                }
            }
        }
        for (driver, weight) in &moved.rows {
            joined.repeats |= weight.abs() != 1;
            inputs.join(Walk::new(Term::Driver, driver, this.tells_drivers_apart, &[]), *weight, &mut joined);
        }
        *out = joined.out;
        consolidate(&mut joined.mixed);
        out.rows.append(&mut joined.mixed);
        out.consolidated = this.tells_drivers_apart && !joined.repeats;
        self.kept = kept;
    }

    fn set_published(&mut self, rows: Option<&Delta>) {
        let keeps = rows.filter(|_| self.tells_drivers_apart);
        self.kept = keeps.map(|rows| {
            let mut kept = KeptRows::new(self.unique.clone());
            kept.fill(rows);
            kept
        });
    }

    fn bytes(&self) -> usize {
        self.kept.as_ref().map_or(0, KeptRows::bytes)
    }

    fn content(&self, inputs: &[NodeId], context: &StepContext<'_>, f: &mut dyn FnMut(&Row, i64)) -> i64 {
        let graph = context.graph;
        let changes: Vec<KeyMap<Change>> = self.links.iter().map(|_| KeyMap::default()).collect();
        let links = self.links.iter().map(|&slot| graph.arrangement(slot)).collect();
        let star = Inputs { star: self, links, changes: &changes, eval: context.eval };
        let mut errors = 0;
        graph.content(inputs[0], &mut |driver, weight| {
            let mut joined = Joined::default();
            star.join(Walk::new(Term::Driver, driver, false, &[]), weight, &mut joined);
            errors += joined.out.errors;
            joined.out.rows.iter().for_each(|(row, weight)| f(row, *weight));
        });
        for ((link, &input), &slot) in self.spec.links.iter().zip(&inputs[1..]).zip(&self.links) {
            if graph.arrangement(slot).is_complete() {
                continue;
            }
            graph.content(input, &mut |row, weight| {
                let failed = link.key.with_key(row, context.eval, |_, state| state == KeyState::Failed);
                errors += if failed { weight } else { 0 };
            });
        }
        errors
    }
}
