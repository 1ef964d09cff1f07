//! `COPY (SELECT * FROM pgtrickle.subscribe('name')) TO STDOUT`: a stream table's rows, then its changes as they are
//! published. `text` reads the statement, `request` the messages that bring it, `permit` asks what a read would have to
//! ask, again and again, `stream` tells the differences of one published version to the next, `rows` writes them.
//! There is no queue: a client that reads slowly is told of several changes at once.

mod permit;
mod request;
mod rows;
mod stream;
mod text;

pub(super) use request::Request;
pub(super) use text::is_subscription;
