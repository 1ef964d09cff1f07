//! A pattern cut where it must be, to find what its parentheses capture and what its tastes prefer.
//!
//! Which parts there are decides what is found (`dissect`), so they are cut as in Postgres (`parseqatom` of regcomp.c): what neither
//! captures, nor refers back, nor mixes tastes stays together; of `x{2,5}` that captures, the last `x` is a part and what comes
//! before it another.

use super::node::Node;
use super::parse::Parsed;
use super::program::{Program, compile};
use super::set::Set;
use super::taste::{Taste, Traits};

/// A part and what it matches as a whole, whatever its tastes.
pub(super) struct Part {
    pub program: Program,
    pub traits: Traits,
    /// The number of the parentheses that it is.
    pub group: Option<usize>,
    pub kind: Kind,
}

pub(super) enum Kind {
    /// Nothing in it is asked for.
    Plain,
    Both(Box<Part>, Box<Part>),
    Either(Vec<Part>),
    Repeat(Box<Part>, Times),
    /// Parentheses directly within parentheses.
    Within(Box<Part>),
    /// What the parentheses of this number have captured.
    Back(usize, Times),
}

/// How often.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub least: u32,
    pub most: Option<u32>,
}

const ONCE: Times = Times { least: 1, most: Some(1) };

/// All parts of a pattern have no more of its nodes together: each is compiled with what is in it.
const MOST_NODES: usize = 2_000;

/// Cuts a pattern.
pub(super) fn cut(parsed: &Parsed) -> Result<Part, &'static str> {
    let mut cutter = Cutter { word: parsed.word.as_ref(), nodes: 0 };
    if parsed.groups == 0 && !parsed.has_lazy && !parsed.has_backs {
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
            Node::Set(_) | Node::At(_) => Ok(None),
            Node::Back(number, _) => {
                let traits = Traits { has_backs: true, ..Traits::default() };
                self.part(atom, traits, Kind::Back(*number, ONCE)).map(Some)
            }
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
        let (own, times) = (atom.traits, Times { least, most });
        if let Node::Back(number, _) = node {
            return self.part(element, Traits::of(taste).then(own), Kind::Back(*number, times));
        }
        let is_once = (least, most) == (1, Some(1));
        let agrees = taste.is_none() || !own.is_mixed && (own.taste.is_none() || own.taste == taste);
        if is_once && agrees {
            return Ok(atom);
        }
        let traits = Traits::of(taste).then(own);
        if least == 0 || own.has_backs {
            return self.part(element, traits, Kind::Repeat(Box::new(atom), times));
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
