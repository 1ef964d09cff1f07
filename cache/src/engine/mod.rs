//! The incremental engine: base-table deltas in, stream-table deltas out.
//!
//! Every plan node is a node of one graph ([`graph`]), shared between views that need the same. A base-table change is
//! applied at once and queued at its readers; a refresh steps the nodes above the asked views, inputs first
//! ([`refresh`]). Operators are one file each, [`star`] (most joins) a folder; [`build`] makes nodes of plans, [`backfill`]
//! fills new ones.
//!
//! **Errors.** An expression that fails where it yields a *value* (a projection, an aggregate's argument) yields an
//! error value: the row is there, and whoever reads that column is forwarded. Where it decides whether a row *exists*
//! (a filter, a join key or condition, a group, DISTINCT, partition or sort key) the row is left out and counted at
//! that node; a view is in error while any node above it counts such rows, and all reads of it are to be forwarded.
//! Both heal when the bad rows leave.

mod aggregate;
mod arrangement;
mod backfill;
mod bag;
mod build;
mod build_join;
mod build_order;
mod build_temporal;
mod checkpoints;
mod columns;
mod distinct;
mod flow;
mod graph;
mod images;
mod intake;
mod join;
mod kept;
mod map;
mod memory;
mod needs;
mod operator;
mod order;
mod outer_join;
mod pending;
mod project_set;
mod quarantine;
mod reached;
mod refresh;
mod repeat;
mod spec;
mod star;
mod table;
mod temporal;
mod topk;
mod window;
mod window_frame;

#[cfg(test)]
mod tests;

use crate::Delta;
use crate::clock::ClockSpan;
use graph::{Graph, NodeId};
use intake::CHUNK_CHANGES;
pub use kept::LetGo;
pub use needs::TableNeeds;
use operator::Batch;
use std::collections::HashMap;
use std::sync::Arc;
use table::Table;
use weir_planner::settings::Settings;
use weir_planner::{Plan, RelationId, Row};

/// Gives the engine the present rows of a relation it does not store itself (published stream tables).
pub trait Content {
    /// Whether the rows are those of the last refresh: only then are they used.
    fn is_present(&self, relation: RelationId) -> bool;
    /// Calls `f` with every row and its multiplicity.
    fn for_each(&self, relation: RelationId, f: &mut dyn FnMut(&Row, i64));
}

/// One change of one base table.
#[derive(Clone, Debug)]
pub enum TableChange {
    /// `old` is None for an insert, `new` for a delete. Rows are whole stored rows.
    Row {
        old: Option<Row>,
        new: Option<Row>,
    },
    Truncate,
}

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("relation {0:?} is not known to the engine")]
    UnknownRelation(RelationId),
    #[error("relation {0:?} exists already")]
    Duplicate(RelationId),
    #[error("the engine cannot maintain this: {0}")]
    Unsupported(String),
    #[error("relation {relation:?} is quarantined: {reason}")]
    Quarantined { relation: RelationId, reason: String },
    #[error("relation {0:?} is still read by other stream tables")]
    InUse(RelationId),
    /// The stored rows and the stream of changes disagree: the table must be copied again.
    #[error("a row to delete is not in relation {0:?}")]
    MissingRow(RelationId),
    /// The table's rows were let go, and this cannot be done without them: the table must be dropped and loaded anew, and with
    /// it the views over it.
    #[error("the rows of relation {0:?} are not kept")]
    NotKept(RelationId),
}

/// What a refresh did to one view.
#[derive(Clone, Debug, Default)]
pub struct ViewChange {
    /// Consolidated.
    pub delta: Delta,
    /// The view now misses rows whose existence an error leaves undecided: its reads are to be forwarded.
    pub in_error: bool,
}

/// The operators, their indexes and the base tables' rows, as long as they are kept. Single-threaded: one owner steps it.
///
/// Base tables change with [`Engine::apply`]; views stand still until [`Engine::refresh`] brings them and all
/// their ancestors to the present, so a costly view can be refreshed less often than a cheap one.
#[derive(Default)]
pub struct Engine {
    graph: Graph,
    relations: HashMap<RelationId, Relation>,
    /// Which views a node is the root of.
    roots: HashMap<NodeId, Vec<RelationId>>,
    schedule: refresh::Schedule,
    /// Accounted bytes above which views are given up.
    budget_bytes: Option<usize>,
    /// What a view that could not be added has brought to the present and nobody has been told.
    unreported: Vec<(RelationId, ViewChange)>,
}

/// What the engine knows by name.
enum Relation {
    Table(NodeId),
    View(View),
    Quarantined { reason: String },
}

struct View {
    root: NodeId,
    /// Relations its plan scans.
    reads: Vec<RelationId>,
    /// Every node above it and its root, in topological order.
    nodes: Vec<NodeId>,
    /// Those of its nodes whose output depends on the clock.
    timed: Vec<NodeId>,
    /// By column: an error of it is raised by whatever reads the view.
    raised: Vec<bool>,
    in_error: bool,
}

impl Engine {
    pub fn new() -> Engine {
        Engine::default()
    }

    /// Sets the accounted bytes above which a refresh or a backfill gives up the largest view it worked on.
    pub fn set_memory_budget(&mut self, bytes: Option<usize>) {
        self.budget_bytes = bytes;
    }

    /// Adds a base table with no rows. `key`: positions of its primary key, if any.
    pub fn add_table(&mut self, id: RelationId, key: Option<Vec<usize>>) -> Result<(), EngineError> {
        if self.relations.contains_key(&id) {
            return Err(EngineError::Duplicate(id));
        }
        let node = self.graph.add_table(Table::new(key));
        self.graph.node_mut(node).users = 1;
        self.relations.insert(id, Relation::Table(node));
        Ok(())
    }

    /// Forgets a base table that no view reads.
    pub fn drop_table(&mut self, id: RelationId) -> Result<(), EngineError> {
        let node = self.table_node(id)?;
        if self.graph.node(node).users > 1 {
            return Err(EngineError::InUse(id));
        }
        self.graph.release(node);
        self.relations.remove(&id);
        Ok(())
    }

    /// Adds rows to a table (initial copy, in chunks of any size).
    pub fn load(&mut self, id: RelationId, rows: Vec<Row>) -> Result<(), EngineError> {
        self.must_be_kept(id)?;
        let changes = rows.into_iter().map(|row| TableChange::Row { old: None, new: Some(row) }).collect();
        self.apply(id, changes)
    }

    /// Present rows of a base table.
    pub fn table_rows(&self, id: RelationId) -> Result<Vec<(Row, i64)>, EngineError> {
        let node = self.must_be_kept(id)?;
        let mut rows = vec![];
        self.graph.content(node, &mut |row, weight| rows.push((row.clone(), weight)));
        Ok(rows)
    }

    /// Changes a base table, in order. Rows to delete that are not there leave the other changes done and are
    /// reported as [`EngineError::MissingRow`]; so is TRUNCATE of a table that was let go, as [`EngineError::NotKept`].
    pub fn apply(&mut self, table: RelationId, changes: Vec<TableChange>) -> Result<(), EngineError> {
        let node = self.table_node(table)?;
        if self.graph.is_unheeded(node) {
            return Ok(());
        }
        let single = changes.len() == 1;
        let mut changes = changes.into_iter();
        let mut intake = self.graph.begin_intake(node);
        let mut chunk = Delta::new();
        let mut result = Ok(());
        while let Some((stored, mut holder)) = self.graph.node_mut(node).table_mut()
            && !changes.as_slice().is_empty()
        {
            stored.approach(changes.as_slice().chunks(CHUNK_CHANGES).next().unwrap_or_default(), &holder);
            for change in changes.by_ref().take(CHUNK_CHANGES) {
                if let Err(error) = stored.change(table, change, &mut holder, &mut chunk) {
                    result = result.and(Err(error));
                }
            }
            if single && is_void(&chunk) {
                return result;
            }
            self.graph.take_in(&mut chunk, &mut intake);
        }
        self.graph.end_intake(intake, single);
        result
    }

    /// Sets the rows of a relation that is evaluated elsewhere (FULL tables computed by Postgres), added with
    /// [`Engine::add_table`] without a key. The difference is returned and is a delta to its readers.
    pub fn set_rows(&mut self, id: RelationId, rows: Vec<Row>) -> Result<ViewChange, EngineError> {
        let node = self.must_be_kept(id)?;
        let stored = self.graph.node_mut(node).table_mut();
        let (stored, mut holder) = stored.ok_or(EngineError::UnknownRelation(id))?;
        let delta = stored.replace(rows, &mut holder);
        if !is_void(&delta) {
            self.graph.emit(node, Arc::new(Batch { rows: delta.clone(), consolidated: true, pass: false }));
        }
        Ok(ViewChange { delta, in_error: false })
    }

    /// Installs a view and evaluates it over the present state of its sources; returns its rows as a delta.
    /// Base tables and views it scans must exist; ancestors are refreshed first and their changes are returned too.
    /// Expressions are evaluated under default settings; see [`Engine::add_view_under`]. `content` is not read so far:
    /// operators can enumerate their own present output, which is never behind what has been published.
    pub fn add_view(
        &mut self,
        id: RelationId,
        plan: &Plan,
        content: &dyn Content,
    ) -> Result<Vec<(RelationId, ViewChange)>, EngineError> {
        self.add_view_under(id, plan, content, &Settings::default())
    }

    /// Removes a view nobody reads; shared nodes go when their last user goes.
    pub fn drop_view(&mut self, id: RelationId) -> Result<(), EngineError> {
        match self.relations.get(&id) {
            Some(Relation::View(_)) => {}
            Some(Relation::Quarantined { .. }) => {
                self.relations.remove(&id);
                return Ok(());
            }
            _ => return Err(EngineError::UnknownRelation(id)),
        }
        if self.views().any(|(_, view)| view.reads.contains(&id)) {
            return Err(EngineError::InUse(id));
        }
        self.uninstall(id);
        Ok(())
    }

    /// True when a refresh of this view would find pending input.
    pub fn is_stale(&self, view: RelationId) -> bool {
        match self.relations.get(&view) {
            Some(Relation::View(view)) => view.nodes.iter().any(|&node| self.graph.is_pending(node)),
            _ => false,
        }
    }

    /// The server's clock as of which views are added from now on (microseconds since 2000-01-01 UTC).
    pub fn set_clock(&mut self, now_micros: i64) {
        self.graph.clock = now_micros;
    }

    /// The view's rows depend on the clock.
    pub fn is_timed(&self, view: RelationId) -> bool {
        matches!(self.relations.get(&view), Some(Relation::View(view)) if !view.timed.is_empty())
    }

    /// The clock's values for which the view's rows are those of its last refresh.
    pub fn clock_span(&self, view: RelationId) -> ClockSpan {
        match self.relations.get(&view) {
            Some(Relation::View(view)) => {
                let spans = view.timed.iter().map(|&node| self.graph.clock_span(node));
                spans.fold(ClockSpan::ALWAYS, ClockSpan::intersect)
            }
            _ => ClockSpan::ALWAYS,
        }
    }

    /// True when a refresh of this view at this clock would find rows that come or leave with time.
    pub fn is_due(&self, view: RelationId, now_micros: i64) -> bool {
        match self.relations.get(&view) {
            Some(Relation::View(view)) => view.timed.iter().any(|&node| self.graph.is_due(node, now_micros)),
            _ => false,
        }
    }

    /// True while an error leaves the existence of some of the view's rows undecided (as of its last refresh).
    pub fn is_in_error(&self, view: RelationId) -> bool {
        matches!(self.relations.get(&view), Some(Relation::View(view)) if view.in_error)
    }

    /// Views that were given up, with the reason. [`Engine::drop_view`] and [`Engine::add_view`] build them anew.
    pub fn quarantined(&self) -> Vec<(RelationId, String)> {
        let reason = |(id, relation): (&RelationId, &Relation)| match relation {
            Relation::Quarantined { reason } => Some((*id, reason.clone())),
            _ => None,
        };
        self.relations.iter().filter_map(reason).collect()
    }

    /// Operators and base tables at work.
    pub fn node_count(&self) -> usize {
        self.graph.len()
    }

    fn table_node(&self, id: RelationId) -> Result<NodeId, EngineError> {
        match self.relations.get(&id) {
            Some(Relation::Table(node)) => Ok(*node),
            _ => Err(EngineError::UnknownRelation(id)),
        }
    }

    fn views(&self) -> impl Iterator<Item = (RelationId, &View)> {
        self.relations.iter().filter_map(|(id, relation)| match relation {
            Relation::View(view) => Some((*id, view)),
            _ => None,
        })
    }
}

/// Nothing has changed: a row that was updated to itself is the only way a single change repeats a row.
fn is_void(delta: &Delta) -> bool {
    match delta.as_slice() {
        [] => true,
        [(old, removed), (new, added)] => removed + added == 0 && old == new,
        _ => false,
    }
}
