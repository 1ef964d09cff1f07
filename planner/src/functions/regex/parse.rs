//! Advanced regular expressions read into a tree (regcomp.c, regc_lex.c). What is not certain is an error that names it.

use super::set::{Set, both_cases, range_in_both_cases, shorthand};
use super::taste::Taste;
use crate::functions::letters::Letters;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Empty,
    Set(Set),
    /// `^`, `$`: the ends of the text.
    Start,
    End,
    /// Between characters.
    Boundary(Boundary),
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    /// Parentheses that capture, numbered from 1.
    Group(usize, Box<Node>),
    Repeat {
        node: Box<Node>,
        least: u32,
        most: Option<u32>,
        /// None: the node's own, as of `{2}`.
        taste: Option<Taste>,
    },
}

/// Where words begin or end: `\m`, `\M`, `\y`, `\Y`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Boundary {
    Begin,
    End,
    Either,
    Neither,
}

pub(super) struct Parsed {
    pub node: Node,
    /// The options in the pattern may say otherwise than what it was read with.
    pub fold: bool,
    /// The characters of words, where boundaries of words are asked for.
    pub word: Option<Set>,
    pub has_classes: bool,
    pub has_lazy: bool,
    /// How many parentheses capture.
    pub groups: usize,
}

struct Parser<'l> {
    pattern: Vec<char>,
    at: usize,
    letters: &'l Letters,
    fold: bool,
    depth: usize,
    word: Option<Set>,
    has_classes: bool,
    has_lazy: bool,
    groups: usize,
}

/// Parentheses within parentheses.
const DEEPEST: usize = 50;
/// `DUPMAX` of regguts.h.
const MOST_REPETITIONS: u32 = 255;
/// Postgres gives up on a range with more letters of another case.
const LONGEST_FOLDED: u32 = 50_000;

pub(super) fn parse(pattern: &str, fold: bool, letters: &Letters) -> Result<Parsed, &'static str> {
    if pattern.starts_with("***") {
        return Err("a director");
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let (fold, at) = options(&pattern, fold)?;
    if fold && !pattern.iter().all(|c| letters.knows(*c)) {
        return Err("letters of unknown case");
    }
    let mut parser =
        Parser { pattern, at, letters, fold, depth: 0, word: None, has_classes: false, has_lazy: false, groups: 0 };
    let node = parser.alternatives()?;
    if parser.at < parser.pattern.len() {
        return Err("parentheses that do not match");
    }
    let Parser { word, has_classes, has_lazy, groups, .. } = parser;
    Ok(Parsed { node, fold, word, has_classes, has_lazy, groups })
}

/// `(?i)` at the begin: whether case is folded, and where the pattern goes on.
fn options(pattern: &[char], mut fold: bool) -> Result<(bool, usize), &'static str> {
    let ['(', '?', letters @ ..] = pattern else { return Ok((fold, 0)) };
    let length = letters.iter().take_while(|letter| letter.is_ascii_alphabetic()).count();
    if length == 0 {
        return Ok((fold, 0));
    }
    for letter in &letters[..length] {
        match letter {
            'i' => fold = true,
            'c' => fold = false,
            // As it is without.
            's' | 't' => {}
            _ => return Err("an option"),
        }
    }
    match letters.get(length) {
        Some(')') => Ok((fold, length + 3)),
        _ => Err("options that do not end"),
    }
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.pattern.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += usize::from(c.is_some());
        c
    }

    fn accept(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    fn alternatives(&mut self) -> Result<Node, &'static str> {
        let mut branches = vec![self.branch()?];
        while self.accept('|') {
            branches.push(self.branch()?);
        }
        Ok(if branches.len() == 1 { branches.remove(0) } else { Node::Either(branches) })
    }

    fn branch(&mut self) -> Result<Node, &'static str> {
        let mut parts = Vec::new();
        while !matches!(self.peek(), None | Some('|' | ')')) {
            let atom = self.atom()?;
            parts.push(self.quantified(atom)?);
        }
        Ok(match parts.len() {
            0 => Node::Empty,
            1 => parts.remove(0),
            _ => Node::Sequence(parts),
        })
    }

    fn atom(&mut self) -> Result<Node, &'static str> {
        match self.next() {
            Some('(') => self.group(),
            Some('[') => self.bracket().map(Node::Set),
            Some('.') => Ok(Node::Set(Set::any())),
            Some('^') => Ok(Node::Start),
            Some('$') => Ok(Node::End),
            Some('\\') => self.escape(),
            Some('*' | '+' | '?' | '{') => Err("a quantifier of nothing"),
            Some(c) => Ok(self.one(c)),
            None => Err("an end where something must follow"),
        }
    }

    fn one(&self, c: char) -> Node {
        Node::Set(Set::of(if self.fold { both_cases(c, self.letters) } else { vec![(c, c)] }, false))
    }

    /// Members of a class. Without regard to case, letters of one case are letters.
    fn class(&mut self, name: &str) -> Result<Vec<(char, char)>, &'static str> {
        self.has_classes = true;
        let name = if self.fold && matches!(name, "upper" | "lower") { "alpha" } else { name };
        self.letters.class(name).map(<[_]>::to_vec).ok_or("an unknown class")
    }

    fn shorthand(&mut self, letter: char) -> Result<Option<Vec<(char, char)>>, &'static str> {
        let Some(name) = shorthand(letter) else { return Ok(None) };
        let mut members = self.class(name)?;
        if letter == 'w' {
            members.push(('_', '_'));
        }
        Ok(Some(members))
    }

    fn boundary(&mut self, boundary: Boundary) -> Result<Node, &'static str> {
        if let Some(members) = self.shorthand('w')? {
            self.word = Some(Set::of(members, false));
        }
        Ok(Node::Boundary(boundary))
    }

    fn group(&mut self) -> Result<Node, &'static str> {
        let mut number = None;
        if self.accept('?') {
            if !self.accept(':') {
                return Err("lookaround or options");
            }
        } else {
            self.groups += 1;
            number = Some(self.groups);
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("parentheses nested too deeply");
        }
        let node = self.alternatives()?;
        self.depth -= 1;
        if !self.accept(')') {
            return Err("parentheses that do not match");
        }
        Ok(match number {
            Some(number) => Node::Group(number, Box::new(node)),
            None => node,
        })
    }

    fn escape(&mut self) -> Result<Node, &'static str> {
        let c = self.next().ok_or("a backslash at the end")?;
        if let Some(members) = self.shorthand(c.to_ascii_lowercase())? {
            return Ok(Node::Set(Set::of(members, c.is_ascii_uppercase())));
        }
        let c = match c {
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'f' => '\x0c',
            'v' => '\x0b',
            'A' => return Ok(Node::Start),
            'Z' => return Ok(Node::End),
            'm' => return self.boundary(Boundary::Begin),
            'M' => return self.boundary(Boundary::End),
            'y' => return self.boundary(Boundary::Either),
            'Y' => return self.boundary(Boundary::Neither),
            c if !c.is_alphanumeric() => c,
            _ => return Err("a back reference or code"),
        };
        Ok(self.one(c))
    }

    fn quantified(&mut self, atom: Node) -> Result<Node, &'static str> {
        let (least, most) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => (0, None),
            _ => return Ok(atom),
        };
        let is_short = self.next() != Some('{');
        let (least, most, has_taste) = if is_short { (least, most, true) } else { self.bounds()? };
        let taste = if self.accept('?') { Taste::Lazy } else { Taste::Greedy };
        self.has_lazy |= taste == Taste::Lazy;
        if matches!(self.peek(), Some('*' | '+' | '?' | '{')) {
            return Err("a quantifier of a quantifier");
        }
        if has_anchor(&atom) {
            return Err("a quantified anchor");
        }
        Ok(Node::Repeat { node: Box::new(atom), least, most, taste: has_taste.then_some(taste) })
    }

    /// Behind `{`; the last is whether there is a comma, without which the atom's taste stays.
    fn bounds(&mut self) -> Result<(u32, Option<u32>, bool), &'static str> {
        let least = self.number()?;
        let has_comma = self.accept(',');
        let most = match has_comma {
            false => Some(least),
            true if self.peek() == Some('}') => None,
            true => Some(self.number()?),
        };
        if !self.accept('}') || most.is_some_and(|most| most < least) {
            return Err("bounds that are none");
        }
        Ok((least, most, has_comma))
    }

    fn number(&mut self) -> Result<u32, &'static str> {
        let mut number = None;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            self.at += 1;
            let value = number.unwrap_or(0) * 10 + digit;
            if value > MOST_REPETITIONS {
                return Err("bounds beyond 255");
            }
            number = Some(value);
        }
        number.ok_or("bounds that are none")
    }

    /// Behind `[`.
    fn bracket(&mut self) -> Result<Set, &'static str> {
        let negated = self.accept('^');
        let mut ranges: Vec<(char, char)> = vec![];
        let mut is_first = true;
        loop {
            let c = self.next().ok_or("brackets that do not match")?;
            if c == ']' && !is_first {
                return Ok(Set::of(ranges, negated));
            }
            is_first = false;
            if c == '[' && matches!(self.peek(), Some(':' | '.' | '=')) {
                self.named(&mut ranges)?;
                continue;
            }
            let first = match self.member(c, &mut ranges)? {
                Some(c) => c,
                None => continue,
            };
            // A hyphen before the closing bracket is one.
            if self.peek() != Some('-') || self.pattern.get(self.at + 1) == Some(&']') {
                if first == '-' && !ranges.is_empty() && self.peek() != Some(']') {
                    return Err("a hyphen in the middle of brackets");
                }
                ranges.extend(if self.fold { both_cases(first, self.letters) } else { vec![(first, first)] });
                continue;
            }
            self.at += 1;
            let c = self.next().ok_or("brackets that do not match")?;
            if c == '[' || c == '-' || first == '-' {
                return Err("an odd range");
            }
            match self.member(c, &mut ranges)? {
                Some(last) if first <= last && !self.fold => ranges.push((first, last)),
                Some(last) if first <= last && last as u32 - first as u32 <= LONGEST_FOLDED => {
                    ranges.extend(range_in_both_cases(first, last, self.letters));
                }
                _ => return Err("an odd range"),
            }
        }
    }

    /// A character between brackets, or a shorthand that is added to the set.
    fn member(&mut self, c: char, ranges: &mut Vec<(char, char)>) -> Result<Option<char>, &'static str> {
        if c != '\\' {
            return Ok(Some(c));
        }
        let c = self.next().ok_or("a backslash at the end")?;
        if let Some(members) = self.shorthand(c)? {
            ranges.extend(members);
            if self.peek() == Some('-') && self.pattern.get(self.at + 1) != Some(&']') {
                return Err("an odd range");
            }
            return Ok(None);
        }
        match c {
            't' => Ok(Some('\t')),
            'n' => Ok(Some('\n')),
            'r' => Ok(Some('\r')),
            c if !c.is_alphanumeric() => Ok(Some(c)),
            _ => Err("an escape between brackets"),
        }
    }

    /// `[:alpha:]`, behind its first bracket.
    fn named(&mut self, ranges: &mut Vec<(char, char)>) -> Result<(), &'static str> {
        if !self.accept(':') {
            return Err("a collating element");
        }
        let rest: String = self.pattern[self.at..].iter().collect();
        let (name, _) = rest.split_once(":]").ok_or("brackets that do not match")?;
        let members = self.class(name)?;
        self.at += name.chars().count() + 2;
        ranges.extend(members);
        if self.peek() == Some('-') && self.pattern.get(self.at + 1) != Some(&']') {
            return Err("an odd range");
        }
        Ok(())
    }
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
            Node::Group(_, node) | Node::Repeat { node, .. } => 1 + node.size(),
            Node::Empty | Node::Set(_) | Node::Start | Node::End | Node::Boundary(_) => 1,
        }
    }
}

fn has_anchor(node: &Node) -> bool {
    match node {
        Node::Start | Node::End | Node::Boundary(_) => true,
        Node::Sequence(nodes) | Node::Either(nodes) => nodes.iter().any(has_anchor),
        Node::Repeat { node, .. } | Node::Group(_, node) => has_anchor(node),
        Node::Empty | Node::Set(_) => false,
    }
}
