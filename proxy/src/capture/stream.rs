//! The task that reads the replication connection: frames → transactions, and how far the server is. It answers the
//! server's questions itself, also while the delivering task is busy.
//!
//! What has been received is confirmed at once as written, flushed and applied. The slot is temporary, so a confirmed
//! position is never resumed from; and waiting for the visibility gate before confirming would hang a server that
//! counts Weir as a synchronous standby (`synchronous_standby_names = '*'`: the commit is not visible before it is
//! confirmed) and a server shutting down (it waits until its walsenders have confirmed everything).

use super::assemble::{Assembler, Transaction};
use super::client::{Connection, StreamFrame};
use super::error::CaptureError;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};
use weir_cache::Position;

/// What the delivering task receives, in stream order.
#[derive(Debug)]
pub(super) enum Item {
    Transaction(Transaction),
    /// Every commit up to here has been sent. `asked`: in answer to a request.
    Keepalive {
        position: Position,
        asked: bool,
    },
}

/// Transactions that may wait between the two tasks: enough for a burst of small ones; beyond, the server waits.
pub(super) const ITEMS_CAPACITY: usize = 1024;

/// `wal_receiver_status_interval`'s default; well below `wal_sender_timeout` (60 s).
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// Received transactions are confirmed after this time: the longest a commit waits for Weir where Weir counts as a
/// synchronous standby, and nothing (20 small messages a second) where it does not.
const CONFIRM_AFTER: Duration = Duration::from_millis(50);

/// A server from which nothing has come for so long, though it was asked, is gone without the socket knowing.
const SILENCE_LIMIT: Duration = Duration::from_secs(35);

pub(super) struct StreamReader {
    connection: Connection,
    assembler: Assembler,
    items: mpsc::Sender<Item>,
    received: Position,
    /// The next keepalive answers a request.
    asked: bool,
    heard: Instant,
    /// When what has been received is to be confirmed.
    confirm_due: Option<Instant>,
    ticks: Interval,
}

impl StreamReader {
    /// `connection` is in copy-both mode.
    pub(super) fn new(connection: Connection, assembler: Assembler, items: mpsc::Sender<Item>) -> StreamReader {
        let mut ticks = interval(STATUS_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        StreamReader {
            connection,
            assembler,
            items,
            received: Position(0),
            asked: false,
            heard: Instant::now(),
            confirm_due: None,
            ticks,
        }
    }

    /// Reads until the stream breaks. Each value from `asks` makes the server say how far it is. Ok when the delivering
    /// task is gone.
    pub(super) async fn run(mut self, mut asks: mpsc::UnboundedReceiver<()>) -> Result<(), CaptureError> {
        loop {
            while let Some(frame) = self.connection.buffered_frame()? {
                if frame.tag == b'N' || frame.tag == b'S' {
                    continue;
                }
                let item = match StreamFrame::parse(frame)? {
                    StreamFrame::Data(bytes) => self.data(&bytes)?,
                    StreamFrame::Keepalive { position, reply } => self.keepalive(position, reply).await?,
                };
                if let Some(item) = item
                    && !self.pass_on(item).await?
                {
                    return Ok(());
                }
            }
            tokio::select! {
                read = self.connection.fill() => {
                    read?;
                    self.heard = Instant::now();
                }
                ask = asks.recv() => match ask {
                    None => return Ok(()),
                    Some(()) => {
                        self.asked = true;
                        self.connection.send_status(self.received, true).await?;
                    }
                },
                () = at(self.confirm_due) => {
                    self.confirm_due = None;
                    self.connection.send_status(self.received, false).await?;
                }
                _ = self.ticks.tick() => {
                    if self.heard.elapsed() > SILENCE_LIMIT {
                        return Err(CaptureError::Silent(SILENCE_LIMIT.as_secs()));
                    }
                    // Asked for a reply, so that silence means something.
                    self.connection.send_status(self.received, true).await?;
                }
            }
        }
    }

    fn data(&mut self, bytes: &[u8]) -> Result<Option<Item>, CaptureError> {
        let transaction = self.assembler.push(bytes)?;
        Ok(transaction.map(|transaction| {
            self.received = self.received.max(transaction.position);
            self.confirm_due.get_or_insert_with(|| Instant::now() + CONFIRM_AFTER);
            Item::Transaction(transaction)
        }))
    }

    async fn keepalive(&mut self, position: Position, reply: bool) -> Result<Option<Item>, CaptureError> {
        let whole = self.assembler.between_transactions();
        if whole {
            self.received = self.received.max(position);
        }
        if reply {
            self.connection.send_status(self.received, false).await?;
        }
        if !whole && self.asked {
            // The answer came in the midst of a transaction, where it says nothing: ask again.
            self.connection.send_status(self.received, true).await?;
        }
        let asked = whole && std::mem::take(&mut self.asked);
        Ok(whole.then_some(Item::Keepalive { position, asked }))
    }

    /// Hands an item over; while there is no room the status updates go on. False: nobody receives any more.
    async fn pass_on(&mut self, item: Item) -> Result<bool, CaptureError> {
        let item = match self.items.try_send(item) {
            Ok(()) => return Ok(true),
            Err(mpsc::error::TrySendError::Closed(_)) => return Ok(false),
            Err(mpsc::error::TrySendError::Full(item)) => item,
        };
        let items = self.items.clone();
        loop {
            tokio::select! {
                permit = items.reserve() => {
                    let Ok(permit) = permit else { return Ok(false) };
                    permit.send(item);
                    self.heard = Instant::now();
                    return Ok(true);
                }
                _ = self.ticks.tick() => self.connection.send_status(self.received, false).await?,
            }
        }
    }
}

/// Never, where there is no time.
async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
