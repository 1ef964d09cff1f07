//! Brackets of a pattern: `[a-z]`, `[^[:digit:]_]` (`brackpart` of regcomp.c).

use super::parse::Parser;
use super::set::{Set, both_cases, range_in_both_cases};

/// Postgres gives up on a range with more letters of another case.
const LONGEST_FOLDED: u32 = 50_000;

impl Parser<'_> {
    /// Behind `[`.
    pub(super) fn bracket(&mut self) -> Result<Set, &'static str> {
        let negated = self.accept('^');
        let mut ranges: Vec<(char, char)> = vec![];
        let mut is_first = true;
        loop {
            let c = self.next().ok_or("brackets that do not match")?;
            if c == ']' && !is_first {
                if negated && self.options.newline_stops {
                    ranges.push(('\n', '\n'));
                }
                return Ok(Set::of(ranges, negated));
            }
            is_first = false;
            if c == '[' && matches!(self.peek(), Some(':' | '.' | '=')) {
                self.named(&mut ranges)?;
                continue;
            }
            let first = match self.member(c, &mut ranges)? {
                Some(c) => c,
                None => continue,
            };
            // A hyphen before the closing bracket is one.
            if self.peek() != Some('-') || self.pattern.get(self.at + 1) == Some(&']') {
                if first == '-' && !ranges.is_empty() && self.peek() != Some(']') {
                    return Err("a hyphen in the middle of brackets");
                }
                ranges.extend(if self.options.fold { both_cases(first, self.letters) } else { vec![(first, first)] });
                continue;
            }
            self.at += 1;
            let c = self.next().ok_or("brackets that do not match")?;
            if c == '[' || c == '-' || first == '-' {
                return Err("an odd range");
            }
            match self.member(c, &mut ranges)? {
                Some(last) if first <= last && !self.options.fold => ranges.push((first, last)),
                Some(last) if first <= last && last as u32 - first as u32 <= LONGEST_FOLDED => {
                    ranges.extend(range_in_both_cases(first, last, self.letters));
                }
                _ => return Err("an odd range"),
            }
        }
    }

    /// A character between brackets, or a shorthand that is added to the set.
    fn member(&mut self, c: char, ranges: &mut Vec<(char, char)>) -> Result<Option<char>, &'static str> {
        if c != '\\' {
            return Ok(Some(c));
        }
        let c = self.next().ok_or("a backslash at the end")?;
        if let Some(members) = self.shorthand(c)? {
            ranges.extend(members);
            if self.peek() == Some('-') && self.pattern.get(self.at + 1) != Some(&']') {
                return Err("an odd range");
            }
            return Ok(None);
        }
        self.character(c).map(Some)
    }

    /// `[:alpha:]`, `[.a.]` and `[=a=]`, behind the first bracket.
    fn named(&mut self, ranges: &mut Vec<(char, char)>) -> Result<(), &'static str> {
        let kind = self.next().ok_or("brackets that do not match")?;
        let rest = &self.pattern[self.at..];
        let length = rest.windows(2).position(|pair| *pair == [kind, ']']).ok_or("brackets that do not match")?;
        let name: String = rest[..length].iter().collect();
        self.at += length + 2;
        match (kind, name.chars().next()) {
            (':', _) => {
                let members = self.class(&name)?;
                ranges.extend(members);
            }
            // No other character is equivalent to it.
            (_, Some(c)) if name.chars().count() == 1 => {
                ranges.extend(if self.options.fold { both_cases(c, self.letters) } else { vec![(c, c)] });
            }
            _ => return Err("a character by its name"),
        }
        if self.peek() == Some('-') && self.pattern.get(self.at + 1) != Some(&']') {
            return Err("an odd range");
        }
        Ok(())
    }
}
