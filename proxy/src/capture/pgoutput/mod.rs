//! The output of Postgres' `pgoutput` plugin, protocol version 1 with binary values and logical messages: `message`
//! cuts bytes into messages, `relation` turns a tuple into a stored row of a watched table. No I/O, no transactions:
//! those are put together in `assemble`.

mod message;
mod relation;

pub(super) use message::{DecodeError, Message, Tuple};
pub(super) use relation::{Mapping, Relation, RowError};
