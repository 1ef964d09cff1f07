//! The rows of one version: chunks under a two-level spine, so that a version is a copy of a few dozen pointers and a
//! changed row copies one page of the spine and one chunk's bitmap, never the rows beside it.

use super::chunk::{CHUNK_ROWS, Chunk};
use super::directory::{Directory, RowId, Slot};
use std::sync::Arc;
use weir_planner::Row;

/// Chunks per page of the spine: one page spans 32,768 slots; a million rows are some fifty pages.
const PAGE_CHUNKS: usize = 32;

impl Slot {
    fn new(chunk: usize, offset: usize) -> Slot {
        Slot(u32::try_from(chunk * CHUNK_ROWS + offset).expect("2^32 rows of one table do not fit into memory"))
    }
    pub(super) fn chunk(self) -> usize {
        self.0 as usize / CHUNK_ROWS
    }
    fn offset(self) -> usize {
        self.0 as usize % CHUNK_ROWS
    }
}

/// A bag of rows. Cloning shares everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    pages: Vec<Arc<Vec<Arc<Chunk>>>>,
    directory: Directory,
    /// Rows counted with their multiplicity.
    rows: u64,
    /// Live slots, that is different rows.
    distinct: usize,
}

impl Store {
    /// Rows counted with their multiplicity.
    pub(crate) fn len(&self) -> u64 {
        self.rows
    }

    /// Different rows.
    pub(crate) fn distinct(&self) -> usize {
        self.distinct
    }

    #[inline]
    fn chunk(&self, number: usize) -> &Chunk {
        &self.pages[number / PAGE_CHUNKS][number % PAGE_CHUNKS]
    }

    #[inline]
    pub(crate) fn slot(&self, id: RowId) -> Slot {
        self.directory.slot(id)
    }

    /// The row of an id; of a dead one until [`Store::forget`].
    #[inline]
    pub(crate) fn row(&self, id: RowId) -> &Row {
        self.row_at(self.slot(id))
    }

    #[inline]
    pub(super) fn row_at(&self, slot: Slot) -> &Row {
        self.chunk(slot.chunk()).row(slot.offset())
    }

    /// The row of an id that this version shows.
    #[inline]
    pub(super) fn live_row(&self, id: RowId) -> Option<&Row> {
        let slot = self.slot(id);
        let chunk = self.chunk(slot.chunk());
        chunk.is_live(slot.offset()).then(|| chunk.row(slot.offset()))
    }

    #[inline]
    pub(crate) fn row_and_count(&self, id: RowId) -> (&Row, u64) {
        let slot = self.slot(id);
        let chunk = self.chunk(slot.chunk());
        (chunk.row(slot.offset()), chunk.count(slot.offset()))
    }

    /// Live rows with their ids and multiplicities, in slot order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (RowId, &Row, u64)> + '_ {
        (0..self.chunks()).flat_map(|number| self.iter_chunk(number))
    }

    pub(crate) fn each_chunk(&self) -> impl Iterator<Item = &Chunk> + '_ {
        (0..self.chunks()).map(|number| self.chunk(number))
    }

    pub(super) fn iter_chunk(&self, number: usize) -> impl Iterator<Item = (RowId, &Row, u64)> + '_ {
        let chunk = self.chunk(number);
        chunk.live().map(move |offset| {
            let (row, id) = chunk.entry(offset);
            (*id, row, chunk.count(offset))
        })
    }

    /// Rows of a chunk as [`Store::iter_chunk`] gives them, without those that are seen at a glance to stand in the same place of
    /// another store.
    pub(super) fn iter_chunk_besides<'a>(
        &'a self,
        number: usize,
        other: &Store,
    ) -> impl Iterator<Item = (RowId, &'a Row, u64)> + use<'a> {
        let chunk = self.chunk(number);
        let beside = (number < other.chunks()).then(|| other.chunk(number));
        chunk.live_besides(beside).map(move |offset| {
            let (row, id) = chunk.entry(offset);
            (*id, row, chunk.count(offset))
        })
    }

    /// Ids in use are below this.
    pub(super) fn ids_end(&self) -> usize {
        self.directory.end()
    }

    pub(super) fn is_used(&self, id: RowId) -> bool {
        self.directory.is_used(id)
    }

    /// Chunk numbers in use are below this.
    pub(super) fn chunks(&self) -> usize {
        self.pages.last().map_or(0, |last| (self.pages.len() - 1) * PAGE_CHUNKS + last.len())
    }

    pub(super) fn capacity(&self, chunk: usize) -> usize {
        self.chunk(chunk).capacity()
    }

    pub(super) fn live_slots(&self, chunk: usize) -> usize {
        self.chunk(chunk).live_slots()
    }

    fn chunk_mut(&mut self, number: usize) -> &mut Chunk {
        let page = Arc::make_mut(&mut self.pages[number / PAGE_CHUNKS]);
        Arc::make_mut(&mut page[number % PAGE_CHUNKS])
    }

    /// Puts an empty chunk in place of a number, or at the end when the number is the next one. Returns what was there.
    pub(super) fn place(&mut self, number: usize, capacity: usize) -> Option<Arc<Chunk>> {
        let chunk = Arc::new(Chunk::with_capacity(capacity));
        if number == self.chunks() {
            if number.is_multiple_of(PAGE_CHUNKS) {
                self.pages.push(Arc::new(Vec::with_capacity(PAGE_CHUNKS)));
            }
            Arc::make_mut(&mut self.pages[number / PAGE_CHUNKS]).push(chunk);
            None
        } else {
            let page = Arc::make_mut(&mut self.pages[number / PAGE_CHUNKS]);
            Some(std::mem::replace(&mut page[number % PAGE_CHUNKS], chunk))
        }
    }

    /// Puts a row into an empty slot, under an id that is new or whose row is dead.
    pub(super) fn fill(&mut self, chunk: usize, offset: usize, id: RowId, row: Row, count: u64) {
        self.chunk_mut(chunk).fill(offset, id, row, count);
        self.directory.set(id, Slot::new(chunk, offset));
        self.rows += count;
        self.distinct += 1;
    }

    pub(super) fn set_count(&mut self, id: RowId, count: u64) {
        let slot = self.slot(id);
        let chunk = self.chunk_mut(slot.chunk());
        let before = chunk.count(slot.offset());
        chunk.set_count(slot.offset(), count);
        self.rows = self.rows - before + count;
    }

    /// Takes a row out of this version; it stays readable by its id. Returns its chunk.
    pub(super) fn kill(&mut self, id: RowId) -> usize {
        let slot = self.slot(id);
        let chunk = self.chunk_mut(slot.chunk());
        let count = chunk.count(slot.offset());
        chunk.kill(slot.offset());
        self.rows -= count;
        self.distinct -= 1;
        slot.chunk()
    }

    /// Frees the id of a dead row.
    pub(super) fn forget(&mut self, id: RowId) {
        self.directory.clear(id);
    }

    /// Bytes of spine, chunks and bitmaps, without the rows.
    pub(super) fn bytes(&self) -> usize {
        let chunks = self.pages.iter().flat_map(|page| page.iter());
        chunks.map(|chunk| chunk.bytes() + size_of::<Arc<Chunk>>()).sum::<usize>() + self.directory.bytes()
    }
}
