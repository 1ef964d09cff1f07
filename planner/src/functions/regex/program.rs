//! A pattern as states, all of which that a text may have reached are followed at once (Thompson's construction).

use super::parse::{Boundary, Node};
use super::set::Set;
use crate::value::EvalError;

enum Step {
    Set(Set),
    Either(usize, usize),
    Goto(usize),
    Start,
    End,
    Boundary(Boundary),
    Match,
}

pub(super) struct Program {
    steps: Vec<Step>,
    /// The characters of words.
    word: Set,
}

/// Larger ones are left to Postgres.
const MOST_STEPS: usize = 2_000;
/// So many parts are looked at: `((){255}){255}` has more of them than steps.
const MOST_PARTS: usize = 4 * MOST_STEPS;

pub(super) fn compile(node: &Node, word: Option<&Set>) -> Result<Program, &'static str> {
    let mut program = Program { steps: Vec::new(), word: word.cloned().unwrap_or_default() };
    program.add(node, &mut 0)?;
    program.push(Step::Match)?;
    Ok(program)
}

impl Program {
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
            Node::Start => drop(self.push(Step::Start)?),
            Node::End => drop(self.push(Step::End)?),
            Node::Boundary(boundary) => drop(self.push(Step::Boundary(*boundary))?),
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
            Node::Group(_, node) => self.add(node, parts)?,
            Node::Repeat { node, least, most, .. } => {
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
            }
        }
        Ok(())
    }

    /// Adds a state and all it leads to without a character. True when one of them is the end.
    fn enter(&self, states: &mut [bool], first: usize, at: usize, text: &[char]) -> bool {
        let (mut open, mut ends) = (vec![first], false);
        while let Some(state) = open.pop() {
            if std::mem::replace(&mut states[state], true) {
                continue;
            }
            match &self.steps[state] {
                Step::Either(one, other) => open.extend([*one, *other]),
                Step::Goto(next) => open.push(*next),
                Step::Start if at == 0 => open.push(state + 1),
                Step::End if at == text.len() => open.push(state + 1),
                Step::Boundary(boundary) if self.is_at(*boundary, at, text) => open.push(state + 1),
                Step::Match => ends = true,
                Step::Start | Step::End | Step::Boundary(_) | Step::Set(_) => {}
            }
        }
        ends
    }

    /// There is no word beyond the ends of the text.
    fn is_at(&self, boundary: Boundary, at: usize, text: &[char]) -> bool {
        let is_word = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(|c| self.word.contains(*c));
        match (is_word(at.checked_sub(1)), is_word(Some(at))) {
            (false, true) => matches!(boundary, Boundary::Begin | Boundary::Either),
            (true, false) => matches!(boundary, Boundary::End | Boundary::Either),
            _ => boundary == Boundary::Neither,
        }
    }

    /// The states after this character. True when one of them is the end.
    fn follow(&self, states: &[bool], text: &[char], at: usize, next: &mut [bool]) -> bool {
        let mut ends = false;
        for (state, step) in self.steps.iter().enumerate() {
            if let (true, Step::Set(set)) = (states[state], step)
                && set.contains(text[at])
            {
                ends |= self.enter(next, state + 1, at + 1, text);
            }
        }
        ends
    }

    /// Whether there is a match that begins there or behind it.
    pub fn is_match(&self, text: &[char], from: usize) -> bool {
        let mut states = vec![false; self.steps.len()];
        let mut next = states.clone();
        for at in from..=text.len() {
            // A match may begin anywhere.
            if self.enter(&mut states, 0, at, text) {
                return true;
            }
            if at < text.len() {
                next.fill(false);
                if self.follow(&states, text, at, &mut next) {
                    return true;
                }
                std::mem::swap(&mut states, &mut next);
            }
        }
        false
    }

    /// Where matches that begin there end, up to a limit, in ascending order. `work` is what may still be done: states times
    /// characters; error when it is used up.
    pub fn ends(&self, text: &[char], start: usize, limit: usize, work: &mut u64) -> Result<Vec<usize>, EvalError> {
        let mut states = vec![false; self.steps.len()];
        let mut next = states.clone();
        let mut ends = Vec::new();
        if self.enter(&mut states, 0, start, text) {
            ends.push(start);
        }
        for at in start..limit {
            *work = work.checked_sub(self.steps.len() as u64).ok_or_else(too_much)?;
            next.fill(false);
            if self.follow(&states, text, at, &mut next) {
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

fn too_much() -> EvalError {
    EvalError::unsupported("a regular expression that takes too long")
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse;
    use super::compile;

    #[test]
    fn a_large_pattern_of_nothing_is_refused_at_once() {
        let pattern = format!("{}{}", "(".repeat(12), "){255}".repeat(12));
        let parsed = parse(&pattern, false, &crate::functions::letters::Letters::of_ascii()).unwrap();
        assert!(compile(&parsed.node, None).is_err());
    }
}
