//! A part with back references in it, several times (`citerdissect` and `creviterdissect` of regexec.c).
//!
//! The text is divided by what the part matches, whatever its back references; then each piece is dissected. If one does not
//! agree, its end is moved by one of those that are left, and what comes behind it is divided again.

use super::dissect::Dissection;
use super::part::{Part, Times};
use super::program::spend;
use super::taste::Taste;
use crate::value::EvalError;

/// How a text from `ends[0]` on may be divided.
struct Division<'p> {
    part: &'p Part,
    is_lazy: bool,
    /// Where the pieces end that have been tried; the first is where the text begins.
    ends: Vec<usize>,
    end: usize,
    fewest: usize,
    most: usize,
    /// By place: where matches that begin there end.
    known: Vec<Option<Vec<usize>>>,
}

impl Dissection<'_> {
    pub(super) fn many(
        &mut self,
        part: &Part,
        times: Times,
        (start, end): (usize, usize),
        work: &mut u64,
    ) -> Result<bool, EvalError> {
        let is_lazy = part.traits.taste == Some(Taste::Lazy);
        let can_be_none = times.least == 0 && start == end;
        if is_lazy && can_be_none {
            return Ok(true);
        }
        let fewest = times.least.max(1) as usize;
        let most = times.most.map_or(usize::MAX, |most| most as usize).min(end - start).max(fewest);
        let known = vec![None; end - start + 1];
        let mut division = Division { part, is_lazy, ends: vec![start; most + 1], end, fewest, most, known };
        Ok(self.divides(&mut division, work)? || can_be_none)
    }

    /// Divides the text into pieces, each as long (as short) as it can be, that all agree.
    fn divides(&mut self, division: &mut Division<'_>, work: &mut u64) -> Result<bool, EvalError> {
        let (mut verified, mut piece) = (0, 1);
        let mut limit = division.first_limit(piece);
        while piece > 0 {
            spend(work, 1)?;
            match division.end_of(piece, limit, self, work)? {
                None => piece -= 1,
                Some(found) => {
                    division.ends[piece] = found;
                    verified = verified.min(piece - 1);
                    if found == division.end {
                        if piece >= division.fewest {
                            match self.verify(division, &mut verified, piece, work)? {
                                None => return Ok(true),
                                Some(failed) => piece = failed,
                            }
                        }
                    } else if piece >= division.most {
                        piece -= 1;
                    } else if found > division.ends[piece - 1] || division.may_be_empty(piece) {
                        piece += 1;
                        limit = division.first_limit(piece);
                        continue;
                    }
                }
            }
            (piece, limit) = division.moved(piece);
        }
        Ok(false)
    }

    /// Dissects the pieces behind those that have been. The number of the first that does not agree.
    fn verify(
        &mut self,
        division: &Division<'_>,
        verified: &mut usize,
        pieces: usize,
        work: &mut u64,
    ) -> Result<Option<usize>, EvalError> {
        for piece in *verified + 1..=pieces {
            // Of the pieces only the last one's captures count.
            division.part.forget(&mut self.captures);
            if !self.of(division.part, (division.ends[piece - 1], division.ends[piece]), work)? {
                return Ok(Some(piece));
            }
            *verified = piece;
        }
        Ok(None)
    }
}

impl Division<'_> {
    /// How far a piece may reach, or from where on it may end, when it is tried first.
    fn first_limit(&self, piece: usize) -> usize {
        if self.is_lazy { self.ends[piece - 1] } else { self.end }
    }

    /// It takes empty pieces to have enough of them, if this one is empty.
    fn may_be_empty(&self, piece: usize) -> bool {
        piece < self.fewest && self.fewest - piece >= self.end - self.ends[piece - 1]
    }

    /// The longest (shortest) end of a piece within its limit.
    fn end_of(
        &mut self,
        piece: usize,
        mut limit: usize,
        within: &Dissection<'_>,
        work: &mut u64,
    ) -> Result<Option<usize>, EvalError> {
        let begin = self.ends[piece - 1];
        if self.is_lazy {
            if limit == begin && limit != self.end && !self.may_be_empty(piece) {
                limit += 1;
            }
            // The last that is allowed must reach the end.
            if piece >= self.most {
                limit = self.end;
            }
        }
        let (part, start, end, is_lazy) = (self.part, self.ends[0], self.end, self.is_lazy);
        let known = &mut self.known[begin - start];
        let ends = match known {
            Some(ends) => ends,
            None => known.insert(part.program.ends(within.text, begin, end, work)?),
        };
        Ok(match is_lazy {
            true => ends.get(ends.partition_point(|end| *end < limit)).copied(),
            false => ends[..ends.partition_point(|end| *end <= limit)].last().copied(),
        })
    }

    /// The last piece up to this one that can be made shorter (longer), and its new limit. 0: there is none.
    fn moved(&self, mut piece: usize) -> (usize, usize) {
        while piece > 0 {
            let (begin, end) = (self.ends[piece - 1], self.ends[piece]);
            if self.is_lazy {
                if end < self.end {
                    return (piece, end + 1);
                }
            } else if end > begin && (end - 1 > begin || self.may_be_empty(piece)) {
                return (piece, end - 1);
            }
            piece -= 1;
        }
        (0, 0)
    }
}
