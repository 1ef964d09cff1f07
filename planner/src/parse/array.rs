//! `array_in` (`src/backend/utils/adt/arrayfuncs.c`) of one-dimensional arrays. Other dimensions, explicit bounds and
//! anything the majors read differently are left to Postgres.

use super::decode_text;
use crate::settings::Settings;
use crate::value::{Array, EvalError, Value};

fn malformed(text: &str) -> EvalError {
    EvalError::new("22P02", format!("malformed array literal: \"{text}\""))
}

/// `{1,2,NULL,"a b"}`.
pub(super) fn array(element: u32, typmod: i32, text: &str, settings: &Settings) -> Result<Value, EvalError> {
    let trimmed = super::trim(text);
    if trimmed.starts_with('[') {
        return Err(EvalError::unsupported("array input with explicit bounds"));
    }
    let inner = trimmed.strip_prefix('{').ok_or_else(|| malformed(text))?;
    let mut rest = inner.chars();
    let mut elements = Vec::new();
    let is_blank = |c: char| c.is_ascii_whitespace() || c == '\u{b}';
    loop {
        let mut item = Item::default();
        let end = item.read(&mut rest, text, &is_blank)?;
        match (item.is_empty(), end) {
            // `{}`: no element at all.
            (true, '}') if elements.is_empty() => {}
            (true, _) => return Err(malformed(text)),
            (false, _) => elements.push(item.value(element, typmod, settings)?),
        }
        if end == '}' {
            break;
        }
    }
    if rest.any(|c| !is_blank(c)) {
        return Err(malformed(text));
    }
    if i32::try_from(elements.len()).is_err() {
        return Err(EvalError::unsupported("an array of two billion elements"));
    }
    Ok(Value::Array(Array::list(element, elements).into()))
}

/// One element as written.
#[derive(Default)]
struct Item {
    text: String,
    /// Bytes of `text` that blanks at the end may not take away.
    kept: usize,
    quoted: bool,
    escaped: bool,
}

impl Item {
    /// Reads up to the delimiter, which is returned.
    fn read(
        &mut self,
        rest: &mut std::str::Chars<'_>,
        whole: &str,
        is_blank: &dyn Fn(char) -> bool,
    ) -> Result<char, EvalError> {
        let mut closed = false;
        loop {
            let c = rest.next().ok_or_else(|| malformed(whole))?;
            match c {
                ',' | '}' => return Ok(c),
                '{' => return Err(EvalError::unsupported("array input with several dimensions")),
                // Majors before 17 join what is quoted with what is not; later ones refuse it.
                '"' if self.quoted || self.kept > 0 => {
                    return Err(EvalError::unsupported("array input with a partly quoted element"));
                }
                '"' => {
                    self.quoted = true;
                    self.text.clear();
                    self.read_quoted(rest, whole)?;
                    closed = true;
                }
                c if is_blank(c) && (closed || self.text.is_empty()) => {}
                _ if closed => return Err(EvalError::unsupported("array input with a partly quoted element")),
                '\\' => {
                    self.text.push(rest.next().ok_or_else(|| malformed(whole))?);
                    self.kept = self.text.len();
                    self.escaped = true;
                }
                c => {
                    self.text.push(c);
                    if !is_blank(c) {
                        self.kept = self.text.len();
                    }
                }
            }
        }
    }

    fn read_quoted(&mut self, rest: &mut std::str::Chars<'_>, whole: &str) -> Result<(), EvalError> {
        loop {
            match rest.next().ok_or_else(|| malformed(whole))? {
                '"' => {
                    self.kept = self.text.len();
                    return Ok(());
                }
                '\\' => self.text.push(rest.next().ok_or_else(|| malformed(whole))?),
                c => self.text.push(c),
            }
        }
    }

    fn is_empty(&self) -> bool {
        !self.quoted && self.kept == 0
    }

    fn value(&self, element: u32, typmod: i32, settings: &Settings) -> Result<Value, EvalError> {
        let text = &self.text[..self.kept];
        if !self.quoted && !self.escaped && text.eq_ignore_ascii_case("null") {
            return Ok(Value::Null);
        }
        decode_text(element, typmod, text, settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::oid;

    fn texts(text: &str) -> Result<Vec<Option<String>>, &'static str> {
        match array(oid::TEXT, -1, text, &Settings::default()) {
            Ok(Value::Array(array)) => Ok(array
                .elements
                .iter()
                .map(|value| if let Value::Text(text) = value { Some(text.to_string()) } else { None })
                .collect()),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.sqlstate),
        }
    }

    #[test]
    fn elements() {
        let some = |texts: &[&str]| Ok(texts.iter().map(|text| Some((*text).to_owned())).collect());
        assert_eq!(texts("{}"), Ok(vec![]));
        assert_eq!(texts(" { a , b c } "), some(&["a", "b c"]));
        assert_eq!(texts(r#"{"a,b","\"","",\{}"#), some(&["a,b", "\"", "", "{"]));
        assert_eq!(texts(r#"{NULL,"NULL",nul\l}"#), Ok(vec![None, Some("NULL".into()), Some("null".into())]));
        for bad in ["", "{", "{a", "{a,}", "{,a}", "{a}b", "a"] {
            assert_eq!(texts(bad), Err("22P02"), "{bad}");
        }
    }
}
