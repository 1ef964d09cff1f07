//! `SHOW weir.…`: the session's own questions to Weir.

use super::relay::Relay;
use super::scan::{SHOW_TYPE, Show};
use crate::wire::backend::{self, DataRow, Field};

impl Show {
    /// The column's name, as `SHOW` names it.
    fn name(self) -> &'static str {
        match self {
            Show::LastRoute => "weir.last_route",
            Show::Frontier => "weir.frontier",
            Show::Version => "weir.version",
        }
    }

    pub(super) fn describe(self, out: &mut Vec<u8>, format: i16) {
        let field = Field {
            name: self.name(),
            table_oid: 0,
            column_number: 0,
            type_oid: SHOW_TYPE,
            type_length: -1,
            typmod: -1,
            format,
        };
        backend::row_description(out, std::iter::once(field));
    }
}

impl Relay {
    /// The row and CommandComplete; text has the same image in both formats.
    pub(super) fn show(&self, show: Show, out: &mut Vec<u8>) {
        let value = match show {
            Show::LastRoute => self.route.to_string(),
            Show::Frontier => self.context.published.peek().frontier.to_string(),
            Show::Version => env!("CARGO_PKG_VERSION").to_owned(),
        };
        let row = DataRow::begin(out, 1);
        let written: Result<(), std::convert::Infallible> = row.value(out, |out| {
            out.extend_from_slice(value.as_bytes());
            Ok(())
        });
        match written {
            Ok(()) => row.finish(out),
        }
        backend::command_complete(out, "SHOW");
    }
}
