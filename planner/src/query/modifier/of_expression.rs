//! The type modifier of an analysed expression: `exprTypmod` of `src/backend/nodes/nodeFuncs.c`.

use crate::tree::{Node, Tree};
use crate::types::oid;

/// -1 is none.
pub(super) fn modifier(expr: &Tree) -> i64 {
    expr.as_node().and_then(of_node).unwrap_or(-1)
}

fn of_node(node: &Node) -> Option<i64> {
    let field = |name| node.int(name).ok();
    match node.label.as_str() {
        "VAR" => field("vartypmod"),
        "CONST" => field("consttypmod"),
        "PARAM" => field("paramtypmod"),
        "RELABELTYPE" | "ARRAYCOERCEEXPR" | "COERCETODOMAIN" | "FIELDSELECT" => field("resulttypmod"),
        "SUBSCRIPTINGREF" => field("reftypmod"),
        "CASETESTEXPR" | "COERCETODOMAINVALUE" | "SETTODEFAULT" => field("typeMod"),
        "PLACEHOLDERVAR" => node.find("phexpr").map(modifier),
        "FUNCEXPR" => length_coercion(node),
        "COLLATEEXPR" => node.find("arg").map(modifier),
        "NULLIFEXPR" => node.find("args")?.items().first().map(modifier),
        "COALESCEEXPR" | "MINMAXEXPR" => common(node.find("args")?.items().iter()),
        "CASEEXPR" => {
            let whens = node.find("args")?.items().iter().filter_map(Tree::as_node);
            common(whens.filter_map(|when| when.find("result")).chain(node.find("defresult")))
        }
        // A scalar subquery or ARRAY(…) has its column's.
        "SUBLINK" if matches!(field("subLinkType"), Some(4 | 6)) => {
            let target = node.find("subselect")?.as_node()?.find("targetList")?.items().first()?;
            target.as_node()?.find("expr").map(modifier)
        }
        _ => None,
    }
}

/// The one all branches have.
fn common<'t>(mut branches: impl Iterator<Item = &'t Tree>) -> Option<i64> {
    let first = modifier(branches.next()?);
    branches.all(|branch| modifier(branch) == first).then_some(first)
}

/// A cast to a type with a modifier is a call with the modifier as its second argument (`exprIsLengthCoercion`).
fn length_coercion(node: &Node) -> Option<i64> {
    // COERCE_EXPLICIT_CAST and COERCE_IMPLICIT_CAST.
    if !matches!(node.int("funcformat"), Ok(1 | 2)) {
        return None;
    }
    let constant = node.find("args")?.items().get(1)?.as_node()?;
    let is_int4 = constant.label == "CONST" && constant.oid("consttype") == Ok(oid::INT4);
    match constant.find("constvalue")? {
        Tree::Datum { bytes, .. } if is_int4 => Some(i32::from_le_bytes(*bytes.first_chunk()?).into()),
        _ => None,
    }
}
