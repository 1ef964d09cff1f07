//! Which image stands for a class of equal values (1.0 and 1.00, 'a' and 'a ' as char(n)) in a group key or DISTINCT.

use smallvec::SmallVec;
use weir_planner::types::ColumnType;
use weir_planner::{Row, Value, value};

/// The images present in one class. The first stands for it as long as it is present: SQL allows any, readers must
/// not see it flicker, and an image that no row has any more would not be Postgres' answer.
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

    /// The image that stands for the class; None when it is empty.
    pub fn representative(&self) -> Option<&Row> {
        self.entries.iter().find(|(_, count)| *count > 0).map(|(image, _)| image)
    }
}

/// True when equal values of a type can look different, so that images must be told apart.
pub(crate) fn has_many_images(columns: &[ColumnType]) -> bool {
    columns.iter().any(|column| value::has_many_images(column.oid))
}
