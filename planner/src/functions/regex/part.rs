//! A pattern cut where it must be, to find what its parentheses capture and what its tastes prefer.
//!
//! Postgres decides where a match begins and ends first. Then it hands the text to the parts of the pattern, earlier parts first,
//! each of which takes the most or the least with which the rest can still match (`parseqatom` of regcomp.c, `cdissect` of
//! regexec.c). Which parts there are decides what is found, so they are cut as there: what neither captures nor mixes tastes
//! stays together; of `x{2,5}` that captures, the last `x` is a part and what comes before it another.

use super::parse::{Node, Parsed};
use super::program::{Program, compile};
use super::set::Set;
use super::taste::{Taste, Traits};
use crate::value::EvalError;

/// A part and what it matches as a whole, whatever its tastes.
pub(super) struct Part {
    program: Program,
    pub traits: Traits,
    /// The number of the parentheses that it is.
    group: Option<usize>,
    kind: Kind,
}

enum Kind {
    /// Nothing in it is asked for.
    Plain,
    Both(Box<Part>, Box<Part>),
    Either(Vec<Part>),
    /// From none to so many times.
    Repeat(Box<Part>, Option<u32>),
    /// Parentheses directly within parentheses.
    Within(Box<Part>),
}

/// Begin and end of what each pair of parentheses matched, from number 1 on.
pub(super) type Captures = Vec<Option<(usize, usize)>>;

/// All parts of a pattern have no more of its nodes together: each is compiled with what is in it.
const MOST_NODES: usize = 2_000;

/// Cuts a pattern.
pub(super) fn cut(parsed: &Parsed) -> Result<Part, &'static str> {
    let mut cutter = Cutter { word: parsed.word.as_ref(), nodes: 0 };
    if parsed.groups == 0 && !parsed.has_lazy {
        return cutter.part(&parsed.node, Traits::default(), Kind::Plain);
    }
    cutter.alternatives(&parsed.node)
}

struct Cutter<'p> {
    word: Option<&'p Set>,
    nodes: usize,
}

impl Cutter<'_> {
    fn part(&mut self, node: &Node, traits: Traits, kind: Kind) -> Result<Part, &'static str> {
        self.nodes += node.size();
        if self.nodes > MOST_NODES {
            return Err("so large a pattern");
        }
        Ok(Part { program: compile(node, self.word)?, traits, group: None, kind })
    }

    fn alternatives(&mut self, node: &Node) -> Result<Part, &'static str> {
        let Node::Either(branches) = node else { return self.branch(node.elements()) };
        let branches = branches.iter().map(|branch| self.branch(branch.elements())).collect::<Result<Vec<_>, _>>()?;
        let traits = branches.iter().fold(Traits::of(Some(Taste::Greedy)), |traits, branch| traits.then(branch.traits));
        self.part(node, traits, if traits.is_plain() { Kind::Plain } else { Kind::Either(branches) })
    }

    /// Parts behind each other.
    fn branch(&mut self, elements: &[Node]) -> Result<Part, &'static str> {
        let mut before = Traits::default();
        for (at, element) in elements.iter().enumerate() {
            let quantified = Quantified::of(element);
            if quantified.most == Some(0) {
                continue;
            }
            let taste = Traits::of(quantified.taste);
            let inner = self.alternatives_within(quantified.atom)?;
            let traits = before.then(taste).then(inner.as_ref().map_or(Traits::default(), |part| part.traits));
            if traits.is_plain() {
                before = traits;
                continue;
            }
            let atom = match inner {
                Some(part) => part,
                None => self.part(quantified.atom, Traits::default(), Kind::Plain)?,
            };
            return self.cut_at(elements, at, before, atom);
        }
        self.part(&Node::Sequence(elements.to_vec()), before, Kind::Plain)
    }

    /// What is in an atom that is a pattern itself. A character, a set or an anchor is none.
    fn alternatives_within(&mut self, atom: &Node) -> Result<Option<Part>, &'static str> {
        match atom {
            Node::Set(_) | Node::Start | Node::End | Node::Boundary(_) => Ok(None),
            Node::Group(number, node) => {
                let part = self.alternatives(node)?;
                let mut part = match part.group {
                    None => part,
                    Some(_) => self.part(node, part.traits, Kind::Within(Box::new(part)))?,
                };
                part.group = Some(*number);
                part.traits.has_captures = true;
                Ok(Some(part))
            }
            node => self.alternatives(node).map(Some),
        }
    }

    /// Cuts before and behind an element, of which the atom is given.
    fn cut_at(&mut self, elements: &[Node], at: usize, before: Traits, atom: Part) -> Result<Part, &'static str> {
        let (element, rest) = (&elements[at], &elements[at + 1..]);
        let taste = Traits::of(Quantified::of(element).taste);
        let behind = taste.then(atom.traits);
        let whole = self.quantified(element, atom)?;
        let (last, traits) = match rest {
            [] => {
                let traits = before.then(whole.traits);
                (whole, traits)
            }
            rest => {
                let rest = self.branch(rest)?;
                let behind = behind.then(behind.then(rest.traits));
                let together = whole.traits.then(rest.traits);
                let is_plain =
                    at > 0 && matches!((&whole.kind, &rest.kind), (Kind::Plain, Kind::Plain)) && together.is_plain();
                let (traits, kind) = match is_plain {
                    true => (together, Kind::Plain),
                    false => (behind, Kind::Both(Box::new(whole), Box::new(rest))),
                };
                let mut part = self.part(&Node::Sequence(elements[at..].to_vec()), traits, kind)?;
                let traits = before.then(behind);
                if at == 0 {
                    part.traits = traits;
                }
                (part, traits)
            }
        };
        if at == 0 {
            return Ok(last);
        }
        let first = self.part(&Node::Sequence(elements[..at].to_vec()), before, Kind::Plain)?;
        let kind = Kind::Both(Box::new(first), Box::new(last));
        self.part(&Node::Sequence(elements.to_vec()), traits, kind)
    }

    /// An atom as often as its quantifier says.
    fn quantified(&mut self, element: &Node, atom: Part) -> Result<Part, &'static str> {
        let Quantified { atom: node, least, most, taste } = Quantified::of(element);
        let own = atom.traits;
        let is_once = (least, most) == (1, Some(1));
        let agrees = taste.is_none() || !own.is_mixed && (own.taste.is_none() || own.taste == taste);
        if is_once && agrees {
            return Ok(atom);
        }
        let traits = Traits::of(taste).then(own);
        if least == 0 {
            return self.part(element, traits, Kind::Repeat(Box::new(atom), most));
        }
        let fewer = Node::Repeat {
            node: Box::new(node.clone()),
            least: least - 1,
            most: most.map(|most| most - 1),
            taste: None,
        };
        let fewer = self.part(&fewer, Traits::of(traits.taste), Kind::Plain)?;
        self.part(element, traits, Kind::Both(Box::new(fewer), Box::new(atom)))
    }
}

/// An element of a branch: an atom, and how often.
struct Quantified<'n> {
    atom: &'n Node,
    least: u32,
    most: Option<u32>,
    taste: Option<Taste>,
}

impl Quantified<'_> {
    fn of(element: &Node) -> Quantified<'_> {
        match element {
            Node::Repeat { node, least, most, taste } => {
                Quantified { atom: node, least: *least, most: *most, taste: *taste }
            }
            atom => Quantified { atom, least: 1, most: Some(1), taste: None },
        }
    }
}

impl Part {
    /// Where a match that begins at `start` ends.
    pub fn end(&self, text: &[char], start: usize, work: &mut u64) -> Result<Option<usize>, EvalError> {
        let ends = self.program.ends(text, start, text.len(), work)?;
        Ok(self.preferred(&ends).next())
    }

    /// Ends in ascending order, those that are preferred first.
    fn preferred<'e>(&self, ends: &'e [usize]) -> Box<dyn Iterator<Item = usize> + 'e> {
        match self.traits.taste {
            Some(Taste::Lazy) => Box::new(ends.iter().copied()),
            _ => Box::new(ends.iter().rev().copied()),
        }
    }

    fn is_match(&self, text: &[char], (start, end): (usize, usize), work: &mut u64) -> Result<bool, EvalError> {
        Ok(self.program.ends(text, start, end, work)?.last() == Some(&end))
    }

    /// Finds what the parentheses of a part that matches there have matched.
    pub fn capture(
        &self,
        text: &[char],
        (start, end): (usize, usize),
        captures: &mut Captures,
        work: &mut u64,
    ) -> Result<(), EvalError> {
        match &self.kind {
            Kind::Plain => {}
            Kind::Within(part) => part.capture(text, (start, end), captures, work)?,
            Kind::Both(left, right) => {
                let ends = left.program.ends(text, start, end, work)?;
                for middle in left.preferred(&ends) {
                    if right.is_match(text, (middle, end), work)? {
                        left.capture(text, (start, middle), captures, work)?;
                        right.capture(text, (middle, end), captures, work)?;
                        break;
                    }
                }
            }
            Kind::Either(parts) => {
                for part in parts {
                    if part.is_match(text, (start, end), work)? {
                        part.capture(text, (start, end), captures, work)?;
                        break;
                    }
                }
            }
            Kind::Repeat(part, most) => {
                // Nothing is matched once by what could match more, and not at all by what had rather matched less. Of several times
                // only the last counts.
                let is_lazy = part.traits.taste == Some(Taste::Lazy);
                let once = start == end && !is_lazy && part.is_match(text, (start, end), work)?;
                if once {
                    part.capture(text, (start, end), captures, work)?;
                } else if let Some(begin) = part.last_of_many(text, (start, end), *most, work)? {
                    part.capture(text, (begin, end), captures, work)?;
                }
            }
        }
        if let Some(group) = self.group {
            captures[group - 1] = Some((start, end));
        }
        Ok(())
    }

    /// Where the last match begins of up to so many, none of them empty, that fill the text; each has what it prefers of what lets
    /// the others reach the end. None: of no times.
    fn last_of_many(
        &self,
        text: &[char],
        (start, end): (usize, usize),
        most: Option<u32>,
        work: &mut u64,
    ) -> Result<Option<usize>, EvalError> {
        let length = end - start;
        // By place: where matches from there end, and how few of them reach the end.
        let mut ends: Vec<Vec<usize>> = vec![vec![]; length];
        let mut fewest: Vec<Option<u32>> = vec![None; length];
        fewest.push(Some(0));
        for at in (0..length).rev() {
            let mut all = self.program.ends(text, start + at, end, work)?;
            all.retain(|next| *next > start + at);
            fewest[at] = all.iter().filter_map(|next| fewest[next - start]).min().map(|fewest| fewest + 1);
            ends[at] = all;
        }
        let (mut at, mut last, mut left) = (start, None, most);
        while at < end {
            left = left.map(|left| left.saturating_sub(1));
            let reaches =
                |next: &usize| fewest[next - start].is_some_and(|fewest| left.is_none_or(|left| fewest <= left));
            let Some(next) = self.preferred(&ends[at - start]).find(reaches) else { break };
            last = Some(at);
            at = next;
        }
        Ok(last)
    }
}
