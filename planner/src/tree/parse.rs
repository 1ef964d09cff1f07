//! The parser of the node text. Token rules are those of `pg_strtok` (`src/backend/nodes/read.c`): blanks separate,
//! `( ) { }` stand alone, a backslash takes the next character literally.

use super::label;
use super::{Node, Tree};

/// Nesting that is followed before giving up: parse, lowering and evaluation recurse, and a thread's stack is 2 MB.
/// Every operator of an expression costs two levels (its node and its argument list).
const MAX_DEPTH: usize = 400;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("the tree ends too early")]
    UnexpectedEnd,
    #[error("{found:?} at byte {position} where {expected} belongs")]
    Unexpected { found: String, position: usize, expected: &'static str },
    #[error("the tree is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
}

/// Parses one node text, whole.
pub fn parse(text: &str) -> Result<Tree, ParseError> {
    let mut parser = Parser { text, position: 0 };
    let tree = parser.value(0)?;
    match parser.next() {
        None => Ok(tree),
        Some(token) => Err(token.unexpected("the end")),
    }
}

struct Parser<'a> {
    text: &'a str,
    position: usize,
}

#[derive(Clone, Copy)]
struct Token<'a> {
    raw: &'a str,
    position: usize,
}

impl Token<'_> {
    fn unexpected(self, expected: &'static str) -> ParseError {
        ParseError::Unexpected { found: self.raw.chars().take(40).collect(), position: self.position, expected }
    }

    /// The token with its backslashes resolved.
    fn unescaped(self) -> String {
        let mut out = String::with_capacity(self.raw.len());
        let mut chars = self.raw.chars();
        while let Some(c) = chars.next() {
            out.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
        }
        out
    }
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.position).is_some_and(|b| matches!(b, b' ' | b'\n' | b'\t')) {
            self.position += 1;
        }
        let start = self.position;
        match bytes.get(start)? {
            b'(' | b')' | b'{' | b'}' => self.position += 1,
            _ => {
                while let Some(&b) = bytes.get(self.position) {
                    match b {
                        b' ' | b'\n' | b'\t' | b'(' | b')' | b'{' | b'}' => break,
                        // The escaped character may be longer than a byte; its tail bytes end no token.
                        b'\\' => self.position += 2,
                        _ => self.position += 1,
                    }
                }
                self.position = self.position.min(bytes.len());
                while !self.text.is_char_boundary(self.position) {
                    self.position += 1;
                }
            }
        }
        Some(Token { raw: &self.text[start..self.position], position: start })
    }

    fn peek(&mut self) -> Option<Token<'a>> {
        let position = self.position;
        let token = self.next();
        self.position = position;
        token
    }

    fn value(&mut self, depth: usize) -> Result<Tree, ParseError> {
        let token = self.next().ok_or(ParseError::UnexpectedEnd)?;
        if depth > MAX_DEPTH {
            return Err(ParseError::TooDeep);
        }
        match token.raw {
            "<>" => Ok(Tree::Null),
            "{" => self.node(depth),
            "(" => self.list(depth),
            ")" | "}" => Err(token.unexpected("a value")),
            raw if raw.len() > 1 && raw.starts_with('"') && raw.ends_with('"') => {
                let inner = Token { raw: &raw[1..raw.len() - 1], position: token.position };
                Ok(Tree::Text(inner.unescaped()))
            }
            _ if self.peek().is_some_and(|next| next.raw == "[") => self.datum(token),
            _ => Ok(Tree::Word(token.unescaped())),
        }
    }

    fn node(&mut self, depth: usize) -> Result<Tree, ParseError> {
        let label = label::current(self.next().ok_or(ParseError::UnexpectedEnd)?.unescaped());
        let mut fields = Vec::new();
        loop {
            let token = self.next().ok_or(ParseError::UnexpectedEnd)?;
            if token.raw == "}" {
                return Ok(Tree::Node(Node { label, fields }));
            }
            let Some(name) = token.raw.strip_prefix(':') else { return Err(token.unexpected("a field name")) };
            fields.push((name.to_owned(), self.value(depth + 1)?));
        }
    }

    fn list(&mut self, depth: usize) -> Result<Tree, ParseError> {
        if let Some(token) = self.peek()
            && matches!(token.raw, "i" | "o" | "b" | "x")
        {
            self.next();
            return self.numbers();
        }
        let mut items = Vec::new();
        while self.peek().ok_or(ParseError::UnexpectedEnd)?.raw != ")" {
            items.push(self.value(depth + 1)?);
        }
        self.next();
        Ok(Tree::List(items))
    }

    fn numbers(&mut self) -> Result<Tree, ParseError> {
        let mut items = Vec::new();
        loop {
            let token = self.next().ok_or(ParseError::UnexpectedEnd)?;
            if token.raw == ")" {
                return Ok(Tree::Numbers(items));
            }
            items.push(token.raw.parse().map_err(|_| token.unexpected("a number"))?);
        }
    }

    fn datum(&mut self, length: Token<'a>) -> Result<Tree, ParseError> {
        let length = length.raw.parse().map_err(|_| length.unexpected("the length of a datum"))?;
        self.next(); // the bracket that was peeked at
        let mut bytes = Vec::new();
        loop {
            let token = self.next().ok_or(ParseError::UnexpectedEnd)?;
            if token.raw == "]" {
                return Ok(Tree::Datum { length, bytes });
            }
            // Written as a C `char`, signed.
            let byte: i16 = token.raw.parse().map_err(|_| token.unexpected("a byte"))?;
            bytes.push((byte & 0xff) as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_kind_of_value() {
        let tree =
            parse(r#"({T :a <> :b 12 :c "a\ b\"" :d (i 1 -2) :e (b) :f ({U}) :g 4 [ -1 0 7 ] :h *SELECT*\ 1 :i ""})"#);
        let Ok(Tree::List(items)) = tree else { panic!("{tree:?}") };
        let [Tree::Node(node)] = items.as_slice() else { panic!("{items:?}") };
        let value = |name: &str| node.fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()).unwrap();
        assert_eq!(node.label, "T");
        assert_eq!(value("a"), Tree::Null);
        assert_eq!(value("b"), Tree::Word("12".into()));
        assert_eq!(value("c"), Tree::Text("a b\"".into()));
        assert_eq!(value("d"), Tree::Numbers(vec![1, -2]));
        assert_eq!(value("e"), Tree::Numbers(vec![]));
        assert_eq!(value("f"), Tree::List(vec![Tree::Node(Node { label: "U".into(), fields: vec![] })]));
        assert_eq!(value("g"), Tree::Datum { length: 4, bytes: vec![255, 0, 7] });
        assert_eq!(value("h"), Tree::Word("*SELECT* 1".into()));
        assert_eq!(value("i"), Tree::Text("".into()));
    }

    #[test]
    fn an_escaped_null_is_a_name() {
        assert_eq!(parse(r"{T :a \<> :b \é}").unwrap(), {
            let field = |n: &str, v: &str| (n.to_owned(), Tree::Word(v.to_owned()));
            Tree::Node(Node { label: "T".into(), fields: vec![field("a", "<>"), field("b", "é")] })
        });
    }

    #[test]
    fn broken_texts_are_errors() {
        for text in ["", "(", "{", "{T :a}", "{T a}", ")", "{T :a 4 [ 1", "{T :a 4 [ x ]}", "(i x)", "{T} {T}", "\\"] {
            let parsed = parse(text);
            assert!(parsed.is_err() || text == "\\", "{text}: {parsed:?}");
        }
        assert_eq!(parse(&"(".repeat(100_000)), Err(ParseError::TooDeep));
    }

    #[test]
    fn labels_of_14_become_those_of_15() {
        assert_eq!(parse("{RTE :relid 5}"), parse("{RANGETBLENTRY :relid 5}"));
        assert_eq!(parse("{CASE :args ({WHEN :expr <>})}"), parse("{CASEEXPR :args ({CASEWHEN :expr <>})}"));
    }
}
