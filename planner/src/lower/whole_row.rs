//! A row of FROM as a whole (`to_jsonb(t)`, `json_agg(t ORDER BY t.id)`): as a JSON object, which is all that is made of one here.

use super::error::LowerError;
use super::expr::{ExprLowerer, Frame};
use super::unsupported;
use crate::catalog::{ColumnEntry, RelationKind};
use crate::expand::type_of;
use crate::expr::Expr;
use crate::functions::{JsonParts, JsonRole, json_image, json_of_parts};
use crate::query::{FromItem, JoinType, RangeKind};
use crate::tree::{Node, Tree};
use crate::value::Value;

/// A column of such a row.
struct Field {
    name: String,
    type_oid: u32,
    attribute: i64,
    not_null: bool,
}

impl ExprLowerer<'_, '_> {
    /// The expression as JSON of this role: what it is when it is a row as a whole, and else what its value becomes.
    pub(super) fn json_operand(&mut self, node: &Node, role: JsonRole, signature: &str) -> Result<Expr, LowerError> {
        if let Some(row) = self.row_as_json(node, role)? {
            return Ok(row);
        }
        let value = self.expr(node)?;
        self.json_of(value.expr, value.kind.oid, role, signature)
    }

    fn json_of(&mut self, value: Expr, type_oid: u32, role: JsonRole, what: &str) -> Result<Expr, LowerError> {
        let Some(function) = json_image(type_oid, role) else {
            return unsupported(format!("{what} of type {}", self.lowering.type_name(type_oid)));
        };
        let uses = &mut self.lowering.uses;
        uses.settings = uses.settings.union(function.settings);
        Ok(Expr::Call { function, args: vec![value] })
    }

    /// The object that a reference to a whole row becomes; None for any other expression.
    pub(super) fn row_as_json(&mut self, node: &Node, role: JsonRole) -> Result<Option<Expr>, LowerError> {
        if node.label != "VAR" || node.int("varattno")? != 0 || role == JsonRole::Key {
            return Ok(None);
        }
        let (level, varno) = (node.index("varlevelsup")?, node.index("varno")?);
        let Some(frame) = self.frames.get(level).copied() else { return unsupported("correlated subquery") };
        let fields = self.fields(frame, varno)?;
        let mut members = Vec::with_capacity(2 * fields.len());
        let mut certain = None;
        for field in fields {
            let Some(position) = frame.columns.position(varno, field.attribute) else {
                return unsupported("whole-row reference");
            };
            let column = Expr::Column(position);
            if field.not_null {
                certain = Some(column.clone());
            }
            let kind = self.lowering.kind(field.type_oid, -1, 0)?;
            members.push(Expr::Const(Value::Opaque(field.name.as_bytes().into())));
            members.push(self.json_of(column, kind.oid, role, "JSON of a row with a column")?);
        }
        let parts = if role == JsonRole::Json { JsonParts::JsonRow } else { JsonParts::JsonbObject };
        let object = Expr::Call { function: json_of_parts(parts), args: members };
        // A row that an outer join adds is NULL, one of NULLs is not.
        if !frame.level.query.from.iter().any(|item| may_be_missing(item, varno)) {
            return Ok(Some(object));
        }
        match certain {
            Some(column) => {
                let missing = (Expr::IsNull(Box::new(column)), Expr::Const(Value::Null));
                Ok(Some(Expr::Case { branches: vec![missing], otherwise: Box::new(object) }))
            }
            None => unsupported("a whole row that an outer join may add"),
        }
    }

    /// Names are those of the relation's type, or what the subquery's columns are called.
    fn fields(&self, frame: Frame<'_>, varno: usize) -> Result<Vec<Field>, LowerError> {
        let Some(entry) = frame.level.query.range.get(varno.wrapping_sub(1)) else {
            return unsupported("whole-row reference");
        };
        match &entry.kind {
            RangeKind::Relation { oid, .. } => {
                let found = self.lowering.catalog.relations.get(oid);
                let relation = found.ok_or(LowerError::Missing { kind: "relation", oid: *oid })?;
                // (Heirs may have NULLs where whom they inherit from has none.)
                let is_kept = matches!(relation.kind, RelationKind::Table | RelationKind::Partitioned { .. });
                let field = |column: &ColumnEntry| Field {
                    name: column.name.clone(),
                    type_oid: column.type_oid,
                    attribute: column.number.into(),
                    not_null: is_kept && column.not_null && column.generated == ' ',
                };
                Ok(relation.columns.iter().map(field).collect())
            }
            RangeKind::Subquery(query) => {
                let targets = query.find("targetList").map_or(&[][..], Tree::items).iter().filter_map(Tree::as_node);
                let shown = targets.filter(|target| target.bool("resjunk") == Ok(false));
                let types = shown.map(|target| target.find("expr").and_then(type_of));
                let fields = entry.columns.iter().zip(types).zip(1..).map(|((name, type_oid), attribute)| {
                    let (Tree::Text(name), Some(type_oid)) = (name, type_oid) else { return None };
                    Some(Field { name: name.clone(), type_oid, attribute, not_null: false })
                });
                fields.collect::<Option<Vec<Field>>>().map_or_else(|| unsupported("whole-row reference"), Ok)
            }
            _ => unsupported("whole-row reference"),
        }
    }
}

/// The item stands on a side of an outer join whose rows may be missing.
fn may_be_missing(item: &FromItem<'_>, varno: usize) -> bool {
    let FromItem::Join { kind, left, right, .. } = item else { return false };
    let of_left = matches!(kind, JoinType::Right | JoinType::Full) && holds(left, varno);
    let of_right = matches!(kind, JoinType::Left | JoinType::Full) && holds(right, varno);
    of_left || of_right || may_be_missing(left, varno) || may_be_missing(right, varno)
}

fn holds(item: &FromItem<'_>, varno: usize) -> bool {
    match item {
        FromItem::Range(number) => *number == varno,
        FromItem::Join { left, right, .. } => holds(left, varno) || holds(right, varno),
    }
}
