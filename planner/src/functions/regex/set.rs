//! Sets of characters: ranges, and whether the set is all others.

use crate::functions::letters::Letters;

/// Characters from the first to the last of any of the ranges, or all but those.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Set {
    /// Ascending, apart from each other.
    ranges: Vec<(char, char)>,
    negated: bool,
}

impl Set {
    pub fn any() -> Set {
        Set { ranges: vec![], negated: true }
    }

    pub fn of(mut ranges: Vec<(char, char)>, negated: bool) -> Set {
        ranges.sort_unstable();
        let mut joined: Vec<(char, char)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match joined.last_mut() {
                Some((_, end)) if first <= *end => *end = last.max(*end),
                _ => joined.push((first, last)),
            }
        }
        Set { ranges: joined, negated }
    }

    pub fn contains(&self, c: char) -> bool {
        let behind = self.ranges.partition_point(|(first, _)| *first <= c);
        let found = behind > 0 && c <= self.ranges[behind - 1].1;
        found != self.negated
    }
}

/// A character that stands for both of its cases (`allcases` in regc_locale.c): for them, and not for itself if it is neither.
pub(super) fn both_cases(c: char, letters: &Letters) -> Vec<(char, char)> {
    let cases: Vec<(char, char)> = letters.cases_of(c, c).map(|case| (case, case)).collect();
    // The one that it is itself is not among them.
    if cases.len() < 2 { [vec![(c, c)], cases].concat() } else { cases }
}

/// A range, and what is the other case of one of its characters (`range` there).
pub(super) fn range_in_both_cases(first: char, last: char, letters: &Letters) -> Vec<(char, char)> {
    letters.cases_of(first, last).map(|case| (case, case)).chain([(first, last)]).collect()
}

/// The class that `\d`, `\s` and `\w` stand for, the last with the underscore.
pub(super) fn shorthand(letter: char) -> Option<&'static str> {
    Some(match letter {
        'd' => "digit",
        's' => "space",
        'w' => "alnum",
        _ => return None,
    })
}
