//! Conditions of a path: true, false or, where something in them fails or cannot be compared, unknown (None).

use super::run::{Failure, Found, Item, Run, number};
use super::tree::{Chain, Comparison, Condition};
use crate::functions::jsonb::{type_name, unescaped};
use crate::functions::regex::matches_xquery;
use crate::value::EvalError;
use std::cmp::Ordering;

impl Comparison {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::Greater => order.is_gt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::GreaterOrEqual => order.is_ge(),
        }
    }
}

impl<'a> Run<'a> {
    /// Of the item that `@` stands for in it.
    pub(super) fn truth_of(&mut self, condition: &'a Condition, json: &Item<'a>) -> Result<Option<bool>, Failure> {
        let outer = std::mem::replace(&mut self.current, json.clone());
        let truth = self.truth(condition, json);
        self.current = outer;
        truth
    }

    pub(super) fn truth(&mut self, condition: &'a Condition, json: &Item<'a>) -> Result<Option<bool>, Failure> {
        match condition {
            Condition::Both(both) => match self.truth(&both[0], json)? {
                Some(false) => Ok(Some(false)),
                first => Ok(match self.truth(&both[1], json)? {
                    Some(true) => first,
                    second => second,
                }),
            },
            Condition::Either(both) => match self.truth(&both[0], json)? {
                Some(true) => Ok(Some(true)),
                first => Ok(match self.truth(&both[1], json)? {
                    Some(false) => first,
                    second => second,
                }),
            },
            Condition::Not(of) => Ok(self.truth(of, json)?.map(|truth| !truth)),
            Condition::IsUnknown(of) => Ok(Some(self.truth(of, json)?.is_none())),
            Condition::Compare(comparison, left, right) => {
                self.any_pair(left, Some((right, true)), json, |left, right| compare(*comparison, left, right))
            }
            Condition::StartsWith(whole, begin) => {
                self.any_pair(whole, Some((begin, false)), json, |whole, begin| match (text(whole)?, text(begin)?) {
                    (Some(whole), Some(begin)) => Ok(Some(whole.starts_with(&begin))),
                    _ => Ok(None),
                })
            }
            Condition::LikeRegex { of, pattern, flags } => {
                let letters = self.letters;
                self.any_pair(of, None, json, |item, _| match text(item)? {
                    Some(text) => matches_xquery(&text, pattern, *flags, letters).map(Some),
                    None => Ok(None),
                })
            }
            Condition::Exists(of) => {
                if self.lax {
                    return self.quietly(|run| run.steps(of, json, None, true));
                }
                self.quietly(|run| run.values(of, json, false).map(|found| !found.is_empty()))
            }
        }
    }

    /// An error of the path is none here: nothing is known then.
    fn quietly<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T, Failure>) -> Result<Option<T>, Failure> {
        let raised = std::mem::replace(&mut self.raises, false);
        let outcome = run(self);
        self.raises = raised;
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(Failure::Path(_)) => Ok(None),
            Err(refused) => Err(refused),
        }
    }

    /// `executePredicate`: of all that is found on both sides, some pair. Lax paths are content with the first that holds,
    /// strict ones want to know of all. `right`: its path, and whether arrays on it stand for their elements.
    fn any_pair(
        &mut self,
        left: &'a Chain,
        right: Option<(&'a Chain, bool)>,
        json: &Item<'a>,
        holds: impl Fn(&str, &str) -> Result<Option<bool>, EvalError>,
    ) -> Result<Option<bool>, Failure> {
        let Some(left) = self.quietly(|run| run.values(left, json, true))? else { return Ok(None) };
        let right: Option<Found<'a>> = match right {
            None => None,
            Some((right, unwrap)) => match self.quietly(|run| run.values(right, json, unwrap))? {
                Some(found) => Some(found),
                None => return Ok(None),
            },
        };
        let right: Vec<&str> = right.as_ref().map_or(vec![""], |right| right.iter().map(|item| &**item).collect());
        let (mut some, mut unknown) = (false, false);
        for left in &left {
            for right in &right {
                match holds(left, right).map_err(Failure::Refused)? {
                    Some(true) if self.lax => return Ok(Some(true)),
                    Some(true) => some = true,
                    Some(false) => {}
                    None if self.lax => unknown = true,
                    None => return Ok(None),
                }
            }
        }
        Ok(if some {
            Some(true)
        } else if unknown {
            None
        } else {
            Some(false)
        })
    }
}

/// The characters of a string.
fn text(item: &str) -> Result<Option<String>, EvalError> {
    item.starts_with('"').then(|| unescaped(item)).transpose()
}

/// `compareItems`: scalars of one type; null is unlike everything else. Strings by their bytes, as in every database of UTF-8.
fn compare(comparison: Comparison, left: &str, right: &str) -> Result<Option<bool>, EvalError> {
    let kinds = [type_name(left), type_name(right)];
    let is_container = |kind: &str| matches!(kind, "array" | "object");
    if kinds.iter().all(|kind| is_container(kind)) {
        return Ok(None);
    }
    if kinds[0] != kinds[1] {
        let is_null = kinds.contains(&"null");
        return Ok(is_null.then_some(comparison == Comparison::NotEqual));
    }
    let order = match kinds[0] {
        "null" => Ordering::Equal,
        "string" => unescaped(left)?.cmp(&unescaped(right)?),
        "number" => match (number(left)?, number(right)?) {
            (Some(left), Some(right)) => left.compare(&right),
            _ => return Ok(None),
        },
        // `false` before `true`.
        _ => left.cmp(right),
    };
    Ok(Some(comparison.holds(order)))
}
