//! A cursor is declared. The statement is forwarded in any case: privileges, locks and the name are Postgres' to see to, and
//! upstream has the cursor like any other. Memory may speak for it if its rows have one order and are the same however
//! they are found: some of them may come from memory, and the rest from Postgres.

use super::held::Cursor;
use super::text::Declare;
use crate::session::answer::simple;
use crate::session::attempt::Refusal;
use crate::session::environment::Probed;
use crate::session::parameters;
use crate::session::reason;
use crate::session::relay::Relay;
use crate::session::statements::Resolved;
use crate::session::{freshness::PULL_WAIT, scan::Kind};
use std::sync::Arc;
use std::time::Instant;
use weir_cache::read::Compiled;
use weir_cache::{Position, Snapshot};
use weir_planner::plan::{Node, SortKey};
use weir_planner::settings::SettingSet;
use weir_planner::{Expr, Plan, RelationId};

impl Relay {
    /// A block that has done nothing but reads from memory: a cursor declared in it may be one of memory's.
    pub(in crate::session) fn may_open_cursor(&self) -> bool {
        self.state.status == b'T' && self.state.is_known(self.context.registry.epoch())
    }

    /// What memory must know of a cursor before it is declared.
    pub(super) async fn open_cursor(&mut self, declare: &Declare) -> Result<Cursor, Refusal> {
        if self.state.distrusted {
            return Err(reason::DISTRUSTED.into());
        }
        if !self.may_open_cursor() {
            return Err(reason::TRANSACTION.into());
        }
        if self.context.maintain.position_now().is_some() {
            // A drain may hold a commit and another that takes it back, between which a snapshot may lie.
            return Err(reason::CURSOR_CAPTURE.into());
        }
        let probed = self.state.probed.clone().ok_or(reason::PROBE)?;
        self.admit(&probed)?;
        if declare.needs_conforming_strings && !probed.has_conforming_strings() {
            return Err(reason::CURSOR.into());
        }
        let epoch = self.context.registry.epoch();
        let statement = self.statements.of_text(&declare.query, &[], Kind::Read);
        let (read, literals) = statement.simple();
        let resolved = match self.resolved(&read, epoch, Instant::now()) {
            Some(resolved) => resolved,
            None => {
                // Postgres' verdict on the privilege is whether it declares the cursor.
                let (_, prepared) = self.analysed(&read, &probed, epoch)?;
                Arc::new(Resolved::new(prepared, self.state.generation, epoch)?)
            }
        };
        if resolved.prepared.settings.contains(SettingSet::CLOCK) {
            return Err(reason::CLOCK_IN_TRANSACTION.into());
        }
        self.check_determined(&resolved)?;
        let compiled = compiled(&resolved)?;
        let mut evaluation = self.state.evaluation.clone();
        let settings = evaluation.settings.clone();
        let prepared = &resolved.prepared;
        let into = &mut evaluation.params;
        parameters::decode(&simple(&literals), &prepared.params, &prepared.labels, &settings, into)?;
        let (before, position) = self.newest(&prepared.tables, &probed).await?;
        if !before.clock_span(&prepared.tables).is_always() {
            return Err(reason::CLOCK_IN_TRANSACTION.into());
        }
        if self.context.registry.epoch() != epoch {
            return Err(reason::ANALYSIS_PENDING.into());
        }
        let name = declare.name.clone();
        let (rows, told, is_behind) = (None, 0, false);
        Ok(Cursor { name, resolved, compiled, evaluation, before, rows, position, told, is_behind })
    }

    fn check_determined(&self, resolved: &Resolved) -> Result<(), Refusal> {
        let known = self.context.registry.peek();
        let is_determined =
            |id: &RelationId| known.by_id.get(id).is_some_and(|table| table.determined && !table.evaluated_by_postgres);
        match resolved.prepared.tables.iter().all(is_determined) && resolved.prepared.plan.is_determined() {
            true => Ok(()),
            false => Err(reason::CURSOR_ORDER.into()),
        }
    }

    /// What anybody can see now of these tables, and perhaps more that can be seen by the time it is there.
    pub(super) async fn newest(
        &self,
        tables: &[RelationId],
        probed: &Probed,
    ) -> Result<(Arc<Snapshot>, Position), Refusal> {
        let wait = match probed.statement_timeout {
            none if none.is_zero() => PULL_WAIT,
            limit => limit.min(PULL_WAIT),
        };
        let asked = tokio::time::timeout(wait, self.context.visible_position()).await;
        let visible = asked.ok().flatten().ok_or(reason::POSITION)?;
        let (snapshot, position) = self.at_position(tables, visible.max(self.state.bookmark), None, wait).await?;
        Ok((arc_swap::Guard::into_inner(snapshot), position))
    }
}

/// The read with the values of its sort keys behind its columns.
fn compiled(resolved: &Resolved) -> Result<Compiled, &'static str> {
    let plan = with_keys(&resolved.prepared.plan).ok_or(reason::CURSOR_ORDER)?;
    Compiled::new(&plan).map_err(|_| reason::READ_UNSUPPORTED)
}

/// The keys a read is ordered by, over the columns of what is ordered.
pub(super) fn sort_keys(plan: &Plan) -> Option<&[SortKey]> {
    match &plan.node {
        Node::Sort { keys, .. } if !keys.is_empty() => Some(keys),
        Node::Project { input, .. } => match &input.node {
            Node::Sort { keys, .. } if !keys.is_empty() => Some(keys),
            _ => None,
        },
        _ => None,
    }
}

fn with_keys(plan: &Plan) -> Option<Plan> {
    let keys = sort_keys(plan)?;
    let (sorted, mut exprs) = match &plan.node {
        Node::Project { input, exprs } => (input.clone(), exprs.clone()),
        _ => (Box::new(plan.clone()), (0..plan.columns.len()).map(Expr::Column).collect()),
    };
    let mut columns = plan.columns.clone();
    for key in keys {
        exprs.push(key.expr.clone());
        columns.push(key.kind.clone());
    }
    Some(Plan { node: Node::Project { input: sorted, exprs }, columns })
}
