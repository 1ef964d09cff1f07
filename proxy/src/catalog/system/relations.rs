//! Relations with their columns, keys, generated expressions and view trees.

use super::CatalogError;
use super::builtin::letter;
use crate::catalog::VALUE_TYPE;
use std::collections::{HashMap, HashSet};
use tokio_postgres::{Client, Row};
use weir_planner::catalog::{ColumnEntry, RelationEntry, RelationKind};

// Leaves, and heirs with whom they inherit from, by pg_inherits itself: pg_partition_tree locks every one of them, and would wait for
// whoever truncates one.
const RELATIONS: &str = "
    SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relpersistence::text, c.relrowsecurity,
           CASE WHEN EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid) THEN ARRAY(
               WITH RECURSIVE tree (relid) AS (
                   SELECT c.oid
                   UNION
                   SELECT i.inhrelid FROM tree t JOIN pg_inherits i ON i.inhparent = t.relid AND NOT i.inhdetachpending)
               SELECT l.oid FROM tree t JOIN pg_class l ON l.oid = t.relid WHERE l.relkind <> 'p' ORDER BY l.oid) END,
           (SELECT r.ev_action::text FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename = '_RETURN')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = ANY($1)";

// On 18 a NOT NULL constraint may be NOT VALID, with NULLs in the table.
fn columns() -> String {
    format!(
        "SELECT a.attrelid, a.attname::text, a.attnum, a.atttypid, a.atttypmod, a.attcollation, a.attgenerated::text,
           a.attnotnull AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = a.attrelid AND k.contype = 'n'
                                        AND a.attnum = ANY(k.conkey) AND NOT k.convalidated),
           CASE WHEN a.attgenerated <> '' THEN d.adbin::text END, {VALUE_TYPE}
    FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = ANY($1) AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attrelid, a.attnum"
    )
}

// Deferred uniqueness holds at commit only, partial and expression indexes say nothing about columns.
const KEYS: &str = "
    SELECT i.indrelid, (i.indkey::int2[])[0:i.indnkeyatts - 1]
    FROM pg_index i
    WHERE i.indrelid = ANY($1) AND i.indisunique AND i.indisvalid AND i.indimmediate
      AND i.indpred IS NULL AND i.indexprs IS NULL
    ORDER BY i.indrelid, i.indisprimary DESC, i.indexrelid";

/// These relations, those that exist.
pub async fn load(
    client: &Client,
    oids: &[u32],
    stream_tables: &HashSet<u32>,
) -> Result<HashMap<u32, RelationEntry>, CatalogError> {
    let mut found = HashMap::new();
    for row in client.query(RELATIONS, &[&oids]).await? {
        let oid: u32 = row.try_get(0)?;
        let entry = RelationEntry {
            schema: row.try_get(1)?,
            name: row.try_get(2)?,
            kind: match kind(&row)? {
                RelationKind::View { tree } if stream_tables.contains(&oid) => RelationKind::StreamTable { tree },
                other => other,
            },
            columns: vec![],
            unique_keys: vec![],
            generated: vec![],
        };
        found.insert(oid, entry);
    }
    for row in client.query(&columns(), &[&oids]).await? {
        let oid: u32 = row.try_get(0)?;
        let Some(entry) = found.get_mut(&oid) else { continue };
        if let Some(tree) = row.try_get::<_, Option<String>>(8)? {
            entry.generated.push((entry.columns.len(), tree));
        }
        entry.columns.push(ColumnEntry {
            name: row.try_get(1)?,
            number: row.try_get(2)?,
            type_oid: row.try_get(3)?,
            value_oid: row.try_get(9)?,
            typmod: row.try_get(4)?,
            collation: row.try_get(5)?,
            generated: letter(&row, 6)?,
            not_null: row.try_get(7)?,
        });
    }
    for row in client.query(KEYS, &[&oids]).await? {
        let oid: u32 = row.try_get(0)?;
        let numbers: Vec<i16> = row.try_get(1)?;
        let Some(entry) = found.get_mut(&oid) else { continue };
        let position = |number: &i16| entry.columns.iter().position(|column| column.number == *number);
        let Some(key) = numbers.iter().map(position).collect::<Option<Vec<usize>>>() else { continue };
        if !key.is_empty() && key.iter().all(|position| entry.columns[*position].not_null) {
            entry.unique_keys.push(key);
        }
    }
    Ok(found)
}

fn kind(row: &Row) -> Result<RelationKind, tokio_postgres::Error> {
    let schema: String = row.try_get(1)?;
    let persistence: String = row.try_get(4)?;
    let row_security: bool = row.try_get(5)?;
    let below: Option<Vec<u32>> = row.try_get(6)?;
    let kind = letter(row, 3)?;
    let other = |reason: &str| Ok(RelationKind::Other { reason: reason.to_owned() });
    match kind {
        _ if schema == "pg_catalog" || schema == "information_schema" || schema == "pg_toast" => {
            other("system relation")
        }
        _ if persistence == "t" => other("temporary relation"),
        'v' => match row.try_get(7)? {
            Some(tree) => Ok(RelationKind::View { tree }),
            None => other("view without a stored query"),
        },
        _ if row_security => other("table with row-level security"),
        'r' if persistence == "u" => other("unlogged table"),
        'r' => Ok(below.map_or(RelationKind::Table, |tables| RelationKind::Parent { tables })),
        'p' => Ok(RelationKind::Partitioned { leaves: below.unwrap_or_default() }),
        'm' => other("materialized view"),
        'f' => other("foreign table"),
        'S' => other("sequence"),
        _ => other("relation of an unknown kind"),
    }
}
