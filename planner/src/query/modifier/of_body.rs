//! Users' functions in SQL: the planner may put a body in the place of its call, and what is seen then is the body's modifier.

use super::of_expression::modifier;
use crate::catalog::Catalog;
use crate::expand::type_of;
use crate::query::statement;
use crate::tree::{Node, Tree, parse};
use crate::types::oid;

/// Builtin functions have smaller OIDs (`FirstNormalObjectId`).
const FIRST_USER_OID: u32 = 16_384;
/// Since then a body that has a modifier of its own is relabelled to the function's type, which has none
/// (`coerce_type_typmod`).
const RELABELS: u32 = 15;

pub(super) fn is_user_defined(function: u32) -> bool {
    function >= FIRST_USER_OID
}

/// The user's function that a call or an operator calls.
pub(super) fn user_function(node: &Node) -> Option<u32> {
    let function = node.oid("funcid").or_else(|_| node.oid("opfuncid")).ok()?;
    is_user_defined(function).then_some(function)
}

/// True when what may stand in the place of this call may have another modifier than the call; false is certain, or of a
/// function whose body is not known, about which nothing is answered from memory.
pub(super) fn body_may_differ(node: &Node, catalog: &Catalog) -> bool {
    let Some(function) = user_function(node) else { return false };
    // A cast to a type with a modifier shows it, unless a body stands in its place.
    if modifier(&Tree::Node(node.clone())) != -1 {
        return true;
    }
    let Some(entry) = catalog.functions.get(&function) else { return true };
    if WITHOUT_MODIFIERS.contains(&entry.return_type) {
        return false;
    }
    let Some(body) = entry.body.as_deref().filter(|_| !entry.shielded) else { return false };
    let Ok(tree) = parse(body) else { return true };
    let target = statement(&tree).and_then(|query| query.find("targetList")?.items().first()?.as_node()?.find("expr"));
    let Some(target) = target else { return true };
    if modifier(target) != -1 {
        return catalog.server_major < RELABELS;
    }
    let args = node.find("args").map_or(&[][..], Tree::items);
    may_be(target, args.iter().any(|arg| modifier(arg) != -1))
}

/// A column of a function's body that stands in FROM may have a modifier.
pub(super) fn column_may_differ(expr: &Tree) -> bool {
    type_of(expr).is_none_or(|kind| !WITHOUT_MODIFIERS.contains(&kind)) && may_be(expr, true)
}

/// Types of whose values none has a modifier.
const WITHOUT_MODIFIERS: [u32; 13] = [
    oid::BOOL,
    oid::INT2,
    oid::INT4,
    oid::INT8,
    oid::FLOAT4,
    oid::FLOAT8,
    oid::TEXT,
    oid::BYTEA,
    oid::DATE,
    oid::UUID,
    oid::JSON,
    oid::JSONB,
    oid::OID,
];

/// The expression's value may be that of a parameter, with a modifier that is given for it, or of another body.
fn may_be(expr: &Tree, argument: bool) -> bool {
    let Some(node) = expr.as_node() else { return true };
    let any = |exprs: &[Tree]| exprs.iter().any(|expr| may_be(expr, argument));
    let items = |field: &str| node.find(field).map_or(&[][..], Tree::items);
    match node.label.as_str() {
        "PARAM" => argument,
        "CASEEXPR" => {
            let whens = items("args").iter().filter_map(Tree::as_node).filter_map(|when| when.find("result"));
            whens.chain(node.find("defresult")).any(|result| may_be(result, argument))
        }
        "COALESCEEXPR" | "MINMAXEXPR" | "NULLIFEXPR" => any(items("args")),
        "COLLATEEXPR" => node.find("arg").is_none_or(|arg| may_be(arg, argument)),
        "FUNCEXPR" | "OPEXPR" if user_function(node).is_some() => true,
        // Alone, when a constant decides for it.
        _ => modifier(expr) != -1,
    }
}
