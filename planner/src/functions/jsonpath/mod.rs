//! Paths into jsonb (jsonpath_exec.c). A path is a constant, and travels as its image in Postgres' memory; `lower::jsonpath`
//! lets only those pass that are read here.

mod compute;
mod convert;
mod image;
mod run;
#[cfg(test)]
mod tests;
mod tree;
mod truth;

use super::define::strict_functions;
use super::jsonb::image_of;
use crate::types::oid;
use crate::value::Value::{self, *};
use crate::value::{self, EvalError};
use run::{Failure, Found, Run};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use tree::Path;

type Last = Option<(Arc<[u8]>, Rc<Path>)>;

thread_local! {
    /// The path last used.
    static LAST: RefCell<Last> = const { RefCell::new(None) };
}

/// Why the path of this image (without its length) is not known here; None where it is.
pub(crate) fn obstacle(image: &[u8]) -> Option<&'static str> {
    image::read(image).err()
}

/// Parses the path, unless the last call had the same.
fn path_of(image: &Arc<[u8]>) -> Result<Rc<Path>, EvalError> {
    LAST.with_borrow_mut(|last| match last {
        Some((known, path)) if Arc::ptr_eq(known, image) || known == image => Ok(path.clone()),
        _ => {
            let path = image::read(image).map_err(|why| EvalError::unsupported(format!("a jsonpath {why}")))?;
            let path = Rc::new(path);
            *last = Some((image.clone(), path.clone()));
            Ok(path)
        }
    })
}

/// One call of one of these functions.
struct Call<'c> {
    json: &'c str,
    path: &'c Arc<[u8]>,
    /// Errors of the path are no errors of the call.
    silent: bool,
    letters: i32,
}

impl<'c> Call<'c> {
    /// Of an operator.
    fn quiet(json: &'c str, path: &'c Arc<[u8]>, letters: i32) -> Call<'c> {
        Call { json, path, silent: true, letters }
    }

    /// Of a function, whose variables no path asks for.
    fn with(
        json: &'c str,
        path: &'c Arc<[u8]>,
        variables: &str,
        silent: bool,
        letters: i32,
    ) -> Result<Call<'c>, EvalError> {
        if !variables.starts_with('{') {
            return Err(EvalError::invalid_parameter("\"vars\" argument is not an object"));
        }
        Ok(Call { json, path, silent, letters })
    }

    /// What `use_them` makes of what is found; of what was found before an error, if that is none.
    fn found<T>(&self, use_them: impl FnOnce(Found<'_>) -> T) -> Result<T, EvalError> {
        let path = path_of(self.path)?;
        let mut found = Vec::new();
        let outcome = Run::new(&path, self.json, !self.silent, self.letters).execute(&path, Some(&mut found));
        match outcome {
            Err(Failure::Refused(error)) => Err(error),
            Err(Failure::Path(error)) if !self.silent => Err(error),
            _ => Ok(use_them(found)),
        }
    }

    fn exists(&self) -> Result<Value, EvalError> {
        let path = path_of(self.path)?;
        match Run::new(&path, self.json, !self.silent, self.letters).execute(&path, None) {
            Ok(is_there) => Ok(Bool(is_there)),
            Err(Failure::Path(_)) if self.silent => Ok(Null),
            Err(Failure::Path(error) | Failure::Refused(error)) => Err(error),
        }
    }

    fn is_true(&self) -> Result<Value, EvalError> {
        let truth = self.found(|found| match &found[..] {
            [one] => match &**one {
                "true" => Some(Bool(true)),
                "false" => Some(Bool(false)),
                "null" => Some(Null),
                _ => None,
            },
            _ => None,
        })?;
        match truth {
            Some(truth) => Ok(truth),
            None if self.silent => Ok(Null),
            None => Err(EvalError::new("22038", "single boolean result is expected")),
        }
    }

    fn as_array(&self) -> Result<Value, EvalError> {
        self.found(|found| image_of(&format!("[{}]", found.join(", "))))
    }

    fn first(&self) -> Result<Value, EvalError> {
        self.found(|found| found.first().map_or(Null, |first| image_of(first)))
    }
}

/// `jsonb_path_query`: a list of what is found.
pub(super) fn query(args: &[&Value]) -> Result<Value, EvalError> {
    match *args {
        [Jsonb(json), Opaque(path), Jsonb(variables), &Bool(silent), &Int4(letters)] => {
            let call = Call::with(json, path, variables, silent, letters)?;
            let items = call.found(|found| found.iter().map(|item| image_of(item)).collect())?;
            Ok(Array(Arc::new(value::Array::list(oid::JSONB, items))))
        }
        _ => Err(super::define::wrong_arguments("jsonb_path_query", args)),
    }
}

/// Functions that take a path, and with it the number of the default collation's letters.
pub fn takes_jsonpath(symbol: &str) -> bool {
    symbol == "jsonb_path_query" || FUNCTIONS.iter().any(|function| function.symbol == symbol)
}

strict_functions! {
    "jsonb_path_exists_opr" (Jsonb(json), Opaque(path), &Int4(letters)) => Call::quiet(json, path, letters).exists();
    "jsonb_path_match_opr" (Jsonb(json), Opaque(path), &Int4(letters)) => Call::quiet(json, path, letters).is_true();
    "jsonb_path_exists" (Jsonb(json), Opaque(path), Jsonb(variables), &Bool(silent), &Int4(letters)) =>
        Call::with(json, path, variables, silent, letters)?.exists();
    "jsonb_path_match" (Jsonb(json), Opaque(path), Jsonb(variables), &Bool(silent), &Int4(letters)) =>
        Call::with(json, path, variables, silent, letters)?.is_true();
    "jsonb_path_query_array" (Jsonb(json), Opaque(path), Jsonb(variables), &Bool(silent), &Int4(letters)) =>
        Call::with(json, path, variables, silent, letters)?.as_array();
    "jsonb_path_query_first" (Jsonb(json), Opaque(path), Jsonb(variables), &Bool(silent), &Int4(letters)) =>
        Call::with(json, path, variables, silent, letters)?.first();
}
