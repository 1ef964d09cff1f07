//! A part with back references in it, several times (`citerdissect` and `creviterdissect` of regexec.c).
//!
//! The text is divided by what the part matches, whatever its back references; then each piece is dissected. If one does not
//! agree, its end is moved by one of those that are left, and what comes behind it is divided again.

use super::dissect::Dissection;
use super::part::{Part, Times};
use super::taste::Taste;
use crate::value::EvalError;

/// How a text from `ends[0]` on may be divided.
struct Division<'p> {
    part: &'p Part,
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
        let mut division = Division { part, ends: vec![start; most + 1], end, fewest, most, known };
        let found =
            if is_lazy { self.with_shortest(&mut division, work)? } else { self.with_longest(&mut division, work)? };
        Ok(found || can_be_none)
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

    /// Each piece as long as it can be.
    fn with_longest(&mut self, division: &mut Division<'_>, work: &mut u64) -> Result<bool, EvalError> {
        let (end, fewest) = (division.end, division.fewest);
        let (mut verified, mut piece, mut limit) = (0, 1, end);
        while piece > 0 {
            let begin = division.ends[piece - 1];
            let found = division.ends_from(self, begin, work)?.iter().rev().find(|end| **end <= limit).copied();
            match found {
                None => piece -= 1,
                Some(found) => {
                    division.ends[piece] = found;
                    verified = verified.min(piece - 1);
                    let is_needless = piece >= fewest || fewest - piece < end - found;
                    if found == end {
                        if piece >= fewest {
                            match self.verify(division, &mut verified, piece, work)? {
                                None => return Ok(true),
                                Some(failed) => piece = failed,
                            }
                        }
                    } else if piece >= division.most {
                        piece -= 1;
                    } else if found > begin || !is_needless {
                        (piece, limit) = (piece + 1, end);
                        continue;
                    }
                }
            }
            // A shorter one, empty only where it takes empty ones to have enough.
            while piece > 0 {
                let begin = division.ends[piece - 1];
                if division.ends[piece] > begin {
                    limit = division.ends[piece] - 1;
                    if limit > begin || piece < fewest && fewest - piece >= end - begin {
                        break;
                    }
                }
                piece -= 1;
            }
        }
        Ok(false)
    }

    /// Each piece as short as it can be.
    fn with_shortest(&mut self, division: &mut Division<'_>, work: &mut u64) -> Result<bool, EvalError> {
        let (end, fewest) = (division.end, division.fewest);
        let (mut verified, mut piece, mut limit) = (0, 1, division.ends[0]);
        while piece > 0 {
            let begin = division.ends[piece - 1];
            if limit == begin && limit != end && (piece >= fewest || fewest - piece < end - limit) {
                limit += 1;
            }
            if piece >= division.most {
                limit = end;
            }
            let found = division.ends_from(self, begin, work)?.iter().find(|end| **end >= limit).copied();
            match found {
                None => piece -= 1,
                Some(found) => {
                    division.ends[piece] = found;
                    verified = verified.min(piece - 1);
                    if found == end {
                        if piece >= fewest {
                            match self.verify(division, &mut verified, piece, work)? {
                                None => return Ok(true),
                                Some(failed) => piece = failed,
                            }
                        }
                    } else if piece >= division.most {
                        piece -= 1;
                    } else {
                        (piece, limit) = (piece + 1, found);
                        continue;
                    }
                }
            }
            // A longer one.
            while piece > 0 && division.ends[piece] >= end {
                piece -= 1;
            }
            limit = division.ends[piece] + 1;
        }
        Ok(false)
    }
}

impl Division<'_> {
    fn ends_from(&mut self, within: &Dissection<'_>, begin: usize, work: &mut u64) -> Result<&[usize], EvalError> {
        let known = &mut self.known[begin - self.ends[0]];
        if known.is_none() {
            *known = Some(self.part.program.ends(within.text, begin, self.end, work)?);
        }
        Ok(known.as_deref().unwrap_or_default())
    }
}
