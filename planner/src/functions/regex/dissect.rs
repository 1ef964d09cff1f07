//! What the parts of a pattern take of a text that the whole matches.
//!
//! Postgres decides where a match begins and ends first. Then it hands the text to the parts of the pattern, earlier parts first,
//! each of which takes the most or the least with which the rest can still match (`cdissect` of regexec.c). A back reference may
//! not agree with what was taken: then the part before it takes less, or more, and so on to the begin.

use super::look::Subject;
use super::part::{Kind, Part, Times};
use super::program::spend;
use super::taste::Taste;
use crate::functions::letters::Letters;
use crate::value::EvalError;

/// Begin and end of what each pair of parentheses matched, from number 1 on.
pub(super) type Captures = Vec<Option<(usize, usize)>>;

type Span = (usize, usize);

/// A text that is being divided.
pub(super) struct Dissection<'t> {
    pub text: &'t Subject,
    /// Of a pattern without regard to case.
    pub letters: Option<&'static Letters>,
    pub captures: Captures,
}

impl Part {
    /// Where a match that begins at `start` ends.
    pub fn end(&self, text: &Subject, start: usize, work: &mut u64) -> Result<Option<usize>, EvalError> {
        let ends = self.program.ends(text, start, text.len(), work)?;
        Ok(self.preferred(&ends).next())
    }

    /// Ends in ascending order, those that are preferred first.
    pub fn preferred<'e>(&self, ends: &'e [usize]) -> Box<dyn Iterator<Item = usize> + 'e> {
        match self.is_lazy() {
            true => Box::new(ends.iter().copied()),
            false => Box::new(ends.iter().rev().copied()),
        }
    }

    fn is_lazy(&self) -> bool {
        self.traits.taste == Some(Taste::Lazy)
    }

    fn is_match(&self, text: &Subject, (start, end): Span, work: &mut u64) -> Result<bool, EvalError> {
        Ok(self.program.ends(text, start, end, work)?.last() == Some(&end))
    }

    /// Forgets what was captured in it.
    pub fn forget(&self, captures: &mut Captures) {
        if let Some(group) = self.group {
            captures[group - 1] = None;
        }
        match &self.kind {
            Kind::Plain | Kind::Back(..) => {}
            Kind::Within(part) | Kind::Repeat(part, _) => part.forget(captures),
            Kind::Both(left, right) => [left, right].into_iter().for_each(|part| part.forget(captures)),
            Kind::Either(parts) => parts.iter().for_each(|part| part.forget(captures)),
        }
    }
}

impl Dissection<'_> {
    /// Finds what the parentheses of a part that matches there have matched. False where a back reference in it does not agree: then
    /// nothing is captured in it.
    pub fn of(&mut self, part: &Part, span: Span, work: &mut u64) -> Result<bool, EvalError> {
        // What is compared with a capture is read.
        spend(work, 1 + span.1 - span.0)?;
        let found = match &part.kind {
            Kind::Plain => true,
            Kind::Within(part) => self.of(part, span, work)?,
            Kind::Back(number, times) => self.is_back(*number, *times, span),
            Kind::Both(left, right) => self.both(left, right, span, work)?,
            Kind::Either(parts) => self.either(parts, span, work)?,
            Kind::Repeat(part, times) if part.traits.has_backs => self.many(part, *times, span, work)?,
            Kind::Repeat(part, times) => self.last_of_many(part, times.most, span, work)?,
        };
        if let (true, Some(group)) = (found, part.group) {
            self.captures[group - 1] = Some(span);
        }
        Ok(found)
    }

    fn both(&mut self, left: &Part, right: &Part, (start, end): Span, work: &mut u64) -> Result<bool, EvalError> {
        let ends = left.program.ends(self.text, start, end, work)?;
        for middle in left.preferred(&ends) {
            if right.is_match(self.text, (middle, end), work)? && self.of(left, (start, middle), work)? {
                if self.of(right, (middle, end), work)? {
                    return Ok(true);
                }
                left.forget(&mut self.captures);
            }
        }
        Ok(false)
    }

    fn either(&mut self, parts: &[Part], span: Span, work: &mut u64) -> Result<bool, EvalError> {
        for part in parts {
            if part.is_match(self.text, span, work)? && self.of(part, span, work)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether this is what was captured, so many times.
    fn is_back(&self, number: usize, times: Times, (start, end): Span) -> bool {
        let Some((from, to)) = self.captures[number - 1] else { return false };
        let (captured, rest) = (&self.text[from..to], &self.text[start..end]);
        if captured.is_empty() || rest.is_empty() {
            return rest.is_empty() && (captured.is_empty() || times.least == 0);
        }
        let count = rest.len() / captured.len();
        rest.len() % captured.len() == 0
            && count >= times.least as usize
            && times.most.is_none_or(|most| count <= most as usize)
            && rest.chunks(captured.len()).all(|chunk| chunk.iter().zip(captured).all(|(a, b)| self.is_same(*a, *b)))
    }

    fn is_same(&self, a: char, b: char) -> bool {
        a == b || self.letters.is_some_and(|letters| letters.lower_of(a) == letters.lower_of(b))
    }

    /// What the last match captured of several, no back reference being in them.
    fn last_of_many(&mut self, part: &Part, most: Option<u32>, span: Span, work: &mut u64) -> Result<bool, EvalError> {
        let (start, end) = span;
        // Nothing is matched once by what could match more, and not at all by what had rather matched less.
        if start == end && !part.is_lazy() && part.is_match(self.text, span, work)? {
            self.of(part, span, work)?;
        } else if let Some(begin) = self.begin_of_last(part, most, span, work)? {
            self.of(part, (begin, end), work)?;
        }
        Ok(true)
    }

    /// Where the last match begins of up to so many, none of them empty, that fill the text; each has what it prefers of what lets
    /// the others reach the end. None: of no times.
    fn begin_of_last(
        &self,
        part: &Part,
        most: Option<u32>,
        (start, end): Span,
        work: &mut u64,
    ) -> Result<Option<usize>, EvalError> {
        let length = end - start;
        // By place: where matches from there end, and how few of them reach the end.
        let mut ends: Vec<Vec<usize>> = vec![vec![]; length];
        let mut fewest: Vec<Option<u32>> = vec![None; length];
        fewest.push(Some(0));
        for at in (0..length).rev() {
            let mut all = part.program.ends(self.text, start + at, end, work)?;
            all.retain(|next| *next > start + at);
            fewest[at] = all.iter().filter_map(|next| fewest[next - start]).min().map(|fewest| fewest + 1);
            ends[at] = all;
        }
        let (mut at, mut last, mut left) = (start, None, most);
        while at < end {
            left = left.map(|left| left.saturating_sub(1));
            let reaches =
                |next: &usize| fewest[next - start].is_some_and(|fewest| left.is_none_or(|left| fewest <= left));
            let Some(next) = part.preferred(&ends[at - start]).find(reaches) else { break };
            last = Some(at);
            at = next;
        }
        Ok(last)
    }
}
