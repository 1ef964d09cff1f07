//! Text images: `numeric_in` and `numeric_out`.

use super::{MAX_DSCALE, MAX_INTEGER_DIGITS, Numeric, View, big_pow10, overflow};
use crate::value::EvalError;
use num_bigint::BigInt;
use std::fmt;

/// Exponents of so many digits are in range, so that garbage behind them is a syntax error on all servers.
const CERTAIN_EXPONENT_DIGITS: usize = 4;
/// Decimal digits that always fit an `i128`.
const SMALL_DIGITS: usize = 38;

impl fmt::Display for Numeric {
    /// `numeric_out`: as many decimals as the display scale says.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.view() {
            View::NaN => f.write_str("NaN"),
            View::PosInf => f.write_str("Infinity"),
            View::NegInf => f.write_str("-Infinity"),
            View::Small(m, 0) => write!(f, "{m}"),
            View::Small(m, s) => {
                let mut buffer = [0u8; SMALL_DIGITS + 2];
                let digits = write_digits(m.unsigned_abs(), &mut buffer);
                place_point(f, m < 0, digits, s)
            }
            View::Big(m, s) => {
                let digits = m.magnitude().to_string();
                place_point(f, m.sign() == num_bigint::Sign::Minus, &digits, s)
            }
        }
    }
}

/// Decimal digits of a magnitude, at the end of the buffer.
fn write_digits(magnitude: u128, buffer: &mut [u8; SMALL_DIGITS + 2]) -> &str {
    let mut at = buffer.len();
    let mut rest = magnitude;
    while rest > u64::MAX as u128 {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let mut rest = rest as u64;
    loop {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    std::str::from_utf8(&buffer[at..]).expect("decimal digits are ASCII")
}

fn place_point(f: &mut fmt::Formatter<'_>, negative: bool, digits: &str, dscale: u16) -> fmt::Result {
    if negative {
        f.write_str("-")?;
    }
    let dscale = dscale as usize;
    if dscale == 0 {
        return f.write_str(digits);
    }
    if digits.len() > dscale {
        let (whole, fraction) = digits.split_at(digits.len() - dscale);
        f.write_str(whole)?;
        f.write_str(".")?;
        f.write_str(fraction)
    } else {
        f.write_str("0.")?;
        for _ in digits.len()..dscale {
            f.write_str("0")?;
        }
        f.write_str(digits)
    }
}

impl Numeric {
    /// `numeric_in` without a typmod. Errors 22P02 and 22003 as Postgres raises them; spellings that only
    /// newer servers accept (underscores, hexadecimal) are [`EvalError::unsupported`].
    pub fn parse(text: &str) -> Result<Numeric, EvalError> {
        let invalid = || EvalError::invalid_text("numeric", text);
        // isspace() in the C locale; unlike Rust's it includes vertical tab.
        let trimmed = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}');
        if trimmed.eq_ignore_ascii_case("nan") {
            return Ok(Numeric::NAN);
        }
        let (negative, unsigned) = match trimmed.as_bytes().first() {
            Some(b'-') => (true, &trimmed[1..]),
            Some(b'+') => (false, &trimmed[1..]),
            _ => (false, trimmed),
        };
        if unsigned.eq_ignore_ascii_case("infinity") || unsigned.eq_ignore_ascii_case("inf") {
            return Ok(if negative { Numeric::NEG_INFINITY } else { Numeric::INFINITY });
        }
        let bytes = unsigned.as_bytes();
        let whole_end = bytes.iter().position(|b| !b.is_ascii_digit()).unwrap_or(bytes.len());
        let mut end = whole_end;
        let mut fraction = "";
        if bytes.get(end) == Some(&b'.') {
            let start = end + 1;
            end = bytes[start..].iter().position(|b| !b.is_ascii_digit()).map_or(bytes.len(), |n| start + n);
            fraction = &unsigned[start..end];
        }
        let whole = &unsigned[..whole_end];
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let mut exponent = 0i64;
        let rest = &unsigned[end..];
        if let Some(digits) = rest.strip_prefix(['e', 'E']) {
            if digits.starts_with(|c: char| c.is_ascii_whitespace() || c == '\u{b}') {
                return Err(EvalError::unsupported("blanks before an exponent, which only some servers read"));
            }
            let (minus, digits) = match digits.as_bytes().first() {
                Some(b'-') => (true, &digits[1..]),
                Some(b'+') => (false, &digits[1..]),
                _ => (false, digits),
            };
            if digits.contains('_') {
                return Err(EvalError::unsupported("numeric literal with underscores"));
            }
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                if digits.bytes().take_while(u8::is_ascii_digit).count() > CERTAIN_EXPONENT_DIGITS {
                    return Err(EvalError::unsupported("a very long exponent with something else behind it"));
                }
                return Err(invalid());
            }
            // Postgres refuses exponents from INT_MAX / 2 on, before it looks at the digits.
            exponent = digits.parse::<i64>().unwrap_or(i64::MAX);
            if exponent >= (i32::MAX / 2) as i64 {
                return Err(overflow());
            }
            if minus {
                exponent = -exponent;
            }
        } else if rest.contains('_') || (whole == "0" && rest.starts_with(['x', 'X', 'o', 'O', 'b', 'B'])) {
            return Err(EvalError::unsupported("numeric literal in a spelling that depends on the server's version"));
        } else if !rest.is_empty() {
            return Err(invalid());
        }
        from_digits(negative, whole, fraction, exponent)
    }
}

fn from_digits(negative: bool, whole: &str, fraction: &str, exponent: i64) -> Result<Numeric, EvalError> {
    let dscale = (fraction.len() as i64 - exponent).max(0);
    if dscale > MAX_DSCALE as i64 {
        return Err(overflow());
    }
    let dscale = dscale as u16;
    let padding = (exponent - fraction.len() as i64).max(0);
    let whole = whole.trim_start_matches('0');
    let digits = if whole.is_empty() { fraction.trim_start_matches('0').len() } else { whole.len() + fraction.len() };
    if digits == 0 {
        return Ok(Numeric::new(0, dscale));
    }
    if digits + padding as usize <= SMALL_DIGITS {
        let mut mantissa = 0i128;
        if digits <= 18 {
            let mut word = 0i64;
            for b in whole.bytes().chain(fraction.bytes()) {
                word = word * 10 + (b - b'0') as i64;
            }
            mantissa = word as i128;
        } else {
            for b in whole.bytes().chain(fraction.bytes()) {
                mantissa = mantissa * 10 + (b - b'0') as i128;
            }
        }
        mantissa *= super::POW10[padding as usize];
        return Ok(Numeric::new(if negative { -mantissa } else { mantissa }, dscale));
    }
    if digits as i64 + padding > (MAX_INTEGER_DIGITS + MAX_DSCALE as u64) as i64 {
        return Err(overflow());
    }
    let all: String = [whole, fraction].concat();
    let magnitude = BigInt::parse_bytes(all.as_bytes(), 10).expect("only decimal digits") * big_pow10(padding as u32);
    Numeric::checked_from_big(if negative { -magnitude } else { magnitude }, dscale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        for text in ["0", "0.00", "-0.01", "123.4500", "1000000", "99999999999999999999999999999999999999999.5", "NaN"]
        {
            assert_eq!(Numeric::parse(text).unwrap().to_string(), text);
        }
        for (text, image) in [
            ("1e3", "1000"),
            ("1.50e1", "15.0"),
            ("1e-3", "0.001"),
            (" +.5 ", "0.5"),
            ("5.", "5"),
            ("-inf", "-Infinity"),
        ] {
            assert_eq!(Numeric::parse(text).unwrap().to_string(), image, "{text}");
        }
    }

    #[test]
    fn refusals() {
        for text in ["", " ", "abc", "1e", "1.2.3", "-NaN", "--1", "1 2", ".", "e5"] {
            assert_eq!(Numeric::parse(text).unwrap_err().sqlstate, "22P02", "{text:?}");
        }
        for text in ["1e131072", "1e-16384", "1e2000000000"] {
            assert_eq!(Numeric::parse(text).unwrap_err().sqlstate, "22003", "{text:?}");
        }
        assert!(Numeric::parse("1_000").unwrap_err().is_unsupported());
        assert_eq!(Numeric::parse("1e131071").unwrap().to_string().len(), 131072);
    }
}
