//! Positions in the write-ahead log that a read must have reached. Questions of all sessions share one control
//! connection, and those that come while one is under way share the next answer.

use super::environment::Consistency;
use crate::control::{self, ControlError};
use crate::upstream::Upstream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::{Client, Statement};
use weir_cache::{Position, Snapshot};
use weir_planner::RelationId;

/// A broken control connection is tried again after this long; meanwhile the question is answered "not known".
const RECONNECT_PAUSE: Duration = Duration::from_millis(200);

/// How often it is looked up again whether asynchronous commit is configured anywhere: it is rarely changed, and the
/// look costs a millisecond.
const ASYNCHRONOUS_COMMIT_CHECK: Duration = Duration::from_secs(10);

/// Flush and insert position. Everything committed synchronously and visible is below the first.
const POSITIONS: &str = "SELECT pg_current_wal_flush_lsn()::text, pg_current_wal_insert_lsn()::text";

/// A transactional message is flushed by its commit, and with it everything before it.
const EMIT: &str = "SELECT pg_logical_emit_message(true, 'weir', '')::text";

/// `synchronous_commit = off` for the server, a role or a database. This connection turns it on for itself, so the
/// default is looked up in `reset_val`.
const ASYNCHRONOUS_COMMIT: &str = "SELECT EXISTS (SELECT FROM pg_settings WHERE name = 'synchronous_commit' \
     AND (reset_val = 'off' OR boot_val = 'off')) \
     OR EXISTS (SELECT FROM pg_db_role_setting s, unnest(s.setconfig) AS c WHERE c ILIKE 'synchronous_commit=off')";

/// What a session asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    /// A position at or past everything visible now.
    Visible,
    /// The same when the asker knows that commits may be visible before they are flushed.
    Flushed,
}

type Asked = (Question, oneshot::Sender<Option<Position>>);

/// Asks for positions on behalf of all sessions.
#[derive(Clone)]
pub(super) struct Positions {
    questions: mpsc::UnboundedSender<Asked>,
    asynchronous_commit: Arc<AtomicBool>,
}

impl Positions {
    pub(super) fn start(upstream: Upstream) -> Positions {
        let (questions, asked) = mpsc::unbounded_channel();
        // Until it is known otherwise.
        let asynchronous_commit = Arc::new(AtomicBool::new(true));
        tokio::spawn(answer(upstream, asked, asynchronous_commit.clone()));
        Positions { questions, asynchronous_commit }
    }

    /// Commits may be visible before they are flushed: `synchronous_commit` is off for somebody.
    pub(super) fn has_asynchronous_commit(&self) -> bool {
        self.asynchronous_commit.load(Ordering::Relaxed)
    }

    /// A position at or past every commit that anybody can see now; `None` when Postgres could not be asked.
    pub(super) async fn visible(&self) -> Option<Position> {
        self.ask(Question::Visible).await
    }

    /// As [`Positions::visible`], with everything before it flushed, however it was committed.
    pub(super) async fn flushed(&self) -> Option<Position> {
        self.ask(Question::Flushed).await
    }

    async fn ask(&self, question: Question) -> Option<Position> {
        let (answer, answered) = oneshot::channel();
        self.questions.send((question, answer)).ok()?;
        answered.await.ok()?
    }
}

/// The control connection with its statements.
struct Asker {
    client: Client,
    positions: Statement,
    emit: Statement,
    asynchronous_commit: Arc<AtomicBool>,
    checked: Instant,
}

impl Asker {
    async fn connect(upstream: &Upstream, asynchronous_commit: Arc<AtomicBool>) -> Result<Asker, ControlError> {
        let client = control::connect(upstream, "positions").await?;
        client.batch_execute("SET synchronous_commit = on").await?;
        let positions = client.prepare(POSITIONS).await?;
        let emit = client.prepare(EMIT).await?;
        let mut asker = Asker { client, positions, emit, asynchronous_commit, checked: Instant::now() };
        asker.check().await?;
        Ok(asker)
    }

    async fn check(&mut self) -> Result<(), ControlError> {
        let configured: bool = self.client.query_one(ASYNCHRONOUS_COMMIT, &[]).await?.get(0);
        self.asynchronous_commit.store(configured, Ordering::Relaxed);
        self.checked = Instant::now();
        Ok(())
    }

    async fn answer(&mut self, flushed: bool) -> Result<Option<Position>, ControlError> {
        if self.checked.elapsed() > ASYNCHRONOUS_COMMIT_CHECK {
            self.check().await?;
        }
        let row = self.client.query_one(&self.positions, &[]).await?;
        let (flush, insert): (Option<Position>, Option<Position>) = (parse(row.get(0)), parse(row.get(1)));
        if insert > flush && (flushed || self.asynchronous_commit.load(Ordering::Relaxed)) {
            let row = self.client.query_one(&self.emit, &[]).await?;
            return Ok(parse(row.get(0)));
        }
        Ok(flush)
    }
}

fn parse(text: &str) -> Option<Position> {
    text.parse().ok()
}

async fn answer(upstream: Upstream, mut asked: mpsc::UnboundedReceiver<Asked>, asynchronous_commit: Arc<AtomicBool>) {
    let mut asker: Option<Asker> = None;
    let mut waiting = Vec::new();
    loop {
        // Also when nobody asks: sessions rely on the flag. (`recv_many` loses nothing when it is cancelled.)
        let received = tokio::time::timeout(ASYNCHRONOUS_COMMIT_CHECK, asked.recv_many(&mut waiting, usize::MAX));
        if received.await == Ok(0) {
            return;
        }
        let flushed = waiting.iter().any(|(question, _)| *question == Question::Flushed);
        let mut position = None;
        // A connection found dead (Postgres was restarted since the last question) is replaced at once.
        for _ in 0..2 {
            if asker.is_none() {
                let connected = Asker::connect(&upstream, asynchronous_commit.clone()).await;
                asker = connected.inspect_err(|error| tracing::debug!(%error, "positions")).ok();
            }
            let Some(connected) = &mut asker else {
                tokio::time::sleep(RECONNECT_PAUSE).await;
                break;
            };
            match connected.answer(flushed).await {
                Ok(known) => {
                    position = known;
                    break;
                }
                Err(error) => {
                    tracing::debug!(%error, "position query failed");
                    asker = None;
                }
            }
        }
        for (_, answer) in waiting.drain(..) {
            // An asker that has gone away wants no answer.
            let _ = answer.send(position);
        }
    }
}

/// The position at which all `tables` are right at once in this snapshot, if there is one at or past `at_least`.
pub(super) fn common_position(snapshot: &Snapshot, tables: &[RelationId], at_least: Position) -> Option<Position> {
    let (mut from, mut to) = (Position(0), Position(u64::MAX));
    for table in tables {
        let version = snapshot.tables.get(table)?;
        from = from.max(version.as_of);
        to = to.min(version.valid_to);
    }
    // What is seen is the state since `from`; it is known to be right up to `to`.
    (from <= to && to >= at_least).then_some(from)
}

impl Consistency {
    /// Reads the value of `weir.consistency`; empty or unset is the default.
    pub(super) fn parse(text: &str) -> Option<Consistency> {
        match text.trim().to_ascii_lowercase().as_str() {
            "" | "session" => Some(Consistency::Session),
            "scheduled" => Some(Consistency::Scheduled),
            "latest" => Some(Consistency::Latest),
            _ => None,
        }
    }
}
