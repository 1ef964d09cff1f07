//! DECLARE, FETCH and CLOSE, as far as memory has a use for them. What is not read here is Postgres'.

use crate::session::copy::{Lexer, Token};

/// `DECLARE name CURSOR FOR query`: one that ends with its block, and gives its rows in text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Declare {
    pub name: String,
    /// From its first token to its last.
    pub query: String,
    /// It is read rightly only under `standard_conforming_strings`.
    pub needs_conforming_strings: bool,
}

/// `FETCH … FROM name`: so many rows forwards; none: all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fetch {
    pub name: String,
    pub rows: Option<usize>,
}

/// `CLOSE name`; none: `CLOSE ALL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Close {
    pub name: Option<String>,
}

/// Begins with this word, or may do so.
pub(super) fn begins_with(text: &str, word: &str) -> bool {
    let text = text.trim_start();
    text.get(..word.len()).is_some_and(|first| first.eq_ignore_ascii_case(word)) || text.starts_with(['/', '-'])
}

fn next(lexer: &mut Lexer<'_>) -> Option<Token> {
    lexer.next().ok().flatten()
}

/// A name as Postgres folds it.
fn name(token: Token) -> Option<String> {
    match token {
        Token::Word(name) | Token::Quoted(name) => Some(name),
        _ => None,
    }
}

fn is(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(found) if found == word)
}

/// Nothing follows but semicolons.
fn is_at_end(lexer: &mut Lexer<'_>) -> bool {
    loop {
        match lexer.next() {
            Ok(None) => return true,
            Ok(Some(Token::Mark(b';'))) => {}
            _ => return false,
        }
    }
}

pub(super) fn declare(text: &str) -> Option<Declare> {
    let mut lexer = Lexer::new(text);
    if !is(&next(&mut lexer)?, "declare") {
        return None;
    }
    let name = name(next(&mut lexer)?)?;
    loop {
        let option = next(&mut lexer)?;
        let Token::Word(word) = &option else { return None };
        match word.as_str() {
            "cursor" => break,
            // A plan that can run backwards, or not: what is fetched forwards is the same.
            "insensitive" | "asensitive" | "scroll" | "no" => {}
            _ => return None,
        }
    }
    let mut token = next(&mut lexer)?;
    if is(&token, "without") {
        if !is(&next(&mut lexer)?, "hold") {
            return None;
        }
        token = next(&mut lexer)?;
    }
    if !is(&token, "for") {
        return None;
    }
    let (mut start, mut end) = (None, lexer.at);
    let mut has_ended = false;
    while let Some((token, from)) = lexer.next_from().ok()? {
        match token {
            Token::Mark(b';') => has_ended = true,
            _ if has_ended => return None,
            _ => {
                start.get_or_insert(from);
                end = lexer.at;
            }
        }
    }
    let query = text.get(start?..end)?.to_owned();
    Some(Declare { name, query, needs_conforming_strings: lexer.has_backslash })
}

pub(super) fn fetch(text: &str) -> Option<Fetch> {
    let mut lexer = Lexer::new(text);
    if !is(&next(&mut lexer)?, "fetch") {
        return None;
    }
    let mut rows = Some(1);
    let mut token = next(&mut lexer)?;
    let mut has_count = false;
    if is(&token, "forward") {
        has_count = true;
        token = next(&mut lexer)?;
    }
    if is(&token, "all") || matches!(token, Token::Number(_)) || (!has_count && is(&token, "next")) {
        rows = match &token {
            // Grammar takes no greater ones here, and none of nothing.
            Token::Number(digits) => Some(digits.parse::<i32>().ok().and_then(|n| usize::try_from(n).ok())?),
            _ if is(&token, "all") => None,
            _ => Some(1),
        };
        has_count = true;
        token = next(&mut lexer)?;
    }
    // The row where it stands once more.
    if rows == Some(0) {
        return None;
    }
    if is(&token, "from") || is(&token, "in") {
        token = next(&mut lexer)?;
    } else if !has_count && REFUSED.iter().any(|word| is(&token, word)) {
        return None;
    }
    let name = name(token)?;
    is_at_end(&mut lexer).then_some(Fetch { name, rows })
}

/// Directions that are not forwards: behind FETCH they are no names, whatever follows.
const REFUSED: [&str; 6] = ["prior", "first", "last", "absolute", "relative", "backward"];

pub(super) fn close(text: &str) -> Option<Close> {
    let mut lexer = Lexer::new(text);
    if !is(&next(&mut lexer)?, "close") {
        return None;
    }
    let token = next(&mut lexer)?;
    let name = if is(&token, "all") { None } else { Some(name(token)?) };
    is_at_end(&mut lexer).then_some(Close { name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_read() {
        for (text, expected) in [
            ("DECLARE c CURSOR FOR SELECT 1", Some(("c", "SELECT 1"))),
            ("declare \"C d\" no scroll cursor without hold for\ntable t ;", Some(("C d", "table t"))),
            ("/* x */ declare C insensitive cursor for select ';' from t -- y", Some(("c", "select ';' from t"))),
            ("declare c binary cursor for select 1", None),
            ("declare c cursor with hold for select 1", None),
            ("declare c cursor for select 1; select 2", None),
            ("declare c cursor for select $1", None),
            ("declare c cursor for", None),
            ("declare c", None),
        ] {
            let found = declare(text);
            let found = found.as_ref().map(|declare| (declare.name.as_str(), declare.query.as_str()));
            assert_eq!(found, expected, "{text}");
        }
        assert!(declare("declare c cursor for select '\\' from t").is_some_and(|read| read.needs_conforming_strings));
    }

    #[test]
    fn fetches_forwards_are_read() {
        for (text, expected) in [
            ("FETCH FORWARD 100 FROM \"c\"", Some(("c", Some(100)))),
            ("fetch c;", Some(("c", Some(1)))),
            ("fetch from C", Some(("c", Some(1)))),
            ("fetch in c", Some(("c", Some(1)))),
            ("fetch next from c", Some(("c", Some(1)))),
            ("fetch next c", Some(("c", Some(1)))),
            ("fetch 7 c", Some(("c", Some(7)))),
            ("fetch all in c", Some(("c", None))),
            ("fetch forward all from c", Some(("c", None))),
            ("fetch forward from c", Some(("c", Some(1)))),
            ("fetch forward c", Some(("c", Some(1)))),
            ("fetch 0 from c", None),
            ("fetch -1 from c", None),
            ("fetch prior from c", None),
            ("fetch backward c", None),
            ("fetch backward all from c", None),
            ("fetch absolute 3 from c", None),
            ("fetch 3000000000 from c", None),
            ("fetch next", None),
            ("fetch 1 from c; select 2", None),
            ("move 1 from c", None),
            ("fetch", None),
        ] {
            let found = fetch(text);
            assert_eq!(found.as_ref().map(|fetch| (fetch.name.as_str(), fetch.rows)), expected, "{text}");
        }
        assert_eq!(close("CLOSE \"c\"").and_then(|close| close.name).as_deref(), Some("c"));
        assert_eq!(close("close all;"), Some(Close { name: None }));
        assert_eq!(close("close c d"), None);
    }
}
