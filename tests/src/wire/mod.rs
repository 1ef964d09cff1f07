//! A blocking client that shows what is on the wire: every backend message as it came.
//!
//! `client` connects, sends and receives; `table` reads a statement's answer out of the messages, `subscription` what a subscription is told.

mod client;
pub mod subscription;
mod table;

pub use client::{Message, RawClient, bind};
pub use table::{Column, ServerError, Table};
