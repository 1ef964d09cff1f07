//! LIKE with the default escape character (like_match.c).

use super::define::strict_functions;
use crate::value::EvalError;
use crate::value::Value::{self, *};

/// Matches bytes: UTF-8 is such that a byte of a character never matches within another; only `_` must step
/// over whole characters. A pattern that ends in a bare escape is an error only where matching reaches it, so
/// it is left to Postgres.
pub(super) fn like(text: &str, pattern: &str) -> Result<bool, EvalError> {
    let trailing_escapes = pattern.bytes().rev().take_while(|b| *b == b'\\').count();
    if trailing_escapes % 2 == 1 {
        return Err(EvalError::unsupported("LIKE pattern that ends in an escape character"));
    }
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let (mut t, mut p) = (0, 0);
    // Where to go on after a mismatch: behind the last `%`, one character further in the text.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'%') => {
                p += 1;
                retry = Some((t, p));
                continue;
            }
            Some(b'_') => {
                t = next_character(text, t);
                p += 1;
                continue;
            }
            Some(b'\\') if pattern.get(p + 1) == Some(&text[t]) => {
                t += 1;
                p += 2;
                continue;
            }
            Some(b'\\') => {}
            Some(b) if *b == text[t] => {
                t += 1;
                p += 1;
                continue;
            }
            _ => {}
        }
        match retry {
            Some((from, behind)) => {
                let from = next_character(text, from);
                t = from;
                p = behind;
                retry = Some((from, behind));
            }
            None => return Ok(false),
        }
    }
    Ok(pattern[p..].iter().all(|b| *b == b'%'))
}

fn next_character(text: &[u8], mut at: usize) -> usize {
    at += 1;
    while at < text.len() && text[at] & 0xc0 == 0x80 {
        at += 1;
    }
    at
}

/// `like_escape`: the pattern with its own escape character, to one with the default one.
fn escaped(pattern: &str, escape: &str) -> Result<Value, EvalError> {
    let mut characters = escape.chars();
    let own = match (characters.next(), characters.next()) {
        (own, None) => own,
        _ => return Err(EvalError::new("22025", "invalid escape string")),
    };
    if own == Some('\\') {
        return Ok(Value::text(pattern));
    }
    let mut out = String::with_capacity(pattern.len());
    let mut is_escaped = false;
    for c in pattern.chars() {
        match c {
            c if Some(c) == own && !is_escaped => {
                out.push('\\');
                is_escaped = true;
                continue;
            }
            '\\' if !is_escaped => out.push_str("\\\\"),
            c => out.push(c),
        }
        is_escaped = false;
    }
    Ok(Value::text(&out))
}

strict_functions! {
    "like_escape" (Text(pattern), Text(escape)) => escaped(pattern, escape);
    // Also the operators of char(n), which keep its padding.
    "textlike" (Text(a) | Bpchar(a), Text(pattern)) => like(a, pattern).map(Bool);
    "textnlike" (Text(a) | Bpchar(a), Text(pattern)) => like(a, pattern).map(|matches| Bool(!matches));
    "namelike" (Text(a), Text(pattern)) => like(a, pattern).map(Bool);
    "namenlike" (Text(a), Text(pattern)) => like(a, pattern).map(|matches| Bool(!matches));
}
