//! `SHOW weir.…`: the session's own questions to Weir; and the extension it need not create.

use super::relay::Relay;
use super::scan::{SHOW_TYPE, Show};
use crate::wire::backend::{self, DataRow, Field};

impl Show {
    /// The column's name, as `SHOW` names it.
    fn name(self) -> Option<&'static str> {
        match self {
            Show::Extension => None,
            Show::LastRoute => Some("weir.last_route"),
            Show::Frontier => Some("weir.frontier"),
            Show::Version => Some("weir.version"),
        }
    }

    /// As the answer to Describe.
    pub(super) fn describe(self, out: &mut Vec<u8>, format: i16) {
        let Some(name) = self.name() else { return backend::no_data(out) };
        let field =
            Field { name, table_oid: 0, column_number: 0, type_oid: SHOW_TYPE, type_length: -1, typmod: -1, format };
        backend::row_description(out, std::iter::once(field));
    }

    /// As the beginning of a simple query's answer, where what has no rows is not described.
    pub(super) fn describe_simple(self, out: &mut Vec<u8>) {
        if self.name().is_some() {
            self.describe(out, 0);
        }
    }
}

impl Relay {
    /// The row and CommandComplete; text has the same image in both formats.
    pub(super) fn show(&self, show: Show, out: &mut Vec<u8>) {
        let value = match show {
            Show::Extension => return backend::command_complete(out, "CREATE EXTENSION"),
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
