//! The decision: a simple query, or a batch up to its Sync, is answered from memory wholly or not at all. Everything
//! that must hold is asked in order of cost; the first thing that does not hold is the reason for forwarding.

use super::answer::Memory;
use super::batch;
use super::bookmark::common_position;
use super::environment::{Consistency, Probed};
use super::frontend::Mode;
use super::privilege::{PrivilegeKey, VERDICT_LIFE};
use super::reason::{self, Route};
use super::relay::{Relay, SessionError};
use super::statements::{Resolved, Statement};
use crate::analysis::{AnalysisKey, Lookup, literals};
use crate::maintain::PullError;
use crate::registry::State as TableState;
use crate::wire::backend;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use weir_cache::{Position, Snapshot};
use weir_planner::RelationId;
use weir_planner::settings::{SettingSet, Settings};

/// How long a read waits for its bookmark before Postgres answers it: longer than any refresh that keeps up, shorter
/// than a user's patience.
const PULL_WAIT: Duration = Duration::from_secs(2);

/// A session keeps its answer's storage up to this size; one large answer must not weigh on an idle session.
const KEPT_ANSWER_BYTES: usize = 256 * 1024;

/// How long the comparison of the local clock with the server's is relied on: clocks that are disciplined drift by
/// less than 0.5 ms in this time.
const CLOCK_TRUST: Duration = Duration::from_secs(1);

/// Why memory does not answer.
#[derive(Debug)]
pub(super) enum Refusal {
    Forward(&'static str),
    /// A cancel request arrived while the read waited.
    Cancelled,
    Session(SessionError),
}

impl From<&'static str> for Refusal {
    fn from(reason: &'static str) -> Refusal {
        Refusal::Forward(reason)
    }
}

impl From<SessionError> for Refusal {
    fn from(error: SessionError) -> Refusal {
        Refusal::Session(error)
    }
}

impl Relay {
    /// Answers the first `bytes` of the client's input from memory, or leaves them there to be forwarded.
    pub(super) async fn attempt(&mut self, bytes: usize) -> Result<(), SessionError> {
        let mut candidate = std::mem::take(&mut self.candidate);
        candidate.clear();
        candidate.extend_from_slice(&self.client.input.filled()[..bytes]);
        let is_batch = candidate[0] != b'Q';
        self.answer.clear();
        let mut outcome = self.answer_from_memory(&candidate).await;
        if matches!(outcome, Err(Refusal::Forward(literals::REASON))) {
            // From now on the text is taken as it came.
            self.answer.clear();
            outcome = self.answer_from_memory(&candidate).await;
        }
        self.candidate = candidate;
        match outcome {
            Ok(()) => {}
            Err(Refusal::Cancelled) if self.state.status == b'I' => {
                self.answer.clear();
                let message = "canceling statement due to user request";
                backend::error(&mut self.answer, "ERROR", "57014", message);
                backend::ready_for_query(&mut self.answer, self.state.status);
            }
            Err(Refusal::Cancelled) => {
                self.decline(reason::CANCELLED, is_batch);
                return Ok(());
            }
            Err(Refusal::Forward(reason)) => {
                self.decline(reason, is_batch);
                return Ok(());
            }
            Err(Refusal::Session(error)) => return Err(error),
        }
        self.client.input.consume(bytes);
        self.client.output.extend(&self.answer);
        if self.answer.capacity() > KEPT_ANSWER_BYTES {
            self.answer = Vec::new();
        }
        self.mode = Mode::Open;
        Ok(())
    }

    async fn answer_from_memory(&mut self, candidate: &[u8]) -> Result<(), Refusal> {
        if self.state.distrusted {
            return Err(reason::DISTRUSTED.into());
        }
        if self.state.status == b'E' {
            return Err(reason::FAILED_TRANSACTION.into());
        }
        let in_block = self.state.status == b'T';
        let (ops, names) = batch::read(candidate, &mut self.statements, &self.context.registry.tables(), in_block)?;
        let reads: Vec<Arc<Statement>> = batch::reads(&ops);
        if reads.is_empty() {
            self.say(&ops, &[], None)?;
        } else {
            self.state.reads_stream_tables = true;
            self.ensure_known().await?;
            let probed = self.state.probed.clone().ok_or(reason::PROBE)?;
            self.admit(&probed)?;
            let mut resolved = Vec::with_capacity(reads.len());
            for statement in &reads {
                resolved.push(self.resolve(statement, &probed).await?);
            }
            let probed = self.with_a_fresh_clock(&resolved, probed).await?;
            let (snapshot, seen) = self.snapshot(&resolved, &probed).await?;
            let mut evaluation = std::mem::take(&mut self.state.evaluation);
            evaluation.now_micros = probed.now_micros();
            let maintain = &self.context.maintain.clone();
            let memory =
                Memory { snapshot: &snapshot, maintain, renderer: &probed.renderer, evaluation: &mut evaluation };
            let said = self.say(&ops, &resolved, Some(memory));
            self.state.evaluation = evaluation;
            said?;
            // What has been shown must not be gone in the next answer.
            self.state.bookmark = self.state.bookmark.max(seen);
            self.state.read_in_block = self.state.status == b'T';
            self.route = Route::Memory;
            self.context.metrics.answered.fetch_add(batch::executions(&ops), Ordering::Relaxed);
            self.note_local_read();
        }
        batch::adopt(names, &mut self.statements);
        Ok(())
    }

    /// The session's state is that of the last probe, or a new one is made where that is possible.
    async fn ensure_known(&mut self) -> Result<(), Refusal> {
        if self.state.is_known(self.context.registry.epoch()) {
            return Ok(());
        }
        if self.state.status != b'I' {
            return Err(reason::TRANSACTION.into());
        }
        Ok(self.probe().await??)
    }

    /// A read that depends on the time needs a clock compared with the server's not long ago.
    async fn with_a_fresh_clock(
        &mut self,
        resolved: &[Arc<Resolved>],
        probed: Arc<Probed>,
    ) -> Result<Arc<Probed>, Refusal> {
        let timed = resolved.iter().any(|r| r.prepared.settings.contains(SettingSet::CLOCK));
        if timed && self.state.status == b'T' {
            return Err(reason::CLOCK_IN_TRANSACTION.into());
        }
        if !timed || probed.taken.elapsed() < CLOCK_TRUST {
            return Ok(probed);
        }
        let generation = self.state.generation;
        self.probe().await??;
        if self.state.generation != generation {
            return Err(reason::ANALYSIS_PENDING.into());
        }
        self.state.probed.clone().ok_or(Refusal::Forward(reason::PROBE))
    }

    /// What no statement of this session may be answered under.
    fn admit(&self, probed: &Probed) -> Result<(), Refusal> {
        let in_block = self.state.status == b'T';
        let refusals = [
            (!probed.utf8, reason::CLIENT_ENCODING),
            (!probed.read_committed, reason::ISOLATION),
            (probed.temporary_objects, reason::TEMPORARY_OBJECTS),
            (in_block && probed.transaction_timeouts, reason::TRANSACTION_TIMEOUT),
        ];
        match refusals.iter().find(|(refused, _)| *refused) {
            Some((_, reason)) => Err((*reason).into()),
            None => Ok(()),
        }
    }

    /// The statement as analysed, allowed to this session under its present settings.
    async fn resolve(&mut self, statement: &Arc<Statement>, probed: &Arc<Probed>) -> Result<Arc<Resolved>, Refusal> {
        let epoch = self.context.registry.epoch();
        let kept = statement.resolved.load_full();
        if let Some(resolved) = kept
            && resolved.generation == self.state.generation
            && resolved.epoch == epoch
            && resolved.since.elapsed() < VERDICT_LIFE
        {
            return Ok(resolved);
        }
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
        let key = PrivilegeKey { statement: key, session_user: probed.session_user.clone(), epoch };
        if !self.context.privileges.is_allowed(&key) {
            if self.state.status != b'I' {
                return Err(reason::PRIVILEGE_UNKNOWN.into());
            }
            if !self.ask_privilege(key, &prepared).await? {
                return Err(reason::PRIVILEGE.into());
            }
        }
        let resolved = Arc::new(Resolved::new(prepared, self.state.generation, epoch)?);
        statement.resolved.store(Some(resolved.clone()));
        Ok(resolved)
    }

    /// Every relation is a stream table that memory may speak for, to a reader with these settings.
    fn check_tables(&self, tables: &[RelationId], probed: &Probed) -> Result<(), Refusal> {
        let known = self.context.registry.tables();
        for id in tables {
            let table = known.by_id.get(id).ok_or(reason::UNKNOWN_TABLE)?;
            match table.state {
                TableState::Live => {}
                TableState::Populating => return Err(reason::POPULATING.into()),
                TableState::Out { .. } => return Err(reason::OUT_OF_SERVICE.into()),
            }
            if !agree(table.depends_on, &table.pinned, &probed.environment.settings) {
                return Err(reason::SETTINGS.into());
            }
        }
        Ok(())
    }

    /// A snapshot fresh enough, and the position whose state it shows of these tables.
    async fn snapshot(
        &mut self,
        resolved: &[Arc<Resolved>],
        probed: &Probed,
    ) -> Result<(Arc<Snapshot>, Position), Refusal> {
        let one;
        let several: Vec<RelationId>;
        let tables: &[RelationId] = if let [only] = resolved {
            one = only;
            &one.prepared.tables
        } else {
            several = resolved.iter().flat_map(|r| r.prepared.tables.iter().copied()).collect();
            &several
        };
        let wait = match probed.statement_timeout {
            none if none.is_zero() => PULL_WAIT,
            limit => limit.min(PULL_WAIT),
        };
        let at_least = match probed.consistency.ok_or(reason::CONSISTENCY)? {
            Consistency::Scheduled => Position(0),
            Consistency::Session => self.state.bookmark,
            Consistency::Latest => {
                let asked = tokio::time::timeout(wait, self.context.positions.visible()).await;
                asked.ok().flatten().ok_or(reason::POSITION)?.max(self.state.bookmark)
            }
        };
        let published = self.context.published.load();
        if let Some(seen) = common_position(&published, tables, at_least) {
            return Ok((published, seen));
        }
        let known = self.context.registry.tables();
        if tables.iter().any(|id| known.by_id.get(id).is_some_and(|table| table.evaluated_by_postgres))
            && published.frontier >= at_least
        {
            return Err(reason::FULL_MOVED.into());
        }
        drop(known);
        let pull = self.context.maintain.pull(tables, at_least, wait);
        match self.cancel.guard(pull).await {
            None => Err(Refusal::Cancelled),
            Some(Ok(snapshot)) => match common_position(&snapshot, tables, at_least) {
                Some(seen) => Ok((snapshot, seen)),
                None => Err(reason::BEHIND.into()),
            },
            Some(Err(PullError::Timeout)) => Err(reason::BEHIND.into()),
            Some(Err(PullError::NotLive)) => Err(reason::OUT_OF_SERVICE.into()),
        }
    }

    /// What must precede the next message upstream: a probe before a block whose reads may be answered, a query where
    /// Postgres would have seen one in this block.
    pub(super) async fn probe_before_block(&mut self) -> Result<(), SessionError> {
        if self.state.status == b'I' {
            // A refusal leaves the state unknown, and the block's reads are forwarded.
            let _ = self.probe().await?;
        } else {
            self.show_a_query().await?;
        }
        self.mode = Mode::Prepared;
        Ok(())
    }

    /// SET TRANSACTION and its like must come before any query of a block (25001). A read answered from memory was such a
    /// query, but upstream has not seen it.
    async fn show_a_query(&mut self) -> Result<(), SessionError> {
        use crate::wire::frontend;
        const NAME: &str = "weir_query";
        let mut request = bytes::BytesMut::new();
        frontend::say_parse(&mut request, NAME, "SELECT 1", &[]);
        frontend::say_bind(&mut request, NAME, 0, vec![]);
        frontend::say_execute(&mut request);
        frontend::say_close_statement(&mut request, NAME);
        frontend::say_sync(&mut request);
        self.state.read_in_block = false;
        self.exchange(&request, |_, _| ()).await
    }
}

/// The reader's settings equal the creator's in everything the definition depends on.
fn agree(depends_on: SettingSet, pinned: &Settings, reader: &Settings) -> bool {
    let differs = |set: SettingSet, equal: bool| depends_on.contains(set) && !equal;
    let zone = |name: &str| match name {
        "Etc/UTC" | "UCT" | "Etc/UCT" | "Zulu" | "Universal" => "UTC".to_owned(),
        other => other.to_owned(),
    };
    // 1, 2 and 3 all print the shortest exact digits (`float8out`).
    let digits = |digits: i32| digits.min(1);
    !(differs(SettingSet::TIME_ZONE, zone(&pinned.time_zone) == zone(&reader.time_zone))
        || differs(SettingSet::DATE_STYLE, pinned.date_style == reader.date_style)
        || differs(SettingSet::INTERVAL_STYLE, pinned.interval_style == reader.interval_style)
        || differs(
            SettingSet::EXTRA_FLOAT_DIGITS,
            digits(pinned.extra_float_digits) == digits(reader.extra_float_digits),
        )
        || differs(SettingSet::BYTEA_OUTPUT, pinned.bytea_output == reader.bytea_output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_agree_when_what_matters_is_equal_in_meaning() {
        let pinned = Settings { time_zone: "Etc/UTC".into(), ..Settings::default() };
        let reader = Settings { extra_float_digits: 3, date_style: "SQL, DMY".into(), ..Settings::default() };
        assert!(agree(SettingSet::TIME_ZONE.union(SettingSet::EXTRA_FLOAT_DIGITS), &pinned, &reader));
        assert!(!agree(SettingSet::DATE_STYLE, &pinned, &reader));
        let tokyo = Settings { time_zone: "Asia/Tokyo".into(), ..Settings::default() };
        assert!(!agree(SettingSet::TIME_ZONE, &pinned, &tokyo));
        assert!(agree(SettingSet::NONE, &pinned, &tokyo));
        let zero = Settings { extra_float_digits: 0, ..Settings::default() };
        assert!(!agree(SettingSet::EXTRA_FLOAT_DIGITS, &pinned, &zero));
    }
}
