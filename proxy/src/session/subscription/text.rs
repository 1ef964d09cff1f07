//! The one statement that opens a subscription, in the spellings that clients send. Whatever is written otherwise goes to
//! Postgres, where the function says how it is written.

/// `COPY (SELECT * FROM pgtrickle.subscribe('name')) TO STDOUT`, with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::session) struct Subscription {
    /// The name's parts as `parse_ident` finds them: a table, or a schema and a table.
    pub name: Vec<String>,
    pub format: Format,
}

/// How rows are written (documentation, COPY, "File Formats").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum Format {
    Text,
    Csv { header: bool },
    Binary,
}

pub(in crate::session) fn is_subscription(text: &str) -> bool {
    read(text).is_some()
}

/// `None`: it is something else, or has options that are not known here.
pub(in crate::session) fn read(text: &str) -> Option<Subscription> {
    let mut tokens = Tokens { rest: text };
    for expected in ["copy", "(", "select", "*", "from", "pgtrickle", ".", "subscribe", "("] {
        tokens.expect(expected)?;
    }
    let name = match tokens.next()? {
        Token::Literal(name) => identifier_parts(&name)?,
        _ => return None,
    };
    for expected in [")", ")", "to", "stdout"] {
        tokens.expect(expected)?;
    }
    let format = options(&mut tokens)?;
    Some(Subscription { name, format })
}

fn options(tokens: &mut Tokens<'_>) -> Option<Format> {
    let mut words = Vec::new();
    while let Some(token) = tokens.next() {
        match token {
            Token::Word(word) => words.push(word),
            Token::Mark(mark @ ('(' | ')' | ',')) => words.push(mark.to_string()),
            // Nothing but the end may follow.
            Token::Mark(';') => return if tokens.next().is_none() { format(&words) } else { None },
            Token::Mark(_) | Token::Literal(_) => return None,
        }
    }
    if tokens.rest.is_empty() { format(&words) } else { None }
}

fn format(words: &[String]) -> Option<Format> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let words = words.strip_prefix(&["with"]).unwrap_or(&words);
    match words {
        [] => Some(Format::Text),
        ["csv"] => Some(Format::Csv { header: false }),
        ["csv", "header"] => Some(Format::Csv { header: true }),
        ["binary"] => Some(Format::Binary),
        ["(", inner @ .., ")"] => {
            let (mut name, mut header) = ("text", false);
            for option in inner.split(|word| *word == ",") {
                match option {
                    ["format", format] => name = format,
                    ["header"] | ["header", "true" | "on" | "1"] => header = true,
                    ["header", "false" | "off" | "0"] => header = false,
                    _ => return None,
                }
            }
            match (name, header) {
                ("text", false) => Some(Format::Text),
                ("csv", header) => Some(Format::Csv { header }),
                ("binary", false) => Some(Format::Binary),
                _ => None,
            }
        }
        _ => None,
    }
}

/// One part or two, unquoted ones in lower case (`parse_ident`).
fn identifier_parts(name: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = name.trim();
    loop {
        let part;
        (part, rest) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let mut end = 0;
                loop {
                    end += quoted[end..].find('"')?;
                    if !quoted[end + 1..].starts_with('"') {
                        break;
                    }
                    end += 2;
                }
                (quoted[..end].replace("\"\"", "\""), &quoted[end + 1..])
            }
            None => {
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '$') || !c.is_ascii()));
                let (part, after) = rest.split_at(end.unwrap_or(rest.len()));
                if part.starts_with(|c: char| c.is_ascii_digit() || c == '$') {
                    return None;
                }
                (part.to_ascii_lowercase(), after)
            }
        };
        if part.is_empty() {
            return None;
        }
        parts.push(part);
        rest = match rest.strip_prefix('.') {
            Some(rest) if parts.len() < 2 => rest,
            _ => return rest.is_empty().then_some(parts),
        };
    }
}

/// Words in lower case, literals without their quotes, and single characters.
struct Tokens<'a> {
    rest: &'a str,
}

#[derive(PartialEq)]
enum Token {
    Word(String),
    Literal(String),
    Mark(char),
}

impl Tokens<'_> {
    fn expect(&mut self, expected: &str) -> Option<()> {
        let is_it = match self.next()? {
            Token::Word(word) => word == expected,
            Token::Mark(mark) => expected.strip_prefix(mark) == Some(""),
            Token::Literal(_) => false,
        };
        is_it.then_some(())
    }

    /// `None` at the end, and (with `rest` not empty) at something that is not understood.
    fn next(&mut self) -> Option<Token> {
        self.skip_blanks();
        let first = self.rest.chars().next()?;
        if first.is_ascii_alphanumeric() || first == '_' {
            let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
            let (word, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Some(Token::Word(word.to_ascii_lowercase()));
        }
        if first == '\'' {
            let mut end = 1;
            loop {
                end += self.rest[end..].find('\'')?;
                if !self.rest[end + 1..].starts_with('\'') {
                    break;
                }
                end += 2;
            }
            let literal = self.rest[1..end].replace("''", "'");
            // What a backslash means depends on a setting.
            if literal.contains('\\') {
                return None;
            }
            self.rest = &self.rest[end + 1..];
            return Some(Token::Literal(literal));
        }
        if !matches!(first, '(' | ')' | '*' | '.' | ',' | ';') {
            return None;
        }
        self.rest = &self.rest[1..];
        Some(Token::Mark(first))
    }

    fn skip_blanks(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0c']);
            let end = if self.rest.starts_with("--") {
                self.rest.find('\n')
            } else if self.rest.starts_with("/*") {
                self.rest.find("*/").map(|at| at + 1)
            } else {
                return;
            };
            match end {
                Some(end) => self.rest = &self.rest[end + 1..],
                // `-` or `/` is nothing that is understood, unless the comment is the last line.
                None if self.rest.starts_with("--") => self.rest = "",
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(name: &[&str], format: Format) -> Option<Subscription> {
        Some(Subscription { name: name.iter().map(|part| (*part).to_owned()).collect(), format })
    }

    #[test]
    fn the_spellings_of_clients_are_read() {
        for (text, expected) in [
            ("COPY (SELECT * FROM pgtrickle.subscribe('a')) TO STDOUT", is(&["a"], Format::Text)),
            // psql's \copy puts blanks around.
            (
                "COPY  ( select * from pgtrickle.subscribe('s.a') ) TO STDOUT  csv header",
                is(&["s", "a"], Format::Csv { header: true }),
            ),
            ("copy (select * from pgtrickle . subscribe (E'a')) to stdout", None),
            (
                "/* x */ COPY(SELECT*FROM pgtrickle.subscribe('\"A \"\"b\".C'))TO STDOUT; -- y",
                is(&["A \"b", "c"], Format::Text),
            ),
            ("COPY (SELECT * FROM pgtrickle.subscribe('a')) TO STDOUT (FORMAT binary)", is(&["a"], Format::Binary)),
            (
                "COPY (SELECT * FROM pgtrickle.subscribe('a')) TO STDOUT WITH (FORMAT csv, HEADER off)",
                is(&["a"], Format::Csv { header: false }),
            ),
            (
                "COPY (SELECT * FROM pgtrickle.subscribe('a')) TO STDOUT WITH (FORMAT csv, HEADER)",
                is(&["a"], Format::Csv { header: true }),
            ),
            ("COPY (SELECT * FROM pgtrickle.subscribe('a')) TO STDOUT WITH BINARY", is(&["a"], Format::Binary)),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn everything_else_is_postgres() {
        for text in [
            "COPY (SELECT * FROM pgtrickle.subscribe('a')) TO STDOUT; SELECT 1",
            "COPY (SELECT * FROM pgtrickle.subscribe('a') LIMIT 1) TO STDOUT",
            "COPY (SELECT * FROM pgtrickle.subscribe('a', 'b')) TO STDOUT",
            "COPY (SELECT * FROM pgtrickle.subscribe('a.b.c')) TO STDOUT",
            "COPY (SELECT * FROM pgtrickle.subscribe('1a')) TO STDOUT",
            "COPY (SELECT * FROM pgtrickle.subscribe('')) TO STDOUT",
            "COPY (SELECT * FROM pgtrickle.subscribe('a\\b')) TO STDOUT",
            "COPY (SELECT * FROM pgtrickle.subscribe('a')) TO STDOUT (DELIMITER '|')",
            "COPY (SELECT * FROM pgtrickle.subscribe('a')) TO STDOUT (FORMAT text, HEADER)",
            "COPY (SELECT * FROM pgtrickle.subscribe('a')) TO STDOUT (",
            "COPY (SELECT * FROM pgtrickle.subscribe('a')) TO STDOUT /* x",
            "COPY (SELECT * FROM pgtrickle.subscribe('a",
            "COPY (SELECT * FROM pgtrickle.subscribe('\"a')) TO STDOUT",
            "SELECT * FROM pgtrickle.subscribe('a')",
            "COPY t TO STDOUT",
            "",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn damaged_texts_are_refused() {
        let recorded: [&[u8]; 2] = [
            b"COPY (SELECT * FROM pgtrickle.subscribe('\"a\"\"b\".c')) TO STDOUT WITH (FORMAT csv, HEADER);",
            "COPY /* ä */ (SELECT * FROM pgtrickle.subscribe('größe')) TO STDOUT -- ä".as_bytes(),
        ];
        weir_tests::hostile::hammer("subscription", &recorded, |bytes| {
            std::str::from_utf8(bytes).is_ok_and(|text| read(text).is_some())
        });
    }
}
