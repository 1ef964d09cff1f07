//! Casts among numbers and strings, and length coercions of strings. Rounding: numeric half away from zero,
//! floating point half to even.

use super::define::strict_functions;
use crate::value::EvalError;
use crate::value::Value::{self, *};
use crate::value::{self};

/// Offset of a length typmod (`VARHDRSZ`).
const VARHDRSZ: i32 = 4;
/// `NAMEDATALEN`.
const NAME_BYTES: usize = 64;

/// Error 22003 with the target type's name.
#[cold]
fn out_of_range(type_name: &str) -> EvalError {
    EvalError::out_of_range(format!("{type_name} out of range"))
}

/// Rounds half to even and checks the range as `FLOAT8_FITS_IN_INT…` does. `limit` is the first power of two
/// beyond the type.
fn float_to_integer(a: f64, limit: f64, type_name: &str) -> Result<i64, EvalError> {
    let rounded = a.round_ties_even();
    if rounded >= -limit && rounded < limit { Ok(rounded as i64) } else { Err(out_of_range(type_name)) }
}

fn to_int2(a: f64) -> Result<Value, EvalError> {
    float_to_integer(a, 32_768.0, "smallint").map(|v| Int2(v as i16))
}

fn to_int4(a: f64) -> Result<Value, EvalError> {
    float_to_integer(a, 2_147_483_648.0, "integer").map(|v| Int4(v as i32))
}

fn to_int8(a: f64) -> Result<Value, EvalError> {
    float_to_integer(a, 9_223_372_036_854_775_808.0, "bigint").map(Int8)
}

fn narrow_float(a: f64) -> Result<Value, EvalError> {
    let result = a as f32;
    if result.is_infinite() && !a.is_infinite() {
        Err(EvalError::out_of_range("value out of range: overflow"))
    } else if result == 0.0 && a != 0.0 {
        Err(EvalError::out_of_range("value out of range: underflow"))
    } else {
        Ok(Float4(result))
    }
}

/// Cuts to a number of characters; what is cut must be blanks unless the cast is explicit (error 22001).
fn cut<'a>(text: &'a str, limit: usize, explicit: bool, type_name: &str) -> Result<&'a str, EvalError> {
    match text.char_indices().nth(limit) {
        None => Ok(text),
        Some((end, _)) if explicit || text[end..].bytes().all(|b| b == b' ') => Ok(&text[..end]),
        Some(_) => Err(EvalError::new("22001", format!("value too long for type {type_name}({limit})"))),
    }
}

/// `varchar(varchar, int4, bool)`.
fn varchar(text: &str, typmod: i32, explicit: bool) -> Result<Value, EvalError> {
    if typmod < VARHDRSZ {
        return Ok(Value::text(text));
    }
    cut(text, (typmod - VARHDRSZ) as usize, explicit, "character varying").map(Value::text)
}

/// `bpchar(bpchar, int4, bool)`: cut or padded with blanks to the length.
fn bpchar(text: &str, typmod: i32, explicit: bool) -> Result<Value, EvalError> {
    if typmod < VARHDRSZ {
        return Ok(Bpchar(text.into()));
    }
    let length = (typmod - VARHDRSZ) as usize;
    let kept = cut(text, length, explicit, "character")?;
    let missing = length - kept.chars().count();
    if missing == 0 {
        return Ok(Bpchar(kept.into()));
    }
    let mut padded = String::with_capacity(kept.len() + missing);
    padded.push_str(kept);
    padded.extend(std::iter::repeat_n(' ', missing));
    Ok(Bpchar(padded.into()))
}

fn name(text: &str) -> Result<Value, EvalError> {
    if text.len() < NAME_BYTES {
        Ok(Value::text(text))
    } else {
        Err(EvalError::unsupported("cast to name of a text that has to be cut"))
    }
}

strict_functions! {
    "i2toi4" (&Int2(a)) => Ok(Int4(a.into()));
    "int28" (&Int2(a)) => Ok(Int8(a.into()));
    "int48" (&Int4(a)) => Ok(Int8(a.into()));
    "i4toi2" (&Int4(a)) => i16::try_from(a).map(Int2).map_err(|_| out_of_range("smallint"));
    "int82" (&Int8(a)) => i16::try_from(a).map(Int2).map_err(|_| out_of_range("smallint"));
    "int84" (&Int8(a)) => i32::try_from(a).map(Int4).map_err(|_| out_of_range("integer"));

    "i2tof" (&Int2(a)) => Ok(Float4(a as f32));
    "i4tof" (&Int4(a)) => Ok(Float4(a as f32));
    "i8tof" (&Int8(a)) => Ok(Float4(a as f32));
    "i2tod" (&Int2(a)) => Ok(Float8(a as f64));
    "i4tod" (&Int4(a)) => Ok(Float8(a as f64));
    "i8tod" (&Int8(a)) => Ok(Float8(a as f64));
    "ftoi2" (&Float4(a)) => to_int2(a as f64);
    "ftoi4" (&Float4(a)) => to_int4(a as f64);
    "ftoi8" (&Float4(a)) => to_int8(a as f64);
    "dtoi2" (&Float8(a)) => to_int2(a);
    "dtoi4" (&Float8(a)) => to_int4(a);
    "dtoi8" (&Float8(a)) => to_int8(a);
    "ftod" (&Float4(a)) => Ok(Float8(a as f64));
    "dtof" (&Float8(a)) => narrow_float(a);

    "int2_numeric" (&Int2(a)) => Ok(Numeric((a as i64).into()));
    "int4_numeric" (&Int4(a)) => Ok(Numeric((a as i64).into()));
    "int8_numeric" (&Int8(a)) => Ok(Numeric(a.into()));
    "float4_numeric" (&Float4(a)) => Ok(Numeric(value::Numeric::from_f32(a)));
    "float8_numeric" (&Float8(a)) => Ok(Numeric(value::Numeric::from_f64(a)));
    "numeric_int2" (Numeric(a)) => a.to_i16().map(Int2);
    "numeric_int4" (Numeric(a)) => a.to_i32().map(Int4);
    "numeric_int8" (Numeric(a)) => a.to_i64().map(Int8);
    "numeric_float4" (Numeric(a)) => a.to_f32().map(Float4);
    "numeric_float8" (Numeric(a)) => a.to_f64().map(Float8);

    "varchar" (Text(a), &Int4(typmod), &Bool(explicit)) => varchar(a, typmod, explicit);
    "bpchar" (Text(a) | Bpchar(a), &Int4(typmod), &Bool(explicit)) => bpchar(a, typmod, explicit);
    "name_text" (Text(a)) => Ok(Text(a.clone()));
    "text_name" (Text(a)) => name(a);
    "name_bpchar" (Text(a)) => Ok(Bpchar(a.clone()));
}
