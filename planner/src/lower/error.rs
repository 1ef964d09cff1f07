//! Why a tree did not become a plan.

use crate::tree::{AccessError, ParseError};

/// A construct Weir does not evaluate exactly, in SQL words. Not a defect of the query: Postgres answers it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{construct}{}{detail}", if detail.is_empty() { "" } else { ": " })]
pub struct Unsupported {
    /// What it is: `WITH RECURSIVE`, `window function lag`, `function foo(integer)`.
    pub construct: String,
    /// More for people; may be empty.
    pub detail: String,
}

impl Unsupported {
    pub fn new(construct: impl Into<String>) -> Unsupported {
        Unsupported { construct: construct.into(), detail: String::new() }
    }

    pub fn because(construct: impl Into<String>, detail: impl Into<String>) -> Unsupported {
        Unsupported { construct: construct.into(), detail: detail.into() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LowerError {
    #[error("not supported: {0}")]
    Unsupported(#[from] Unsupported),
    /// The text is no node tree.
    #[error("cannot parse the stored tree: {0}")]
    Parse(#[from] ParseError),
    /// The tree is not shaped as the server's major promises.
    #[error("cannot read the stored tree: {0}")]
    Shape(#[from] AccessError),
    /// The catalogue given lacks an object the tree names: fetch it and lower again.
    #[error("{kind} {oid} is not in the catalogue")]
    Missing { kind: &'static str, oid: u32 },
}

/// An `Err` naming a construct.
pub(super) fn unsupported<T>(construct: impl Into<String>) -> Result<T, LowerError> {
    Err(Unsupported::new(construct).into())
}
