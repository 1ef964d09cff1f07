//! Patterns of `like_regex` in a jsonpath: XQuery's flags as Postgres reads them (`jspConvertRegexFlags`).

use super::options::Options;
use super::{Pattern, Reading};
use crate::value::EvalError;

const FOLDS: u32 = 0x01;
/// `.` and brackets match newlines.
const DOT_IS_ALL: u32 = 0x02;
const LINES: u32 = 0x04;
const IS_LITERAL: u32 = 0x10;

fn options(flags: u32) -> Options {
    let has = |flag| flags & flag != 0;
    let fold = has(FOLDS);
    match has(IS_LITERAL) {
        true => Options { fold, literal: true, ..Options::default() },
        false => Options { fold, newline_stops: !has(DOT_IS_ALL), newline_anchors: has(LINES), ..Options::default() },
    }
}

/// Whether the pattern is found in the text. `letters`: the number of the default collation's.
pub(in crate::functions) fn matches_xquery(
    text: &str,
    pattern: &str,
    flags: u32,
    letters: i32,
) -> Result<bool, EvalError> {
    match &*Pattern::of(pattern, Reading { options: options(flags), letters }) {
        Ok(pattern) => pattern.is_match(text),
        Err(refused) => Err(refused.clone()),
    }
}
