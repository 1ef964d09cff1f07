//! Whether a result's type modifiers can be other ones in the plan than in the analysed statement.
//!
//! A simple query and a portal are described from the plan (`ExecCleanTypeFromTL`), a statement from its analysis. The
//! planner may put a branch of CASE or COALESCE in the whole's place once constants decide (`eval_const_expressions`), also
//! constants that come out of a view below; if the branches' modifiers differ, the description then changes, from none
//! (-1) to the branch's own; and so with the arms of a UNION, of which one may be all that is left. Every other rewriting keeps
//! modifiers. So what is looked for, anywhere in the statement and in what it reads: branches of different modifiers that
//! constants could decide between.

mod constancy;
mod of_body;
mod of_expression;
mod of_union;

use crate::catalog::{Catalog, RelationKind};
use crate::expand::subquery;
use crate::tree::{Node, Tree, parse};
use constancy::{Scope, conditions};
use of_body::{body_may_differ, column_may_differ};
use of_expression::modifier;
use of_union::{has_conditions, may_be_empty};

/// True when the plan's description may differ; false is certain. Views and stream tables are followed as far as `catalog`
/// knows them; a column of an unknown one may be a constant.
pub fn modifiers_may_change(tree: &Tree, catalog: &Catalog) -> bool {
    Search { catalog, open: vec![], conditioned: false }.inside(tree, &Scope::none())
}

struct Search<'c> {
    catalog: &'c Catalog,
    /// Views being followed. A cycle cannot be (Postgres refuses), this bounds the depth all the same.
    open: Vec<u32>,
    /// A query around has conditions.
    conditioned: bool,
}

impl Search<'_> {
    fn inside(&mut self, tree: &Tree, scope: &Scope<'_>) -> bool {
        match tree {
            Tree::List(items) => items.iter().any(|item| self.inside(item, scope)),
            Tree::Node(node) if node.label == "QUERY" => {
                let scope = scope.enter(node);
                let around = self.conditioned;
                self.conditioned |= has_conditions(node);
                let found = node.fields.iter().any(|(_, value)| self.inside(value, &scope));
                self.conditioned = around;
                found
            }
            Tree::Node(node) => {
                self.is_open(node, scope) || node.fields.iter().any(|(_, value)| self.inside(value, scope))
            }
            _ => false,
        }
    }

    /// This node itself is such a place.
    fn is_open(&mut self, node: &Node, scope: &Scope<'_>) -> bool {
        let list = |field| node.find(field).map_or(&[][..], Tree::items);
        match node.label.as_str() {
            "COALESCEEXPR" => {
                differ(list("args")) && {
                    let states = list("args").iter().map(|arg| scope.state(arg, self.catalog));
                    let last = list("args").len().saturating_sub(1);
                    // A constant NULL is left out, what follows a constant is cut off.
                    states.enumerate().any(|(i, state)| state.may_be_null || state.may_be_constant && i < last)
                }
            }
            "CASEEXPR" => {
                let whens = list("args").iter().filter_map(Tree::as_node);
                let results = whens.filter_map(|when| when.find("result")).chain(node.find("defresult"));
                differ(results) && conditions(node).any(|expr| scope.state(expr, self.catalog).may_be_constant)
            }
            // From 18 on the left side's modifier alone is the result's.
            "SETOPERATIONSTMT" => {
                let union = matches!(node.int("op"), Ok(0 | 1));
                let sides = ["larg", "rarg"].map(|side| node.find(side));
                let modifiers = sides.map(|side| side.and_then(|side| scope.modifiers(side)));
                let may_be_empty =
                    |side: Option<&Tree>| side.is_none_or(|side| may_be_empty(side, scope, self.catalog));
                // What is asked of the whole is asked of each arm.
                (modifiers[0].is_none() || modifiers[0] != modifiers[1])
                    && (!union || self.conditioned || sides.into_iter().any(may_be_empty))
            }
            "RANGETBLENTRY" => self.view(node) || self.table_function(node, scope),
            "FUNCEXPR" | "OPEXPR" => body_may_differ(node, self.catalog),
            _ => false,
        }
    }

    fn view(&mut self, entry: &Node) -> bool {
        let Ok(relation) = entry.oid("relid") else { return false };
        let Some(text) = definition(self.catalog, relation) else { return false };
        if self.open.contains(&relation) {
            return false;
        }
        let Ok(tree) = parse(text) else { return true };
        self.open.push(relation);
        let found = self.inside(&tree, &Scope::none());
        self.open.pop();
        found
    }

    /// A function's columns have no modifier, but the planner puts those of a subquery in their place.
    fn table_function(&mut self, entry: &Node, scope: &Scope<'_>) -> bool {
        let Some(query) = subquery(entry, self.catalog) else { return false };
        let targets = query.find("targetList").map_or(&[][..], Tree::items).iter().filter_map(Tree::as_node);
        let may_show = targets.filter_map(|target| target.find("expr")).any(column_may_differ);
        may_show || self.inside(&Tree::Node(query), scope)
    }
}

/// The tree of a view or of a stream table (which is a view to Postgres).
fn definition(catalog: &Catalog, relation: u32) -> Option<&str> {
    match &catalog.relations.get(&relation)?.kind {
        RelationKind::View { tree } | RelationKind::StreamTable { tree } => Some(tree),
        RelationKind::Table
        | RelationKind::Partitioned { .. }
        | RelationKind::Parent { .. }
        | RelationKind::Other { .. } => None,
    }
}

/// Branches of which at least two have different modifiers.
fn differ<'t>(branches: impl IntoIterator<Item = &'t Tree>) -> bool {
    let mut modifiers = branches.into_iter().map(modifier);
    let first = modifiers.next();
    modifiers.any(|modifier| Some(modifier) != first)
}
