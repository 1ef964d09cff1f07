//! The operators and functions that take a pattern (regexp.c).

use super::options::Options;
use super::replacement::Piece;
use super::{Match, Pattern, Reading};
use crate::functions::define::strict_functions;
use crate::types::oid;
use crate::value::Value::{self, *};
use crate::value::{self, EvalError};

fn matches(text: &str, pattern: &str, flags: Flags) -> Result<bool, EvalError> {
    match &*Pattern::of(pattern, flags.reading()) {
        Ok(pattern) => pattern.is_match(text),
        Err(refused) => Err(refused.clone()),
    }
}

/// What is done with the matches of a pattern.
fn with_matches<T>(
    text: &str,
    pattern: &str,
    flags: Flags,
    use_them: impl FnOnce(&[char], Vec<Match>) -> T,
) -> Result<T, EvalError> {
    let pattern = Pattern::of(pattern, flags.reading());
    let pattern = (*pattern).as_ref().map_err(Clone::clone)?;
    let text = pattern.subject(text)?;
    let found = pattern.matches(&text, flags.all, flags.groups)?;
    Ok(use_them(&text, found))
}

#[derive(Clone, Copy)]
struct Flags {
    /// The number of the collation's letters.
    letters: i32,
    options: Options,
    all: bool,
    /// What parentheses captured is asked for.
    groups: bool,
}

impl Flags {
    fn none(letters: i32) -> Flags {
        Flags { letters, options: Options::default(), all: false, groups: false }
    }

    fn folded(letters: i32) -> Flags {
        Flags { options: Options { fold: true, ..Options::default() }, ..Flags::none(letters) }
    }

    fn reading(self) -> Reading {
        Reading { options: self.options, letters: self.letters }
    }
}

/// `g`, and what a pattern is read with.
fn flags(text: &str, letters: i32) -> Result<Flags, EvalError> {
    let mut flags = Flags::none(letters);
    for letter in text.chars() {
        match letter {
            'g' => flags.all = true,
            letter if flags.options.set(letter) => {}
            _ => return Err(EvalError::unsupported(format!("option {letter:?} of a regular expression"))),
        }
    }
    Ok(flags)
}

/// `regexp_like` and its kin refuse `g`.
fn case_flags(text: &str, letters: i32) -> Result<Flags, EvalError> {
    let flags = flags(text, letters)?;
    if flags.all { Err(EvalError::unsupported("option g where there is but one match")) } else { Ok(flags) }
}

fn replace(text: &str, pattern: &str, by: &str, flags: Flags) -> Result<Value, EvalError> {
    let pieces = Piece::all(by);
    let groups = pieces.iter().any(|piece| matches!(piece, Piece::Group(_)));
    with_matches(text, pattern, Flags { groups, ..flags }, |text, found| {
        let (mut out, mut done) = (String::new(), 0);
        for Match { whole, groups } in found {
            out.extend(&text[done..whole.0]);
            for piece in &pieces {
                let captured = match piece {
                    Piece::Text(text) => {
                        out.push_str(text);
                        continue;
                    }
                    Piece::Whole => Some(whole),
                    // Parentheses that are not there have captured nothing, as those that matched nothing.
                    Piece::Group(number) => groups.get(number - 1).copied().flatten(),
                };
                captured.into_iter().for_each(|(start, end)| out.extend(&text[start..end]));
            }
            done = whole.1;
        }
        out.extend(&text[done..]);
        Value::text(&out)
    })
}

/// A flag that begins with a digit is a start position, which Postgres warns of.
fn replace_with_flags(text: &str, pattern: &str, by: &str, options: &str, letters: i32) -> Result<Value, EvalError> {
    replace(text, pattern, by, flags(options, letters)?)
}

/// `regexp_substr`: the first match; without one NULL.
fn whole(text: &str, pattern: &str, flags: Flags) -> Result<Value, EvalError> {
    with_matches(text, pattern, flags, |text, found| {
        found.first().map_or(Null, |found| part_of(text, Some(found.whole)))
    })
}

/// `substring`: what the first parentheses of the first match captured; without parentheses, all of it.
fn captured(text: &str, pattern: &str, flags: Flags) -> Result<Value, EvalError> {
    with_matches(text, pattern, Flags { groups: true, ..flags }, |text, found| {
        found.first().map_or(Null, |found| part_of(text, *found.groups.first().unwrap_or(&Some(found.whole))))
    })
}

/// `regexp_match`: a list of what the parentheses of the first match captured; without parentheses, of all of it.
fn all_captured(text: &str, pattern: &str, flags: Flags) -> Result<Value, EvalError> {
    with_matches(text, pattern, Flags { groups: true, ..flags }, |text, mut found| {
        if found.is_empty() {
            return Null;
        }
        let Match { whole, groups } = found.swap_remove(0);
        let parts = if groups.is_empty() { vec![Some(whole)] } else { groups };
        let parts = parts.into_iter().map(|part| part_of(text, part)).collect();
        Array(value::Array::list(oid::TEXT, parts).into())
    })
}

fn part_of(text: &[char], part: Option<(usize, usize)>) -> Value {
    part.map_or(Null, |(start, end)| Value::text(&text[start..end].iter().collect::<String>()))
}

/// `regexp_split_to_array`: empty matches at the ends, and behind another match, do not split.
fn split(text: &str, pattern: &str, flags: Flags) -> Result<Value, EvalError> {
    let flags = Flags { all: true, ..flags };
    with_matches(text, pattern, flags, |text, found| {
        let (mut pieces, mut done, mut previous) = (Vec::new(), 0, 0);
        for (start, end) in found.into_iter().map(|found| found.whole) {
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

fn count(text: &str, pattern: &str, letters: i32) -> Result<Value, EvalError> {
    let flags = Flags { all: true, ..Flags::none(letters) };
    with_matches(text, pattern, flags, |_, found| Int4(found.len() as i32))
}

/// `regexp_instr`: where the first match begins, from 1; 0 without one.
fn place(text: &str, pattern: &str, letters: i32) -> Result<Value, EvalError> {
    with_matches(text, pattern, Flags::none(letters), |_, found| {
        Int4(found.first().map_or(0, |found| found.whole.0 as i32 + 1))
    })
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
    "textregexeq" (Text(a) | Bpchar(a), Text(pattern), &Int4(l)) => matches(a, pattern, Flags::none(l)).map(Bool);
    "textregexne" (Text(a) | Bpchar(a), Text(pattern), &Int4(l)) => matches(a, pattern, Flags::none(l)).map(|found| Bool(!found));
    "texticregexeq" (Text(a) | Bpchar(a), Text(pattern), &Int4(l)) => matches(a, pattern, Flags::folded(l)).map(Bool);
    "texticregexne" (Text(a) | Bpchar(a), Text(pattern), &Int4(l)) => matches(a, pattern, Flags::folded(l)).map(|found| Bool(!found));
    "nameregexeq" (Text(a), Text(pattern), &Int4(l)) => matches(a, pattern, Flags::none(l)).map(Bool);
    "nameregexne" (Text(a), Text(pattern), &Int4(l)) => matches(a, pattern, Flags::none(l)).map(|found| Bool(!found));
    "regexp_like_no_flags" (Text(a), Text(pattern), &Int4(l)) => matches(a, pattern, Flags::none(l)).map(Bool);
    "regexp_like" (Text(a), Text(pattern), Text(options), &Int4(l)) =>
        matches(a, pattern, case_flags(options, l)?).map(Bool);
    "textregexreplace_noopt" (Text(a), Text(pattern), Text(by), &Int4(l)) => replace(a, pattern, by, Flags::none(l));
    "textregexreplace" (Text(a), Text(pattern), Text(by), Text(options), &Int4(l)) =>
        replace_with_flags(a, pattern, by, options, l);
    "textregexsubstr" (Text(a), Text(pattern), &Int4(l)) => captured(a, pattern, Flags::none(l));
    "regexp_substr_no_start" (Text(a), Text(pattern), &Int4(l)) => whole(a, pattern, Flags::none(l));
    "regexp_instr_no_start" (Text(a), Text(pattern), &Int4(l)) => place(a, pattern, l);
    "regexp_count_no_start" (Text(a), Text(pattern), &Int4(l)) => count(a, pattern, l);
    "regexp_match_no_flags" (Text(a), Text(pattern), &Int4(l)) => all_captured(a, pattern, Flags::none(l));
    "regexp_match" (Text(a), Text(pattern), Text(options), &Int4(l)) => all_captured(a, pattern, case_flags(options, l)?);
    "regexp_split_to_array_no_flags" (Text(a), Text(pattern), &Int4(l)) => split(a, pattern, Flags::none(l));
    "regexp_split_to_array" (Text(a), Text(pattern), Text(options), &Int4(l)) => split(a, pattern, case_flags(options, l)?);
    "similar_to_escape_1" (Text(pattern)) => similar(pattern, None);
    "similar_to_escape_2" (Text(pattern), Text(escape)) => similar(pattern, Some(escape));
}
