//! Regular expressions: Postgres' advanced ones (regcomp.c); classes and case are the collation's ([`super::letters`]).
//!
//! A pattern is parsed once and run as a set of states. Where a match is asked for, it is the first place, and there the longest or
//! shortest as the pattern's quantifiers prefer; what its parentheses have captured then follows from its parts. What is
//! rare, and patterns that are not advanced ones (`(?e)`, `(?b)`), are refused by name.

mod bracket;
mod calls;
mod dissect;
mod escape;
mod look;
mod many;
mod node;
mod options;
mod parse;
mod part;
mod program;
mod replacement;
mod set;
mod taste;
mod xquery;

pub(super) use calls::FUNCTIONS;
pub(super) use xquery::matches_xquery;

use super::letters::{Letters, numbered};
use crate::value::EvalError;
use std::cell::RefCell;
use std::rc::Rc;

/// A pattern ready to be looked for.
struct Pattern {
    program: program::Program,
    looks: look::Looks,
    /// The same as it is looked for, unless that would be too large.
    parts: Result<part::Part, EvalError>,
    /// There is a class, or letters of both cases: a text must have no character that these letters do not know.
    letters: Option<&'static Letters>,
    /// The same, if cases are not told apart.
    folded: Option<&'static Letters>,
    /// How many parentheses capture.
    groups: usize,
    has_backs: bool,
}

/// A match: begin and end of the whole, and of what its parentheses have captured.
struct Match {
    pub whole: (usize, usize),
    pub groups: dissect::Captures,
}

/// So much at one place in vain is worth asking whether any other will do.
const MUCH_WORK: u64 = 1_000;
/// How much is done to find the matches of one text, in states times characters.
const MOST_WORK: u64 = 20_000_000;

/// What a pattern is read with.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Reading {
    pub options: options::Options,
    /// The number of the collation's letters.
    pub letters: i32,
}

type Last = Option<(String, Reading, Rc<Result<Pattern, EvalError>>)>;

thread_local! {
    /// The pattern last used.
    static LAST: RefCell<Last> = const { RefCell::new(None) };
}

impl Pattern {
    /// Parses the pattern, unless the last call had the same.
    pub fn of(text: &str, reading: Reading) -> Rc<Result<Pattern, EvalError>> {
        LAST.with_borrow_mut(|last| match last {
            Some((known, read, pattern)) if known == text && *read == reading => pattern.clone(),
            _ => {
                let letters = numbered(reading.letters);
                let pattern = Rc::new(letters.and_then(|letters| Pattern::new(text, reading.options, letters)));
                *last = Some((text.to_owned(), reading, pattern.clone()));
                pattern
            }
        })
    }

    fn new(text: &str, options: options::Options, letters: &'static Letters) -> Result<Pattern, EvalError> {
        let refuse = |what: &str| EvalError::unsupported(format!("regular expression {text:?}: {what}"));
        let parsed = parse::parse(text, options, letters).map_err(&refuse)?;
        let needs_letters = parsed.fold || parsed.has_classes;
        // Of the database's own collation Postgres takes those of ASCII from C, of others it does not.
        if needs_letters && !letters.ascii_is_plain() {
            return Err(refuse("letters of ASCII that are not those of C"));
        }
        let program = program::compile(&parsed.node, parsed.word.as_ref()).map_err(&refuse)?;
        Ok(Pattern {
            program,
            looks: look::Looks::compile(&parsed.looks, parsed.word.as_ref()).map_err(&refuse)?,
            parts: part::cut(&parsed).map_err(&refuse),
            letters: needs_letters.then_some(letters),
            folded: parsed.fold.then_some(letters),
            groups: parsed.groups,
            has_backs: parsed.has_backs,
        })
    }

    /// What to look in.
    pub fn subject(&self, text: &str) -> Result<look::Subject, EvalError> {
        let characters: Vec<char> = text.chars().collect();
        match self.letters {
            Some(letters) if !text.is_ascii() && !characters.iter().all(|c| letters.knows(*c)) => {
                Err(EvalError::unsupported("a character of which its collation's class or case is not known"))
            }
            _ => Ok(self.looks.subject(characters)),
        }
    }

    pub fn is_match(&self, text: &str) -> Result<bool, EvalError> {
        let text = self.subject(text)?;
        if self.has_backs {
            return self.matches(&text, false, false).map(|found| !found.is_empty());
        }
        Ok(self.program.is_match(&text, 0))
    }

    /// The first match, or with `all` every one that begins behind the one before. What the parentheses captured is found where
    /// it is asked for.
    pub fn matches(&self, text: &look::Subject, all: bool, with_groups: bool) -> Result<Vec<Match>, EvalError> {
        let parts = self.parts.as_ref().map_err(Clone::clone)?;
        let (mut found, mut from, mut work) = (Vec::new(), 0, MOST_WORK);
        while from <= text.len() {
            let first = match self.has_backs {
                true => self.first_that_agrees(parts, text, from, &mut work)?,
                false => self.first(parts, text, from, with_groups, &mut work)?,
            };
            let Some(first) = first else { break };
            let (begin, end) = first.whole;
            found.push(first);
            if !all {
                break;
            }
            // An empty match would be found again.
            from = if begin == end { end + 1 } else { end };
        }
        Ok(found)
    }

    fn first(
        &self,
        parts: &part::Part,
        text: &look::Subject,
        from: usize,
        with_groups: bool,
        work: &mut u64,
    ) -> Result<Option<Match>, EvalError> {
        let mut is_certain = false;
        for begin in from..=text.len() {
            let before = *work;
            if let Some(end) = parts.end(text, begin, work)? {
                let mut found = self.dissection(text);
                if with_groups && self.groups > 0 {
                    found.of(parts, (begin, end), work)?;
                }
                return Ok(Some(Match { whole: (begin, end), groups: found.captures }));
            }
            // Before every place is tried at such a cost: is there a match at all?
            if !is_certain && before - *work > MUCH_WORK {
                if !self.program.is_match(text, begin) {
                    break;
                }
                is_certain = true;
            }
        }
        Ok(None)
    }

    /// The same with back references (`cfindloop` of regexec.c): all that looks like a match is tried, by its begin and then as
    /// preferred. Begins are sought up to the earliest end of what looks like one, then behind it, if that is not the text's end:
    /// nothing is found there that way.
    fn first_that_agrees(
        &self,
        parts: &part::Part,
        text: &look::Subject,
        mut from: usize,
        work: &mut u64,
    ) -> Result<Option<Match>, EvalError> {
        while let Some(close) = self.program.first_end(text, from) {
            for begin in from..=close {
                let ends = parts.program.ends(text, begin, text.len(), work)?;
                for end in parts.preferred(&ends) {
                    let mut found = self.dissection(text);
                    if found.of(parts, (begin, end), work)? {
                        return Ok(Some(Match { whole: (begin, end), groups: found.captures }));
                    }
                }
            }
            from = close + 1;
            if from >= text.len() {
                break;
            }
        }
        Ok(None)
    }

    fn dissection<'t>(&self, text: &'t look::Subject) -> dissect::Dissection<'t> {
        dissect::Dissection { text, letters: self.folded, captures: vec![None; self.groups] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> Result<Vec<Match>, EvalError> {
        let letters = Box::leak(Box::new(Letters::of_ascii()));
        let pattern = Pattern::new(pattern, Default::default(), letters)?;
        pattern.matches(&pattern.subject(text)?, true, true)
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
        // Divisions into fewer pieces than there must be are tried first, without looking at the text again.
        let text = "a".repeat(62);
        assert!(matches("(x?)(?:\\1(?:a|aaa)){60}", &text).is_err_and(|error| error.is_unsupported()));
    }
}
