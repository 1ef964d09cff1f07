//! What Postgres says to a client, as Weir says it when it answers itself. Rows and their description are written
//! straight into the buffer: they are the hot path; the rest goes through `pgwire`'s message types.

use bytes::{BufMut, BytesMut};
use pgwire::messages::Message;
use pgwire::messages::response::{ErrorResponse, NoticeResponse};

/// A field of RowDescription without its format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    pub name: &'a str,
    pub table_oid: u32,
    pub column_number: i16,
    pub type_oid: u32,
    pub type_length: i16,
    pub typmod: i32,
    pub format: i16,
}

fn say(out: &mut Vec<u8>, message: impl Message) {
    let mut encoded = BytesMut::new();
    message.encode(&mut encoded).expect("a message of Weir's own fits the protocol's length word");
    out.extend_from_slice(&encoded);
}

/// Writes a message whose body `body` appends; the length word is filled in afterwards.
pub fn frame(out: &mut Vec<u8>, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.put_u8(tag);
    out.put_u32(0);
    body(out);
    close_frame(out, start);
}

/// Fills in the length word of the message that began at `start`.
fn close_frame(out: &mut [u8], start: usize) {
    let length = (out.len() - start - 1) as u32;
    out[start + 1..start + 5].copy_from_slice(&length.to_be_bytes());
}

/// A message of authentication: its kind, then the data that `data` appends.
pub fn authentication(out: &mut Vec<u8>, kind: u32, data: impl FnOnce(&mut Vec<u8>)) {
    frame(out, b'R', |out| {
        out.put_u32(kind);
        data(out);
    });
}

pub fn parse_complete(out: &mut Vec<u8>) {
    frame(out, b'1', |_| ());
}

pub fn bind_complete(out: &mut Vec<u8>) {
    frame(out, b'2', |_| ());
}

pub fn close_complete(out: &mut Vec<u8>) {
    frame(out, b'3', |_| ());
}

/// Describe of a statement without rows.
pub fn no_data(out: &mut Vec<u8>) {
    frame(out, b'n', |_| ());
}

/// CopyOutResponse: all columns in one format.
pub fn copy_out_response(out: &mut Vec<u8>, is_binary: bool, columns: usize) {
    frame(out, b'H', |out| {
        out.put_u8(is_binary.into());
        out.put_u16(columns as u16);
        (0..columns).for_each(|_| out.put_u16(is_binary.into()));
    });
}

/// The end of the rows of a COPY.
pub fn copy_done(out: &mut Vec<u8>) {
    frame(out, b'c', |_| ());
}

pub fn parameter_description(out: &mut Vec<u8>, types: &[u32]) {
    frame(out, b't', |out| {
        out.put_u16(types.len() as u16);
        types.iter().for_each(|oid| out.put_u32(*oid));
    });
}

pub fn row_description<'a>(out: &mut Vec<u8>, fields: impl ExactSizeIterator<Item = Field<'a>>) {
    frame(out, b'T', |out| {
        out.put_u16(fields.len() as u16);
        for field in fields {
            out.put_slice(field.name.as_bytes());
            out.put_u8(0);
            out.put_u32(field.table_oid);
            out.put_i16(field.column_number);
            out.put_u32(field.type_oid);
            out.put_i16(field.type_length);
            out.put_i32(field.typmod);
            out.put_i16(field.format);
        }
    });
}

/// A row under construction: [`DataRow::begin`], one [`DataRow::value`] or [`DataRow::null`] per column, then
/// [`DataRow::finish`].
pub struct DataRow {
    start: usize,
}

impl DataRow {
    pub fn begin(out: &mut Vec<u8>, columns: usize) -> DataRow {
        let start = out.len();
        out.put_u8(b'D');
        out.put_u32(0);
        out.put_u16(columns as u16);
        DataRow { start }
    }
    pub fn null(&self, out: &mut Vec<u8>) {
        out.put_i32(-1);
    }
    /// `write` appends the value's bytes.
    pub fn value<E>(&self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let start = out.len();
        out.put_u32(0);
        write(out)?;
        let length = (out.len() - start - 4) as u32;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }
    pub fn finish(self, out: &mut [u8]) {
        close_frame(out, self.start);
    }
}

pub fn command_complete(out: &mut Vec<u8>, tag: &str) {
    frame(out, b'C', |out| {
        out.put_slice(tag.as_bytes());
        out.put_u8(0);
    });
}

/// CommandComplete of a SELECT of so many rows.
pub fn select_complete(out: &mut Vec<u8>, rows: usize) {
    frame(out, b'C', |out| {
        out.put_slice(b"SELECT ");
        out.put_slice(rows.to_string().as_bytes());
        out.put_u8(0);
    });
}

pub fn portal_suspended(out: &mut Vec<u8>) {
    frame(out, b's', |_| ());
}

/// `status`: `I`, `T` or `E`.
pub fn ready_for_query(out: &mut Vec<u8>, status: u8) {
    frame(out, b'Z', |out| out.put_u8(status));
}

pub fn error(out: &mut Vec<u8>, severity: &str, sqlstate: &str, message: &str) {
    say(out, ErrorResponse::new(fields(severity, sqlstate, message)));
}

/// A FATAL error with further fields: detail (`D`), hint (`H`).
pub fn fatal(out: &mut Vec<u8>, sqlstate: &str, message: &str, further: &[(u8, Option<&str>)]) {
    let mut said = fields("FATAL", sqlstate, message);
    said.extend(further.iter().filter_map(|(code, text)| text.map(|text| (*code, text.to_owned()))));
    say(out, ErrorResponse::new(said));
}

pub fn notice(out: &mut Vec<u8>, sqlstate: &str, message: &str) {
    say(out, NoticeResponse::new(fields("NOTICE", sqlstate, message)));
}

/// The fields every client must be able to rely on (documentation, "Error and Notice Message Fields").
fn fields(severity: &str, sqlstate: &str, message: &str) -> Vec<(u8, String)> {
    vec![
        (b'S', severity.to_owned()),
        (b'V', severity.to_owned()),
        (b'C', sqlstate.to_owned()),
        (b'M', message.to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::messages;

    #[test]
    fn lengths_count_what_was_written() {
        let mut out = Vec::new();
        let field =
            Field { name: "a", table_oid: 1, column_number: 2, type_oid: 23, type_length: 4, typmod: -1, format: 0 };
        row_description(&mut out, std::iter::once(field));
        let row = DataRow::begin(&mut out, 2);
        row.null(&mut out);
        row.value(&mut out, |out| {
            out.put_slice(b"42");
            Ok::<(), ()>(())
        })
        .unwrap();
        row.finish(&mut out);
        command_complete(&mut out, "SELECT 1");
        ready_for_query(&mut out, b'I');
        let said: Vec<_> = messages(&out).collect();
        assert_eq!(said.iter().map(|(tag, _)| *tag).collect::<Vec<_>>(), b"TDCZ");
        assert_eq!(said[0].1, b"\0\x01a\0\0\0\0\x01\0\x02\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0");
        assert_eq!(said[1].1, b"\0\x02\xff\xff\xff\xff\0\0\0\x0242");
        assert_eq!(said[2].1, b"SELECT 1\0");
        let total: usize = said.iter().map(|(_, body)| body.len() + 5).sum();
        assert_eq!(total, out.len());
    }
}
