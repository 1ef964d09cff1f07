//! The preconditions of capturing a table, read from the catalogue: before the snapshot, under the snapshot's lock, and
//! again whenever the catalogue has changed. What does not hold is said in words that name the remedy.

use super::TableSpec;
use super::method::Method;
use tokio_postgres::{Client, Row};
use weir_planner::RelationId;

/// First major version whose publications have column lists and row filters, as a version number.
const COLUMN_LISTS_SINCE: i32 = 150_000;

/// INSERT, UPDATE, DELETE and TRUNCATE: only one event's trigger may have transition tables.
const TRIGGERS: i64 = 4;

/// A table as the catalogue shows it now.
#[derive(Clone, Debug, Default)]
pub(super) struct TableState {
    /// `pg_class.oid`.
    pub table: u32,
    /// Changes when the table is rewritten or truncated.
    pub relfilenode: u32,
    kind: String,
    persistence: String,
    identity: String,
    is_partition: bool,
    has_children: bool,
    published: bool,
    publishes_all_operations: bool,
    via_root: bool,
    row_filter: bool,
    /// It is a partition or inherits.
    has_parent: bool,
    /// A subscription writes it, which fires no statement triggers.
    subscribed: bool,
    /// Weir's triggers, if all of them belong there and fire in every session.
    triggers: i64,
    columns: Vec<ColumnState>,
}

#[derive(Clone, Debug)]
struct ColumnState {
    name: String,
    type_oid: u32,
    typmod: i32,
    generated: bool,
    published: bool,
}

/// The state of those of `tables` that exist. One query.
pub(super) async fn states(
    client: &Client,
    publication: &str,
    tables: &[RelationId],
) -> Result<Vec<TableState>, tokio_postgres::Error> {
    let tables: Vec<u32> = tables.iter().map(|table| table.0).collect();
    let version: i32 = client.query_one("SELECT current_setting('server_version_num')::int", &[]).await?.try_get(0)?;
    let lists = if version >= COLUMN_LISTS_SINCE {
        "m.rowfilter IS NOT NULL, a.attname = ANY (m.attnames)"
    } else {
        "false, m.tablename IS NOT NULL"
    };
    let text = format!(
        "SELECT c.oid, c.relfilenode, c.relkind::text, c.relpersistence::text, c.relreplident::text, c.relispartition,
                EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid),
                m.tablename IS NOT NULL,
                coalesce(p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate, false),
                coalesce(p.pubviaroot, false),
                a.attname::text, a.atttypid, a.atttypmod, a.attgenerated <> '', {lists},
                EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid),
                EXISTS (SELECT FROM pg_subscription_rel s WHERE s.srrelid = c.oid
                    OR s.srrelid IN (SELECT a.relid FROM pg_partition_ancestors(c.oid) a)),
                (SELECT CASE WHEN bool_and(t.tgenabled = 'A' AND CASE WHEN c.relispartition
                         THEN t.tgname = 'weir_capture_truncate' OR t.tgname IN ('weir_partition_insert_' || k.root,
                             'weir_partition_update_' || k.root, 'weir_partition_delete_' || k.root)
                         ELSE starts_with(t.tgname::text, 'weir_capture_') END) THEN count(*) ELSE 0 END
                 FROM pg_trigger t CROSS JOIN (SELECT pg_partition_root(c.oid)::oid) k (root)
                 WHERE t.tgrelid = c.oid
                   AND (starts_with(t.tgname::text, 'weir_capture_') OR starts_with(t.tgname::text, 'weir_partition_')))
         FROM pg_class c
         JOIN pg_namespace n ON n.oid = c.relnamespace
         LEFT JOIN pg_publication p ON p.pubname = $2
         LEFT JOIN LATERAL (SELECT * FROM pg_publication_tables t
           WHERE t.pubname = $2 AND t.schemaname = n.nspname AND t.tablename = c.relname LIMIT 1) m ON true
         LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE c.oid = ANY ($1)
         ORDER BY c.oid, a.attnum"
    );
    let mut states: Vec<TableState> = Vec::new();
    for row in client.query(&text, &[&tables, &publication]).await? {
        let oid: u32 = row.try_get(0)?;
        if states.last().is_none_or(|last| last.table != oid) {
            states.push(table_state(&row)?);
        }
        if let (Some(name), Some(state)) = (row.try_get::<_, Option<String>>(10)?, states.last_mut()) {
            state.row_filter = row.try_get::<_, Option<bool>>(14)?.unwrap_or(false);
            state.columns.push(ColumnState {
                name,
                type_oid: row.try_get(11)?,
                typmod: row.try_get(12)?,
                generated: row.try_get(13)?,
                published: row.try_get::<_, Option<bool>>(15)?.unwrap_or(false),
            });
        }
    }
    Ok(states)
}

fn table_state(row: &Row) -> Result<TableState, tokio_postgres::Error> {
    Ok(TableState {
        table: row.try_get(0)?,
        relfilenode: row.try_get(1)?,
        kind: row.try_get(2)?,
        persistence: row.try_get(3)?,
        identity: row.try_get(4)?,
        is_partition: row.try_get(5)?,
        has_children: row.try_get(6)?,
        published: row.try_get(7)?,
        publishes_all_operations: row.try_get(8)?,
        via_root: row.try_get(9)?,
        has_parent: row.try_get(16)?,
        subscribed: row.try_get(17)?,
        triggers: row.try_get(18)?,
        ..TableState::default()
    })
}

impl TableState {
    /// Why this table cannot be captured as `spec` wants it; None if it can.
    pub(super) fn refusal(&self, spec: &TableSpec, method: Method) -> Option<String> {
        match self.kind.as_str() {
            "r" => {}
            "p" => return Some("it is partitioned: its leaves are captured, not it".into()),
            _ => return Some("it is not an ordinary table".into()),
        }
        let problem = match method {
            Method::Wal => self.missing_in_the_wal(),
            Method::Trigger => self.missed_by_triggers(),
        };
        let unpublished = |wanted| self.column_refusal(wanted, method);
        problem.map(str::to_owned).or_else(|| spec.columns.iter().find_map(unpublished))
    }

    fn missing_in_the_wal(&self) -> Option<&'static str> {
        if self.persistence != "p" {
            Some("unlogged and temporary tables leave no trace in the WAL")
        } else if self.identity != "f" {
            Some("it lacks REPLICA IDENTITY FULL")
        } else if !self.published {
            Some("it is not in Weir's publication")
        } else if !self.publishes_all_operations {
            Some("Weir's publication does not publish all operations")
        } else if self.via_root && self.is_partition {
            Some("Weir's publication publishes partitions via their root")
        } else if self.row_filter {
            Some("its publication has a row filter")
        } else {
            None
        }
    }

    fn missed_by_triggers(&self) -> Option<&'static str> {
        if self.has_parent && !self.is_partition {
            Some("it inherits from a table: writes through that one do not fire its statement triggers")
        } else if self.has_children {
            Some("it has inheritance children: what is written through it does not fire their statement triggers")
        } else if self.subscribed {
            Some("a subscription writes it, which fires no statement triggers")
        } else if self.triggers != TRIGGERS {
            Some("Weir's triggers are missing or disabled")
        } else {
            None
        }
    }

    fn column_refusal(&self, wanted: &weir_planner::catalog::ColumnEntry, method: Method) -> Option<String> {
        let name = &wanted.name;
        let Some(column) = self.columns.iter().find(|column| column.name == *name) else {
            return Some(format!("column {name:?} does not exist any more"));
        };
        if (column.type_oid, column.typmod) != (wanted.type_oid, wanted.typmod) {
            return Some(format!("column {name:?} has changed its type"));
        }
        if column.generated != (wanted.generated != ' ') {
            return Some(format!("column {name:?} is generated now, or not any more"));
        }
        if method == Method::Wal && !column.generated && !column.published {
            return Some(format!("column {name:?} is not published"));
        }
        None
    }
}
