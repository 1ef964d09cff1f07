//! Upper and lower case and classes of characters under a collation, asked of the server the first time that a tree folds case or
//! has a pattern under it.

use super::CatalogError;
use std::collections::BTreeSet;
use tokio_postgres::Client;
use weir_planner::catalog::Catalog;
use weir_planner::functions::{Letters, Told, number_of, question, takes_jsonpath, takes_letters};
use weir_planner::lower::DEFAULT_COLLATION;
use weir_planner::tree::References;

/// The last character asked for: behind the planes of scripts and of ideographs (the server needs 0.2 s for these).
const LAST: u32 = 0x3FFFF;

/// Of a collation whose case may depend on what stands around a character (ICU), that of ASCII among itself.
const LAST_OF_ASCII: u32 = 0x7F;

/// Provider, type of characters and locale as they are, columns of all versions considered; the database's own for "default".
const COLLATIONS: &str = "
    SELECT c.oid, format('%I.%I', n.nspname, c.collname), own.provider,
           coalesce(CASE WHEN own.provider = 'c' THEN own.ctype ELSE own.locale END, '')
    FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
    CROSS JOIN (SELECT to_jsonb(d) AS d FROM pg_database d WHERE datname = current_database()) d
    CROSS JOIN LATERAL (SELECT to_jsonb(c) AS c) j
    CROSS JOIN LATERAL (
        SELECT coalesce(d ->> 'datlocprovider', 'c'), d ->> 'datctype', coalesce(d ->> 'datlocale', d ->> 'daticulocale')
        WHERE c.collprovider = 'd'
        UNION ALL
        SELECT c.collprovider::text, c.collctype::text, coalesce(j.c ->> 'colllocale', j.c ->> 'colliculocale')
        WHERE c.collprovider <> 'd') own (provider, ctype, locale)
    WHERE c.oid = ANY($1)";

/// Asks for the letters of the collations that something named needs.
pub(super) async fn require(client: &Client, catalog: &mut Catalog, named: &References) -> Result<(), CatalogError> {
    let of_arguments = named.collations.iter().copied().filter(|_| names(catalog, named, takes_letters));
    // Patterns in a path are under this one.
    let of_paths = names(catalog, named, takes_jsonpath).then_some(DEFAULT_COLLATION);
    let is_unknown = |oid: &u32| !catalog.letters.contains_key(oid);
    let unknown: BTreeSet<u32> = of_arguments.chain(of_paths).filter(is_unknown).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let unknown: Vec<u32> = unknown.into_iter().collect();
    for row in client.query(COLLATIONS, &[&unknown]).await? {
        let (oid, name): (u32, String) = (row.try_get(0)?, row.try_get(1)?);
        let (provider, locale): (String, String) = (row.try_get(2)?, row.try_get(3)?);
        let letters = match (provider.as_str(), locale.as_str()) {
            ("c", "C" | "POSIX") | ("b", "C") => Some(Letters::of_ascii()),
            // Each character by itself: `towlower` and `towupper`, the simple mappings of Unicode.
            ("c", _) | ("b", "C.UTF-8" | "C.UTF8") => ask(client, &name, LAST).await?,
            _ => ask(client, &name, LAST_OF_ASCII).await?,
        };
        if let Some(number) = letters.as_ref().and_then(number_of) {
            catalog.letters.insert(oid, number);
        }
    }
    Ok(())
}

/// Something named is a function of this kind.
fn names(catalog: &Catalog, named: &References, is_meant: impl Fn(&str) -> bool) -> bool {
    let of_operators = named.operators.iter().filter_map(|oid| Some(&catalog.operators.get(oid)?.function));
    let mut functions = named.functions.iter().chain(of_operators);
    functions.any(|oid| {
        catalog.functions.get(oid).is_some_and(|entry| entry.language == "internal" && is_meant(&entry.prosrc))
    })
}

/// None where the server cannot say, or says what is no mapping of characters.
async fn ask(client: &Client, collation: &str, last: u32) -> Result<Option<Letters>, CatalogError> {
    let row = match client.query_one(&question(collation, last), &[]).await {
        Ok(row) => row,
        // A collation that this server's operating system does not have: no statement under it succeeds.
        Err(error) if error.as_db_error().is_some() => {
            tracing::debug!(collation, %error, "its letters are not known");
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let classes: Vec<&str> = row.try_get(3)?;
    let Ok(classes) = classes.try_into() else { return Ok(None) };
    let (characters, lower, upper) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(Letters::told(&Told { characters, lower, upper, classes }))
}
