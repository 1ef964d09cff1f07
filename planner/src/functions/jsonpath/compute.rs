//! Arithmetic and methods of a path.

use super::run::{Failure, Found, Item, Run, container, failure, number};
use super::tree::{Arithmetic, Chain, Method, Step};
use crate::functions::jsonb::{elements, type_name};
use crate::value::Numeric;
use std::borrow::Cow;

impl Arithmetic {
    fn sign(self) -> &'static str {
        match self {
            Arithmetic::Add => "+",
            Arithmetic::Subtract => "-",
            Arithmetic::Multiply => "*",
            Arithmetic::Divide => "/",
            Arithmetic::Modulo => "%",
        }
    }
}

impl Method {
    /// An array's elements are meant where the path is lax.
    pub fn takes_apart(self) -> bool {
        !matches!(self, Method::Type | Method::Size)
    }

    pub fn name(self) -> &'static str {
        match self {
            Method::Type => "type",
            Method::Size => "size",
            Method::Abs => "abs",
            Method::Floor => "floor",
            Method::Ceiling => "ceiling",
            Method::Convert(to) => to.name(),
        }
    }
}

pub(super) fn shown<'a>(number: &Numeric) -> Item<'a> {
    Cow::Owned(number.to_string())
}

impl<'a> Run<'a> {
    pub(super) fn computed(
        &mut self,
        operator: Arithmetic,
        left: &'a Chain,
        right: &'a Chain,
        json: &Item<'a>,
    ) -> Result<Item<'a>, Failure> {
        let left = self.values(left, json, true)?;
        let right = self.values(right, json, true)?;
        let one = |found: &Found<'_>, which: &str| match &found[..] {
            [item] => number(item)?.ok_or_else(|| not_one(which, operator)),
            _ => Err(not_one(which, operator)),
        };
        let (left, right) = (one(&left, "left")?, one(&right, "right")?);
        Ok(shown(&match operator {
            Arithmetic::Add => left.add(&right)?,
            Arithmetic::Subtract => left.sub(&right)?,
            Arithmetic::Multiply => left.mul(&right)?,
            Arithmetic::Divide => left.div(&right)?,
            Arithmetic::Modulo => left.rem(&right)?,
        }))
    }

    /// A sign before everything that is found.
    pub(super) fn signed(
        &mut self,
        minus: bool,
        of: &'a Chain,
        rest: &'a [Step],
        json: &Item<'a>,
        mut found: Option<&mut Found<'a>>,
    ) -> Result<bool, Failure> {
        let is_enough = rest.is_empty() && found.is_none();
        let mut is_there = false;
        for item in self.values(of, json, true)? {
            match number(&item)? {
                Some(_) if is_enough => return Ok(true),
                // Only what is a number is asked for.
                None if is_enough => {}
                Some(number) => {
                    let signed = shown(&if minus { number.neg() } else { number });
                    if self.go_on(rest, signed, found.as_deref_mut())? {
                        if found.is_none() {
                            return Ok(true);
                        }
                        is_there = true;
                    }
                }
                None => {
                    let sign = if minus { "-" } else { "+" };
                    let message = format!("operand of unary jsonpath operator {sign} is not a numeric value");
                    return Err(failure("22036", message));
                }
            }
        }
        Ok(is_there)
    }

    /// None: it finds nothing.
    pub(super) fn method(&mut self, method: Method, json: &Item<'a>) -> Result<Option<Item<'a>>, Failure> {
        let of_number = |compute: fn(&Numeric) -> Numeric| match number(json)? {
            Some(number) => Ok(Some(shown(&compute(&number)))),
            None => {
                let message =
                    format!("jsonpath item method .{}() can only be applied to a numeric value", method.name());
                Err(failure("22036", message))
            }
        };
        match method {
            Method::Type => Ok(Some(Cow::Owned(format!("\"{}\"", type_name(json))))),
            Method::Size => match container(json) {
                Some(text) if text.starts_with('[') => Ok(Some(Cow::Owned(elements(text)?.len().to_string()))),
                _ if self.lax => Ok(Some(Cow::Borrowed("1"))),
                _ => {
                    let refused = || "jsonpath item method .size() can only be applied to an array".into();
                    self.lacks("22039", refused).map(|_| None)
                }
            },
            Method::Abs => of_number(Numeric::abs),
            Method::Floor => of_number(Numeric::floor),
            Method::Ceiling => of_number(Numeric::ceil),
            Method::Convert(to) => to.of(json).map(Some),
        }
    }
}

#[cold]
fn not_one(which: &str, operator: Arithmetic) -> Failure {
    failure("22038", format!("{which} operand of jsonpath operator {} is not a single numeric value", operator.sign()))
}
