//! Knows when a panel may show something new, without asking: a subscription to every stream table, through Weir. A change
//! that is told is one that a read from memory shows.

use crate::target::Target;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use weir_tests::wire::subscription::{Subscription, Told};

/// Pause before a lost subscription is begun again.
const AGAIN: Duration = Duration::from_secs(1);

/// Follows stream tables until it is dropped.
pub struct Follower {
    /// Bumped at every change of any of them.
    changed: watch::Receiver<u64>,
    is_over: Arc<AtomicBool>,
}

impl Follower {
    /// One session per table; each is told every second that it is still there.
    pub fn start(target: &Target, tables: &'static [&'static str]) -> Follower {
        let (sender, changed) = watch::channel(0);
        let sender = Arc::new(sender);
        let is_over = Arc::new(AtomicBool::new(false));
        for table in tables {
            let (target, sender, is_over) = (target.clone(), sender.clone(), is_over.clone());
            std::thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    // However it ended, another one begins with the table's rows.
                    let _ended = follow(&target, table, &sender, &is_over);
                    std::thread::sleep(AGAIN);
                }
            });
        }
        Follower { changed, is_over }
    }

    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.clone()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn follow(target: &Target, table: &str, sender: &watch::Sender<u64>, is_over: &AtomicBool) -> std::io::Result<()> {
    let mut subscription = Subscription::open(target.connect("dashboard follower")?, table)?;
    let mut is_changed = false;
    while !is_over.load(Ordering::Relaxed) {
        match subscription.told()? {
            Told::Row { .. } => is_changed = true,
            Told::Progress(_) if std::mem::take(&mut is_changed) => sender.send_modify(|count| *count += 1),
            Told::Progress(_) => {}
            Told::Ended(_) => return Ok(()),
        }
    }
    Ok(())
}
