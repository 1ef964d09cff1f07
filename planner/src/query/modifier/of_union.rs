//! Arms of a UNION that the planner may find empty. Where one arm is left, its plan stands in the whole's place, and describes the
//! columns with its own modifiers (`clean_up_removed_plan_level` in setrefs.c).

use super::constancy::Scope;
use super::definition;
use crate::catalog::Catalog;
use crate::tree::{Node, Tree, parse};
use std::collections::BTreeSet;

/// Whether the query has conditions of its own: of WHERE, ON or HAVING.
pub(super) fn has_conditions(query: &Node) -> bool {
    let mut conditions = vec![];
    gather(query, &mut conditions);
    !conditions.is_empty()
}

/// Whether one side of a set operation, in the range table of the scope's innermost query, may be found empty by its conditions, or
/// those of what it reads: one may become a constant, or two that compare with constants contradict each other.
pub(super) fn may_be_empty(side: &Tree, scope: &Scope<'_>, catalog: &Catalog) -> bool {
    let Some(side) = side.as_node() else { return true };
    if side.label == "SETOPERATIONSTMT" {
        return ["larg", "rarg"].iter().any(|arm| side.find(arm).is_none_or(|arm| may_be_empty(arm, scope, catalog)));
    }
    let Some(query) = side.index("rtindex").ok().and_then(|number| scope.subquery(number)) else { return true };
    let mut found = Found::default();
    found.query(query, scope, catalog);
    found.may_be_constant || found.comparisons_with_constants > 1
}

/// Of the conditions of a query and of what it reads.
#[derive(Default)]
struct Found {
    may_be_constant: bool,
    comparisons_with_constants: usize,
    /// Views that have been looked at. (Before 16 every view's range table names itself, twice.)
    views: BTreeSet<u32>,
}

impl Found {
    fn query(&mut self, query: &Node, scope: &Scope<'_>, catalog: &Catalog) {
        let scope = scope.enter(query);
        let mut conditions = vec![];
        gather(query, &mut conditions);
        for condition in conditions {
            self.condition(condition, &scope, catalog);
        }
        for entry in query.find("rtable").map_or(&[][..], Tree::items).iter().filter_map(Tree::as_node) {
            if let Some(subquery) = entry.find("subquery").and_then(Tree::as_node) {
                self.query(subquery, &scope, catalog);
            } else if entry.find("ctename").is_some() {
                // What WITH names is put in its place, wherever it stands.
                self.may_be_constant = true;
            } else if let Ok(relation) = entry.oid("relid")
                && let Some(text) = definition(catalog, relation)
                && self.views.insert(relation)
            {
                self.view(text, catalog);
            }
        }
    }

    fn view(&mut self, text: &str, catalog: &Catalog) {
        match parse(text) {
            Ok(tree) => {
                let queries = if let Tree::List(items) = &tree { &items[..] } else { std::slice::from_ref(&tree) };
                for query in queries.iter().filter_map(Tree::as_node) {
                    self.query(query, &Scope::none(), catalog);
                }
            }
            Err(_) => self.may_be_constant = true,
        }
    }

    fn condition(&mut self, condition: &Tree, scope: &Scope<'_>, catalog: &Catalog) {
        self.may_be_constant |= scope.state(condition, catalog).may_be_constant;
        let Some(node) = condition.as_node() else { return };
        // A subquery becomes a join, which is empty when it is.
        if let Some(subquery) = node.find("subselect").and_then(Tree::as_node) {
            self.query(subquery, scope, catalog);
        }
        let args = node.find("args").map_or(&[][..], Tree::items);
        match node.label.as_str() {
            "BOOLEXPR" => args.iter().for_each(|arg| self.condition(arg, scope, catalog)),
            _ if args.iter().any(|arg| scope.state(arg, catalog).may_be_constant) => {
                self.comparisons_with_constants += 1;
            }
            _ => {}
        }
    }
}

/// The conditions of one query, subqueries in FROM left out.
fn gather<'t>(query: &'t Node, conditions: &mut Vec<&'t Tree>) {
    fn from<'t>(tree: &'t Tree, conditions: &mut Vec<&'t Tree>) {
        match tree {
            Tree::List(items) => items.iter().for_each(|item| from(item, conditions)),
            Tree::Node(node) => {
                conditions.extend(node.find("quals").filter(|quals| quals.as_node().is_some()));
                for below in ["fromlist", "larg", "rarg"] {
                    node.find(below).into_iter().for_each(|below| from(below, conditions));
                }
            }
            _ => {}
        }
    }
    query.find("jointree").into_iter().for_each(|tree| from(tree, conditions));
    conditions.extend(query.find("havingQual").filter(|having| having.as_node().is_some()));
}
