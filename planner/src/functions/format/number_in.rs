//! A number read from a text by a template (`NUM_numpart_from_char`).

use super::number_template::{Key, Node, Template};
use crate::value::Numeric;

/// Offset of a typmod (`VARHDRSZ`).
const VARHDRSZ: i32 = 4;

/// The state of a reading.
struct Reader<'a> {
    template: &'a Template,
    text: &'a str,
    at: usize,
    sign: Option<char>,
    digits: String,
    has_point: bool,
    /// Digits read before and after the point.
    before: usize,
    after: usize,
}

/// The number, or none where Postgres refuses the text or reads it in another way by version.
pub(super) fn read(template: &Template, text: &str) -> Option<Numeric> {
    // Postgres passes over bytes, not characters.
    if template.exponent || template.roman || template.shift || !text.is_ascii() {
        return None;
    }
    let mut reader =
        Reader { template, text, at: 0, sign: None, digits: String::new(), has_point: false, before: 0, after: 0 };
    for node in &template.nodes {
        if reader.at >= text.len() {
            break;
        }
        match node {
            Node::Text(_) => reader.step(),
            Node::Key(key) => reader.key(*key),
        }
    }
    let digits = reader.digits.strip_suffix('.').unwrap_or(&reader.digits);
    let image = format!("{}{digits}", reader.sign.map_or(String::new(), String::from));
    let (scale, precision) = (reader.after as i32, (template.before + reader.after) as i32);
    Numeric::parse(&image).ok()?.apply_typmod((precision << 16 | scale) + VARHDRSZ).ok()
}

impl Reader<'_> {
    fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn step(&mut self) {
        self.at += self.text[self.at..].chars().next().map_or(0, char::len_utf8);
    }

    fn key(&mut self, key: Key) {
        match key {
            Key::Nine | Key::Zero | Key::Point => {
                self.digit(key);
                // A character that fits nothing is passed over.
                self.step();
            }
            // A comma is passed over only where one is; under FM not at all.
            Key::Comma if !self.template.fill && self.next() == Some(b',') => self.step(),
            Key::Ordinal { .. } if !self.template.has_point => self.pass(2),
            Key::Minus if self.next() == Some(b'-') => self.set_sign('-'),
            Key::Plus if self.next() == Some(b'+') => self.set_sign('+'),
            Key::Sign if self.next() == Some(b'-') => self.set_sign('-'),
            Key::Sign if self.next() == Some(b'+') => self.set_sign('+'),
            Key::Minus | Key::Plus | Key::Sign => self.pass(1),
            _ => {}
        }
    }

    fn set_sign(&mut self, sign: char) {
        self.sign = Some(sign);
        self.at += 1;
    }

    /// Passes over characters that cannot be part of a number.
    fn pass(&mut self, count: usize) {
        for _ in 0..count {
            if self.next().is_some_and(|c| b"0123456789.,+-".contains(&c)) {
                break;
            }
            self.step();
        }
    }

    fn digit(&mut self, key: Key) {
        if self.next() == Some(b' ') {
            self.at += 1;
        }
        let is_first = self.before + self.after == 0;
        if self.sign.is_none() && key != Key::Point && is_first {
            match self.next() {
                Some(b'-') => self.set_sign('-'),
                Some(b'<') if self.template.bracket => self.set_sign('-'),
                Some(b'+') => self.set_sign('+'),
                _ => {}
            }
        }
        let Some(c) = self.next() else { return };
        let mut is_read = false;
        if c.is_ascii_digit() {
            if self.has_point && self.after == self.template.after {
                return;
            }
            self.digits.push(char::from(c));
            if self.has_point {
                self.after += 1;
            } else {
                self.before += 1;
            }
            is_read = true;
        } else if self.template.has_point && !self.has_point && c == b'.' {
            self.digits.push('.');
            self.has_point = true;
            is_read = true;
        }
        let trails = self.sign.is_none() && self.before + self.after > 0 && !is_read;
        if trails && (self.template.plus || self.template.minus) && (c == b'-' || c == b'+') {
            self.sign = Some(char::from(c));
        }
    }
}
