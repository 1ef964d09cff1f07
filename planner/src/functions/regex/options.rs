//! Options of a pattern, as a function's flags and at its own begin (`parse_re_flags` of regexp.c, `prefixes` of regc_lex.c).

/// How a pattern is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// Without regard to case.
    pub fold: bool,
    /// Newlines are not matched by `.` and `[^…]`.
    pub newline_stops: bool,
    /// `^` and `$` match at the ends of lines, too.
    pub newline_anchors: bool,
    /// White space and comments do not count.
    pub expanded: bool,
    /// Every character stands for itself.
    pub literal: bool,
}

impl Options {
    /// True when the letter is an option that is known here.
    pub fn set(&mut self, letter: char) -> bool {
        let newlines = (&mut self.newline_stops, &mut self.newline_anchors);
        match letter {
            'i' => self.fold = true,
            'c' => self.fold = false,
            'n' | 'm' => (*newlines.0, *newlines.1) = (true, true),
            's' => (*newlines.0, *newlines.1) = (false, false),
            'p' => (*newlines.0, *newlines.1) = (true, false),
            'w' => (*newlines.0, *newlines.1) = (false, true),
            'x' => self.expanded = true,
            't' => self.expanded = false,
            'q' => self.literal = true,
            _ => return false,
        }
        true
    }

    fn literal_of(self) -> Options {
        Options { fold: self.fold, literal: true, ..Options::default() }
    }

    /// What the pattern's begin says of itself, and where the pattern goes on.
    pub fn at_begin(mut self, pattern: &[char]) -> Result<(Options, usize), &'static str> {
        if self.literal {
            // An error with these in Postgres.
            let alone = self == self.literal_of();
            return if alone { Ok((self, 0)) } else { Err("options that exclude each other") };
        }
        let mut begin = 0;
        if let ['*', '*', '*', director, ..] = pattern {
            match director {
                '=' => return Ok((self.literal_of(), 4)),
                ':' => begin = 4,
                _ => return Err("an unknown director"),
            }
        }
        let ['(', '?', letters @ ..] = &pattern[begin..] else { return Ok((self, begin)) };
        let length = letters.iter().take_while(|letter| letter.is_ascii_alphabetic()).count();
        if length == 0 {
            return Ok((self, begin));
        }
        if !letters[..length].iter().all(|letter| self.set(*letter)) {
            return Err("an option");
        }
        if letters.get(length) != Some(&')') {
            return Err("options that do not end");
        }
        Ok((if self.literal { self.literal_of() } else { self }, begin + length + 3))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(pattern: &str) -> Result<(Options, usize), &'static str> {
        Options::default().at_begin(&pattern.chars().collect::<Vec<char>>())
    }

    #[test]
    fn options_at_the_begin_are_read_and_passed_over() {
        let folded = Options { fold: true, ..Options::default() };
        assert_eq!(begin("(?i)a"), Ok((folded, 4)));
        assert_eq!(begin("***:(?i)a"), Ok((folded, 8)));
        assert_eq!(begin("(?xqi)a b"), Ok((Options { literal: true, ..folded }, 6)));
        assert_eq!(begin("***=(?i)"), Ok((Options { literal: true, ..Options::default() }, 4)));
        assert_eq!(begin("(?:a)"), Ok((Options::default(), 0)));
        assert!(begin("(?e)a").is_err());
        assert!(begin("(?i").is_err());
        assert!(begin("***?a").is_err());
    }

    #[test]
    fn a_literal_pattern_has_no_other_reading() {
        let read = |letters: &str| {
            let mut options = Options::default();
            assert!(letters.chars().all(|letter| options.set(letter)));
            options.at_begin(&['a'])
        };
        assert!(read("qi").is_ok());
        assert!(read("qx").is_err());
        assert!(read("nq").is_err());
    }
}
