//! The answer of a read: borrowed stored rows with a column map, or computed values in one flat buffer. Neither
//! allocates per row, and a point read allocates nothing at all.

use smallvec::SmallVec;
use weir_planner::{Row, Value};

/// Rows in answer order, borrowed from the snapshot and the compiled read. Encode them before letting go of either.
#[derive(Debug)]
pub struct Rows<'a> {
    body: Body<'a>,
}

#[derive(Debug)]
enum Body<'a> {
    /// Stored rows; `columns` maps answer columns to stored ones.
    Stored { rows: SmallVec<[&'a Row; 2]>, columns: &'a [usize] },
    /// The same, of which nothing is borrowed.
    Kept { rows: Vec<Row>, columns: Vec<usize> },
    /// Row after row.
    Computed(Flat),
}

impl<'a> Rows<'a> {
    pub(super) fn stored(rows: SmallVec<[&'a Row; 2]>, columns: &'a [usize]) -> Rows<'a> {
        Rows { body: Body::Stored { rows, columns } }
    }

    /// For whoever lets go of the snapshot or the compiled read before the rows: stored ones are shared, not copied.
    pub fn into_kept<'b>(self) -> Rows<'b> {
        let body = match self.body {
            Body::Stored { rows, columns } => {
                Body::Kept { rows: rows.into_iter().cloned().collect(), columns: columns.to_vec() }
            }
            Body::Kept { rows, columns } => Body::Kept { rows, columns },
            Body::Computed(flat) => Body::Computed(flat),
        };
        Rows { body }
    }

    pub(super) fn computed(values: Flat) -> Rows<'a> {
        Rows { body: Body::Computed(values) }
    }

    pub fn len(&self) -> usize {
        match &self.body {
            Body::Stored { rows, .. } => rows.len(),
            Body::Kept { rows, .. } => rows.len(),
            Body::Computed(flat) => flat.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn get(&self, index: usize) -> Option<RowRef<'_>> {
        match &self.body {
            Body::Stored { rows, columns } => rows.get(index).map(|row| RowRef { values: row, columns: Some(columns) }),
            Body::Kept { rows, columns } => rows.get(index).map(|row| RowRef { values: row, columns: Some(columns) }),
            Body::Computed(flat) => (index < flat.len()).then(|| RowRef { values: flat.row(index), columns: None }),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = RowRef<'_>> {
        (0..self.len()).map_while(|index| self.get(index))
    }

    /// Copies, for callers that keep the rows.
    pub fn to_rows(&self) -> Vec<Row> {
        self.iter().map(|row| row.iter().cloned().collect()).collect()
    }
}

/// One row of an answer.
#[derive(Clone, Copy, Debug)]
pub struct RowRef<'a> {
    values: &'a [Value],
    columns: Option<&'a [usize]>,
}

impl<'a> RowRef<'a> {
    pub fn len(&self) -> usize {
        self.columns.map_or(self.values.len(), <[usize]>::len)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of an answer column; panics when there is no such column, as a slice does.
    #[inline]
    pub fn value(&self, column: usize) -> &'a Value {
        match self.columns {
            Some(columns) => &self.values[columns[column]],
            None => &self.values[column],
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        let row = *self;
        (0..row.len()).map(move |column| row.value(column))
    }
}

/// Rows of one width in one buffer.
#[derive(Debug, Default)]
pub(super) struct Flat {
    width: usize,
    len: usize,
    values: Vec<Value>,
}

impl Flat {
    pub(super) fn new(width: usize) -> Flat {
        Flat { width, len: 0, values: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn row(&self, index: usize) -> &[Value] {
        &self.values[index * self.width..(index + 1) * self.width]
    }

    /// Adds a row of exactly the width.
    pub(super) fn push(&mut self, row: impl IntoIterator<Item = Value>) {
        self.values.extend(row);
        self.len += 1;
        debug_assert_eq!(self.values.len(), self.len * self.width, "rows have one width");
    }

    /// Adds the last row once more.
    pub(super) fn repeat_last(&mut self, times: u64) {
        for _ in 0..times {
            self.values.extend_from_within((self.len - 1) * self.width..self.len * self.width);
            self.len += 1;
        }
    }
}
