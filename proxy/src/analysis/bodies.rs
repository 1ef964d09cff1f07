//! Bodies of users' functions in SQL that Postgres keeps as text: it reads them anew under every session's search path and
//! settings, and so they are read here as part of the statement that calls them, as the client's role.

use super::session::AnalysisSession;
use super::statement::{Failure, has_moment_constant, may_hold_a_moment};
use std::collections::BTreeSet;
use weir_planner::tree::{Tree, parse, references};

/// Functions in functions that are read before giving up.
const MOST_BODIES: usize = 32;

/// Functions that Postgres puts in the place of their calls if the body allows it (`inline_function`), with arguments that
/// go in only.
const TEXTS: &str =
    "SELECT p.oid, p.proname::pg_catalog.text, p.prosrc, p.proargtypes::pg_catalog.oid[], p.proargnames, p.prorettype
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang
    WHERE p.oid OPERATOR(pg_catalog.=) ANY ($1) AND l.lanname OPERATOR(pg_catalog.=) 'sql' AND p.prosqlbody IS NULL
    AND p.proargmodes IS NULL AND p.proconfig IS NULL AND NOT p.prosecdef AND NOT p.proretset
    AND p.prokind OPERATOR(pg_catalog.=) 'f'";

const READ_BODY: &str = "SELECT p.prosqlbody::pg_catalog.text FROM pg_catalog.pg_proc p
    WHERE p.pronamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()
    AND p.proname OPERATOR(pg_catalog.<>) 'weir_analysis' AND p.prosqlbody IS NOT NULL";

/// First OID of objects that users made (`FirstNormalObjectId`).
const FIRST_USER_OID: u32 = 16_384;

impl AnalysisSession {
    /// The analysed bodies of the functions that a tree calls, and of those that these call. Within the transaction of an
    /// analysis; a body that Postgres does not take, or that means a moment, is left out.
    pub(super) async fn bodies(&mut self, tree: &str) -> Result<Vec<(u32, String)>, Failure> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        let mut open = called(tree, &mut seen);
        while !open.is_empty() {
            let rows = self.client().query(TEXTS, &[&open]).await.map_err(Failure::of)?;
            open.clear();
            for row in rows {
                let oid: u32 = row.try_get(0).map_err(Failure::of)?;
                let source: String = row.try_get(2).map_err(Failure::of)?;
                if found.len() >= MOST_BODIES {
                    return Ok(found);
                }
                let Some(wrapped) = self.wrapped(&row, &source)? else { continue };
                let Some(body) = self.read_body(&wrapped).await? else { continue };
                if may_hold_a_moment(&source) && parse(&body).map_or(true, |tree| has_moment_constant(&tree)) {
                    continue;
                }
                open.extend(called(&body, &mut seen));
                found.push((oid, body));
            }
        }
        Ok(found)
    }

    /// The function with its body as Postgres is to analyse it; None where a type is not known.
    fn wrapped(&self, row: &tokio_postgres::Row, source: &str) -> Result<Option<String>, Failure> {
        let name: String = row.try_get(1).map_err(Failure::of)?;
        let types: Vec<u32> = row.try_get(3).map_err(Failure::of)?;
        let names: Option<Vec<String>> = row.try_get(4).map_err(Failure::of)?;
        let returns: u32 = row.try_get(5).map_err(Failure::of)?;
        let mut arguments = Vec::with_capacity(types.len());
        for (at, oid) in types.iter().enumerate() {
            let Ok(kind) = self.type_name(*oid) else { return Ok(None) };
            let named = names.as_ref().and_then(|names| names.get(at)).filter(|name| !name.is_empty());
            arguments.push(named.map_or(kind.clone(), |name| format!("{} {kind}", quoted(name))));
        }
        let Ok(returns) = self.type_name(returns) else { return Ok(None) };
        Ok(Some(format!(
            "CREATE FUNCTION pg_temp.{}({}) RETURNS {returns} LANGUAGE sql BEGIN ATOMIC {source}\n; END",
            quoted(&name),
            arguments.join(", ")
        )))
    }

    /// Made, read and unmade: several functions may have one name and one list of arguments. By extended Parse, as one
    /// statement or none.
    async fn read_body(&mut self, wrapped: &str) -> Result<Option<String>, Failure> {
        self.run("SAVEPOINT body").await?;
        let made = self.client().execute(wrapped, &[]).await;
        let body = match made {
            Ok(_) => {
                let row = self.client().query_opt(READ_BODY, &[]).await.map_err(Failure::of)?;
                row.map(|row| row.try_get(0).map_err(Failure::of)).transpose()?
            }
            Err(error) => match Failure::of(error) {
                Failure::Unsupported { .. } => None,
                other => return Err(other),
            },
        };
        self.run("ROLLBACK TO SAVEPOINT body").await?;
        Ok(body)
    }
}

/// Users' functions that a tree calls and that have not been seen yet.
fn called(tree: &str, seen: &mut BTreeSet<u32>) -> Vec<u32> {
    let named = parse(tree).map(|tree: Tree| references(&tree).functions).unwrap_or_default();
    named.into_iter().filter(|oid| *oid >= FIRST_USER_OID && seen.insert(*oid)).collect()
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}
