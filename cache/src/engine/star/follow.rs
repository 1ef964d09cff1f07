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

/// Changes of other links that reach a driver too.
type Touching<'a> = SmallVec<[(usize, &'a Change); 4]>;

/// Links of which a driver's one row is replaced by another, and by which.
type Replaced<'a> = SmallVec<[(usize, &'a Replacement); 4]>;

/// All changes of a driver as replacements; None when one of them is something else.
fn replacements<'a>(own: (usize, &'a Replacement), touching: &Touching<'a>) -> Option<Replaced<'a>> {
    let mut all = Replaced::new();
    all.push(own);
    for (link, change) in touching {
        all.push((*link, change.replacement.as_ref().filter(|_| change.is_single)?));
    }
    Some(all)
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
        let together: Touching<'_> = known.iter().filter_map(|&other| self.change_under(other, key)).collect();
        let others: Vec<usize> = others.into_iter().filter(|&other| !self.changes[other].is_empty()).collect();
        let patch = change.replacement.as_ref().filter(|_| change.is_single);

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
                let mut touching = Touching::new();
                let mut is_moved = false;
                if star.tells_drivers_apart {
                    touching.extend_from_slice(&together);
                    touching.extend(others.iter().filter_map(|&other| self.change_at(other, driver)));
                    is_moved = moved.contains(driver);
                }
                let is_mixed = is_moved || !touching.is_empty();
                if let (Some(kept), Some(replacement), false, 1) = (kept.as_mut(), patch, is_moved, weight) {
                    let own = (link, replacement);
                    if let (Some(old), Some(all)) = (row, replacements(own, &touching)) {
                        // The first of several links that reach a driver has brought its row to the present.
                        if touching.iter().any(|(other, _)| *other < link)
                            || self.patch(old, driver, &all, &found, kept, &mut joined.out.rows)
                        {
                            continue;
                        }
                    }
                    if !is_mixed {
                        self.join_and_keep(Walk::new(Term::Link(link, change), driver, false, &found), kept, joined);
                        continue;
                    }
                }
                if let Some(kept) = kept {
                    kept.remove(driver);
                }
                joined.repeats |= weight != 1;
                self.join(Walk::new(Term::Link(link, change), driver, is_mixed, &found), weight, joined);
            }
        }
    }

    /// What changes in a link under a key, if that can change an output row.
    fn change_under(&self, link: usize, key: &[Value]) -> Option<(usize, &'a Change)> {
        let change = self.changes[link].get(key).filter(|change| !change.is_void())?;
        Some((link, change))
    }

    /// What changes in a link for this driver.
    fn change_at(&self, link: usize, driver: &Row) -> Option<(usize, &'a Change)> {
        let key = &self.star.spec.keys[self.star.spec.links[link].driver_key];
        key.with_key(driver, self.eval, |key, _| self.change_under(link, key))
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

    /// The driver's one output row with the new rows of these links in: only what reads their differing columns is
    /// computed. False when a link that this needs has several rows.
    fn patch(
        &self,
        old: Row,
        driver: &'a Row,
        replaced: &Replaced<'a>,
        found: &[Option<Matches<'a>>],
        kept: &mut KeptRows,
        out: &mut Delta,
    ) -> bool {
        let star = self.star;
        let mut dirty: SmallVec<[usize; 16]> = replaced.iter().flat_map(|(_, by)| &by.dirty).copied().collect();
        if replaced.len() > 1 {
            dirty.sort_unstable();
            dirty.dedup();
        }
        let mut parts: SmallVec<[&[Value]; 8]> = SmallVec::new();
        parts.push(&driver[..star.spec.driver_width]);
        for (other, spec) in star.spec.links.iter().enumerate() {
            let row = if let Some((_, replacement)) = replaced.iter().find(|(link, _)| *link == other) {
                &replacement.new
            } else if dirty.iter().any(|&column| star.reads[other][column]) {
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
            dirty.iter().map(|&column| star.output[column].value(tuple, &parts, self.eval)).collect();
        if let Some(new) = with_columns(&old, &dirty, values) {
            kept.put(new.clone());
            out.push((old, -1));
            out.push((new, 1));
        }
        true
    }

    /// What a driver finds in a link in which nothing changes for it.
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
