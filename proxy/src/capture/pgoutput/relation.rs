//! Relation messages, and how a tuple of the stream becomes a stored row of a watched table: columns are matched by
//! name, so that columns Weir does not keep, dropped or added ones do not matter.

use super::message::{Column, DecodeError, Tuple};
use crate::capture::TableSpec;
use crate::capture::repeats::Repeats;
use weir_cache::engine::TableNeeds;
use weir_planner::{Row, Value};

/// A Relation message: the table as the stream will send it until the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::capture) struct Relation {
    pub id: u32,
    pub schema: String,
    pub name: String,
    /// `pg_class.relreplident`; `f` sends whole old rows.
    pub identity: u8,
    pub columns: Vec<RelationColumn>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::capture) struct RelationColumn {
    pub name: String,
    pub type_oid: u32,
    pub typmod: i32,
}

/// Where each column of the stream goes in the stored row.
#[derive(Debug)]
pub(in crate::capture) struct Mapping {
    /// By column of the stream: position in the stored row and type, None for a column that is not kept.
    targets: Vec<Option<(usize, u32)>>,
    /// Columns of the stored row.
    width: usize,
}

/// Why a tuple could not become a stored row.
#[derive(Debug, thiserror::Error)]
pub(in crate::capture) enum RowError {
    /// The stream itself cannot be read any more.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// This table cannot be captured; others can.
    #[error("{0}")]
    Table(String),
}

impl Mapping {
    /// Matches what the stream sends with what is stored. Err: why the table cannot be captured (review 4.6: a surprise
    /// sheds the table).
    pub(in crate::capture) fn new(relation: &Relation, spec: &TableSpec) -> Result<Mapping, String> {
        if relation.identity != b'f' {
            return Err(format!("replica identity is not FULL (now {:?})", relation.identity as char));
        }
        let mut targets = vec![None; relation.columns.len()];
        for (position, column) in spec.stored_columns() {
            let found = relation.columns.iter().position(|sent| sent.name == column.name);
            let Some(at) = found else {
                return Err(format!("column {:?} is not in the stream", column.name));
            };
            let sent = &relation.columns[at];
            if (sent.type_oid, sent.typmod) != (column.type_oid, column.typmod) {
                return Err(format!("column {:?} has changed its type", column.name));
            }
            targets[at] = Some((position, column.value_oid));
        }
        Ok(Mapping { targets, width: spec.columns.len() })
    }

    /// Decodes a tuple. `old` is where unchanged values are taken from: those that are TOASTed are not sent. What nobody needs
    /// is NULL, or is not there where nothing follows.
    pub(in crate::capture) fn row(
        &self,
        tuple: Tuple<'_>,
        old: Option<&Row>,
        needs: Option<&TableNeeds>,
        repeats: &mut Repeats,
    ) -> Result<Row, RowError> {
        self.check(tuple)?;
        let width = needs.and_then(TableNeeds::width).unwrap_or(self.width).min(self.width);
        let mut values = vec![Value::Null; width];
        for (column, target) in tuple.columns().zip(&self.targets) {
            let column = column?;
            if let Some((position, type_oid)) = *target
                && needs.is_none_or(|needs| needs.reads(position))
            {
                values[position] = value(column, position, type_oid, old.map(|old| &old[..]), repeats)?;
            }
        }
        Ok(values.into())
    }

    fn check(&self, tuple: Tuple<'_>) -> Result<(), RowError> {
        match tuple.len() == self.targets.len() {
            true => Ok(()),
            false => Err(RowError::Table("a row has another number of columns than its relation".into())),
        }
    }

    /// Decodes only the columns with these positions (in ascending order) into a row whose other values are NULL.
    /// `old` as for [`Mapping::row`], with these columns at least.
    pub(in crate::capture) fn columns(
        &self,
        positions: &[usize],
        tuple: Tuple<'_>,
        old: Option<&[Value]>,
        repeats: &mut Repeats,
        into: &mut Vec<Value>,
    ) -> Result<(), RowError> {
        self.check(tuple)?;
        into.clear();
        into.resize(self.width, Value::Null);
        let mut missing = positions.len();
        for (column, target) in tuple.columns().zip(&self.targets) {
            if missing == 0 {
                break;
            }
            let column = column?;
            if let Some((position, type_oid)) = *target
                && positions.binary_search(&position).is_ok()
            {
                into[position] = value(column, position, type_oid, old, repeats)?;
                missing -= 1;
            }
        }
        Ok(())
    }
}

fn value(
    column: Column<'_>,
    position: usize,
    type_oid: u32,
    old: Option<&[Value]>,
    repeats: &mut Repeats,
) -> Result<Value, RowError> {
    Ok(match column {
        Column::Null => Value::Null,
        Column::Binary(bytes) => match old.map(|old| &old[position]) {
            // What an update leaves alone is held once, too.
            Some(known @ (Value::Text(text) | Value::Bpchar(text))) if text.as_bytes() == bytes => known.clone(),
            _ => repeats.decode(position, type_oid, bytes).map_err(|error| RowError::Table(error.to_string()))?,
        },
        Column::Unchanged => match old {
            Some(old) => old[position].clone(),
            None => return Err(RowError::Table("an unchanged TOASTed value came without its old row".into())),
        },
        Column::Text => return Err(RowError::Table(format!("type {type_oid} has no binary form"))),
    })
}
