//! Regular expressions: the part of Postgres' advanced ones (regcomp.c) that is regular and whose meaning no locale decides.
//!
//! A pattern is parsed once and run as a set of states. Whether there is a match is certain for all that is parsed; where
//! one is, when no quantifier is non-greedy: Postgres then takes the first place and the longest match there. All else
//! is refused by name: back references, lookaround, options in the pattern, word boundaries, captured parts.

mod calls;
mod parse;
mod program;
mod set;

pub(super) use calls::FUNCTIONS;

use crate::value::EvalError;
use std::cell::RefCell;
use std::rc::Rc;

/// A pattern ready to be looked for.
pub(super) struct Pattern {
    program: program::Program,
    /// A class, or letters of both cases, whose members beyond ASCII the collation knows.
    ascii_only: bool,
    /// The place and length of a match are certain.
    pub is_greedy: bool,
    /// Parentheses that capture.
    pub captures: bool,
}

type Last = Option<((String, bool), Rc<Result<Pattern, EvalError>>)>;

thread_local! {
    /// The pattern last used.
    static LAST: RefCell<Last> = const { RefCell::new(None) };
}

impl Pattern {
    /// Parses the pattern, unless the last call had the same. `fold`: without regard to case.
    pub fn of(text: &str, fold: bool) -> Rc<Result<Pattern, EvalError>> {
        LAST.with_borrow_mut(|last| match last {
            Some(((known, folded), pattern)) if known == text && *folded == fold => pattern.clone(),
            _ => {
                let pattern = Rc::new(Pattern::new(text, fold));
                *last = Some(((text.to_owned(), fold), pattern.clone()));
                pattern
            }
        })
    }

    fn new(text: &str, fold: bool) -> Result<Pattern, EvalError> {
        let refuse = |what: &str| EvalError::unsupported(format!("regular expression {text:?}: {what}"));
        let parsed = parse::parse(text, fold).map_err(&refuse)?;
        let program = program::compile(&parsed.node).map_err(&refuse)?;
        Ok(Pattern {
            program,
            ascii_only: fold || parsed.has_classes,
            is_greedy: !parsed.has_lazy,
            captures: parsed.has_captures,
        })
    }

    /// The characters to look in.
    pub fn characters(&self, text: &str) -> Result<Vec<char>, EvalError> {
        if self.ascii_only && !text.is_ascii() {
            return Err(EvalError::unsupported("a character class or folded letter beyond ASCII"));
        }
        Ok(text.chars().collect())
    }

    pub fn is_match(&self, text: &str) -> Result<bool, EvalError> {
        Ok(self.program.is_match(&self.characters(text)?))
    }

    /// The first match from there on, at its longest: where it begins and ends.
    pub fn find(&self, text: &[char], from: usize) -> Option<(usize, usize)> {
        (from..=text.len()).find_map(|start| self.program.longest(text, start).map(|end| (start, end)))
    }
}
