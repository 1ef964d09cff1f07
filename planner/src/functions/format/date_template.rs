//! Templates of dates and times: fields with their modifiers, and the characters between them (`parse_format`).

/// A field of a template, by its longest spelling. Cases that print alike are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// AM and PM, with points or without, in upper or lower case.
    HalfDay {
        points: bool,
        upper: bool,
    },
    /// AD and BC.
    Era {
        points: bool,
        upper: bool,
    },
    Century,
    Day(Case),
    ShortDay(Case),
    DayOfYear,
    DayOfMonth,
    DayOfWeek,
    /// `FF1` to `FF6`.
    Fraction(u32),
    Exact,
    Hour24,
    /// `HH12` and `HH`.
    Hour12,
    IsoDayOfYear,
    IsoDay,
    IsoWeek,
    /// `IYYY` to `I`, by the number of digits.
    IsoYear(usize),
    Julian,
    Minute,
    Month,
    MonthName(Case),
    ShortMonth(Case),
    Milliseconds,
    Offset,
    Quarter,
    Roman {
        upper: bool,
    },
    /// `SSSSS` and `SSSS`.
    SecondsOfDay,
    Second,
    ZoneHour,
    ZoneMinute,
    Zone {
        upper: bool,
    },
    Microseconds,
    Week,
    WeekOfMonth,
    YearWithComma,
    /// Lower case `of`, `tzh`, `tzm`: keywords from 15 on.
    ByVersion,
    /// `YYYY` to `Y`, by the number of digits.
    Year(usize),
}

/// How a name is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Upper,
    Capital,
    Lower,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Field(FieldNode),
    /// A printable character of ASCII that is neither letter nor digit.
    Separator(char),
    Space(char),
    /// Any other, and any in double quotes.
    Text(char),
}

/// A field with what stands before and after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FieldNode {
    pub field: Field,
    /// Characters of the keyword: those that its number has where it is of fixed width.
    pub width: usize,
    /// FM: without padding.
    pub fill: bool,
    /// TM: in the words of `lc_time`.
    pub localized: bool,
    /// TH (upper case) or th.
    pub ordinal: Option<bool>,
}

use Case::{Capital, Lower, Upper};
use Field::*;

/// Keywords in the order in which they are tried: of those with one beginning, the longer is first.
const KEYWORDS: &[(&str, Field)] = &[
    ("A.D.", Era { points: true, upper: true }),
    ("A.M.", HalfDay { points: true, upper: true }),
    ("AD", Era { points: false, upper: true }),
    ("AM", HalfDay { points: false, upper: true }),
    ("B.C.", Era { points: true, upper: true }),
    ("BC", Era { points: false, upper: true }),
    ("CC", Century),
    ("DAY", Day(Upper)),
    ("DDD", DayOfYear),
    ("DD", DayOfMonth),
    ("DY", ShortDay(Upper)),
    ("Day", Day(Capital)),
    ("Dy", ShortDay(Capital)),
    ("D", DayOfWeek),
    ("FF1", Fraction(1)),
    ("FF2", Fraction(2)),
    ("FF3", Fraction(3)),
    ("FF4", Fraction(4)),
    ("FF5", Fraction(5)),
    ("FF6", Fraction(6)),
    ("FX", Exact),
    ("HH24", Hour24),
    ("HH12", Hour12),
    ("HH", Hour12),
    ("IDDD", IsoDayOfYear),
    ("ID", IsoDay),
    ("IW", IsoWeek),
    ("IYYY", IsoYear(4)),
    ("IYY", IsoYear(3)),
    ("IY", IsoYear(2)),
    ("I", IsoYear(1)),
    ("J", Julian),
    ("MI", Minute),
    ("MM", Month),
    ("MONTH", MonthName(Upper)),
    ("MON", ShortMonth(Upper)),
    ("MS", Milliseconds),
    ("Month", MonthName(Capital)),
    ("Mon", ShortMonth(Capital)),
    ("OF", Offset),
    ("P.M.", HalfDay { points: true, upper: true }),
    ("PM", HalfDay { points: false, upper: true }),
    ("Q", Quarter),
    ("RM", Roman { upper: true }),
    ("SSSSS", SecondsOfDay),
    ("SSSS", SecondsOfDay),
    ("SS", Second),
    ("TZH", ZoneHour),
    ("TZM", ZoneMinute),
    ("TZ", Zone { upper: true }),
    ("US", Microseconds),
    ("WW", Week),
    ("W", WeekOfMonth),
    ("Y,YYY", YearWithComma),
    ("YYYY", Year(4)),
    ("YYY", Year(3)),
    ("YY", Year(2)),
    ("Y", Year(1)),
    ("a.d.", Era { points: true, upper: false }),
    ("a.m.", HalfDay { points: true, upper: false }),
    ("ad", Era { points: false, upper: false }),
    ("am", HalfDay { points: false, upper: false }),
    ("b.c.", Era { points: true, upper: false }),
    ("bc", Era { points: false, upper: false }),
    ("cc", Century),
    ("day", Day(Lower)),
    ("ddd", DayOfYear),
    ("dd", DayOfMonth),
    ("dy", ShortDay(Lower)),
    ("d", DayOfWeek),
    ("ff1", Fraction(1)),
    ("ff2", Fraction(2)),
    ("ff3", Fraction(3)),
    ("ff4", Fraction(4)),
    ("ff5", Fraction(5)),
    ("ff6", Fraction(6)),
    ("fx", Exact),
    ("hh24", Hour24),
    ("hh12", Hour12),
    ("hh", Hour12),
    ("iddd", IsoDayOfYear),
    ("id", IsoDay),
    ("iw", IsoWeek),
    ("iyyy", IsoYear(4)),
    ("iyy", IsoYear(3)),
    ("iy", IsoYear(2)),
    ("i", IsoYear(1)),
    ("j", Julian),
    ("mi", Minute),
    ("mm", Month),
    ("month", MonthName(Lower)),
    ("mon", ShortMonth(Lower)),
    ("ms", Milliseconds),
    ("of", ByVersion),
    ("p.m.", HalfDay { points: true, upper: false }),
    ("pm", HalfDay { points: false, upper: false }),
    ("q", Quarter),
    ("rm", Roman { upper: false }),
    ("sssss", SecondsOfDay),
    ("ssss", SecondsOfDay),
    ("ss", Second),
    ("tzh", ByVersion),
    ("tzm", ByVersion),
    ("tz", Zone { upper: false }),
    ("us", Microseconds),
    ("ww", Week),
    ("w", WeekOfMonth),
    ("y,yyy", YearWithComma),
    ("yyyy", Year(4)),
    ("yyy", Year(3)),
    ("yy", Year(2)),
    ("y", Year(1)),
];

/// A printable character of ASCII that is neither letter nor digit nor blank.
pub(super) fn is_separator(c: char) -> bool {
    c.is_ascii_graphic() && !c.is_ascii_alphanumeric()
}

/// C's `isspace`.
pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

/// Any text is a template.
pub(super) fn parse(text: &str) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (mut fill, mut localized) = (false, false);
        if let Some(after) = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
            (fill, rest) = (true, after);
        } else if let Some(after) = rest.strip_prefix("TM").or_else(|| rest.strip_prefix("tm")) {
            (localized, rest) = (true, after);
        }
        if let Some((keyword, field)) = KEYWORDS.iter().find(|(keyword, _)| rest.starts_with(keyword)) {
            rest = &rest[keyword.len()..];
            let mut ordinal = None;
            if let Some(after) = rest.strip_prefix("TH") {
                (ordinal, rest) = (Some(true), after);
            } else if let Some(after) = rest.strip_prefix("th") {
                (ordinal, rest) = (Some(false), after);
            } else if let Some(after) = rest.strip_prefix("SP") {
                rest = after;
            }
            let node = FieldNode { field: *field, width: keyword.len(), fill, localized, ordinal };
            nodes.push(Node::Field(node));
            continue;
        }
        let mut characters = rest.chars();
        match characters.next() {
            None => {}
            Some('"') => rest = quoted(characters.as_str(), |c| nodes.push(Node::Text(c))),
            // Outside quotes a backslash is special in front of one only.
            Some('\\') if characters.as_str().starts_with('"') => {
                nodes.push(Node::Separator('"'));
                rest = &characters.as_str()[1..];
            }
            Some(c) => {
                nodes.push(if is_separator(c) {
                    Node::Separator(c)
                } else if is_space(c) {
                    Node::Space(c)
                } else {
                    Node::Text(c)
                });
                rest = characters.as_str();
            }
        }
    }
    nodes
}

/// The characters up to the closing quote, and what is behind it. A backslash quotes the next one.
pub(super) fn quoted(text: &str, mut add: impl FnMut(char)) -> &str {
    let mut characters = text.chars();
    while let Some(mut c) = characters.next() {
        match c {
            '"' => break,
            '\\' if !characters.as_str().is_empty() => c = characters.next().unwrap_or(c),
            _ => {}
        }
        add(c);
    }
    characters.as_str()
}
