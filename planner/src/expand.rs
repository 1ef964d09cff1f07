//! Users' functions in SQL that return sets, put in the place of their calls in FROM as subqueries
//! (`inline_set_returning_function` of clauses.c, with its conditions: not strict, not volatile, arguments without subqueries).
//! The tree is rewritten, so that whatever reads it afterwards meets the tables of the body like any others.

use crate::catalog::{Catalog, FunctionEntry};
use crate::query::statement;
use crate::tree::{Node, Tree, parse, references};
use crate::types::oid;
use std::borrow::Cow;

/// `RTE_SUBQUERY` and `RTE_FUNCTION`.
const SUBQUERY: &str = "1";
const FUNCTION: i64 = 3;

/// Calls that are replaced in one tree, those within bodies included: calls of calls grow exponentially.
const MOST_CALLS: usize = 64;

/// A tree with bodies in the place of calls.
pub struct Expanded<'t> {
    pub tree: Cow<'t, Tree>,
    /// The functions whose bodies it holds.
    pub functions: Vec<u32>,
}

/// Replaces what can be, as far as the catalogue knows the functions; other calls stay as they are.
pub fn expand<'t>(tree: &'t Tree, catalog: &Catalog) -> Expanded<'t> {
    let mut expansion = Expansion { catalog, functions: vec![], open: vec![] };
    if !expansion.has_calls(tree) {
        return Expanded { tree: Cow::Borrowed(tree), functions: vec![] };
    }
    let expanded = expansion.tree(tree);
    Expanded { tree: Cow::Owned(expanded), functions: expansion.functions }
}

/// What stands in the place of this range table entry, if it is such a call.
pub(crate) fn subquery(entry: &Node, catalog: &Catalog) -> Option<Node> {
    Expansion { catalog, functions: vec![], open: vec![] }.body(entry)
}

struct Expansion<'c> {
    catalog: &'c Catalog,
    functions: Vec<u32>,
    /// Functions within whose bodies this is.
    open: Vec<u32>,
}

impl Expansion<'_> {
    fn has_calls(&self, tree: &Tree) -> bool {
        match tree {
            Tree::Node(node) => self.call(node).is_some() || node.fields.iter().any(|(_, value)| self.has_calls(value)),
            Tree::List(items) => items.iter().any(|item| self.has_calls(item)),
            _ => false,
        }
    }

    fn tree(&mut self, tree: &Tree) -> Tree {
        match tree {
            Tree::Node(node) => Tree::Node(self.node(node)),
            Tree::List(items) => Tree::List(items.iter().map(|item| self.tree(item)).collect()),
            other => other.clone(),
        }
    }

    fn node(&mut self, node: &Node) -> Node {
        if let Some(body) = self.body(node) {
            let kept = node.fields.iter().filter(|(name, _)| !matches!(name.as_str(), "rtekind" | "functions"));
            let own = [("rtekind", Tree::Word(SUBQUERY.into())), ("subquery", Tree::Node(body))];
            let own = own.map(|(name, value)| (name.to_owned(), value));
            return Node { label: node.label.clone(), fields: own.into_iter().chain(kept.cloned()).collect() };
        }
        let fields = node.fields.iter().map(|(name, value)| (name.clone(), self.tree(value)));
        Node { label: node.label.clone(), fields: fields.collect() }
    }

    /// The one call that a range table entry consists of, to a function that can be replaced.
    fn call<'n>(&self, entry: &'n Node) -> Option<(&'n Node, &FunctionEntry)> {
        if entry.label != "RANGETBLENTRY"
            || entry.int("rtekind") != Ok(FUNCTION)
            || entry.bool("funcordinality") != Ok(false)
        {
            return None;
        }
        let [function] = entry.find("functions")?.items() else { return None };
        let call = function.as_node()?.find("funcexpr")?.as_node()?;
        let known = self.catalog.functions.get(&call.oid("funcid").ok()?)?;
        let is_replaced = call.label == "FUNCEXPR"
            && known.schema != "pg_catalog"
            && known.language == "sql"
            && known.kind == 'f'
            && known.returns_set
            && !known.strict
            && !known.shielded
            && matches!(known.volatility, 'i' | 's')
            && known.body.is_some();
        is_replaced.then_some((call, known))
    }

    fn body(&mut self, entry: &Node) -> Option<Node> {
        let (call, known) = self.call(entry)?;
        let function = call.oid("funcid").ok()?;
        if call.bool("funcvariadic") != Ok(false) || self.open.contains(&function) || self.functions.len() >= MOST_CALLS
        {
            return None;
        }
        // Read as text its parameters have the call's collation.
        if !known.prosrc.is_empty() && !matches!(call.oid("inputcollid"), Ok(0 | DEFAULT_COLLATION)) {
            return None;
        }
        let args = self.arguments(call, known.argument_types.len())?;
        let body = parse(known.body.as_ref()?).ok()?;
        let query = statement(&body)?;
        let targets = query.find("targetList")?.items().iter().filter_map(Tree::as_node);
        let shown = targets.filter(|target| target.bool("resjunk") == Ok(false));
        // Others are converted by an assignment cast.
        let types: Option<Vec<u32>> = shown.map(|target| type_of(target.find("expr")?)).collect();
        if types? != known.columns {
            return None;
        }
        let in_place = substituted(query, &args, 0)?;
        self.functions.push(function);
        self.open.push(function);
        let expanded = self.node(&in_place);
        self.open.pop();
        Some(expanded)
    }

    /// The arguments in the order they are declared in, if Postgres would put them into the body.
    fn arguments(&self, call: &Node, declared: usize) -> Option<Vec<Tree>> {
        let mut places: Vec<Option<Tree>> = vec![None; declared];
        for (position, arg) in call.find("args")?.items().iter().enumerate() {
            let (place, value) = match arg.as_node() {
                Some(named) if named.label == "NAMEDARGEXPR" => (named.index("argnumber").ok()?, named.find("arg")?),
                _ => (position, arg),
            };
            let is_settled = |function: &u32| self.catalog.functions.get(function).is_some_and(|f| f.volatility != 'v');
            if has_query(value) || !references(value).functions.iter().all(is_settled) {
                return None;
            }
            match places.get_mut(place)? {
                free @ None => *free = Some(value.clone()),
                Some(_) => return None,
            }
        }
        places.into_iter().collect()
    }
}

/// `DEFAULT_COLLATION_OID` (`pg_collation.dat`).
const DEFAULT_COLLATION: u32 = 100;

fn has_query(tree: &Tree) -> bool {
    match tree {
        Tree::Node(node) => {
            matches!(node.label.as_str(), "SUBLINK" | "QUERY" | "AGGREF" | "GROUPINGFUNC" | "WINDOWFUNC")
                || node.fields.iter().any(|(_, value)| has_query(value))
        }
        Tree::List(items) => items.iter().any(has_query),
        _ => false,
    }
}

/// A body's node with arguments in the place of its parameters; it stands within `depth` of the body's queries. None where a
/// parameter has no argument.
fn substituted(node: &Node, args: &[Tree], depth: i64) -> Option<Node> {
    fn within(tree: &Tree, args: &[Tree], depth: i64) -> Option<Tree> {
        Some(match tree {
            // PARAM_EXTERN.
            Tree::Node(node) if node.label == "PARAM" && node.int("paramkind") == Ok(0) => {
                raised(args.get(node.index("paramid").ok()?.checked_sub(1)?)?, depth)
            }
            Tree::Node(node) => Tree::Node(substituted(node, args, depth)?),
            Tree::List(items) => Tree::List(items.iter().map(|item| within(item, args, depth)).collect::<Option<_>>()?),
            other => other.clone(),
        })
    }
    let depth = depth + i64::from(node.label == "QUERY");
    let fields = node.fields.iter().map(|(name, value)| Some((name.clone(), within(value, args, depth)?)));
    Some(Node { label: node.label.clone(), fields: fields.collect::<Option<_>>()? })
}

/// An expression as it stands so many queries further down (`IncrementVarSublevelsUp`).
fn raised(tree: &Tree, depth: i64) -> Tree {
    match tree {
        Tree::Node(node) => {
            let level = |name: &str, value: &Tree| match value {
                Tree::Word(word) if name == "varlevelsup" => {
                    Tree::Word(word.parse::<i64>().map_or(word.clone(), |level| (level + depth).to_string()))
                }
                other => raised(other, depth),
            };
            let fields = node.fields.iter().map(|(name, value)| (name.clone(), level(name, value)));
            Tree::Node(Node { label: node.label.clone(), fields: fields.collect() })
        }
        Tree::List(items) => Tree::List(items.iter().map(|item| raised(item, depth)).collect()),
        other => other.clone(),
    }
}

/// The type of an analysed expression (`exprType` of nodeFuncs.c), of the commoner ones.
pub(crate) fn type_of(expr: &Tree) -> Option<u32> {
    let node = expr.as_node()?;
    let field = |name| node.oid(name).ok();
    match node.label.as_str() {
        "VAR" => field("vartype"),
        "CONST" => field("consttype"),
        "PARAM" => field("paramtype"),
        "FUNCEXPR" => field("funcresulttype"),
        "OPEXPR" | "NULLIFEXPR" => field("opresulttype"),
        "AGGREF" => field("aggtype"),
        "WINDOWFUNC" => field("wintype"),
        "RELABELTYPE" | "COERCEVIAIO" | "ARRAYCOERCEEXPR" | "COERCETODOMAIN" => field("resulttype"),
        "CASEEXPR" => field("casetype"),
        "COALESCEEXPR" => field("coalescetype"),
        "MINMAXEXPR" => field("minmaxtype"),
        "ARRAYEXPR" | "ARRAY" => field("array_typeid"),
        "SUBSCRIPTINGREF" => field("refrestype"),
        "COLLATEEXPR" => node.find("arg").and_then(type_of),
        "BOOLEXPR" | "NULLTEST" | "BOOLEANTEST" | "ROWCOMPAREEXPR" | "SCALARARRAYOPEXPR" | "DISTINCTEXPR" => {
            Some(oid::BOOL)
        }
        // EXPR_SUBLINK has its column's, EXISTS, ALL and ANY are conditions.
        "SUBLINK" => match node.int("subLinkType").ok()? {
            0..=3 => Some(oid::BOOL),
            4 => {
                let target = node.find("subselect")?.as_node()?.find("targetList")?.items().first()?;
                target.as_node()?.find("expr").and_then(type_of)
            }
            _ => None,
        },
        _ => None,
    }
}
