//! From one driver row to joined rows: link by link, each at its present, its past, or its change.

use super::StarOperator;
use super::change::{Change, Replacement};
use super::follow::with_columns;
use super::spec::LinkSpec;
use crate::Delta;
use crate::engine::arrangement::Arrangement;
use crate::engine::bag::{Bag, BagRows};
use crate::engine::operator::{Output, evaluate};
use crate::key::{KeyMap, KeyState};
use smallvec::SmallVec;
use weir_planner::eval::{EvalContext, Tuple};
use weir_planner::{Row, Value};

/// Links per star that fit on the stack; more go to the heap.
const USUAL_LINKS: usize = 7;

/// The rows joined so far, the driver's first.
type Parts<'a> = SmallVec<[&'a [Value]; USUAL_LINKS + 1]>;

/// Which term of the change a joined row belongs to (the product rule in [`super`]).
#[derive(Clone, Copy)]
pub(super) enum Term<'a> {
    /// The driver's own row came or went: every link at its past.
    Driver,
    /// A link's change: links before it at their present, links behind it at their past.
    Link(usize, &'a Change),
}

/// The inputs of a star in one step.
pub(super) struct Inputs<'a> {
    pub star: &'a StarOperator,
    pub links: Vec<&'a Arrangement>,
    /// Per link; empty for a link that stands still.
    pub changes: &'a [KeyMap<Change>],
    pub eval: &'a EvalContext,
}

/// What joined rows go to.
#[derive(Default)]
pub(super) struct Joined {
    pub out: Output,
    /// Rows of drivers that are touched by more than one change: what one term emits another may take back.
    pub mixed: Delta,
    /// Some driver was joined to several rows of one link, so that output rows may repeat.
    pub repeats: bool,
}

/// A way of one driver row through the links.
pub(super) struct Walk<'a, 'k> {
    pub term: Term<'a>,
    pub driver: &'a Row,
    pub is_mixed: bool,
    /// For links that all drivers of this walk look up with the same key: what they find.
    pub known: &'k [Option<Matches<'a>>],
    parts: Parts<'a>,
}

/// The rows of a link that a driver row is joined to.
#[derive(Clone, Copy)]
pub(super) enum Matches<'a> {
    Nothing,
    /// The row of NULLs.
    Absent,
    Bag(&'a Bag),
    Listed(&'a Delta),
}

impl<'a> Matches<'a> {
    fn is_single(self) -> bool {
        match self {
            Matches::Nothing | Matches::Absent | Matches::Bag(Bag::Empty | Bag::One((_, 1))) => true,
            Matches::Bag(_) => false,
            Matches::Listed(rows) => matches!(rows.as_slice(), [] | [(_, 1)]),
        }
    }

    /// The one row there is.
    pub fn only(self, absent: &'a Row) -> Option<&'a Row> {
        match self {
            Matches::Absent => Some(absent),
            Matches::Bag(Bag::One((row, 1))) => Some(row),
            _ => None,
        }
    }
}

impl<'a, 'k> Walk<'a, 'k> {
    pub fn new(term: Term<'a>, driver: &'a Row, is_mixed: bool, known: &'k [Option<Matches<'a>>]) -> Walk<'a, 'k> {
        Walk { term, driver, is_mixed, known, parts: SmallVec::new() }
    }
}

impl<'a> Inputs<'a> {
    /// What drivers with this key find in a link, now or before.
    pub fn matches(&self, link: usize, key: &[Value], before: bool) -> Matches<'a> {
        let spec = &self.star.spec.links[link];
        let bag = self.links[link].get(key);
        if before && let Some(change) = self.changes[link].get(key) {
            return Matches::Listed(change.before(spec, bag, &self.star.absent));
        }
        match bag {
            Some(bag) => Matches::Bag(bag),
            None if spec.outer => Matches::Absent,
            None => Matches::Nothing,
        }
    }

    /// Emits the joined rows of a driver row, in this walk's term.
    pub fn join(&self, mut walk: Walk<'a, '_>, weight: i64, joined: &mut Joined) {
        walk.parts.push(&walk.driver[..self.star.spec.driver_width]);
        self.join_from(0, weight, &mut walk, joined);
    }

    fn join_from(&self, link: usize, weight: i64, walk: &mut Walk<'a, '_>, joined: &mut Joined) {
        let Some(spec) = self.star.spec.links.get(link) else { return self.emit(weight, walk, joined) };
        let matches = match walk.term {
            Term::Link(changed, change) if changed == link => match &change.replacement {
                // The old row stands for both until the end.
                Some(replacement) => return self.join_row(link, &replacement.old, weight, walk, joined),
                None => Matches::Listed(&change.difference),
            },
            term => {
                let before = match term {
                    Term::Driver => true,
                    Term::Link(changed, _) => changed < link,
                };
                let matches = match walk.known.get(link) {
                    Some(Some(known)) => *known,
                    _ => {
                        let key = &self.star.spec.keys[spec.driver_key];
                        key.with_key(walk.driver, self.eval, |key, state| match state {
                            KeyState::Present => self.matches(link, key, before),
                            KeyState::HasNull if spec.outer => Matches::Absent,
                            KeyState::HasNull => Matches::Nothing,
                            KeyState::Failed => {
                                joined.out.errors += self.counted(link, weight, walk);
                                Matches::Nothing
                            }
                        })
                    }
                };
                joined.repeats |= !matches.is_single();
                matches
            }
        };
        match matches {
            Matches::Nothing => {}
            Matches::Absent => self.join_row(link, &self.star.absent, weight, walk, joined),
            Matches::Bag(bag) => self.join_rows(link, bag.iter(), weight, walk, joined),
            Matches::Listed(rows) => self.join_rows(link, BagRows::Listed(rows.iter()), weight, walk, joined),
        }
    }

    fn join_rows(&self, link: usize, rows: BagRows<'a>, weight: i64, walk: &mut Walk<'a, '_>, joined: &mut Joined) {
        for (row, count) in rows {
            self.join_row(link, row, weight * count, walk, joined);
        }
    }

    #[inline]
    fn join_row(&self, link: usize, row: &'a Row, weight: i64, walk: &mut Walk<'a, '_>, joined: &mut Joined) {
        let spec = &self.star.spec.links[link];
        walk.parts.push(&row[..spec.width]);
        if spec.conditions.is_empty() || self.holds(link, spec, weight, walk, joined) {
            self.join_from(link + 1, weight, walk, joined);
        }
        walk.parts.pop();
    }

    fn holds(&self, link: usize, spec: &LinkSpec, weight: i64, walk: &Walk<'a, '_>, joined: &mut Joined) -> bool {
        spec.conditions.iter().all(|condition| {
            match evaluate(condition, Tuple::concatenation(&walk.parts), self.eval) {
                Value::Bool(holds) => holds,
                Value::Error(_) => {
                    joined.out.errors += self.counted(link, weight, walk);
                    false
                }
                _ => false,
            }
        })
    }

    /// By how much a failure at this link changes the number of undecided rows. Before the changed link nothing has
    /// changed, and what one row replaces has failed as it fails.
    fn counted(&self, link: usize, weight: i64, walk: &Walk<'a, '_>) -> i64 {
        match walk.term {
            Term::Link(changed, change) if link < changed || change.replacement.is_some() => 0,
            _ => weight,
        }
    }

    fn emit(&self, weight: i64, walk: &mut Walk<'a, '_>, joined: &mut Joined) {
        if let Term::Link(link, Change { replacement: Some(replacement), .. }) = walk.term {
            return self.emit_replacement(link, replacement, weight, walk, joined);
        }
        let row = self.star.output_row(Tuple::concatenation(&walk.parts), &walk.parts, self.eval);
        if walk.is_mixed { joined.mixed.push((row, weight)) } else { joined.out.push(row, weight) }
    }

    /// The joined row with the old row of the link out, with the new one in, unless both look the same.
    fn emit_replacement(
        &self,
        link: usize,
        replacement: &'a Replacement,
        weight: i64,
        walk: &mut Walk<'a, '_>,
        joined: &mut Joined,
    ) {
        let star = self.star;
        let old = star.output_row(Tuple::concatenation(&walk.parts), &walk.parts, self.eval);
        let width = star.spec.links[link].width;
        let before = std::mem::replace(&mut walk.parts[link + 1], &replacement.new[..width]);
        let tuple = Tuple::concatenation(&walk.parts);
        let values: SmallVec<[Value; 4]> =
            replacement.dirty.iter().map(|&column| star.output[column].value(tuple, &walk.parts, self.eval)).collect();
        walk.parts[link + 1] = before;
        let Some(new) = with_columns(&old, &replacement.dirty, values) else { return };
        let rows = if walk.is_mixed { &mut joined.mixed } else { &mut joined.out.rows };
        rows.push((old, -weight));
        rows.push((new, weight));
    }
}
