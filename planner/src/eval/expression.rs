//! The expression interpreter.

use super::{EvalContext, Tuple};
use crate::expr::{BooleanTest, Expr};
use crate::functions::Function;
use crate::parse::decode_text;
use crate::render::encode_text;
use crate::types::ColumnType;
use crate::value::{Array, EvalError, Value, compare};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::cmp::Ordering;

/// Arguments of a call; nearly all functions have at most four.
type Arguments<'a> = SmallVec<[Cow<'a, Value>; 4]>;

static NULL: Value = Value::Null;
static TRUE: Value = Value::Bool(true);
static FALSE: Value = Value::Bool(false);

/// SQL's three truth values as shared constants.
#[inline]
fn truth<'a>(value: Option<bool>) -> Cow<'a, Value> {
    Cow::Borrowed(match value {
        Some(true) => &TRUE,
        Some(false) => &FALSE,
        None => &NULL,
    })
}

impl Expr {
    /// The value over this row. An error is a [`Value::Error`].
    #[inline]
    pub fn eval(&self, tuple: Tuple<'_>, ctx: &EvalContext) -> Value {
        self.eval_ref(tuple, ctx).into_owned()
    }

    /// As [`Expr::eval`], borrowing what exists already: columns, constants and parameters are not copied.
    pub fn eval_ref<'a>(&'a self, tuple: Tuple<'a>, ctx: &'a EvalContext) -> Cow<'a, Value> {
        match self {
            Expr::Column(index) => Cow::Borrowed(tuple.get(*index)),
            Expr::Const(value) => Cow::Borrowed(value),
            Expr::Param(index) => match ctx.params.get(*index) {
                Some(value) => Cow::Borrowed(value),
                None => failure(EvalError::new("42P02", format!("there is no parameter ${}", index + 1))),
            },
            Expr::Call { function, args } => call(function, args, tuple, ctx),
            Expr::And(args) => connective(args, false, tuple, ctx),
            Expr::Or(args) => connective(args, true, tuple, ctx),
            Expr::Not(arg) => match &*arg.eval_ref(tuple, ctx) {
                Value::Bool(value) => truth(Some(!value)),
                Value::Null => truth(None),
                other => not_a_boolean(other),
            },
            Expr::IsNull(arg) => null_test(arg.eval_ref(tuple, ctx), true),
            Expr::IsNotNull(arg) => null_test(arg.eval_ref(tuple, ctx), false),
            Expr::BooleanTest { arg, test } => boolean_test(&arg.eval_ref(tuple, ctx), *test),
            Expr::Case { branches, otherwise } => {
                for (condition, result) in branches {
                    match &*condition.eval_ref(tuple, ctx) {
                        Value::Bool(true) => return result.eval_ref(tuple, ctx),
                        Value::Bool(false) | Value::Null => {}
                        other => return not_a_boolean(other),
                    }
                }
                otherwise.eval_ref(tuple, ctx)
            }
            Expr::Coalesce(args) => {
                for arg in args {
                    let value = arg.eval_ref(tuple, ctx);
                    if !value.is_null() {
                        return value;
                    }
                }
                truth(None)
            }
            Expr::NullIf { equal, args } => {
                let (left, right) = (args.0.eval_ref(tuple, ctx), args.1.eval_ref(tuple, ctx));
                if left.is_error() {
                    return left;
                }
                if right.is_error() {
                    return right;
                }
                if left.is_null() || right.is_null() {
                    return left;
                }
                match apply(equal, &[&left, &right], ctx) {
                    Value::Bool(true) => truth(None),
                    error @ Value::Error(_) => Cow::Owned(error),
                    _ => left,
                }
            }
            Expr::Distinct { equal, args } => {
                let (left, right) = (args.0.eval_ref(tuple, ctx), args.1.eval_ref(tuple, ctx));
                if left.is_error() {
                    return left;
                }
                if right.is_error() {
                    return right;
                }
                if left.is_null() || right.is_null() {
                    return truth(Some(left.is_null() != right.is_null()));
                }
                match apply(equal, &[&left, &right], ctx) {
                    Value::Bool(equal) => truth(Some(!equal)),
                    other => Cow::Owned(other),
                }
            }
            Expr::ScalarArray { function, any, left, list } => {
                scalar_array(function, *any, left.eval_ref(tuple, ctx), list, tuple, ctx)
            }
            Expr::ArrayMember { function, any, left, array } => {
                array_member(function, *any, left.eval_ref(tuple, ctx), &array.eval_ref(tuple, ctx), ctx)
            }
            Expr::Array { element, items } => {
                let mut elements = Vec::with_capacity(items.len());
                for item in items {
                    match item.eval_ref(tuple, ctx) {
                        error if error.is_error() => return error,
                        value => elements.push(value.into_owned()),
                    }
                }
                Cow::Owned(Value::Array(Array::list(*element, elements).into()))
            }
            Expr::MinMax { greatest, args } => min_max(*greatest, args, tuple, ctx),
            Expr::ViaText { arg, from, to } => via_text(arg.eval_ref(tuple, ctx), from, to, ctx),
        }
    }

    /// Whether a condition (WHERE, ON, HAVING, FILTER) passes. NULL does not; `Err` when its evaluation failed.
    #[inline]
    pub fn eval_bool(&self, tuple: Tuple<'_>, ctx: &EvalContext) -> Result<bool, EvalError> {
        match &*self.eval_ref(tuple, ctx) {
            Value::Bool(value) => Ok(*value),
            Value::Null => Ok(false),
            Value::Error(error) => Err((**error).clone()),
            other => Err(wrong_type(other)),
        }
    }
}

fn failure<'a>(error: EvalError) -> Cow<'a, Value> {
    Cow::Owned(error.into())
}

#[cold]
fn wrong_type(value: &Value) -> EvalError {
    EvalError::unsupported(format!("a condition yields {value:?} instead of a boolean"))
}

/// Errors pass through; any other value is a defect of the plan, reported and never guessed about.
#[cold]
fn not_a_boolean<'a>(value: &Value) -> Cow<'a, Value> {
    match value {
        Value::Error(_) => Cow::Owned(value.clone()),
        other => failure(wrong_type(other)),
    }
}

fn null_test<'a>(value: Cow<'a, Value>, null: bool) -> Cow<'a, Value> {
    if value.is_error() { value } else { truth(Some(value.is_null() == null)) }
}

/// AND (`decisive` false) and OR (`decisive` true): the first decisive value ends the evaluation.
#[inline]
fn connective<'a>(args: &'a [Expr], decisive: bool, tuple: Tuple<'a>, ctx: &'a EvalContext) -> Cow<'a, Value> {
    let mut unknown = false;
    for arg in args {
        match &*arg.eval_ref(tuple, ctx) {
            Value::Bool(value) if *value == decisive => return truth(Some(decisive)),
            Value::Bool(_) => {}
            Value::Null => unknown = true,
            other => return not_a_boolean(other),
        }
    }
    truth(if unknown { None } else { Some(!decisive) })
}

fn boolean_test<'a>(value: &Value, test: BooleanTest) -> Cow<'a, Value> {
    let value = match value {
        Value::Bool(value) => Some(*value),
        Value::Null => None,
        other => return not_a_boolean(other),
    };
    truth(Some(match test {
        BooleanTest::IsTrue => value == Some(true),
        BooleanTest::IsNotTrue => value != Some(true),
        BooleanTest::IsFalse => value == Some(false),
        BooleanTest::IsNotFalse => value != Some(false),
        BooleanTest::IsUnknown => value.is_none(),
        BooleanTest::IsNotUnknown => value.is_some(),
    }))
}

/// Most arguments are columns and constants: they are had without a recursive call.
#[inline]
fn argument<'a>(arg: &'a Expr, tuple: Tuple<'a>, ctx: &'a EvalContext) -> Cow<'a, Value> {
    match arg {
        Expr::Column(index) => Cow::Borrowed(tuple.get(*index)),
        Expr::Const(value) => Cow::Borrowed(value),
        _ => arg.eval_ref(tuple, ctx),
    }
}

/// All arguments are evaluated, then strictness is looked at, as in Postgres: an error in one argument shows
/// even when another is NULL.
#[inline]
fn call<'a>(function: &'static Function, args: &'a [Expr], tuple: Tuple<'a>, ctx: &'a EvalContext) -> Cow<'a, Value> {
    match args {
        [arg] => {
            let value = argument(arg, tuple, ctx);
            Cow::Owned(apply(function, &[&value], ctx))
        }
        [left, right] => {
            let left = argument(left, tuple, ctx);
            let right = argument(right, tuple, ctx);
            Cow::Owned(apply(function, &[&left, &right], ctx))
        }
        _ => {
            let values: Arguments<'_> = args.iter().map(|arg| argument(arg, tuple, ctx)).collect();
            let values: SmallVec<[&Value; 4]> = values.iter().map(|value| &**value).collect();
            Cow::Owned(apply(function, &values, ctx))
        }
    }
}

/// Calls the function unless an argument is an error or, for a strict function, NULL.
#[inline]
fn apply(function: &'static Function, args: &[&Value], ctx: &EvalContext) -> Value {
    let mut null = false;
    for arg in args {
        match arg {
            Value::Error(_) => return (*arg).clone(),
            Value::Null => null = true,
            _ => {}
        }
    }
    if null && function.strict {
        return Value::Null;
    }
    (function.eval)(args, ctx).into()
}

/// `left op ANY/ALL (array)` by `ExecEvalScalarArrayOp`: a NULL array gives NULL, an empty one decides at once.
fn array_member<'a>(
    function: &'static Function,
    any: bool,
    left: Cow<'a, Value>,
    array: &Value,
    ctx: &'a EvalContext,
) -> Cow<'a, Value> {
    if left.is_error() {
        return left;
    }
    let array = match array {
        Value::Array(array) => array,
        Value::Null => return truth(None),
        Value::Error(_) => return Cow::Owned(array.clone()),
        other => return failure(EvalError::unsupported(format!("ANY or ALL over {other:?}"))),
    };
    let mut outcome = Some(!any);
    for element in &array.elements {
        match apply(function, &[&left, element], ctx) {
            Value::Bool(result) if result == any => return truth(Some(any)),
            Value::Bool(_) => {}
            Value::Null => outcome = None,
            other => return not_a_boolean(&other),
        }
    }
    truth(outcome)
}

/// `left op ANY/ALL (list)` by `ExecEvalScalarArrayOp`: the array is built whole, so an error in any element
/// shows; no elements decide at once; NULL results leave the outcome unknown.
fn scalar_array<'a>(
    function: &'static Function,
    any: bool,
    left: Cow<'a, Value>,
    list: &'a [Expr],
    tuple: Tuple<'a>,
    ctx: &'a EvalContext,
) -> Cow<'a, Value> {
    if left.is_error() {
        return left;
    }
    let mut outcome = Some(!any);
    for element in list {
        if outcome == Some(any) && matches!(element, Expr::Const(_)) {
            continue;
        }
        let value = element.eval_ref(tuple, ctx);
        if value.is_error() {
            return value;
        }
        if outcome == Some(any) {
            continue;
        }
        match apply(function, &[&left, &value], ctx) {
            Value::Bool(result) if result == any => outcome = Some(any),
            Value::Bool(_) => {}
            Value::Null => outcome = None,
            other => return not_a_boolean(&other),
        }
    }
    truth(outcome)
}

/// GREATEST and LEAST (`ExecEvalMinMax`): NULLs are left out; of equal values the first stays.
fn min_max<'a>(greatest: bool, args: &'a [Expr], tuple: Tuple<'a>, ctx: &'a EvalContext) -> Cow<'a, Value> {
    let replaces = if greatest { Ordering::Less } else { Ordering::Greater };
    let mut best = truth(None);
    for arg in args {
        let value = arg.eval_ref(tuple, ctx);
        if value.is_error() {
            return value;
        }
        if !value.is_null() && (best.is_null() || compare(&best, &value) == replaces) {
            best = value;
        }
    }
    best
}

/// `CoerceViaIO`: the output function of one type, the input function of the other, without a typmod.
fn via_text<'a>(value: Cow<'a, Value>, from: &ColumnType, to: &ColumnType, ctx: &EvalContext) -> Cow<'a, Value> {
    if matches!(&*value, Value::Null | Value::Error(_)) {
        return value;
    }
    let mut image = Vec::new();
    if let Err(reason) = encode_text(&value, from, &ctx.settings, &mut image) {
        return failure(EvalError::unsupported(reason.to_string()));
    }
    let text = match String::from_utf8(image) {
        Ok(text) => text,
        Err(_) => return failure(EvalError::unsupported("cast through text that is not UTF-8")),
    };
    Cow::Owned(decode_text(to.oid, -1, &text, &ctx.settings).into())
}
