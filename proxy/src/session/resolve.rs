//! From a statement to what this session may read: its analysis, the state of its tables, the settings they depend on
//! and Postgres' verdict on the privilege. Kept with the statement while none of that can have changed.

use super::attempt::Refusal;
use super::environment::{Consistency, Probed};
use super::privilege::{PrivilegeKey, VERDICT_LIFE};
use super::reason;
use super::relay::Relay;
use super::statements::{Resolved, Statement};
use crate::analysis::{AnalysisKey, Lookup, Prepared, literals};
use crate::registry::{State as TableState, agree};
use crate::wire::frontend;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use weir_planner::RelationId;
use weir_planner::settings::SettingSet;

impl Relay {
    /// What was found out about the statement, if it still holds for this session.
    pub(super) fn resolved(&self, statement: &Statement, epoch: u64, now: Instant) -> Option<Arc<Resolved>> {
        statement.resolved.load_full().filter(|resolved| {
            resolved.generation == self.state.generation
                && resolved.epoch == epoch
                && now.saturating_duration_since(resolved.since) < VERDICT_LIFE
        })
    }

    /// The statement as analysed, over tables that memory may speak for under this session's settings. Whether the role may
    /// read them is another question.
    pub(super) fn analysed(
        &self,
        statement: &Statement,
        probed: &Probed,
        epoch: u64,
    ) -> Result<(AnalysisKey, Arc<Prepared>), Refusal> {
        let key = AnalysisKey {
            sql: statement.text.clone(),
            declared_params: statement.types.clone(),
            environment: probed.environment.clone(),
        };
        let lookup = match statement.example.load_full() {
            Some(example) => self.context.analyser.lookup_without_literals(&key, || (*example).clone()),
            None => self.context.analyser.lookup(&key),
        };
        let prepared = match lookup {
            Lookup::Ready(prepared) if prepared.epoch == epoch => prepared,
            Lookup::Ready(_) | Lookup::Pending => return Err(reason::ANALYSIS_PENDING.into()),
            Lookup::Unsupported { reason, .. } => {
                // From now on such texts are analysed as they come.
                statement.needs_literals.store(reason == literals::REASON, Ordering::Relaxed);
                return Err(reason.into());
            }
        };
        self.check_tables(&prepared.tables, probed)?;
        Ok((key, prepared))
    }

    /// The statement as analysed, allowed to this session under its present settings.
    pub(super) async fn resolve(
        &mut self,
        statement: &Arc<Statement>,
        probed: &Probed,
        epoch: u64,
    ) -> Result<Arc<Resolved>, Refusal> {
        let (key, prepared) = self.analysed(statement, probed, epoch)?;
        let key = PrivilegeKey { statement: key, session_user: probed.session_user.clone(), epoch };
        if !self.context.privileges.is_allowed(&key) {
            if self.state.status != b'I' {
                self.questions.note(key, prepared);
                return Err(reason::PRIVILEGE_UNKNOWN.into());
            }
            if !self.ask_privilege(key, &prepared).await? {
                return Err(reason::PRIVILEGE.into());
            }
        }
        self.check_columns(statement, epoch).await?;
        let resolved = Arc::new(Resolved::new(prepared, self.state.generation, epoch)?);
        statement.resolved.store(Some(resolved.clone()));
        Ok(resolved)
    }

    /// A prepared statement keeps the result columns it was prepared with: when what it reads has been made again with
    /// others, its execution is an error (0A000, `RevalidateCachedQuery` in `plancache.c`), and so is its description.
    async fn check_columns(&mut self, statement: &Arc<Statement>, epoch: u64) -> Result<(), Refusal> {
        let Some(name) = self.statements.name_upstream(statement).map(<[u8]>::to_vec) else { return Ok(()) };
        if statement.columns_kept_at.load(Ordering::Relaxed) == epoch {
            return Ok(());
        }
        if self.state.status != b'I' {
            return Err(reason::RESULT_TYPE_UNKNOWN.into());
        }
        let mut request = bytes::BytesMut::new();
        frontend::say_describe_statement(&mut request, &name);
        frontend::say_sync(&mut request);
        let mut keeps = true;
        self.exchange(&request, |tag, _| keeps &= tag != b'E').await?;
        if !keeps {
            return Err(reason::RESULT_TYPE.into());
        }
        statement.columns_kept_at.store(epoch, Ordering::Relaxed);
        Ok(())
    }

    /// Every relation is a stream table that memory may speak for, to a reader with these settings.
    pub(super) fn check_tables(&self, tables: &[RelationId], probed: &Probed) -> Result<(), Refusal> {
        let known = self.context.registry.peek();
        for id in tables {
            let table = known.by_id.get(id).ok_or(reason::UNKNOWN_TABLE)?;
            match table.state {
                TableState::Live => {}
                TableState::Populating => return Err(reason::POPULATING.into()),
                TableState::Out { .. } => return Err(reason::OUT_OF_SERVICE.into()),
            }
            let is_moving = table.evaluated_by_postgres && table.depends_on.contains(SettingSet::CLOCK);
            if is_moving && probed.consistency.is_some_and(|level| level != Consistency::Scheduled) {
                return Err(reason::CLOCK_TABLE.into());
            }
            if !agree(table.depends_on, &table.pinned, &probed.environment.settings) {
                return Err(reason::SETTINGS.into());
            }
        }
        Ok(())
    }
}
