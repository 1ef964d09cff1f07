//! Casts that are not function calls: relabelling, through text, COLLATE; and the elements of array operands.

use super::array_subquery::ListOrder;
use super::constant::decode_array;
use super::error::LowerError;
use super::expr::{ExprLowerer, Typed};
use super::kinds::{Representation, representation};
use super::sublink::ARRAY;
use super::unsupported;
use crate::expr::Expr;
use crate::functions::{array_of_arrays, array_slice, array_subscript};
use crate::settings::SettingSet;
use crate::tree::{Node, Tree};
use crate::types::{Collation, oid};
use crate::value::{Value, bound_type, element_type};

impl ExprLowerer<'_, '_> {
    /// `RelabelType`: the same bits under another type.
    pub(super) fn relabel(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let arg = self.expr(node.child("arg")?)?;
        let collation = node.oid("resultcollid")?;
        let kind = self.lowering.kind(node.oid("resulttype")?, node.int32("resulttypmod")?, collation)?;
        let from = representation(arg.kind.oid);
        let to = representation(kind.oid);
        let expr = match (arg.expr, from, to) {
            (expr, ..) if arg.kind.oid == kind.oid => expr,
            (expr, from, to) if from == to && from != Representation::Opaque => expr,
            (Expr::Const(Value::Null), ..) => Expr::Const(Value::Null),
            (Expr::Const(Value::Text(text)), Representation::Text, Representation::Bpchar) => {
                Expr::Const(Value::Bpchar(text))
            }
            // Held under another name; the cast from name does just that.
            (expr, Representation::Text, Representation::Bpchar) => Expr::call("name_bpchar", vec![expr]),
            _ => {
                let lowering = &self.lowering;
                let (from, to) = (lowering.type_name(arg.kind.oid), lowering.type_name(kind.oid));
                return unsupported(format!("cast from {from} to {to}"));
            }
        };
        Ok(Typed { expr, kind, collation })
    }

    /// COLLATE changes what a comparison means, not the value.
    pub(super) fn collate(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let arg = self.expr(node.child("arg")?)?;
        let collation = node.oid("collOid")?;
        let kind = self.lowering.kind(arg.kind.oid, arg.kind.typmod, collation)?;
        Ok(Typed { expr: arg.expr, kind, collation })
    }

    /// `CoerceViaIO`: output function, then input function.
    pub(super) fn via_text(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let arg = self.expr(node.child("arg")?)?;
        let result = self.typed(arg.expr.clone(), node.oid("resulttype")?, node.oid("resultcollid")?)?;
        let (from, to) = (arg.kind, result.kind.clone());
        if from.oid == to.oid {
            return Ok(result);
        }
        let of_label = from.collation == Collation::Labels && matches!(to.oid, oid::TEXT | oid::VARCHAR);
        if !of_label && !has_exact_text(from.oid, to.oid) {
            let lowering = &self.lowering;
            let (from, to) = (lowering.type_name(from.oid), lowering.type_name(to.oid));
            return unsupported(format!("cast from {from} to {to} through text"));
        }
        self.lowering.uses.settings = self.lowering.uses.settings.union(text_settings(from.oid));
        Ok(Typed { expr: Expr::ViaText { arg: Box::new(arg.expr), from, to }, ..result })
    }

    /// An array operand that is one value: a parameter, or NULL. None for any other.
    pub(super) fn array_value(&mut self, node: &Node) -> Result<Option<Expr>, LowerError> {
        match node.label.as_str() {
            "PARAM" => {
                let param = self.param(node)?;
                if element_type(param.kind.oid).is_none() {
                    let name = self.lowering.type_name(param.kind.oid);
                    return unsupported(format!("ANY or ALL over a parameter of type {name}"));
                }
                Ok(Some(param.expr))
            }
            "CONST" if node.bool("constisnull")? => Ok(Some(Expr::Const(Value::Null))),
            // Each element under another name: they are held alike.
            "VAR" | "FUNCEXPR" | "OPEXPR" | "COALESCEEXPR" | "CASEEXPR" | "SUBLINK" => {
                let is_list = node.label == "SUBLINK" && node.int("subLinkType")? == ARRAY;
                let array = if is_list { self.array_subquery(node, ListOrder::Any)? } else { self.expr(node)? };
                if element_type(array.kind.oid).is_none() {
                    let name = self.lowering.type_name(array.kind.oid);
                    return unsupported(format!("ANY or ALL over an array of type {name}"));
                }
                Ok(Some(array.expr))
            }
            "ARRAYCOERCEEXPR" if !relabels_elements(node)? => Ok(None),
            "RELABELTYPE" | "ARRAYCOERCEEXPR" => match self.array_value(node.child("arg")?)? {
                Some(expr) => {
                    let (from, to) = (self.array_element(node.child("arg")?)?, node.oid("resulttype")?);
                    let to = element_type(to).map(representation);
                    if from.is_none() || from != to {
                        return unsupported("ANY or ALL over a cast array parameter");
                    }
                    Ok(Some(expr))
                }
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    /// `ARRAY[…]`. One of arrays has a dimension more.
    pub(super) fn array(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let (array, element) = (node.oid("array_typeid")?, node.oid("element_typeid")?);
        let result = self.typed(Expr::Const(Value::Null), array, node.oid("array_collid")?)?;
        let refused = || unsupported(format!("ARRAY[…] of type {}", self.lowering.type_name(element)));
        let Some(element) = element_type(result.kind.oid) else { return refused() };
        let items = self.exprs(node.list("elements")?)?.into_iter().map(|item| item.expr);
        if node.bool("multidims")? {
            let element = Expr::Const(Value::Int4(element as i32));
            let args = std::iter::once(element).chain(items).collect();
            return Ok(Typed { expr: Expr::Call { function: array_of_arrays(), args }, ..result });
        }
        let items = items.collect();
        Ok(Typed { expr: Expr::Array { element, items }, ..result })
    }

    /// `array[i]…` and `array[i:j]…`. Subscripts of jsonb are others.
    pub(super) fn subscript(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let array = self.expr(node.child("refexpr")?)?;
        if element_type(array.kind.oid).is_none() {
            return unsupported(format!("subscript of type {}", self.lowering.type_name(array.kind.oid)));
        }
        let (lower, upper) = (node.list("reflowerindexpr")?, node.list("refupperindexpr")?);
        let mut args = vec![array.expr];
        for (place, subscript) in upper.iter().enumerate() {
            if !lower.is_empty() {
                args.push(self.subscript_of(lower.get(place).unwrap_or(&Tree::Null))?);
            }
            args.push(self.subscript_of(subscript)?);
        }
        let function = if lower.is_empty() { array_subscript() } else { array_slice() };
        let collation = node.oid("refcollid")?;
        let kind = self.lowering.kind(node.oid("refrestype")?, node.int32("reftypmod")?, collation)?;
        Ok(Typed { expr: Expr::Call { function, args }, kind, collation })
    }

    /// A bound that is left out, as only those of slices are, is no integer.
    fn subscript_of(&mut self, tree: &Tree) -> Result<Expr, LowerError> {
        let Some(node) = tree.as_node() else { return Ok(Expr::Const(Value::Bool(true))) };
        match self.expr(node)? {
            subscript if subscript.kind.oid == oid::INT4 => Ok(subscript.expr),
            _ => unsupported("array subscript that is no integer"),
        }
    }

    /// How the elements of an array operand that [`Self::array_value`] accepts are held.
    fn array_element(&self, node: &Node) -> Result<Option<Representation>, LowerError> {
        let array = match node.label.as_str() {
            "PARAM" => node.oid("paramtype")?,
            "VAR" => node.oid("vartype")?,
            "CONST" => node.oid("consttype")?,
            "RELABELTYPE" | "ARRAYCOERCEEXPR" => node.oid("resulttype")?,
            _ => return Ok(None),
        };
        Ok(element_type(array).map(representation))
    }

    /// The elements of an array operand whose length is known.
    pub(super) fn array_elements(&mut self, node: &Node) -> Result<Vec<Typed>, LowerError> {
        match node.label.as_str() {
            "ARRAYEXPR" if !node.bool("multidims")? => self.exprs(node.list("elements")?),
            "CONST" => self.constant_array(node),
            "RELABELTYPE" => self.array_elements(node.child("arg")?),
            // Each element goes through `elemexpr`, in which it appears as a CaseTestExpr.
            "ARRAYCOERCEEXPR" => {
                let elements = self.array_elements(node.child("arg")?)?;
                let conversion = node.child("elemexpr")?;
                let mut converted = Vec::with_capacity(elements.len());
                for element in elements {
                    let outer = self.case_test.replace(element);
                    let result = self.expr(conversion);
                    self.case_test = outer;
                    converted.push(result?);
                }
                Ok(converted)
            }
            "PARAM" => unsupported("ANY or ALL over a cast array parameter"),
            _ => unsupported("ANY or ALL over a computed array"),
        }
    }

    fn constant_array(&mut self, node: &Node) -> Result<Vec<Typed>, LowerError> {
        let array = node.oid("consttype")?;
        let element = self.lowering.catalog.types.get(&array).map_or(0, |entry| entry.element);
        let collation = node.oid("constcollid")?;
        let kind = self.lowering.kind(element, -1, collation)?;
        let Tree::Datum { bytes, .. } = node.field("constvalue")? else {
            return unsupported("ANY or ALL over a NULL array");
        };
        let values = match decode_array(bytes, kind.oid) {
            Ok(values) => values,
            Err(error) => {
                return unsupported(format!("constant of type {}[]: {error}", self.lowering.type_name(element)));
            }
        };
        let typed = |value| Typed { expr: Expr::Const(value), kind: kind.clone(), collation };
        Ok(values.into_iter().map(typed).collect())
    }
}

/// The conversion of an array's elements changes their type's name only.
fn relabels_elements(node: &Node) -> Result<bool, LowerError> {
    let conversion = node.child("elemexpr")?;
    Ok(conversion.label == "RELABELTYPE" && conversion.child("arg")?.label == "CASETESTEXPR")
}

/// Casts through text whose output and input functions are known exactly.
fn has_exact_text(from: u32, to: u32) -> bool {
    let text = |t| matches!(t, oid::TEXT | oid::VARCHAR | oid::NAME | oid::UNKNOWN);
    let from_known = !matches!(representation(from), Representation::Opaque);
    let to_known = matches!(
        to,
        oid::BOOL | oid::INT2 | oid::INT4 | oid::INT8 | oid::FLOAT4 | oid::FLOAT8 | oid::NUMERIC | oid::UUID
    );
    (from_known && matches!(to, oid::TEXT | oid::VARCHAR)) || (text(from) && to_known)
}

/// Settings an output function reads, whatever `provolatile` says (`float8out` is "immutable").
pub(super) fn text_settings(type_oid: u32) -> SettingSet {
    match element_type(type_oid).or_else(|| bound_type(type_oid)).unwrap_or(type_oid) {
        oid::FLOAT4 | oid::FLOAT8 => SettingSet::EXTRA_FLOAT_DIGITS,
        oid::DATE | oid::TIMESTAMP => SettingSet::DATE_STYLE,
        oid::TIMESTAMPTZ => SettingSet::DATE_STYLE.union(SettingSet::TIME_ZONE),
        oid::INTERVAL => SettingSet::INTERVAL_STYLE,
        oid::BYTEA => SettingSet::BYTEA_OUTPUT,
        _ => SettingSet::NONE,
    }
}
