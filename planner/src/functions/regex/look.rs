//! Lookahead and lookbehind: whether there is a match that begins, or ends, at a place. It is found for all places of a text at
//! once, innermost first, before the pattern itself is looked for; there it is one more kind of place, as the begin of a word is.

use super::node::Node;
use super::program::{MOST_STEPS, Program, compile};
use super::set::Set;
use std::ops::Deref;

/// `(?=…)`, `(?!…)`, `(?<=…)`, `(?<!…)` as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub node: Node,
    pub is_behind: bool,
    pub is_negated: bool,
}

/// The same, ready to be looked for.
pub(super) struct Looks(Vec<(Look, Program)>);

/// A text, and at which of its places each of a pattern's looks holds.
pub(super) struct Subject {
    characters: Vec<char>,
    /// By number of the look, by place: one more than characters.
    looks: Vec<Vec<bool>>,
}

impl Looks {
    /// Those of a pattern by number; one within another has the smaller number.
    pub fn compile(looks: &[Look], word: Option<&Set>) -> Result<Looks, &'static str> {
        let program = |look: &Look| match look.is_behind {
            true => compile(&look.node, word),
            false => compile(&look.node.reversed(), word),
        };
        let looks: Vec<_> = looks.iter().map(|look| Ok((look.clone(), program(look)?))).collect::<Result<_, _>>()?;
        // All of them are looked for at every place of a text.
        if looks.iter().map(|(_, program)| program.size()).sum::<usize>() > MOST_STEPS {
            return Err("so large a pattern");
        }
        Ok(Looks(looks))
    }

    pub fn subject(&self, characters: Vec<char>) -> Subject {
        let mut subject = Subject { characters, looks: Vec::with_capacity(self.0.len()) };
        for (look, program) in &self.0 {
            let found = if look.is_behind { program.ends_at(&subject) } else { program.begins_at(&subject) };
            subject.looks.push(found.into_iter().map(|found| found != look.is_negated).collect());
        }
        subject
    }
}

impl Subject {
    pub fn holds(&self, look: usize, at: usize) -> bool {
        self.looks[look][at]
    }
}

impl Deref for Subject {
    type Target = [char];

    fn deref(&self) -> &[char] {
        &self.characters
    }
}
