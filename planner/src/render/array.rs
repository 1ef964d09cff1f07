//! `array_out` (`src/backend/utils/adt/arrayfuncs.c`).

use super::{Renderer, Unrenderable, infallible};
use crate::types::ColumnType;
use crate::value::{Array, Value};
use std::io::Write;

pub(super) fn array(renderer: &Renderer, array: &Array, out: &mut Vec<u8>) -> Result<(), Unrenderable> {
    if array.dimensions.is_empty() {
        out.extend_from_slice(b"{}");
        return Ok(());
    }
    // Bounds are printed when some dimension does not start at 1.
    if array.dimensions.iter().any(|(_, lower)| *lower != 1) {
        for (size, lower) in &array.dimensions {
            infallible(write!(out, "[{lower}:{}]", i64::from(*lower) + i64::from(*size) - 1));
        }
        out.push(b'=');
    }
    let kind = ColumnType::new(array.element);
    let mut elements = array.elements.iter();
    let brackets = Brackets { open: b'{', close: b'}', separator: b"," };
    nested(&brackets, &array.dimensions, &mut elements, &mut |value, out| element(renderer, value, &kind, out), out)
}

type Print<'a> = dyn FnMut(&Value, &mut Vec<u8>) -> Result<(), Unrenderable> + 'a;

/// How a level of nesting is written.
pub(super) struct Brackets<'a> {
    pub open: u8,
    pub close: u8,
    pub separator: &'a [u8],
}

pub(super) fn nested(
    brackets: &Brackets<'_>,
    dimensions: &[(i32, i32)],
    elements: &mut std::slice::Iter<'_, Value>,
    print: &mut Print<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Unrenderable> {
    let Some(((size, _), inner)) = dimensions.split_first() else {
        return match elements.next() {
            Some(value) => print(value, out),
            None => Ok(()),
        };
    };
    out.push(brackets.open);
    for index in 0..*size {
        if index > 0 {
            out.extend_from_slice(brackets.separator);
        }
        nested(brackets, inner, elements, print, out)?;
    }
    out.push(brackets.close);
    Ok(())
}

fn element(renderer: &Renderer, value: &Value, kind: &ColumnType, out: &mut Vec<u8>) -> Result<(), Unrenderable> {
    if value.is_null() {
        out.extend_from_slice(b"NULL");
        return Ok(());
    }
    let mut image = Vec::new();
    renderer.encode(value, kind, &mut image)?;
    let needs_quotes = image.is_empty()
        || image.eq_ignore_ascii_case(b"null")
        || image
            .iter()
            .any(|b| matches!(b, b'"' | b'\\' | b'{' | b'}' | b',' | b' ' | b'\t' | b'\n' | b'\r' | 0xb | 0xc));
    if !needs_quotes {
        out.extend_from_slice(&image);
        return Ok(());
    }
    out.push(b'"');
    for byte in image {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use crate::types::oid;

    fn text(value: Array) -> String {
        let mut out = Vec::new();
        array(&Renderer::new(&Settings::default()), &value, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn quotes_where_needed() {
        let words = ["a", "", "null", "x y", "q\"\\", "{}"].map(Value::text).into_iter().chain([Value::Null]);
        assert_eq!(text(Array::list(oid::TEXT, words.collect())), r#"{a,"","null","x y","q\"\\","{}",NULL}"#);
        assert_eq!(text(Array::list(oid::INT4, vec![])), "{}");
        let square = Array {
            element: oid::INT4,
            dimensions: [(2, 0), (2, 1)].into(),
            elements: [1, 2, 3, 4].map(Value::Int4).into(),
            bitmap: false,
        };
        assert_eq!(text(square), "[0:1][1:2]={{1,2},{3,4}}");
    }
}
