//! `to_json`, `json_build_object` and their kin: functions of arguments of any type, each of which becomes JSON in its own way.

use super::error::LowerError;
use super::expr::{ExprLowerer, Typed};
use super::unsupported;
use crate::expr::Expr;
use crate::functions::{JsonParts, JsonRole, json_of_parts};
use crate::tree::Tree;

impl ExprLowerer<'_, '_> {
    /// The call of such a function; None for another one.
    pub(super) fn json_constructor(
        &mut self,
        function: u32,
        args: &[Tree],
        result: u32,
    ) -> Result<Option<Typed>, LowerError> {
        let entry = self.lowering.function_entry(function)?;
        if entry.schema != "pg_catalog" || entry.language != "internal" {
            return Ok(None);
        }
        use JsonParts::*;
        let (parts, roles): (_, &[JsonRole]) = match entry.prosrc.as_str() {
            "to_json" => (None, &[JsonRole::Json]),
            "row_to_json" if is_whole_row(args) => (None, &[JsonRole::Json]),
            "to_jsonb" => (None, &[JsonRole::Jsonb]),
            "json_build_array" | "json_build_array_noargs" => (Some(JsonArray), &[JsonRole::Json]),
            "jsonb_build_array" | "jsonb_build_array_noargs" => (Some(JsonbArray), &[JsonRole::Jsonb]),
            "json_build_object" | "json_build_object_noargs" => (Some(JsonObject), &[JsonRole::Key, JsonRole::Json]),
            "jsonb_build_object" | "jsonb_build_object_noargs" => {
                (Some(JsonbObject), &[JsonRole::Key, JsonRole::Jsonb])
            }
            _ => return Ok(None),
        };
        let signature = format!("function {}", self.lowering.signature(entry));
        if self.lowering.immutable_bodies > 0 {
            return unsupported(format!("{signature}: not immutable"));
        }
        if !args.len().is_multiple_of(roles.len()) {
            return unsupported(format!("{signature} of keys and values that are no pairs"));
        }
        let mut images = Vec::with_capacity(args.len());
        for (arg, role) in args.iter().zip(roles.iter().cycle()) {
            let Some(arg) = arg.as_node() else { return unsupported(signature) };
            images.push(self.json_operand(arg, *role, &signature)?);
        }
        let expr = match (parts, images.pop()) {
            (None, Some(image)) => image,
            (None, None) => return unsupported(signature),
            (Some(parts), last) => {
                images.extend(last);
                Expr::Call { function: json_of_parts(parts), args: images }
            }
        };
        self.typed(expr, result, 0).map(Some)
    }
}

/// The one argument is a row of FROM as a whole.
fn is_whole_row(args: &[Tree]) -> bool {
    let [arg] = args else { return false };
    arg.as_node().is_some_and(|arg| arg.label == "VAR" && arg.int("varattno") == Ok(0))
}
