//! Floating point text: shortest round-trip digits, or `%.*g` when extra_float_digits is 0 or less.

use super::infallible;
use std::io::Write;

/// `DBL_DIG`.
const DOUBLE_DIGITS: i32 = 15;
/// `FLT_DIG`.
const SINGLE_DIGITS: i32 = 6;

/// `float8out`.
pub(super) fn float8(value: f64, extra_float_digits: i32, out: &mut Vec<u8>) {
    if special(value, out) {
        return;
    }
    if extra_float_digits > 0 {
        let text = shortest(
            format!("{value:e}"),
            53,
            |digits| format!("{value:.digits$e}"),
            |text| text.parse::<f64>().is_ok_and(|back| back == value),
        );
        write(&text, DOUBLE_DIGITS, out);
    } else {
        let precision = (DOUBLE_DIGITS + extra_float_digits).max(1);
        write(&trimmed(format!("{value:.*e}", precision as usize - 1)), precision, out);
    }
}

/// `float4out`.
pub(super) fn float4(value: f32, extra_float_digits: i32, out: &mut Vec<u8>) {
    if special(value as f64, out) {
        return;
    }
    if extra_float_digits > 0 {
        let text = shortest(
            format!("{value:e}"),
            24,
            |digits| format!("{value:.digits$e}"),
            |text| text.parse::<f32>().is_ok_and(|back| back == value),
        );
        write(&text, SINGLE_DIGITS, out);
    } else {
        let precision = (SINGLE_DIGITS + extra_float_digits).max(1);
        write(&trimmed(format!("{value:.*e}", precision as usize - 1)), precision, out);
    }
}

fn special(value: f64, out: &mut Vec<u8>) -> bool {
    let text: &[u8] = match value {
        v if v.is_nan() => b"NaN",
        f64::INFINITY => b"Infinity",
        f64::NEG_INFINITY => b"-Infinity",
        _ => return false,
    };
    out.extend_from_slice(text);
    true
}

/// Postgres' shortest digits from the standard library's (`candidate`), which differ in two corners (d2s.c):
/// of two equally near texts Postgres takes the even one, and it stays *strictly inside* the interval that reads
/// back as the value, whose ends depend on readers that round half to even (1e23).
fn shortest(
    candidate: String,
    mantissa_bits: u32,
    with_digits: impl Fn(usize) -> String,
    reads_back: impl Fn(&str) -> bool,
) -> String {
    /// More digits than any shortest text has.
    const MOST_DIGITS: usize = 17;
    let digits = candidate.bytes().take_while(|b| *b != b'e').filter(u8::is_ascii_digit).count();
    // The exact conversion rounds to even.
    let nearest = with_digits(digits - 1);
    let candidate = if nearest != candidate && reads_back(&nearest) { nearest } else { candidate };
    if !is_midpoint(&candidate, mantissa_bits) {
        return candidate;
    }
    for more in digits..MOST_DIGITS {
        let text = trimmed(with_digits(more));
        if reads_back(&text) && !is_midpoint(&text, mantissa_bits) {
            return text;
        }
    }
    candidate
}

/// Whether `d.ddde±x` lies exactly between two neighbouring values of that precision: its odd part then has
/// exactly one bit more than the mantissa.
fn is_midpoint(text: &str, mantissa_bits: u32) -> bool {
    let Some((digits, exponent)) = text.split_once('e') else { return false };
    let Ok(exponent) = exponent.parse::<i32>() else { return false };
    let mut integer = 0u128;
    let mut decimals = 0i32;
    let mut point = false;
    for b in digits.bytes() {
        match b {
            b'0'..=b'9' => {
                integer = integer * 10 + (b - b'0') as u128;
                decimals += point as i32;
            }
            b'.' => point = true,
            _ => {}
        }
    }
    let power = exponent - decimals;
    // Outside these bounds the odd part is longer than a midpoint's, or not an integer.
    if integer == 0 || !(-2..=23).contains(&power) {
        return false;
    }
    // Only the odd part matters, so the twos of ten may be left out.
    let odd = if power >= 0 {
        integer * 5u128.pow(power as u32)
    } else {
        let fives = 5u128.pow(-power as u32);
        if !integer.is_multiple_of(fives) {
            return false;
        }
        integer / fives
    };
    let odd = odd >> odd.trailing_zeros();
    128 - odd.leading_zeros() == mantissa_bits + 1
}

/// Without trailing zeros of the fraction.
fn trimmed(text: String) -> String {
    match text.split_once('e') {
        Some((digits, exponent)) if digits.contains('.') => {
            let digits = digits.trim_end_matches('0').trim_end_matches('.');
            format!("{digits}e{exponent}")
        }
        _ => text,
    }
}

/// Lays out `d.ddde±x` as printf's `%g` does: fixed point for exponents from -4 to below `precision`.
fn write(text: &str, precision: i32, out: &mut Vec<u8>) {
    let (digits, exponent) = text.split_once('e').expect("scientific notation");
    let exponent: i32 = exponent.parse().expect("a decimal exponent");
    let (negative, digits) = match digits.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, digits),
    };
    if negative {
        out.push(b'-');
    }
    if exponent < -4 || exponent >= precision {
        out.extend_from_slice(digits.as_bytes());
        let sign = if exponent < 0 { '-' } else { '+' };
        return infallible(write!(out, "e{sign}{:02}", exponent.unsigned_abs()));
    }
    let mut digits = digits.bytes().filter(|b| *b != b'.');
    if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', (-exponent - 1) as usize));
        out.extend(digits);
        return;
    }
    for _ in 0..=exponent {
        out.push(digits.next().unwrap_or(b'0'));
    }
    if let Some(first) = digits.next() {
        out.push(b'.');
        out.push(first);
        out.extend(digits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text8(value: f64, extra: i32) -> String {
        let mut out = Vec::new();
        float8(value, extra, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn shortest_layouts() {
        assert_eq!(text8(1.0, 1), "1");
        assert_eq!(text8(-0.0, 1), "-0");
        assert_eq!(text8(0.1 + 0.2, 1), "0.30000000000000004");
        assert_eq!(text8(1e15, 1), "1e+15");
        assert_eq!(text8(123456789012345.0, 1), "123456789012345");
        assert_eq!(text8(1e-5, 1), "1e-05");
        assert_eq!(text8(0.0001, 1), "0.0001");
        assert_eq!(text8(1e300, 1), "1e+300");
        assert_eq!(text8(1e23, 1), "9.999999999999999e+22");
        assert_eq!(text8(f64::from_bits(0x3e60000000000000), 1), "2.9802322387695312e-08");
    }

    #[test]
    fn fixed_digits() {
        assert_eq!(text8(0.1 + 0.2, 0), "0.3");
        assert_eq!(text8(1.0 / 3.0, 0), "0.333333333333333");
        assert_eq!(text8(1.0 / 3.0, -14), "0.3");
        assert_eq!(text8(1234.5, -14), "1e+03");
        assert_eq!(text8(100.0, -15), "1e+02");
    }
}
