//! Concatenation: `||` between strings, `||` with any other type, concat and concat_ws.

use super::Function;
use super::define::wrong_arguments;
use crate::eval::EvalContext;
use crate::settings::SettingSet;
use crate::value::EvalError;
use crate::value::Value::{self, *};

pub(super) static FUNCTIONS: &[Function] = &[
    Function { symbol: "textcat", strict: true, settings: SettingSet::NONE, eval: textcat },
    Function { symbol: "textanycat(text,anynonarray)", strict: true, settings: SettingSet::NONE, eval: cast_and_join },
    Function { symbol: "anytextcat(anynonarray,text)", strict: true, settings: SettingSet::NONE, eval: cast_and_join },
    Function { symbol: "text_concat", strict: false, settings: SettingSet::NONE, eval: concat },
    Function { symbol: "text_concat_ws", strict: false, settings: SettingSet::NONE, eval: concat_ws },
];

fn textcat(args: &[&Value], _: &EvalContext) -> Result<Value, EvalError> {
    match args {
        [Text(a), Text(b)] => {
            let mut joined = String::with_capacity(a.len() + b.len());
            joined.push_str(a);
            joined.push_str(b);
            Ok(Text(joined.into()))
        }
        _ => Err(wrong_arguments("textcat", args)),
    }
}

/// Both sides cast to text, then joined: a boolean is `true` here.
fn cast_and_join(args: &[&Value], _: &EvalContext) -> Result<Value, EvalError> {
    let mut joined = String::new();
    for arg in args {
        match arg {
            Bool(v) => joined.push_str(if *v { "true" } else { "false" }),
            // The cast of char(n) to text drops its padding.
            Bpchar(v) => joined.push_str(v.trim_end_matches(' ')),
            other => push_output(&mut joined, other)?,
        }
    }
    Ok(Text(joined.into()))
}

/// `text_concat`: output functions of all arguments, NULLs left out: a boolean is `t` here.
fn concat(args: &[&Value], _: &EvalContext) -> Result<Value, EvalError> {
    join(args, "")
}

fn concat_ws(args: &[&Value], _: &EvalContext) -> Result<Value, EvalError> {
    match args {
        [Null, ..] => Ok(Null),
        [Text(separator), rest @ ..] => join(rest, separator),
        _ => Err(wrong_arguments("text_concat_ws", args)),
    }
}

fn join(args: &[&Value], separator: &str) -> Result<Value, EvalError> {
    let mut joined = String::new();
    let mut first = true;
    for arg in args.iter().filter(|arg| !arg.is_null()) {
        if !first {
            joined.push_str(separator);
        }
        first = false;
        push_shown(&mut joined, arg)?;
    }
    Ok(Text(joined.into()))
}

/// What the output function shows.
pub(super) fn push_shown(joined: &mut String, value: &Value) -> Result<(), EvalError> {
    match value {
        Bool(v) => joined.push(if *v { 't' } else { 'f' }),
        Bpchar(v) => joined.push_str(v),
        other => push_output(joined, other)?,
    }
    Ok(())
}

/// Output functions that depend on no setting and are the same as the cast to text.
fn push_output(joined: &mut String, value: &Value) -> Result<(), EvalError> {
    use std::fmt::Write;
    let written = match value {
        Text(v) => write!(joined, "{v}"),
        Int2(v) => write!(joined, "{v}"),
        Int4(v) => write!(joined, "{v}"),
        Int8(v) => write!(joined, "{v}"),
        Numeric(v) => write!(joined, "{v}"),
        _ => return Err(EvalError::unsupported("concatenation with a type whose text depends on settings")),
    };
    written.map_err(|_| EvalError::unsupported("concatenation"))
}
