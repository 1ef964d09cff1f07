//! What a subscription may tell: asked before it begins as for a read of the whole table from memory, and again while it
//! lasts, whenever the catalogue has changed and after a verdict's life in any case.

use crate::analysis::{AnalysisKey, Lookup, Prepared, REFUSED};
use crate::session::attempt::Refusal;
use crate::session::environment::{Consistency, Probed};
use crate::session::privilege::{PrivilegeKey, VERDICT_LIFE};
use crate::session::reason;
use crate::session::relay::Relay;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_planner::RelationId;

/// How long a table may be out of service before its subscriptions end: populating an ordinary one anew takes less, and
/// so does reading the catalogue after a change of anything in it.
const PATIENCE: Duration = Duration::from_secs(10);
/// `insufficient_privilege`.
const INSUFFICIENT_PRIVILEGE: &str = "42501";
/// Between two looks meanwhile: an analysis takes a millisecond or two.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A verdict, and what it holds for.
#[derive(Clone, Debug)]
pub(super) struct Permit {
    pub table: RelationId,
    pub prepared: Arc<Prepared>,
    pub probed: Arc<Probed>,
    pub epoch: u64,
    /// When it is to be asked for again.
    pub until: Instant,
}

impl Relay {
    /// As [`Relay::permit`] for a table that is being told of; `None`: it has been dropped. That is known from the catalogue a
    /// moment after Postgres refuses its name.
    pub(super) async fn renewed_permit(
        &mut self,
        name: &[String],
        table: RelationId,
    ) -> Option<Result<Permit, Refusal>> {
        let started = Instant::now();
        loop {
            let asked = self.permit(name).await;
            match &asked {
                Err(Refusal::Forward(_)) if !self.context.registry.peek().by_id.contains_key(&table) => return None,
                Err(Refusal::Forward(REFUSED)) if started.elapsed() < PATIENCE => {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                _ => return Some(asked),
            }
        }
    }

    /// Asks until there is an answer that lasts: what passes by itself (a table being populated) is waited for.
    pub(super) async fn permit(&mut self, name: &[String]) -> Result<Permit, Refusal> {
        let started = Instant::now();
        loop {
            let asked = self.ask_permit(name).await;
            match &asked {
                Err(Refusal::Forward(reason::ANALYSIS_PENDING | reason::POPULATING | reason::OUT_OF_SERVICE))
                    if started.elapsed() < PATIENCE =>
                {
                    tokio::time::sleep(LOOK_AGAIN).await
                }
                _ => return asked,
            }
        }
    }

    async fn ask_permit(&mut self, name: &[String]) -> Result<Permit, Refusal> {
        self.ensure_known().await?;
        let mut probed = self.state.probed.as_deref().cloned().ok_or(reason::PROBE)?;
        self.admit(&probed)?;
        // What is published is told, when it is published.
        probed.consistency = Some(Consistency::Scheduled);
        let epoch = self.context.registry.epoch();
        let quoted: Vec<String> = name.iter().map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect();
        let statement = AnalysisKey {
            sql: format!("SELECT * FROM {}", quoted.join(".")).into(),
            declared_params: vec![],
            environment: probed.environment.clone(),
        };
        let prepared = match self.context.analyser.lookup(&statement) {
            Lookup::Ready(prepared) if prepared.epoch == epoch => prepared,
            Lookup::Ready(_) | Lookup::Pending => return Err(reason::ANALYSIS_PENDING.into()),
            Lookup::Unsupported { reason, .. } => return Err(reason.into()),
        };
        // The relation is the stream table itself, and no view of it.
        let [table] = prepared.tables[..] else { return Err(reason::UNKNOWN_TABLE.into()) };
        if prepared.columns.iter().any(|column| column.table_oid != table.0) {
            return Err(reason::UNKNOWN_TABLE.into());
        }
        self.check_tables(&prepared.tables, &probed)?;
        let key = PrivilegeKey { statement, session_user: probed.session_user.clone(), epoch };
        match self.privilege_refusal(key, &prepared).await?.as_deref() {
            None => {}
            Some(INSUFFICIENT_PRIVILEGE) => return Err(reason::PRIVILEGE.into()),
            // The analysis is older than what Postgres knows now: the table has gone, for one.
            Some(_) => return Err(REFUSED.into()),
        }
        // Asking is also what keeps upstream from thinking the session idle.
        let life = match probed.idle_session_timeout {
            none if none.is_zero() => VERDICT_LIFE,
            limit => VERDICT_LIFE.min(limit / 2),
        };
        Ok(Permit { table, prepared, probed: Arc::new(probed), epoch, until: Instant::now() + life })
    }
}
