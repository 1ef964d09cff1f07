//! Upper and lower case under a collation, as the server told them: Weir has no tables of its own, which would be those of another
//! version. The planner hands the functions here the number of what is known of their collation as a last argument.

use super::define::strict_functions;
use super::like::like;
use crate::value::EvalError;
use crate::value::Value::{self, *};
use std::sync::OnceLock;

/// Each character's lower and upper case where both are one character whatever stands around it (libc, the built-in provider).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letters {
    /// Characters whose lower case is another one, and that; ascending.
    lower: Vec<(char, char)>,
    upper: Vec<(char, char)>,
    /// Of characters from here on nothing is known.
    end: u32,
    /// Those of ASCII are as everywhere but in Turkey.
    ascii_is_plain: bool,
}

/// Collations of a server that differ in their letters, and more.
const MOST: usize = 64;

static KNOWN: [OnceLock<Letters>; MOST] = [const { OnceLock::new() }; MOST];

impl Letters {
    /// Under C and POSIX there are no others than those of ASCII.
    pub fn of_ascii() -> Letters {
        let pairs = |from: u8, to: u8| (0..26).map(|n| (char::from(from + n), char::from(to + n))).collect();
        Letters { lower: pairs(b'A', b'a'), upper: pairs(b'a', b'A'), end: u32::MAX, ascii_is_plain: true }
    }

    /// From what the server makes of these characters in a row, which are all up to the last; None where it made more or fewer of
    /// them.
    pub fn told(characters: &str, lower: &str, upper: &str) -> Option<Letters> {
        let pairs = |mapped: &str| -> Option<Vec<(char, char)>> {
            let is_same_length = characters.chars().count() == mapped.chars().count();
            let both = characters.chars().zip(mapped.chars());
            is_same_length.then(|| both.filter(|(from, to)| from != to).collect())
        };
        let mut letters = Letters {
            lower: pairs(lower)?,
            upper: pairs(upper)?,
            end: characters.chars().last()? as u32 + 1,
            ascii_is_plain: false,
        };
        let plain = Letters::of_ascii();
        let of_ascii =
            |pairs: &[(char, char)]| pairs.iter().filter(|(from, _)| from.is_ascii()).copied().collect::<Vec<_>>();
        letters.ascii_is_plain = of_ascii(&letters.lower) == plain.lower && of_ascii(&letters.upper) == plain.upper;
        Some(letters)
    }

    fn mapped(&self, text: &str, pairs: &[(char, char)]) -> Result<String, EvalError> {
        let mapped = |c: char| match pairs.binary_search_by_key(&c, |(from, _)| *from) {
            _ if c as u32 >= self.end => Err(EvalError::unsupported("case of a character not known of its collation")),
            Ok(at) => Ok(pairs[at].1),
            Err(_) => Ok(c),
        };
        text.chars().map(mapped).collect()
    }

    fn lower(&self, text: &str) -> Result<String, EvalError> {
        if self.ascii_is_plain && text.is_ascii() {
            Ok(text.to_ascii_lowercase())
        } else {
            self.mapped(text, &self.lower)
        }
    }

    fn upper(&self, text: &str) -> Result<String, EvalError> {
        if self.ascii_is_plain && text.is_ascii() {
            Ok(text.to_ascii_uppercase())
        } else {
            self.mapped(text, &self.upper)
        }
    }
}

/// The number under which functions find these letters from now on; None when there are too many.
pub fn number_of(letters: &Letters) -> Option<i32> {
    KNOWN.iter().position(|known| known.get_or_init(|| letters.clone()) == letters).map(|at| at as i32)
}

fn numbered(number: i32) -> Result<&'static Letters, EvalError> {
    let known = usize::try_from(number).ok().and_then(|at| KNOWN.get(at)?.get());
    known.ok_or_else(|| EvalError::unsupported("case under an unknown collation"))
}

/// Functions that take the number of their collation's letters.
pub fn takes_letters(symbol: &str) -> bool {
    FUNCTIONS.iter().any(|function| function.symbol == symbol)
}

/// What is compared are both sides in lower case (`Generic_Text_IC_like` in `like.c`, for encodings of several bytes).
fn ilike(text: &str, pattern: &str, number: i32) -> Result<bool, EvalError> {
    let letters = numbered(number)?;
    like(&letters.lower(text)?, &letters.lower(pattern)?)
}

/// Letters and digits of ASCII alone: which others are any is not told.
fn capitals(text: &str, letters: &Letters) -> Result<Value, EvalError> {
    if !text.is_ascii() {
        return Err(EvalError::unsupported("capitals beyond ASCII"));
    }
    let mut within = false;
    let mut capitals = String::with_capacity(text.len());
    let mut buffer = [0; 4];
    for c in text.chars() {
        let c = c.encode_utf8(&mut buffer);
        capitals.push_str(&if within { letters.lower(c)? } else { letters.upper(c)? });
        within = capitals.ends_with(|c: char| c.is_ascii_alphanumeric());
    }
    if capitals.is_ascii() { Ok(Value::text(&capitals)) } else { Err(EvalError::unsupported("capitals beyond ASCII")) }
}

strict_functions! {
    "initcap" (Text(a), &Int4(number)) => capitals(a, numbered(number)?);
    "lower" (Text(a), &Int4(number)) => numbered(number)?.lower(a).map(|text| Value::text(&text));
    "upper" (Text(a), &Int4(number)) => numbered(number)?.upper(a).map(|text| Value::text(&text));
    "texticlike" (Text(a) | Bpchar(a), Text(pattern), &Int4(number)) => ilike(a, pattern, number).map(Bool);
    "texticnlike" (Text(a) | Bpchar(a), Text(pattern), &Int4(number)) => {
        ilike(a, pattern, number).map(|matches| Bool(!matches))
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let turkish = Letters::told("AIiÄä", "aıiää", "AIİÄÄ").unwrap();
        assert_eq!(turkish.lower("IÄ").unwrap(), "ıä");
        assert_eq!(turkish.upper("iä").unwrap(), "İÄ");
        assert!(turkish.lower("Ω").is_err());
        assert_eq!(Letters::of_ascii().upper("iäΩ").unwrap(), "IäΩ");
        assert!(Letters::told("ß", "ß", "SS").is_none());
        let [first, second] = [number_of(&turkish).unwrap(), number_of(&Letters::of_ascii()).unwrap()];
        assert_ne!(first, second);
        assert_eq!(number_of(&turkish), Some(first));
    }
}
