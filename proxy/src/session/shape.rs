//! A statement's text with its literals taken out, so that texts which differ in nothing else share one analysis.
//!
//! Only plain literals are taken: `'…'` and unsigned decimal numbers. Whatever a lexer of Postgres might read in
//! another way (escapes, dollar quotes, parameters, continued strings) leaves the text as it is. Whether a literal is no
//! more than a value is decided by Postgres' own analysis of both texts (`analysis::literals`).

use std::sync::Arc;
use weir_planner::types::oid;

/// More literals than this are a load or generated code; their statements do not come back.
const MAX_LITERALS: usize = 64;
/// Longer texts are not looked at: the scan is paid by every new text.
const MAX_TEXT_BYTES: usize = 16 * 1024;

/// What follows an `ORDER BY` or `GROUP BY` list.
const LIST_ENDS: [&str; 7] = ["limit", "offset", "fetch", "having", "union", "intersect", "except"];

/// A text with a parameter in the place of each literal.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub text: String,
    /// The type the literal has by itself (`make_const` of Postgres' `parse_node.c`); 0 for strings, whose type comes
    /// from where they stand.
    pub types: Vec<u32>,
    pub literals: Vec<Arc<str>>,
}

/// `None` when there is nothing to take out, or anything that is not understood.
pub(super) fn shape(text: &str) -> Option<Shape> {
    if text.len() > MAX_TEXT_BYTES {
        return None;
    }
    let shape = Shape { text: String::new(), types: vec![], literals: vec![] };
    let mut scan = Scan { text, at: 0, shape, depth: 0, list: None, at_item: false };
    scan.run()?;
    (!scan.shape.literals.is_empty()).then_some(scan.shape)
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    shape: Shape,
    /// Parentheses open.
    depth: usize,
    /// Depth of the `… BY` list this place is in.
    list: Option<usize>,
    /// At the start of an item of such a list, where a number is a column's place.
    at_item: bool,
}

impl Scan<'_> {
    fn run(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            let rest = &bytes[self.at..];
            let length = match byte {
                b'-' if rest.starts_with(b"--") => rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
                b'/' if rest.starts_with(b"/*") => return None,
                b'"' => quoted_length(rest, b'"')?,
                b'\'' => {
                    self.take_string()?;
                    continue;
                }
                b'$' | b'\\' => return None,
                // `.5`, or a number after a name's dot.
                b'.' if rest.get(1).is_some_and(u8::is_ascii_digit) => return None,
                b if b.is_ascii_digit() && self.at_item => rest.iter().position(|b| !is_word(*b)).unwrap_or(rest.len()),
                b if b.is_ascii_digit() => {
                    self.take_number()?;
                    continue;
                }
                b if is_word(b) => {
                    let length = rest.iter().position(|b| !is_word(*b)).unwrap_or(rest.len());
                    // `E'…'`, `U&'…'` and their like.
                    let follows = rest.get(length).copied();
                    if matches!(follows, Some(b'\'')) || (follows == Some(b'&') && rest.get(length + 1) == Some(&b'\''))
                    {
                        return None;
                    }
                    length
                }
                _ => 1,
            };
            let end = self.at + length;
            self.follow_lists(self.text.get(self.at..end)?);
            self.shape.text.push_str(self.text.get(self.at..end)?);
            self.at = end;
        }
        Some(())
    }

    /// Where `ORDER BY` and `GROUP BY` lists and their items begin and end.
    fn follow_lists(&mut self, token: &str) {
        match token {
            "(" => self.depth += 1,
            ")" => {
                self.depth = self.depth.saturating_sub(1);
                self.list = self.list.filter(|depth| *depth <= self.depth);
            }
            _ if token.eq_ignore_ascii_case("by") => self.list = Some(self.depth),
            _ if LIST_ENDS.iter().any(|end| token.eq_ignore_ascii_case(end)) => self.list = None,
            _ => {}
        }
        let begins = token.eq_ignore_ascii_case("by") || (token == "," && self.list == Some(self.depth));
        self.at_item = begins || (self.at_item && token.bytes().all(|b| b.is_ascii_whitespace()));
    }

    fn take_string(&mut self) -> Option<()> {
        let rest = &self.text.as_bytes()[self.at..];
        let length = quoted_length(rest, b'\'')?;
        let inside = self.text.get(self.at + 1..self.at + length - 1)?;
        let continued = self.text[self.at + length..].trim_start().starts_with('\'');
        if inside.contains('\\') || continued {
            return None;
        }
        self.put(0, inside.replace("''", "'").into());
        self.at += length;
        Some(())
    }

    fn take_number(&mut self) -> Option<()> {
        let rest = &self.text.as_bytes()[self.at..];
        let digits = |from: usize| rest[from..].iter().take_while(|b| b.is_ascii_digit()).count();
        let mut length = digits(0);
        let mut is_integer = true;
        if rest.get(length) == Some(&b'.') {
            is_integer = false;
            length += 1 + digits(length + 1);
        }
        if matches!(rest.get(length), Some(b'e' | b'E')) {
            is_integer = false;
            let sign = usize::from(matches!(rest.get(length + 1), Some(b'+' | b'-')));
            let exponent = digits(length + 1 + sign);
            if exponent == 0 {
                return None;
            }
            length += 1 + sign + exponent;
        }
        // `1_000`, `0x1F`, `1a`, `1.2.3`
        if rest.get(length).is_some_and(|b| is_word(*b) || *b == b'.') {
            return None;
        }
        let literal = &self.text[self.at..self.at + length];
        let type_oid = match literal.parse::<u64>() {
            _ if !is_integer => oid::NUMERIC,
            // With a minus before them these are of the smaller type (`doNegate` of `gram.y`).
            Ok(0x8000_0000 | 0x8000_0000_0000_0000) => return None,
            Ok(value) if i32::try_from(value).is_ok() => oid::INT4,
            Ok(value) if i64::try_from(value).is_ok() => oid::INT8,
            _ => oid::NUMERIC,
        };
        self.put(type_oid, literal.into());
        self.at += length;
        Some(())
    }

    fn put(&mut self, type_oid: u32, literal: Arc<str>) {
        self.shape.types.push(type_oid);
        self.shape.literals.push(literal);
        self.shape.text.push_str(&format!(" ${} ", self.shape.types.len()));
        if self.shape.types.len() > MAX_LITERALS {
            // Nothing fits this text any more: the scan ends at its next byte.
            self.shape.literals.clear();
            self.at = self.text.len();
        }
    }
}

/// Bytes up to and including the closing quote; a doubled quote stands for itself.
fn quoted_length(text: &[u8], quote: u8) -> Option<usize> {
    let mut at = 1;
    loop {
        match (text.get(at)?, text.get(at + 1)) {
            (b, Some(next)) if *b == quote && *next == quote => at += 2,
            (b, _) if *b == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$') || b >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match shape(text) {
            None => "-".into(),
            Some(shape) => format!("{} {:?} {:?}", shape.text, shape.types, shape.literals),
        }
    }

    #[test]
    fn literals_are_taken_out() {
        for (text, expected) in [
            ("select * from t where a=5 limit 10", r#"select * from t where a= $1  limit  $2  [23, 23] ["5", "10"]"#),
            (
                "select 'it''s', 1.50, 3000000000",
                r#"select  $1 ,  $2 ,  $3  [0, 1700, 20] ["it's", "1.50", "3000000000"]"#,
            ),
            (
                "select t1.a2, 1e5, -7 from \"x 9\" -- 3",
                r#"select t1.a2,  $1 , - $2  from "x 9" -- 3 [1700, 23] ["1e5", "7"]"#,
            ),
            (
                "select 1 from t order by 1, a + 2, 2 limit 3",
                "select  $1  from t order by 1, a +  $2 , 2 limit  $3  [23, 23, 23] [\"1\", \"2\", \"3\"]",
            ),
            (
                "select f(7, 8) from t group by 1, f(2, 3)",
                "select f( $1 ,  $2 ) from t group by 1, f( $3 ,  $4 ) [23, 23, 23, 23] [\"7\", \"8\", \"2\", \"3\"]",
            ),
            ("select ''", r#"select  $1  [0] [""]"#),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_left_alone() {
        for text in [
            "select a from t",
            "select $1, 5",
            "select $$x$$, 5",
            "select E'a', 5",
            "select U&'a', 5",
            "select 'a\\b'",
            "select 'a'\n'b'",
            "select 'a",
            "select \"a, 5",
            "select 5 /* 6 */",
            "select 2147483648",
            "select 9223372036854775808",
            "select 1_000",
            "select 0x1F",
            "select .5",
            "select 1.2.3",
            "select 5e",
        ] {
            assert_eq!(shown(text), "-", "{text}");
        }
        assert_eq!(shape(&format!("select {}", vec!["1"; MAX_LITERALS + 1].join(","))), None);
    }
}
