//! The life of a subscription: from one published version of the table to the next, until the client has enough, or it may
//! not be told more.

use super::permit::Permit;
use super::request::Request;
use super::rows::{Change, Writer};
use crate::metrics::Metrics;
use crate::session::attempt::Refusal;
use crate::session::cancel::Heed;
use crate::session::frontend::Mode;
use crate::session::reason::{self, Route};
use crate::session::relay::{Relay, SessionError};
use crate::wire::{backend, frame};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use weir_cache::{Delta, Difference, Position, TableVersion};

/// How often a client hears that nothing has changed: often enough to know how far it is, and to notice that it has gone.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// A table that is in no snapshot is waited for so long.
const ABSENCE: Duration = Duration::from_secs(10);
/// What the client and upstream say during a subscription waits in their queues; more than this stays in the sockets.
const MAX_UNREAD_BYTES: usize = 64 * 1024;
/// Rows are handed to the client at the latest when so many bytes of them are written.
const FLUSH_BYTES: usize = 64 * 1024;

/// How a subscription ends.
enum End {
    /// The client, or upstream, has gone, or said that it goes: the session's loop sees to it.
    Gone,
    Error {
        sqlstate: &'static str,
        message: String,
    },
}

impl End {
    fn cancelled(message: &str) -> End {
        End::Error { sqlstate: "57014", message: message.to_owned() }
    }
}

impl From<SessionError> for Interruption {
    fn from(error: SessionError) -> Interruption {
        Interruption::Session(error)
    }
}

impl From<End> for Interruption {
    fn from(end: End) -> Interruption {
        Interruption::End(end)
    }
}

/// What leaves the stream, by `?`.
enum Interruption {
    End(End),
    Session(SessionError),
}

/// What the stream waited for.
enum Event {
    Published,
    Due,
    Said,
    Cancelled,
    Gone,
}

/// Where a stream stands.
struct Stream<'a> {
    name: &'a [String],
    permit: Permit,
    /// What the rows are written with.
    writer: Writer,
    heed: Heed<'a>,
    changed: watch::Receiver<Position>,
    /// `statement_timeout`, which counts for this statement as for any.
    deadline: Option<Instant>,
    /// What the client has been told.
    told: Option<Arc<TableVersion>>,
    /// All up to here has been told.
    progress: Position,
    last_said: Instant,
}

impl Relay {
    /// Answers a subscription, or leaves it to Postgres, whose function says why there is none.
    pub(in crate::session) async fn subscribe(&mut self, request: Request, bytes: usize) -> Result<(), SessionError> {
        if self.state.status != b'I' {
            self.decline(reason::SUBSCRIPTION_IN_BLOCK, request.is_batch);
            return Ok(());
        }
        let cancel = self.cancel.clone();
        let heed = cancel.heed();
        let permit = match self.permit(&request.subscription.name).await {
            Ok(permit) => permit,
            Err(Refusal::Session(error)) => return Err(error),
            Err(Refusal::Forward(reason)) => {
                self.decline(reason, request.is_batch);
                return Ok(());
            }
            Err(Refusal::Cancelled) => {
                self.decline(reason::CANCELLED, request.is_batch);
                return Ok(());
            }
        };
        self.client.input.consume(bytes);
        self.is_unsynced = false;
        self.adopt_subscription(&request);
        self.mode = Mode::Open;
        self.route = Route::Memory;
        self.context.metrics.answered.add(1);
        Metrics::add(&self.context.metrics.subscriptions, 1);
        let end = self.stream(&request, permit, heed).await?;
        if let End::Error { sqlstate, message } = end {
            self.answer.clear();
            backend::error(&mut self.answer, "ERROR", sqlstate, &message);
            backend::ready_for_query(&mut self.answer, self.state.status);
            self.client.output.extend(&self.answer);
        }
        self.answer = Vec::new();
        Ok(())
    }

    async fn stream(&mut self, request: &Request, permit: Permit, heed: Heed<'_>) -> Result<End, SessionError> {
        let timeout = permit.probed.statement_timeout;
        let prepared = &permit.prepared;
        let types = prepared.plan.columns.clone().into();
        let renderer = permit.probed.renderer.clone();
        let writer = Writer::new(request.subscription.format, prepared.columns.clone(), types, renderer);
        self.answer.clear();
        self.answer.extend_from_slice(&request.acknowledged);
        writer.begin(&mut self.answer);
        let mut stream = Stream {
            name: &request.subscription.name,
            permit,
            writer,
            heed,
            changed: self.context.published.subscribe(),
            deadline: (!timeout.is_zero()).then(|| Instant::now() + timeout),
            told: None,
            progress: Position(0),
            last_said: Instant::now(),
        };
        match self.go_on(&mut stream).await {
            Ok(never) => match never {},
            Err(Interruption::End(end)) => Ok(end),
            Err(Interruption::Session(error)) => Err(error),
        }
    }

    async fn go_on(&mut self, stream: &mut Stream<'_>) -> Result<std::convert::Infallible, Interruption> {
        self.say_all(stream).await?;
        let mut absent_since = None;
        loop {
            self.renew(stream).await?;
            let snapshot = self.context.published.load();
            // Tables are withheld before a snapshot is published that they are not right in.
            if self.context.registry.epoch() != stream.permit.epoch {
                continue;
            }
            let version = snapshot.tables.get(&stream.permit.table).cloned();
            let is_in_error = self.context.published.is_in_error(stream.permit.table);
            drop(snapshot);
            match version {
                _ if is_in_error => return Err(ended(reason::EVALUATION).into()),
                Some(version) if version.has_errors() => return Err(ended(reason::EVALUATION).into()),
                Some(version) => {
                    absent_since = None;
                    self.tell(stream, version).await?;
                }
                None => {
                    let since = *absent_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > ABSENCE {
                        return Err(ended(reason::OUT_OF_SERVICE).into());
                    }
                }
            }
            self.wait(stream, stream.permit.until.min(Instant::now() + PROGRESS_EVERY)).await?;
        }
    }

    /// Tells what this version has besides what was told, and how far that is.
    async fn tell(&mut self, stream: &mut Stream<'_>, version: Arc<TableVersion>) -> Result<(), Interruption> {
        let is_first = stream.told.is_none();
        let is_same = stream.told.as_ref().is_some_and(|told| told.is_same_content(&version));
        // Positions do not go back; a version made anew (after Postgres was restarted) may be stamped anew.
        let position = version.as_of.max(stream.progress);
        let mut has_changed = false;
        if !is_same {
            let mut difference = Difference::new(stream.told.clone(), version.clone());
            let mut delta = Delta::new();
            while difference.step(&mut delta) {
                has_changed = true;
                let rows = delta.iter().map(|(_, weight)| weight.unsigned_abs()).sum();
                Metrics::add(&self.context.metrics.subscription_rows, rows);
                for (row, weight) in delta.drain(..) {
                    let change = match (is_first, weight > 0) {
                        (true, _) => Change::Snapshot,
                        (false, true) => Change::Insert,
                        (false, false) => Change::Delete,
                    };
                    for _ in 0..weight.unsigned_abs() {
                        let written = stream.writer.row(position, change, Some(&row), &mut self.answer);
                        written.map_err(ended)?;
                        if self.answer.len() >= FLUSH_BYTES {
                            self.say_all(stream).await?;
                            // The verdict may have run out while the client read.
                            self.renew(stream).await?;
                        }
                    }
                }
            }
        }
        let reached = version.valid_to.max(position);
        let is_due = stream.last_said.elapsed() >= PROGRESS_EVERY && reached > stream.progress;
        if is_first || has_changed || is_due {
            let written = stream.writer.row(reached, Change::Progress, None, &mut self.answer);
            written.map_err(ended)?;
            stream.progress = reached;
            stream.last_said = Instant::now();
        }
        stream.told = Some(version);
        self.say_all(stream).await
    }

    /// Asks again whether the session may be told, where that could have changed.
    async fn renew(&mut self, stream: &mut Stream<'_>) -> Result<(), Interruption> {
        let permit = &stream.permit;
        if self.context.registry.epoch() == permit.epoch && Instant::now() < permit.until {
            return Ok(());
        }
        let renewed = match self.renewed_permit(stream.name, permit.table).await {
            Some(Ok(renewed)) => renewed,
            None => {
                let message = format!("stream table \"{}\" was dropped", stream.name.join("."));
                return Err(End::Error { sqlstate: "42P01", message }.into());
            }
            Some(Err(Refusal::Session(error))) => return Err(error.into()),
            Some(Err(Refusal::Forward(reason::PRIVILEGE))) => {
                let message = format!("permission denied for stream table {}", stream.name.join("."));
                return Err(End::Error { sqlstate: "42501", message }.into());
            }
            Some(Err(Refusal::Forward(reason))) => return Err(ended(reason).into()),
            Some(Err(Refusal::Cancelled)) => return Err(End::cancelled(CANCELLED).into()),
        };
        if renewed.prepared.columns != stream.writer.columns
            || renewed.prepared.plan.columns[..] != stream.writer.types[..]
        {
            return Err(ended("its columns have changed").into());
        }
        if renewed.table != stream.permit.table {
            return Err(ended("the name stands for another one now").into());
        }
        stream.permit = renewed;
        Ok(())
    }

    /// Hands the client what was written, as fast as it reads.
    async fn say_all(&mut self, stream: &mut Stream<'_>) -> Result<(), Interruption> {
        self.client.output.extend(&self.answer);
        self.answer.clear();
        while !self.client.output.is_empty() {
            self.wait(stream, Instant::now() + PROGRESS_EVERY).await?;
        }
        Ok(())
    }

    /// Waits until something is to be done, at most `until`.
    async fn wait(&mut self, stream: &mut Stream<'_>, until: Instant) -> Result<(), Interruption> {
        let is_saying = !self.client.output.is_empty();
        let until = stream.deadline.map_or(until, |deadline| deadline.min(until));
        let event = tokio::select! {
            biased;
            () = stream.heed.heard() => Event::Cancelled,
            moved = poll_fn(|cx| self.poll_partners(cx)) => moved?,
            () = tokio::time::sleep_until(until.into()) => Event::Due,
            // The sender lives as long as the process.
            _ = stream.changed.changed(), if !is_saying => Event::Published,
        };
        match event {
            Event::Cancelled => Err(End::cancelled(CANCELLED).into()),
            Event::Gone => Err(End::Gone.into()),
            Event::Published | Event::Said => Ok(()),
            Event::Due if stream.deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                Err(End::cancelled("canceling statement due to statement timeout").into())
            }
            Event::Due => Ok(()),
        }
    }

    /// Ready when all is written that was to be, and when one side goes. What the sides say otherwise waits for the end.
    fn poll_partners(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, SessionError>> {
        let was_saying = !self.client.output.is_empty();
        while let Poll::Ready(written) = self.client.poll_drain(cx) {
            written?;
            if was_saying && self.client.output.is_empty() {
                return Poll::Ready(Ok(Event::Said));
            }
        }
        for (side, farewell) in [(&mut self.client, b'X'), (&mut self.upstream, b'E')] {
            if side.ended {
                return Poll::Ready(Ok(Event::Gone));
            }
            while side.input.len() < MAX_UNREAD_BYTES
                && let Poll::Ready(read) = side.poll_fill(cx)
            {
                read?;
                // Terminate, or a FATAL error: upstream has been asked nothing.
                if side.ended || frame::messages(side.input.filled()).any(|(tag, _)| tag == farewell) {
                    return Poll::Ready(Ok(Event::Gone));
                }
            }
        }
        Poll::Pending
    }
}

const CANCELLED: &str = "canceling statement due to user request";

/// The table cannot be followed any longer. `object_not_in_prerequisite_state`: subscribing again begins with its rows.
fn ended(reason: &str) -> End {
    let message = format!("the stream table can no longer be followed: {reason}; subscribe again");
    End::Error { sqlstate: "55000", message }
}
