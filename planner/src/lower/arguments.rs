//! Arguments of calls: their order, and the types of which a function of any type is known.

use super::error::LowerError;
use super::expr::{ExprLowerer, Typed};
use super::kinds::has_equality;
use super::unsupported;
use crate::expr::Expr;
use crate::functions::Function;
use crate::tree::{Node, Tree};
use crate::types::oid;
use crate::value::{self, Value, element_type};
use std::sync::Arc;

/// The text of these types is the same under all settings.
fn has_plain_text(type_oid: u32) -> bool {
    matches!(
        type_oid,
        oid::BOOL
            | oid::INT2
            | oid::INT4
            | oid::INT8
            | oid::NUMERIC
            | oid::TEXT
            | oid::VARCHAR
            | oid::NAME
            | oid::UNKNOWN
            | oid::BPCHAR
    )
}

/// Comparisons that ask for the labels in their order.
pub(super) fn is_enum_order(symbol: &str) -> bool {
    matches!(symbol, "enum_lt" | "enum_le" | "enum_gt" | "enum_ge")
}

/// Functions of ranges of any type.
fn takes_ranges(symbol: &str) -> bool {
    symbol.starts_with("range_") || symbol == "elem_contained_by_range"
}

/// Functions of arrays of any element type.
fn takes_arrays(symbol: &str) -> bool {
    symbol.starts_with("array_") || matches!(symbol, "arraycontains" | "arraycontained" | "arrayoverlap")
}

impl ExprLowerer<'_, '_> {
    /// The arguments of a call in the order they are declared in: named ones stand as they were written, and those left to
    /// their defaults are not there.
    pub(super) fn exprs_in_order(&mut self, function: &Function, node: &Node) -> Result<Vec<Typed>, LowerError> {
        let written = node.list("args")?;
        let is_named = |arg: &Tree| arg.as_node().is_some_and(|arg| arg.label == "NAMEDARGEXPR");
        let declared = self.lowering.function_entry(node.oid("funcid")?)?.argument_types.clone();
        let zeros = function.symbol == "make_interval";
        let is_short = zeros && written.len() < declared.len();
        if !is_short && !written.iter().any(is_named) {
            return self.exprs(written);
        }
        let mut places: Vec<Option<Typed>> = vec![None; declared.len()];
        for (position, arg) in written.iter().enumerate() {
            let place = match arg.as_node() {
                Some(named) if is_named(arg) => usize::try_from(named.int("argnumber")?).ok(),
                _ => Some(position),
            };
            let typed = self.exprs(std::slice::from_ref(arg))?.pop();
            match place.and_then(|place| places.get_mut(place)) {
                Some(free @ None) => *free = typed,
                _ => return unsupported("named arguments in a strange order"),
            }
        }
        let mut args = Vec::with_capacity(places.len());
        for (place, type_oid) in places.into_iter().zip(declared) {
            let zero = if type_oid == oid::FLOAT8 { Value::Float8(0.0) } else { Value::Int4(0) };
            args.push(match place {
                Some(given) => given,
                None if zeros => self.typed(Expr::Const(zero), type_oid, 0)?,
                None => return unsupported("a call that leaves an argument to its default"),
            });
        }
        Ok(args)
    }

    /// The arguments of a call of `function`. Concatenation takes any type and casts it to text: refused for types
    /// whose text depends on a setting.
    pub(super) fn call_arguments(&mut self, function: &Function, args: Vec<Typed>) -> Result<Vec<Expr>, LowerError> {
        if takes_arrays(function.symbol) {
            // Elements of other types are not compared here; an element beside an array has the array's type.
            let is_known = |arg: &Typed| element_type(arg.kind.oid).is_some() || has_equality(arg.kind.oid);
            if let Some(arg) = args.iter().find(|arg| !is_known(arg)) {
                let name = self.lowering.type_name(arg.kind.oid);
                return unsupported(format!("{} of type {name}", function.symbol));
            }
        }
        if takes_ranges(function.symbol)
            && let Some(arg) = args.iter().find(|arg| !has_equality(arg.kind.oid))
        {
            let name = self.lowering.type_name(arg.kind.oid);
            return unsupported(format!("{} of type {name}", function.symbol));
        }
        if function.symbol.starts_with("textanycat(")
            || function.symbol.starts_with("anytextcat(")
            || matches!(function.symbol, "text_concat" | "text_concat_ws" | "text_format")
        {
            for arg in &args {
                if !has_plain_text(arg.kind.oid) {
                    let name = self.lowering.type_name(arg.kind.oid);
                    return unsupported(format!("concatenation with a value of type {name}"));
                }
            }
        }
        if function.symbol.starts_with("array_to_text")
            && let Some(array) = args.first()
            && !element_type(array.kind.oid).is_some_and(has_plain_text)
        {
            let name = self.lowering.type_name(array.kind.oid);
            return unsupported(format!("text of the elements of type {name}"));
        }
        let labels = match (is_enum_order(function.symbol), args.first()) {
            (true, Some(arg)) => Some(self.lowering.labels(&arg.kind)),
            (true, None) => Some(None),
            (false, _) => None,
        };
        let extended = match function.symbol {
            "array_append" => Some(0),
            "array_prepend" => Some(1),
            _ => None,
        };
        let element = extended.and_then(|at| element_type(args.get(at)?.kind.oid));
        let mut args: Vec<Expr> = args.into_iter().map(|arg| arg.expr).collect();
        if let (Some(at), Some(element)) = (extended, element) {
            // To what is no array an element is added as to an empty one.
            let empty = Expr::Const(Value::Array(Arc::new(value::Array::list(element, vec![]))));
            args[at] = Expr::Coalesce(vec![args[at].clone(), empty]);
        }
        match labels {
            None => {}
            Some(Some(labels)) => args.push(labels),
            Some(None) => return unsupported("comparison of an enum that is not known"),
        }
        Ok(args)
    }
}
