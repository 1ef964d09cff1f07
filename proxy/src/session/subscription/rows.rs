//! Rows as COPY writes them: position and kind of change, then the table's columns in their types' own images.

use super::text::Format;
use crate::analysis::ResultColumn;
use crate::session::copy::BINARY_HEADER;
use crate::session::copy::escape::{self, Csv};
use crate::session::reason;
use crate::wire::backend;
use bytes::BufMut;
use std::sync::Arc;
use weir_cache::Position;
use weir_planner::render::Renderer;
use weir_planner::value::{Value, encode_binary};
use weir_planner::{ColumnType, Row};

/// The columns before the table's own.
const LEADING: [&str; 2] = ["position", "change"];

/// COPY's defaults. There is no row of one column.
const CSV: Csv<'_> = Csv { delimiter: b',', quote: b'"', escape: b'"', null: b"", is_alone: false };

/// What a row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It was there when the subscription began.
    Snapshot,
    Insert,
    Delete,
    /// No row: all up to this position has been told.
    Progress,
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Change::Snapshot => "snapshot",
            Change::Insert => "insert",
            Change::Delete => "delete",
            Change::Progress => "progress",
        }
    }
}

/// Why a row cannot be written; the stream ends with it.
pub(super) type Unwritable = &'static str;

pub(super) struct Writer {
    pub format: Format,
    pub columns: Vec<ResultColumn>,
    pub types: Arc<[ColumnType]>,
    pub renderer: Arc<Renderer>,
    /// One value's image, before it is escaped.
    image: Vec<u8>,
}

impl Writer {
    pub fn new(
        format: Format,
        columns: Vec<ResultColumn>,
        types: Arc<[ColumnType]>,
        renderer: Arc<Renderer>,
    ) -> Writer {
        Writer { format, columns, types, renderer, image: Vec::new() }
    }

    /// CopyOutResponse and what precedes the first row.
    pub fn begin(&self, out: &mut Vec<u8>) {
        let is_binary = self.format == Format::Binary;
        let columns = LEADING.len() + self.columns.len();
        backend::copy_out_response(out, is_binary, columns);
        match self.format {
            Format::Text | Format::Csv { header: false } => {}
            Format::Csv { header: true } => backend::frame(out, b'd', |out| {
                let names = LEADING.into_iter().chain(self.columns.iter().map(|column| column.name.as_str()));
                for (at, name) in names.enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    CSV.write(name.as_bytes(), false, out);
                }
                out.push(b'\n');
            }),
            Format::Binary => backend::frame(out, b'd', |out| {
                out.extend_from_slice(BINARY_HEADER);
            }),
        }
    }

    /// One row, without `row` one that has only its leading columns.
    pub fn row(
        &mut self,
        position: Position,
        change: Change,
        row: Option<&Row>,
        out: &mut Vec<u8>,
    ) -> Result<(), Unwritable> {
        let mut written = Ok(());
        backend::frame(out, b'd', |out| {
            if self.format == Format::Binary {
                out.put_u16((LEADING.len() + self.columns.len()) as u16);
                out.put_u32(size_of::<u64>() as u32);
                out.put_u64(position.0);
                out.put_u32(change.name().len() as u32);
                out.put_slice(change.name().as_bytes());
            } else {
                let separator = if self.format == Format::Text { '\t' } else { ',' };
                out.extend_from_slice(format!("{position}{separator}{}", change.name()).as_bytes());
            }
            for at in 0..self.columns.len() {
                let value = row.map_or(&Value::Null, |row| &row[at]);
                written = written.and_then(|()| self.value(at, value, out));
            }
            if self.format != Format::Binary {
                out.push(b'\n');
            }
        });
        written
    }

    fn value(&mut self, at: usize, value: &Value, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        if value.is_error() {
            return Err(reason::EVALUATION);
        }
        self.image.clear();
        let image = match (value.is_null(), self.format) {
            (true, _) => None,
            (false, Format::Binary) => {
                encode_binary(value, self.columns[at].type_oid, &mut self.image).map_err(|_| reason::RENDERING)?;
                Some(&self.image)
            }
            (false, _) => {
                self.renderer.encode(value, &self.types[at], &mut self.image).map_err(|_| reason::RENDERING)?;
                Some(&self.image)
            }
        };
        match (self.format, image) {
            (Format::Text, None) => out.extend_from_slice(b"\t\\N"),
            (Format::Text, Some(image)) => {
                out.push(b'\t');
                escape::text(image, b'\t', out);
            }
            (Format::Csv { .. }, None) => out.push(b','),
            (Format::Csv { .. }, Some(image)) => {
                out.push(b',');
                CSV.write(image, false, out);
            }
            (Format::Binary, None) => out.put_i32(-1),
            (Format::Binary, Some(image)) => {
                out.put_u32(image.len() as u32);
                out.put_slice(image);
            }
        }
        Ok(())
    }
}
