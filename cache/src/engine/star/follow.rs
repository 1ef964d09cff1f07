//! Following a link's change to the drivers it concerns: those under the changed key in one index of the driver.

use super::change::{Change, Replacement};
use super::expand::{Inputs, Joined, Matches, Term, Walk};
use super::kept::KeptRows;
use super::moved::MovedDrivers;
use crate::Delta;
use crate::engine::bag::Bag;
use crate::key::KeyState;
use smallvec::SmallVec;
use weir_planner::eval::Tuple;
use weir_planner::{Row, Value};

/// Drivers whose rows are brought into the processor's caches together: each is some 500 bytes with its output row, and
/// in a loop this short the waits for memory overlap.
const BLOCK_DRIVERS: usize = 32;

/// One link's change under one key.
pub(super) struct LinkChange<'a> {
    pub link: usize,
    pub key: &'a [Value],
    pub change: &'a Change,
}

/// A driver of the block at hand.
struct Reached<'a> {
    driver: &'a Row,
    weight: i64,
    hash: u64,
    /// Its output row, where it is kept.
    kept: Option<Row>,
}

impl<'a> Inputs<'a> {
    /// Emits the term of one link's change.
    pub fn follow(
        &self,
        drivers: &'a Bag,
        what: &LinkChange<'a>,
        moved: &MovedDrivers,
        kept: &mut Option<KeptRows>,
        joined: &mut Joined,
    ) {
        let LinkChange { link, key, change } = *what;
        let star = self.star;
        joined.repeats |= !change.is_single;
        let driver_key = |other: usize| star.spec.links[other].driver_key;
        let other_links = (0..star.spec.links.len()).filter(|&other| other != link);
        let (known, others): (Vec<usize>, Vec<usize>) =
            other_links.partition(|&other| driver_key(other) == driver_key(link));
        let mut found = vec![None; star.spec.links.len()];
        for &other in &known {
            found[other] = Some(self.matches(other, key, link < other));
        }
        // Other changes that these drivers may be touched by as well.
        let all_mixed = known.iter().any(|&other| self.changes[other].get(key).is_some());
        let others: Vec<usize> = others.into_iter().filter(|&other| !self.changes[other].is_empty()).collect();
        let patch = change.replacement.as_ref().filter(|_| change.is_single);
        let needs = patch.map_or(vec![], |replacement| star.links_read(&replacement.dirty, link));

        let mut rows = drivers.iter();
        let mut block: SmallVec<[Reached<'_>; BLOCK_DRIVERS]> = SmallVec::new();
        loop {
            block.clear();
            let reached = |(driver, weight): &'a (Row, i64)| Reached { driver, weight: *weight, hash: 0, kept: None };
            block.extend(rows.by_ref().take(BLOCK_DRIVERS).map(reached));
            if block.is_empty() {
                return;
            }
            approach(&mut block, kept.as_ref());
            for Reached { driver, weight, kept: row, .. } in block.drain(..) {
                let is_mixed = star.tells_drivers_apart
                    && (all_mixed
                        || others.iter().any(|&other| self.is_touched(other, driver))
                        || moved.contains(driver));
                if let (Some(kept), Some(replacement), false, 1) = (kept.as_mut(), patch, is_mixed, weight) {
                    let patched = row.is_some_and(|old| {
                        self.patch(old, driver, (link, replacement), (&needs, &found), kept, &mut joined.out.rows)
                    });
                    if !patched {
                        self.join_and_keep(Walk::new(Term::Link(link, change), driver, false, &found), kept, joined);
                    }
                    continue;
                }
                if let Some(kept) = kept {
                    kept.remove(driver);
                }
                joined.repeats |= weight != 1;
                self.join(Walk::new(Term::Link(link, change), driver, is_mixed, &found), weight, joined);
            }
        }
    }

    /// Whether a change of this link concerns the driver too.
    fn is_touched(&self, link: usize, driver: &Row) -> bool {
        let key = &self.star.spec.keys[self.star.spec.links[link].driver_key];
        key.with_key(driver, self.eval, |key, _| self.changes[link].get(key).is_some())
    }

    /// Joins a driver anew and keeps its new row when it has exactly one.
    fn join_and_keep(&self, walk: Walk<'a, '_>, kept: &mut KeptRows, joined: &mut Joined) {
        let (repeated, before) = (std::mem::take(&mut joined.repeats), joined.out.rows.len());
        kept.remove(walk.driver);
        self.join(walk, 1, joined);
        if let [_, (new, _)] = &joined.out.rows[before..]
            && !joined.repeats
        {
            kept.put(new.clone());
        }
        joined.repeats |= repeated;
    }

    /// The driver's one output row with a link's new row in: only what reads its differing columns is computed. False
    /// when a link that this needs has several rows.
    fn patch(
        &self,
        old: Row,
        driver: &'a Row,
        (link, replacement): (usize, &'a Replacement),
        (needs, found): (&[usize], &[Option<Matches<'a>>]),
        kept: &mut KeptRows,
        out: &mut Delta,
    ) -> bool {
        let star = self.star;
        let mut parts: SmallVec<[&[Value]; 8]> = SmallVec::new();
        parts.push(&driver[..star.spec.driver_width]);
        for (other, spec) in star.spec.links.iter().enumerate() {
            let row = if other == link {
                &replacement.new
            } else if needs.contains(&other) {
                let matches = found[other].unwrap_or_else(|| self.matches_of(other, driver));
                match matches.only(&star.absent) {
                    Some(row) => row,
                    None => return false,
                }
            } else {
                // Nothing reads it.
                &star.absent
            };
            parts.push(&row[..spec.width]);
        }
        let tuple = Tuple::concatenation(&parts);
        let values: SmallVec<[Value; 4]> =
            replacement.dirty.iter().map(|&column| star.output[column].value(tuple, &parts, self.eval)).collect();
        if let Some(new) = with_columns(&old, &replacement.dirty, values) {
            kept.put(new.clone());
            out.push((old, -1));
            out.push((new, 1));
        }
        true
    }

    /// What a driver that no other change touches finds in a link.
    fn matches_of(&self, link: usize, driver: &Row) -> Matches<'a> {
        let spec = &self.star.spec.links[link];
        self.star.spec.keys[spec.driver_key].with_key(driver, self.eval, |key, state| match state {
            KeyState::Present => self.matches(link, key, false),
            _ if spec.outer => Matches::Absent,
            _ => Matches::Nothing,
        })
    }
}

/// Touches what the block's drivers will need.
fn approach(block: &mut [Reached<'_>], kept: Option<&KeptRows>) {
    for reached in block.iter() {
        std::hint::black_box(reached.driver.last().is_some_and(Value::is_null));
    }
    let Some(kept) = kept else { return };
    for reached in block.iter_mut() {
        reached.hash = kept.hash_of_driver(reached.driver);
    }
    for reached in block.iter_mut() {
        reached.kept = kept.get(reached.hash, reached.driver).cloned();
    }
    for row in block.iter().filter_map(|reached| reached.kept.as_ref()) {
        std::hint::black_box(row.get(row.len() / 2).is_some_and(Value::is_null));
        std::hint::black_box(row.last().is_some_and(Value::is_null));
    }
}

/// The row with other values in these columns (ascending); None when they are the same.
pub(super) fn with_columns(row: &Row, columns: &[usize], values: SmallVec<[Value; 4]>) -> Option<Row> {
    if columns.iter().zip(&values).all(|(&column, value)| row[column] == *value) {
        return None;
    }
    let mut changed = columns.iter().zip(values).peekable();
    let of_column = |(column, value): (usize, &Value)| match changed.next_if(|(at, _)| **at == column) {
        Some((_, value)) => value,
        None => value.clone(),
    };
    Some(row.iter().enumerate().map(of_column).collect())
}
