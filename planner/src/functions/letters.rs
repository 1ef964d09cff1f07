//! Letters of both cases and classes of characters under a collation, as the server told them: Weir has no tables of its own, which
//! would be those of another version. The planner hands functions that need them their number as a last argument.

use super::{array_of_set, case, regex};
use crate::value::EvalError;
use std::sync::OnceLock;

/// Classes of characters that patterns name, in the order in which the server is asked for their members.
const CLASSES: [&str; 9] = ["alpha", "digit", "alnum", "upper", "lower", "space", "blank", "punct", "xdigit"];

/// Their members in ASCII, which are those of C and POSIX.
const OF_ASCII: [&[(char, char)]; 9] = [
    &[('A', 'Z'), ('a', 'z')],
    &[('0', '9')],
    &[('0', '9'), ('A', 'Z'), ('a', 'z')],
    &[('A', 'Z')],
    &[('a', 'z')],
    &[('\t', '\r'), (' ', ' ')],
    &[('\t', '\t'), (' ', ' ')],
    &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
    &[('0', '9'), ('A', 'F'), ('a', 'f')],
];

/// The query of one row whose columns are those of [`Told`], for the characters up to `last` under a collation (as it is written
/// behind COLLATE), the classes being an array.
pub fn question(collation: &str, last: u32) -> String {
    let members = |class| format!("regexp_replace(s COLLATE {collation}, '[^[:{class}:]]+', '', 'g')");
    format!(
        "SELECT s, lower(s COLLATE {collation}), upper(s COLLATE {collation}), ARRAY[{}]
         FROM (SELECT string_agg(chr(n), '' ORDER BY n) FROM generate_series(1, {last}) n WHERE n NOT BETWEEN 55296 AND 57343) t (s)",
        CLASSES.map(members).join(", ")
    )
}

/// What a server says of all characters up to the last of `characters`, which are in their order.
pub struct Told<'t> {
    pub characters: &'t str,
    /// All of them in lower case, and in upper case.
    pub lower: &'t str,
    pub upper: &'t str,
    /// Of each of [`CLASSES`] its members, in their order.
    pub classes: [&'t str; 9],
}

/// Each character's lower and upper case where both are one character whatever stands around it (libc, the built-in provider),
/// and what classes it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letters {
    /// Characters whose lower case is another one, and that; ascending.
    lower: Vec<(char, char)>,
    upper: Vec<(char, char)>,
    /// By class the first and last of each run of members, ascending.
    classes: [Vec<(char, char)>; 9],
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
        Letters {
            lower: pairs(b'A', b'a'),
            upper: pairs(b'a', b'A'),
            classes: OF_ASCII.map(<[_]>::to_vec),
            end: u32::MAX,
            ascii_is_plain: true,
        }
    }

    /// None where the server made more or fewer characters of these.
    pub fn told(told: &Told<'_>) -> Option<Letters> {
        let pairs = |mapped: &str| -> Option<Vec<(char, char)>> {
            let is_same_length = told.characters.chars().count() == mapped.chars().count();
            let both = told.characters.chars().zip(mapped.chars());
            is_same_length.then(|| both.filter(|(from, to)| from != to).collect())
        };
        let mut letters = Letters {
            lower: pairs(told.lower)?,
            upper: pairs(told.upper)?,
            classes: told.classes.map(runs),
            end: told.characters.chars().last()? as u32 + 1,
            ascii_is_plain: false,
        };
        letters.ascii_is_plain = letters.in_ascii() == Letters::of_ascii().in_ascii();
        Some(letters)
    }

    fn in_ascii(&self) -> impl PartialEq + use<> {
        let cut = |runs: &[(char, char)]| -> Vec<(char, char)> {
            runs.iter()
                .filter(|(first, _)| first.is_ascii())
                .map(|(first, last)| (*first, (*last).min('\x7f')))
                .collect()
        };
        let pairs = |pairs: &[(char, char)]| -> Vec<(char, char)> {
            pairs.iter().filter(|(from, _)| from.is_ascii()).copied().collect()
        };
        (pairs(&self.lower), pairs(&self.upper), self.classes.each_ref().map(|class| cut(class)))
    }

    /// Letters and digits of ASCII are what they are under C.
    pub(super) fn ascii_is_plain(&self) -> bool {
        self.ascii_is_plain
    }

    /// Of this character and those before it all is known.
    pub(super) fn knows(&self, c: char) -> bool {
        (c as u32) < self.end
    }

    /// The members of a class; None where there is no such class.
    pub(super) fn class(&self, name: &str) -> Option<&[(char, char)]> {
        CLASSES.iter().position(|class| *class == name).map(|at| &self.classes[at][..])
    }

    /// Lower and upper case of the characters from the first to the last, where they are others.
    pub(super) fn cases_of(&self, first: char, last: char) -> impl Iterator<Item = char> {
        [&self.lower, &self.upper].into_iter().flat_map(move |pairs| {
            let from = pairs.partition_point(|(from, _)| *from < first);
            pairs[from..].iter().take_while(move |(from, _)| *from <= last).map(|(_, to)| *to)
        })
    }

    /// A character in lower case, which is itself if it has none.
    pub(super) fn lower_of(&self, c: char) -> char {
        self.lower.binary_search_by_key(&c, |(from, _)| *from).map_or(c, |at| self.lower[at].1)
    }

    fn mapped(&self, text: &str, pairs: &[(char, char)]) -> Result<String, EvalError> {
        let mapped = |c: char| match pairs.binary_search_by_key(&c, |(from, _)| *from) {
            _ if !self.knows(c) => Err(EvalError::unsupported("case of a character not known of its collation")),
            Ok(at) => Ok(pairs[at].1),
            Err(_) => Ok(c),
        };
        text.chars().map(mapped).collect()
    }

    pub(super) fn lower(&self, text: &str) -> Result<String, EvalError> {
        if self.ascii_is_plain && text.is_ascii() {
            Ok(text.to_ascii_lowercase())
        } else {
            self.mapped(text, &self.lower)
        }
    }

    pub(super) fn upper(&self, text: &str) -> Result<String, EvalError> {
        if self.ascii_is_plain && text.is_ascii() {
            Ok(text.to_ascii_uppercase())
        } else {
            self.mapped(text, &self.upper)
        }
    }
}

/// Characters one after another, as runs without gaps.
fn runs(members: &str) -> Vec<(char, char)> {
    let mut runs: Vec<(char, char)> = Vec::new();
    for c in members.chars() {
        match runs.last_mut() {
            Some((_, last)) if *last as u32 + 1 == c as u32 => *last = c,
            _ => runs.push((c, c)),
        }
    }
    runs
}

/// The number under which functions find these letters from now on; None when there are too many.
pub fn number_of(letters: &Letters) -> Option<i32> {
    KNOWN.iter().position(|known| known.get_or_init(|| letters.clone()) == letters).map(|at| at as i32)
}

pub(super) fn numbered(number: i32) -> Result<&'static Letters, EvalError> {
    let known = usize::try_from(number).ok().and_then(|at| KNOWN.get(at)?.get());
    known.ok_or_else(|| EvalError::unsupported("an unknown collation's letters"))
}

/// Functions that take the number of their collation's letters.
pub fn takes_letters(symbol: &str) -> bool {
    let symbol = array_of_set(symbol).unwrap_or(symbol);
    let of_pattern = regex::FUNCTIONS.iter().filter(|function| !function.symbol.starts_with("similar_to_escape"));
    case::FUNCTIONS.iter().chain(of_pattern).any(|function| function.symbol == symbol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let told = |characters, lower, upper| {
            let classes = ["AIiÄä", "", "AIiÄä", "AIÄ", "iä", "", "", "", "A"];
            Letters::told(&Told { characters, lower, upper, classes })
        };
        let turkish = told("AIiÄä", "aıiää", "AIİÄÄ").unwrap();
        assert_eq!(turkish.lower("IÄ").unwrap(), "ıä");
        assert_eq!(turkish.upper("iä").unwrap(), "İÄ");
        assert!(turkish.lower("Ω").is_err());
        assert_eq!(turkish.class("upper"), Some(&[('A', 'A'), ('I', 'I'), ('Ä', 'Ä')][..]));
        assert_eq!(turkish.cases_of('I', 'Ä').collect::<String>(), "ıäİ");
        assert_eq!(Letters::of_ascii().upper("iäΩ").unwrap(), "IäΩ");
        assert!(told("ß", "ß", "SS").is_none());
        let [first, second] = [number_of(&turkish).unwrap(), number_of(&Letters::of_ascii()).unwrap()];
        assert_ne!(first, second);
        assert_eq!(number_of(&turkish), Some(first));
    }

    #[test]
    fn runs_have_no_gaps() {
        assert_eq!(runs("abcxz"), [('a', 'c'), ('x', 'x'), ('z', 'z')]);
    }
}
