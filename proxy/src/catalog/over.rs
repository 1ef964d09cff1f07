//! What stands over stream tables, so that a read of it is one of theirs though it names none: ordinary views, and functions in SQL
//! that return sets. Of views and analysed bodies (`BEGIN ATOMIC`) Postgres records what they read. A body of text is searched for names;
//! what it means, if anything, analysis finds out for each reader.

use crate::words::{MAX_IDENTIFIER_BYTES, Words};
use std::collections::HashSet;
use tokio_postgres::Client;

/// Over stream tables and over these functions.
const OVER: &str = "WITH RECURSIVE over (class, object) AS ( \
         SELECT 'pg_class'::regclass::oid, s.pgt_relid FROM pgtrickle.pgt_stream_tables s \
         UNION \
         SELECT 'pg_proc'::regclass::oid, f FROM unnest($1::oid[]) f \
         UNION \
         SELECT above.class, above.object FROM over o \
         JOIN pg_depend d ON d.refclassid = o.class AND d.refobjid = o.object \
         CROSS JOIN LATERAL ( \
             SELECT 'pg_class'::regclass::oid, r.ev_class FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class AND c.relkind = 'v' \
             WHERE d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid \
             UNION ALL \
             SELECT d.classid, p.oid FROM pg_proc p \
             WHERE d.classid = 'pg_proc'::regclass AND p.oid = d.objid AND p.proretset) above (class, object)) \
     SELECT c.relname::text FROM over o JOIN pg_class c ON o.class = 'pg_class'::regclass AND c.oid = o.object \
     UNION \
     SELECT p.proname::text FROM over o JOIN pg_proc p ON o.class = 'pg_proc'::regclass AND p.oid = o.object \
     ORDER BY 1";

const TEXTS: &str = "SELECT p.oid, p.prosrc FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang \
     WHERE l.lanname = 'sql' AND p.prosqlbody IS NULL AND p.proretset AND p.prokind = 'f' AND p.oid >= 16384 \
     AND p.pronamespace <> ALL (ARRAY['pg_catalog', 'information_schema', 'pgtrickle']::regnamespace[]::oid[]) ORDER BY 1";

/// Names of stream tables and of what stands over them, without their schemas, ascending.
pub async fn names(client: &Client) -> Result<Vec<String>, tokio_postgres::Error> {
    let mut texts: Vec<(u32, String)> =
        client.query(TEXTS, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut functions: Vec<u32> = Vec::new();
    loop {
        let names: Vec<String> = client.query(OVER, &[&functions]).await?.iter().map(|row| row.get(0)).collect();
        let known: HashSet<String> = names.iter().map(|name| name.to_lowercase()).collect();
        // A function that names one of them is one itself, and so is what stands over it.
        let (found, rest) = texts.into_iter().partition::<Vec<_>, _>(|(_, body)| names_one_of(body, &known));
        if found.is_empty() {
            return Ok(names);
        }
        functions.extend(found.iter().map(|(function, _)| function));
        texts = rest;
    }
}

fn names_one_of(text: &str, names: &HashSet<String>) -> bool {
    let mut lowered = String::with_capacity(MAX_IDENTIFIER_BYTES);
    Words::of(text).any(|word| {
        word.lower_into(&mut lowered);
        names.contains(&lowered)
    })
}
