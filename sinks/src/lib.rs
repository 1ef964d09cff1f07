//! Where published deltas go. Knows neither sessions nor plans. Definitions are read and checked here; files are not
//! written yet.

mod definition;

pub use definition::{Definition, DefinitionError};
