//! Names for Postgres' types as they appear in plans: OIDs from `pg_type.dat`, typmods, collations.

/// OID of a relation in the upstream database. Identity across dump and restore is (schema, name); the
/// OID is the handle within one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelationId(pub u32);

/// OIDs of the built-in types that Weir has operations for, or can show (`pg_type.dat`).
pub mod oid {
    pub const BOOL: u32 = 16;
    pub const BYTEA: u32 = 17;
    pub const CHAR: u32 = 18;
    pub const NAME: u32 = 19;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT4: u32 = 23;
    pub const TEXT: u32 = 25;
    pub const OID: u32 = 26;
    pub const TID: u32 = 27;
    pub const XID: u32 = 28;
    pub const CID: u32 = 29;
    pub const JSON: u32 = 114;
    pub const XML: u32 = 142;
    pub const POINT: u32 = 600;
    pub const LSEG: u32 = 601;
    pub const PATH: u32 = 602;
    pub const BOX: u32 = 603;
    pub const POLYGON: u32 = 604;
    pub const LINE: u32 = 628;
    pub const CIRCLE: u32 = 718;
    pub const BIT: u32 = 1560;
    pub const VARBIT: u32 = 1562;
    pub const REFCURSOR: u32 = 1790;
    pub const PG_LSN: u32 = 3220;
    pub const TSVECTOR: u32 = 3614;
    pub const JSONPATH: u32 = 4072;
    pub const XID8: u32 = 5069;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const UNKNOWN: u32 = 705;
    /// Of a row as a whole.
    pub const RECORD: u32 = 2249;
    pub const BPCHAR: u32 = 1042;
    pub const VARCHAR: u32 = 1043;
    pub const DATE: u32 = 1082;
    pub const TIME: u32 = 1083;
    pub const TIMESTAMP: u32 = 1114;
    pub const TIMESTAMPTZ: u32 = 1184;
    pub const INTERVAL: u32 = 1186;
    pub const NUMERIC: u32 = 1700;
    pub const UUID: u32 = 2950;
    pub const CIDR: u32 = 650;
    pub const MACADDR8: u32 = 774;
    pub const MACADDR: u32 = 829;
    pub const INET: u32 = 869;
    pub const TIMETZ: u32 = 1266;
    pub const JSONB: u32 = 3802;
    pub const INT4RANGE: u32 = 3904;
    pub const NUMRANGE: u32 = 3906;
    pub const TSRANGE: u32 = 3908;
    pub const TSTZRANGE: u32 = 3910;
    pub const DATERANGE: u32 = 3912;
    pub const INT8RANGE: u32 = 3926;
}

/// How text compares. Equality is bytewise for every deterministic collation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Collation {
    /// Bytewise: C, POSIX, C.UTF-8, builtin. Also used where collation does not matter.
    Bytes,
    /// The type is an enum: equal as bytes, ordered as `pg_enum` says ([`crate::catalog::Catalog::labels`]).
    Labels,
    /// Any other: equality is known (if deterministic), order is not; an operation that needs order is refused.
    Unordered,
}

/// What a column or expression yields.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ColumnType {
    /// `pg_type.oid`.
    pub oid: u32,
    /// Type modifier as in `pg_attribute.atttypmod`; -1 for none.
    pub typmod: i32,
    pub collation: Collation,
}

impl ColumnType {
    pub fn new(oid: u32) -> ColumnType {
        ColumnType { oid, typmod: -1, collation: Collation::Bytes }
    }
}
