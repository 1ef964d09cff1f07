//! May this role read this? Postgres' own verdict: `EXPLAIN` of the very statement on the client's own connection, which
//! checks tables, columns, schemas, functions and the view owner's rights as the statement itself would. Kept per role,
//! statement and everything that shapes the statement's meaning, until the registry's epoch moves.

use super::exchange::ServerError;
use super::relay::{Relay, SessionError};
use crate::analysis::{AnalysisKey, Prepared};
use crate::wire::frontend;
use bytes::BytesMut;
use moka::sync::Cache;
use std::sync::Arc;
use std::time::Duration;
use weir_planner::RelationId;

/// A verdict is asked for again after this time, whatever the epoch says: a role's membership that is granted and
/// revoked between two looks at the catalogue leaves no other trace.
pub(super) const VERDICT_LIFE: Duration = Duration::from_secs(10);

/// Verdicts kept: each is a statement's text and a few words; an application with more distinct statements than this
/// asks again.
const MAX_VERDICTS: u64 = 20_000;

/// Questions kept for the time between two blocks: the different reads of one block, of which there are a few.
const MAX_QUESTIONS: usize = 32;

const NAME: &str = "weir_explain";

const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// Whose right to do what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PrivilegeKey {
    /// Text, parameter types, role, schemas.
    pub(super) statement: AnalysisKey,
    pub(super) session_user: String,
    pub(super) epoch: u64,
}

pub(super) struct Privileges {
    allowed: Cache<PrivilegeKey, ()>,
}

impl Default for Privileges {
    fn default() -> Privileges {
        Privileges { allowed: Cache::builder().max_capacity(MAX_VERDICTS).time_to_live(VERDICT_LIFE).build() }
    }
}

impl Privileges {
    pub(super) fn is_allowed(&self, key: &PrivilegeKey) -> bool {
        self.allowed.get(key).is_some()
    }
}

/// Reads that met a transaction block before anybody had asked for their privilege. Nothing can be asked within the block,
/// and an application that reads in blocks only would never be answered from memory: they are asked before the next one.
#[derive(Debug, Default)]
pub(super) struct Questions {
    waiting: Vec<(PrivilegeKey, Arc<Prepared>)>,
}

impl Questions {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// One that finds no place is noted again when its read comes again.
    pub(super) fn note(&mut self, key: PrivilegeKey, prepared: Arc<Prepared>) {
        if self.waiting.len() < MAX_QUESTIONS && self.waiting.iter().all(|(known, _)| *known != key) {
            self.waiting.push((key, prepared));
        }
    }
}

impl Relay {
    /// Asks what could not be asked in the last block. The session is idle and its state has just been probed.
    pub(super) async fn ask_questions(&mut self) -> Result<(), SessionError> {
        for (key, prepared) in std::mem::take(&mut self.questions.waiting) {
            let same_session = self.state.probed.as_ref().is_some_and(|probed| {
                probed.environment == key.statement.environment && probed.session_user == key.session_user
            });
            if same_session && key.epoch == self.context.registry.epoch() {
                // A refusal is Postgres' to tell when the read comes again.
                self.ask_privilege(key, &prepared).await?;
            }
        }
        Ok(())
    }

    /// Asks Postgres. A refusal is not kept: the statement is forwarded, and Postgres refuses it itself.
    pub(super) async fn ask_privilege(&mut self, key: PrivilegeKey, prepared: &Prepared) -> Result<bool, SessionError> {
        Ok(self.privilege_refusal(key, prepared).await?.is_none())
    }

    /// As [`Relay::ask_privilege`]; the SQLSTATE of a refusal, which may be another than that of a missing privilege.
    pub(super) async fn privilege_refusal(
        &mut self,
        key: PrivilegeKey,
        prepared: &Prepared,
    ) -> Result<Option<String>, SessionError> {
        let mut refusal = self.explain(&key.statement.sql, &prepared.params).await?;
        // Bound to NULL, a condition may fold to false and take the view's functions with it; where Postgres evaluates
        // the view, ask about all of it as well.
        if !prepared.params.is_empty() {
            for whole in self.whole_tables(&prepared.tables) {
                if refusal.is_none() {
                    refusal = self.explain(&whole, &[]).await?;
                }
            }
            let bodies = self.bodies(prepared);
            if refusal.is_none() && !bodies.is_empty() && !self.may_execute(&bodies).await? {
                refusal = Some(INSUFFICIENT_PRIVILEGE.to_owned());
            }
        }
        if refusal.is_none() {
            self.context.privileges.allowed.insert(key, ());
        }
        Ok(refusal)
    }

    /// Users' functions whose bodies stand in the statement's plan or in those of the tables it reads.
    fn bodies(&self, prepared: &Prepared) -> Vec<u32> {
        let known = self.context.registry.peek();
        let below = prepared.tables.iter().filter_map(|id| known.by_id.get(id)).flat_map(|table| &table.bodies);
        below.chain(&prepared.bodies).copied().collect()
    }

    /// Whether this session may execute all of these functions. One that is gone (NULL) it may not.
    async fn may_execute(&mut self, functions: &[u32]) -> Result<bool, SessionError> {
        let list: Vec<String> = functions.iter().map(u32::to_string).collect();
        let sql = format!(
            "SELECT pg_catalog.bool_and(coalesce(pg_catalog.has_function_privilege(f, 'EXECUTE'), false)) \
             FROM pg_catalog.unnest('{{{}}}'::pg_catalog.oid[]) AS f",
            list.join(",")
        );
        let mut request = BytesMut::new();
        frontend::say_parse(&mut request, NAME, &sql, &[]);
        frontend::say_bind(&mut request, NAME, 0, vec![]);
        frontend::say_execute(&mut request);
        frontend::say_close_statement(&mut request, NAME);
        frontend::say_sync(&mut request);
        let mut may = false;
        // The one value of the row, in text, is its end.
        self.exchange(&request, |tag, body| may |= tag == b'D' && body.last() == Some(&b't')).await?;
        Ok(may)
    }

    fn whole_tables(&self, tables: &[RelationId]) -> Vec<String> {
        let known = self.context.registry.peek();
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        tables
            .iter()
            .filter_map(|id| known.by_id.get(id))
            .filter(|table| table.evaluated_by_postgres)
            .map(|table| format!("SELECT * FROM {}.{}", quoted(&table.schema), quoted(&table.name)))
            .collect()
    }

    /// The SQLSTATE Postgres refuses with, if it does.
    async fn explain(&mut self, sql: &str, types: &[u32]) -> Result<Option<String>, SessionError> {
        let mut request = BytesMut::new();
        frontend::say_parse(&mut request, NAME, &format!("EXPLAIN {sql}"), types);
        frontend::say_bind(&mut request, NAME, 0, vec![None; types.len()]);
        frontend::say_execute(&mut request);
        frontend::say_close_statement(&mut request, NAME);
        frontend::say_sync(&mut request);
        let mut refused = None;
        self.exchange(&request, |tag, body| {
            if tag == b'E' {
                refused = Some(ServerError::read(body).sqlstate);
            }
        })
        .await?;
        if let Some(sqlstate) = &refused {
            tracing::debug!(sqlstate, "EXPLAIN refused");
            // The statement may have been left behind by the error; a Close of a missing one is no error.
            let mut request = BytesMut::new();
            frontend::say_close_statement(&mut request, NAME);
            frontend::say_sync(&mut request);
            self.exchange(&request, |_, _| ()).await?;
        }
        Ok(refused)
    }
}
