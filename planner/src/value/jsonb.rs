//! Equality and order of jsonb (`compareJsonbContainers` of jsonb_util.c), over its text.

use super::Numeric;
use crate::functions::jsonb::unescaped;
use std::cmp::Ordering;

/// `jsonb_cmp`, strings by their bytes. For historical reasons an empty array comes before all else at the top.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    match (a, b) {
        ("[]", b) if !b.starts_with(['[', '{']) => Ordering::Less,
        (a, "[]") if !a.starts_with(['[', '{']) => Ordering::Greater,
        _ => nested(a, b),
    }
}

/// Containers go before what is in them, so that two texts differ where their parts first do. Neither recursion nor a second look
/// at any part: Postgres takes texts nested many thousand levels deep.
fn nested(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    if !is_container(a) || !is_container(b) {
        return rank(a).cmp(&rank(b)).then_with(|| scalar(a, b));
    }
    let (Some(parts), Some(others)) = (parts(a), parts(b)) else { return a.cmp(b) };
    let by_part = |(a, b): (&Part<'_>, &Part<'_>)| {
        let kinds = rank(a.text).cmp(&rank(b.text));
        kinds
            .then(a.inside.cmp(&b.inside))
            .then_with(|| if is_container(a.text) { Ordering::Equal } else { scalar(a.text, b.text) })
    };
    parts.iter().zip(&others).map(by_part).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn is_container(text: &str) -> bool {
    text.starts_with(['[', '{'])
}

/// A scalar, a key, or the opening of a container.
struct Part<'j> {
    text: &'j str,
    /// Of a container: the elements, or the keys and values, in it.
    inside: u32,
}

/// The parts in their order; None where the text is no jsonb's.
fn parts(text: &str) -> Option<Vec<Part<'_>>> {
    let bytes = text.as_bytes();
    let (mut found, mut open): (Vec<Part<'_>>, Vec<usize>) = (Vec::new(), Vec::new());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let end = match byte {
            b',' | b':' | b' ' => {
                at += 1;
                continue;
            }
            b']' | b'}' => {
                open.pop()?;
                at += 1;
                continue;
            }
            b'[' | b'{' => at + 1,
            b'"' => at + string_length(&text[at..]),
            _ => bytes[at..].iter().position(|b| matches!(b, b',' | b']' | b'}')).map_or(bytes.len(), |n| at + n),
        };
        if let Some(container) = open.last() {
            found[*container].inside += 1;
        }
        if matches!(byte, b'[' | b'{') {
            open.push(found.len());
        }
        found.push(Part { text: text.get(at..end)?, inside: 0 });
        at = end;
    }
    Some(found)
}

/// `jsonb_eq`.
pub(crate) fn is_equal(a: &str, b: &str) -> bool {
    a == b || canonical(a).as_deref().unwrap_or(a) == canonical(b).as_deref().unwrap_or(b)
}

/// `jbvType`.
fn rank(text: &str) -> u8 {
    match text.as_bytes().first() {
        Some(b'n') => 0,
        Some(b'"') => 1,
        Some(b't' | b'f') => 3,
        Some(b'[') => 4,
        Some(b'{') => 5,
        _ => 2,
    }
}

/// Of one kind.
fn scalar(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    if a.starts_with('"') {
        return match (unescaped(a), unescaped(b)) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            _ => a.cmp(b),
        };
    }
    match (Numeric::parse(a), Numeric::parse(b)) {
        (Ok(a), Ok(b)) => a.compare(&b),
        // `false` before `true`.
        _ => a.cmp(b),
    }
}

/// The text that all equal values share: numbers without zeros at the end of their fractions. None where it is this one.
pub(super) fn canonical(text: &str) -> Option<String> {
    if !text.contains('.') {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string_length(rest),
            '-' | '0'..='9' => rest.find(|c: char| c != '-' && c != '.' && !c.is_ascii_digit()).unwrap_or(rest.len()),
            other => other.len_utf8(),
        };
        let (token, tail) = rest.split_at(length);
        out.push_str(match first {
            '-' | '0'..='9' if token.contains('.') => token.trim_end_matches('0').trim_end_matches('.'),
            _ => token,
        });
        rest = tail;
    }
    (out != text).then_some(out)
}

/// Of the string that the text begins with, quotes included.
fn string_length(text: &str) -> usize {
    let (mut at, bytes) = (1, text.as_bytes());
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_takes_no_stack() {
        let deep = |inside: &str| format!("{}{inside}{}", "[".repeat(20_000), "]".repeat(20_000));
        assert_eq!(compare(&deep("1"), &deep("2")), Ordering::Less);
        assert!(is_equal(&deep("1.50"), &deep("1.5")));
    }

    #[test]
    fn order_and_representatives() {
        let sorted =
            ["[]", "null", r#""""#, r#""B""#, r#""a""#, "-1", "1.50", "false", "true", "[1]", "[[]]", "[1, 2]", "{}"];
        for (at, a) in sorted.iter().enumerate() {
            for (place, b) in sorted.iter().enumerate() {
                assert_eq!(compare(a, b), at.cmp(&place), "{a} {b}");
            }
        }
        assert_eq!(
            canonical(r#"{"1.50": [1.50, 10.00, -0.5, "x\"1.0"]}"#).as_deref(),
            Some(r#"{"1.50": [1.5, 10, -0.5, "x\"1.0"]}"#)
        );
        assert_eq!(canonical("[1.5, 20]"), None);
    }
}
