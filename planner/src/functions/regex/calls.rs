//! The operators and functions that take a pattern (regexp.c).

use super::Pattern;
use crate::functions::define::strict_functions;
use crate::types::oid;
use crate::value::Value::{self, *};
use crate::value::{self, EvalError};

fn matches(text: &str, pattern: &str, fold: bool) -> Result<bool, EvalError> {
    match &*Pattern::of(pattern, fold) {
        Ok(pattern) => pattern.is_match(text),
        Err(refused) => Err(refused.clone()),
    }
}

/// What is done with every match of a pattern.
fn with_matches<T>(
    text: &str,
    pattern: &str,
    flags: Flags,
    use_them: impl FnOnce(&[char], Vec<(usize, usize)>) -> T,
) -> Result<T, EvalError> {
    let pattern = Pattern::of(pattern, flags.fold);
    let pattern = (*pattern).as_ref().map_err(Clone::clone)?;
    if !pattern.is_greedy {
        return Err(EvalError::unsupported("a non-greedy quantifier where the match's length counts"));
    }
    if pattern.captures && flags.whole {
        return Err(EvalError::unsupported("a captured part of a match"));
    }
    let text = pattern.characters(text)?;
    let (mut found, mut from) = (Vec::new(), 0);
    while from <= text.len() {
        let Some((start, end)) = pattern.find(&text, from) else { break };
        found.push((start, end));
        if !flags.all {
            break;
        }
        // An empty match would be found again.
        from = if start == end { end + 1 } else { end };
    }
    Ok(use_them(&text, found))
}

#[derive(Clone, Copy, Default)]
struct Flags {
    fold: bool,
    all: bool,
    /// The match whole is asked for: parentheses would ask for their part.
    whole: bool,
}

/// `g` and `i`; others change what a pattern means.
fn flags(text: &str) -> Result<Flags, EvalError> {
    let mut flags = Flags::default();
    for letter in text.chars() {
        match letter {
            'g' => flags.all = true,
            'i' => flags.fold = true,
            'c' => flags.fold = false,
            _ => return Err(EvalError::unsupported(format!("option {letter:?} of a regular expression"))),
        }
    }
    Ok(flags)
}

/// `regexp_like` and its kin refuse `g`.
fn case_flags(text: &str) -> Result<Flags, EvalError> {
    let flags = flags(text)?;
    if flags.all { Err(EvalError::unsupported("option g where there is but one match")) } else { Ok(flags) }
}

fn replace(text: &str, pattern: &str, by: &str, flags: Flags) -> Result<Value, EvalError> {
    if by.contains('\\') {
        return Err(EvalError::unsupported("a replacement with a backslash"));
    }
    with_matches(text, pattern, flags, |text, found| {
        let (mut out, mut done) = (String::new(), 0);
        for (start, end) in found {
            out.extend(&text[done..start]);
            out.push_str(by);
            done = end;
        }
        out.extend(&text[done..]);
        Value::text(&out)
    })
}

/// A flag that begins with a digit is a start position, which Postgres warns of.
fn replace_with_flags(text: &str, pattern: &str, by: &str, options: &str) -> Result<Value, EvalError> {
    replace(text, pattern, by, flags(options)?)
}

/// The first match; none is NULL.
fn first(text: &str, pattern: &str, flags: Flags) -> Result<Option<String>, EvalError> {
    let flags = Flags { whole: true, all: false, ..flags };
    with_matches(text, pattern, flags, |text, found| {
        found.first().map(|(start, end)| text[*start..*end].iter().collect())
    })
}

fn as_text(found: Option<String>) -> Value {
    found.map_or(Null, |found| Value::text(&found))
}

/// `regexp_match`: a list of the one match.
fn as_list(found: Option<String>) -> Value {
    found.map_or(Null, |found| Array(value::Array::list(oid::TEXT, vec![Value::text(&found)]).into()))
}

/// `regexp_split_to_array`: empty matches at the ends, and behind another match, do not split.
fn split(text: &str, pattern: &str, flags: Flags) -> Result<Value, EvalError> {
    let flags = Flags { all: true, ..flags };
    with_matches(text, pattern, flags, |text, found| {
        let (mut pieces, mut done, mut previous) = (Vec::new(), 0, 0);
        for (start, end) in found {
            if start < text.len() && end > previous {
                pieces.push(Value::text(&text[done..start].iter().collect::<String>()));
                done = end;
            }
            previous = end;
        }
        pieces.push(Value::text(&text[done..].iter().collect::<String>()));
        Array(value::Array::list(oid::TEXT, pieces).into())
    })
}

fn count(text: &str, pattern: &str) -> Result<Value, EvalError> {
    let flags = Flags { all: true, ..Flags::default() };
    with_matches(text, pattern, flags, |_, found| Int4(found.len() as i32))
}

/// `regexp_instr`: where the first match begins, from 1; 0 without one.
fn place(text: &str, pattern: &str) -> Result<Value, EvalError> {
    let flags = Flags { whole: true, ..Flags::default() };
    with_matches(text, pattern, flags, |_, found| Int4(found.first().map_or(0, |(start, _)| *start as i32 + 1)))
}

/// `similar_escape_internal`: the pattern of SIMILAR TO as a regular expression. Brackets are translated otherwise by
/// every other version.
fn similar(pattern: &str, escape: Option<&str>) -> Result<Value, EvalError> {
    let mut marks = escape.unwrap_or("\\").chars();
    let escape = marks.next();
    if marks.next().is_some() {
        return Err(EvalError::unsupported("an escape of more than one character"));
    }
    let mut out = String::from("^(?:");
    let mut escaped = false;
    for c in pattern.chars() {
        match c {
            '"' if escaped => return Err(EvalError::unsupported("a separator in a pattern of SIMILAR TO")),
            c if escaped => {
                out.extend(['\\', c]);
                escaped = false;
            }
            c if Some(c) == escape => escaped = true,
            '[' | ']' => return Err(EvalError::unsupported("brackets in a pattern of SIMILAR TO")),
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '(' => out.push_str("(?:"),
            '\\' | '.' | '^' | '$' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out.push_str(")$");
    Ok(Value::text(&out))
}

strict_functions! {
    "textregexeq" (Text(a) | Bpchar(a), Text(pattern)) => matches(a, pattern, false).map(Bool);
    "textregexne" (Text(a) | Bpchar(a), Text(pattern)) => matches(a, pattern, false).map(|found| Bool(!found));
    "texticregexeq" (Text(a) | Bpchar(a), Text(pattern)) => matches(a, pattern, true).map(Bool);
    "texticregexne" (Text(a) | Bpchar(a), Text(pattern)) => matches(a, pattern, true).map(|found| Bool(!found));
    "nameregexeq" (Text(a), Text(pattern)) => matches(a, pattern, false).map(Bool);
    "nameregexne" (Text(a), Text(pattern)) => matches(a, pattern, false).map(|found| Bool(!found));
    "regexp_like_no_flags" (Text(a), Text(pattern)) => matches(a, pattern, false).map(Bool);
    "regexp_like" (Text(a), Text(pattern), Text(options)) =>
        matches(a, pattern, case_flags(options)?.fold).map(Bool);
    "textregexreplace_noopt" (Text(a), Text(pattern), Text(by)) => replace(a, pattern, by, Flags::default());
    "textregexreplace" (Text(a), Text(pattern), Text(by), Text(options)) =>
        replace_with_flags(a, pattern, by, options);
    "textregexsubstr" (Text(a), Text(pattern)) => first(a, pattern, Flags::default()).map(as_text);
    "regexp_substr_no_start" (Text(a), Text(pattern)) => first(a, pattern, Flags::default()).map(as_text);
    "regexp_instr_no_start" (Text(a), Text(pattern)) => place(a, pattern);
    "regexp_count_no_start" (Text(a), Text(pattern)) => count(a, pattern);
    "regexp_match_no_flags" (Text(a), Text(pattern)) => first(a, pattern, Flags::default()).map(as_list);
    "regexp_match" (Text(a), Text(pattern), Text(options)) => first(a, pattern, case_flags(options)?).map(as_list);
    "regexp_split_to_array_no_flags" (Text(a), Text(pattern)) => split(a, pattern, Flags::default());
    "regexp_split_to_array" (Text(a), Text(pattern), Text(options)) => split(a, pattern, case_flags(options)?);
    "similar_to_escape_1" (Text(pattern)) => similar(pattern, None);
    "similar_to_escape_2" (Text(pattern), Text(escape)) => similar(pattern, Some(escape));
}
