//! Calls: functions, operators, comparisons. A call is accepted when it is a `pg_catalog` function that is registered
//! under its C symbol, or by name and argument types where Postgres has no symbol.

use super::arguments::is_enum_order;
use super::error::{LowerError, Unsupported};
use super::expr::{ExprLowerer, Typed, boolean};
use super::inline::BodyCall;
use super::{Lowering, unsupported};
use crate::catalog::FunctionEntry;
use crate::expr::Expr;
use crate::functions::{Function, lookup, lookup_on, takes_jsonpath, takes_letters};
use crate::tree::{Node, Tree};
use crate::types::{ColumnType, oid};
use crate::value::Value;

impl<'c> Lowering<'c> {
    pub(super) fn function_entry(&self, function: u32) -> Result<&'c FunctionEntry, LowerError> {
        self.catalog.functions.get(&function).ok_or(LowerError::Missing { kind: "function", oid: function })
    }

    /// `round(numeric,integer)`, with the schema where it is not `pg_catalog`.
    pub(super) fn signature(&self, entry: &FunctionEntry) -> String {
        let args: Vec<String> = entry.argument_types.iter().map(|t| self.type_name(*t)).collect();
        let schema = if entry.schema == "pg_catalog" { String::new() } else { format!("{}.", entry.schema) };
        format!("{schema}{}({})", entry.name, args.join(","))
    }

    /// The registered function behind an OID, under the collation it is called with.
    pub(super) fn function(&mut self, function: u32, collation: u32) -> Result<&'static Function, LowerError> {
        let entry = self.function_entry(function)?;
        let refuse =
            |detail: &str| Err(Unsupported::because(format!("function {}", self.signature(entry)), detail).into());
        if entry.schema != "pg_catalog" {
            return refuse("user-defined function");
        }
        if entry.volatility == 'v' {
            return refuse("volatile");
        }
        if entry.returns_set {
            return refuse("returns a set");
        }
        if self.immutable_bodies > 0 && entry.volatility != 'i' {
            return refuse("not immutable");
        }
        let found = match entry.language.as_str() {
            "internal" => lookup_on(&entry.prosrc, self.catalog.server_major),
            "sql" => lookup(&self.registry_name(entry)),
            _ => None,
        };
        let Some(found) = found else { return refuse("") };
        if found.strict != entry.strict && entry.language == "internal" {
            return refuse("strictness differs from this server's");
        }
        self.check_collation(found.symbol, collation)?;
        if matches!(found.symbol, "jsonb_lt" | "jsonb_le" | "jsonb_gt" | "jsonb_ge") {
            self.check_type_order("comparison", &ColumnType::new(oid::JSONB))?;
        }
        self.used(found);
        Ok(found)
    }

    /// The plan calls it.
    pub(super) fn used(&mut self, function: &'static Function) {
        if !self.uses.functions.contains(&function) {
            self.uses.functions.push(function);
        }
        self.uses.settings = self.uses.settings.union(function.settings);
    }

    /// The function of an operator, under the collation it is called with.
    pub(super) fn operator(&mut self, operator: u32, collation: u32) -> Result<&'static Function, LowerError> {
        let entry = self.catalog.operators.get(&operator);
        let entry = entry.ok_or(LowerError::Missing { kind: "operator", oid: operator })?;
        self.function(entry.function, collation)
    }

    /// `name(type,type)` with type names as in `pg_type.typname`.
    fn registry_name(&self, entry: &FunctionEntry) -> String {
        let names: Vec<&str> = entry
            .argument_types
            .iter()
            .map(|t| self.catalog.types.get(t).map_or("?", |entry| entry.name.as_str()))
            .collect();
        format!("{}({})", entry.name, names.join(","))
    }

    pub(super) fn check_collation(&self, symbol: &str, collation: u32) -> Result<(), LowerError> {
        if collation == 0 {
            return Ok(());
        }
        self.check_deterministic(collation)?;
        match collation_use(symbol) {
            CollationUse::None => Ok(()),
            CollationUse::Order => self.check_order(&format!("comparison of strings ({symbol})"), collation),
            CollationUse::Letters if self.catalog.letters.contains_key(&collation) => Ok(()),
            CollationUse::Letters => {
                unsupported(format!("{symbol} under collation {}", self.collation_name(collation)))
            }
        }
    }
}

/// What a string function asks of its collation.
enum CollationUse {
    /// Nothing, or equality only, which is bytewise under every deterministic collation.
    None,
    Order,
    /// Upper and lower case, letters and digits: the provider's tables.
    Letters,
}

fn collation_use(symbol: &str) -> CollationUse {
    match symbol {
        "text_lt" | "text_le" | "text_gt" | "text_ge" | "bttextcmp" | "text_larger" | "text_smaller" | "bpcharlt"
        | "bpcharle" | "bpchargt" | "bpcharge" | "bpcharcmp" | "bpchar_larger" | "bpchar_smaller" | "namelt"
        | "namele" | "namegt" | "namege" | "btnamecmp" | "array_lt" | "array_le" | "array_gt" | "array_ge" => {
            CollationUse::Order
        }
        _ if takes_letters(symbol) => CollationUse::Letters,
        _ => CollationUse::None,
    }
}

impl ExprLowerer<'_, '_> {
    pub(super) fn function_call(&mut self, node: &Node) -> Result<Typed, LowerError> {
        if node.bool("funcretset")? {
            return self.target_set(node);
        }
        let call = BodyCall::of(node, node.oid("funcid")?, "func")?;
        if let Some(body) = self.body_of_call(&call)? {
            return Ok(body);
        }
        let BodyCall { function, args, result, collation, input_collation } = call;
        if node.bool("funcvariadic")? {
            return unsupported("VARIADIC call");
        }
        if let Some(json) = self.json_constructor(function, args, result)? {
            return Ok(json);
        }
        let function = self.lowering.function(function, input_collation)?;
        if takes_jsonpath(function.symbol) {
            let args = self.jsonpath_arguments(node.oid("funcid")?, args)?;
            return self.typed(Expr::Call { function, args }, result, collation);
        }
        let args = self.exprs_in_order(function, node)?;
        let args = self.call_arguments(function, args)?;
        self.typed(self.call_under(function, args, input_collation)?, result, collation)
    }

    pub(super) fn operator_call(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let call = BodyCall::of(node, self.function_of_operator(node)?, "op")?;
        if let Some(body) = self.body_of_call(&call)? {
            return Ok(body);
        }
        let BodyCall { function, args, result, collation, input_collation } = call;
        let called = function;
        let function = self.lowering.function(called, input_collation)?;
        if takes_jsonpath(function.symbol) {
            let args = self.jsonpath_arguments(called, args)?;
            return self.typed(Expr::Call { function, args }, result, collation);
        }
        let args = self.exprs(args)?;
        let args = self.call_arguments(function, args)?;
        self.typed(self.call_under(function, args, input_collation)?, result, collation)
    }

    /// The call, with what the function has to be told of its collation.
    pub(super) fn call_under(
        &self,
        function: &'static Function,
        mut args: Vec<Expr>,
        collation: u32,
    ) -> Result<Expr, LowerError> {
        if takes_letters(function.symbol) {
            let Some(letters) = self.lowering.catalog.letters.get(&collation) else {
                return unsupported(format!("{} without a collation", function.symbol));
            };
            args.push(Expr::Const(Value::Int4(*letters)));
        }
        Ok(Expr::Call { function, args })
    }

    fn arguments(&mut self, args: &[Tree]) -> Result<Vec<Expr>, LowerError> {
        Ok(self.exprs(args)?.into_iter().map(|arg| arg.expr).collect())
    }

    fn function_of_operator(&self, node: &Node) -> Result<u32, LowerError> {
        let operator = node.oid("opno")?;
        match node.oid("opfuncid")? {
            0 => match self.lowering.catalog.operators.get(&operator) {
                Some(entry) => Ok(entry.function),
                None => Err(LowerError::Missing { kind: "operator", oid: operator }),
            },
            function => Ok(function),
        }
    }

    fn operator_function(&mut self, node: &Node) -> Result<&'static Function, LowerError> {
        self.lowering.function(self.function_of_operator(node)?, node.oid("inputcollid")?)
    }

    /// The operator and two operands of IS DISTINCT FROM and NULLIF.
    pub(super) fn comparison(
        &mut self,
        node: &Node,
        what: &str,
    ) -> Result<(&'static Function, (Expr, Expr)), LowerError> {
        let equal = self.operator_function(node)?;
        match <[Expr; 2]>::try_from(self.arguments(node.list("args")?)?) {
            Ok([left, right]) => Ok((equal, (left, right))),
            Err(_) => unsupported(format!("{what} of other than two operands")),
        }
    }

    /// `x op ANY (list)`, `x op ALL (list)`, and so IN lists.
    pub(super) fn scalar_array(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let function = self.operator_function(node)?;
        let any = node.bool("useOr")?;
        if is_enum_order(function.symbol) {
            return unsupported("ANY or ALL by the order of an enum");
        }
        let args = node.list("args")?;
        let [left, list] = args else { return unsupported("ANY of other than two operands") };
        let (Some(left), Some(list)) = (left.as_node(), list.as_node()) else {
            return unsupported("ANY of nothing");
        };
        let left = Box::new(self.expr(left)?.expr);
        let array = self.array_value(list)?;
        if takes_letters(function.symbol) {
            if array.is_some() {
                return unsupported(format!("{} of an array", function.symbol));
            }
            let mut calls = Vec::new();
            for element in self.array_elements(list)? {
                calls.push(self.call_under(function, vec![(*left).clone(), element.expr], node.oid("inputcollid")?)?);
            }
            return Ok(boolean(if any { Expr::Or(calls) } else { Expr::And(calls) }));
        }
        if let Some(array) = array {
            return Ok(boolean(Expr::ArrayMember { function, any, left, array: Box::new(array) }));
        }
        let list = self.array_elements(list)?.into_iter().map(|element| element.expr).collect();
        Ok(boolean(Expr::ScalarArray { function, any, left, list }))
    }

    /// CURRENT_TIMESTAMP and relatives.
    pub(super) fn sql_value_function(&mut self, node: &Node) -> Result<Typed, LowerError> {
        // SQLValueFunctionOp of src/include/nodes/primnodes.h.
        let name = match node.int("op")? {
            0 => "CURRENT_DATE",
            1 | 2 => "CURRENT_TIME",
            3 => "CURRENT_TIMESTAMP",
            4 => "CURRENT_TIMESTAMP with a precision",
            5 | 6 => "LOCALTIME",
            7 => "LOCALTIMESTAMP",
            8 => "LOCALTIMESTAMP with a precision",
            9 => "CURRENT_ROLE",
            10 => "CURRENT_USER",
            11 => "USER",
            12 => "SESSION_USER",
            13 => "CURRENT_CATALOG",
            14 => "CURRENT_SCHEMA",
            _ => "an unknown SQL value function",
        };
        // The very same values: GetSQLCurrentTimestamp is the transaction's start, like now(), and the others are what the
        // casts make of it (GetSQLCurrentDate, GetSQLLocalTimestamp).
        let cast = match name {
            "CURRENT_TIMESTAMP" => None,
            "CURRENT_DATE" => lookup("timestamptz_date"),
            "LOCALTIMESTAMP" => lookup("timestamptz_timestamp"),
            _ => return unsupported(name),
        };
        let Some(now) = lookup("now") else { return unsupported(name) };
        let uses = &mut self.lowering.uses;
        uses.settings = uses.settings.union(now.settings);
        let mut expr = Expr::Call { function: now, args: vec![] };
        if let Some(cast) = cast {
            uses.settings = uses.settings.union(cast.settings);
            expr = Expr::Call { function: cast, args: vec![expr] };
        }
        self.typed(expr, node.oid("type")?, 0)
    }
}
