//! Digits laid out by a template (`NUM_processor`, `NUM_numpart_to_char`).

use super::number_template::{Key, Node, Template};
use super::number_text::Digits;
use super::ordinal;
use crate::value::EvalError;

/// Characters of a Roman number's place.
const ROMAN_WIDTH: usize = 15;

/// The state of a layout: a place in the template's digits and one in the number's.
struct Layout<'a> {
    template: &'a Template,
    digits: &'a Digits,
    /// The number's characters, and the next of them.
    number: &'a [u8],
    next: usize,
    /// Places of the template passed so far, and all there are.
    place: usize,
    places: i64,
    sign_written: bool,
    bracket: bool,
    /// Whether a digit stands before this: where not, a comma is a blank.
    inside: bool,
    /// The last character that FM leaves.
    last: Option<usize>,
    zero_start: usize,
    /// Where the text ends: behind the number's end Postgres writes a NUL.
    end: Option<usize>,
    out: String,
}

/// The number by the template.
pub(super) fn write(template: &Template, digits: &Digits) -> Result<String, EvalError> {
    if template.exponent {
        return Ok(digits.text.clone());
    }
    let number = digits.text.as_bytes();
    let positive = !digits.negative && !template.roman;
    let (mut bracket, sign_written) = (
        template.bracket,
        match (template.plus, template.minus) {
            (true, false) => false,
            (true, true) | (false, true) => true,
            (false, false) => positive && template.fill,
        },
    );
    if !template.plus && !template.minus && template.fill && !digits.negative {
        bracket = false;
    }
    let mut places = (digits.before + digits.after) as i64 - 1;
    if !sign_written && digits.spaces == 0 {
        places += 1;
    }
    let mut layout = Layout {
        template,
        digits,
        number,
        next: 0,
        place: 0,
        places,
        sign_written,
        bracket,
        inside: false,
        last: last_relevant(template, digits),
        zero_start: template.zero_start.saturating_sub(1),
        end: None,
        out: String::new(),
    };
    for node in &template.nodes {
        match node {
            Node::Text(c) => layout.out.push(*c),
            Node::Key(key) => layout.key(*key)?,
        }
    }
    if let Some(end) = layout.end {
        layout.out.truncate(end);
    }
    Ok(layout.out)
}

/// Under FM, the last decimal that is not zero, or that a 0 of the template asks for.
fn last_relevant(template: &Template, digits: &Digits) -> Option<usize> {
    if !template.fill || !template.has_point {
        return None;
    }
    let number = digits.text.as_bytes();
    let point = number.iter().position(|c| *c == b'.')?;
    let mut last = point + number[point..].iter().rposition(|c| *c != b'0')?;
    if template.zero_end > digits.spaces {
        last = last.max((template.zero_end - digits.spaces).min(number.len() - 1));
    }
    Some(last)
}

impl Layout<'_> {
    fn key(&mut self, key: Key) -> Result<(), EvalError> {
        let (negative, fill) = (self.digits.negative, self.template.fill);
        match key {
            Key::Nine | Key::Zero | Key::Point if self.template.roman => {}
            Key::Nine | Key::Zero | Key::Point => self.digit(key),
            Key::Comma if self.inside => self.out.push(','),
            Key::Comma => self.blank(),
            Key::Minus if negative => self.out.push('-'),
            Key::Plus if !negative => self.out.push('+'),
            Key::Minus | Key::Plus => self.blank(),
            Key::Sign => self.out.push(if negative { '-' } else { '+' }),
            Key::Roman { upper } => {
                let roman = &self.digits.text;
                let roman = if upper { roman.clone() } else { roman.to_ascii_lowercase() };
                let width = if fill { 0 } else { ROMAN_WIDTH };
                self.out.push_str(&format!("{roman:>width$}"));
            }
            Key::Ordinal { upper } => {
                let none = self.template.roman || self.number.first() == Some(&b'#') || negative;
                if !none && !self.template.has_point {
                    if !self.number.last().is_some_and(u8::is_ascii_digit) {
                        return Err(EvalError::unsupported("TH behind a number that has no digits"));
                    }
                    self.out.push_str(ordinal(self.number, upper));
                }
            }
            Key::Blank | Key::Exponent | Key::Fill | Key::Bracket | Key::Shift | Key::Nothing | Key::Localized => {}
        }
        Ok(())
    }

    /// A blank, which FM leaves out.
    fn blank(&mut self) {
        if !self.template.fill {
            self.out.push(' ');
        }
    }

    fn at_last(&self, c: u8) -> bool {
        self.last.is_some_and(|last| self.number.get(last) == Some(&c))
    }

    /// A zero before the point that the template does not ask for: 0.1 by 9.9 is ' .1'.
    fn is_hidden_zero(&self) -> bool {
        !self.template.has_zero && self.next == 0 && self.number.first() == Some(&b'0') && self.digits.after != 0
    }

    fn digit(&mut self, key: Key) {
        self.inside = false;
        let (template, spaces) = (self.template, self.digits.spaces);
        let begins = self.place >= spaces || (template.has_zero && self.zero_start == self.place);
        if !self.sign_written && begins && (!self.is_hidden_zero() || self.at_last(b'.')) {
            match (self.bracket, self.digits.negative) {
                (true, negative) => self.out.push(if negative { '<' } else { ' ' }),
                (false, true) => self.out.push('-'),
                (false, false) => self.blank(),
            }
            self.sign_written = true;
        }
        if self.place < spaces && (self.zero_start > self.place || !template.has_zero) {
            self.blank();
        } else if template.has_zero && self.place < spaces {
            self.out.push('0');
            self.inside = true;
        } else {
            self.number_character(key);
        }
        let mut end = self.places + i64::from(spaces > 0) + i64::from(template.has_point);
        if self.last == Some(self.next) {
            end = self.place as i64;
        }
        if self.place as i64 + 1 == end && self.sign_written && self.bracket {
            self.out.push(if self.digits.negative { '>' } else { ' ' });
        }
        self.place += 1;
    }

    /// The next character of the number, where the template's place is for one.
    fn number_character(&mut self, key: Key) {
        match self.number.get(self.next).copied() {
            Some(b'.') => {
                if !self.at_last(b'.') || self.template.fill {
                    self.out.push('.');
                }
            }
            _ if self.last.is_some_and(|last| self.next > last) && key != Key::Zero => {}
            _ if self.is_hidden_zero() => {
                if !self.template.fill {
                    self.out.push(' ');
                } else if self.at_last(b'.') {
                    self.out.push('0');
                }
            }
            Some(c) => {
                self.out.push(char::from(c));
                self.inside = true;
            }
            None => self.end = self.end.or(Some(self.out.len())),
        }
        if self.next < self.number.len() {
            self.next += 1;
        }
    }
}
