//! A number's digits as a template asks for them, before they are laid out: rounded to its decimals, or as a Roman number,
//! or with an exponent (`numeric_to_char`, `int4_to_char`, `int8_to_char`, `float8_to_char`).

use super::number_template::Template;
use crate::value::{EvalError, Numeric};

/// What is laid out.
pub(super) struct Digits {
    /// Without its sign; in ASCII.
    pub text: String,
    pub negative: bool,
    /// Places before the point that the template has and the number has not.
    pub spaces: usize,
    /// Places before the point that the template has.
    pub before: usize,
    /// Decimals: those of the template, or fewer where a float has no more to give.
    pub after: usize,
}

/// `DBL_DIG`, `FLT_DIG`: decimal digits that a float holds.
pub(super) const DOUBLE_DIGITS: usize = 15;
pub(super) const SINGLE_DIGITS: usize = 6;
/// Characters of a Roman number's place.
const ROMAN_WIDTH: usize = 15;
/// Powers of ten that a double, and a single, hold exactly.
const EXACT_POWERS: usize = 22;
const EXACT_SINGLE_POWERS: usize = 10;

/// The text of a number, laid into the template's places. One with more digits than places is shown as `#`.
fn placed(template: &Template, image: &str, after: usize) -> Digits {
    let before = template.before + template.shifted;
    let (negative, text) = match image.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, image),
    };
    let length = text.find('.').unwrap_or(text.len());
    let (text, spaces) = if length > before {
        (format!("{}.{}", "#".repeat(before), "#".repeat(after)), 0)
    } else {
        (text.to_owned(), before - length)
    };
    Digits { text, negative, spaces, before, after }
}

/// What EEEE and RN print as it is.
fn whole(template: &Template, text: String) -> Digits {
    Digits { text, negative: false, spaces: 0, before: template.before, after: template.after }
}

/// NaN and infinities with an exponent.
fn no_exponent(template: &Template) -> Digits {
    whole(template, format!(" {}.{}", "#".repeat(template.before), "#".repeat(template.after + 4)))
}

pub(super) fn of_numeric(template: &Template, value: &Numeric) -> Result<Digits, EvalError> {
    if template.roman {
        // Up to 17 a number beyond integers is an error, later it is shown as '#'.
        let integer = value.round(0).to_i32().map_err(|_| EvalError::unsupported("a Roman number of this size"))?;
        return Ok(whole(template, roman(integer)));
    }
    if template.exponent {
        if !value.is_finite() {
            return Ok(no_exponent(template));
        }
        return Ok(whole(template, scientific(value, template.after)?));
    }
    let mut value = value.clone();
    if template.shift {
        let power = Numeric::parse(&format!("1e{}", template.shifted))?;
        value = value.mul(&power)?;
    }
    Ok(placed(template, &value.round(template.after as i32).to_string(), template.after))
}

pub(super) fn of_int4(template: &Template, value: i32) -> Result<Digits, EvalError> {
    if template.roman {
        return Ok(whole(template, roman(value)));
    }
    if template.exponent {
        return Ok(whole(template, float_exponent(value as f64, template.after)));
    }
    let mut value = value;
    if template.shift {
        let power = u32::try_from(template.shifted).ok().and_then(|digits| 10i32.checked_pow(digits));
        value = power
            .and_then(|power| value.checked_mul(power))
            .ok_or_else(|| EvalError::unsupported("an integer that V shifts out of its range"))?;
    }
    Ok(placed(template, &with_zeros(value.to_string(), template.after), template.after))
}

pub(super) fn of_int8(template: &Template, value: i64) -> Result<Digits, EvalError> {
    if template.roman {
        let integer = i32::try_from(value).map_err(|_| EvalError::unsupported("a Roman number of this size"))?;
        return Ok(whole(template, roman(integer)));
    }
    if template.exponent {
        return Ok(whole(template, scientific(&Numeric::from(value), template.after)?));
    }
    let mut value = value;
    if template.shift {
        let power = u32::try_from(template.shifted).ok().and_then(|digits| 10i64.checked_pow(digits));
        value = power
            .and_then(|power| value.checked_mul(power))
            .ok_or_else(|| EvalError::out_of_range("bigint out of range"))?;
    }
    Ok(placed(template, &with_zeros(value.to_string(), template.after), template.after))
}

/// A double, or a single (`digits` says which): printed as the number it is.
pub(super) fn of_float(template: &Template, value: f64, digits: usize) -> Result<Digits, EvalError> {
    if template.roman {
        let rounded = value.round_ties_even();
        if !(rounded >= i32::MIN as f64 && rounded <= i32::MAX as f64) {
            return Err(EvalError::unsupported("a Roman number of this size"));
        }
        return Ok(whole(template, roman(rounded as i32)));
    }
    if template.exponent {
        if !value.is_finite() {
            return Ok(no_exponent(template));
        }
        return Ok(whole(template, float_exponent(value, template.after)));
    }
    let mut value = value;
    if template.shift {
        let exact = if digits == SINGLE_DIGITS { EXACT_SINGLE_POWERS } else { EXACT_POWERS };
        if template.shifted > exact {
            return Err(EvalError::unsupported("V of more digits than a float has"));
        }
        value *= 10f64.powi(template.shifted as i32);
        if digits == SINGLE_DIGITS {
            value = value as f32 as f64;
        }
    }
    let fixed = |value: f64, decimals: usize| match value {
        value if value.is_nan() => "NaN".to_owned(),
        value if value.is_infinite() => if value < 0.0 { "-Infinity" } else { "Infinity" }.to_owned(),
        _ => format!("{value:.decimals$}"),
    };
    let length = fixed(value.abs(), 0).len();
    let after = template.after.min(digits.saturating_sub(length));
    Ok(placed(template, &fixed(value, after), after))
}

/// An integer with decimals, all zero.
fn with_zeros(image: String, decimals: usize) -> String {
    if decimals == 0 { image } else { format!("{image}.{}", "0".repeat(decimals)) }
}

/// `%.*e`, with a blank for a positive sign.
fn float_exponent(value: f64, decimals: usize) -> String {
    let image = format!("{value:.decimals$e}");
    let (digits, exponent) = image.split_once('e').expect("there is an exponent");
    let sign = if digits.starts_with('-') { "" } else { " " };
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    let direction = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{digits}e{direction}{:02}", exponent.abs())
}

/// `numeric_out_sci`: the exponent is that of the number before it is rounded, so that a first digit may become 10.
fn scientific(value: &Numeric, decimals: usize) -> Result<String, EvalError> {
    let image = value.to_string();
    let digits = image.trim_start_matches('-');
    let exponent = if value.is_zero() {
        0
    } else {
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        match whole.trim_start_matches('0') {
            "" => -1 - fraction.bytes().take_while(|digit| *digit == b'0').count() as i64,
            whole => whole.len() as i64 - 1,
        }
    };
    // Shifting the point is exact.
    let shifted = Numeric::parse(&format!("{image}e{}", -exponent))
        .map_err(|_| EvalError::unsupported("an exponent of this size"))?;
    let sign = if image.starts_with('-') { "" } else { " " };
    let direction = if exponent < 0 { '-' } else { '+' };
    Ok(format!("{sign}{}e{direction}{:02}", shifted.round(decimals as i32), exponent.abs()))
}

/// `int_to_roman`: from 1 to 3999, others as `#`.
fn roman(number: i32) -> String {
    const PARTS: [(i32, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    if !(1..=3999).contains(&number) {
        return "#".repeat(ROMAN_WIDTH);
    }
    let (mut rest, mut out) = (number, String::new());
    for (value, letters) in PARTS {
        while rest >= value {
            rest -= value;
            out.push_str(letters);
        }
    }
    out
}
