//! One replication stream: opened, served until it breaks. The slot is temporary and ends with it.

use super::assemble::Assembler;
use super::clock::Clock;
use super::deliver::Delivery;
use super::error::CaptureError;
use super::frontier::{self, FrontierRequests, Step};
use super::gate::{Gate, VisibleSet};
use super::join::Joiner;
use super::method::Method;
use super::stream::{ITEMS_CAPACITY, Item, StreamReader};
use super::supervise::Ended;
use super::watched::WatchList;
use super::{Command, Event, slot, stamp, startup};
use crate::control::Standing;
use crate::upstream::Upstream;
use futures_util::future::{BoxFuture, FutureExt};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use weir_cache::Position;

/// The gate asks again at once so often (each round trip is about 0.1 ms, most commits are visible after the first),
/// then at growing intervals: a commit that waits for a standby may stay invisible for long.
const GATE_QUICK_TRIES: u32 = 8;
const GATE_LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// The rewrite check looks back two polls of the stamp: a TRUNCATE may become visible after it is in the WAL.
const POLLS_LOOKED_BACK: usize = 2;

/// One open stream.
pub(super) struct Life {
    delivery: Delivery,
    requests: FrontierRequests,
    /// Everything up to here has been received.
    received: Position,
    /// The furthest position that a reader has asked for.
    awaited: Position,
    items: mpsc::Receiver<Item>,
    asks: mpsc::UnboundedSender<()>,
    joiner: Joiner,
    join_news: mpsc::UnboundedReceiver<super::join::JoinNews>,
    catalog_news: mpsc::UnboundedReceiver<stamp::CatalogNews>,
    gate: Option<Gate>,
    pusher: Standing,
    /// Positions of the last catalogue news.
    looked: [Position; POLLS_LOOKED_BACK],
    /// Reader, stamp, joins; cancelled with the life.
    tasks: JoinSet<Result<(), CaptureError>>,
}

/// Commits that arrive this soon after a delivery are gathered for the next one, unless a reader waits: a stream of
/// small transactions costs Postgres and the engine a step per millisecond, not one per commit.
const GATHER: Duration = Duration::from_millis(1);

type GateAnswer = (Gate, Result<VisibleSet, CaptureError>);

impl Life {
    pub(super) async fn open(
        config: &Upstream,
        publication: &str,
        clock: &Arc<Clock>,
        events: &mpsc::Sender<Event>,
    ) -> Result<Life, CaptureError> {
        let control = Standing::new(config.clone(), "catalogue");
        slot::wait_for_publication(&control, publication).await?;
        let (connection, slot) = loop {
            let published = slot::published(&control, publication).await?;
            let mut connection = startup::connect(config).await?;
            let slot = slot::create(&mut connection, &control).await?;
            slot::start(&mut connection, &slot, publication).await?;
            if slot::published(&control, publication).await? == published {
                break (connection, slot);
            }
            tracing::info!("tables came into the publication while the stream was being opened: it is opened again");
        };
        tracing::info!(slot, "the replication stream is open");

        let watched = WatchList::default();
        let (items_in, items) = mpsc::channel(ITEMS_CAPACITY);
        let (asks, asks_out) = mpsc::unbounded_channel();
        let (join_in, join_news) = mpsc::unbounded_channel();
        let (catalog_in, catalog_news) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(StreamReader::new(connection, Assembler::new(watched.clone()), items_in).run(asks_out));
        let source = stamp::Source { method: Method::Wal, publication: publication.to_owned(), clock: clock.clone() };
        tasks.spawn(stamp::poll(control.clone(), source, watched.clone(), catalog_in));
        Ok(Life {
            delivery: Delivery::new(events.clone(), Method::Wal, watched),
            requests: FrontierRequests::default(),
            received: Position(0),
            awaited: Position(0),
            items,
            asks,
            joiner: Joiner::new(config.clone(), Method::Wal, publication, control, join_in),
            join_news,
            catalog_news,
            gate: Some(Gate::new(Standing::new(config.clone(), "visibility"))),
            pusher: Standing::new(config.clone(), "frontier"),
            looked: [Position(0); POLLS_LOOKED_BACK],
            tasks,
        })
    }

    /// Serves until the stream breaks (Err), another way of capturing is wanted, or nobody is interested any more.
    pub(super) async fn run(&mut self, commands: &mut mpsc::UnboundedReceiver<Command>) -> Result<Ended, CaptureError> {
        let mut asking: Option<BoxFuture<'static, GateAnswer>> = None;
        let (mut tries, mut gate_due) = (0, Instant::now());
        let mut gather_until = Instant::now();
        loop {
            if self.delivery.deliver(None).await.is_err() {
                return Ok(Ended::Closed);
            }
            let now = Instant::now();
            let mut wake = None;
            if self.delivery.needs_gate() && asking.is_none() {
                let due = if self.is_awaited() { gate_due } else { gate_due.max(gather_until) };
                match self.gate.take_if(|_| now >= due) {
                    Some(gate) => asking = Some(ask(gate).boxed()),
                    None => wake = Some(due),
                }
            }
            if let Some(due) = self.frontier_step(now) {
                wake = Some(wake.map_or(due, |wake: Instant| wake.min(due)));
            }
            let outcome = tokio::select! {
                Some(item) = self.items.recv() => {
                    self.take(item);
                    while let Ok(item) = self.items.try_recv() {
                        self.take(item);
                    }
                    Ok(())
                }
                (gate, answer) = answer(&mut asking) => {
                    asking = None;
                    self.gate = Some(gate);
                    let delivered = self.delivery.deliver(Some(&answer?)).await;
                    tries = if self.delivery.needs_gate() { tries + 1 } else { 0 };
                    gate_due = Instant::now() + gate_pause(tries);
                    gather_until = Instant::now() + GATHER;
                    delivered
                }
                command = commands.recv() => match command {
                    None => return Ok(Ended::Closed),
                    Some(Command::Switch(method)) => {
                        // The gate comes back to be asked again: this life goes on until the other is open.
                        if let Some(asking) = asking.take() {
                            self.gate = Some(asking.await.0);
                        }
                        return Ok(Ended::Switch(method));
                    }
                    Some(command) => {
                        self.command(command);
                        Ok(())
                    }
                },
                Some(news) = self.join_news.recv() => self.delivery.joining(news).await.map(|end| self.want(end)),
                Some(news) = self.catalog_news.recv() => {
                    let [before, last] = self.looked;
                    self.looked = [last, news.before];
                    self.delivery.catalog(news, before).await.map(|check| self.want(check))
                }
                Some(ended) = self.tasks.join_next() => {
                    ended.map_err(|error| CaptureError::Task(error.to_string()))??;
                    Ok(())
                }
                () = sleep_until(wake) => Ok(()),
            };
            if outcome.is_err() {
                return Ok(Ended::Closed);
            }
        }
    }

    /// A reader waits for something that has not been delivered.
    fn is_awaited(&self) -> bool {
        self.awaited > self.delivery.frontier()
    }

    fn take(&mut self, item: Item) {
        let (position, asked) = match &item {
            Item::Transaction(transaction) => (transaction.position, false),
            Item::Keepalive { position, asked } => (*position, *asked),
        };
        self.received = self.received.max(position);
        self.requests.received(self.received, asked, Instant::now());
        self.delivery.enqueue(item);
    }

    fn command(&mut self, command: Command) {
        match command {
            // Taken by `run`.
            Command::Switch(_) => {}
            Command::Watch(spec) => {
                if let Some(watched) = self.delivery.watch(spec) {
                    self.joiner.spawn(watched, &mut self.tasks);
                }
            }
            Command::Unwatch(table) => self.delivery.unwatch(table),
            Command::Needs { table, life, needs } => self.delivery.needs(table, life, needs),
            Command::RequestFrontier => self.requests.request(),
            Command::Reach(position) => {
                self.awaited = self.awaited.max(position);
                self.want(Some(position));
            }
        }
    }

    fn want(&mut self, position: Option<Position>) {
        if let Some(position) = position {
            self.requests.reach(position, self.received, Instant::now());
        }
    }

    /// Asks or pushes the server where readers wait. Returns when to look again.
    fn frontier_step(&mut self, now: Instant) -> Option<Instant> {
        let step = self.requests.step(now);
        if matches!(step, Step::Ask | Step::AskAndPush) {
            // A reader task that is gone is seen by `tasks`.
            let _ = self.asks.send(());
        }
        if step == Step::AskAndPush {
            let pusher = self.pusher.clone();
            self.tasks.spawn(async move {
                if let Err(error) = frontier::push(&pusher).await {
                    tracing::debug!(%error, "the WAL cannot be pushed");
                }
                Ok(())
            });
        }
        match step {
            Step::WaitUntil(due) => Some(due),
            _ => None,
        }
    }
}

async fn ask(mut gate: Gate) -> GateAnswer {
    let answer = gate.ask().await;
    (gate, answer)
}

/// The gate's answer; never, while it is not asked.
async fn answer(asking: &mut Option<BoxFuture<'static, GateAnswer>>) -> GateAnswer {
    match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    }
}

fn gate_pause(tries: u32) -> Duration {
    match tries.checked_sub(GATE_QUICK_TRIES) {
        None => Duration::ZERO,
        Some(slow) => GATE_LONGEST_PAUSE.min(Duration::from_millis(1 << slow.min(8))),
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
