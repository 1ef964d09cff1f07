//! Templates of `to_char`, `to_date`, `to_timestamp` and `to_number` (formatting.c).
//!
//! A template is parsed once and kept while calls name the same one. What depends on a locale (TM, and L, D, G, S of
//! numbers), and what servers of different versions do differently, is refused by name.

mod date_in;
mod date_out;
mod date_template;
mod number_in;
mod number_out;
mod number_template;
mod number_text;
mod to_char;
mod to_value;

pub(super) use to_char::FUNCTIONS as TO_CHAR;
pub(super) use to_value::FUNCTIONS as TO_VALUE;

use std::cell::RefCell;
use std::rc::Rc;
use std::thread::LocalKey;

/// The template last used by a thread: a plan has few, and calls them row by row.
type Last<T> = LocalKey<RefCell<Option<(String, Rc<T>)>>>;

/// The parsed form of this text, parsed now unless the last call had the same.
fn parsed<T>(last: &'static Last<T>, text: &str, parse: impl FnOnce(&str) -> T) -> Rc<T> {
    last.with_borrow_mut(|last| match last {
        Some((known, template)) if known == text => template.clone(),
        _ => {
            let template = Rc::new(parse(text));
            *last = Some((text.to_owned(), template.clone()));
            template
        }
    })
}

/// `st`, `nd`, `rd` or `th` after a number (`get_th`): teens have `th`.
fn ordinal(digits: &[u8], upper: bool) -> &'static str {
    let teen = digits.len() > 1 && digits[digits.len() - 2] == b'1';
    let place = match digits.last() {
        Some(b'1') if !teen => 0,
        Some(b'2') if !teen => 1,
        Some(b'3') if !teen => 2,
        _ => 3,
    };
    if upper { ["ST", "ND", "RD", "TH"][place] } else { ["st", "nd", "rd", "th"][place] }
}
