//! What stands for a class of equal values (1.0 and 1.00, 'a' and 'a ' as char(n)) in a group key or DISTINCT.

use crate::key::of_several_looks;
use smallvec::SmallVec;
use weir_planner::types::ColumnType;
use weir_planner::{Row, Value, value};

/// The images present in one class.
#[derive(Debug)]
pub(crate) struct Images {
    entries: SmallVec<[(Row, i64); 1]>,
}

impl Images {
    pub fn new() -> Images {
        Images { entries: SmallVec::new() }
    }

    /// Counts an image of the class.
    pub fn add(&mut self, image: &[Value], weight: i64) {
        match self.entries.iter().position(|(own, _)| **own == *image) {
            Some(index) => {
                self.entries[index].1 += weight;
                if self.entries[index].1 == 0 {
                    self.entries.remove(index);
                }
            }
            None => self.entries.push((Row::from(image), weight)),
        }
    }

    /// The class as a row: where its images differ, Postgres shows the one it meets first, which is not known. None: it is empty.
    pub fn shown(&self) -> Option<Row> {
        let mut present = self.entries.iter().filter(|(_, count)| *count > 0).map(|(image, _)| image);
        let first = present.next()?;
        let Some(second) = present.next() else { return Some(first.clone()) };
        let others: Vec<&Row> = std::iter::once(second).chain(present).collect();
        let column = |(at, value): (usize, &Value)| {
            if others.iter().all(|other| other[at] == *value) { value.clone() } else { of_several_looks().into() }
        };
        Some(first.iter().enumerate().map(column).collect::<Vec<Value>>().into())
    }
}

/// True when equal values of a type can look different, so that images must be told apart.
pub(crate) fn has_many_images(columns: &[ColumnType]) -> bool {
    columns.iter().any(|column| value::has_many_images(column.oid))
}
