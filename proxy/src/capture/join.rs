//! Bringing a table in: preconditions, the wait for writers, the copy. One task per table; a few copy at a time. The
//! stream's changes of the table are kept back meanwhile by the delivering task, which puts the two together.

use super::check;
use super::copy::{self, Copied, CopyError};
use super::error::CaptureError;
use super::method::Method;
use super::watched::{Generation, Watched};
use super::writers;
use crate::control::{self, ControlError, Standing};
use crate::upstream::Upstream;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_postgres::error::SqlState;
use weir_planner::RelationId;

/// Copies at a time: each is a connection and a core of the server.
const COPIES_AT_A_TIME: usize = 2;

/// Pauses before a failed attempt is made again.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What a joining task says about its table.
#[derive(Debug)]
pub(super) struct JoinNews {
    pub table: RelationId,
    pub generation: Generation,
    pub what: JoinStep,
}

#[derive(Debug)]
pub(super) enum JoinStep {
    Waiting(String),
    Copied(Copied),
    Refused(String),
}

/// What every joining task needs.
#[derive(Clone)]
pub(super) struct Joiner {
    config: Upstream,
    method: Method,
    publication: Arc<str>,
    control: Standing,
    copies: Arc<Semaphore>,
    news: mpsc::UnboundedSender<JoinNews>,
}

#[derive(Debug, thiserror::Error)]
enum JoinError {
    #[error("{0}")]
    Refused(String),
    /// A lock, a lost connection, a full server: worth another try.
    #[error("{0}")]
    Passing(String),
}

impl Joiner {
    pub(super) fn new(
        config: Upstream,
        method: Method,
        publication: &str,
        control: Standing,
        news: mpsc::UnboundedSender<JoinNews>,
    ) -> Joiner {
        Joiner {
            config,
            method,
            publication: publication.into(),
            control,
            copies: Arc::new(Semaphore::new(COPIES_AT_A_TIME)),
            news,
        }
    }

    /// Joins on a task of its own. What comes of it is told by [`JoinNews`].
    pub(super) fn spawn(&self, watched: Arc<Watched>, tasks: &mut JoinSet<Result<(), CaptureError>>) {
        let joiner = self.clone();
        tasks.spawn(async move {
            joiner.join(watched).await;
            Ok(())
        });
    }

    /// Ends with [`JoinStep::Copied`] or [`JoinStep::Refused`]. The table's changes must be kept from before this call.
    async fn join(self, watched: Arc<Watched>) {
        let say = |what| {
            // Nobody listens any more when the stream has ended; this task is then about to be cancelled.
            let _ = self.news.send(JoinNews { table: watched.spec.id, generation: watched.generation, what });
        };
        let mut pause = FIRST_PAUSE;
        loop {
            match self.attempt(&watched, &say).await {
                Ok(copied) => return say(JoinStep::Copied(copied)),
                Err(JoinError::Refused(reason)) => return say(JoinStep::Refused(reason)),
                Err(JoinError::Passing(reason)) => {
                    tracing::debug!(table = %watched.spec.name, reason, "joining is tried again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn attempt(&self, watched: &Watched, say: &impl Fn(JoinStep)) -> Result<Copied, JoinError> {
        let spec = &watched.spec;
        let client = self.control.client().await?;
        let states = check::states(&client, &self.publication, &[spec.id]).await.map_err(ControlError::from)?;
        match states.first() {
            None => return Err(JoinError::Refused("it does not exist any more".into())),
            Some(state) => state.refusal(spec, self.method).map_or(Ok(()), |reason| Err(JoinError::Refused(reason)))?,
        }
        writers::wait_until_ended(&self.control, self.method, spec.id, |holders| {
            tracing::warn!(table = %spec.name, %holders, "the table's snapshot waits for transactions to end");
            say(JoinStep::Waiting(format!("waits for {holders} to end")));
        })
        .await?;
        let Ok(_permit) = self.copies.acquire().await else {
            return Err(JoinError::Passing("the stream is ending".into()));
        };
        let client = control::connect(&self.config, "copy").await?;
        Ok(copy::copy(&client, self.method, &self.publication, spec).await?)
    }
}

impl From<CopyError> for JoinError {
    fn from(error: CopyError) -> JoinError {
        match error {
            CopyError::Refused(reason) => JoinError::Refused(reason),
            CopyError::Postgres(error) => JoinError::from(ControlError::from(error)),
        }
    }
}

impl From<ControlError> for JoinError {
    fn from(error: ControlError) -> JoinError {
        let ControlError::Postgres(cause) = &error else { return JoinError::Passing(error.to_string()) };
        let Some(raised) = cause.as_db_error() else { return JoinError::Passing(error.to_string()) };
        let code = raised.code();
        let passing = [
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::QUERY_CANCELED,
        ];
        // Classes 53 (resources) and 57 (operator intervention) pass by themselves.
        let text = format!("{}: {}", code.code(), raised.message());
        if passing.contains(code) || code.code().starts_with("53") || code.code().starts_with("57") {
            JoinError::Passing(text)
        } else {
            JoinError::Refused(text)
        }
    }
}
