//! Advanced regular expressions read into a tree (regcomp.c, regc_lex.c). What is not certain is an error that names it.

use super::look::Look;
use super::node::{Node, Place};
use super::options::Options;
use super::set::{Set, both_cases, shorthand};
use super::taste::Taste;
use crate::functions::letters::Letters;

pub(super) struct Parsed {
    pub node: Node,
    /// The options in the pattern may say otherwise than what it was read with.
    pub fold: bool,
    /// The characters of words, where ends of words are asked for.
    pub word: Option<Set>,
    /// By number: one within another has the smaller one.
    pub looks: Vec<Look>,
    pub has_classes: bool,
    pub has_lazy: bool,
    pub has_backs: bool,
    /// How many parentheses capture.
    pub groups: usize,
}

pub(super) struct Parser<'l> {
    pub pattern: Vec<char>,
    pub at: usize,
    pub letters: &'l Letters,
    pub options: Options,
    depth: usize,
    /// How many looks this is within.
    looking: usize,
    looks: Vec<Look>,
    word: Option<Set>,
    has_classes: bool,
    has_lazy: bool,
    /// By number less one: parentheses that capture, as far as they have been closed.
    groups: Vec<Option<Node>>,
    /// Nodes of back references together.
    backs: usize,
}

/// Nodes that back references repeat.
const MOST_REPEATED: usize = 1_000;
/// Parentheses within parentheses.
const DEEPEST: usize = 50;
/// `DUPMAX` of regguts.h.
const MOST_REPETITIONS: u32 = 255;

pub(super) fn parse(pattern: &str, options: Options, letters: &Letters) -> Result<Parsed, &'static str> {
    let pattern: Vec<char> = pattern.chars().collect();
    let (options, at) = options.at_begin(&pattern)?;
    if options.fold && !pattern.iter().all(|c| letters.knows(*c)) {
        return Err("letters of unknown case");
    }
    // What is white space is the collation's.
    if options.expanded && !pattern.iter().all(char::is_ascii) {
        return Err("an expanded pattern that is not in ASCII");
    }
    let mut parser = Parser {
        pattern,
        at,
        letters,
        options,
        depth: 0,
        looking: 0,
        looks: Vec::new(),
        word: None,
        has_classes: false,
        has_lazy: false,
        groups: Vec::new(),
        backs: 0,
    };
    let node = if options.literal { parser.literal() } else { parser.alternatives()? };
    if parser.at < parser.pattern.len() {
        return Err("parentheses that do not match");
    }
    let Parser { word, looks, has_classes, has_lazy, groups, backs, .. } = parser;
    let (has_backs, groups) = (backs > 0, groups.len());
    Ok(Parsed { node, fold: options.fold, word, looks, has_classes, has_lazy, has_backs, groups })
}

impl Parser<'_> {
    pub fn peek(&self) -> Option<char> {
        self.pattern.get(self.at).copied()
    }

    pub fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += usize::from(c.is_some());
        c
    }

    pub fn accept(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    /// Passes over what does not count between the parts of a pattern: comments, white space of an expanded one.
    fn skip(&mut self) {
        loop {
            match &self.pattern[self.at..] {
                ['(', '?', '#', rest @ ..] => {
                    let length = rest.iter().take_while(|c| **c != ')').count();
                    self.at = (self.at + length + 4).min(self.pattern.len());
                }
                [' ' | '\t'..='\r', ..] if self.options.expanded => self.at += 1,
                ['#', rest @ ..] if self.options.expanded => {
                    self.at += 1 + rest.iter().take_while(|c| **c != '\n').count();
                }
                _ => return,
            }
        }
    }

    fn literal(&mut self) -> Node {
        let mut characters = Vec::new();
        while let Some(c) = self.next() {
            characters.push(self.one(c));
        }
        Node::Sequence(characters)
    }

    fn alternatives(&mut self) -> Result<Node, &'static str> {
        let mut branches = vec![self.branch()?];
        // A branch has passed over all that does not count.
        while self.accept('|') {
            branches.push(self.branch()?);
        }
        Ok(if branches.len() == 1 { branches.remove(0) } else { Node::Either(branches) })
    }

    fn branch(&mut self) -> Result<Node, &'static str> {
        let mut parts = Vec::new();
        self.skip();
        while !matches!(self.peek(), None | Some('|' | ')')) {
            let atom = self.atom()?;
            self.skip();
            parts.push(self.quantified(atom)?);
            self.skip();
        }
        Ok(match parts.len() {
            0 => Node::Empty,
            1 => parts.remove(0),
            _ => Node::Sequence(parts),
        })
    }

    fn atom(&mut self) -> Result<Node, &'static str> {
        if self.is_at_bounds() {
            return Err("a quantifier of nothing");
        }
        match self.next() {
            Some('(') => self.group(),
            Some('[') => self.bracket().map(Node::Set),
            Some('.') if self.options.newline_stops => Ok(Node::Set(Set::of(vec![('\n', '\n')], true))),
            Some('.') => Ok(Node::Set(Set::any())),
            Some('^') if self.options.newline_anchors => Ok(Node::At(Place::LineStart)),
            Some('$') if self.options.newline_anchors => Ok(Node::At(Place::LineEnd)),
            Some('^') => Ok(Node::At(Place::TextStart)),
            Some('$') => Ok(Node::At(Place::TextEnd)),
            Some('\\') => self.escape(),
            Some('*' | '+' | '?') => Err("a quantifier of nothing"),
            Some(c) => Ok(self.one(c)),
            None => Err("an end where something must follow"),
        }
    }

    fn one(&self, c: char) -> Node {
        Node::Set(Set::of(if self.options.fold { both_cases(c, self.letters) } else { vec![(c, c)] }, false))
    }

    /// Members of a class. Without regard to case, letters of one case are letters.
    pub fn class(&mut self, name: &str) -> Result<Vec<(char, char)>, &'static str> {
        self.has_classes = true;
        let name = if self.options.fold && matches!(name, "upper" | "lower") { "alpha" } else { name };
        self.letters.class(name).map(<[_]>::to_vec).ok_or("an unknown class")
    }

    pub fn shorthand(&mut self, letter: char) -> Result<Option<Vec<(char, char)>>, &'static str> {
        let Some(name) = shorthand(letter) else { return Ok(None) };
        let mut members = self.class(name)?;
        if letter == 'w' {
            members.push(('_', '_'));
        }
        Ok(Some(members))
    }

    fn place_of_word(&mut self, place: Place) -> Result<Node, &'static str> {
        if let Some(members) = self.shorthand('w')? {
            self.word = Some(Set::of(members, false));
        }
        Ok(Node::At(place))
    }

    fn group(&mut self) -> Result<Node, &'static str> {
        let (mut number, mut look) = (None, None);
        if self.accept('?') {
            let is_behind = self.accept('<');
            match self.next() {
                Some(':') if !is_behind => {}
                Some('=') => look = Some((is_behind, false)),
                Some('!') => look = Some((is_behind, true)),
                _ => return Err("options within the pattern"),
            }
        } else if self.looking == 0 {
            // In a look nothing is captured.
            self.groups.push(None);
            number = Some(self.groups.len());
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("parentheses nested too deeply");
        }
        self.looking += usize::from(look.is_some());
        let node = self.alternatives()?;
        self.looking -= usize::from(look.is_some());
        self.depth -= 1;
        if !self.accept(')') {
            return Err("parentheses that do not match");
        }
        if let Some((is_behind, is_negated)) = look {
            self.looks.push(Look { node, is_behind, is_negated });
            return Ok(Node::At(Place::Look(self.looks.len() - 1)));
        }
        Ok(match number {
            Some(number) => {
                self.groups[number - 1] = Some(node.clone());
                Node::Group(number, Box::new(node))
            }
            // Quantified, it is another thing in parentheses than without.
            None if matches!(node, Node::At(_) | Node::Back(..)) => Node::Sequence(vec![node]),
            None => node,
        })
    }

    /// A back reference, behind its digit.
    fn back(&mut self, number: usize) -> Result<Node, &'static str> {
        if self.peek().is_some_and(|c| c.is_ascii_digit()) {
            return Err("a code or back reference of several digits");
        }
        // Looks do not look back.
        let of = self.groups.get(number - 1).filter(|_| self.looking == 0);
        let node = of.and_then(|group| group.as_ref()).ok_or("a back reference to nothing")?.anywhere();
        self.backs += node.size();
        if self.backs > MOST_REPEATED {
            return Err("so large a pattern");
        }
        Ok(Node::Back(number, Box::new(node)))
    }

    fn escape(&mut self) -> Result<Node, &'static str> {
        let c = self.next().ok_or("a backslash at the end")?;
        if let Some(members) = self.shorthand(c.to_ascii_lowercase())? {
            return Ok(Node::Set(Set::of(members, c.is_ascii_uppercase())));
        }
        let c = match c {
            'A' => return Ok(Node::At(Place::TextStart)),
            'Z' => return Ok(Node::At(Place::TextEnd)),
            'm' => return self.place_of_word(Place::WordStart),
            'M' => return self.place_of_word(Place::WordEnd),
            'y' => return self.place_of_word(Place::WordEdge),
            'Y' => return self.place_of_word(Place::NoWordEdge),
            '1'..='9' => return self.back(c as usize - '0' as usize),
            c => self.character(c)?,
        };
        Ok(self.one(c))
    }

    /// A brace that no number follows is a character.
    fn is_at_bounds(&self) -> bool {
        self.peek() == Some('{')
            && self.pattern.get(self.at + 1).is_some_and(|c| c.is_ascii_digit() || self.options.expanded)
    }

    fn quantified(&mut self, atom: Node) -> Result<Node, &'static str> {
        let (least, most) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') if self.is_at_bounds() => (0, None),
            _ => return Ok(atom),
        };
        let is_short = self.next() != Some('{');
        let (least, most, has_taste) = if is_short { (least, most, true) } else { self.bounds()? };
        let taste = if self.accept('?') { Taste::Lazy } else { Taste::Greedy };
        self.has_lazy |= taste == Taste::Lazy;
        if matches!(self.peek(), Some('*' | '+' | '?')) || self.is_at_bounds() {
            return Err("a quantifier of a quantifier");
        }
        if matches!(atom, Node::At(_)) {
            return Err("a quantified place");
        }
        Ok(Node::Repeat { node: Box::new(atom), least, most, taste: has_taste.then_some(taste) })
    }

    /// Behind `{`; the last is whether there is a comma, without which the atom's taste stays.
    fn bounds(&mut self) -> Result<(u32, Option<u32>, bool), &'static str> {
        let least = self.number()?;
        self.skip();
        let has_comma = self.accept(',');
        self.skip();
        let most = match has_comma {
            false => Some(least),
            true if self.peek() == Some('}') => None,
            true => Some(self.number()?),
        };
        self.skip();
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
}
