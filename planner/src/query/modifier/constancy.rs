//! Which expressions the planner could fold to a constant, columns of subqueries and views followed to what they are.

use super::definition;
use super::of_body::{is_user_defined, user_function};
use super::of_expression::modifier;
use crate::catalog::Catalog;
use crate::tree::{Node, Tree, parse};

/// What may become of an expression; both false is certain.
#[derive(Clone, Copy, Default)]
pub(super) struct State {
    pub may_be_constant: bool,
    pub may_be_null: bool,
}

const NEVER: State = State { may_be_constant: false, may_be_null: false };
const ANYTHING: State = State { may_be_constant: true, may_be_null: true };

/// The queries around a place, innermost last.
pub(super) struct Scope<'t> {
    queries: Vec<&'t Node>,
}

impl<'t> Scope<'t> {
    pub fn none() -> Scope<'t> {
        Scope { queries: vec![] }
    }

    pub fn enter(&self, query: &'t Node) -> Scope<'t> {
        let mut queries = self.queries.clone();
        queries.push(query);
        Scope { queries }
    }

    fn outer(&self, levels: usize) -> Option<Scope<'t>> {
        let kept = self.queries.len().checked_sub(levels)?;
        Some(Scope { queries: self.queries[..kept].to_vec() })
    }

    /// The range table entry `number`, counted from 1.
    fn entry(&self, number: usize) -> Option<&'t Node> {
        self.queries.last()?.find("rtable")?.items().get(number.checked_sub(1)?)?.as_node()
    }

    /// The subquery that the range table entry `number` is.
    pub fn subquery(&self, number: usize) -> Option<&'t Node> {
        self.entry(number)?.find("subquery")?.as_node()
    }

    /// Modifiers of the columns of one side of a set operation.
    pub fn modifiers(&self, side: &Tree) -> Option<Vec<i64>> {
        let side = side.as_node()?;
        if side.label == "SETOPERATIONSTMT" {
            return Some(side.numbers("colTypmods").ok()?.to_vec());
        }
        let query = self.subquery(side.index("rtindex").ok()?)?;
        let targets = query.find("targetList")?.items().iter().filter_map(Tree::as_node);
        let shown = targets.filter(|target| target.bool("resjunk") == Ok(false));
        shown.map(|target| target.find("expr").map(modifier)).collect()
    }

    /// What `eval_const_expressions` may make of an expression.
    pub fn state(&self, expr: &Tree, catalog: &Catalog) -> State {
        let node = match expr {
            Tree::Node(node) => node,
            Tree::List(items) => return self.together(items.iter(), false, catalog),
            _ => return NEVER,
        };
        let children = || node.fields.iter().map(|(_, value)| value);
        match node.label.as_str() {
            "CONST" => State { may_be_constant: true, may_be_null: node.bool("constisnull") != Ok(false) },
            "PARAM" => ANYTHING,
            // Of the expression beside it in CASE, which is looked at as well.
            "CASETESTEXPR" => NEVER,
            "AGGREF" | "WINDOWFUNC" | "SUBLINK" | "GROUPINGFUNC" => NEVER,
            "VAR" => self.column(node, catalog).unwrap_or(ANYTHING),
            // Its body may be constant whatever its arguments are.
            "FUNCEXPR" | "OPEXPR" if user_function(node).is_some() => ANYTHING,
            // One constant can decide the whole.
            "BOOLEXPR" => self.if_any(node.find("args").map_or(&[][..], Tree::items), catalog),
            // Where its first argument is not one, the others are not reached.
            "COALESCEEXPR" => self.if_any(node.find("args").and_then(|args| args.items().first()), catalog),
            "CASEEXPR" => self.if_any(conditions(node), catalog),
            _ => self.together(children(), !keeps_values(node), catalog),
        }
    }

    /// A call: constant when all it takes is, or when it is strict and something is NULL. `may_return_null`: of constants
    /// that are not NULL.
    fn together<'x>(&self, parts: impl Iterator<Item = &'x Tree>, may_return_null: bool, catalog: &Catalog) -> State {
        let (mut all, mut null, mut count) = (true, false, 0);
        for part in
            parts.filter(|part| matches!(part, Tree::Node(_)) || matches!(part, Tree::List(items) if !items.is_empty()))
        {
            let state = self.state(part, catalog);
            all &= state.may_be_constant;
            null |= state.may_be_null;
            count += 1;
        }
        match count {
            0 => NEVER,
            _ if null => ANYTHING,
            _ => State { may_be_constant: all, may_be_null: all && may_return_null },
        }
    }

    fn if_any<'x>(&self, parts: impl IntoIterator<Item = &'x Tree>, catalog: &Catalog) -> State {
        let decides = parts.into_iter().any(|part| self.state(part, catalog).may_be_constant);
        if decides { ANYTHING } else { NEVER }
    }

    /// A column: what the expression behind it may become. None when that is not known.
    fn column(&self, var: &Node, catalog: &Catalog) -> Option<State> {
        let scope = self.outer(var.index("varlevelsup").ok()?)?;
        let entry = scope.entry(var.index("varno").ok()?)?;
        // 0 is the whole row, negative numbers are system columns.
        let number = usize::try_from(var.int("varattno").ok()?).ok().filter(|number| *number > 0)?;
        // RTEKind: relation, subquery, join, … group.
        match entry.int("rtekind").ok()? {
            0 if entry.word("relkind").ok()? != Some("v") => Some(NEVER),
            0 => {
                let tree = parse(definition(catalog, entry.oid("relid").ok()?)?).ok()?;
                let query = match &tree {
                    Tree::List(items) => items.first()?.as_node()?,
                    other => other.as_node()?,
                };
                Scope::none().enter(query).target(number, catalog)
            }
            1 => scope.enter(entry.find("subquery")?.as_node()?).target(number, catalog),
            2 => Some(scope.state(entry.find("joinaliasvars")?.items().get(number - 1)?, catalog)),
            9 => Some(scope.state(entry.find("groupexprs")?.items().get(number - 1)?, catalog)),
            _ => None,
        }
    }

    /// The innermost query's column.
    fn target(&self, number: usize, catalog: &Catalog) -> Option<State> {
        let target = self.queries.last()?.find("targetList")?.items().get(number - 1)?.as_node()?;
        Some(self.state(target.find("expr")?, catalog))
    }
}

/// What decides a CASE: the conditions, and what they are compared with in `CASE x WHEN`.
pub(super) fn conditions(case: &Node) -> impl Iterator<Item = &Tree> {
    let whens = case.find("args").map_or(&[][..], Tree::items).iter().filter_map(Tree::as_node);
    whens.filter_map(|when| when.find("expr")).chain(case.find("arg"))
}

/// A conversion: of a value that is not NULL it makes another that is not.
fn keeps_values(node: &Node) -> bool {
    match node.label.as_str() {
        "RELABELTYPE" | "COERCEVIAIO" | "ARRAYCOERCEEXPR" | "COLLATEEXPR" => true,
        // COERCE_EXPLICIT_CAST and COERCE_IMPLICIT_CAST.
        "FUNCEXPR" => {
            matches!(node.int("funcformat"), Ok(1 | 2)) && node.oid("funcid").is_ok_and(|f| !is_user_defined(f))
        }
        _ => false,
    }
}
