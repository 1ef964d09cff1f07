//! Regular expressions: the part of Postgres' advanced ones (regcomp.c) that is regular; classes and case are the
//! collation's ([`super::letters`]).
//!
//! A pattern is parsed once and run as a set of states. Where a match is asked for, it is the first place, and there the longest or
//! shortest as the pattern's quantifiers prefer; what its parentheses have captured then follows from its parts. All else
//! is refused by name: back references in a pattern, lookaround, most options in the pattern.

mod calls;
mod parse;
mod part;
mod program;
mod replacement;
mod set;
mod taste;

pub(super) use calls::FUNCTIONS;

use super::letters::{Letters, numbered};
use crate::value::EvalError;
use std::cell::RefCell;
use std::rc::Rc;

/// A pattern ready to be looked for.
pub(super) struct Pattern {
    program: program::Program,
    /// The same as it is looked for, unless that would be too large.
    parts: Result<part::Part, EvalError>,
    /// There is a class, or letters of both cases: a text must have no character that these letters do not know.
    letters: Option<&'static Letters>,
    /// How many parentheses capture.
    groups: usize,
}

/// A match: begin and end of the whole, and of what its parentheses have captured.
pub(super) struct Match {
    pub whole: (usize, usize),
    pub groups: part::Captures,
}

/// So much at one place in vain is worth asking whether any other will do.
const MUCH_WORK: u64 = 1_000;
/// How much is done to find the matches of one text, in states times characters.
const MOST_WORK: u64 = 20_000_000;

/// What a pattern is read with.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    /// Without regard to case.
    pub fold: bool,
    /// The number of the collation's letters.
    pub letters: i32,
}

type Last = Option<((String, bool, i32), Rc<Result<Pattern, EvalError>>)>;

thread_local! {
    /// The pattern last used.
    static LAST: RefCell<Last> = const { RefCell::new(None) };
}

impl Pattern {
    /// Parses the pattern, unless the last call had the same.
    pub fn of(text: &str, reading: Reading) -> Rc<Result<Pattern, EvalError>> {
        let Reading { fold, letters } = reading;
        LAST.with_borrow_mut(|last| match last {
            Some(((known, folded, of), pattern)) if known == text && (*folded, *of) == (fold, letters) => {
                pattern.clone()
            }
            _ => {
                let pattern = Rc::new(numbered(letters).and_then(|letters| Pattern::new(text, fold, letters)));
                *last = Some(((text.to_owned(), fold, letters), pattern.clone()));
                pattern
            }
        })
    }

    fn new(text: &str, fold: bool, letters: &'static Letters) -> Result<Pattern, EvalError> {
        let refuse = |what: &str| EvalError::unsupported(format!("regular expression {text:?}: {what}"));
        let parsed = parse::parse(text, fold, letters).map_err(&refuse)?;
        let needs_letters = parsed.fold || parsed.has_classes;
        // Of the database's own collation Postgres takes those of ASCII from C, of others it does not.
        if needs_letters && !letters.ascii_is_plain() {
            return Err(refuse("letters of ASCII that are not those of C"));
        }
        let program = program::compile(&parsed.node, parsed.word.as_ref()).map_err(&refuse)?;
        Ok(Pattern {
            program,
            parts: part::cut(&parsed).map_err(&refuse),
            letters: needs_letters.then_some(letters),
            groups: parsed.groups,
        })
    }

    /// The characters to look in.
    pub fn characters(&self, text: &str) -> Result<Vec<char>, EvalError> {
        let characters: Vec<char> = text.chars().collect();
        match self.letters {
            Some(letters) if !text.is_ascii() && !characters.iter().all(|c| letters.knows(*c)) => {
                Err(EvalError::unsupported("a character of which its collation's class or case is not known"))
            }
            _ => Ok(characters),
        }
    }

    pub fn is_match(&self, text: &str) -> Result<bool, EvalError> {
        Ok(self.program.is_match(&self.characters(text)?, 0))
    }

    /// The first match, or with `all` every one that begins behind the one before. What the parentheses captured is found where
    /// it is asked for.
    pub fn matches(&self, text: &[char], all: bool, with_groups: bool) -> Result<Vec<Match>, EvalError> {
        let parts = self.parts.as_ref().map_err(Clone::clone)?;
        let (mut found, mut from, mut work) = (Vec::new(), 0, MOST_WORK);
        let mut is_certain = false;
        while from <= text.len() {
            let before = work;
            let Some(end) = parts.end(text, from, &mut work)? else {
                // Before every place is tried at such a cost: is there a match at all?
                if !is_certain && before - work > MUCH_WORK {
                    if !self.program.is_match(text, from) {
                        break;
                    }
                    is_certain = true;
                }
                from += 1;
                continue;
            };
            is_certain = false;
            let mut groups = vec![None; self.groups];
            if with_groups && self.groups > 0 {
                parts.capture(text, (from, end), &mut groups, &mut work)?;
            }
            found.push(Match { whole: (from, end), groups });
            if !all {
                break;
            }
            // An empty match would be found again.
            from = if from == end { end + 1 } else { end };
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> Result<Vec<Match>, EvalError> {
        let letters = Box::leak(Box::new(Letters::of_ascii()));
        Pattern::new(pattern, false, letters)?.matches(&text.chars().collect::<Vec<char>>(), true, true)
    }

    #[test]
    fn a_long_text_without_a_match_is_read_once() {
        let text = "a".repeat(100_000);
        assert!(matches(".*b", &text).is_ok_and(|found| found.is_empty()));
        let found = matches("(a)b", &format!("{text}b{text}")).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].groups, [Some((99_999, 100_000))]);
    }

    #[test]
    fn what_takes_too_long_is_refused() {
        let text = "ab".repeat(20_000);
        assert!(matches("((a|b)*)*(.*)c?(.*)d?(a*)*$", &text).is_err_and(|error| error.is_unsupported()));
    }
}
