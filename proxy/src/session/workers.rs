//! Threads that sessions live on: one per core, each with a runtime of its own. A session stays on the thread it began
//! on, so nothing of it is stolen, and no reply waits until another core has been woken: between cores of a virtual
//! machine that costs more than a read from memory. What sessions wait for together (capture, maintenance, analysis)
//! runs elsewhere and wakes them through channels.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Dropping it ends the threads, and with them all sessions.
pub struct Workers {
    workers: Vec<Worker>,
    /// Where the last session went; the next of several that are equally busy is looked for from there.
    last: AtomicUsize,
}

struct Worker {
    handle: Handle,
    sessions: Arc<AtomicUsize>,
    _stop: oneshot::Sender<()>,
}

/// One session on a worker, until it ends in whatever way.
struct Occupied(Arc<AtomicUsize>);

impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Workers {
    /// One thread per core that this process may use.
    pub fn start() -> io::Result<Workers> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers = (0..cores).map(Worker::start).collect::<io::Result<_>>()?;
        Ok(Workers { workers, last: AtomicUsize::new(0) })
    }

    /// Runs `session` on the thread that has the fewest. It is polled there only: sockets and timers it makes belong to
    /// that thread's reactor.
    pub fn spawn(&self, session: impl Future<Output = ()> + Send + 'static) {
        let count = self.workers.len();
        let next = self.last.load(Ordering::Relaxed) + 1;
        let from_next = (next..next + count).map(|at| at % count);
        let busy = |at: &usize| self.workers[*at].sessions.load(Ordering::Relaxed);
        let at = from_next.min_by_key(busy).expect("there is at least one worker");
        self.last.store(at, Ordering::Relaxed);
        let worker = &self.workers[at];
        worker.sessions.fetch_add(1, Ordering::Relaxed);
        let occupied = Occupied(worker.sessions.clone());
        worker.handle.spawn(async move {
            let _occupied = occupied;
            session.await;
        });
    }
}

impl Worker {
    fn start(at: usize) -> io::Result<Worker> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new().name(format!("session-{at}")).spawn(move || {
            // Ends when the sender is dropped.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Worker { handle, sessions: Arc::default(), _stop: stop })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use tokio::sync::Semaphore;

    #[test]
    fn sessions_are_spread_evenly_and_freed_when_they_end() {
        let workers = Workers::start().unwrap();
        let count = workers.workers.len();
        let release = Arc::new(Semaphore::new(0));
        let (said, heard) = mpsc::channel();
        for _ in 0..3 * count {
            let (release, said) = (release.clone(), said.clone());
            workers.spawn(async move {
                said.send(std::thread::current().name().map(str::to_owned)).unwrap();
                release.acquire().await.unwrap().forget();
            });
        }
        let mut threads: Vec<_> = heard.iter().take(3 * count).map(|name| name.unwrap()).collect();
        threads.sort();
        threads.chunks(3).for_each(|of_one| assert!(of_one.iter().all(|name| *name == of_one[0]), "{threads:?}"));
        assert!(workers.workers.iter().all(|worker| worker.sessions.load(Ordering::Relaxed) == 3));
        release.add_permits(3 * count);
        while workers.workers.iter().any(|worker| worker.sessions.load(Ordering::Relaxed) > 0) {
            std::thread::yield_now();
        }
    }
}
