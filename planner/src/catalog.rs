//! The system catalogue as the planner needs it. Filled by whoever can ask the server; plain data here.

use std::collections::HashMap;

/// Rows of `pg_proc`, `pg_operator`, `pg_type`, `pg_collation`, `pg_aggregate` and the relations that plans may meet.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    pub functions: HashMap<u32, FunctionEntry>,
    pub operators: HashMap<u32, OperatorEntry>,
    pub types: HashMap<u32, TypeEntry>,
    pub collations: HashMap<u32, CollationEntry>,
    pub relations: HashMap<u32, RelationEntry>,
    /// Rows of `pg_enum` by type, in the order of `enumsortorder`: OID and label.
    pub labels: HashMap<u32, Vec<(u32, String)>>,
    /// By collation: the number of its letters ([`crate::functions::number_of`]), where a tree asked for them and they are known.
    pub letters: HashMap<u32, i32>,
    /// Server major version (15…18): the tree format differs.
    pub server_major: u32,
    /// The database's default collation compares bytewise.
    pub default_collation_is_bytewise: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionEntry {
    pub schema: String,
    pub name: String,
    /// `internal`, `sql`, `plpgsql`, `c`.
    pub language: String,
    pub prosrc: String,
    pub argument_types: Vec<u32>,
    pub return_type: u32,
    pub strict: bool,
    pub returns_set: bool,
    /// `pg_proc.provolatile`: 'i', 's' or 'v'.
    pub volatility: char,
    /// Types of the columns that a user's set-returning function returns.
    pub columns: Vec<u32>,
    /// `pg_proc.prokind`: 'f', 'a', 'w', 'p'.
    pub kind: char,
    /// SECURITY DEFINER, or with settings of its own.
    pub shielded: bool,
    /// `pg_proc.procost`, in halves of an operator, up to a thousand million.
    pub cost: i32,
    /// The analysed body of a user's function in SQL: `pg_proc.prosqlbody` where Postgres keeps one (RETURN, BEGIN ATOMIC); of
    /// one that it keeps as text (`prosrc`), what the session means by it for which a statement or a view is planned.
    pub body: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorEntry {
    pub name: String,
    pub function: u32,
    pub left_type: u32,
    pub right_type: u32,
    pub commutator: u32,
    pub negator: u32,
    /// Operator can be used in a hash or merge join: it is an equality.
    pub is_equality: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeEntry {
    pub schema: String,
    pub name: String,
    /// `pg_type.typlen`: bytes, or -1, or -2. As sent in RowDescription.
    pub length: i16,
    /// `pg_type.typtype`: 'b', 'c', 'd', 'e', 'p', 'r', 'm'.
    pub kind: char,
    /// For a domain, the type below it.
    pub base: u32,
    pub element: u32,
    /// A domain's own constraints: that it is not NULL, and CHECK by name with `pg_constraint.conbin`, in the order of names.
    pub not_null: bool,
    pub checks: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollationEntry {
    pub name: String,
    pub deterministic: bool,
    /// Order is bytewise (C, POSIX, C.UTF-8, builtin).
    pub bytewise: bool,
}

#[derive(Clone, Debug)]
pub struct RelationEntry {
    pub schema: String,
    pub name: String,
    pub kind: RelationKind,
    /// Live columns by attribute number; the position in this list is the position in a stored row.
    pub columns: Vec<ColumnEntry>,
    /// Sets of column positions that are unique and not null (primary keys, unique constraints).
    pub unique_keys: Vec<Vec<usize>>,
    /// Stored generated columns: position and `pg_attrdef.adbin` tree. Plans compute them; the stored row's value is
    /// never read.
    pub generated: Vec<(usize, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelationKind {
    /// A base table whose deltas are captured.
    Table,
    /// A partitioned table: no rows of its own, but those of its leaves, whatever stands between. The leaves name their columns
    /// as it does, in any order.
    Partitioned { leaves: Vec<u32> },
    /// A table that others inherit from. `tables`: itself and all its heirs, whatever stands between; they have its columns, and
    /// perhaps more, in any order.
    Parent { tables: Vec<u32> },
    /// A stream table: read its maintained rows, do not expand. `tree` is its own `pg_rewrite.ev_action`: to Postgres it
    /// is a view.
    StreamTable { tree: String },
    /// An ordinary view: its `pg_rewrite.ev_action` tree, to be expanded in place.
    View { tree: String },
    /// Anything else, with why it cannot be maintained ("foreign table", "unlogged table" …).
    Other { reason: String },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnEntry {
    pub name: String,
    /// `pg_attribute.attnum`.
    pub number: i16,
    pub type_oid: u32,
    /// `type_oid`, or of a domain the type below it, whose images its values have.
    pub value_oid: u32,
    pub typmod: i32,
    pub collation: u32,
    pub not_null: bool,
    /// `attgenerated`: 's' stored, 'v' virtual, ' ' none.
    pub generated: char,
}
