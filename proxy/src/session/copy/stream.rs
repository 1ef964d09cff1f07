//! A COPY answered from memory. All its rows are known to be writable before the first is said, because an error is
//! Postgres' to raise; a long answer is therefore written twice, and the second time handed over as fast as the client reads.

use super::options::{Format, Options};
use super::rows::Writer;
use crate::analysis::ResultColumn;
use crate::session::answer::{Memory, fill_parameters, refusal_of, simple};
use crate::session::attempt::Refusal;
use crate::session::batch::{self, Names};
use crate::session::cancel::Heed;
use crate::session::elsewhere::{AT_HOME, Elsewhere, Execution, compiled};
use crate::session::environment::Probed;
use crate::session::freshness::Shown;
use crate::session::frontend::Mode;
use crate::session::reason::{self, Route};
use crate::session::relay::{Relay, SessionError};
use crate::session::statements::{Resolved, Statement};
use crate::wire::{backend, frontend};
use bytes::BytesMut;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use weir_cache::Snapshot;
use weir_cache::read::{ReadError, Rows};
use weir_planner::eval::EvalContext;

/// An answer of at most so many bytes is written once and held whole.
const MAX_HELD_BYTES: usize = 1024 * 1024;
/// Of a longer one so many bytes are written at a time, and no more before the client has taken them.
const CHUNK_BYTES: usize = 64 * 1024;
/// `HEADER` of the text format came with this version.
const HEADER_IN_TEXT_FROM: u32 = 150_000;

/// A COPY that memory may answer, if its rows can be written.
pub(in crate::session) struct CopyOut {
    /// The COPY.
    pub statement: Arc<Statement>,
    pub resolved: Arc<Resolved>,
    /// Values of the inner statement's parameters, as the text had them.
    pub literals: Vec<Arc<str>>,
    pub snapshot: Arc<Snapshot>,
    pub shown: Shown,
    pub probed: Arc<Probed>,
    pub names: Names,
    pub is_batch: bool,
    /// What is said before its own messages, and after them.
    pub before: Vec<u8>,
    pub after: Vec<u8>,
}

/// Why the client is not told the rest.
enum Stop {
    Cancelled,
    TimedOut,
}

impl Relay {
    /// Answers the first `bytes` of the client's input, or leaves them to Postgres.
    pub(in crate::session) async fn copy_out(&mut self, copy: CopyOut, bytes: usize) -> Result<(), SessionError> {
        let is_batch = copy.is_batch;
        let mut evaluation = std::mem::take(&mut self.state.evaluation);
        evaluation.now_micros = copy.shown.moment.unwrap_or_else(|| copy.probed.now_micros());
        let outcome = self.tell_copy(copy, &mut evaluation, bytes).await;
        self.state.evaluation = evaluation;
        if self.answer.capacity() > 2 * CHUNK_BYTES {
            self.answer = Vec::new();
        }
        match outcome {
            Err(Refusal::Forward(reason)) => {
                self.decline(reason, is_batch);
                Ok(())
            }
            Err(Refusal::Cancelled) if self.state.status == b'I' => {
                self.client.input.consume(bytes);
                self.mode = Mode::Open;
                self.break_off(Stop::Cancelled).await
            }
            Err(Refusal::Cancelled) => {
                self.decline(reason::CANCELLED, is_batch);
                Ok(())
            }
            Err(Refusal::Session(error)) => Err(error),
            Ok(()) => Ok(()),
        }
    }

    /// A refusal comes before anything has been said.
    async fn tell_copy(&mut self, copy: CopyOut, evaluation: &mut EvalContext, bytes: usize) -> Result<(), Refusal> {
        let CopyOut { statement, resolved, literals, snapshot, shown, probed, names, before, after, .. } = copy;
        let form = statement.copy.as_ref().ok_or(reason::COPY_FORM)?;
        check(&form.options, form.needs_conforming_strings, &probed)?;
        let timeout = probed.statement_timeout;
        let deadline = (!timeout.is_zero()).then(|| Instant::now() + timeout);
        let context = self.context.clone();
        let mut memory = Memory {
            snapshot: &snapshot,
            moment: shown.moment,
            maintain: &context.maintain,
            renderer: &probed.renderer,
            evaluation,
            elsewhere: &mut Elsewhere::default(),
        };
        fill_parameters(&resolved, &simple(&literals), &mut memory)?;
        let hidden = resolved.hidden(&memory);
        let started = Instant::now();
        let evaluation = &*memory.evaluation;
        let found = compiled(&resolved, hidden.as_ref()).execute_within(AT_HOME, &snapshot, evaluation);
        let rows = match found {
            Err(ReadError::TooLong) => {
                let (resolved, hidden) = (resolved.clone(), hidden.clone());
                let execution = Execution { resolved, hidden, evaluation: evaluation.clone() };
                let snapshot = snapshot.clone();
                let found = self.elsewhere(&probed, move |budget| {
                    let found = execution.compiled().execute_within(budget, &snapshot, &execution.evaluation);
                    found.map(Rows::into_kept::<'static>)
                });
                Box::pin(found).await?.map_err(refusal_of)?.into_kept()
            }
            found => found.map_err(refusal_of)?,
        };
        let is_slow = hidden.is_none() && resolved.note_cost(started.elapsed(), &memory);
        let cancel = self.cancel.clone();
        let mut heed = cancel.heed();
        let columns: &[ResultColumn] = &resolved.prepared.columns;
        let types = &resolved.compiled.plan().columns;
        let mut writer = Writer::new(&form.options, columns, types, probed.renderer.clone())?;

        let mut answer = std::mem::take(&mut self.answer);
        answer.clear();
        answer.extend_from_slice(&before);
        writer.begin(&mut answer);
        let held = hold(&mut writer, &rows, &mut answer, &mut heed).await?;

        // From here on it is answered.
        self.client.input.consume(bytes);
        self.is_unsynced = false;
        self.mode = Mode::Open;
        batch::adopt(names, &mut self.statements);
        self.state.bookmark = self.state.bookmark.max(shown.position);
        self.state.read_in_block = self.state.status == b'T';
        self.route = Route::Memory;
        self.context.metrics.answered.add(1);
        self.note_local_read();
        form.inner.slow.fetch_add(u32::from(is_slow), Ordering::Relaxed);

        let mut next = held;
        let stop = loop {
            let is_last = next == rows.len();
            if is_last {
                writer.end(rows.len(), &mut answer);
                answer.extend_from_slice(&after);
            }
            self.client.output.extend(&answer);
            answer.clear();
            answer.shrink_to(2 * CHUNK_BYTES);
            if is_last {
                break None;
            }
            if let Some(stop) = self.hand_over(&mut heed, deadline).await? {
                break Some(stop);
            }
            while next < rows.len() && answer.len() < CHUNK_BYTES {
                // It could be written before.
                if let Some(row) = rows.get(next) {
                    writer.row(row, &mut answer).map_err(|_| unwritable())?;
                }
                next += 1;
            }
        };
        drop(heed);
        self.answer = answer;
        match stop {
            None => Ok(()),
            Some(stop) => Ok(self.break_off(stop).await?),
        }
    }

    /// Until the client has taken all that was said.
    async fn hand_over(
        &mut self,
        heed: &mut Heed<'_>,
        deadline: Option<Instant>,
    ) -> Result<Option<Stop>, SessionError> {
        const NEVER: Duration = Duration::from_secs(24 * 3600);
        loop {
            let until = deadline.unwrap_or_else(|| Instant::now() + NEVER);
            let mut keepalive = self.keepalive.take();
            let due = async {
                match &mut keepalive {
                    Some(timer) => timer.await,
                    None => std::future::pending().await,
                }
            };
            let is_due = tokio::select! {
                biased;
                () = heed.heard() => return Ok(Some(Stop::Cancelled)),
                flushed = self.client.flush() => {
                    flushed?;
                    self.keepalive = keepalive;
                    return Ok(None);
                }
                () = due => true,
                () = tokio::time::sleep_until(until.into()) => false,
            };
            if is_due {
                // Upstream would think the session idle, which its client is not.
                self.keep_alive().await?;
                self.note_local_read();
            } else if deadline.is_some() {
                return Ok(Some(Stop::TimedOut));
            } else {
                self.keepalive = keepalive;
            }
        }
    }

    /// The rest is not told. In a block, which the error has made fail, upstream is made to fail as well.
    async fn break_off(&mut self, stop: Stop) -> Result<(), SessionError> {
        let message = match stop {
            Stop::Cancelled => "canceling statement due to user request",
            Stop::TimedOut => "canceling statement due to statement timeout",
        };
        if self.state.status == b'T' {
            let mut request = BytesMut::new();
            // Refused as it stands, and tells the reader of the server's log why.
            let text = "weir: a COPY that was answered from memory in this block has been cancelled";
            frontend::say_parse(&mut request, "weir_cancelled", text, &[]);
            frontend::say_sync(&mut request);
            self.exchange(&request, |_, _| ()).await?;
            self.state.forget();
        }
        self.answer.clear();
        backend::error(&mut self.answer, "ERROR", "57014", message);
        backend::ready_for_query(&mut self.answer, self.state.status);
        self.client.output.extend(&self.answer);
        Ok(())
    }
}

/// What depends on the session and the server's version.
fn check(options: &Options, needs_conforming_strings: bool, probed: &Probed) -> Result<(), Refusal> {
    let has_text_header = options.header && options.format == Format::Text;
    if has_text_header && probed.server_version < HEADER_IN_TEXT_FROM {
        return Err(reason::COPY_OPTIONS.into());
    }
    if needs_conforming_strings && !probed.has_conforming_strings() {
        return Err(reason::COPY_FORM.into());
    }
    Ok(())
}

/// Writes the first rows into `answer`, and sees that all others can be written. The number of those held.
async fn hold(
    writer: &mut Writer<'_>,
    rows: &Rows<'_>,
    answer: &mut Vec<u8>,
    heed: &mut Heed<'_>,
) -> Result<usize, Refusal> {
    let mut held = None;
    let mut scratch = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        if held.is_none() && answer.len() >= MAX_HELD_BYTES {
            held = Some(at);
        }
        let out = if held.is_none() { &mut *answer } else { &mut scratch };
        writer.row(row, out)?;
        if scratch.len() >= CHUNK_BYTES {
            scratch.clear();
            // Other sessions of this thread have their turn.
            tokio::select! {
                biased;
                () = heed.heard() => return Err(Refusal::Cancelled),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    Ok(held.unwrap_or(rows.len()))
}

/// Rendering is a function of the value, so this does not happen; if it does, the connection ends rather than the data.
fn unwritable() -> SessionError {
    SessionError::Io(std::io::Error::other("a row that could be written before cannot be any more"))
}
