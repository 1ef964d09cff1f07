//! What readers wished they had: index requests noted on the side of a scan and met by the publisher.

use super::index::IndexSpec;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Below this many rows a scan is as quick as an index that must be kept (some 10 µs).
pub const INDEX_MIN_ROWS: usize = 256;
/// Scans that must have wanted an index before it is built: a build costs about as much as a few scans.
pub const DEMANDS_TO_BUILD: u32 = 3;
/// Different indexes noted per table. When they are full, the counts start again, so one-off queries age out.
const MAX_NOTED: usize = 32;

/// Shared by the publisher and all versions of one table.
#[derive(Debug, Default)]
pub(crate) struct DemandBoard {
    noted: Mutex<Vec<(IndexSpec, u32)>>,
    ready: AtomicBool,
}

impl DemandBoard {
    /// Notes that a scan would rather have used this index. Never waits: under contention the wish is dropped, the
    /// next scan repeats it.
    pub(crate) fn wish(&self, spec: &IndexSpec) {
        let Ok(mut noted) = self.noted.try_lock() else { return };
        match noted.iter_mut().find(|(known, _)| known == spec) {
            Some((_, count)) => {
                *count = count.saturating_add(1);
                if *count >= DEMANDS_TO_BUILD {
                    self.ready.store(true, Relaxed);
                }
            }
            None => {
                if noted.len() >= MAX_NOTED {
                    noted.clear();
                }
                noted.push((spec.clone(), 1));
            }
        }
    }

    /// Whether [`DemandBoard::take`] would return something.
    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Relaxed)
    }

    /// Removes and returns the indexes wanted often enough.
    pub(super) fn take(&self) -> Vec<IndexSpec> {
        self.ready.store(false, Relaxed);
        let mut noted = self.noted.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let (wanted, rest) = noted.drain(..).partition(|(_, count)| *count >= DEMANDS_TO_BUILD);
        *noted = rest;
        let wanted: Vec<(IndexSpec, u32)> = wanted;
        wanted.into_iter().map(|(spec, _)| spec).collect()
    }
}
