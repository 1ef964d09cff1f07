//! A table's content in one snapshot, by binary COPY, and the bytes of that format (documentation: COPY, "Binary
//! Format") → stored rows.

use super::TableSpec;
use super::check;
use super::gate::VisibleSet;
use super::method::Method;
use super::repeats::Repeats;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::{StreamExt, pin_mut};
use tokio_postgres::Client;
use weir_cache::Position;
use weir_planner::catalog::ColumnEntry;
use weir_planner::{Row, Value};

/// A table as one snapshot sees it.
#[derive(Debug)]
pub(super) struct Copied {
    pub snapshot: VisibleSet,
    pub rows: Vec<Row>,
    /// Every transaction that the snapshot sees has its commit below this position.
    pub end: Position,
    pub relfilenode: u32,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error(transparent)]
    Postgres(#[from] tokio_postgres::Error),
    /// The table cannot be captured.
    #[error("{0}")]
    Refused(String),
}

/// Waiting for the lock is given up after this time, so as not to stand in a queue in front of the application's DDL;
/// the caller tries again.
const LOCK_TIMEOUT_MS: u32 = 2000;

/// Locks, then takes the snapshot, then copies: a snapshot from before the lock would miss a rewrite (review 4.1).
/// `client` must be used for nothing else.
pub(super) async fn copy(
    client: &Client,
    method: Method,
    publication: &str,
    spec: &TableSpec,
) -> Result<Copied, CopyError> {
    let name = format!("{}.{}", quote(&spec.schema), quote(&spec.name));
    // row_security = off: an error instead of rows silently left out.
    client
        .batch_execute(&format!(
            "SET lock_timeout = {LOCK_TIMEOUT_MS}; SET row_security = off;
             BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
             LOCK TABLE ONLY {name} IN ACCESS SHARE MODE"
        ))
        .await?;
    let row = client.query_one("SELECT pg_current_snapshot()::text, to_regclass($1)::oid", &[&name]).await?;
    let (text, oid): (String, Option<u32>) = (row.try_get(0)?, row.try_get(1)?);
    if oid != Some(spec.id.0) {
        return Err(CopyError::Refused(format!("{name} is another table now")));
    }
    let snapshot = VisibleSet::parse(&text).map_err(|error| CopyError::Refused(error.to_string()))?;
    let states = check::states(client, publication, &[spec.id]).await?;
    let Some(state) = states.first() else { return Err(CopyError::Refused("it does not exist any more".into())) };
    if let Some(reason) = state.refusal(spec, method) {
        return Err(CopyError::Refused(reason));
    }
    let value = |column: &ColumnEntry| if column.generated == ' ' { quote(&column.name) } else { "NULL".into() };
    let columns: Vec<String> = spec.columns.iter().map(value).collect();
    let text = format!("COPY (SELECT {} FROM ONLY {name}) TO STDOUT (FORMAT binary)", columns.join(", "));
    let chunks = client.copy_out(&text).await?;
    pin_mut!(chunks);
    let mut decoder = CopyDecoder::new(spec.columns.iter().map(|column| column.value_oid).collect());
    let mut rows = Vec::new();
    while let Some(chunk) = chunks.next().await {
        decoder.push(chunk?, &mut rows).map_err(CopyError::Refused)?;
    }
    if !decoder.finished {
        return Err(CopyError::Refused("its copy ended early".into()));
    }
    let row = client.query_one("SELECT pg_current_wal_insert_lsn()::text", &[]).await?;
    let end: Position =
        row.try_get::<_, String>(0)?.parse().map_err(|_| CopyError::Refused("no WAL position".into()))?;
    client.batch_execute("COMMIT").await?;
    Ok(Copied { snapshot, rows, end, relfilenode: state.relfilenode })
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Signature of the binary format; flags and the header extension's length follow.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
const HEADER_BYTES: usize = SIGNATURE.len() + 8;

/// Cuts the copy's bytes into rows, wherever the chunks break.
struct CopyDecoder {
    types: Vec<u32>,
    repeats: Repeats,
    input: BytesMut,
    header_seen: bool,
    finished: bool,
}

impl CopyDecoder {
    fn new(types: Vec<u32>) -> CopyDecoder {
        CopyDecoder { types, repeats: Repeats::default(), input: BytesMut::new(), header_seen: false, finished: false }
    }

    fn push(&mut self, chunk: Bytes, rows: &mut Vec<Row>) -> Result<(), String> {
        // Postgres sends one row per chunk: then nothing is left over and the chunk is read where it is.
        if self.input.is_empty() {
            let mut rest = &chunk[..];
            self.decode(&mut rest, rows)?;
            self.input.extend_from_slice(rest);
        } else {
            self.input.extend_from_slice(&chunk);
            let whole = std::mem::take(&mut self.input);
            let mut rest = &whole[..];
            self.decode(&mut rest, rows)?;
            self.input.extend_from_slice(rest);
        }
        Ok(())
    }

    fn decode(&mut self, input: &mut &[u8], rows: &mut Vec<Row>) -> Result<(), String> {
        if !self.header_seen {
            if input.len() < HEADER_BYTES {
                return Ok(());
            }
            let extension = (&input[SIGNATURE.len() + 4..]).get_u32();
            if !input.starts_with(SIGNATURE) || extension != 0 {
                return Err("its copy does not begin as a binary copy".into());
            }
            input.advance(HEADER_BYTES);
            self.header_seen = true;
        }
        while !self.finished {
            let mut rest = *input;
            let Some(row) = self.row(&mut rest)? else { return Ok(()) };
            *input = rest;
            rows.extend(row);
        }
        Ok(())
    }

    /// One row. None: not all of it is here. Some(None): the trailer.
    fn row(&mut self, input: &mut &[u8]) -> Result<Option<Option<Row>>, String> {
        let Ok(columns) = input.try_get_i16() else { return Ok(None) };
        if columns == -1 {
            self.finished = true;
            return Ok(Some(None));
        }
        if usize::try_from(columns) != Ok(self.types.len()) {
            return Err("a copied row has another number of columns".into());
        }
        let mut values = Vec::with_capacity(self.types.len());
        for (column, type_oid) in self.types.iter().enumerate() {
            let Ok(length) = input.try_get_i32() else { return Ok(None) };
            let Ok(length) = usize::try_from(length) else {
                values.push(Value::Null);
                continue;
            };
            let Some((bytes, rest)) = input.split_at_checked(length) else { return Ok(None) };
            values.push(self.repeats.decode(column, *type_oid, bytes).map_err(|error| error.to_string())?);
            *input = rest;
        }
        Ok(Some(Some(values.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_same_wherever_the_chunks_break() {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(b"\0\x02\0\0\0\x03abc\xff\xff\xff\xff");
        bytes.extend_from_slice(b"\0\x02\0\0\0\0\0\0\0\x01z");
        bytes.extend_from_slice(b"\xff\xff");
        let text = weir_planner::types::oid::TEXT;
        let decode = |size: usize| {
            let (mut decoder, mut rows) = (CopyDecoder::new(vec![text, text]), Vec::new());
            for chunk in bytes.chunks(size) {
                decoder.push(Bytes::copy_from_slice(chunk), &mut rows).expect("well-formed");
            }
            assert!(decoder.finished);
            rows
        };
        let whole = decode(bytes.len());
        assert_eq!(whole.len(), 2);
        assert_eq!(whole[0][1], Value::Null);
        for size in 1..bytes.len() {
            assert_eq!(decode(size), whole, "chunks of {size} bytes");
        }
    }

    #[test]
    fn another_number_of_columns_is_an_error() {
        let mut decoder = CopyDecoder { header_seen: true, ..CopyDecoder::new(vec![23]) };
        assert!(decoder.push(Bytes::from_static(b"\0\x02"), &mut Vec::new()).is_err());
    }

    #[test]
    fn damaged_copies_are_errors() {
        let mut whole = [SIGNATURE, &[0; 8]].concat();
        whole
            .extend_from_slice(b"\0\x02\0\0\0\x04\0\0\0\x07\0\0\0\x02zz\0\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
        let header = HEADER_BYTES;
        weir_tests::hostile::hammer("binary COPY", &[&whole, &whole[header..], &whole[..header + 3]], |bytes| {
            let mut decoder = CopyDecoder::new(vec![23, 25]);
            // Mutations of the header are refused at once; most are to meet the rows.
            let start = Bytes::copy_from_slice(&whole[..header]);
            let mut rows = Vec::new();
            let chunks = [start, Bytes::copy_from_slice(bytes)];
            let from = usize::from(bytes.starts_with(SIGNATURE));
            chunks.into_iter().skip(from).all(|chunk| decoder.push(chunk, &mut rows).is_ok())
        });
    }
}
