//! One look at the change table: everything that one snapshot sees and the last one did not.

use super::record::{Action, Record};
use crate::capture::clock::Clock;
use crate::capture::error::CaptureError;
use crate::capture::gate::VisibleSet;
use futures_util::{TryStreamExt, pin_mut};
use std::collections::HashSet;
use std::error::Error;
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Client, Statement};
use weir_cache::Position;
use weir_planner::RelationId;

/// The first row is the statement's snapshot with the WAL's insert position and the time (µs since 2000), the others what
/// that snapshot sees. Rows of transactions below `$1`, all of which had ended at the last snapshot, have been drained and
/// need not be looked at.
const DRAIN: &str = "SELECT 0::bigint, '0'::xid8, 0::oid, 'S'::\"char\", \
         convert_to(pg_current_snapshot()::text || ' ' || pg_current_wal_insert_lsn()::text || ' ' \
             || (1000000 * (extract(epoch FROM clock_timestamp()) - 946684800))::bigint, 'UTF8') \
     UNION ALL \
     SELECT statement, xid, relid, action, record FROM pgtrickle_changes.changes WHERE xid >= $1::text::xid8";

/// The state up to the last snapshot.
pub(super) struct Drain {
    statement: Statement,
    seen: VisibleSet,
    /// The WAL's insert position at the last snapshot.
    insert: Position,
    /// Whoever sees more than the last snapshot asks for this position or a later one.
    seen_from: Position,
}

/// What one snapshot has brought.
pub(super) struct Drained {
    /// In no order.
    pub records: Vec<Record>,
    /// Those the records belong to.
    pub transactions: HashSet<u64>,
    pub snapshot: VisibleSet,
    pub position: Position,
    /// Whoever has seen one of these transactions asks for this position or a later one.
    pub seen_from: Position,
    /// Of the drain, which is later than all that it sees: µs since 2000.
    pub time_micros: i64,
}

impl Drain {
    /// What is visible now counts as drained (nothing is joined yet, and what will be is copied later); returns its
    /// transactions.
    pub(super) async fn start(client: &Client) -> Result<(Drain, HashSet<u64>), CaptureError> {
        // The table is small and never analysed; behind a burst it has many dead pages.
        client
            .batch_execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan; SET jit = off")
            .await?;
        let statement = client.prepare(DRAIN).await?;
        // Until this clock counts, positions are asked of the WAL: what the snapshot does not see is seen behind this one.
        let row = client.query_one("SELECT pg_current_wal_insert_lsn()::text", &[]).await?;
        let seen_from = row.try_get::<_, String>(0)?.parse().unwrap_or_default();
        let (first, head) = read(client, &statement, &VisibleSet::none()).await?;
        let leftovers = first.iter().map(|record| record.xid).collect();
        Ok((Drain { statement, seen: head.snapshot, insert: head.insert, seen_from }, leftovers))
    }

    pub(super) fn insert(&self) -> Position {
        self.insert
    }

    /// Everything that has become visible since the last call.
    pub(super) async fn next(&mut self, client: &Client, clock: &Clock) -> Result<Drained, CaptureError> {
        let order = clock.order().await;
        let position = clock.begin(self.insert);
        let (records, head) = read(client, &self.statement, &self.seen).await?;
        drop(order);
        self.insert = head.insert;
        self.seen = head.snapshot.clone();
        let transactions = records.iter().map(|record| record.xid).collect();
        let seen_from = std::mem::replace(&mut self.seen_from, Position(position.0 + 1));
        let (snapshot, time_micros) = (head.snapshot, head.time_micros);
        Ok(Drained { records, transactions, snapshot, position, seen_from, time_micros })
    }
}

/// The first row of a look.
struct Head {
    snapshot: VisibleSet,
    insert: Position,
    time_micros: i64,
}

impl Head {
    fn parse(text: &str) -> Option<Head> {
        let mut parts = text.splitn(3, ' ');
        let snapshot = VisibleSet::parse(parts.next()?).ok()?;
        Some(Head { snapshot, insert: parts.next()?.parse().ok()?, time_micros: parts.next()?.parse().ok()? })
    }
}

/// The records that the snapshot of this statement sees and `seen` does not.
async fn read(client: &Client, statement: &Statement, seen: &VisibleSet) -> Result<(Vec<Record>, Head), CaptureError> {
    let rows = client.query_raw(statement, [seen.xmin().to_string()]).await?;
    pin_mut!(rows);
    let (mut records, mut head) = (Vec::new(), None);
    while let Some(row) = rows.try_next().await? {
        let letter = row.try_get::<_, i8>(3)? as u8;
        let image: &[u8] = row.try_get::<_, Option<&[u8]>>(4)?.unwrap_or_default();
        if letter == b'S' {
            head = Head::parse(&String::from_utf8_lossy(image));
            continue;
        }
        let Xid8(xid) = row.try_get(1)?;
        if seen.sees_whole(xid) {
            continue;
        }
        let action = Action::parse(letter);
        let action = action.ok_or_else(|| CaptureError::Changes(format!("a record of kind {:?}", letter as char)))?;
        let (statement, table) = (row.try_get(0)?, RelationId(row.try_get(2)?));
        let split = Record::split(letter, image);
        let (layout, image) = split.ok_or_else(|| CaptureError::Changes("a record without its layout".into()))?;
        records.push(Record { statement, xid, table, action, layout, image: image.to_vec() });
    }
    let head = head.ok_or_else(|| CaptureError::Changes("a look without a snapshot".into()))?;
    Ok((records, head))
}

/// A 64-bit transaction id (`xid8send`).
struct Xid8(u64);

impl<'a> FromSql<'a> for Xid8 {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Xid8, Box<dyn Error + Sync + Send>> {
        Ok(Xid8(u64::from_be_bytes(raw.try_into()?)))
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::XID8
    }
}
