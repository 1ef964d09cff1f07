//! A statement's tokens as Postgres' own scanner cuts them (`scan.l`), as far as that can be said without its settings.
//! Whatever another setting, version or reading could cut otherwise is a doubt, and doubts are Postgres' to answer.

/// Longer identifiers are cut, with a notice (`NAMEDATALEN` - 1).
const MAX_IDENTIFIER_BYTES: usize = 63;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::session) enum Token {
    /// A keyword or an identifier without quotes, in lower case.
    Word(String),
    /// An identifier in quotes.
    Quoted(String),
    /// `'…'`, or `E'…'` where it says nothing but characters.
    Text(String),
    /// Another kind of literal, or one with escapes that are not read here.
    Literal,
    /// Digits alone.
    Number(String),
    Mark(u8),
}

/// It may mean something else to Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) struct Doubt;

#[derive(Clone, Debug)]
pub(in crate::session) struct Lexer<'a> {
    text: &'a str,
    /// Where the last token ended.
    pub at: usize,
    /// A plain literal has a backslash in it: this is right only under `standard_conforming_strings`.
    pub has_backslash: bool,
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a str) -> Lexer<'a> {
        Lexer { text, at: 0, has_backslash: false }
    }

    pub fn text(&self) -> &'a str {
        self.text
    }

    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// The next token; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Token>, Doubt> {
        Ok(self.next_from()?.map(|(token, _)| token))
    }

    /// And where it begins.
    pub fn next_from(&mut self) -> Result<Option<(Token, usize)>, Doubt> {
        self.skip_blanks()?;
        let from = self.at;
        let rest = self.rest();
        let Some(&first) = rest.first() else { return Ok(None) };
        let token = match first {
            b'\'' => self.plain_literal()?,
            b'"' => {
                let name = self.quoted(b'"')?.replace("\"\"", "\"");
                if name.is_empty() || name.len() > MAX_IDENTIFIER_BYTES {
                    return Err(Doubt);
                }
                Token::Quoted(name)
            }
            b if is_word(b) => self.word()?,
            // Parameters, dollar quotes, and what no token begins with.
            b'$' | b'\\' | 0..b' ' | 0x7f => return Err(Doubt),
            mark => {
                self.at += 1;
                Token::Mark(mark)
            }
        };
        Ok(Some((token, from)))
    }

    fn word(&mut self) -> Result<Token, Doubt> {
        let rest = self.rest();
        let length = rest.iter().position(|b| !is_word(*b) && *b != b'$').unwrap_or(rest.len());
        let word = self.text[self.at..self.at + length].to_ascii_lowercase();
        let starts_literal = rest.get(length) == Some(&b'\'');
        self.at += length;
        match (word.as_str(), starts_literal) {
            ("e", true) => self.escaped_literal(),
            // Bits, hexadecimal digits, a national literal: to the next single quote, whatever they mean.
            ("b" | "x" | "n", true) => self.plain_literal().map(|_| Token::Literal),
            (_, true) => Err(Doubt),
            _ if rest[0].is_ascii_digit() && rest[..length].iter().all(u8::is_ascii_digit) => Ok(Token::Number(word)),
            // A number with a fraction's exponent, or junk.
            _ if rest[0].is_ascii_digit() => Ok(Token::Literal),
            _ if length > MAX_IDENTIFIER_BYTES => Err(Doubt),
            _ => Ok(Token::Word(word)),
        }
    }

    fn plain_literal(&mut self) -> Result<Token, Doubt> {
        let said = self.quoted(b'\'')?;
        self.has_backslash |= said.contains('\\');
        Ok(Token::Text(said.replace("''", "'")))
    }

    /// What stands between quotes, these doubled within.
    fn quoted(&mut self, quote: u8) -> Result<&'a str, Doubt> {
        let rest = self.rest();
        let mut end = 1;
        loop {
            end += rest.get(end..).and_then(|rest| rest.iter().position(|b| *b == quote)).ok_or(Doubt)?;
            if rest.get(end + 1) != Some(&quote) {
                break;
            }
            end += 2;
        }
        let said = &self.text[self.at + 1..self.at + end];
        self.at += end + 1;
        Ok(said)
    }

    /// `E'…'` from its quote on.
    fn escaped_literal(&mut self) -> Result<Token, Doubt> {
        let rest = self.rest();
        let mut said = Some(Vec::new());
        let mut at = 1;
        loop {
            let byte = *rest.get(at).ok_or(Doubt)?;
            let (read, length) = match (byte, rest.get(at + 1)) {
                (b'\'', Some(b'\'')) => (Some(b'\''), 2),
                (b'\'', _) => break,
                (b'\\', Some(b'x')) => {
                    let digits = rest[at + 2..].iter().take(2).take_while(|b| b.is_ascii_hexdigit()).count();
                    let digits = std::str::from_utf8(&rest[at + 2..at + 2 + digits]).map_err(|_| Doubt)?;
                    // Other bytes than ASCII's may be no text.
                    let read = u8::from_str_radix(digits, 16).ok().filter(|byte| matches!(byte, 1..0x80));
                    (read, 2 + digits.len())
                }
                (b'\\', Some(escaped)) => {
                    let read = match escaped {
                        b'b' => Some(b'\x08'),
                        b'f' => Some(b'\x0c'),
                        b'n' => Some(b'\n'),
                        b'r' => Some(b'\r'),
                        b't' => Some(b'\t'),
                        b'\\' => Some(b'\\'),
                        // Versions read `\v` differently, settings may forbid `\'`, digits and `u` are codes.
                        _ => None,
                    };
                    (read, 2)
                }
                (b'\\', None) => return Err(Doubt),
                (plain, _) => (Some(plain), 1),
            };
            said = said.zip(read).map(|(mut said, byte)| {
                said.push(byte);
                said
            });
            at += length;
        }
        self.at += at + 1;
        // A literal that follows on another line goes on in this one, with escapes.
        let mut after = self.clone();
        after.skip_blanks()?;
        if after.rest().first() == Some(&b'\'') {
            return Err(Doubt);
        }
        Ok(said.and_then(|said| String::from_utf8(said).ok()).map_or(Token::Literal, Token::Text))
    }

    fn skip_blanks(&mut self) -> Result<(), Doubt> {
        loop {
            let rest = self.rest();
            match rest {
                [b' ' | b'\t' | b'\n' | b'\r' | b'\x0c', ..] => self.at += 1,
                [b'-', b'-', ..] => {
                    self.at += rest.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(rest.len());
                }
                [b'/', b'*', ..] => self.at += comment_length(rest)?,
                _ => return Ok(()),
            }
        }
    }
}

/// Comments nest.
fn comment_length(text: &[u8]) -> Result<usize, Doubt> {
    let (mut depth, mut at) = (0, 0);
    loop {
        match text.get(at..at + 2).ok_or(Doubt)? {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" if depth == 1 => return Ok(at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Result<Vec<Token>, Doubt> {
        let mut lexer = Lexer::new(text);
        let mut found = Vec::new();
        while let Some(token) = lexer.next()? {
            found.push(token);
        }
        Ok(found)
    }

    fn word(text: &str) -> Token {
        Token::Word(text.into())
    }

    #[test]
    fn tokens_are_cut_as_postgres_cuts_them() {
        for (text, expected) in [
            ("A b$1-- c\r D", vec![word("a"), word("b$1"), word("d")]),
            ("a/* /* ' */ \" */b", vec![word("a"), word("b")]),
            ("+--'\n(*", vec![Token::Mark(b'+'), Token::Mark(b'('), Token::Mark(b'*')]),
            ("'a''b' \"c\"\"d\"", vec![Token::Text("a'b".into()), Token::Quoted("c\"d".into())]),
            ("E'\\t''\\x1F\\\\'", vec![Token::Text("\t'\x1f\\".into())]),
            ("E'\\')' x", vec![Token::Literal, word("x")]),
            ("U&'a)'", vec![word("u"), Token::Mark(b'&'), Token::Text("a)".into())]),
            ("größe1 12 1e5", vec![word("größe1"), Token::Number("12".into()), Token::Literal]),
            ("1.5", vec![Token::Number("1".into()), Token::Mark(b'.'), Token::Number("5".into())]),
            ("b'01'X'1F'", vec![Token::Literal, Token::Literal]),
        ] {
            assert_eq!(tokens(text).as_ref(), Ok(&expected), "{text}");
        }
    }

    #[test]
    fn what_may_be_cut_otherwise_is_a_doubt() {
        let long = "x".repeat(64);
        for text in [
            "'a",
            "\"a",
            "/* a",
            "/* /* */",
            "E'a\\",
            "E'a'\n'b\\'",
            "E'a' -- c\n 'b'",
            "1E'a'",
            "date'x'",
            "$1",
            "$$a$$",
            "\\",
            "\x0b",
            "\"\"",
            "a\0",
            "type'",
            &long,
        ] {
            assert_eq!(tokens(text), Err(Doubt), "{text}");
        }
        let mut lexer = Lexer::new("'a\\' b");
        while lexer.next() != Ok(None) {}
        assert!(lexer.has_backslash);
    }
}
