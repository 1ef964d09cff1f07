//! Templates of numbers: digits, signs and what stands between them, and what they say about the number as a whole
//! (`parse_format`, `NUMDesc_prepare`).

use super::date_template::quoted;
use crate::value::EvalError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Comma,
    Point,
    Zero,
    Nine,
    Blank,
    Exponent,
    Fill,
    Minus,
    Plus,
    Bracket,
    Roman {
        upper: bool,
    },
    Sign,
    Ordinal {
        upper: bool,
    },
    Shift,
    /// `SP` and `C` are keywords that do nothing.
    Nothing,
    /// L, D, G and S: `lc_monetary` and `lc_numeric` say how they are written.
    Localized,
}

/// In the order in which they are tried.
const KEYWORDS: &[(&str, Key)] = &[
    (",", Key::Comma),
    (".", Key::Point),
    ("0", Key::Zero),
    ("9", Key::Nine),
    ("B", Key::Blank),
    ("C", Key::Nothing),
    ("D", Key::Localized),
    ("EEEE", Key::Exponent),
    ("FM", Key::Fill),
    ("G", Key::Localized),
    ("L", Key::Localized),
    ("MI", Key::Minus),
    ("PL", Key::Plus),
    ("PR", Key::Bracket),
    ("RN", Key::Roman { upper: true }),
    ("SG", Key::Sign),
    ("SP", Key::Nothing),
    ("S", Key::Localized),
    ("TH", Key::Ordinal { upper: true }),
    ("V", Key::Shift),
    ("b", Key::Blank),
    ("c", Key::Nothing),
    ("d", Key::Localized),
    ("eeee", Key::Exponent),
    ("fm", Key::Fill),
    ("g", Key::Localized),
    ("l", Key::Localized),
    ("mi", Key::Minus),
    ("pl", Key::Plus),
    ("pr", Key::Bracket),
    ("rn", Key::Roman { upper: false }),
    ("sg", Key::Sign),
    ("sp", Key::Nothing),
    ("s", Key::Localized),
    ("th", Key::Ordinal { upper: false }),
    ("v", Key::Shift),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Key(Key),
    Text(char),
}

/// A template and what it says about the number.
#[derive(Clone, Debug, Default)]
pub(super) struct Template {
    pub nodes: Vec<Node>,
    /// Digits before and after the point, and those that V shifts in.
    pub before: usize,
    pub after: usize,
    pub shifted: usize,
    /// Places of the first zero before the point and of the last zero, counted in digits.
    pub zero_start: usize,
    pub zero_end: usize,
    pub has_point: bool,
    pub has_zero: bool,
    pub is_blank: bool,
    pub fill: bool,
    pub bracket: bool,
    pub minus: bool,
    pub plus: bool,
    pub roman: bool,
    pub shift: bool,
    pub exponent: bool,
}

/// Digits of a template beyond which its number is left to Postgres.
const MOST_DIGITS: usize = 500;

/// `Err` for what Postgres refuses, and for what it does by locale or not alike in all versions.
pub(super) fn parse(text: &str) -> Result<Template, EvalError> {
    let mut template = Template::default();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some((keyword, key)) = KEYWORDS.iter().find(|(keyword, _)| rest.starts_with(keyword)) {
            rest = &rest[keyword.len()..];
            template.add(*key).map_err(|what| EvalError::unsupported(format!("template {text:?}: {what}")))?;
            continue;
        }
        let mut characters = rest.chars();
        match characters.next() {
            None => {}
            Some('"') => rest = quoted(characters.as_str(), |c| template.nodes.push(Node::Text(c))),
            Some('\\') if characters.as_str().starts_with('"') => {
                template.nodes.push(Node::Text('"'));
                rest = &characters.as_str()[1..];
            }
            Some(c) => {
                template.nodes.push(Node::Text(c));
                rest = characters.as_str();
            }
        }
    }
    if template.before + template.after + template.shifted > MOST_DIGITS {
        return Err(EvalError::unsupported("a template of so many digits"));
    }
    Ok(template)
}

impl Template {
    fn add(&mut self, key: Key) -> Result<(), &'static str> {
        if self.exponent {
            return Err("EEEE is not last");
        }
        match key {
            Key::Nine | Key::Zero if self.bracket => return Err("a digit behind PR"),
            Key::Nine if self.shift => self.shifted += 1,
            Key::Nine if self.has_point => self.after += 1,
            Key::Nine => self.before += 1,
            Key::Zero => {
                if !self.has_zero && !self.has_point {
                    self.has_zero = true;
                    self.zero_start = self.before + 1;
                }
                if self.has_point {
                    self.after += 1;
                } else {
                    self.before += 1;
                }
                self.zero_end = self.before + self.after;
            }
            Key::Blank => self.is_blank |= self.before == 0 && self.after == 0 && !self.has_zero,
            Key::Point if self.has_point => return Err("two decimal points"),
            Key::Point if self.shift => return Err("V and a decimal point"),
            Key::Point => self.has_point = true,
            Key::Fill => self.fill = true,
            Key::Minus => self.minus = true,
            Key::Plus => self.plus = true,
            Key::Sign => (self.minus, self.plus) = (true, true),
            Key::Bracket if self.plus || self.minus => return Err("PR beside another sign"),
            Key::Bracket => self.bracket = true,
            Key::Roman { .. } if self.roman => return Err("RN twice"),
            Key::Roman { .. } => self.roman = true,
            Key::Shift if self.has_point => return Err("V and a decimal point"),
            Key::Shift => self.shift = true,
            Key::Exponent => {
                if self.is_blank || self.fill || self.bracket || self.minus || self.plus || self.roman || self.shift {
                    return Err("EEEE beside another form");
                }
                self.exponent = true;
            }
            Key::Localized => return Err("L, D, G and S depend on lc_numeric and lc_monetary"),
            Key::Comma | Key::Ordinal { .. } | Key::Nothing => {}
        }
        // Up to 17 these are taken together, and do nothing useful.
        let other = self.has_point
            || self.has_zero
            || self.is_blank
            || self.bracket
            || self.minus
            || self.plus
            || self.shift
            || self.exponent;
        if self.roman && other {
            return Err("RN beside another form");
        }
        self.nodes.push(Node::Key(key));
        Ok(())
    }
}
