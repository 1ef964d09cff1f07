//! Integers (`pg_strtoint64` and relatives) and floating point (`float8in_internal`).

use super::trim;
use crate::value::EvalError;

/// Digits that fit every integer type: the syntax is looked at before the range.
const CERTAIN_DIGITS: usize = 4;

/// Reads a decimal integer. Errors 22P02 and 22003; spellings from 16 on (hexadecimal, underscores) are
/// unsupported.
pub(super) fn integer<T: TryFrom<i128>>(text: &str, type_name: &str) -> Result<T, EvalError> {
    let body = trim(text);
    let (negative, digits) = match body.as_bytes().first() {
        Some(b'-') => (true, &body[1..]),
        Some(b'+') => (false, &body[1..]),
        _ => (false, body),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        if digits.starts_with(|c: char| c.is_ascii_digit())
            && digits.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        {
            return Err(EvalError::unsupported("integer in a spelling that depends on the server's version"));
        }
        // Whether garbage after too many digits is a syntax or a range error differs between versions.
        if digits.bytes().take_while(u8::is_ascii_digit).count() > CERTAIN_DIGITS {
            return Err(EvalError::unsupported("a very long integer with something else behind it"));
        }
        return Err(EvalError::invalid_text(type_name, text));
    }
    let out_of_range = || EvalError::out_of_range(format!("value \"{text}\" is out of range for type {type_name}"));
    let magnitude: i128 = digits.parse().map_err(|_| out_of_range())?;
    T::try_from(if negative { -magnitude } else { magnitude }).map_err(|_| out_of_range())
}

/// Whether this is `[sign]digits[.digits][e[sign]digits]` or a special value, which `strtod` and Rust read alike.
fn is_plain(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if ["nan", "inf", "infinity"].iter().any(|word| unsigned.eq_ignore_ascii_case(word)) {
        return true;
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let exponent_is_plain = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    });
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    exponent_is_plain
        && !(whole.is_empty() && fraction.is_empty())
        && whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
}

fn float<T: std::str::FromStr>(text: &str, type_name: &str) -> Result<(T, bool), EvalError> {
    let body = trim(text);
    if !is_plain(body) {
        // Hexadecimal floats and the like are for Postgres to read; letters alone are not a number anywhere.
        if body.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit())
            || body.to_ascii_lowercase().contains("nan")
        {
            return Err(EvalError::unsupported("floating point number in an unusual spelling"));
        }
        return Err(EvalError::invalid_text(type_name, text));
    }
    let value = body.parse().map_err(|_| EvalError::invalid_text(type_name, text))?;
    let mantissa = body.split(['e', 'E']).next().unwrap_or(body);
    Ok((value, mantissa.bytes().any(|b| (b'1'..=b'9').contains(&b))))
}

/// 22003. Whether the message shows blanks around the number differs between versions.
fn beyond_range(text: &str, type_name: &str) -> EvalError {
    if trim(text) == text {
        EvalError::out_of_range(format!("\"{text}\" is out of range for type {type_name}"))
    } else {
        EvalError::unsupported("floating point number out of range with blanks around it")
    }
}

/// `float8in`. Errors 22P02, 22003 (overflow, or underflow to zero).
pub(super) fn float8(text: &str) -> Result<f64, EvalError> {
    let (value, nonzero) = float::<f64>(text, "double precision")?;
    if nonzero && (value.is_infinite() || value == 0.0) {
        return Err(beyond_range(text, "double precision"));
    }
    Ok(if value.is_nan() { f64::NAN } else { value })
}

/// `float4in`.
pub(super) fn float4(text: &str) -> Result<f32, EvalError> {
    let (value, nonzero) = float::<f32>(text, "real")?;
    if nonzero && (value.is_infinite() || value == 0.0) {
        return Err(beyond_range(text, "real"));
    }
    Ok(if value.is_nan() { f32::NAN } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        assert_eq!(integer::<i32>(" -12 ", "integer"), Ok(-12));
        assert_eq!(integer::<i16>("32768", "smallint").unwrap_err().sqlstate, "22003");
        assert_eq!(integer::<i64>("", "bigint").unwrap_err().sqlstate, "22P02");
        assert_eq!(integer::<i64>("1.5", "bigint").unwrap_err().sqlstate, "22P02");
        assert!(integer::<i64>("0x10", "bigint").unwrap_err().is_unsupported());
    }

    #[test]
    fn floats() {
        assert_eq!(float8("1e3"), Ok(1000.0));
        assert_eq!(float8("-Infinity"), Ok(f64::NEG_INFINITY));
        assert_eq!(float8("1e400").unwrap_err().sqlstate, "22003");
        assert_eq!(float8("1e-400").unwrap_err().sqlstate, "22003");
        assert_eq!(float8("0e400"), Ok(0.0));
        assert_eq!(float8("abc").unwrap_err().sqlstate, "22P02");
    }
}
