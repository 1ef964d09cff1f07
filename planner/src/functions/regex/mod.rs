//! Regular expressions: the part of Postgres' advanced ones (regcomp.c) that is regular; classes and case are the
//! collation's ([`super::letters`]).
//!
//! A pattern is parsed once and run as a set of states. Whether there is a match is certain for all that is parsed; where
//! one is, when no quantifier is non-greedy: Postgres then takes the first place and the longest match there. All else
//! is refused by name: back references, lookaround, options in the pattern, word boundaries, captured parts.

mod calls;
mod parse;
mod program;
mod set;

pub(super) use calls::FUNCTIONS;

use super::letters::{Letters, numbered};
use crate::value::EvalError;
use std::cell::RefCell;
use std::rc::Rc;

/// A pattern ready to be looked for.
pub(super) struct Pattern {
    program: program::Program,
    /// There is a class, or letters of both cases: a text must have no character that these letters do not know.
    letters: Option<&'static Letters>,
    /// The place and length of a match are certain.
    pub is_greedy: bool,
    /// Parentheses that capture.
    pub captures: bool,
}

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
        let needs_letters = fold || parsed.has_classes;
        // Of the database's own collation Postgres takes those of ASCII from C, of others it does not.
        if needs_letters && !letters.ascii_is_plain() {
            return Err(refuse("letters of ASCII that are not those of C"));
        }
        let program = program::compile(&parsed.node).map_err(&refuse)?;
        Ok(Pattern {
            program,
            letters: needs_letters.then_some(letters),
            is_greedy: !parsed.has_lazy,
            captures: parsed.has_captures,
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
        Ok(self.program.is_match(&self.characters(text)?))
    }

    /// The first match from there on, at its longest: where it begins and ends.
    pub fn find(&self, text: &[char], from: usize) -> Option<(usize, usize)> {
        (from..=text.len()).find_map(|start| self.program.longest(text, start).map(|end| (start, end)))
    }
}
