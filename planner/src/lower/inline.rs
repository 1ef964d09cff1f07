//! Users' functions in SQL, put in the place of their calls (`inline_function` of clauses.c): those whose body Postgres keeps
//! analysed (RETURN, BEGIN ATOMIC). A body of text means something else under another search path; it is here as the session
//! means it for which the catalogue was read, and only if it could be analysed.
//!
//! Whether Postgres puts the body in place or calls the function does not matter for what such a body can be, but for which
//! errors show: in place, what the body does not come to is not evaluated; called, all arguments are. Where the two could
//! differ, an error of either is an error here, and so Postgres' to tell.

use super::error::{LowerError, Unsupported};
use super::expr::{ExprLowerer, Typed};
use super::parts::Reference;
use super::unsupported;
use crate::catalog::FunctionEntry;
use crate::cost::{CALL, at_cost, cost};
use crate::expr::Expr;
use crate::functions::{body_of_call, body_of_strict_call, costing};
use crate::query::statement;
use crate::settings::SettingSet;
use crate::tree::{AccessError, Node, Tree, parse};

/// `DEFAULT_COLLATION_OID` (`pg_collation.dat`).
const DEFAULT_COLLATION: u32 = 100;

/// Nodes of a body put in place, those of its arguments and of bodies within it included. Beyond, calls of calls grow
/// exponentially.
const LARGEST_BODY: usize = 1000;

/// A body that is being put in place of a call.
pub(super) struct Body {
    function: u32,
    arguments: Vec<Typed>,
    /// How often each is used.
    uses: Vec<usize>,
}

impl Body {
    /// The argument of that number.
    pub fn argument(&mut self, index: usize) -> Option<Typed> {
        *self.uses.get_mut(index)? += 1;
        self.arguments.get(index).cloned()
    }
}

/// A call as the tree has it.
pub(super) struct BodyCall<'n> {
    pub function: u32,
    pub args: &'n [Tree],
    pub result: u32,
    pub collation: u32,
    pub input_collation: u32,
}

impl<'n> BodyCall<'n> {
    /// The call of this function that a node is; `prefix` as its fields have it (`func`, `op`).
    pub fn of(node: &'n Node, function: u32, prefix: &str) -> Result<BodyCall<'n>, AccessError> {
        Ok(BodyCall {
            function,
            args: node.list("args")?,
            result: node.oid(&format!("{prefix}resulttype"))?,
            collation: node.oid(&format!("{prefix}collid"))?,
            input_collation: node.oid("inputcollid")?,
        })
    }
}

impl ExprLowerer<'_, '_> {
    /// The call of a user's function in SQL; None for one of another kind.
    pub(super) fn body_of_call(&mut self, call: &BodyCall<'_>) -> Result<Option<Typed>, LowerError> {
        let entry = self.lowering.function_entry(call.function)?;
        if entry.schema == "pg_catalog" || entry.language != "sql" {
            return Ok(None);
        }
        let name = format!("function {}", self.lowering.signature(entry));
        let refuse = |detail: &str| Err(Unsupported::because(name.clone(), detail).into());
        if let Some(detail) = self.obstacle(call.function, entry) {
            return refuse(detail);
        }
        let Some(body) = &entry.body else {
            return refuse("its body is text that cannot be analysed, or that reads tables or the time");
        };
        // Read as text its parameters have the call's collation.
        if !entry.prosrc.is_empty() && !matches!(call.input_collation, 0 | DEFAULT_COLLATION) {
            return refuse("its body is text, and its call has a collation");
        }
        let tree = parse(body)?;
        let expr = match statement(&tree).map(only_expression).transpose()?.flatten() {
            Some(expr) => expr,
            None => return refuse("its body is more than one expression"),
        };
        let Some(arguments) = self.arguments_of_body(call.args, entry.argument_types.len())? else {
            return refuse("a call that leaves an argument to its default");
        };
        if arguments.iter().flat_map(|arg| arg.expr.columns()).any(|at| matches!(Reference::of(at), Reference::Set(_)))
        {
            return refuse("of what a set-returning function returns");
        }
        let (body, uses) = match self.in_place(expr, call.function, entry, arguments.clone()) {
            Err(LowerError::Unsupported(reason)) => return refuse(&reason.to_string()),
            other => other?,
        };
        if body.kind.oid != entry.return_type {
            return refuse("its body is of another type than its result");
        }
        let cost_in_postgres = cost_of_call(entry, &body.expr, &arguments, &uses);
        let expr = with_all_errors(body.expr, &arguments, &uses, entry.strict);
        let expr = if cost(&expr) == cost_in_postgres { expr } else { at_cost(expr, cost_in_postgres) };
        let mut size = 0;
        expr.visit(&mut |_| size += 1);
        if size > LARGEST_BODY {
            return refuse("put in its place it grows too large");
        }
        if !self.lowering.uses.bodies.contains(&call.function) {
            self.lowering.uses.bodies.push(call.function);
        }
        Ok(Some(self.typed(expr, call.result, call.collation)?))
    }

    fn obstacle(&self, function: u32, entry: &FunctionEntry) -> Option<&'static str> {
        if self.lowering.stored_values {
            // What is stored was computed by the function as it was then.
            Some("user-defined function")
        } else if entry.kind != 'f' || entry.returns_set {
            Some("returns a set")
        } else if entry.shielded {
            Some("SECURITY DEFINER, or with settings of its own")
        } else if self.bodies.iter().any(|body| body.function == function) {
            Some("it calls itself")
        } else {
            None
        }
    }

    /// The arguments in the order they are declared in. None where one is left to its default.
    fn arguments_of_body(&mut self, args: &[Tree], declared: usize) -> Result<Option<Vec<Typed>>, LowerError> {
        let mut places: Vec<Option<Typed>> = vec![None; declared];
        for (position, arg) in args.iter().enumerate() {
            let place = match arg.as_node() {
                Some(named) if named.label == "NAMEDARGEXPR" => named.index("argnumber")?,
                _ => position,
            };
            let typed = self.exprs(std::slice::from_ref(arg))?.pop();
            match places.get_mut(place) {
                Some(free @ None) => *free = typed,
                _ => return unsupported("named arguments in a strange order"),
            }
        }
        Ok(places.into_iter().collect())
    }

    /// The body over these arguments, and how often it uses each. It sees nothing of what is around its call.
    fn in_place(
        &mut self,
        expr: &Node,
        function: u32,
        entry: &FunctionEntry,
        arguments: Vec<Typed>,
    ) -> Result<(Typed, Vec<usize>), LowerError> {
        let frames = std::mem::take(&mut self.frames);
        let case_test = self.case_test.take();
        let sublink_columns = std::mem::take(&mut self.sublink_columns);
        let settings = std::mem::take(&mut self.lowering.uses.settings);
        let immutable = entry.volatility == 'i';
        self.lowering.immutable_bodies += usize::from(immutable);
        let uses = vec![0; arguments.len()];
        self.bodies.push(Body { function, arguments, uses });
        let lowered = self.expr(expr);
        let uses = self.bodies.pop().map_or(vec![], |body| body.uses);
        self.lowering.immutable_bodies -= usize::from(immutable);
        let read = std::mem::replace(&mut self.lowering.uses.settings, settings);
        self.lowering.uses.settings = settings.union(read);
        self.sublink_columns = sublink_columns;
        self.case_test = case_test;
        self.frames = frames;
        let lowered = lowered?;
        if read.contains(SettingSet::CLOCK) {
            return unsupported("reads the time");
        }
        if immutable && read != SettingSet::NONE {
            return unsupported("declared IMMUTABLE, which its body is not");
        }
        Ok((lowered, uses))
    }
}

/// The expression of a body that is `SELECT expression` and nothing else.
fn only_expression(query: &Node) -> Result<Option<&Node>, AccessError> {
    /// `CMD_SELECT`.
    const SELECT: i64 = 1;
    for flag in ["hasAggs", "hasWindowFuncs", "hasTargetSRFs", "hasSubLinks", "hasModifyingCTE"] {
        if query.bool(flag)? {
            return Ok(None);
        }
    }
    let lists = ["cteList", "rtable", "groupClause", "groupingSets", "windowClause", "distinctClause", "sortClause"];
    for list in lists {
        if !query.list(list)?.is_empty() {
            return Ok(None);
        }
    }
    for clause in ["havingQual", "limitOffset", "limitCount", "setOperations", "utilityStmt"] {
        if query.optional(clause)?.is_some() {
            return Ok(None);
        }
    }
    let from = query.child("jointree")?;
    if query.int("commandType")? != SELECT || !from.list("fromlist")?.is_empty() || from.optional("quals")?.is_some() {
        return Ok(None);
    }
    match query.nodes("targetList")?.as_slice() {
        [target] => Ok(Some(target.child("expr")?)),
        _ => Ok(None),
    }
}

/// The body with every error that Postgres may raise, and the NULL of a strict function.
fn with_all_errors(body: Expr, arguments: &[Typed], uses: &[usize], strict: bool) -> Expr {
    let evaluates_all = uses.iter().all(|uses| *uses > 0) && is_eager(&body);
    if evaluates_all && (!strict || is_strict(&body, arguments)) {
        return body;
    }
    let is_value = |expr: &Expr| matches!(expr, Expr::Const(_) | Expr::Param(_));
    let function = if strict { body_of_strict_call() } else { body_of_call() };
    // Values do not fail.
    let arguments = arguments.iter().map(|arg| &arg.expr).filter(|expr| strict || !is_value(expr)).cloned();
    let arguments: Vec<Expr> = arguments.collect();
    if arguments.is_empty() {
        return body;
    }
    Expr::Call { function, args: std::iter::once(body).chain(arguments).collect() }
}

/// What the call costs in Postgres, which puts the body in its place unless a strict function's is not, or a dear argument would be
/// evaluated twice.
fn cost_of_call(entry: &FunctionEntry, body: &Expr, arguments: &[Typed], uses: &[usize]) -> usize {
    /// From there on an argument is dear.
    const DEAR: usize = 10 * CALL;
    let costs = arguments.iter().map(|argument| cost(&argument.expr));
    let is_twice = costs.clone().zip(uses).any(|(cost, uses)| *uses > 1 && cost > DEAR);
    let is_called = is_twice || entry.strict && !(uses.iter().all(|uses| *uses > 0) && is_strict(body, arguments));
    if is_called { usize::try_from(entry.cost).unwrap_or_default() + costs.sum::<usize>() } else { cost(body) }
}

/// Every part is evaluated, whatever the others are.
fn is_eager(expr: &Expr) -> bool {
    let evaluates_all = matches!(
        expr,
        Expr::Column(_)
            | Expr::Const(_)
            | Expr::Param(_)
            | Expr::Call { .. }
            | Expr::Not(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::BooleanTest { .. }
            | Expr::Array { .. }
            | Expr::MinMax { .. }
            | Expr::ViaText { .. }
    );
    evaluates_all && expr.children().into_iter().all(is_eager)
}

/// NULL when any part is (`contain_nonstrict_functions` of clauses.c).
fn is_strict(expr: &Expr, arguments: &[Typed]) -> bool {
    // A list with a parameter in it is an ARRAY[…], whatever stands for the parameter.
    let is_given = |item: &Expr| arguments.iter().any(|argument| argument.expr == *item);
    let is_constant = |item: &Expr| matches!(item, Expr::Const(_)) && !is_given(item);
    let own = match expr {
        // Called, it is NULL with its arguments, whatever its body is.
        Expr::Call { function, args } if *function == body_of_strict_call() => {
            return args.iter().skip(1).all(|arg| is_strict(arg, arguments));
        }
        Expr::Call { function, .. } if *function == costing() => true,
        Expr::ScalarArray { function, list, .. } => function.strict && !list.is_empty() && list.iter().all(is_constant),
        Expr::Column(_) | Expr::Const(_) | Expr::Param(_) | Expr::ViaText { .. } | Expr::Not(_) => true,
        Expr::Call { function, .. } => function.strict,
        _ => false,
    };
    own && expr.children().into_iter().all(|child| is_strict(child, arguments))
}
