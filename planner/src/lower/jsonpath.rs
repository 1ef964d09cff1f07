//! Calls with a jsonpath: it must be a constant, and one that is known.

use super::error::LowerError;
use super::expr::ExprLowerer;
use super::unsupported;
use crate::expr::Expr;
use crate::functions::jsonpath_obstacle;
use crate::tree::{Node, Tree};
use crate::types::oid;
use crate::value::Value;
use crate::value::datum::varlena;

/// `pg_collation.dat`: what patterns in a path are read with.
pub const DEFAULT_COLLATION: u32 = 100;

impl ExprLowerer<'_, '_> {
    /// The document, the path and, of a function, variables and whether it is silent, whatever of these is written; and the
    /// number of the default collation's letters.
    pub(super) fn jsonpath_arguments(&mut self, function: u32, written: &[Tree]) -> Result<Vec<Expr>, LowerError> {
        let count = self.lowering.function_entry(function)?.argument_types.len();
        let mut places: Vec<Option<Expr>> = vec![None; count];
        for (position, arg) in written.iter().enumerate() {
            let Some(node) = arg.as_node() else { return unsupported("a jsonpath of nothing") };
            let (place, node) = match node.label.as_str() {
                "NAMEDARGEXPR" => (node.index("argnumber")?, node.child("arg")?),
                _ => (position, node),
            };
            let expr = if place == 1 { path(node)? } else { self.expr(node)?.expr };
            match places.get_mut(place) {
                Some(free @ None) => *free = Some(expr),
                _ => return unsupported("named arguments in a strange order"),
            }
        }
        let defaults = [None, None, Some(Value::Jsonb("{}".into())), Some(Value::Bool(false))];
        let mut args = Vec::with_capacity(count + 1);
        for (place, default) in places.into_iter().zip(defaults) {
            match place.or(default.map(Expr::Const)) {
                Some(arg) => args.push(arg),
                None => return unsupported("a call without a jsonpath"),
            }
        }
        // Without a number a pattern is not known, and everything else is.
        let letters = self.lowering.catalog.letters.get(&DEFAULT_COLLATION).copied().unwrap_or(-1);
        args.push(Expr::Const(Value::Int4(letters)));
        Ok(args)
    }
}

fn path(node: &Node) -> Result<Expr, LowerError> {
    if node.label != "CONST" || node.oid("consttype")? != oid::JSONPATH {
        return unsupported("a jsonpath that is no constant");
    }
    if node.bool("constisnull")? {
        return Ok(Expr::Const(Value::Null));
    }
    let image = match node.field("constvalue")? {
        Tree::Datum { bytes, .. } => varlena(bytes),
        _ => return unsupported("a jsonpath without a value"),
    };
    let Ok(image) = image else { return unsupported("a jsonpath of an unknown form") };
    match jsonpath_obstacle(image) {
        Some(why) => unsupported(format!("a jsonpath {why}")),
        None => Ok(Expr::Const(Value::Opaque(image.into()))),
    }
}
