//! Sets of characters: ranges, and whether the set is all others.

/// Characters from the first to the last of any of the ranges, or all but those.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Set {
    pub ranges: Vec<(char, char)>,
    pub negated: bool,
    /// Letters of ASCII stand for both of their cases.
    pub fold: bool,
}

impl Set {
    pub fn any() -> Set {
        Set { negated: true, ..Set::default() }
    }

    pub fn one(c: char, fold: bool) -> Set {
        Set { ranges: vec![(c, c)], negated: false, fold }
    }

    pub fn contains(&self, c: char) -> bool {
        let is_in = |c: char| self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&c));
        let found = is_in(c) || (self.fold && (is_in(c.to_ascii_lowercase()) || is_in(c.to_ascii_uppercase())));
        found != self.negated
    }
}

/// Members of a class among the characters of ASCII.
pub(super) fn class(name: &str) -> Option<&'static [(char, char)]> {
    Some(match name {
        "alpha" => &[('A', 'Z'), ('a', 'z')],
        "digit" => &[('0', '9')],
        "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "upper" => &[('A', 'Z')],
        "lower" => &[('a', 'z')],
        "space" => &[('\t', '\r'), (' ', ' ')],
        "blank" => &[('\t', '\t'), (' ', ' ')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        _ => return None,
    })
}

/// `\d`, `\s` and `\w`: digits, blanks, and what words are made of.
pub(super) fn shorthand(letter: char) -> Option<&'static [(char, char)]> {
    Some(match letter {
        'd' => &[('0', '9')],
        's' => &[('\t', '\r'), (' ', ' ')],
        'w' => &[('0', '9'), ('A', 'Z'), ('a', 'z'), ('_', '_')],
        _ => return None,
    })
}
