//! When the change table is looked at, and what becomes of it.
//!
//! A reader who waits is served at once. Otherwise: while transactions come, every two milliseconds; when none come, Weir
//! goes to sleep holding an advisory lock that tells the triggers to notify. A trigger that found Weir awake keeps a share
//! of that lock until its transaction ends, so Weir cannot fall asleep over a commit that will not notify, and a busy
//! database notifies nobody (commits that notify queue up behind one lock of the cluster).

use super::drain::Drain;
use super::{cleanup, record};
use crate::capture::assemble::Transaction;
use crate::capture::clock::Clock;
use crate::capture::deliver::{Closed, Delivery};
use crate::capture::error::CaptureError;
use crate::capture::join::{JoinNews, JoinStep, Joiner};
use crate::capture::method::Method;
use crate::capture::stream::Item;
use crate::capture::supervise::Ended;
use crate::capture::watched::WatchList;
use crate::capture::{Command, Event, stamp};
use crate::catalog::install::LOCK_CLASS;
use crate::control::{self, Standing};
use crate::upstream::Upstream;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_postgres::Client;
use weir_cache::Position;
use weir_planner::RelationId;

/// Second keys of the advisory locks that `17_triggers.sql` asks: held while a Weir drains; held while it sleeps.
const FOLLOWED: i32 = 3;
const ASLEEP: i32 = 4;

/// The channel the triggers notify on.
const CHANNEL: &str = "weir_changes";

/// Between drains that nobody waits for, while there are changes: each is a round trip and a step of the engine.
const BUSY_PAUSE: Duration = Duration::from_millis(2);
/// The same when nothing has come for a while and Weir may not sleep: a transaction that found it awake is still open, or
/// NOTIFY is out of the question.
const QUIET_PAUSE: Duration = Duration::from_millis(10);
/// Without changes for so long, Weir goes to sleep.
const BUSY_FOR: Duration = Duration::from_millis(20);
/// Looked at even if no notification came, and the frontier is told of: below the shortest schedule.
const ASLEEP_PAUSE: Duration = Duration::from_millis(100);

/// Where the network has swallowed a Weir, Postgres is to notice within half a minute: until then the next one waits, and
/// the triggers go on recording.
const KEEPALIVE: &str = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; SET tcp_user_timeout = 25000";

/// How often the log says that Weir waits for the transactions that the triggers did not record.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// Following the change table.
pub(in crate::capture) struct Life {
    client: Client,
    notifications: mpsc::UnboundedReceiver<()>,
    drain: Drain,
    clock: Arc<Clock>,
    watched: WatchList,
    delivery: Delivery,
    joiner: Joiner,
    join_news: mpsc::UnboundedReceiver<JoinNews>,
    catalog_news: mpsc::UnboundedReceiver<stamp::CatalogNews>,
    /// Positions of the last catalogue news.
    looked: [Position; 2],
    drained: mpsc::UnboundedSender<u64>,
    /// Tables not watched of which changes have come since the catalogue has changed.
    strangers: HashSet<RelationId>,
    /// The furthest position that a reader has asked for.
    awaited: Position,
    /// Somebody wants to know how far it is, whatever the answer.
    asked: bool,
    /// A notification would make the application's PREPARE TRANSACTION fail, so the triggers send none.
    may_sleep: bool,
    asleep: bool,
    busy_until: Instant,
    told: Instant,
    due: Instant,
    /// Stamp, joins, deletions; cancelled with the life.
    tasks: JoinSet<Result<(), CaptureError>>,
}

impl Life {
    /// Takes the place of the one Weir that may drain this database. Waits for transactions that wrote while nobody drained:
    /// the triggers have not recorded those.
    pub(in crate::capture) async fn open(
        config: &Upstream,
        publication: &str,
        clock: &Arc<Clock>,
        events: &mpsc::Sender<Event>,
    ) -> Result<Life, CaptureError> {
        let (client, notifications) = control::connect_listening(config, "changes").await?;
        client.batch_execute(KEEPALIVE).await?;
        follow(&client).await?;
        client.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
        let row = client.query_one("SELECT current_setting('max_prepared_transactions')::int", &[]).await?;
        let may_sleep = row.try_get::<_, i32>(0)? == 0;
        let (drain, leftovers) = Drain::start(&client).await?;
        let (drained, cleaned) = mpsc::unbounded_channel();
        for xid in leftovers {
            let _ = drained.send(xid);
        }
        tracing::info!("the change table is followed");

        let control = Standing::new(config.clone(), "catalogue");
        let watched = WatchList::default();
        let (join_in, join_news) = mpsc::unbounded_channel();
        let (catalog_in, catalog_news) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(cleanup::run(config.clone(), cleaned));
        let source =
            stamp::Source { method: Method::Trigger, publication: publication.to_owned(), clock: clock.clone() };
        tasks.spawn(stamp::poll(control.clone(), source, watched.clone(), catalog_in));
        let now = Instant::now();
        Ok(Life {
            client,
            notifications,
            drain,
            clock: clock.clone(),
            watched: watched.clone(),
            delivery: Delivery::new(events.clone(), Method::Trigger, watched),
            joiner: Joiner::new(config.clone(), Method::Trigger, publication, control, join_in),
            join_news,
            catalog_news,
            looked: [Position(0); 2],
            drained,
            strangers: HashSet::new(),
            awaited: Position(0),
            asked: false,
            may_sleep,
            asleep: false,
            busy_until: now + BUSY_FOR,
            told: now,
            due: now,
            tasks,
        })
    }

    /// The WAL's insert position at the last look.
    pub(in crate::capture) fn insert(&self) -> Position {
        self.drain.insert()
    }

    /// Serves until the connection breaks (Err), another way of capturing is wanted, or nobody is interested any more.
    pub(in crate::capture) async fn run(
        &mut self,
        commands: &mut mpsc::UnboundedReceiver<Command>,
    ) -> Result<Ended, CaptureError> {
        loop {
            // All that wait now are served by one look.
            while let Ok(command) = commands.try_recv() {
                if let Some(method) = self.command(command) {
                    return Ok(Ended::Switch(method));
                }
            }
            let now = Instant::now();
            if self.asked || self.awaited > self.delivery.frontier() || now >= self.due {
                if self.look(now).await?.is_err() {
                    return Ok(Ended::Closed);
                }
                continue;
            }
            let outcome = tokio::select! {
                command = commands.recv() => match command {
                    None => return Ok(Ended::Closed),
                    Some(command) => match self.command(command) {
                        Some(method) => return Ok(Ended::Switch(method)),
                        None => Ok(()),
                    }
                },
                notified = self.notifications.recv() => {
                    if notified.is_none() {
                        return Err(control::ControlError::Gone.into());
                    }
                    self.wake().await?;
                    Ok(())
                }
                Some(mut news) = self.join_news.recv() => {
                    if let JoinStep::Copied(copied) = &mut news.what {
                        copied.end = self.clock.after(copied.end);
                    }
                    self.delivery.joining(news).await.map(|end| self.want(end))
                }
                Some(news) = self.catalog_news.recv() => {
                    if news.changed {
                        self.strangers.clear();
                    }
                    let [before, last] = self.looked;
                    self.looked = [last, news.before];
                    self.delivery.catalog(news, before).await.map(|check| self.want(check))
                }
                Some(ended) = self.tasks.join_next() => {
                    ended.map_err(|error| CaptureError::Task(error.to_string()))??;
                    Ok(())
                }
                () = tokio::time::sleep_until(self.due.into()) => Ok(()),
            };
            if outcome.is_err() {
                return Ok(Ended::Closed);
            }
        }
    }

    /// Drains once and hands on what has come, as one step.
    async fn look(&mut self, now: Instant) -> Result<Result<(), Closed>, CaptureError> {
        let drained = self.drain.next(&self.client, &self.clock).await?;
        let quiet = drained.records.is_empty();
        let position = drained.position;
        for &xid in &drained.transactions {
            let _ = self.drained.send(xid);
        }
        let (records, time) = (drained.records, drained.time_micros);
        for transaction in record::transactions(records, &self.watched, &mut self.strangers, position, time) {
            let seen_from = Some(drained.seen_from);
            self.delivery.enqueue(Item::Transaction(Transaction { seen_from, ..transaction }));
        }
        let awaited = self.asked || self.awaited > self.delivery.frontier();
        if !quiet || awaited || now - self.told >= ASLEEP_PAUSE {
            self.told = now;
            self.delivery.enqueue(Item::Keepalive { position, asked: std::mem::take(&mut self.asked) });
        }
        let delivered = self.delivery.deliver(Some(&drained.snapshot)).await;
        self.pace(quiet).await?;
        Ok(delivered)
    }

    /// When to look next.
    async fn pace(&mut self, quiet: bool) -> Result<(), CaptureError> {
        let now = Instant::now();
        if !quiet {
            self.busy_until = now + BUSY_FOR;
            self.wake().await?;
        }
        self.due = if self.asleep {
            now + ASLEEP_PAUSE
        } else if now < self.busy_until {
            now + BUSY_PAUSE
        } else if self.may_sleep && self.fall_asleep().await? {
            // Once more: who committed before the lock was taken has not notified.
            now
        } else {
            now + QUIET_PAUSE
        };
        Ok(())
    }

    async fn fall_asleep(&mut self) -> Result<bool, CaptureError> {
        let lock = format!("SELECT pg_try_advisory_lock({LOCK_CLASS}, {ASLEEP})");
        self.asleep = self.client.query_one(&lock, &[]).await?.try_get(0)?;
        Ok(self.asleep)
    }

    async fn wake(&mut self) -> Result<(), CaptureError> {
        if std::mem::take(&mut self.asleep) {
            self.client.query_one(&format!("SELECT pg_advisory_unlock({LOCK_CLASS}, {ASLEEP})"), &[]).await?;
            self.busy_until = Instant::now() + BUSY_FOR;
            self.due = Instant::now();
        }
        Ok(())
    }

    /// Returns the way of capturing that is wanted from now on.
    fn command(&mut self, command: Command) -> Option<Method> {
        match command {
            Command::Watch(spec) => {
                if let Some(watched) = self.delivery.watch(spec) {
                    self.joiner.spawn(watched, &mut self.tasks);
                }
            }
            Command::Unwatch(table) => self.delivery.unwatch(table),
            // Records are decoded as a whole: they come with their columns' names.
            Command::Needs { .. } => {}
            Command::RequestFrontier => self.asked = true,
            Command::Reach(position) => self.want(Some(position)),
            Command::Switch(method) => return Some(method),
        }
        None
    }

    fn want(&mut self, position: Option<Position>) {
        if let Some(position) = position {
            self.clock.note_wanted(position);
            self.awaited = self.awaited.max(position);
        }
    }
}

/// Tells the triggers that they are followed. Waits for transactions that they have told the contrary, and for another
/// Weir that follows this database.
async fn follow(client: &Client) -> Result<(), CaptureError> {
    let lock = format!("SELECT pg_advisory_lock({LOCK_CLASS}, {FOLLOWED})");
    let mut waiting = std::pin::pin!(client.batch_execute(&lock));
    loop {
        tokio::select! {
            locked = &mut waiting => return Ok(locked?),
            () = tokio::time::sleep(REPORT_INTERVAL) => {
                tracing::warn!("capture waits for transactions that have written watched tables, or for another Weir, to end");
            }
        }
    }
}
