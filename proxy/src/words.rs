//! The words of a statement's text, found in less than a microsecond and without knowing its grammar: whether it may name something.

/// Longest identifier Postgres keeps (`NAMEDATALEN` - 1).
pub const MAX_IDENTIFIER_BYTES: usize = 63;

/// Identifiers, quoted or not, in order. Comments are skipped; literals are looked into like anything else.
#[derive(Debug)]
pub struct Words<'a> {
    rest: &'a [u8],
}

#[derive(Debug)]
pub enum Word<'a> {
    Bare(&'a [u8]),
    Quoted(&'a [u8]),
}

impl Word<'_> {
    /// The identifier as names are kept in the registry, in `out`; nothing is allocated for plain ones.
    pub fn lower_into(&self, out: &mut String) {
        out.clear();
        let unescaped;
        let bytes = match self {
            Word::Quoted(word) if word.contains(&b'"') => {
                unescaped = String::from_utf8_lossy(word).replace("\"\"", "\"");
                unescaped.as_bytes()
            }
            Word::Bare(word) | Word::Quoted(word) => word,
        };
        let kept = &bytes[..bytes.len().min(MAX_IDENTIFIER_BYTES)];
        if kept.is_ascii() {
            out.extend(kept.iter().map(|b| char::from(b.to_ascii_lowercase())));
        } else {
            out.push_str(&String::from_utf8_lossy(kept).to_lowercase());
        }
    }
}

impl<'a> Words<'a> {
    pub fn of(text: &'a str) -> Words<'a> {
        Words { rest: text.as_bytes() }
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        loop {
            let first = *self.rest.first()?;
            match first {
                b'-' if self.rest.starts_with(b"--") => {
                    let end = self.rest.iter().position(|b| *b == b'\n').unwrap_or(self.rest.len());
                    self.rest = &self.rest[end..];
                }
                b'/' if self.rest.starts_with(b"/*") => {
                    let end = self.rest.windows(2).position(|w| w == b"*/").map_or(self.rest.len(), |at| at + 2);
                    self.rest = &self.rest[end..];
                }
                b'"' => {
                    let mut end = 1;
                    while end < self.rest.len() {
                        match (self.rest[end], self.rest.get(end + 1)) {
                            (b'"', Some(b'"')) => end += 2,
                            (b'"', _) => break,
                            _ => end += 1,
                        }
                    }
                    let word = &self.rest[1..end.min(self.rest.len())];
                    self.rest = self.rest.get(end + 1..).unwrap_or(&[]);
                    return Some(Word::Quoted(word));
                }
                b if is_word(b) => {
                    let end = self.rest.iter().position(|b| !is_word(*b)).unwrap_or(self.rest.len());
                    let (word, rest) = self.rest.split_at(end);
                    self.rest = rest;
                    // Numbers and parameters are no identifiers.
                    if !first.is_ascii_digit() && first != b'$' {
                        return Some(Word::Bare(word));
                    }
                }
                _ => self.rest = &self.rest[1..],
            }
        }
    }
}

#[inline]
fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$') || b >= 0x80
}
