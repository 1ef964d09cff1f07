//! A run of row slots shared by all versions, and one version's view of it: which slots are live, and how often.

use super::columns::Column;
use super::directory::RowId;
use std::sync::{Arc, OnceLock, Weak};
use weir_planner::Row;

/// Slots per chunk: large enough that a million rows are a thousand chunks (one publish may touch them all), small
/// enough that the 128-byte liveness bitmap is cheap to copy for one changed row.
pub(crate) const CHUNK_ROWS: usize = 1024;
const WORDS: usize = CHUNK_ROWS / 64;

/// A bit for each slot.
pub(crate) type Mask = [u64; WORDS];

/// The slots whose bits are set, ascending.
#[inline]
pub(crate) fn offsets(mask: &Mask) -> impl Iterator<Item = usize> + '_ {
    mask.iter().enumerate().flat_map(|(word, &bits)| {
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

/// The rows and their ids. Slots are filled from the front, each exactly once, while older versions are being read: those do not
/// look past their own bitmap.
#[derive(Debug)]
struct Slots {
    rows: Box<[OnceLock<(Row, RowId)>]>,
    /// The columns, each made when it is first asked for; empty while the chunk is not full.
    columns: OnceLock<Box<[OnceLock<Option<Column>>]>>,
}

/// Tells the slots of one chunk from those of any other, also after they have gone.
#[derive(Clone, Debug)]
pub(super) struct SlotsId(Weak<Slots>);

impl SlotsId {
    /// No other slots have it while this id is kept.
    pub(super) fn address(&self) -> usize {
        self.0.as_ptr().addr()
    }

    /// No version has them any more.
    pub(super) fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
    }
}

/// One version of a chunk.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    slots: Arc<Slots>,
    live: Mask,
    live_slots: u32,
    /// Multiplicity of every slot; absent while every live row occurs once, which is nearly always.
    counts: Option<Arc<[u64; CHUNK_ROWS]>>,
}

impl Chunk {
    pub(super) fn with_capacity(capacity: usize) -> Chunk {
        let rows = (0..capacity.min(CHUNK_ROWS)).map(|_| OnceLock::new()).collect();
        Chunk {
            slots: Arc::new(Slots { rows, columns: OnceLock::new() }),
            live: [0; WORDS],
            live_slots: 0,
            counts: None,
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.slots.rows.len()
    }

    pub(super) fn live_slots(&self) -> usize {
        self.live_slots as usize
    }

    /// The row in a slot that was filled before this version was made; also while it is no longer live.
    #[inline]
    pub(crate) fn row(&self, offset: usize) -> &Row {
        &self.entry(offset).0
    }

    #[inline]
    pub(crate) fn entry(&self, offset: usize) -> &(Row, RowId) {
        self.slots.rows[offset].get().expect("a slot that a version or an index refers to has been filled")
    }

    #[inline]
    pub(super) fn is_live(&self, offset: usize) -> bool {
        self.live[offset / 64] >> (offset % 64) & 1 != 0
    }

    #[inline]
    pub(crate) fn count(&self, offset: usize) -> u64 {
        self.counts.as_ref().map_or(1, |counts| counts[offset])
    }

    /// Every live row occurs once.
    pub(crate) fn is_set(&self) -> bool {
        self.counts.is_none()
    }

    pub(super) fn slots(&self) -> SlotsId {
        SlotsId(Arc::downgrade(&self.slots))
    }

    pub(crate) fn mask(&self) -> Mask {
        self.live
    }

    /// A column of all slots; None where it is not worth one, and in a chunk that is still being filled.
    pub(crate) fn column(&self, index: usize) -> Option<&Column> {
        let rows = &self.slots.rows;
        rows.last()?.get()?;
        let width = self.row(0).len();
        let columns = self.slots.columns.get_or_init(|| (0..width).map(|_| OnceLock::new()).collect());
        let values = rows.iter().filter_map(|slot| slot.get().map(|(row, _)| &row[index]));
        columns.get(index)?.get_or_init(|| Column::of(values)).as_ref()
    }

    /// Puts a row into an empty slot and makes it live in this version.
    pub(super) fn fill(&mut self, offset: usize, id: RowId, row: Row, count: u64) {
        let fresh = self.slots.rows[offset].set((row, id)).is_ok();
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
        offsets(&self.live)
    }

    /// Offsets of live slots without those that `other` shows just so: both look at the same slots and count each once.
    pub(super) fn live_besides<'a>(&'a self, other: Option<&Chunk>) -> impl Iterator<Item = usize> + use<'a> {
        let is_comparable =
            |other: &&Chunk| Arc::ptr_eq(&self.slots, &other.slots) && self.counts.is_none() && other.counts.is_none();
        let shown = other.filter(is_comparable).map_or([0; WORDS], |other| other.live);
        self.live().filter(move |offset| shown[offset / 64] >> (offset % 64) & 1 == 0)
    }

    fn column_bytes(&self) -> usize {
        let columns = self.slots.columns.get().into_iter().flatten();
        columns.filter_map(|column| column.get()?.as_ref()).map(Column::bytes).sum()
    }

    /// Bytes of the slots and of one version's view, without the rows.
    pub(super) fn bytes(&self) -> usize {
        self.slots.rows.len() * size_of::<OnceLock<(Row, RowId)>>()
            + size_of::<Chunk>()
            + self.counts.as_ref().map_or(0, |_| CHUNK_ROWS * size_of::<u64>())
            + self.column_bytes()
    }
}
