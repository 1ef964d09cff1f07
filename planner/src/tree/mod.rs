//! Postgres' stored parse trees (`pg_node_tree`: `pg_rewrite.ev_action`, `pg_proc.prosqlbody`, `pg_attrdef.adbin`) as
//! a generic tree: labels, fields by name, lists. The text format is `src/backend/nodes/outfuncs.c`.
//!
//! Nothing here knows what a node means; the typed view of a query is [`crate::query`], where the differences between
//! server majors live.

mod access;
mod label;
mod parse;
mod walk;

pub use access::AccessError;
pub use parse::{ParseError, parse};
pub use walk::{References, references};

/// Anything a field or list can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tree {
    /// `<>`: a null pointer or null string.
    Null,
    /// An unquoted word: number, boolean, enum value, name. Escapes are resolved.
    Word(String),
    /// A `String` value node, `"…"`.
    Text(String),
    /// `{LABEL :field value …}`.
    Node(Node),
    /// `(a b c)`.
    List(Vec<Tree>),
    /// `(i 1 2)`, `(o 23 25)`, `(b 8 9)`: integers, OIDs, bitmap sets.
    Numbers(Vec<i64>),
    /// `length [ byte byte … ]`: a datum as in memory. A by-value datum has eight bytes whatever its length says.
    Datum { length: u32, bytes: Vec<u8> },
}

/// One node: its label and its fields in the order written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub label: String,
    pub fields: Vec<(String, Tree)>,
}
