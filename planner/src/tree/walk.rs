//! Which catalogue objects a tree names, so that their rows can be fetched before it is lowered.

use super::{Node, Tree};
use std::collections::BTreeSet;

/// OIDs a tree refers to, by catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    pub relations: BTreeSet<u32>,
    pub functions: BTreeSet<u32>,
    pub operators: BTreeSet<u32>,
    pub types: BTreeSet<u32>,
    pub collations: BTreeSet<u32>,
}

/// Everything the tree names, views not followed. On 15 a view's own OLD and NEW entries are left out: they are
/// recognised by their aliases and by not being in the FROM clause.
pub fn references(tree: &Tree) -> References {
    let mut found = References::default();
    visit(tree, &mut found);
    found
}

fn visit(tree: &Tree, found: &mut References) {
    match tree {
        Tree::Node(node) if is_rule_entry(node) => {}
        Tree::Node(node) => {
            for (field, value) in &node.fields {
                if let Some(set) = found.set_for(field) {
                    match value {
                        Tree::Word(word) => set.extend(word.parse::<u32>().ok().filter(|oid| *oid != 0)),
                        Tree::Numbers(numbers) => set.extend(
                            numbers.iter().filter_map(|number| u32::try_from(*number).ok()).filter(|oid| *oid != 0),
                        ),
                        _ => {}
                    }
                }
                visit(value, found);
            }
        }
        Tree::List(items) => items.iter().for_each(|item| visit(item, found)),
        Tree::Null | Tree::Word(_) | Tree::Text(_) | Tree::Numbers(_) | Tree::Datum { .. } => {}
    }
}

fn is_rule_entry(node: &Node) -> bool {
    let alias = node.find("alias").and_then(Tree::as_node).and_then(|alias| alias.word("aliasname").ok().flatten());
    node.label == "RANGETBLENTRY"
        && matches!(alias, Some("old" | "new"))
        && matches!(node.bool("inFromCl"), Ok(false))
        && matches!(node.word("relkind"), Ok(Some("v")))
}

impl References {
    /// Adds what another tree refers to.
    pub fn extend(&mut self, other: References) {
        self.relations.extend(other.relations);
        self.functions.extend(other.functions);
        self.operators.extend(other.operators);
        self.types.extend(other.types);
        self.collations.extend(other.collations);
    }

    fn set_for(&mut self, field: &str) -> Option<&mut BTreeSet<u32>> {
        Some(match field {
            "relid" => &mut self.relations,
            "funcid" | "opfuncid" | "aggfnoid" | "winfnoid" => &mut self.functions,
            "opno" | "opnos" | "eqop" | "sortop" => &mut self.operators,
            "vartype" | "consttype" | "paramtype" | "funcresulttype" | "resulttype" | "casetype" | "coalescetype"
            | "minmaxtype" | "aggtype" | "wintype" | "opresulttype" | "element_typeid" => &mut self.types,
            "inputcollid" | "inputcollids" | "varcollid" | "constcollid" | "resultcollid" | "collOid" => {
                &mut self.collations
            }
            _ => return None,
        })
    }
}
