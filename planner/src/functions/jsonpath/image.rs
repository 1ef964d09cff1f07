//! A jsonpath as it lies in a stored tree (`flattenJsonPathParseItem` of jsonpath.c): of each item its type, how far behind its
//! begin the one lies that follows it, and what belongs to it, its own items behind it.

use super::tree::{Arithmetic, Chain, Comparison, Condition, Conversion, Method, Path, Step, Subscript};
use crate::render::json::encode_json_string;
use crate::value::datum::{fixed, numeric, varlena};

/// Of the header, beside the version.
const LAX: u32 = 0x8000_0000;
const VERSION: u32 = 1;
/// `JSP_REGEX_WSPACE`, which Postgres refuses, and what is not known.
const UNKNOWN_FLAGS: u32 = !0b10111;
/// Items within items, and items of one path.
const DEEPEST: usize = 64;
const MOST: usize = 1_000;

/// Why a path is not read.
type Refused = &'static str;

const MALFORMED: Refused = "of an unknown form";

/// The path of these bytes, which lie behind a datum's length.
pub(super) fn read(bytes: &[u8]) -> Result<Path, Refused> {
    let (header, items) = bytes.split_at_checked(4).ok_or(MALFORMED)?;
    let header = u32::from_le_bytes(fixed(header).map_err(|_| MALFORMED)?);
    if header & !LAX != VERSION {
        return Err("of an unknown version");
    }
    let mut reader = Reader { items, left: MOST };
    Ok(Path { lax: header & LAX != 0, steps: reader.chain(0, 0)? })
}

struct Reader<'b> {
    items: &'b [u8],
    /// So many items may still be read: hostile ones refer to each other.
    left: usize,
}

/// An item's type, and what lies behind it.
struct Item {
    kind: u8,
    /// Where it begins: what it says of places counts from here.
    begin: usize,
    /// Where what belongs to it begins.
    content: usize,
    next: Option<usize>,
}

impl Reader<'_> {
    fn word(&self, at: usize) -> Result<i32, Refused> {
        let bytes = self.items.get(at..).ok_or(MALFORMED)?;
        fixed(bytes).map(i32::from_le_bytes).map_err(|_| MALFORMED)
    }

    fn item(&mut self, begin: usize, depth: usize) -> Result<Item, Refused> {
        self.left = self.left.checked_sub(1).ok_or("of that many items")?;
        if depth > DEEPEST {
            return Err("nested that deeply");
        }
        let kind = *self.items.get(begin).ok_or(MALFORMED)?;
        let at = (begin + 1).next_multiple_of(4);
        let next = self.word(at)?;
        let next = if next == 0 { None } else { Some(behind(begin, next)?) };
        Ok(Item { kind, begin, content: at + 4, next })
    }

    /// The items of a path one after another.
    fn chain(&mut self, begin: usize, depth: usize) -> Result<Chain, Refused> {
        let (mut steps, mut at) = (Vec::new(), Some(begin));
        while let Some(begin) = at {
            let item = self.item(begin, depth)?;
            steps.push(self.step(&item, depth)?);
            at = item.next;
        }
        Ok(steps)
    }

    /// Of a part that is said to lie here.
    fn part(&mut self, item: &Item, at: usize, depth: usize) -> Result<Chain, Refused> {
        let begin = behind(item.begin, self.word(at)?)?;
        self.chain(begin, depth + 1)
    }

    fn parts(&mut self, item: &Item, depth: usize) -> Result<(Chain, Chain), Refused> {
        Ok((self.part(item, item.content, depth)?, self.part(item, item.content + 4, depth)?))
    }

    fn text(&self, at: usize) -> Result<String, Refused> {
        let length = usize::try_from(self.word(at)?).map_err(|_| MALFORMED)?;
        let bytes = self.items.get(at + 4..).and_then(|rest| rest.get(..length)).ok_or(MALFORMED)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| MALFORMED)
    }

    /// `JsonPathItemType` of jsonpath.h.
    fn step(&mut self, item: &Item, depth: usize) -> Result<Step, Refused> {
        if let Some(condition) = self.condition_of(item, depth)? {
            return Ok(Step::Truth(condition));
        }
        let content = item.content;
        Ok(match item.kind {
            0 => Step::Literal("null".into()),
            1 => {
                let mut quoted = Vec::new();
                encode_json_string(self.text(content)?.as_bytes(), &mut quoted);
                Step::Literal(String::from_utf8(quoted).map_err(|_| MALFORMED)?)
            }
            2 => {
                let datum = self.items.get(content..).ok_or(MALFORMED)?;
                let number = varlena(datum).and_then(numeric).map_err(|_| MALFORMED)?;
                if !number.is_finite() {
                    return Err(MALFORMED);
                }
                Step::Literal(number.to_string())
            }
            3 => match self.items.get(content) {
                Some(0) => Step::Literal("false".into()),
                Some(1) => Step::Literal("true".into()),
                _ => return Err(MALFORMED),
            },
            14 => self.arithmetic(Arithmetic::Add, item, depth)?,
            15 => self.arithmetic(Arithmetic::Subtract, item, depth)?,
            16 => self.arithmetic(Arithmetic::Multiply, item, depth)?,
            17 => self.arithmetic(Arithmetic::Divide, item, depth)?,
            18 => self.arithmetic(Arithmetic::Modulo, item, depth)?,
            19 | 20 => Step::Signed { minus: item.kind == 20, of: self.part(item, content, depth)? },
            21 => Step::AnyElement,
            22 => Step::AnyMember,
            23 => Step::Elements(self.subscripts(item, depth)?),
            24 => Step::Anywhere { first: self.word(content)? as u32, last: self.word(content + 4)? as u32 },
            25 => Step::Member(self.text(content)?),
            26 => Step::Current,
            27 => Step::Root,
            28 => return Err("with variables"),
            29 => Step::Filter(self.condition(item, content, depth)?),
            31 => Step::Method(Method::Type),
            32 => Step::Method(Method::Size),
            33 => Step::Method(Method::Abs),
            34 => Step::Method(Method::Floor),
            35 => Step::Method(Method::Ceiling),
            36 => Step::Method(Method::Convert(Conversion::Double)),
            37 => return Err("with .datetime()"),
            38 => return Err("with .keyvalue()"),
            40 => Step::Last,
            43 => Step::Method(Method::Convert(Conversion::Bigint)),
            44 => Step::Method(Method::Convert(Conversion::Boolean)),
            47 => Step::Method(Method::Convert(Conversion::Integer)),
            48 => Step::Method(Method::Convert(Conversion::Number)),
            49 => Step::Method(Method::Convert(Conversion::String)),
            45.. => return Err("with a method that is not known"),
            _ => return Err(MALFORMED),
        })
    }

    fn arithmetic(&mut self, operator: Arithmetic, item: &Item, depth: usize) -> Result<Step, Refused> {
        let (left, right) = self.parts(item, depth)?;
        Ok(Step::Arithmetic(operator, left, right))
    }

    fn subscripts(&mut self, item: &Item, depth: usize) -> Result<Vec<Subscript>, Refused> {
        let count = usize::try_from(self.word(item.content)?).map_err(|_| MALFORMED)?;
        let mut subscripts = Vec::new();
        for at in (0..count).map(|index| item.content + 4 + 8 * index) {
            let from = self.part(item, at, depth)?;
            let to = if self.word(at + 4)? == 0 { None } else { Some(self.part(item, at + 4, depth)?) };
            subscripts.push(Subscript { from, to });
        }
        Ok(subscripts)
    }

    /// A condition that is said to lie here: by its own, without accessors.
    fn condition(&mut self, of: &Item, at: usize, depth: usize) -> Result<Condition, Refused> {
        let begin = behind(of.begin, self.word(at)?)?;
        let item = self.item(begin, depth + 1)?;
        match self.condition_of(&item, depth + 1)? {
            Some(condition) if item.next.is_none() => Ok(condition),
            _ => Err(MALFORMED),
        }
    }

    /// None where the item is no condition.
    fn condition_of(&mut self, item: &Item, depth: usize) -> Result<Option<Condition>, Refused> {
        let content = item.content;
        let comparison = match item.kind {
            8 => Some(Comparison::Equal),
            9 => Some(Comparison::NotEqual),
            10 => Some(Comparison::Less),
            11 => Some(Comparison::Greater),
            12 => Some(Comparison::LessOrEqual),
            13 => Some(Comparison::GreaterOrEqual),
            _ => None,
        };
        if let Some(comparison) = comparison {
            let (left, right) = self.parts(item, depth)?;
            return Ok(Some(Condition::Compare(comparison, left, right)));
        }
        Ok(Some(match item.kind {
            4 | 5 => {
                let both = Box::new([self.condition(item, content, depth)?, self.condition(item, content + 4, depth)?]);
                if item.kind == 4 { Condition::Both(both) } else { Condition::Either(both) }
            }
            6 => Condition::Not(Box::new(self.condition(item, content, depth)?)),
            7 => Condition::IsUnknown(Box::new(self.condition(item, content, depth)?)),
            30 => Condition::Exists(self.part(item, content, depth)?),
            41 => {
                let (whole, begin) = self.parts(item, depth)?;
                Condition::StartsWith(whole, begin)
            }
            42 => {
                let flags = self.word(content)? as u32;
                if flags & UNKNOWN_FLAGS != 0 {
                    return Err("with an unknown flag of a pattern");
                }
                let of = self.part(item, content + 4, depth)?;
                Condition::LikeRegex { of, pattern: self.text(content + 8)?, flags }
            }
            _ => return Ok(None),
        }))
    }
}

/// So far behind the begin of an item; what belongs to it lies nowhere else.
fn behind(begin: usize, distance: i32) -> Result<usize, Refused> {
    match usize::try_from(distance) {
        Ok(distance) if distance > 0 => Ok(begin + distance),
        _ => Err(MALFORMED),
    }
}
