//! Rows as COPY writes them: each in a message of its own, the binary header before the first one's fields.

use super::escape::{self, Csv};
use super::options::{ForceQuote, Format, Options};
use crate::analysis::ResultColumn;
use crate::session::reason;
use crate::wire::backend;
use bytes::BufMut;
use std::sync::Arc;
use weir_cache::read::RowRef;
use weir_planner::ColumnType;
use weir_planner::render::Renderer;
use weir_planner::value::{Value, encode_binary};

/// Signature, flags and length of the extension (documentation, COPY, "Binary Format").
pub(in crate::session) const BINARY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

pub(super) struct Writer<'a> {
    options: &'a Options,
    columns: &'a [ResultColumn],
    types: &'a [ColumnType],
    renderer: Arc<Renderer>,
    /// Per column.
    force_quote: Vec<bool>,
    /// The binary header, until the first message takes it.
    header: &'static [u8],
    /// One value's image, before it is escaped.
    image: Vec<u8>,
}

impl<'a> Writer<'a> {
    /// Refused: a column to be quoted that there is not, or that is named twice.
    pub fn new(
        options: &'a Options,
        columns: &'a [ResultColumn],
        types: &'a [ColumnType],
        renderer: Arc<Renderer>,
    ) -> Result<Writer<'a>, &'static str> {
        let mut force_quote = vec![options.force_quote == ForceQuote::All; columns.len()];
        if let ForceQuote::Columns(names) = &options.force_quote {
            for name in names {
                // The first of several with that name (`CopyGetAttnums`).
                let column = columns.iter().position(|column| column.name == *name);
                let column = column.ok_or(reason::COPY_OPTIONS)?;
                if std::mem::replace(&mut force_quote[column], true) {
                    return Err(reason::COPY_OPTIONS);
                }
            }
        }
        let header = if options.format == Format::Binary { BINARY_HEADER } else { &[] };
        Ok(Writer { options, columns, types, renderer, force_quote, header, image: Vec::new() })
    }

    fn csv(&self) -> Csv<'a> {
        let Options { delimiter, quote, escape, ref null, .. } = *self.options;
        Csv { delimiter, quote, escape, null: null.as_bytes(), is_alone: self.columns.len() == 1 }
    }

    /// CopyOutResponse, and the line of names if there is to be one.
    pub fn begin(&self, out: &mut Vec<u8>) {
        backend::copy_out_response(out, self.options.format == Format::Binary, self.columns.len());
        if !self.options.header {
            return;
        }
        backend::frame(out, b'd', |out| {
            for (at, column) in self.columns.iter().enumerate() {
                if at > 0 {
                    out.push(self.options.delimiter);
                }
                match self.options.format {
                    Format::Csv => self.csv().write(column.name.as_bytes(), false, out),
                    _ => escape::text(column.name.as_bytes(), self.options.delimiter, out),
                }
            }
            out.push(b'\n');
        });
    }

    /// One row.
    pub fn row(&mut self, row: RowRef<'_>, out: &mut Vec<u8>) -> Result<(), &'static str> {
        let mut written = Ok(());
        let header = std::mem::take(&mut self.header);
        backend::frame(out, b'd', |out| {
            if self.options.format == Format::Binary {
                out.put_slice(header);
                out.put_u16(self.columns.len() as u16);
            }
            for at in 0..self.columns.len() {
                written = written.and_then(|()| self.value(at, row.value(at), out));
            }
            if self.options.format != Format::Binary {
                out.push(b'\n');
            }
        });
        written
    }

    fn value(&mut self, at: usize, value: &Value, out: &mut Vec<u8>) -> Result<(), &'static str> {
        if value.is_error() {
            return Err(reason::EVALUATION);
        }
        if at > 0 && self.options.format != Format::Binary {
            out.push(self.options.delimiter);
        }
        self.image.clear();
        match (self.options.format, value.is_null()) {
            (Format::Binary, true) => out.put_i32(-1),
            (Format::Binary, false) => {
                encode_binary(value, self.columns[at].type_oid, &mut self.image).map_err(|_| reason::RENDERING)?;
                out.put_u32(self.image.len() as u32);
                out.put_slice(&self.image);
            }
            (_, true) => out.put_slice(self.options.null.as_bytes()),
            (format, false) => {
                self.renderer.encode(value, &self.types[at], &mut self.image).map_err(|_| reason::RENDERING)?;
                match format {
                    Format::Csv => self.csv().write(&self.image, self.force_quote[at], out),
                    _ => escape::text(&self.image, self.options.delimiter, out),
                }
            }
        }
        Ok(())
    }

    /// The trailer of the binary format, CopyDone and CommandComplete.
    pub fn end(&mut self, rows: usize, out: &mut Vec<u8>) {
        if self.options.format == Format::Binary {
            let header = std::mem::take(&mut self.header);
            backend::frame(out, b'd', |out| {
                out.put_slice(header);
                out.put_i16(-1);
            });
        }
        backend::copy_done(out);
        backend::command_complete(out, &format!("COPY {rows}"));
    }
}
