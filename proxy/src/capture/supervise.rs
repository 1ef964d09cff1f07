//! The life of the capture: opened, served until something breaks or another way is wanted, opened again. Everything that
//! belongs to one life (slot, tasks, watched tables) ends with it; nothing is resumed.

use super::clock::Clock;
use super::error::CaptureError;
use super::frontier;
use super::life;
use super::method::Method;
use super::trigger;
use super::{Command, Event};
use crate::control::Standing;
use crate::upstream::Upstream;
use futures_util::future::{BoxFuture, FutureExt};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Pauses between attempts to open the stream.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How a life ends without an error.
#[derive(Debug)]
pub(super) enum Ended {
    /// Nobody is interested any more.
    Closed,
    Switch(Method),
}

/// What does not change from one life to the next.
pub(super) struct Supervisor {
    pub config: Upstream,
    pub publication: String,
    pub clock: Arc<Clock>,
    pub events: mpsc::Sender<Event>,
}

enum Life {
    Wal(Box<life::Life>),
    Trigger(Box<trigger::life::Life>),
}

impl Supervisor {
    /// Runs until nobody is interested any more.
    pub(super) async fn run(self, mut method: Method, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut pause = FIRST_PAUSE;
        // Why nothing is captured now, once somebody has been told.
        let mut interrupted: Option<String> = None;
        // Opened while the one before was still serving.
        let mut prepared: Option<Life> = None;
        while !self.events.is_closed() && !commands.is_closed() {
            let opened = match prepared.take() {
                Some(life) => Ok(life),
                None => self.open(method).await,
            };
            let error = match opened {
                Ok(mut life) => {
                    pause = FIRST_PAUSE;
                    self.set_clock(&life).await;
                    if let Some(reason) = interrupted.take() {
                        // Wishes about the old life; everything is watched anew.
                        while let Ok(command) = commands.try_recv() {
                            if let Command::Switch(wanted) = command {
                                method = wanted;
                            }
                        }
                        tracing::info!(%method, "changes are captured again");
                        if self.events.send(Event::Restarted { reason }).await.is_err() {
                            return;
                        }
                    }
                    match self.serve(&mut life, &mut commands).await {
                        Ok((wanted, next)) => {
                            // Nothing is told: what is held is right as of its frontier until the next life begins.
                            interrupted = Some(format!("changes are captured another way from now on ({wanted})"));
                            method = wanted;
                            prepared = Some(next);
                            continue;
                        }
                        Err(Stopped::Closed) => return,
                        Err(Stopped::Broken(error)) => error,
                    }
                }
                Err(error) => error,
            };
            let reason = error.to_string();
            if interrupted.is_none() {
                tracing::warn!(reason, "the capture of changes is interrupted");
                if self.events.send(Event::Interrupted { reason: reason.clone() }).await.is_err() {
                    return;
                }
            } else if interrupted.as_ref() != Some(&reason) {
                tracing::warn!(reason, "the capture of changes cannot be opened");
            }
            interrupted = Some(reason);
            method = self.wait(pause, method, &mut commands).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn open(&self, method: Method) -> Result<Life, CaptureError> {
        Ok(match method {
            Method::Wal => {
                Life::Wal(Box::new(life::Life::open(&self.config, &self.publication, &self.clock, &self.events).await?))
            }
            Method::Trigger => Life::Trigger(Box::new(
                trigger::life::Life::open(&self.config, &self.publication, &self.clock, &self.events).await?,
            )),
        })
    }

    /// From now on positions are this life's. Bookmarks that sessions hold from before remain reachable: WAL positions are
    /// passed by the next drain; the WAL is brought to where the clock of the drains was, if that is not far.
    async fn set_clock(&self, life: &Life) {
        match life {
            Life::Trigger(life) => self.clock.follow_snapshots(life.insert()),
            Life::Wal(_) => {
                if self.clock.is_by_snapshot() {
                    let control = Standing::new(self.config.clone(), "frontier");
                    if let Err(error) = frontier::pass(&control, |insert| self.clock.ahead_of(insert)).await {
                        tracing::debug!(%error, "the WAL cannot be brought forward");
                    }
                }
                self.clock.follow_wal();
            }
        }
    }

    /// Serves until something breaks or the life of another method has been opened; that takes as long as open transactions
    /// are, and this one serves meanwhile. What cannot be opened is tried again when it is asked for again.
    async fn serve(
        &self,
        life: &mut Life,
        commands: &mut mpsc::UnboundedReceiver<Command>,
    ) -> Result<(Method, Life), Stopped> {
        let current = life.method();
        let mut opening: Option<(Method, BoxFuture<'_, Result<Life, CaptureError>>)> = None;
        loop {
            // Not dropped before it ends, unless for good: it may be in the midst of handing something on.
            let mut running = std::pin::pin!(life.run(commands));
            let ended = loop {
                tokio::select! {
                    (method, opened) = next(&mut opening) => match opened {
                        Ok(next) => return Ok((method, next)),
                        Err(error) => {
                            tracing::warn!(%method, %error, "changes cannot be captured this way");
                            opening = None;
                        }
                    },
                    ended = &mut running => break ended?,
                }
            };
            match ended {
                Ended::Closed => return Err(Stopped::Closed),
                Ended::Switch(method) if method == current => opening = None,
                Ended::Switch(method) if opening.as_ref().is_some_and(|(wanted, _)| *wanted == method) => {}
                Ended::Switch(method) => {
                    tracing::info!(%method, "capture prepares to go another way");
                    opening = Some((method, self.open(method).boxed()));
                }
            }
        }
    }

    /// Waits before the next attempt; a wish for another method is heard.
    async fn wait(&self, pause: Duration, method: Method, commands: &mut mpsc::UnboundedReceiver<Command>) -> Method {
        tokio::time::sleep(pause).await;
        let mut method = method;
        while let Ok(command) = commands.try_recv() {
            if let Command::Switch(wanted) = command {
                method = wanted;
            }
        }
        method
    }
}

/// The other life, once it is open; never, while none is being opened.
async fn next(
    opening: &mut Option<(Method, BoxFuture<'_, Result<Life, CaptureError>>)>,
) -> (Method, Result<Life, CaptureError>) {
    match opening {
        Some((method, opening)) => (*method, opening.await),
        None => std::future::pending().await,
    }
}

impl Life {
    fn method(&self) -> Method {
        match self {
            Life::Wal(_) => Method::Wal,
            Life::Trigger(_) => Method::Trigger,
        }
    }

    async fn run(&mut self, commands: &mut mpsc::UnboundedReceiver<Command>) -> Result<Ended, CaptureError> {
        match self {
            Life::Wal(life) => life.run(commands).await,
            Life::Trigger(life) => life.run(commands).await,
        }
    }
}

/// Why a life serves no longer.
enum Stopped {
    Closed,
    Broken(CaptureError),
}

impl From<CaptureError> for Stopped {
    fn from(error: CaptureError) -> Stopped {
        Stopped::Broken(error)
    }
}
