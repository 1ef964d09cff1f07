//! PostgreSQL's own regression SQL, run through Weir and directly, and the result files compared.
//!
//! `suite` is what is run and where it comes from; `run` runs it against one fresh server, in parts; `difference` finds
//! what differs between two runs; `explained` holds that against the list of differences that have an explanation;
//! `reads` are the statements asked of stream tables over the suite's own tables while it pauses.

pub mod difference;
pub mod explained;
pub mod reads;
pub mod run;
pub mod suite;

/// The database the suite runs in, by its own convention.
pub const DATABASE: &str = "regression";
