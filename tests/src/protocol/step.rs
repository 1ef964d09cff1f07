//! One message of a sequence, as bytes and as a line that can be pasted into a regression test.

use bytes::{BufMut, BytesMut};
use std::fmt;

/// What a client does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Parse {
        name: &'static str,
        sql: String,
        types: Vec<u32>,
    },
    Bind {
        portal: &'static str,
        statement: &'static str,
        formats: Vec<i16>,
        values: Vec<Option<Vec<u8>>>,
        results: Vec<i16>,
    },
    Describe {
        kind: char,
        name: &'static str,
    },
    Execute {
        portal: &'static str,
        rows: i32,
    },
    Close {
        kind: char,
        name: &'static str,
    },
    Flush,
    Sync,
    Query(String),
    /// A call of the function with this OID, all in text.
    FunctionCall {
        function: u32,
        arguments: Vec<Option<Vec<u8>>>,
    },
    CopyData(Vec<u8>),
    CopyDone,
    CopyFail,
    /// A message as it would not be sent by a sane client; `length` is what its header says.
    Raw {
        tag: char,
        length: u32,
        body: Vec<u8>,
    },
    /// Not a message: the client waits until everything it asked for is answered.
    Wait,
}

/// A sequence that goes over one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence(pub Vec<Step>);

impl Step {
    /// Appends the message's bytes.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Step::Parse { name, sql, types } => frame(out, b'P', |out| {
                text(out, name);
                text(out, sql);
                out.put_u16(types.len() as u16);
                types.iter().for_each(|oid| out.put_u32(*oid));
            }),
            Step::Bind { portal, statement, formats, values, results } => frame(out, b'B', |out| {
                text(out, portal);
                text(out, statement);
                shorts(out, formats);
                fields(out, values);
                shorts(out, results);
            }),
            Step::Describe { kind, name } => target(out, b'D', *kind, name),
            Step::Execute { portal, rows } => frame(out, b'E', |out| {
                text(out, portal);
                out.put_i32(*rows);
            }),
            Step::Close { kind, name } => target(out, b'C', *kind, name),
            Step::Flush => frame(out, b'H', |_| ()),
            Step::Sync => frame(out, b'S', |_| ()),
            Step::Query(sql) => frame(out, b'Q', |out| text(out, sql)),
            Step::FunctionCall { function, arguments } => frame(out, b'F', |out| {
                out.put_u32(*function);
                shorts(out, &[0]);
                fields(out, arguments);
                out.put_i16(0);
            }),
            Step::CopyData(data) => frame(out, b'd', |out| out.put_slice(data)),
            Step::CopyDone => frame(out, b'c', |_| ()),
            Step::CopyFail => frame(out, b'f', |out| text(out, "changed my mind")),
            Step::Raw { tag, length, body } => {
                out.put_u8(*tag as u8);
                out.put_u32(*length);
                out.put_slice(body);
            }
            Step::Wait => {}
        }
    }

    /// A message that Postgres answers with ReadyForQuery, unless it skips or ignores it.
    pub fn asks_for_ready(&self) -> bool {
        matches!(self, Step::Query(_) | Step::Sync | Step::FunctionCall { .. })
            || matches!(self, Step::Raw { tag: 'S' | 'Q' | 'F', .. })
    }

    /// Postgres ends the connection at once when it reads this; nothing must follow it.
    pub fn is_fatal(&self) -> bool {
        let Step::Raw { tag, length, .. } = self else { return false };
        *length < 4 || !"PBDECHSQFdcf".contains(*tag) || ("DECHSc".contains(*tag) && *length > 10_000)
    }
}

impl Sequence {
    pub fn is_fatal(&self) -> bool {
        self.0.iter().any(Step::is_fatal)
    }
}

/// As a Rust expression, one message per line.
impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.0 {
            match step {
                Step::Parse { name, sql, types } => {
                    writeln!(f, "    Parse {{ name: {name:?}, sql: {sql:?}.into(), types: vec!{types:?} }},")?;
                }
                Step::Bind { portal, statement, formats, values, results } => {
                    write!(f, "    Bind {{ portal: {portal:?}, statement: {statement:?}, formats: vec!{formats:?}, ")?;
                    write!(f, "values: vec![")?;
                    show_fields(f, values)?;
                    writeln!(f, "], results: vec!{results:?} }},")?;
                }
                Step::Query(sql) => writeln!(f, "    Query({sql:?}.into()),")?,
                Step::FunctionCall { function, arguments } => {
                    write!(f, "    FunctionCall {{ function: {function}, arguments: vec![")?;
                    show_fields(f, arguments)?;
                    writeln!(f, "] }},")?;
                }
                Step::CopyData(data) => writeln!(f, "    CopyData(b\"{}\".to_vec()),", data.escape_ascii())?,
                Step::Raw { tag, length, body } => {
                    let body = body.escape_ascii();
                    writeln!(f, "    Raw {{ tag: {tag:?}, length: {length}, body: b\"{body}\".to_vec() }},")?;
                }
                other => writeln!(f, "    {other:?},")?,
            }
        }
        Ok(())
    }
}

fn show_fields(f: &mut fmt::Formatter<'_>, fields: &[Option<Vec<u8>>]) -> fmt::Result {
    for (i, field) in fields.iter().enumerate() {
        let comma = if i == 0 { "" } else { ", " };
        match field {
            Some(bytes) => write!(f, "{comma}Some(b\"{}\".to_vec())", bytes.escape_ascii())?,
            None => write!(f, "{comma}None")?,
        }
    }
    Ok(())
}

fn frame(out: &mut BytesMut, tag: u8, body: impl FnOnce(&mut BytesMut)) {
    out.put_u8(tag);
    let start = out.len();
    out.put_u32(0);
    body(out);
    let length = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn text(out: &mut BytesMut, text: &str) {
    out.put_slice(text.as_bytes());
    out.put_u8(0);
}

fn shorts(out: &mut BytesMut, values: &[i16]) {
    out.put_u16(values.len() as u16);
    values.iter().for_each(|value| out.put_i16(*value));
}

fn fields(out: &mut BytesMut, values: &[Option<Vec<u8>>]) {
    out.put_u16(values.len() as u16);
    for value in values {
        match value {
            Some(bytes) => {
                out.put_i32(bytes.len() as i32);
                out.put_slice(bytes);
            }
            None => out.put_i32(-1),
        }
    }
}

fn target(out: &mut BytesMut, tag: u8, kind: char, name: &str) {
    frame(out, tag, |out| {
        out.put_u8(kind as u8);
        text(out, name);
    });
}
