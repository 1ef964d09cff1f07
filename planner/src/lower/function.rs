//! Calls: functions, operators, comparisons. A call is accepted when it is a `pg_catalog` function that is registered
//! under its C symbol, or by name and argument types where Postgres has no symbol.

use super::error::{LowerError, Unsupported};
use super::expr::{ExprLowerer, Typed, boolean};
use super::inline::BodyCall;
use super::kinds::has_equality;
use super::{Lowering, unsupported};
use crate::catalog::FunctionEntry;
use crate::expr::Expr;
use crate::functions::{Function, lookup, lookup_on};
use crate::tree::{Node, Tree};
use crate::types::oid;
use crate::value::{Value, element_type};

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
        if !self.uses.functions.contains(&found) {
            self.uses.functions.push(found);
        }
        self.uses.settings = self.uses.settings.union(found.settings);
        Ok(found)
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

    fn check_collation(&self, symbol: &str, collation: u32) -> Result<(), LowerError> {
        if collation == 0 {
            return Ok(());
        }
        self.check_deterministic(collation)?;
        match collation_use(symbol) {
            CollationUse::None => Ok(()),
            CollationUse::Order => self.check_order(&format!("comparison of strings ({symbol})"), collation),
            // ASCII is the same in all of these; beyond it the function itself gives up.
            CollationUse::CharacterClasses => self.check_order(symbol, collation),
        }
    }
}

/// What a string function asks of its collation.
enum CollationUse {
    /// Nothing, or equality only, which is bytewise under every deterministic collation.
    None,
    Order,
    /// Upper and lower case, letters and digits: the provider's tables.
    CharacterClasses,
}

fn collation_use(symbol: &str) -> CollationUse {
    match symbol {
        "text_lt" | "text_le" | "text_gt" | "text_ge" | "bttextcmp" | "text_larger" | "text_smaller" | "bpcharlt"
        | "bpcharle" | "bpchargt" | "bpcharge" | "bpcharcmp" | "bpchar_larger" | "bpchar_smaller" | "namelt"
        | "namele" | "namegt" | "namege" | "btnamecmp" => CollationUse::Order,
        // Which of these fold case is only known with their options.
        "lower"
        | "upper"
        | "initcap"
        | "texticlike"
        | "texticnlike"
        | "bpcharlike_ic"
        | "texticregexeq"
        | "texticregexne"
        | "regexp_like"
        | "textregexreplace"
        | "regexp_match"
        | "regexp_split_to_array" => CollationUse::CharacterClasses,
        _ => CollationUse::None,
    }
}

/// The text of these types is the same under all settings.
fn has_plain_text(type_oid: u32) -> bool {
    matches!(
        type_oid,
        oid::BOOL
            | oid::INT2
            | oid::INT4
            | oid::INT8
            | oid::NUMERIC
            | oid::TEXT
            | oid::VARCHAR
            | oid::NAME
            | oid::UNKNOWN
            | oid::BPCHAR
    )
}

/// Comparisons that ask for the labels in their order.
fn is_enum_order(symbol: &str) -> bool {
    matches!(symbol, "enum_lt" | "enum_le" | "enum_gt" | "enum_ge")
}

/// Functions of arrays of any element type.
fn takes_arrays(symbol: &str) -> bool {
    symbol.starts_with("array_") || matches!(symbol, "arraycontains" | "arraycontained" | "arrayoverlap")
}

impl ExprLowerer<'_, '_> {
    pub(super) fn function_call(&mut self, node: &Node) -> Result<Typed, LowerError> {
        if node.bool("funcretset")? {
            return self.target_set(node);
        }
        let args = node.list("args")?;
        let (function, result, collation) =
            (node.oid("funcid")?, node.oid("funcresulttype")?, node.oid("funccollid")?);
        if let Some(body) = self.body_of_call(&BodyCall {
            function,
            args,
            result,
            collation,
            input_collation: node.oid("inputcollid")?,
        })? {
            return Ok(body);
        }
        if node.bool("funcvariadic")? {
            return unsupported("VARIADIC call");
        }
        let function = self.lowering.function(function, node.oid("inputcollid")?)?;
        let args = self.exprs_in_order(function, node)?;
        let args = self.call_arguments(function, args)?;
        self.typed(Expr::Call { function, args }, result, collation)
    }

    pub(super) fn operator_call(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let args = node.list("args")?;
        let (function, result, collation) =
            (self.function_of_operator(node)?, node.oid("opresulttype")?, node.oid("opcollid")?);
        if let Some(body) = self.body_of_call(&BodyCall {
            function,
            args,
            result,
            collation,
            input_collation: node.oid("inputcollid")?,
        })? {
            return Ok(body);
        }
        let function = self.lowering.function(function, node.oid("inputcollid")?)?;
        let args = self.exprs(args)?;
        let args = self.call_arguments(function, args)?;
        self.typed(Expr::Call { function, args }, result, collation)
    }

    /// The arguments of a call in the order they are declared in: named ones stand as they were written, and those left to
    /// their defaults are not there.
    fn exprs_in_order(&mut self, function: &Function, node: &Node) -> Result<Vec<Typed>, LowerError> {
        let written = node.list("args")?;
        let is_named = |arg: &Tree| arg.as_node().is_some_and(|arg| arg.label == "NAMEDARGEXPR");
        let declared = self.lowering.function_entry(node.oid("funcid")?)?.argument_types.clone();
        let zeros = function.symbol == "make_interval";
        let is_short = zeros && written.len() < declared.len();
        if !is_short && !written.iter().any(is_named) {
            return self.exprs(written);
        }
        let mut places: Vec<Option<Typed>> = vec![None; declared.len()];
        for (position, arg) in written.iter().enumerate() {
            let place = match arg.as_node() {
                Some(named) if is_named(arg) => usize::try_from(named.int("argnumber")?).ok(),
                _ => Some(position),
            };
            let typed = self.exprs(std::slice::from_ref(arg))?.pop();
            match place.and_then(|place| places.get_mut(place)) {
                Some(free @ None) => *free = typed,
                _ => return unsupported("named arguments in a strange order"),
            }
        }
        let mut args = Vec::with_capacity(places.len());
        for (place, type_oid) in places.into_iter().zip(declared) {
            let zero = if type_oid == oid::FLOAT8 { Value::Float8(0.0) } else { Value::Int4(0) };
            args.push(match place {
                Some(given) => given,
                None if zeros => self.typed(Expr::Const(zero), type_oid, 0)?,
                None => return unsupported("a call that leaves an argument to its default"),
            });
        }
        Ok(args)
    }

    /// The arguments of a call of `function`. Concatenation takes any type and casts it to text: refused for types
    /// whose text depends on a setting.
    fn call_arguments(&mut self, function: &Function, args: Vec<Typed>) -> Result<Vec<Expr>, LowerError> {
        if takes_arrays(function.symbol) {
            // Elements of other types are not compared here; an element beside an array has the array's type.
            let is_known = |arg: &Typed| element_type(arg.kind.oid).is_some() || has_equality(arg.kind.oid);
            if let Some(arg) = args.iter().find(|arg| !is_known(arg)) {
                let name = self.lowering.type_name(arg.kind.oid);
                return unsupported(format!("{} of type {name}", function.symbol));
            }
        }
        if function.symbol.starts_with("textanycat(")
            || function.symbol.starts_with("anytextcat(")
            || matches!(function.symbol, "text_concat" | "text_concat_ws")
        {
            for arg in &args {
                if !has_plain_text(arg.kind.oid) {
                    let name = self.lowering.type_name(arg.kind.oid);
                    return unsupported(format!("concatenation with a value of type {name}"));
                }
            }
        }
        let labels = match (is_enum_order(function.symbol), args.first()) {
            (true, Some(arg)) => Some(self.lowering.labels(&arg.kind)),
            (true, None) => Some(None),
            (false, _) => None,
        };
        let mut args: Vec<Expr> = args.into_iter().map(|arg| arg.expr).collect();
        match labels {
            None => {}
            Some(Some(labels)) => args.push(labels),
            Some(None) => return unsupported("comparison of an enum that is not known"),
        }
        Ok(args)
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
        if let Some(array) = self.array_value(list)? {
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
