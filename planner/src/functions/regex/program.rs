//! A pattern as states, all of which that a text may have reached are followed at once (Thompson's construction).

use super::look::Subject;
use super::node::{Node, Place};
use super::set::Set;
use crate::value::EvalError;

enum Step {
    Set(Set),
    Either(usize, usize),
    Goto(usize),
    At(Place),
    /// The last one.
    Match,
}

pub(super) struct Program {
    steps: Vec<Step>,
    /// The characters of words.
    word: Set,
    /// How deep in parts that may be repeated steps are added.
    repeated: usize,
    /// Steps for places within such parts.
    repeated_places: usize,
}

/// Larger ones are left to Postgres.
pub(super) const MOST_STEPS: usize = 2_000;
/// So many parts are looked at: `((){255}){255}` has more of them than steps.
const MOST_PARTS: usize = 4 * MOST_STEPS;
/// Postgres' own states grow with every combination of places that a text can pass without a character, and it refuses some of
/// the patterns that have eight of them within repetitions (2201B, "too complex"; 14 is the first to).
const MOST_REPEATED_PLACES: usize = 4;

pub(super) fn compile(node: &Node, word: Option<&Set>) -> Result<Program, &'static str> {
    let mut program =
        Program { steps: Vec::new(), word: word.cloned().unwrap_or_default(), repeated: 0, repeated_places: 0 };
    program.add(node, &mut 0)?;
    program.push(Step::Match)?;
    Ok(program)
}

impl Program {
    pub fn size(&self) -> usize {
        self.steps.len()
    }

    fn push(&mut self, step: Step) -> Result<usize, &'static str> {
        if self.steps.len() >= MOST_STEPS {
            return Err("so large a pattern");
        }
        self.steps.push(step);
        Ok(self.steps.len() - 1)
    }

    fn add(&mut self, node: &Node, parts: &mut usize) -> Result<(), &'static str> {
        *parts += 1;
        if *parts > MOST_PARTS {
            return Err("so large a pattern");
        }
        match node {
            Node::Empty => {}
            Node::Set(set) => drop(self.push(Step::Set(set.clone()))?),
            Node::At(place) => {
                self.push(Step::At(*place))?;
                self.repeated_places += usize::from(self.repeated > 0);
                if self.repeated_places > MOST_REPEATED_PLACES {
                    return Err("so many places in what is repeated");
                }
            }
            Node::Sequence(nodes) => {
                for node in nodes {
                    self.add(node, parts)?;
                }
            }
            Node::Either(nodes) => {
                let mut ends = Vec::new();
                for (at, node) in nodes.iter().enumerate() {
                    if at + 1 == nodes.len() {
                        self.add(node, parts)?;
                        break;
                    }
                    let fork = self.push(Step::Goto(0))?;
                    self.add(node, parts)?;
                    ends.push(self.push(Step::Goto(0))?);
                    self.steps[fork] = Step::Either(fork + 1, self.steps.len());
                }
                for end in ends {
                    self.steps[end] = Step::Goto(self.steps.len());
                }
            }
            Node::Group(_, node) | Node::Back(_, node) => self.add(node, parts)?,
            Node::Repeat { node, least, most, .. } => {
                self.repeated += 1;
                for _ in 0..*least {
                    self.add(node, parts)?;
                }
                match most {
                    Some(most) => {
                        let mut forks = Vec::new();
                        for _ in *least..*most {
                            forks.push(self.push(Step::Goto(0))?);
                            self.add(node, parts)?;
                        }
                        for fork in forks {
                            self.steps[fork] = Step::Either(fork + 1, self.steps.len());
                        }
                    }
                    None => {
                        let fork = self.push(Step::Goto(0))?;
                        self.add(node, parts)?;
                        self.push(Step::Goto(fork))?;
                        self.steps[fork] = Step::Either(fork + 1, self.steps.len());
                    }
                }
                self.repeated -= 1;
            }
        }
        Ok(())
    }

    /// Adds a state and all it leads to without a character. True when one of them is the end.
    fn enter(&self, states: &mut [bool], first: usize, at: usize, text: &Subject) -> bool {
        let (mut open, mut ends) = (vec![first], false);
        while let Some(state) = open.pop() {
            if std::mem::replace(&mut states[state], true) {
                continue;
            }
            match &self.steps[state] {
                Step::Either(one, other) => open.extend([*one, *other]),
                Step::Goto(next) => open.push(*next),
                Step::At(place) if self.is_at(*place, at, text) => open.push(state + 1),
                Step::Match => ends = true,
                Step::At(_) | Step::Set(_) => {}
            }
        }
        ends
    }

    fn is_at(&self, place: Place, at: usize, text: &Subject) -> bool {
        let (before, behind) = (at.checked_sub(1).map(|at| text[at]), text.get(at).copied());
        // There is no word beyond the ends of the text.
        let is_word = |c: Option<char>| c.is_some_and(|c| self.word.contains(c));
        match place {
            Place::TextStart => before.is_none(),
            Place::TextEnd => behind.is_none(),
            Place::LineStart => before.is_none_or(|c| c == '\n'),
            Place::LineEnd => behind.is_none_or(|c| c == '\n'),
            Place::WordStart => !is_word(before) && is_word(behind),
            Place::WordEnd => is_word(before) && !is_word(behind),
            Place::WordEdge => is_word(before) != is_word(behind),
            Place::NoWordEdge => is_word(before) == is_word(behind),
            Place::Look(number) => text.holds(number, at),
        }
    }

    /// The states after this character, which are at such a place. True when one of them is the end.
    fn follow(&self, states: &[bool], c: char, to: usize, text: &Subject, next: &mut [bool]) -> bool {
        let mut ends = false;
        for (state, step) in self.steps.iter().enumerate() {
            if let (true, Step::Set(set)) = (states[state], step)
                && set.contains(c)
            {
                ends |= self.enter(next, state + 1, to, text);
            }
        }
        ends
    }

    /// By place: whether a match ends there, wherever it begins.
    pub fn ends_at(&self, text: &Subject) -> Vec<bool> {
        self.along(text, (0..=text.len()).map(|at| (at, at.checked_sub(1).map(|at| text[at]))))
    }

    /// The same of a pattern that is reversed: whether a match begins there, wherever it ends.
    pub fn begins_at(&self, text: &Subject) -> Vec<bool> {
        self.along(text, (0..=text.len()).rev().map(|at| (at, text.get(at).copied())))
    }

    /// Places in an order, with the character between each and the one before it.
    fn along(&self, text: &Subject, places: impl Iterator<Item = (usize, Option<char>)>) -> Vec<bool> {
        let mut states = vec![false; self.steps.len()];
        let mut next = states.clone();
        let mut found = vec![false; text.len() + 1];
        for (at, passed) in places {
            if let Some(c) = passed {
                next.fill(false);
                self.follow(&states, c, at, text, &mut next);
                std::mem::swap(&mut states, &mut next);
            }
            self.enter(&mut states, 0, at, text);
            found[at] = states[self.steps.len() - 1];
        }
        found
    }

    /// Whether there is a match that begins there or behind it.
    pub fn is_match(&self, text: &Subject, from: usize) -> bool {
        self.first_end(text, from).is_some()
    }

    /// Where the first match ends of all that begin there or behind it.
    pub fn first_end(&self, text: &Subject, from: usize) -> Option<usize> {
        let mut states = vec![false; self.steps.len()];
        let mut next = states.clone();
        for at in from..=text.len() {
            // A match may begin anywhere.
            if self.enter(&mut states, 0, at, text) {
                return Some(at);
            }
            if at < text.len() {
                next.fill(false);
                if self.follow(&states, text[at], at + 1, text, &mut next) {
                    return Some(at + 1);
                }
                std::mem::swap(&mut states, &mut next);
            }
        }
        None
    }

    /// Where matches that begin there end, up to a limit, in ascending order. `work` is what may still be done: states times
    /// characters; error when it is used up.
    pub fn ends(&self, text: &Subject, start: usize, limit: usize, work: &mut u64) -> Result<Vec<usize>, EvalError> {
        let mut states = vec![false; self.steps.len()];
        let mut next = states.clone();
        let mut ends = Vec::new();
        spend(work, self.steps.len())?;
        if self.enter(&mut states, 0, start, text) {
            ends.push(start);
        }
        for at in start..limit {
            spend(work, self.steps.len())?;
            next.fill(false);
            if self.follow(&states, text[at], at + 1, text, &mut next) {
                ends.push(at + 1);
            }
            if !next.contains(&true) {
                break;
            }
            std::mem::swap(&mut states, &mut next);
        }
        Ok(ends)
    }
}

/// Takes from what may still be done. Error when it is used up.
pub(super) fn spend(work: &mut u64, much: usize) -> Result<(), EvalError> {
    let too_much = || EvalError::unsupported("a regular expression that takes too long");
    *work = work.checked_sub(much as u64).ok_or_else(too_much)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::compile;

    #[test]
    fn a_large_pattern_of_nothing_is_refused_at_once() {
        let pattern = format!("{}{}", "(".repeat(12), "){255}".repeat(12));
        let parsed = parse(&pattern, Default::default(), &crate::functions::letters::Letters::of_ascii()).unwrap();
        assert!(compile(&parsed.node, None).is_err());
    }
}
