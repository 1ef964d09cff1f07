//! A run of row slots shared by all versions, and one version's view of it: which slots are live, and how often.

use super::directory::RowId;
use std::sync::{Arc, OnceLock};
use weir_planner::Row;

/// Slots per chunk: large enough that a million rows are a thousand chunks (one publish may touch them all), small
/// enough that the 128-byte liveness bitmap is cheap to copy for one changed row.
pub(super) const CHUNK_ROWS: usize = 1024;
const WORDS: usize = CHUNK_ROWS / 64;

/// The rows and their ids. Slots are filled from the front, each exactly once, while older versions are being read: those do not
/// look past their own bitmap.
#[derive(Debug)]
struct Slots(Box<[OnceLock<(Row, RowId)>]>);

/// One version of a chunk.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    slots: Arc<Slots>,
    live: [u64; WORDS],
    live_slots: u32,
    /// Multiplicity of every slot; absent while every live row occurs once, which is nearly always.
    counts: Option<Arc<[u64; CHUNK_ROWS]>>,
}

impl Chunk {
    pub(super) fn with_capacity(capacity: usize) -> Chunk {
        let slots = (0..capacity.min(CHUNK_ROWS)).map(|_| OnceLock::new()).collect();
        Chunk { slots: Arc::new(Slots(slots)), live: [0; WORDS], live_slots: 0, counts: None }
    }

    pub(super) fn capacity(&self) -> usize {
        self.slots.0.len()
    }

    pub(super) fn live_slots(&self) -> usize {
        self.live_slots as usize
    }

    /// The row in a slot that was filled before this version was made; also while it is no longer live.
    #[inline]
    pub(super) fn row(&self, offset: usize) -> &Row {
        &self.entry(offset).0
    }

    #[inline]
    pub(super) fn entry(&self, offset: usize) -> &(Row, RowId) {
        self.slots.0[offset].get().expect("a slot that a version or an index refers to has been filled")
    }

    #[inline]
    pub(super) fn is_live(&self, offset: usize) -> bool {
        self.live[offset / 64] >> (offset % 64) & 1 != 0
    }

    #[inline]
    pub(super) fn count(&self, offset: usize) -> u64 {
        self.counts.as_ref().map_or(1, |counts| counts[offset])
    }

    /// Puts a row into an empty slot and makes it live in this version.
    pub(super) fn fill(&mut self, offset: usize, id: RowId, row: Row, count: u64) {
        let fresh = self.slots.0[offset].set((row, id)).is_ok();
        assert!(fresh, "a slot is filled once: the tail only moves forward");
        self.live[offset / 64] |= 1 << (offset % 64);
        self.live_slots += 1;
        if count != 1 || self.counts.is_some() {
            self.set_count(offset, count);
        }
    }

    pub(super) fn set_count(&mut self, offset: usize, count: u64) {
        let counts = self.counts.get_or_insert_with(|| Arc::new([1; CHUNK_ROWS]));
        Arc::make_mut(counts)[offset] = count;
    }

    pub(super) fn kill(&mut self, offset: usize) {
        let bit = 1 << (offset % 64);
        debug_assert!(self.live[offset / 64] & bit != 0, "only a live slot dies");
        self.live[offset / 64] &= !bit;
        self.live_slots -= 1;
    }

    /// Offsets of live slots, ascending.
    #[inline]
    pub(super) fn live(&self) -> impl Iterator<Item = usize> + '_ {
        self.live.iter().enumerate().flat_map(|(word, &bits)| {
            let mut rest = bits;
            std::iter::from_fn(move || {
                if rest == 0 {
                    return None;
                }
                let bit = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                Some(word * 64 + bit)
            })
        })
    }

    /// Offsets of live slots without those that `other` shows just so: both look at the same slots and count each once.
    pub(super) fn live_besides<'a>(&'a self, other: Option<&Chunk>) -> impl Iterator<Item = usize> + use<'a> {
        let is_comparable =
            |other: &&Chunk| Arc::ptr_eq(&self.slots, &other.slots) && self.counts.is_none() && other.counts.is_none();
        let shown = other.filter(is_comparable).map_or([0; WORDS], |other| other.live);
        self.live().filter(move |offset| shown[offset / 64] >> (offset % 64) & 1 == 0)
    }

    /// Bytes of the slots and of one version's view, without the rows.
    pub(super) fn bytes(&self) -> usize {
        self.slots.0.len() * size_of::<OnceLock<(Row, RowId)>>()
            + size_of::<Chunk>()
            + self.counts.as_ref().map_or(0, |_| CHUNK_ROWS * size_of::<u64>())
    }
}
