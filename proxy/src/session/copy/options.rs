//! What may stand behind `TO STDOUT`: both syntaxes of COPY's options, and which of them go together
//! (`ProcessCopyOptions` in `copy.c`). Where Postgres would complain, or its versions differ, nothing is read.

use super::lexer::{Lexer, Token};
use crate::session::reason;

/// How rows are written (documentation, COPY, "File Formats").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::session) enum Format {
    #[default]
    Text,
    Csv,
    Binary,
}

/// Columns whose values are quoted whatever they hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::session) enum ForceQuote {
    #[default]
    None,
    All,
    Columns(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::session) struct Options {
    pub format: Format,
    pub header: bool,
    pub delimiter: u8,
    pub null: String,
    pub quote: u8,
    pub escape: u8,
    pub force_quote: ForceQuote,
}

/// Keywords that stand for no column without quotes: those that `pg_get_keywords()` of any version calls reserved, or
/// reserved but for functions and types.
const RESERVED: &str = " all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate \
    collation column concurrently constraint create cross current_catalog current_date current_role current_schema \
    current_time current_timestamp current_user default deferrable desc distinct do else end except false fetch for \
    foreign freeze from full grant group having ilike in initially inner intersect into is isnull join lateral leading \
    left like limit localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing \
    primary references returning right select session_user similar some symmetric system_user table tablesample then to \
    trailing true union unique user using variadic verbose when where window with ";

/// The options as they were said.
#[derive(Debug, Default)]
struct Said {
    format: Option<Format>,
    header: Option<bool>,
    delimiter: Option<String>,
    null: Option<String>,
    quote: Option<String>,
    escape: Option<String>,
    force_quote: Option<ForceQuote>,
    encoding: Option<String>,
}

/// Takes all up to the statement's end; the reason if it is not known to be right.
pub(super) fn read(lexer: &mut Lexer<'_>) -> Result<Options, &'static str> {
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next().map_err(|_| reason::COPY_OPTIONS)? {
        tokens.push(token);
    }
    let tokens = match &tokens[..] {
        [tokens @ .., Token::Mark(b';')] => tokens,
        tokens => tokens,
    };
    if tokens.contains(&Token::Mark(b';')) {
        return Err(reason::COPY_FORM);
    }
    of_tokens(tokens).ok_or(reason::COPY_OPTIONS)
}

fn of_tokens(tokens: &[Token]) -> Option<Options> {
    let tokens = match tokens {
        [Token::Word(with), tokens @ ..] if with == "with" => tokens,
        tokens => tokens,
    };
    let mut said = Said::default();
    match tokens {
        [Token::Mark(b'('), list @ .., Token::Mark(b')')] => said.read_list(list)?,
        words => said.read_words(words)?,
    }
    said.checked()
}

/// An option may be said once.
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

impl Said {
    /// `FORMAT csv, HEADER, …`
    fn read_list(&mut self, mut list: &[Token]) -> Option<()> {
        loop {
            let (Token::Word(name), rest) = list.split_first()? else { return None };
            let mut depth = 0_usize;
            let end = rest.iter().position(|token| match token {
                Token::Mark(b'(') => {
                    depth += 1;
                    false
                }
                Token::Mark(b')') => {
                    depth = depth.saturating_sub(1);
                    false
                }
                token => depth == 0 && *token == Token::Mark(b','),
            });
            let argument = &rest[..end.unwrap_or(rest.len())];
            self.read_option(name, argument)?;
            match end {
                Some(end) => list = &rest[end + 1..],
                None => return Some(()),
            }
        }
    }

    fn read_option(&mut self, name: &str, argument: &[Token]) -> Option<()> {
        match (name, argument) {
            ("format", [Token::Word(name) | Token::Quoted(name) | Token::Text(name)]) => {
                let format = match name.as_str() {
                    "text" => Format::Text,
                    "csv" => Format::Csv,
                    "binary" => Format::Binary,
                    _ => return None,
                };
                once(&mut self.format, format)
            }
            ("header", []) => once(&mut self.header, true),
            ("header", [Token::Word(value) | Token::Quoted(value) | Token::Text(value)]) => {
                let value = match value.to_ascii_lowercase().as_str() {
                    "true" | "on" => true,
                    "false" | "off" => false,
                    _ => return None,
                };
                once(&mut self.header, value)
            }
            ("header", [Token::Number(value)]) => match value.as_str() {
                "1" => once(&mut self.header, true),
                "0" => once(&mut self.header, false),
                _ => None,
            },
            ("delimiter", [Token::Text(value)]) => once(&mut self.delimiter, value.clone()),
            ("null", [Token::Text(value)]) => once(&mut self.null, value.clone()),
            ("quote", [Token::Text(value)]) => once(&mut self.quote, value.clone()),
            ("escape", [Token::Text(value)]) => once(&mut self.escape, value.clone()),
            ("encoding", [Token::Word(value) | Token::Quoted(value) | Token::Text(value)]) => {
                once(&mut self.encoding, value.clone())
            }
            ("force_quote", [Token::Mark(b'*')]) => once(&mut self.force_quote, ForceQuote::All),
            ("force_quote", [Token::Mark(b'('), names @ .., Token::Mark(b')')]) => {
                let name = |item: &[Token]| match item {
                    [Token::Text(name)] => Some(name.clone()),
                    item => column(item),
                };
                let names = names.split(|token| *token == Token::Mark(b',')).map(name).collect::<Option<Vec<_>>>()?;
                once(&mut self.force_quote, ForceQuote::Columns(names))
            }
            _ => None,
        }
    }

    /// `CSV HEADER DELIMITER AS ';' …`: the syntax from before 9.0.
    fn read_words(&mut self, mut tokens: &[Token]) -> Option<()> {
        while let Some((Token::Word(name), rest)) = tokens.split_first() {
            tokens = match (name.as_str(), rest) {
                ("binary", rest) => {
                    once(&mut self.format, Format::Binary)?;
                    rest
                }
                ("csv", rest) => {
                    once(&mut self.format, Format::Csv)?;
                    rest
                }
                ("header", rest) => {
                    once(&mut self.header, true)?;
                    rest
                }
                ("force", [Token::Word(quote), Token::Mark(b'*'), rest @ ..]) if quote == "quote" => {
                    once(&mut self.force_quote, ForceQuote::All)?;
                    rest
                }
                ("force", [Token::Word(quote), names @ ..]) if quote == "quote" => {
                    let mut found = vec![column(names.get(..1)?)?];
                    let mut rest = &names[1..];
                    while let [Token::Mark(b','), name, more @ ..] = rest {
                        found.push(column(std::slice::from_ref(name))?);
                        rest = more;
                    }
                    once(&mut self.force_quote, ForceQuote::Columns(found))?;
                    rest
                }
                (name @ ("delimiter" | "null" | "quote" | "escape"), [Token::Word(by), value, rest @ ..])
                    if by == "as" =>
                {
                    self.read_option(name, std::slice::from_ref(value))?;
                    rest
                }
                (name @ ("delimiter" | "null" | "quote" | "escape"), [value, rest @ ..]) => {
                    self.read_option(name, std::slice::from_ref(value))?;
                    rest
                }
                ("encoding", [value @ Token::Text(_), rest @ ..]) => {
                    self.read_option("encoding", std::slice::from_ref(value))?;
                    rest
                }
                _ => return None,
            };
        }
        tokens.is_empty().then_some(())
    }

    /// What the options say together, if they go together.
    fn checked(self) -> Option<Options> {
        let format = self.format.unwrap_or_default();
        let is_csv = format == Format::Csv;
        let header = self.header.unwrap_or(false);
        if format == Format::Binary && (header || self.delimiter.is_some() || self.null.is_some()) {
            return None;
        }
        if !is_csv && (self.quote.is_some() || self.escape.is_some() || self.force_quote.is_some()) {
            return None;
        }
        if !self.encoding.is_none_or(|name| is_utf8(&name)) {
            return None;
        }
        let one = |said: Option<String>, default: u8| match said.as_deref().map(str::as_bytes) {
            None => Some(default),
            // Of more than one byte it is refused; as the end of a line, in part of the versions.
            Some([byte]) if !matches!(byte, b'\n' | b'\r') => Some(*byte),
            Some(_) => None,
        };
        let delimiter = one(self.delimiter, if is_csv { b',' } else { b'\t' })?;
        let quote = one(self.quote, b'"')?;
        let escape = one(self.escape, quote)?;
        let null = self.null.unwrap_or_else(|| if is_csv { String::new() } else { "\\N".into() });
        let is_confused = null.bytes().any(|b| matches!(b, b'\n' | b'\r') || b == delimiter || (is_csv && b == quote))
            || (is_csv && delimiter == quote)
            || (!is_csv && (matches!(delimiter, b'\\' | b'.') || delimiter.is_ascii_lowercase()))
            || (!is_csv && delimiter.is_ascii_digit());
        if is_confused {
            return None;
        }
        let force_quote = self.force_quote.unwrap_or_default();
        Some(Options { format, header, delimiter, null, quote, escape, force_quote })
    }
}

fn column(item: &[Token]) -> Option<String> {
    match item {
        [Token::Quoted(name)] => Some(name.clone()),
        [Token::Word(name)] if !RESERVED.contains(&format!(" {name} ")) => Some(name.clone()),
        _ => None,
    }
}

/// As `pg_char_to_encoding` finds it.
fn is_utf8(name: &str) -> bool {
    let clean: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    name.is_ascii() && matches!(clean.to_ascii_lowercase().as_str(), "utf8" | "unicode")
}
