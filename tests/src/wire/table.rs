//! A statement's answer, read out of the raw messages. Values stay bytes.

use super::Message;
use bytes::{Buf, Bytes};
use std::fmt;

/// One field of a RowDescription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// Relation and attribute number the column comes from, or zero.
    pub table: (u32, i16),
    pub type_oid: u32,
    pub type_size: i16,
    pub typmod: i32,
    /// 0 text, 1 binary.
    pub format: i16,
}

/// An ErrorResponse.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerError {
    /// SQLSTATE.
    pub code: String,
    pub message: String,
    /// All fields, by their one-letter type, except source file, line and routine.
    pub fields: Vec<(char, String)>,
}

impl fmt::Debug for ServerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.code, self.message)
    }
}

/// What one statement answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    pub columns: Vec<Column>,
    /// `None` is NULL.
    pub rows: Vec<Vec<Option<Bytes>>>,
    /// The command tag, "SELECT 3".
    pub tag: String,
    pub error: Option<ServerError>,
}

impl Table {
    /// Reads the messages of one statement; of several, the last result is kept and any error.
    pub fn read(messages: &[Message]) -> Table {
        let mut table = Table::default();
        for message in messages {
            let mut body = message.body.clone();
            match message.tag {
                b'T' => {
                    table.columns = (0..body.get_u16()).map(|_| column(&mut body)).collect();
                    table.rows.clear();
                }
                b'D' => {
                    let row = (0..body.get_u16()).map(|_| value(&mut body)).collect();
                    table.rows.push(row);
                }
                b'C' => table.tag = text(&mut body),
                b'E' => table.error = Some(error(body)),
                _ => {}
            }
        }
        table
    }

    /// The first value as text. Panics when there is none: the test's expectation is already broken.
    pub fn scalar(&self) -> String {
        let value = self.rows.first().and_then(|row| row.first());
        match value {
            Some(Some(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            Some(None) => "NULL".to_owned(),
            None => panic!("no row: {self:?}"),
        }
    }

    /// All values as text, NULL as "NULL".
    pub fn texts(&self) -> Vec<Vec<String>> {
        let show = |value: &Option<Bytes>| match value {
            Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            None => "NULL".to_owned(),
        };
        self.rows.iter().map(|row| row.iter().map(show).collect()).collect()
    }
}

fn column(body: &mut Bytes) -> Column {
    Column {
        name: text(body),
        table: (body.get_u32(), body.get_i16()),
        type_oid: body.get_u32(),
        type_size: body.get_i16(),
        typmod: body.get_i32(),
        format: body.get_i16(),
    }
}

fn value(body: &mut Bytes) -> Option<Bytes> {
    let length = body.get_i32();
    usize::try_from(length).ok().map(|length| body.split_to(length))
}

fn error(mut body: Bytes) -> ServerError {
    let mut found = ServerError { code: String::new(), message: String::new(), fields: Vec::new() };
    loop {
        let kind = body.get_u8();
        if kind == 0 {
            return found;
        }
        let content = text(&mut body);
        match kind {
            b'C' => found.code.clone_from(&content),
            b'M' => found.message.clone_from(&content),
            _ => {}
        }
        if !b"FLR".contains(&kind) {
            found.fields.push((kind as char, content));
        }
    }
}

/// A zero-terminated string.
fn text(body: &mut Bytes) -> String {
    let end = body.iter().position(|&byte| byte == 0).unwrap_or(body.len());
    let content = body.split_to(end);
    if body.has_remaining() {
        body.advance(1);
    }
    String::from_utf8_lossy(&content).into_owned()
}
