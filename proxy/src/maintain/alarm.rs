//! Wakes the engine thread when rows come or leave by time alone, so that schedules, subscribers and notifications hear of it
//! though nobody writes or reads.

use super::server_clock::ServerClock;
use super::work::Work;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Rows that leave more closely together than this leave together, unless a reader asks.
const CLOSEST: Duration = Duration::from_millis(10);
/// The clock is looked at again after this long, in case it was set.
const FARTHEST: Duration = Duration::from_secs(1);

/// `due`: the server's clock at which something is to be done (microseconds since 2000-01-01 UTC). Ends with its sender.
pub(super) async fn run(
    clock: Arc<ServerClock>,
    mut due: watch::Receiver<Option<i64>>,
    work: mpsc::UnboundedSender<Work>,
) {
    loop {
        let at = *due.borrow_and_update();
        let wait = match (at, clock.now()) {
            (None, _) => None,
            (Some(at), Some(now)) => Some(Duration::from_micros(u64::try_from(at - now.latest).unwrap_or(0))),
            (Some(_), None) => Some(FARTHEST),
        };
        let Some(wait) = wait else {
            if due.changed().await.is_err() {
                return;
            }
            continue;
        };
        let waited = tokio::time::timeout(wait.clamp(Duration::from_micros(1), FARTHEST), due.changed()).await;
        match waited {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            // What lies further off than a look is looked at again.
            Err(_) if wait > FARTHEST || clock.now().is_none() => {}
            Err(_) => {
                if work.send(Work::ClockDue).is_err() {
                    return;
                }
                tokio::time::sleep(CLOSEST).await;
            }
        }
    }
}
