//! States of growing aggregates kept at some rows of a partition, so that a change is evaluated from the row it is at
//! instead of from the first.

use crate::aggregate::Accumulator;
use crate::window::Partition;

/// Rows between two checkpoints: what is evaluated in vain before a change, some 0.1 ms, against memory.
const CHECKPOINT_ROWS: i64 = if cfg!(test) { 4 } else { 512 };

/// Per call its state over all rows before a position; None for calls that have no such state.
pub(super) type States = Vec<Option<Accumulator>>;

/// By position, ascending. Each stands where a peer group begins.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    list: Vec<(i64, States)>,
    bytes: usize,
}

impl Checkpoints {
    /// The last position up to this one from which rows can be evaluated.
    pub fn before(&self, position: i64) -> i64 {
        let count = self.list.partition_point(|(own, _)| *own <= position);
        count.checked_sub(1).map_or(0, |at| self.list[at].0)
    }

    /// What is kept at exactly this position.
    pub fn at(&self, position: i64) -> Option<&States> {
        let at = self.list.binary_search_by_key(&position, |(own, _)| *own).ok()?;
        Some(&self.list[at].1)
    }

    /// Forgets what depends on rows at this position or behind it.
    pub fn cut(&mut self, position: i64) {
        let kept = self.list.partition_point(|(own, _)| *own <= position);
        self.bytes -= self.list.drain(kept..).map(|(_, states)| bytes_of(&states)).sum::<usize>();
    }

    /// Rows of these, counted from the first of them, at which states are to be kept. `start`: the position of the first.
    pub fn wanted(&self, start: i64, rows: &Partition<'_>) -> Vec<usize> {
        let mut last = self.list.last().map_or(0, |(position, _)| *position);
        let begins = (0..rows.groups()).map(|group| rows.group(group).start);
        begins
            .filter(|&begin| {
                let position = start + begin as i64;
                let is_due = position - last >= CHECKPOINT_ROWS;
                if is_due {
                    last = position;
                }
                is_due
            })
            .collect()
    }

    /// Adds states behind those that are kept.
    pub fn extend(&mut self, states: impl Iterator<Item = (i64, States)>) {
        for (position, states) in states {
            debug_assert!(self.list.last().is_none_or(|(last, _)| *last < position), "checkpoints are in order");
            self.bytes += bytes_of(&states);
            self.list.push((position, states));
        }
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

fn bytes_of(states: &States) -> usize {
    let heap = states.iter().flatten().map(Accumulator::heap_size).sum::<usize>();
    size_of::<(i64, States)>() + states.len() * size_of::<Option<Accumulator>>() + heap
}
