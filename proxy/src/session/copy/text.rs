//! `COPY (SELECT …) TO STDOUT`, read into the inner statement and the options. The inner statement ends exactly where its
//! parenthesis does, or nothing is read: what is analysed in the client's name must be what Postgres would run.

use super::lexer::{Lexer, Token};
use super::options::{self, Options};
use crate::session::reason;

/// The statement's two parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::session) struct Copy<'a> {
    /// Between the parentheses.
    pub inner: &'a str,
    pub options: Options,
    /// It is read rightly only under `standard_conforming_strings`.
    pub needs_conforming_strings: bool,
}

/// Why a COPY is not answered from memory: one of `reason`'s.
pub(in crate::session) fn read(text: &str) -> Result<Copy<'_>, &'static str> {
    let mut lexer = Lexer::new(text);
    let inner = inner(&mut lexer).ok_or(reason::COPY_FORM)?;
    let options = options::read(&mut lexer)?;
    Ok(Copy { inner, options, needs_conforming_strings: lexer.has_backslash })
}

/// Leaves the lexer behind STDOUT.
fn inner<'a>(lexer: &mut Lexer<'a>) -> Option<&'a str> {
    let next = |lexer: &mut Lexer<'a>| lexer.next().ok().flatten();
    let is = |token: Option<Token>, word: &str| matches!(token, Some(Token::Word(found)) if found == word);
    if !is(next(lexer), "copy") || next(lexer)? != Token::Mark(b'(') {
        return None;
    }
    let mut depth = 1_usize;
    // Where its first token begins and its last one ends: the same read in other surroundings is the same statement.
    let (mut start, mut end, mut first) = (None, lexer.at, None);
    loop {
        let (token, from) = lexer.next_from().ok()??;
        match token {
            Token::Mark(b'(') => depth += 1,
            Token::Mark(b')') => depth -= 1,
            // Alone the inner statement could end with one, here it could not.
            Token::Mark(b';') => return None,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        start.get_or_insert(from);
        first.get_or_insert(token);
        end = lexer.at;
    }
    let inner = &lexer.text()[start?..end];
    let is_read = match &first? {
        Token::Word(word) => matches!(word.as_str(), "select" | "with" | "values" | "table"),
        Token::Mark(mark) => *mark == b'(',
        _ => false,
    };
    let goes_to_the_client = is(next(lexer), "to") && is(next(lexer), "stdout");
    (is_read && goes_to_the_client).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::super::options::{ForceQuote, Format};
    use super::*;

    fn inner_of(text: &str) -> Option<&str> {
        read(text).ok().map(|copy| copy.inner)
    }

    #[test]
    fn the_inner_statement_ends_where_its_parenthesis_does() {
        for (text, expected) in [
            ("COPY (SELECT * FROM t) TO STDOUT", "SELECT * FROM t"),
            (
                "copy(\n select (1), ')', \")\" /* ) */ -- )\n from t ) to stdout;",
                "select (1), ')', \")\" /* ) */ -- )\n from t",
            ),
            ("/* x */ COPY ((TABLE t)) TO STDOUT -- y", "(TABLE t)"),
            ("COPY (SELECT E'\\')' FROM t) TO STDOUT", "SELECT E'\\')' FROM t"),
            ("COPY (VALUES (1), (2)) TO stdout WITH CSV", "VALUES (1), (2)"),
            ("COPY ( /* a */ TABLE t -- b\n) TO STDOUT", "TABLE t"),
        ] {
            assert_eq!(inner_of(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn other_forms_are_postgres() {
        for text in [
            "COPY t TO STDOUT",
            "COPY (SELECT 1;) TO STDOUT",
            "COPY (SELECT 1) TO STDOUT; SELECT 2",
            "COPY (SELECT 1) TO STDOUT) TO STDOUT",
            "COPY (SELECT 1) TO STDIN",
            "COPY (SELECT 1) TO '/tmp/x'",
            "COPY (SELECT 1) TO PROGRAM 'cat'",
            "COPY (SELECT $1) TO STDOUT",
            "COPY (SELECT $$)$$) TO STDOUT",
            "COPY (SELECT 'a' TO STDOUT",
            "COPY (SELECT E'a'\n'\\'') TO STDOUT",
            "COPY (INSERT INTO t VALUES (1) RETURNING *) TO STDOUT",
            "COPY () TO STDOUT",
            "COPY BINARY (SELECT 1) TO STDOUT",
            "COPY (SELECT 1) TO STDOUT;;",
            "",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read("COPY (SELECT '\\') TO STDOUT (NULL '\\N')").is_ok_and(|copy| copy.needs_conforming_strings));
    }

    fn options(text: &str) -> Option<Options> {
        read(&format!("COPY (SELECT 1) TO STDOUT {text}")).ok().map(|copy| copy.options)
    }

    #[test]
    fn options_are_read_in_both_syntaxes() {
        let plain = options("").unwrap();
        let csv = options("CSV").unwrap();
        assert_eq!((plain.format, plain.delimiter, plain.null.as_str()), (Format::Text, b'\t', "\\N"));
        assert_eq!((csv.delimiter, csv.null.as_str(), csv.quote, csv.escape), (b',', "", b'"', b'"'));
        let names = |names: &[&str]| ForceQuote::Columns(names.iter().map(|name| (*name).to_owned()).collect());
        for (text, expected) in [
            ("WITH (FORMAT csv)", csv.clone()),
            ("(FORMAT \"csv\", ENCODING 'utf-8')", csv.clone()),
            ("WITH BINARY", Options { format: Format::Binary, ..plain.clone() }),
            ("(FORMAT text, DELIMITER E'\\x01', NULL '')", Options { delimiter: 1, null: "".into(), ..plain.clone() }),
            ("DELIMITERS AS '|'", plain.clone()),
            ("DELIMITER AS '|' NULL 'x'", Options { delimiter: b'|', null: "x".into(), ..plain.clone() }),
            ("(HEADER)", Options { header: true, ..plain.clone() }),
            (
                "CSV HEADER QUOTE AS '''' FORCE QUOTE a, \"B c\" NULL ''",
                Options { header: true, quote: b'\'', escape: b'\'', force_quote: names(&["a", "B c"]), ..csv.clone() },
            ),
            (
                "(FORCE_QUOTE (A, 'B', \"c\"), FORMAT csv, ESCAPE '\\', HEADER 0)",
                Options { escape: b'\\', force_quote: names(&["a", "B", "c"]), ..csv.clone() },
            ),
            ("(FORMAT csv, FORCE_QUOTE *)", Options { force_quote: ForceQuote::All, ..csv.clone() }),
        ] {
            let is_unknown = text.starts_with("DELIMITERS");
            assert_eq!(options(text), (!is_unknown).then_some(expected), "{text}");
        }
    }

    #[test]
    fn options_that_do_not_go_together_are_postgres() {
        for text in [
            "()",
            "(",
            "(FORMAT csv,)",
            "(FORMAT xml)",
            "(FORMAT 'CSV')",
            "(FREEZE)",
            "(HEADER match)",
            "(HEADER 2)",
            "(FORMAT csv, FORMAT csv)",
            "CSV BINARY",
            "(FORMAT binary, HEADER)",
            "(FORMAT binary, NULL '')",
            "QUOTE 'x'",
            "(DELIMITER 'a')",
            "(DELIMITER '\\')",
            "(DELIMITER 'ab')",
            "(DELIMITER 'é')",
            "(DELIMITER '')",
            "(NULL E'\\n')",
            "(NULL 'a|', DELIMITER '|')",
            "(FORMAT csv, NULL '\"')",
            "(FORMAT csv, QUOTE ',')",
            "(FORCE_QUOTE *)",
            "(FORMAT csv, FORCE_QUOTE a)",
            "(FORMAT csv, FORCE_QUOTE (user))",
            "(FORMAT csv, FORCE_QUOTE ())",
            "(FORMAT csv, FORCE_NULL *)",
            "(ENCODING 'latin1')",
            "(ON_ERROR stop)",
            "CSV FORCE QUOTE order",
            "CSV FORCE QUOTE a,",
            "CSV, HEADER",
            "(DELIMITER U&'x')",
            "(NULL 'a' 'b')",
            "WITH WITH CSV",
            "NULL AS",
        ] {
            assert_eq!(options(text), None, "{text}");
        }
    }

    #[test]
    fn damaged_texts_are_refused() {
        let recorded: [&[u8]; 3] = [
            b"COPY (SELECT ')', E'\\'', \"a\"\"b\" FROM t /* /* */ ) */ WHERE (a)) TO STDOUT WITH (FORMAT csv, HEADER);",
            b"COPY (TABLE t) TO STDOUT CSV QUOTE AS '\"' FORCE QUOTE a, b NULL E'\\t' -- x",
            "COPY (SELECT größe FROM t) TO STDOUT (FORCE_QUOTE (größe), FORMAT 'csv', ENCODING 'UTF8')".as_bytes(),
        ];
        weir_tests::hostile::hammer("copy", &recorded, |bytes| {
            std::str::from_utf8(bytes).is_ok_and(|text| read(text).is_ok())
        });
    }
}
