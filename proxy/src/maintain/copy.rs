//! Rows of a view as Postgres evaluates it, under its creator's settings and one snapshot.

use super::hold::Settlement;
use crate::capture::Capture;
use crate::catalog::rows::StreamTableRow;
use futures_util::{StreamExt, pin_mut};
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use weir_cache::Position;
use weir_planner::value::decode_binary;
use weir_planner::{ColumnType, Row, Value};

#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error("{}", crate::catalog::install::describe(.0))]
    Postgres(#[from] tokio_postgres::Error),
    #[error("a COPY stream that Weir cannot read: {0}")]
    Format(&'static str),
    #[error("column {column}: {reason}")]
    Value { column: usize, reason: String },
    #[error("a snapshot that Weir cannot read: {0}")]
    Snapshot(String),
}

/// Opens a REPEATABLE READ transaction with the creator's settings. End it with ROLLBACK.
pub(super) async fn begin(client: &Client, table: &StreamTableRow) -> Result<(), CopyError> {
    // Off on control connections, where compiling a catalogue query takes longer than running it: this query is the user's.
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL jit TO DEFAULT").await?;
    let pinned = &table.pinned.settings;
    let settings = [
        ("TimeZone", pinned.time_zone.clone()),
        ("DateStyle", pinned.date_style.clone()),
        ("IntervalStyle", pinned.interval_style.clone()),
        ("extra_float_digits", pinned.extra_float_digits.to_string()),
        ("bytea_output", pinned.bytea_output.clone()),
    ];
    for (name, value) in settings {
        let set = "SELECT pg_catalog.set_config($1::text, $2::text, true)";
        client.query(&client.prepare_typed(set, &[Type::TEXT, Type::TEXT]).await?, &[&name, &value]).await?;
    }
    Ok(())
}

/// The transaction's snapshot, taken before the WAL position that is read with it: every commit it sees lies before that.
/// Where positions are not the WAL's, `capture` says which one this snapshot has.
pub(super) async fn settlement(client: &Client, capture: Option<&Capture>) -> Result<Settlement, CopyError> {
    let mut taken = None;
    let take = async {
        let sql = "SELECT pg_current_snapshot()::text, pg_current_wal_insert_lsn()::text, \
             (extract(epoch FROM now()) * 1000000)::bigint - 946684800000000";
        let row = client.query_one(sql, &[]).await?;
        let position: String = row.try_get(1)?;
        taken = Some((row.try_get::<_, String>(0)?, row.try_get::<_, i64>(2)?));
        position.parse::<Position>().map_err(|_| CopyError::Snapshot(position))
    };
    let position = match capture {
        Some(capture) => capture.place(take).await?,
        None => take.await?,
    };
    let (snapshot, now) = taken.unwrap_or_default();
    let settlement = Settlement::parse(&snapshot, position).ok_or(CopyError::Snapshot(snapshot))?;
    Ok(Settlement { clock: Some(now), ..settlement })
}

/// All rows of the view, in whatever order Postgres gives them.
pub(super) async fn rows(
    client: &Client,
    table: &StreamTableRow,
    columns: &[ColumnType],
) -> Result<Vec<Row>, CopyError> {
    let sql = format!("COPY (SELECT * FROM {}) TO STDOUT (FORMAT binary)", qualified(table));
    let stream = client.copy_out(&sql).await?;
    pin_mut!(stream);
    let mut reader = Reader::new(columns);
    while let Some(chunk) = stream.next().await {
        reader.feed(&chunk?)?;
    }
    Ok(reader.rows)
}

pub(super) fn qualified(table: &StreamTableRow) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    format!("{}.{}", quoted(&table.schema), quoted(&table.name))
}

/// `PGCOPY\n\377\r\n\0`, flags, length of the header extension (documentation of COPY, "Binary Format").
const HEADER_BYTES: usize = 11 + 4 + 4;

struct Reader<'a> {
    columns: &'a [ColumnType],
    /// Undecoded rest of what has arrived.
    buffer: Vec<u8>,
    header_read: bool,
    rows: Vec<Row>,
}

impl<'a> Reader<'a> {
    fn new(columns: &'a [ColumnType]) -> Reader<'a> {
        Reader { columns, buffer: Vec::new(), header_read: false, rows: Vec::new() }
    }

    fn feed(&mut self, chunk: &[u8]) -> Result<(), CopyError> {
        self.buffer.extend_from_slice(chunk);
        if !self.header_read {
            if self.buffer.len() < HEADER_BYTES {
                return Ok(());
            }
            self.buffer.drain(..HEADER_BYTES);
            self.header_read = true;
        }
        let mut used = 0;
        while let Some((row, length)) = self.row(&self.buffer[used..])? {
            used += length;
            match row {
                Some(row) => self.rows.push(row),
                // The trailer: nothing follows.
                None => break,
            }
        }
        self.buffer.drain(..used);
        Ok(())
    }

    /// The first row of `bytes` and its length; None when it is not complete. A row of None is the trailer.
    #[allow(clippy::type_complexity)]
    fn row(&self, bytes: &[u8]) -> Result<Option<(Option<Row>, usize)>, CopyError> {
        let Some(count) = bytes.first_chunk::<2>() else { return Ok(None) };
        let count = i16::from_be_bytes(*count);
        if count == -1 {
            return Ok(Some((None, 2)));
        }
        if count as usize != self.columns.len() {
            return Err(CopyError::Format("the number of columns changed"));
        }
        let mut at = 2;
        let mut values = Vec::with_capacity(self.columns.len());
        for (column, kind) in self.columns.iter().enumerate() {
            let Some(length) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) else { return Ok(None) };
            at += 4;
            let length = i32::from_be_bytes(*length);
            if length < 0 {
                values.push(Value::Null);
                continue;
            }
            let Some(image) = bytes.get(at..at + length as usize) else { return Ok(None) };
            at += length as usize;
            let value = decode_binary(kind.oid, image);
            values.push(value.map_err(|error| CopyError::Value { column, reason: error.to_string() })?);
        }
        Ok(Some((Some(values.into()), at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_planner::types::oid;

    #[test]
    fn rows_are_read_whatever_the_chunks() {
        let mut image = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
        image.extend([0, 2, 0, 0, 0, 4, 0, 0, 0, 7, 0, 0, 0, 2, b'h', b'i']);
        image.extend([0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        image.extend([0xff, 0xff]);
        let columns = [ColumnType::new(oid::INT4), ColumnType::new(oid::TEXT)];
        for size in 1..=image.len() {
            let mut reader = Reader::new(&columns);
            for chunk in image.chunks(size) {
                reader.feed(chunk).expect("well-formed");
            }
            let rows: Vec<Vec<Value>> = reader.rows.iter().map(|row| row.to_vec()).collect();
            assert_eq!(
                rows,
                [vec![Value::Int4(7), Value::Text("hi".into())], vec![Value::Null, Value::Text("".into())]]
            );
        }
    }
}
