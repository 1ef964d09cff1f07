//! `format()`: a text in which `%s`, `%I`, `%L`, with positions and widths, stand for arguments (`text_format` in varlena.c).

use super::Function;
use super::concat::push_shown;
use super::define::wrong_arguments;
use super::identifier::identifier;
use super::words::literal;
use crate::eval::EvalContext;
use crate::settings::SettingSet;
use crate::value::EvalError;
use crate::value::Value::{self, *};
use std::iter::Peekable;
use std::str::Chars;

/// Blanks that one argument may be given; beyond, Postgres answers.
const MOST_WIDTH: u32 = 1_000_000;

pub(super) static FUNCTIONS: &[Function] = &[
    Function { symbol: "text_format", strict: false, settings: SettingSet::NONE, eval: format },
    Function { symbol: "text_format_nv", strict: false, settings: SettingSet::NONE, eval: format },
];

/// `%[position$][-][width]type`, in which the width may be an argument's value: `*` for the next, `*position$`.
struct Specifier {
    position: Option<usize>,
    to_the_left: bool,
    width: Width,
    conversion: char,
}

enum Width {
    Given(i32),
    Next,
    Argument(usize),
}

fn format(args: &[&Value], _: &EvalContext) -> Result<Value, EvalError> {
    let template = match args {
        [Null, ..] => return Ok(Null),
        [Text(template), ..] => template,
        _ => return Err(wrong_arguments("text_format", args)),
    };
    let mut out = String::with_capacity(template.len() + 16);
    let mut rest = template.chars().peekable();
    // The template itself counts as the argument before the first.
    let mut next = 1;
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if *peek(&mut rest)? == '%' {
            rest.next();
            out.push('%');
            continue;
        }
        let specifier = specifier(&mut rest)?;
        let mut argument = |position: Option<usize>| {
            let at = position.unwrap_or(next);
            next = at + 1;
            args.get(at).ok_or_else(|| EvalError::invalid_parameter("too few arguments for format()"))
        };
        let width = match specifier.width {
            Width::Given(width) => width,
            Width::Next => width_of(argument(None)?)?,
            Width::Argument(position) => width_of(argument(Some(position))?)?,
        };
        let shown = shown(argument(specifier.position)?, specifier.conversion)?;
        pad(&mut out, &shown, width, specifier.to_the_left)?;
    }
    Ok(Text(out.into()))
}

/// What comes next; a specifier has to have an end.
fn peek<'t>(rest: &'t mut Peekable<Chars<'_>>) -> Result<&'t char, EvalError> {
    rest.peek().ok_or_else(|| EvalError::invalid_parameter("unterminated format() type specifier"))
}

/// `text_format_parse_format`.
fn specifier(rest: &mut Peekable<Chars<'_>>) -> Result<Specifier, EvalError> {
    let mut found = Specifier { position: None, to_the_left: false, width: Width::Given(0), conversion: ' ' };
    match number(rest)? {
        Some(number) if *peek(rest)? != '$' => found.width = Width::Given(number),
        first => {
            if let Some(position) = first {
                found.position = Some(argument_number(position)?);
                rest.next();
            }
            while *peek(rest)? == '-' {
                found.to_the_left = true;
                rest.next();
            }
            if *peek(rest)? == '*' {
                rest.next();
                found.width = match number(rest)? {
                    None => Width::Next,
                    Some(_) if *peek(rest)? != '$' => {
                        return Err(EvalError::invalid_parameter("width argument position must be ended by \"$\""));
                    }
                    Some(position) => {
                        rest.next();
                        Width::Argument(argument_number(position)?)
                    }
                };
            } else if let Some(width) = number(rest)? {
                found.width = Width::Given(width);
            }
        }
    }
    found.conversion = *peek(rest)?;
    if !matches!(found.conversion, 's' | 'I' | 'L') {
        let message = format!("unrecognized format() type specifier \"{}\"", found.conversion);
        return Err(EvalError::invalid_parameter(message));
    }
    rest.next();
    Ok(found)
}

/// Digits, behind which something has to come.
fn number(rest: &mut Peekable<Chars<'_>>) -> Result<Option<i32>, EvalError> {
    let mut number: Option<i32> = None;
    while let Some(digit) = peek(rest)?.to_digit(10) {
        let longer = number.unwrap_or(0).checked_mul(10).and_then(|tens| tens.checked_add(digit as i32));
        number = Some(longer.ok_or_else(|| EvalError::out_of_range("number is out of range"))?);
        rest.next();
    }
    Ok(number)
}

fn argument_number(position: i32) -> Result<usize, EvalError> {
    match position {
        0 => Err(EvalError::invalid_parameter("format specifies argument 0, but arguments are numbered from 1")),
        position => Ok(position as usize),
    }
}

fn width_of(value: &Value) -> Result<i32, EvalError> {
    match value {
        Null => Ok(0),
        Int2(width) => Ok((*width).into()),
        Int4(width) => Ok(*width),
        _ => Err(EvalError::unsupported("a width of format() that is no integer")),
    }
}

fn shown(value: &Value, conversion: char) -> Result<String, EvalError> {
    let mut shown = String::new();
    match (value, conversion) {
        (Null, 's') => {}
        (Null, 'L') => shown.push_str("NULL"),
        (Null, _) => return Err(EvalError::new("22004", "null values cannot be formatted as an SQL identifier")),
        (value, 's') => push_shown(&mut shown, value)?,
        (value, 'L') => {
            push_shown(&mut shown, value)?;
            shown = literal(&shown);
        }
        (value, _) => {
            push_shown(&mut shown, value)?;
            shown = identifier(&shown)?;
        }
    }
    Ok(shown)
}

/// `text_format_append_string`.
fn pad(out: &mut String, shown: &str, width: i32, to_the_left: bool) -> Result<(), EvalError> {
    if width == i32::MIN {
        return Err(EvalError::out_of_range("number is out of range"));
    }
    if width.unsigned_abs() > MOST_WIDTH {
        return Err(EvalError::unsupported("very long padding"));
    }
    let missing = (width.unsigned_abs() as usize).saturating_sub(shown.chars().count());
    let blanks = std::iter::repeat_n(' ', missing);
    if to_the_left || width < 0 {
        out.push_str(shown);
        out.extend(blanks);
    } else {
        out.extend(blanks);
        out.push_str(shown);
    }
    Ok(())
}
