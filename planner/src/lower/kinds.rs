//! Types: how a value is held, whether it can be compared, what a tree's (type, typmod, collation) is as a
//! [`ColumnType`].

use super::error::{LowerError, Unsupported};
use super::{Lowering, unsupported};
use crate::types::{Collation, ColumnType, oid};
use crate::value::{bound_type, element_type};

/// The variant of [`crate::Value`] that holds a type; casts without a function are only right within one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Representation {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    Text,
    Bpchar,
    Bytea,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Interval,
    Uuid,
    Jsonb,
    Inet,
    TimeTz,
    /// Its binary image, the bytes of which are in the type's order.
    Image(u32),
    /// Of elements of this type.
    Array(u32),
    /// Of bounds of this type.
    Range(u32),
    Opaque,
}

pub(super) fn representation(type_oid: u32) -> Representation {
    match type_oid {
        oid::BOOL => Representation::Bool,
        oid::INT2 => Representation::Int2,
        oid::INT4 => Representation::Int4,
        oid::INT8 => Representation::Int8,
        oid::FLOAT4 => Representation::Float4,
        oid::FLOAT8 => Representation::Float8,
        oid::NUMERIC => Representation::Numeric,
        oid::TEXT | oid::VARCHAR | oid::NAME | oid::UNKNOWN => Representation::Text,
        oid::BPCHAR => Representation::Bpchar,
        oid::BYTEA => Representation::Bytea,
        oid::DATE => Representation::Date,
        oid::TIME => Representation::Time,
        oid::TIMESTAMP => Representation::Timestamp,
        oid::TIMESTAMPTZ => Representation::TimestampTz,
        oid::INTERVAL => Representation::Interval,
        oid::UUID => Representation::Uuid,
        oid::JSONB => Representation::Jsonb,
        oid::INET | oid::CIDR => Representation::Inet,
        oid::TIMETZ => Representation::TimeTz,
        oid::OID | oid::MACADDR | oid::MACADDR8 => Representation::Image(type_oid),
        _ => match (element_type(type_oid), bound_type(type_oid)) {
            (Some(element), _) => Representation::Array(element),
            (_, Some(bound)) => Representation::Range(bound),
            (None, None) => Representation::Opaque,
        },
    }
}

/// SQL equality of this base type is known.
pub fn has_equality(type_oid: u32) -> bool {
    representation(type_oid) != Representation::Opaque
}

/// The default order of this base type is known, collation apart.
pub fn has_order(type_oid: u32) -> bool {
    has_equality(type_oid)
}

/// `min` and `max` of this base type are known, collation apart.
pub(super) fn has_extremes(type_oid: u32) -> bool {
    has_order(type_oid) || BIG_ENDIAN.contains(&type_oid)
}

/// Unsigned numbers whose binary images, most significant byte first, are in their order: oid, tid, pg_lsn, xid8.
const BIG_ENDIAN: &[u32] = &[oid::OID, oid::TID, oid::PG_LSN, oid::XID8];

const C_COLLATION: u32 = 950;
const POSIX_COLLATION: u32 = 951;
const DEFAULT_COLLATION: u32 = 100;

impl Lowering<'_> {
    /// The type as plans know it; a domain is its base type, as in RowDescription.
    pub(super) fn kind(&self, type_oid: u32, typmod: i32, collation: u32) -> Result<ColumnType, LowerError> {
        let mut base = type_oid;
        while let Some(entry) = self.catalog.types.get(&base)
            && entry.kind == 'd'
        {
            base = entry.base;
        }
        let collation = if self.catalog.labels.contains_key(&base) {
            Collation::Labels
        } else if self.is_bytewise(collation)? {
            Collation::Bytes
        } else {
            Collation::Unordered
        };
        Ok(ColumnType { oid: base, typmod, collation })
    }

    fn is_bytewise(&self, collation: u32) -> Result<bool, LowerError> {
        match collation {
            0 | C_COLLATION | POSIX_COLLATION => Ok(true),
            DEFAULT_COLLATION => Ok(self.catalog.default_collation_is_bytewise),
            other => match self.catalog.collations.get(&other) {
                Some(entry) => Ok(entry.bytewise && entry.deterministic),
                None => Err(LowerError::Missing { kind: "collation", oid: other }),
            },
        }
    }

    pub(super) fn collation_name(&self, collation: u32) -> String {
        match self.catalog.collations.get(&collation) {
            Some(entry) => entry.name.clone(),
            None => format!("collation {collation}"),
        }
    }

    /// Refuses a comparison under a collation in which unequal strings may be equal.
    pub(super) fn check_deterministic(&self, collation: u32) -> Result<(), LowerError> {
        match self.catalog.collations.get(&collation) {
            Some(entry) if !entry.deterministic => unsupported(format!("non-deterministic collation {}", entry.name)),
            _ => Ok(()),
        }
    }

    /// Refuses an ordering that this collation decides in ways not known here. `what` reads like "ORDER BY".
    pub(super) fn check_order(&self, what: &str, collation: u32) -> Result<(), LowerError> {
        self.check_deterministic(collation)?;
        if self.is_bytewise(collation)? {
            return Ok(());
        }
        unsupported(format!("{what} under collation {}", self.collation_name(collation)))
    }

    /// Refuses to order a type that the database's own collation decides the order of, where that is not known.
    pub(super) fn check_type_order(&self, what: &str, kind: &ColumnType) -> Result<(), LowerError> {
        if kind.oid == oid::JSONB && !self.catalog.default_collation_is_bytewise {
            return unsupported(format!("{what} on type jsonb under the database's collation"));
        }
        Ok(())
    }

    /// A type's name as SQL spells it, for messages.
    pub(super) fn type_name(&self, type_oid: u32) -> String {
        let Some(entry) = self.catalog.types.get(&type_oid) else { return format!("type {type_oid}") };
        let name = match entry.name.as_str() {
            "int2" => "smallint",
            "int4" => "integer",
            "int8" => "bigint",
            "float4" => "real",
            "float8" => "double precision",
            "bool" => "boolean",
            "bpchar" => "character",
            "varchar" => "character varying",
            "timestamp" => "timestamp without time zone",
            "timestamptz" => "timestamp with time zone",
            name => name,
        };
        if entry.schema == "pg_catalog" { name.to_owned() } else { format!("{}.{name}", entry.schema) }
    }

    /// Refuses GROUP BY, DISTINCT and equality on a type whose equality is not known.
    pub(super) fn check_equality(&self, what: &str, kind: &ColumnType, collation: u32) -> Result<(), LowerError> {
        self.check_deterministic(collation)?;
        if has_equality(kind.oid) || kind.collation == Collation::Labels {
            return Ok(());
        }
        Err(Unsupported::new(format!("{what} on type {}", self.type_name(kind.oid))).into())
    }
}
