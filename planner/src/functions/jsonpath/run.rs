//! The steps of a path over a jsonb (`executeItemOptUnwrapTarget` of jsonpath_exec.c), parts of which are slices of its text.
//!
//! Steps either gather what they find or, asked only whether there is anything, stop at the first; errors behind it are then
//! not met. An error of the path is an error of the call, but within conditions and under `silent`.

use super::tree::{Chain, LEAVES, Path, Step, Subscript};
use crate::functions::jsonb::{Shape, malformed, member, shape};
use crate::value::{EvalError, Numeric};
use std::borrow::Cow;

/// Steps within steps, containers within containers; Postgres has room for many more on its stack.
const DEEPEST: usize = 300;

/// How much of documents is read for one call, in bytes: more than this and so many times the whole is refused, for nobody can
/// stop it meanwhile (`$.**.**.**.**` of a large one).
const MOST_READ: usize = 10_000_000;
const MOST_TIMES: usize = 50;

/// A jsonb as text: a part of the document or of the path, or a scalar that was computed.
pub(super) type Item<'a> = Cow<'a, str>;

pub(super) type Found<'a> = Vec<Item<'a>>;

/// Why there is no result.
#[derive(Debug)]
pub(super) enum Failure {
    /// Of the path over this document: `jperError`.
    Path(EvalError),
    /// Postgres may have an answer.
    Refused(EvalError),
}

impl From<EvalError> for Failure {
    fn from(error: EvalError) -> Failure {
        if error.is_unsupported() { Failure::Refused(error) } else { Failure::Path(error) }
    }
}

#[cold]
pub(super) fn failure(sqlstate: &'static str, message: impl Into<Cow<'static, str>>) -> Failure {
    Failure::Path(EvalError::new(sqlstate, message))
}

pub(super) struct Run<'a> {
    pub lax: bool,
    /// Errors of the path are raised; else they make conditions unknown, or nothing of what is being looked for.
    pub raises: bool,
    /// The number of the letters that patterns are read with.
    pub letters: i32,
    pub current: Item<'a>,
    root: &'a str,
    /// What is not there is no error at the moment.
    forgives: bool,
    /// Elements of the array whose subscripts are being computed.
    innermost: Option<usize>,
    depth: usize,
    /// Bytes that may still be read.
    left: usize,
}

impl<'a> Run<'a> {
    pub fn new(path: &Path, root: &'a str, raises: bool, letters: i32) -> Run<'a> {
        let current = Cow::Borrowed(root);
        let left = MOST_READ.max(root.len().saturating_mul(MOST_TIMES));
        Run { lax: path.lax, raises, letters, current, root, forgives: path.lax, innermost: None, depth: 0, left }
    }

    /// The whole path; true when something was found.
    pub fn execute(&mut self, path: &'a Path, found: Option<&mut Found<'a>>) -> Result<bool, Failure> {
        let root = Cow::Borrowed(self.root);
        match found {
            // There must be no error anywhere.
            None if !self.lax => {
                let mut found = Vec::new();
                self.steps(&path.steps, &root, Some(&mut found), self.lax)?;
                Ok(!found.is_empty())
            }
            found => self.steps(&path.steps, &root, found, self.lax),
        }
    }

    /// The steps over one item. `unwrap`: an array stands for its elements where the step needs something else.
    pub fn steps(
        &mut self,
        steps: &'a [Step],
        json: &Item<'a>,
        found: Option<&mut Found<'a>>,
        unwrap: bool,
    ) -> Result<bool, Failure> {
        if self.depth == DEEPEST {
            return Err(Failure::Refused(EvalError::unsupported("a jsonpath over a jsonb nested that deeply")));
        }
        self.read(json.len())?;
        self.depth += 1;
        let outcome = self.step(steps, json, found, unwrap);
        self.depth -= 1;
        outcome
    }

    fn read(&mut self, bytes: usize) -> Result<(), Failure> {
        match self.left.checked_sub(bytes + 1) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Failure::Refused(EvalError::unsupported("a jsonpath that reads so much"))),
        }
    }

    fn step(
        &mut self,
        steps: &'a [Step],
        json: &Item<'a>,
        mut found: Option<&mut Found<'a>>,
        unwrap: bool,
    ) -> Result<bool, Failure> {
        let Some((step, rest)) = steps.split_first() else { return Err(malformed().into()) };
        // Nothing has to be computed to know that it is there.
        let is_enough = rest.is_empty() && found.is_none();
        let takes_apart = match step {
            Step::Member(_) | Step::AnyMember | Step::Filter(_) => true,
            Step::Method(method) => method.takes_apart(),
            _ => false,
        };
        if unwrap && takes_apart && json.starts_with('[') {
            return self.parts(steps, json, found, (1, 1), false, false);
        }
        match step {
            Step::Literal(_) | Step::Last if is_enough => {
                if matches!(step, Step::Last) {
                    self.innermost.ok_or_else(malformed)?;
                }
                Ok(true)
            }
            Step::Literal(text) => self.go_on(rest, Cow::Borrowed(text), found),
            Step::Last => {
                let last = self.innermost.ok_or_else(malformed)? as i64 - 1;
                self.go_on(rest, Cow::Owned(last.to_string()), found)
            }
            Step::Root => self.go_on(rest, Cow::Borrowed(self.root), found),
            Step::Current => self.go_on(rest, self.current.clone(), found),
            Step::Member(key) => match container(json) {
                Some(text) if text.starts_with('{') => match member(text, key)? {
                    Some(value) => self.go_on(rest, Cow::Borrowed(value), found),
                    None => self.lacks("2203A", || format!("JSON object does not contain key \"{key}\"")),
                },
                _ => self.lacks("2203A", || "jsonpath member accessor can only be applied to an object".into()),
            },
            Step::AnyMember if json.starts_with('{') => self.parts(rest, json, found, (1, 1), false, self.lax),
            Step::AnyMember => {
                self.lacks("2203C", || "jsonpath wildcard member accessor can only be applied to an object".into())
            }
            Step::AnyElement if json.starts_with('[') => self.parts(rest, json, found, (1, 1), false, self.lax),
            Step::AnyElement if self.lax => self.go_on(rest, json.clone(), found),
            Step::AnyElement => {
                self.lacks("22039", || "jsonpath wildcard array accessor can only be applied to an array".into())
            }
            Step::Elements(subscripts) if self.lax || json.starts_with('[') => {
                self.elements(subscripts, rest, json, found)
            }
            Step::Elements(_) => {
                self.lacks("22039", || "jsonpath array accessor can only be applied to an array".into())
            }
            Step::Anywhere { first, last } => {
                let mut is_there = false;
                if *first == 0 {
                    let forgave = std::mem::replace(&mut self.forgives, true);
                    let itself = self.go_on(rest, json.clone(), found.as_deref_mut());
                    self.forgives = forgave;
                    is_there = match itself {
                        // Forgotten over what is in it.
                        Err(Failure::Path(_)) if !self.raises && container(json).is_some() => false,
                        itself => itself?,
                    };
                    if is_there && found.is_none() {
                        return Ok(true);
                    }
                }
                match container(json) {
                    Some(_) => self.parts(rest, json, found, (*first, *last), true, self.lax),
                    None => Ok(is_there),
                }
            }
            Step::Filter(condition) => match self.truth_of(condition, json)? {
                Some(true) => self.go_on(rest, json.clone(), found),
                _ => Ok(false),
            },
            Step::Truth(condition) => {
                let truth = self.truth(condition, json)?;
                if is_enough {
                    return Ok(true);
                }
                let text = truth.map_or("null", |truth| if truth { "true" } else { "false" });
                self.go_on(rest, Cow::Borrowed(text), found)
            }
            Step::Arithmetic(operator, left, right) => {
                let result = self.computed(*operator, left, right, json)?;
                if is_enough { Ok(true) } else { self.go_on(rest, result, found) }
            }
            Step::Signed { minus, of } => self.signed(*minus, of, rest, json, found),
            Step::Method(method) => match self.method(*method, json)? {
                None => Ok(false),
                Some(_) if is_enough => Ok(true),
                Some(result) => self.go_on(rest, result, found),
            },
        }
    }

    /// What follows, over this.
    pub fn go_on(&mut self, rest: &'a [Step], item: Item<'a>, found: Option<&mut Found<'a>>) -> Result<bool, Failure> {
        if !rest.is_empty() {
            return self.steps(rest, &item, found, self.lax);
        }
        if let Some(found) = found {
            found.push(item);
        }
        Ok(true)
    }

    /// There is nothing of the kind, which strict paths do not take.
    pub fn lacks(&self, sqlstate: &'static str, message: impl FnOnce() -> String) -> Result<bool, Failure> {
        if self.forgives { Ok(false) } else { Err(failure(sqlstate, message())) }
    }

    /// The steps over what is in a container, on the levels from the first to the last of `levels` (`executeAnyItem`). None of
    /// them: the parts themselves.
    fn parts(
        &mut self,
        steps: &'a [Step],
        json: &Item<'a>,
        mut found: Option<&mut Found<'a>>,
        levels: (u32, u32),
        forgives: bool,
        unwrap: bool,
    ) -> Result<bool, Failure> {
        let Some(text) = container(json) else { return Err(malformed().into()) };
        let mut walk = Walk { steps, levels, forgives, unwrap };
        self.parts_of(&mut walk, text, 1, &mut found)
    }

    fn parts_of(
        &mut self,
        walk: &mut Walk<'a>,
        text: &'a str,
        level: u32,
        found: &mut Option<&mut Found<'a>>,
    ) -> Result<bool, Failure> {
        let (first, last) = walk.levels;
        if level > last {
            return Ok(false);
        }
        if self.depth + level as usize > DEEPEST {
            return Err(Failure::Refused(EvalError::unsupported("a jsonpath over a jsonb nested that deeply")));
        }
        self.read(text.len())?;
        let mut is_there = false;
        for part in children(text)? {
            let item = Cow::Borrowed(part);
            let is_container = container(&item).is_some();
            if level >= first || ((first, last) == (LEAVES, LEAVES) && !is_container) {
                if walk.steps.is_empty() {
                    match found {
                        Some(found) => found.push(item),
                        None => return Ok(true),
                    }
                } else {
                    let forgave = self.forgives;
                    self.forgives |= walk.forgives;
                    let outcome = self.steps(walk.steps, &item, found.as_deref_mut(), walk.unwrap);
                    self.forgives = forgave;
                    is_there = outcome?;
                    if is_there && found.is_none() {
                        break;
                    }
                }
            }
            if level < last && is_container {
                is_there = self.parts_of(walk, part, level + 1, found)?;
                if is_there && found.is_none() {
                    break;
                }
            }
        }
        Ok(is_there)
    }

    fn elements(
        &mut self,
        subscripts: &'a [Subscript],
        rest: &'a [Step],
        json: &Item<'a>,
        mut found: Option<&mut Found<'a>>,
    ) -> Result<bool, Failure> {
        let array = match container(json) {
            Some(text) if text.starts_with('[') => Some(children(text)?),
            _ => None,
        };
        let size = array.as_ref().map_or(1, Vec::len);
        let outer = self.innermost.replace(size);
        let mut outcome = Ok(false);
        'all: for subscript in subscripts {
            let bounds = self.bounds(subscript, json);
            let (from, to) = match bounds {
                Ok(bounds) => bounds,
                Err(failure) => {
                    outcome = Err(failure);
                    break;
                }
            };
            if !self.forgives && (from < 0 || from > to || to >= size as i64) {
                // Leaving it so, Postgres forgets which array was around this one.
                return Err(failure("22033", "jsonpath array subscript is out of bounds"));
            }
            outcome = Ok(false);
            for index in from.max(0)..=to.min(size as i64 - 1) {
                let element = match &array {
                    Some(elements) => Cow::Borrowed(elements[index as usize]),
                    None => json.clone(),
                };
                if rest.is_empty() && found.is_none() {
                    // As above.
                    return Ok(true);
                }
                outcome = self.go_on(rest, element, found.as_deref_mut());
                match outcome {
                    Err(_) => break 'all,
                    Ok(true) if found.is_none() => break 'all,
                    Ok(_) => {}
                }
            }
        }
        self.innermost = outer;
        outcome
    }

    fn bounds(&mut self, subscript: &'a Subscript, json: &Item<'a>) -> Result<(i64, i64), Failure> {
        let from = self.index(&subscript.from, json)?;
        let to = match &subscript.to {
            Some(to) => self.index(to, json)?,
            None => from,
        };
        Ok((from, to))
    }

    /// `getArrayIndex`: the one number that it is, without its fraction.
    fn index(&mut self, of: &'a Chain, json: &Item<'a>) -> Result<i64, Failure> {
        let found = self.values(of, json, false)?;
        let number = match &found[..] {
            [one] => number(one)?,
            _ => None,
        };
        let Some(number) = number else {
            return Err(failure("22033", "jsonpath array subscript is not a single numeric value"));
        };
        match number.trunc(0).to_i32() {
            Ok(index) => Ok(i64::from(index)),
            Err(_) => Err(failure("22033", "jsonpath array subscript is out of integer range")),
        }
    }

    /// All that a path finds; with `unwrap`, in lax ones, the elements of the arrays among it.
    pub fn values(&mut self, of: &'a Chain, json: &Item<'a>, unwrap: bool) -> Result<Found<'a>, Failure> {
        let mut found = Vec::new();
        self.steps(of, json, Some(&mut found), self.lax)?;
        if !unwrap || !self.lax || !found.iter().any(|item| item.starts_with('[')) {
            return Ok(found);
        }
        let mut parts = Vec::with_capacity(found.len());
        for item in found {
            match container(&item) {
                Some(text) if text.starts_with('[') => parts.extend(children(text)?.into_iter().map(Cow::Borrowed)),
                _ => parts.push(item),
            }
        }
        Ok(parts)
    }
}

/// What is done with the parts of a container.
struct Walk<'a> {
    steps: &'a [Step],
    levels: (u32, u32),
    forgives: bool,
    unwrap: bool,
}

/// The text of an array or object; such are parts of the document.
pub(super) fn container<'a>(item: &Item<'a>) -> Option<&'a str> {
    match item {
        Cow::Borrowed(text) if text.starts_with(['[', '{']) => Some(text),
        _ => None,
    }
}

/// Elements, or the values of members.
fn children(text: &str) -> Result<Vec<&str>, EvalError> {
    Ok(match shape(text)? {
        Shape::Array(elements) => elements,
        Shape::Object(members) => members.into_iter().map(|(_, value)| value).collect(),
        Shape::Scalar => vec![],
    })
}

/// The number that it is, if it is one.
pub(super) fn number(item: &str) -> Result<Option<Numeric>, EvalError> {
    match item.as_bytes().first() {
        Some(b'-' | b'0'..=b'9') => Numeric::parse(item).map(Some),
        _ => Ok(None),
    }
}
