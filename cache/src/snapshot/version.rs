//! What readers hold: immutable versions of tables and the snapshot of all of them.

use super::chunk::Chunk;
use super::demand::{DemandBoard, INDEX_MIN_ROWS};
use super::directory::RowId;
use super::index::{Index, IndexSpec};
use super::order_key::OrderedColumn;
use super::soundness::Soundness;
use super::store::Store;
use super::table::Table;
use crate::Position;
use crate::clock::ClockSpan;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use weir_planner::{ColumnType, RelationId, Row};

/// All stream tables. Each version says from which position on it is right (`as_of`) and, because nothing it reads
/// has changed since, up to which (`valid_to`).
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Everything committed up to here has been applied to the base tables.
    pub frontier: Position,
    pub tables: HashMap<RelationId, Arc<TableVersion>, foldhash::fast::RandomState>,
}

impl Snapshot {
    /// The clock's values at which the rows of all these tables are right; empty when they are right at no common one.
    pub fn clock_span(&self, tables: &[RelationId]) -> ClockSpan {
        let spans = tables.iter().filter_map(|id| self.tables.get(id)).map(|version| version.clock);
        spans.fold(ClockSpan::ALWAYS, ClockSpan::intersect)
    }

    /// The newest position at which every one of these tables is right; None when there is none, or when a table is
    /// not in the snapshot. For no tables at all: the frontier.
    pub fn common_position(&self, tables: &[RelationId]) -> Option<Position> {
        let mut from = Position(0);
        let mut to = None::<Position>;
        for id in tables {
            let version = self.tables.get(id)?;
            from = from.max(version.as_of);
            to = Some(to.map_or(version.valid_to, |to| to.min(version.valid_to)));
        }
        let to = to.unwrap_or(self.frontier);
        (from <= to).then_some(to)
    }
}

/// Rows of one stream table at one moment, with the indexes that reads asked for.
#[derive(Debug, Default)]
pub struct TableVersion {
    pub as_of: Position,
    pub valid_to: Position,
    /// The server's clock at which these rows are right, where they depend on it.
    pub clock: ClockSpan,
    pub columns: Arc<[ColumnType]>,
    pub(super) contents: Arc<Contents>,
}

/// What versions that differ only in their positions share.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) store: Store,
    indexes: Vec<Index>,
    demands: Arc<DemandBoard>,
    soundness: Arc<Soundness>,
    has_errors: bool,
    generation: u64,
}

/// Tells the rows of one version from those of another, also after they have gone.
#[derive(Clone, Debug, Default)]
pub(super) struct ContentsId(Weak<Contents>);

impl PartialEq for ContentsId {
    fn eq(&self, other: &ContentsId) -> bool {
        self.0.ptr_eq(&other.0)
    }
}

impl Contents {
    pub(super) fn of(table: &Table, generation: u64) -> Contents {
        Contents {
            store: table.store.clone(),
            indexes: table.indexes.share(),
            demands: table.indexes.demands.clone(),
            soundness: table.soundness.clone(),
            has_errors: table.has_errors(),
            generation,
        }
    }
}

impl TableVersion {
    /// Rows, counted with their multiplicity.
    pub fn len(&self) -> usize {
        self.contents.store.len() as usize
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `f` with every row and its multiplicity.
    pub fn for_each(&self, f: &mut dyn FnMut(&Row, i64)) {
        for (_, row, count) in self.contents.store.iter() {
            f(row, count as i64);
        }
    }

    /// Some row holds an evaluation error: Postgres raises one for some reads of this table, so memory answers none.
    pub fn has_errors(&self) -> bool {
        self.contents.has_errors
    }

    /// The indexes readers may use now.
    pub fn index_specs(&self) -> impl Iterator<Item = &IndexSpec> {
        self.contents.indexes.iter().map(|index| &*index.spec)
    }

    /// What reads know of the table's rows.
    pub(crate) fn soundness(&self) -> &Soundness {
        &self.contents.soundness
    }

    pub(super) fn contents_id(&self) -> ContentsId {
        ContentsId(Arc::downgrade(&self.contents))
    }

    pub(crate) fn distinct(&self) -> usize {
        self.contents.store.distinct()
    }

    #[inline]
    pub(crate) fn row(&self, id: RowId) -> (&Row, u64) {
        self.contents.store.row_and_count(id)
    }

    /// Brings ids into the order in which a scan meets their rows.
    pub(crate) fn sort_as_scanned(&self, ids: &mut [RowId]) {
        ids.sort_unstable_by_key(|&id| self.contents.store.slot(id));
    }

    /// Live rows with their multiplicity, in slot order.
    pub(crate) fn scan(&self) -> impl Iterator<Item = (RowId, &Row, u64)> + '_ {
        self.contents.store.iter()
    }

    /// The chunks whose live rows a scan meets.
    pub(crate) fn all_chunks(&self) -> impl Iterator<Item = &Chunk> + '_ {
        self.contents.store.each_chunk()
    }

    /// A hash index whose columns are all among `columns` (ascending): the one with the most columns.
    pub(crate) fn hash_index(&self, columns: &[usize]) -> Option<(&Index, &[usize])> {
        let mut best: Option<(&Index, &[usize])> = None;
        for index in &self.contents.indexes {
            if let IndexSpec::Hash(of) = &*index.spec
                && of.iter().all(|column| columns.contains(column))
                && best.is_none_or(|(_, known)| known.len() < of.len())
            {
                best = Some((index, of));
            }
        }
        self.used(best)
    }

    /// The index in exactly this order: one that breaks ties by further columns would answer ties differently.
    pub(crate) fn ordered_index(&self, columns: &[OrderedColumn]) -> Option<&Index> {
        self.ordered(|of| of == columns)
    }

    /// An index whose first column is this one.
    pub(crate) fn index_led_by(&self, column: OrderedColumn) -> Option<&Index> {
        self.ordered(|of| of[0] == column)
    }

    fn ordered(&self, fits: impl Fn(&[OrderedColumn]) -> bool) -> Option<&Index> {
        let found = self.contents.indexes.iter().find(|index| match &*index.spec {
            IndexSpec::Ordered(of) => fits(of),
            IndexSpec::Hash(_) => false,
        });
        self.used(found.map(|index| (index, ()))).map(|(index, ())| index)
    }

    fn used<'a, T>(&'a self, found: Option<(&'a Index, T)>) -> Option<(&'a Index, T)> {
        if let Some((index, _)) = &found {
            index.touch(self.contents.generation);
        }
        found
    }

    /// Notes that a scan would rather have used this index; small tables are not worth one.
    pub(crate) fn wish(&self, spec: impl FnOnce() -> IndexSpec) {
        if self.distinct() >= INDEX_MIN_ROWS {
            self.contents.demands.wish(&spec());
        }
    }
}
