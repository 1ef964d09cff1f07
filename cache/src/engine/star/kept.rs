//! Output rows as they were published, by their driver: what a link's change does not reach is then copied from the
//! row that is there, and the links it does not touch are not looked up.
//!
//! Kept only by a star whose output is published: the rows themselves are the snapshot's, a pointer each is ours.

use crate::Delta;
use crate::delta::hash_values;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use weir_planner::{Row, Value};

/// Output rows of drivers that have exactly one. A driver may be missing at any time: its row is then joined anew.
#[derive(Debug, Default)]
pub(super) struct KeptRows {
    /// The driver's unique columns: where they are in its row and in the output row.
    columns: Vec<(usize, usize)>,
    rows: HashTable<Row>,
}

/// One hash of several columns.
fn hash(row: &[Value], columns: impl Iterator<Item = usize>) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    columns.fold(0, |hash: u64, column| hash.wrapping_mul(ODD) ^ hash_values(std::slice::from_ref(&row[column])))
}

impl KeptRows {
    pub fn new(columns: Vec<(usize, usize)>) -> KeptRows {
        KeptRows { columns, rows: HashTable::new() }
    }

    pub fn hash_of_driver(&self, driver: &[Value]) -> u64 {
        hash(driver, self.columns.iter().map(|(own, _)| *own))
    }

    fn hash_of_output(columns: &[(usize, usize)], row: &[Value]) -> u64 {
        hash(row, columns.iter().map(|(_, output)| *output))
    }

    /// Takes over all output rows; those of drivers that have several are left out.
    pub fn fill(&mut self, rows: &Delta) {
        let KeptRows { columns, rows: kept } = self;
        kept.clear();
        kept.reserve(rows.len(), |row| KeptRows::hash_of_output(columns, row));
        let mut several = vec![];
        for (row, weight) in rows {
            let same = |other: &Row| columns.iter().all(|(_, column)| other[*column] == row[*column]);
            let rehash = |row: &Row| KeptRows::hash_of_output(columns, row);
            match kept.entry(KeptRows::hash_of_output(columns, row), same, rehash) {
                Entry::Occupied(_) => several.push(row.clone()),
                Entry::Vacant(_) if *weight != 1 => several.push(row.clone()),
                Entry::Vacant(entry) => {
                    entry.insert(row.clone());
                }
            }
        }
        for row in several {
            let same = |other: &Row| columns.iter().all(|(_, column)| other[*column] == row[*column]);
            if let Ok(entry) = kept.find_entry(KeptRows::hash_of_output(columns, &row), same) {
                entry.remove();
            }
        }
    }

    #[inline]
    pub fn get(&self, hash: u64, driver: &[Value]) -> Option<&Row> {
        self.rows.find(hash, |row| self.columns.iter().all(|(own, output)| row[*output] == driver[*own]))
    }

    /// Sets the output row of a driver.
    pub fn put(&mut self, row: Row) {
        let KeptRows { columns, rows } = self;
        let same = |other: &Row| columns.iter().all(|(_, column)| other[*column] == row[*column]);
        let rehash = |row: &Row| KeptRows::hash_of_output(columns, row);
        match rows.entry(KeptRows::hash_of_output(columns, &row), same, rehash) {
            Entry::Occupied(mut entry) => *entry.get_mut() = row,
            Entry::Vacant(entry) => {
                entry.insert(row);
            }
        }
    }

    pub fn remove(&mut self, driver: &[Value]) {
        let hash = self.hash_of_driver(driver);
        let columns = &self.columns;
        let is_its = |row: &Row| columns.iter().all(|(own, output)| row[*output] == driver[*own]);
        if let Ok(entry) = self.rows.find_entry(hash, is_its) {
            entry.remove();
        }
    }

    /// Bytes of the pointers; the rows are accounted for where they are published.
    pub fn bytes(&self) -> usize {
        self.rows.capacity() * (size_of::<Row>() + 1)
    }
}
