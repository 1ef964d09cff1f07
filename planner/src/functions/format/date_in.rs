//! Fields of a date and time read from a text by a template (`DCH_from_char`).
//!
//! `None` is a text that does not fit (Postgres says how), or a field that servers of different versions read differently.

use super::date_template::{Field, FieldNode, Node, is_separator, is_space};

/// What was read. Zero is unset, as it is in Postgres.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    /// ISO weeks (true) or months and days; a template cannot have both.
    pub iso: Option<bool>,
    pub twelve_hours: bool,
    pub hour: i32,
    pub afternoon: i32,
    pub minute: i32,
    pub second: i32,
    pub seconds_of_day: i32,
    /// From 1, Sunday.
    pub weekday: i32,
    pub day: i32,
    pub day_of_year: i32,
    pub month: i32,
    pub milliseconds: i32,
    pub year: i32,
    /// Digits of the year's field.
    pub year_digits: usize,
    pub before_christ: i32,
    pub week: i32,
    pub week_of_month: i32,
    pub century: i32,
    pub julian: i32,
    pub microseconds: i32,
    /// Digits of `FF1` to `FF6`.
    pub precision: u32,
}

/// The rest of the text, and how the reading goes.
struct Reader<'a> {
    rest: &'a str,
    /// FX: nothing is skipped.
    exact: bool,
    /// Blanks skipped beyond those of the template.
    skipped: i64,
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
/// In the order in which they are tried.
const ROMAN: [&str; 12] = ["xii", "xi", "x", "ix", "viii", "vii", "vi", "v", "iv", "iii", "ii", "i"];

/// Reads the text as far as the template goes; what is left over is not looked at.
pub(super) fn read(template: &[Node], text: &str) -> Option<Fields> {
    let mut fields = Fields::default();
    let mut reader = Reader { rest: text, exact: false, skipped: 0 };
    for (at, node) in template.iter().enumerate() {
        if reader.rest.is_empty() {
            break;
        }
        let is_exact = matches!(node, Node::Field(FieldNode { field: Field::Exact, .. }));
        if !reader.exact && !is_exact && (at == 0 || matches!(node, Node::Field(_))) {
            reader.skip_blanks();
        }
        match node {
            Node::Separator(_) | Node::Space(_) => reader.separator(),
            Node::Text(_) if !reader.exact && reader.skipped > 0 => reader.skipped -= 1,
            Node::Text(_) => reader.step(),
            Node::Field(node) => {
                set_convention(&mut fields, node.field)?;
                let next = template.get(at + 1);
                reader.field(node, next, &mut fields)?;
                if !reader.exact {
                    reader.skipped = 0;
                    reader.skip_blanks();
                }
            }
        }
    }
    Some(fields)
}

/// `from_char_set_mode`.
fn set_convention(fields: &mut Fields, field: Field) -> Option<()> {
    let iso = match field {
        Field::IsoDayOfYear | Field::IsoDay | Field::IsoWeek | Field::IsoYear(_) => true,
        Field::DayOfYear
        | Field::DayOfMonth
        | Field::DayOfWeek
        | Field::Month
        | Field::MonthName(_)
        | Field::ShortMonth(_)
        | Field::Roman { .. }
        | Field::Week
        | Field::WeekOfMonth
        | Field::YearWithComma
        | Field::Year(_) => false,
        _ => return Some(()),
    };
    (*fields.iso.get_or_insert(iso) == iso).then_some(())
}

/// Sets a field that must not have had another value (`from_char_set_int`).
fn set(field: &mut i32, value: i32) -> Option<()> {
    (*field == 0 || *field == value).then(|| *field = value)
}

/// `adjust_partial_year_to_2020`.
fn full_year(year: i32) -> i32 {
    match year {
        ..70 => year + 2000,
        70..100 => year + 1900,
        100..520 => year + 2000,
        520..1000 => year + 1000,
        _ => year,
    }
}

/// Whether what follows this field in the template cannot be a digit (`is_next_separator`).
fn ends_at_separator(node: &FieldNode, next: Option<&Node>) -> bool {
    if node.ordinal.is_some() {
        return true;
    }
    match next {
        None => true,
        Some(Node::Field(next)) => !has_digits(next.field),
        Some(Node::Text(c) | Node::Separator(c) | Node::Space(c)) => !c.is_ascii_digit(),
    }
}

fn has_digits(field: Field) -> bool {
    !matches!(
        field,
        Field::HalfDay { .. }
            | Field::Era { .. }
            | Field::Day(_)
            | Field::ShortDay(_)
            | Field::Exact
            | Field::MonthName(_)
            | Field::ShortMonth(_)
            | Field::Offset
            | Field::Roman { .. }
            | Field::Zone { .. }
            | Field::ZoneHour
    )
}

impl Reader<'_> {
    fn skip_blanks(&mut self) {
        let rest = self.rest.trim_start_matches(is_space);
        self.skipped += (self.rest.len() - rest.len()) as i64;
        self.rest = rest;
    }

    fn step(&mut self) {
        let mut characters = self.rest.chars();
        characters.next();
        self.rest = characters.as_str();
    }

    fn separator(&mut self) {
        if self.exact {
            return self.step();
        }
        self.skipped -= 1;
        if self.rest.starts_with(|c| is_space(c) || is_separator(c)) {
            self.step();
            self.skipped += 1;
        }
    }

    /// An integer of that many characters, or as long as it is where something else must follow. With it come the
    /// characters it took, blanks before it among them (`from_char_parse_int_len`).
    fn integer(&mut self, width: usize, node: &FieldNode, next: Option<&Node>) -> Option<(i32, usize)> {
        let before = self.rest;
        let text = before.trim_start_matches(is_space);
        let open = node.fill || ends_at_separator(node, next);
        let text = match open {
            true => text,
            // A character that is cut in the middle is not a digit.
            false => text.get(..width).or_else(|| (text.len() >= width).then_some(""))?,
        };
        let number = text.trim_start_matches(is_space);
        let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
        let length = digits.bytes().take_while(u8::is_ascii_digit).count();
        if length == 0 {
            return None;
        }
        let end = text.len() - digits.len() + length;
        if !open && end < width {
            return None;
        }
        let value = number[..number.len() - digits.len() + length].trim_start_matches('+').parse().ok()?;
        let taken = before.len() - before.trim_start_matches(is_space).len() + end;
        self.rest = &before[taken..];
        Some((value, taken))
    }

    /// The index of the word that the text begins with, in any case.
    fn word<'w>(&mut self, words: impl Iterator<Item = &'w str>) -> Option<i32> {
        for (at, word) in words.enumerate() {
            if self.rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)) {
                self.rest = &self.rest[word.len()..];
                return Some(at as i32);
            }
        }
        None
    }

    fn field(&mut self, node: &FieldNode, next: Option<&Node>, fields: &mut Fields) -> Option<()> {
        if node.localized
            && matches!(node.field, Field::Day(_) | Field::ShortDay(_) | Field::MonthName(_) | Field::ShortMonth(_))
        {
            return None;
        }
        match node.field {
            Field::Exact => {
                self.exact = true;
                return Some(());
            }
            Field::HalfDay { points, .. } => {
                let words = if points { ["a.m.", "p.m."] } else { ["am", "pm"] };
                set(&mut fields.afternoon, self.word(words.into_iter())?)?;
                fields.twelve_hours = true;
                return Some(());
            }
            Field::Era { points, .. } => {
                let words = if points { ["a.d.", "b.c."] } else { ["ad", "bc"] };
                return set(&mut fields.before_christ, self.word(words.into_iter())?);
            }
            Field::MonthName(_) => return set(&mut fields.month, self.word(MONTHS.into_iter())? + 1),
            Field::ShortMonth(_) => {
                return set(&mut fields.month, self.word(MONTHS.iter().map(|name| &name[..3]))? + 1);
            }
            Field::Day(_) => return self.weekday(DAYS.into_iter(), fields),
            Field::ShortDay(_) => return self.weekday(DAYS.iter().map(|name| &name[..3]), fields),
            Field::Roman { .. } => return set(&mut fields.month, 12 - self.word(ROMAN.into_iter())?),
            Field::ZoneHour | Field::ZoneMinute | Field::Zone { .. } | Field::Offset | Field::YearWithComma => {
                return None;
            }
            _ => {}
        }
        let width = match node.field {
            Field::Hour12 | Field::Hour24 => 2,
            Field::Milliseconds => 3,
            Field::Microseconds => 6,
            Field::Fraction(digits) => digits as usize,
            Field::IsoDayOfYear => 3,
            Field::IsoDay => 1,
            _ => node.width,
        };
        let (value, taken) = self.integer(width, node, next)?;
        match node.field {
            Field::Hour12 => {
                set(&mut fields.hour, value)?;
                fields.twelve_hours = true;
            }
            Field::Hour24 => set(&mut fields.hour, value)?,
            Field::Minute => set(&mut fields.minute, value)?,
            Field::Second => set(&mut fields.second, value)?,
            Field::Milliseconds => {
                set(&mut fields.milliseconds, value)?;
                let scale = [1, 100, 10].get(taken).copied().unwrap_or(1);
                fields.milliseconds = fields.milliseconds.checked_mul(scale)?;
            }
            Field::Fraction(_) | Field::Microseconds => {
                if let Field::Fraction(digits) = node.field {
                    fields.precision = digits;
                }
                set(&mut fields.microseconds, value)?;
                let scale = [1, 100_000, 10_000, 1_000, 100, 10].get(taken).copied().unwrap_or(1);
                fields.microseconds = fields.microseconds.checked_mul(scale)?;
            }
            Field::SecondsOfDay => set(&mut fields.seconds_of_day, value)?,
            Field::Month => set(&mut fields.month, value)?,
            Field::DayOfYear | Field::IsoDayOfYear => set(&mut fields.day_of_year, value)?,
            Field::DayOfMonth => set(&mut fields.day, value)?,
            Field::DayOfWeek => set(&mut fields.weekday, value)?,
            Field::IsoDay => {
                set(&mut fields.weekday, value)?;
                fields.weekday = if value + 1 > 7 { 1 } else { value + 1 };
            }
            Field::Week | Field::IsoWeek => set(&mut fields.week, value)?,
            Field::WeekOfMonth => set(&mut fields.week_of_month, value)?,
            Field::Century => set(&mut fields.century, value)?,
            Field::Julian => set(&mut fields.julian, value)?,
            Field::Year(digits) | Field::IsoYear(digits) => {
                set(&mut fields.year, value)?;
                if digits < 4 && taken < 4 {
                    fields.year = full_year(fields.year);
                }
                fields.year_digits = digits;
            }
            // The quarter is read and forgotten.
            _ => {}
        }
        if node.ordinal.is_some() {
            self.step();
            self.step();
        }
        Some(())
    }

    fn weekday<'w>(&mut self, words: impl Iterator<Item = &'w str>, fields: &mut Fields) -> Option<()> {
        let day = self.word(words)?;
        set(&mut fields.weekday, day)?;
        fields.weekday += 1;
        Some(())
    }
}
