//! Random writes to a scenario's base tables, in every way an application has of writing.
//!
//! `statements` makes single random statements per scenario (`finance` those of its own); `writer` sends them: alone, in transactions with savepoints
//! and rollbacks, as multi-statement queries, with parameters, by COPY, in two phases; `hostile` adds cascades and
//! triggers to a scenario; `values` makes values with edges.

mod finance;
mod hostile;
mod statements;
mod values;
mod writer;

pub use hostile::hostile_schema;
pub use statements::{Copy, copy, statement};
pub use writer::Writer;
