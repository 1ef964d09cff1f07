//! Enums: a value is held as its label, and the order of labels is a constant of the plan. A changed order makes another plan.

use super::Lowering;
use super::expr::Typed;
use crate::expr::Expr;
use crate::functions::{enum_label, enum_rank};
use crate::types::{Collation, ColumnType, oid};
use crate::value::{Array, Value};

impl Lowering<'_> {
    /// The labels of an enum in their order, as text[]. None of another type.
    pub(super) fn labels(&self, kind: &ColumnType) -> Option<Expr> {
        let labels = self.catalog.labels.get(&kind.oid)?;
        let labels = labels.iter().map(|(_, label)| Value::text(label)).collect();
        Some(Expr::Const(Value::Array(Array::list(oid::TEXT, labels).into())))
    }

    /// What orders a value: its place among the labels; another type's value orders itself.
    pub(super) fn ordered(&self, expr: Expr, kind: &ColumnType) -> (Expr, ColumnType) {
        match self.labels(kind) {
            Some(labels) => {
                (Expr::Call { function: enum_rank(), args: vec![expr, labels] }, ColumnType::new(oid::INT4))
            }
            None => (expr, kind.clone()),
        }
    }

    /// The value that an extreme of [`Self::ordered`] stands for.
    pub(super) fn of_order(&self, expr: Expr, kind: &ColumnType) -> Expr {
        match self.labels(kind) {
            Some(labels) => Expr::Call { function: enum_label(), args: vec![expr, labels] },
            None => expr,
        }
    }

    /// The value of a constant, by the OID of its row in `pg_enum`.
    pub(super) fn enum_constant(&self, bytes: &[u8], kind: &ColumnType) -> Option<Value> {
        let row = u32::from_le_bytes(*bytes.first_chunk()?);
        let labels = self.catalog.labels.get(&kind.oid)?;
        labels.iter().find(|(oid, _)| *oid == row).map(|(_, label)| Value::Opaque(label.as_bytes().into()))
    }
}

impl Typed {
    pub(super) fn is_enum(&self) -> bool {
        self.kind.collation == Collation::Labels
    }
}
