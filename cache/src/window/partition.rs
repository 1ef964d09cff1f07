//! The rows of one partition in order, and who are peers.

use std::ops::Range;
use weir_planner::Value;

/// Rows in order, each copy for itself.
pub(crate) struct Partition<'a> {
    rows: Vec<&'a [Value]>,
    /// Number of the peer group each row is in.
    group_of: Vec<usize>,
    /// First row of each peer group, and the number of rows.
    starts: Vec<usize>,
    /// Whether the members of a group are alike in all columns that matter.
    uniform: Vec<bool>,
}

impl<'a> Partition<'a> {
    pub fn new() -> Partition<'a> {
        Partition { rows: vec![], group_of: vec![], starts: vec![0], uniform: vec![] }
    }

    /// Adds a row `copies` times. `is_peer`: it equals the one before in the order; `is_alike`: also in all columns that
    /// matter.
    pub fn push(&mut self, row: &'a [Value], copies: usize, is_peer: bool, is_alike: bool) {
        if copies == 0 {
            return;
        }
        if self.rows.is_empty() || !is_peer {
            self.uniform.push(true);
            self.starts.push(self.rows.len());
        } else if !is_alike && let Some(uniform) = self.uniform.last_mut() {
            *uniform = false;
        }
        let group = self.uniform.len() - 1;
        self.rows.extend(std::iter::repeat_n(row, copies));
        self.group_of.extend(std::iter::repeat_n(group, copies));
        let end = self.rows.len();
        if let Some(last) = self.starts.last_mut() {
            *last = end;
        }
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn row(&self, at: usize) -> &'a [Value] {
        self.rows[at]
    }

    pub fn groups(&self) -> usize {
        self.uniform.len()
    }

    pub fn group_of(&self, row: usize) -> usize {
        self.group_of[row]
    }

    /// The rows of a group.
    pub fn group(&self, group: usize) -> Range<usize> {
        self.starts[group]..self.starts[group + 1]
    }

    /// The row's peers, itself among them.
    pub fn peers(&self, row: usize) -> Range<usize> {
        self.group(self.group_of[row])
    }

    /// The order among this row's peers cannot be seen.
    pub fn is_settled(&self, row: usize) -> bool {
        self.uniform[self.group_of[row]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups() {
        let rows: Vec<[Value; 1]> = [1, 1, 2].map(|n| [Value::Int4(n)]).into();
        let mut partition = Partition::new();
        partition.push(&rows[0], 2, false, false);
        partition.push(&rows[1], 1, true, false);
        partition.push(&rows[2], 1, false, false);
        assert_eq!((partition.len(), partition.groups()), (4, 2));
        assert_eq!((partition.peers(1), partition.peers(3)), (0..3, 3..4));
        assert!(!partition.is_settled(0) && partition.is_settled(3));
    }
}
