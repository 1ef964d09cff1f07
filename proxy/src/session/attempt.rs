//! The decision: a simple query, or a batch up to its Sync, is answered from memory wholly or not at all. Everything
//! that must hold is asked in order of cost; the first thing that does not hold is the reason for forwarding.

use super::answer::{Memory, resolved_of};
use super::batch::{self, Op};
use super::copy::CopyOut;
use super::cursor::Spoken;
use super::elsewhere::Elsewhere;
use super::environment::Probed;
use super::frontend::Mode;
use super::reason::{self, Route};
use super::relay::{Relay, SessionError};
use super::subscription::Request;
use crate::analysis::literals;
use crate::wire::{backend, frame};
use arc_swap::Guard;
use smallvec::SmallVec;
use std::time::Instant;

/// A session keeps its answer's storage up to this size; one large answer must not weigh on an idle session.
const KEPT_ANSWER_BYTES: usize = 16 * 1024;

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
        if let Some(request) = Request::read(&self.client.input.filled()[..bytes], &self.statements) {
            // It may last for days; without this every session would be as large as one.
            return Box::pin(self.subscribe(request, bytes)).await;
        }
        if let Some(spoken) = Spoken::read(&self.client.input.filled()[..bytes], &self.cursors) {
            return Box::pin(self.attempt_cursor(spoken, bytes)).await;
        }
        // Nothing is read from the client meanwhile.
        let input = std::mem::take(&mut self.client.input);
        let candidate = &input.filled()[..bytes];
        let is_batch = candidate[0] != b'Q';
        self.answer.clear();
        let mut outcome = self.answer_from_memory(candidate).await;
        if matches!(outcome, Err(Refusal::Forward(literals::REASON))) {
            // From now on the text is taken as it came.
            self.answer.clear();
            outcome = self.answer_from_memory(candidate).await;
        }
        self.client.input = input;
        match outcome {
            Ok(None) => {}
            // It may last as long as its client reads.
            Ok(Some(copy)) => return Box::pin(self.copy_out(*copy, bytes)).await,
            Err(Refusal::Cancelled) if self.state.status == b'I' => {
                self.is_unsynced = false;
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

    /// The answer is in `self.answer`, or is a COPY's that is yet to be made.
    async fn answer_from_memory(&mut self, candidate: &[u8]) -> Result<Option<Box<CopyOut>>, Refusal> {
        if self.state.distrusted {
            return Err(reason::DISTRUSTED.into());
        }
        if self.state.status == b'E' {
            return Err(reason::FAILED_TRANSACTION.into());
        }
        let in_block = self.state.status == b'T';
        let (ops, names) = batch::read(candidate, &mut self.statements, &self.context.registry.peek(), in_block)?;
        let reads = batch::reads(&ops);
        let copied = batch::copied(&ops)?;
        if in_block && ops.iter().any(Op::creates_extension) {
            // A block may be read-only, which is Postgres' to say.
            return Err(reason::TRANSACTION.into());
        }
        if reads.is_empty() {
            let mut out = std::mem::take(&mut self.answer);
            let said = self.say(&ops, &[], None, &mut out);
            self.answer = out;
            said?;
        } else {
            self.state.reads_stream_tables = true;
            self.ensure_known().await?;
            let probed = self.state.probed.clone().ok_or(reason::PROBE)?;
            self.admit(&probed)?;
            let epoch = self.context.registry.epoch();
            let started = Instant::now();
            let mut resolved = SmallVec::<[_; 2]>::with_capacity(reads.len());
            for statement in &reads {
                resolved.push(match self.resolved(statement, epoch, started) {
                    Some(resolved) => resolved,
                    None => self.resolve(statement, &probed, epoch).await?,
                });
            }
            let probed = self.with_a_fresh_clock(&resolved, probed).await?;
            let (snapshot, shown) = self.snapshot(&resolved, &probed).await?;
            // Tables are withheld before a snapshot is published that they are not right in.
            if self.context.registry.epoch() != epoch {
                return Err(reason::ANALYSIS_PENDING.into());
            }
            let mut out = std::mem::take(&mut self.answer);
            let mut evaluation = std::mem::take(&mut self.state.evaluation);
            evaluation.now_micros = shown.moment.unwrap_or_else(|| probed.now_micros());
            let mut elsewhere = Elsewhere::default();
            let said = loop {
                let memory = Memory {
                    snapshot: &snapshot,
                    moment: shown.moment,
                    maintain: &self.context.maintain,
                    renderer: &probed.renderer,
                    evaluation: &mut evaluation,
                    elsewhere: &mut elsewhere,
                };
                let said = self.say(&ops, &resolved, Some(memory), &mut out);
                let Some(missing) = elsewhere.missing.take() else { break said };
                // Boxed: no session is to be as large as one that waits for this.
                match Box::pin(self.make(missing, &snapshot, &probed)).await {
                    Ok(made) => elsewhere.add(made),
                    Err(refusal) => break Err(refusal),
                }
                out.clear();
            };
            self.answer = out;
            self.state.evaluation = evaluation;
            if let (Some(at), Some(statement)) = (said?, copied) {
                let form = statement.copy.as_ref().ok_or(reason::COPY_FORM)?;
                let (read, literals) = form.inner.simple();
                let resolved = resolved_of(&resolved, &read)?.clone();
                let snapshot = Guard::into_inner(snapshot);
                let (before, after) = (self.answer[..at].to_vec(), self.answer[at..].to_vec());
                let is_batch = candidate[0] != b'Q';
                let copy =
                    CopyOut { statement, resolved, literals, snapshot, shown, probed, names, is_batch, before, after };
                return Ok(Some(Box::new(copy)));
            }
            drop(snapshot);
            // What has been shown must not be gone in the next answer.
            self.state.bookmark = self.state.bookmark.max(shown.position);
            self.state.read_in_block = in_block && (self.state.read_in_block || batch::takes_snapshot(&ops));
            self.route = Route::Memory;
            self.context.metrics.answered.add(batch::executions(&ops));
            self.note_local_read();
        }
        let is_synced = frame::messages(candidate).last().is_none_or(|(tag, _)| tag != b'H');
        self.is_unsynced = !is_synced && (self.is_unsynced || batch::takes_snapshot(&ops));
        batch::adopt(names, &mut self.statements);
        Ok(None)
    }

    /// The session's state is that of the last probe, or a new one is made where that is possible.
    pub(super) async fn ensure_known(&mut self) -> Result<(), Refusal> {
        if self.state.is_known(self.context.registry.epoch()) {
            return Ok(());
        }
        if self.state.status != b'I' {
            return Err(reason::TRANSACTION.into());
        }
        Ok(self.probe().await??)
    }

    /// What no statement of this session may be answered under.
    pub(super) fn admit(&self, probed: &Probed) -> Result<(), Refusal> {
        let in_block = self.state.status == b'T';
        let refusals = [
            (!probed.utf8, reason::CLIENT_ENCODING),
            (!probed.read_committed, reason::ISOLATION),
            (probed.temporary_objects, reason::TEMPORARY_OBJECTS),
            (probed.quotes_all, reason::QUOTED_NAMES),
            (in_block && probed.transaction_timeouts, reason::TRANSACTION_TIMEOUT),
        ];
        match refusals.iter().find(|(refused, _)| *refused) {
            Some((_, reason)) => Err((*reason).into()),
            None => Ok(()),
        }
    }
}
