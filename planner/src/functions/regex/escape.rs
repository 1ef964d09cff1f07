//! Characters written with a backslash (`lexescape` of regc_lex.c).

use super::parse::Parser;

/// Digits of `\x`, of which Postgres takes as many as there are.
const MOST_DIGITS: usize = 8;

impl Parser<'_> {
    /// The character that is meant by this one behind a backslash, and by what follows.
    pub(super) fn character(&mut self, c: char) -> Result<char, &'static str> {
        let c = match c {
            'a' => '\x07',
            'b' => '\x08',
            'B' => '\\',
            'e' => '\x1b',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            'u' => self.code(4)?,
            'U' => self.code(8)?,
            'x' => {
                let digits = self.pattern[self.at..].iter().take_while(|c| c.is_ascii_hexdigit()).count();
                self.code(digits)?
            }
            c if !c.is_alphanumeric() => c,
            _ => return Err("an escape"),
        };
        if self.options.fold && !self.letters.knows(c) {
            return Err("letters of unknown case");
        }
        Ok(c)
    }

    /// A character by so many digits of its code.
    fn code(&mut self, digits: usize) -> Result<char, &'static str> {
        let end = self.at + digits;
        let code: String = self.pattern.get(self.at..end).ok_or("a code that is too short")?.iter().collect();
        let is_code = (1..=MOST_DIGITS).contains(&digits) && code.chars().all(|c| c.is_ascii_hexdigit());
        let code = if is_code { u32::from_str_radix(&code, 16).ok() } else { None };
        self.at = end;
        code.and_then(char::from_u32).ok_or("a code of no character")
    }
}
