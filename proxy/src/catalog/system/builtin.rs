//! `pg_proc`, `pg_operator`, `pg_type`, `pg_collation`: the built-in rows at once, others by OID.

use super::{CatalogError, FIRST_USER_OID};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};
use weir_planner::catalog::{Catalog, CollationEntry, FunctionEntry, OperatorEntry, TypeEntry};

pub async fn load(client: &Client) -> Result<Catalog, CatalogError> {
    let row = client
        .query_one(
            // Before 15 a database has no provider of its own: libc.
            "SELECT current_setting('server_version_num'), datcollate::text,
                 coalesce(to_jsonb(d) ->> 'datlocprovider', 'c')
             FROM pg_database d WHERE datname = current_database()",
            &[],
        )
        .await?;
    let version: String = row.try_get(0)?;
    let major = version.parse::<u32>().map_err(|_| CatalogError::Version(version))? / 10_000;
    let provider: String = row.try_get(2)?;
    let mut catalog = Catalog {
        server_major: major,
        default_collation_is_bytewise: is_bytewise(&provider, row.try_get(1)?),
        ..Catalog::default()
    };
    read_functions(client, &mut catalog, "oid < $1", &FIRST_USER_OID).await?;
    read_operators(client, &mut catalog, "oid < $1", &FIRST_USER_OID).await?;
    read_types(client, &mut catalog, "oid < $1", &FIRST_USER_OID).await?;
    read_collations(client, &mut catalog, "oid < $1", &FIRST_USER_OID).await?;
    Ok(catalog)
}

/// Where Postgres orders strings by their bytes: the C locales of libc (code point order of UTF-8 is byte order) and
/// the built-in provider.
fn is_bytewise(provider: &str, locale: Option<&str>) -> bool {
    match provider {
        "b" => true,
        "c" => matches!(locale, Some("C" | "POSIX" | "C.UTF-8" | "C.utf8")),
        _ => false,
    }
}

macro_rules! by_oid {
    ($name:ident, $read:ident) => {
        /// Reads these rows, if any.
        pub async fn $name(client: &Client, catalog: &mut Catalog, oids: &[u32]) -> Result<(), CatalogError> {
            if oids.is_empty() { Ok(()) } else { $read(client, catalog, "oid = ANY($1)", &oids).await }
        }
    };
}
by_oid!(functions, read_functions);
by_oid!(operators, read_operators);
by_oid!(types, read_types);
by_oid!(collations, read_collations);

async fn read_functions(
    client: &Client,
    catalog: &mut Catalog,
    condition: &str,
    filter: &(dyn ToSql + Sync),
) -> Result<(), CatalogError> {
    let sql = format!(
        "SELECT p.oid, n.nspname::text, p.proname::text, l.lanname::text, p.prosrc, p.proargtypes::oid[], p.prorettype,
                p.proisstrict, p.proretset, p.provolatile::text, p.prokind::text, p.prosecdef OR p.proconfig IS NOT NULL,
                CASE WHEN p.oid >= {FIRST_USER_OID} THEN p.prosqlbody::text END,
                CASE WHEN p.oid >= {FIRST_USER_OID} AND p.proretset THEN coalesce(
                    (SELECT array_agg(a.type ORDER BY a.n) FROM unnest(p.proallargtypes, p.proargmodes) WITH ORDINALITY AS a (type, mode, n)
                     WHERE a.mode IN ('o', 'b', 't')),
                    (SELECT array_agg(CASE WHEN a.attisdropped THEN 0 ELSE a.atttypid END ORDER BY a.attnum)
                     FROM pg_type t JOIN pg_attribute a ON a.attrelid = t.typrelid WHERE t.oid = p.prorettype AND a.attnum > 0),
                    ARRAY[p.prorettype]) ELSE ARRAY[]::oid[] END,
                (least(p.procost, 5e8) * 2)::int4
         FROM (SELECT * FROM pg_proc WHERE {condition}) p
         JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang"
    );
    for row in client.query(&sql, &[filter]).await? {
        let entry = FunctionEntry {
            schema: row.try_get(1)?,
            name: row.try_get(2)?,
            language: row.try_get(3)?,
            prosrc: row.try_get(4)?,
            argument_types: row.try_get(5)?,
            return_type: row.try_get(6)?,
            strict: row.try_get(7)?,
            returns_set: row.try_get(8)?,
            volatility: letter(&row, 9)?,
            kind: letter(&row, 10)?,
            shielded: row.try_get(11)?,
            body: row.try_get(12)?,
            columns: row.try_get(13)?,
            cost: row.try_get(14)?,
        };
        catalog.functions.insert(row.try_get(0)?, entry);
    }
    Ok(())
}

async fn read_operators(
    client: &Client,
    catalog: &mut Catalog,
    condition: &str,
    filter: &(dyn ToSql + Sync),
) -> Result<(), CatalogError> {
    let sql = format!(
        "SELECT oid, oprname::text, oprcode::oid, oprleft, oprright, oprcom, oprnegate, oprcanhash OR oprcanmerge
         FROM pg_operator WHERE {condition}"
    );
    for row in client.query(&sql, &[filter]).await? {
        let entry = OperatorEntry {
            name: row.try_get(1)?,
            function: row.try_get(2)?,
            left_type: row.try_get(3)?,
            right_type: row.try_get(4)?,
            commutator: row.try_get(5)?,
            negator: row.try_get(6)?,
            is_equality: row.try_get(7)?,
        };
        catalog.operators.insert(row.try_get(0)?, entry);
    }
    Ok(())
}

async fn read_types(
    client: &Client,
    catalog: &mut Catalog,
    condition: &str,
    filter: &(dyn ToSql + Sync),
) -> Result<(), CatalogError> {
    let sql = format!(
        "SELECT t.oid, n.nspname::text, t.typname::text, t.typlen, t.typtype::text, t.typbasetype, t.typelem, t.typnotnull,
             CASE WHEN t.typtype = 'd' THEN ARRAY(SELECT k.conname::text FROM pg_constraint k
                 WHERE k.contypid = t.oid AND k.contype = 'c' ORDER BY k.conname) END,
             CASE WHEN t.typtype = 'd' THEN ARRAY(SELECT k.conbin::text FROM pg_constraint k
                 WHERE k.contypid = t.oid AND k.contype = 'c' ORDER BY k.conname) END
         FROM (SELECT * FROM pg_type WHERE {condition}) t JOIN pg_namespace n ON n.oid = t.typnamespace"
    );
    for row in client.query(&sql, &[filter]).await? {
        let names: Option<Vec<String>> = row.try_get(8)?;
        let trees: Option<Vec<String>> = row.try_get(9)?;
        let entry = TypeEntry {
            schema: row.try_get(1)?,
            name: row.try_get(2)?,
            length: row.try_get(3)?,
            kind: letter(&row, 4)?,
            base: row.try_get(5)?,
            element: row.try_get(6)?,
            not_null: row.try_get(7)?,
            checks: names.unwrap_or_default().into_iter().zip(trees.unwrap_or_default()).collect(),
        };
        let oid: u32 = row.try_get(0)?;
        if entry.kind == 'e' {
            catalog.labels.insert(oid, Vec::new());
        }
        catalog.types.insert(oid, entry);
    }
    Ok(())
}

/// Reads all enums.
pub async fn enums(client: &Client, catalog: &mut Catalog) -> Result<(), CatalogError> {
    read_types(client, catalog, "typtype = 'e' AND oid >= $1", &FIRST_USER_OID).await?;
    labels(client, catalog).await
}

/// Reads the labels of enums that have none yet, in their order.
pub async fn labels(client: &Client, catalog: &mut Catalog) -> Result<(), CatalogError> {
    let unread: Vec<u32> = catalog.labels.iter().filter(|(_, labels)| labels.is_empty()).map(|(oid, _)| *oid).collect();
    if unread.is_empty() {
        return Ok(());
    }
    const LABELS: &str = "SELECT enumtypid, oid, enumlabel::text FROM pg_enum WHERE enumtypid = ANY($1)
         ORDER BY enumtypid, enumsortorder";
    for row in client.query(LABELS, &[&unread]).await? {
        let labels = catalog.labels.entry(row.try_get(0)?).or_default();
        labels.push((row.try_get(1)?, row.try_get(2)?));
    }
    Ok(())
}

async fn read_collations(
    client: &Client,
    catalog: &mut Catalog,
    condition: &str,
    filter: &(dyn ToSql + Sync),
) -> Result<(), CatalogError> {
    let sql = format!(
        "SELECT oid, collname::text, collisdeterministic, collprovider::text, collcollate::text
         FROM pg_collation WHERE {condition}"
    );
    for row in client.query(&sql, &[filter]).await? {
        let provider: String = row.try_get(3)?;
        let bytewise = match provider.as_str() {
            "d" => catalog.default_collation_is_bytewise,
            provider => is_bytewise(provider, row.try_get(4)?),
        };
        let entry = CollationEntry { name: row.try_get(1)?, deterministic: row.try_get(2)?, bytewise };
        catalog.collations.insert(row.try_get(0)?, entry);
    }
    Ok(())
}

/// A `"char"` column cast to text; blank for the zero byte.
pub(super) fn letter(row: &Row, column: usize) -> Result<char, tokio_postgres::Error> {
    let text: String = row.try_get(column)?;
    Ok(text.chars().next().unwrap_or(' '))
}
