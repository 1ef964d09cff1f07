//! The registry of exact functions, keyed by the C symbol in `pg_proc.prosrc` (`numeric_mul`, `int4pl`), or by
//! `name(argument types)` where Postgres has no symbol (SQL-language built-ins).
//!
//! One file per family. Everything here is checked against a real server by the oracle tests, value by value
//! and error by error; what cannot be exact is not registered, or refuses single values by name
//! ([`EvalError::unsupported`]).

mod define;

mod arrays;
mod boolean;
mod bytes;
mod case;
mod cast;
mod clock;
mod compare;
mod compare_dates;
mod concat;
mod date;
mod digest;
mod domains;
mod enums;
mod extract;
mod float;
mod format;
mod identifier;
mod inline;
mod integer;
mod interval;
mod interval_sum;
mod json;
mod json_build;
mod json_image;
pub(crate) mod jsonb;
mod jsonb_delete;
mod jsonb_whole;
mod jsonpath;
mod length;
mod letters;
mod like;
mod make;
mod nested_arrays;
mod network;
mod numeric;
mod order;
mod overlaps;
mod ranges;
mod regex;
mod sets;
mod slices;
mod text;
mod text_format;
mod time_unit;
mod timestamp;
mod trim;
mod truncate;
mod words;
mod zone;

pub(crate) use clock::is_clock;
pub use clock::{Course, Piece};
pub(crate) use interval_sum::FIELDS as INTERVAL_FIELDS;
pub use json_build::{JsonParts, json_of_parts};
pub use json_image::{JsonRole, json_image};
pub(crate) use jsonpath::obstacle as jsonpath_obstacle;
pub use jsonpath::takes_jsonpath;
pub use letters::{Letters, Told, number_of, question, takes_letters};

use crate::eval::EvalContext;
use crate::settings::SettingSet;
use crate::value::{EvalError, Value};
use std::collections::HashMap;
use std::sync::LazyLock;

/// An implemented function. Two are equal when they are the same entry.
pub struct Function {
    /// `pg_proc.prosrc` for language internal, else `name(type,type)`.
    pub symbol: &'static str,
    /// NULL in, NULL out (`pg_proc.proisstrict`): the evaluator handles it before the call.
    pub strict: bool,
    /// Settings the result depends on beyond the arguments.
    pub settings: SettingSet,
    /// The arguments are never errors and, for a strict function, never NULL.
    pub eval: fn(&[&Value], &EvalContext) -> Result<Value, EvalError>,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.symbol)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.symbol == other.symbol
    }
}

impl Eq for Function {}

impl std::hash::Hash for Function {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.symbol.hash(state);
    }
}

static GROUPS: &[&[Function]] = &[
    arrays::FUNCTIONS,
    boolean::FUNCTIONS,
    bytes::FUNCTIONS,
    case::FUNCTIONS,
    cast::FUNCTIONS,
    compare::FUNCTIONS,
    compare_dates::FUNCTIONS,
    concat::FUNCTIONS,
    date::FUNCTIONS,
    digest::FUNCTIONS,
    enums::FUNCTIONS,
    extract::FUNCTIONS,
    float::FUNCTIONS,
    format::TO_CHAR,
    format::TO_VALUE,
    identifier::FUNCTIONS,
    integer::FUNCTIONS,
    interval::FUNCTIONS,
    json::FUNCTIONS,
    jsonb::FUNCTIONS,
    jsonb_delete::FUNCTIONS,
    jsonb_whole::FUNCTIONS,
    jsonpath::FUNCTIONS,
    length::FUNCTIONS,
    like::FUNCTIONS,
    make::FUNCTIONS,
    network::FUNCTIONS,
    numeric::FUNCTIONS,
    overlaps::FUNCTIONS,
    ranges::FUNCTIONS,
    regex::FUNCTIONS,
    text::FUNCTIONS,
    timestamp::FUNCTIONS,
    trim::FUNCTIONS,
    truncate::FUNCTIONS,
    text_format::FUNCTIONS,
    words::FUNCTIONS,
    zone::FUNCTIONS,
];

static BY_SYMBOL: LazyLock<HashMap<&'static str, &'static Function>> =
    LazyLock::new(|| all().map(|function| (function.symbol, function)).collect());

/// The implemented function of that symbol, if any.
pub fn lookup(symbol: &str) -> Option<&'static Function> {
    BY_SYMBOL.get(symbol).copied()
}

/// Functions that an older server has under the same symbol: the symbol, the first major that has the newer one, and what
/// the older one is registered under.
const EARLIER: &[(&str, u32, &str)] = &[("numeric_power", 16, "numeric_power (before 16)")];

/// As [`lookup`], on a server of that major version.
pub fn lookup_on(symbol: &str, major: u32) -> Option<&'static Function> {
    match EARLIER.iter().find(|(newer, since, _)| *newer == symbol && major < *since) {
        Some((.., earlier)) => lookup(earlier),
        None => lookup(symbol),
    }
}

/// `pg_proc.prosrc` of a function as that major version has it; `None` where that version has another one instead.
pub fn symbol_on(function: &Function, major: u32) -> Option<&'static str> {
    match EARLIER.iter().find(|(.., earlier)| *earlier == function.symbol) {
        Some((newer, since, _)) => (major < *since).then_some(*newer),
        None => lookup_on(function.symbol, major).filter(|found| *found == function).map(|found| found.symbol),
    }
}

/// The implemented set-returning function of that symbol, if any. Its value is an array of what it returns.
pub fn lookup_set(symbol: &str) -> Option<&'static Function> {
    all_sets().find(|function| function.symbol == symbol)
}

/// Set-returning functions that give the elements of the array that another function gives.
const OF_ELEMENTS: [(&str, &str); 4] = [
    ("regexp_split_to_table", "regexp_split_to_array"),
    ("regexp_split_to_table_no_flags", "regexp_split_to_array_no_flags"),
    ("text_to_table", "text_to_array"),
    ("text_to_table_null", "text_to_array_null"),
];

/// The symbol of the function whose elements a set-returning one gives.
pub fn array_of_set(symbol: &str) -> Option<&'static str> {
    OF_ELEMENTS.iter().find(|(set, _)| *set == symbol).map(|(_, array)| *array)
}

/// `array[i]…` as a function of the array and its subscripts: no function of Postgres'.
pub fn array_subscript() -> &'static Function {
    &arrays::SUBSCRIPT
}

/// `array[i:j]…` as a function of the array and its bounds, one that is left out being no integer: no function of Postgres'.
pub fn array_slice() -> &'static Function {
    &slices::SLICE
}

/// `ARRAY[…]` of arrays as a function of their elements' type and the arrays: no function of Postgres'.
pub fn array_of_arrays() -> &'static Function {
    &nested_arrays::NESTED
}

/// The place of an enum's value among its labels: no function of Postgres'.
pub fn enum_rank() -> &'static Function {
    &enums::RANK
}

/// The enum's value at a place among its labels: no function of Postgres'.
pub fn enum_label() -> &'static Function {
    &enums::LABEL
}

/// The body of a user's function and the arguments of its call: no function of Postgres'.
pub fn body_of_call() -> &'static Function {
    &inline::BODY
}

/// As [`body_of_call`], of a strict function.
pub fn body_of_strict_call() -> &'static Function {
    &inline::STRICT_BODY
}

/// An expression and what it costs in Postgres ([`crate::cost`]): no function of Postgres'.
pub fn costing() -> &'static Function {
    &inline::COSTING
}

/// Whether a call of it is a call in Postgres, too.
pub fn is_called_in_postgres(function: &Function) -> bool {
    lookup(function.symbol).is_some() || json_build::is_builder(function)
}

/// Where a row lies beside another in an order: no function of Postgres'.
pub fn place_in_order() -> &'static Function {
    &order::PLACE
}

/// What a value raises that a domain does not take: no function of Postgres'.
pub(crate) fn domain_violation() -> &'static Function {
    &domains::VIOLATION
}

/// A field of an interval: no function of Postgres'.
pub(crate) fn interval_field() -> &'static Function {
    &interval_sum::FIELD
}

/// The interval of the sums of its fields: no function of Postgres'.
pub(crate) fn interval_of_fields() -> &'static Function {
    &interval_sum::OF_FIELDS
}

/// NULL for a number of rows that can be fetched with ties: no function of Postgres'.
pub fn row_count_of_ties() -> &'static Function {
    &order::ROW_COUNT_OF_TIES
}

/// Every implemented set-returning function.
pub fn all_sets() -> impl Iterator<Item = &'static Function> {
    sets::FUNCTIONS.iter()
}

/// Every implemented function that returns one value, family by family.
pub fn all() -> impl Iterator<Item = &'static Function> {
    GROUPS.iter().flat_map(|group| group.iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_unique() {
        assert_eq!(all().count(), BY_SYMBOL.len());
        assert_eq!(lookup("int4pl").map(|f| f.symbol), Some("int4pl"));
        assert!(lookup("random").is_none());
    }
}
