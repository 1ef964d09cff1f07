//! The tree of a pattern.

use super::set::Set;
use super::taste::Taste;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Empty,
    Set(Set),
    /// Nothing, at such a place only.
    At(Place),
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    /// Parentheses that capture, numbered from 1.
    Group(usize, Box<Node>),
    /// A back reference to the parentheses of this number, and what these may match wherever they are: it is the same text.
    Back(usize, Box<Node>),
    Repeat {
        node: Box<Node>,
        least: u32,
        most: Option<u32>,
        /// None: the node's own, as of `{2}`.
        taste: Option<Taste>,
    },
}

/// Between characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `^`, `$`: the ends of the text.
    TextStart,
    TextEnd,
    /// The same where lines count.
    LineStart,
    LineEnd,
    /// `\m`, `\M`, `\y`, `\Y`.
    WordStart,
    WordEnd,
    WordEdge,
    NoWordEdge,
    /// Where the look of this number holds.
    Look(usize),
}

impl Node {
    /// What stands behind each other in a branch.
    pub fn elements(&self) -> &[Node] {
        match self {
            Node::Sequence(nodes) => nodes,
            Node::Empty => &[],
            one => std::slice::from_ref(one),
        }
    }

    /// Nodes in it, itself included.
    pub fn size(&self) -> usize {
        match self {
            Node::Sequence(nodes) | Node::Either(nodes) => 1 + nodes.iter().map(Node::size).sum::<usize>(),
            Node::Group(_, node) | Node::Back(_, node) | Node::Repeat { node, .. } => 1 + node.size(),
            Node::Empty | Node::Set(_) | Node::At(_) => 1,
        }
    }

    /// What it matches where places, and what was captured, do not count.
    pub fn anywhere(&self) -> Node {
        match self {
            Node::At(_) => Node::Empty,
            Node::Group(_, node) | Node::Back(_, node) => node.anywhere(),
            Node::Sequence(nodes) => Node::Sequence(nodes.iter().map(Node::anywhere).collect()),
            Node::Either(nodes) => Node::Either(nodes.iter().map(Node::anywhere).collect()),
            Node::Repeat { node, least, most, taste } => {
                Node::Repeat { node: Box::new(node.anywhere()), least: *least, most: *most, taste: *taste }
            }
            Node::Empty | Node::Set(_) => self.clone(),
        }
    }

    /// What matches the same characters from the last to the first.
    pub fn reversed(&self) -> Node {
        match self {
            Node::Sequence(nodes) => Node::Sequence(nodes.iter().rev().map(Node::reversed).collect()),
            Node::Either(nodes) => Node::Either(nodes.iter().map(Node::reversed).collect()),
            Node::Group(number, node) => Node::Group(*number, Box::new(node.reversed())),
            Node::Repeat { node, least, most, taste } => {
                Node::Repeat { node: Box::new(node.reversed()), least: *least, most: *most, taste: *taste }
            }
            // What a back reference repeats is not turned round: there are none in looks.
            Node::Empty | Node::Set(_) | Node::At(_) | Node::Back(..) => self.clone(),
        }
    }
}
