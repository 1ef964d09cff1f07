//! A differential fuzzer of the wire protocol: random message sequences, valid and invalid, over statements that memory
//! answers and statements that are forwarded. The same bytes go to Weir and to Postgres; the replies must be equal.
//!
//! `step` is one message, `statements` what the sequences talk about, `generate` makes them, `play` sends one and
//! collects the replies, `shrink` makes a failing one small, `dangling` keeps clear of a bug of the server's. Weir and Postgres are two ways into one database, so that
//! object identifiers agree; what a sequence leaves behind is put right between the two.

pub mod dangling;
pub mod generate;
pub mod play;
pub mod shrink;
pub mod statements;
mod step;

pub use step::{Sequence, Step};
