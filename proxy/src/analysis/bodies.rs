//! Bodies of users' functions in SQL that Postgres keeps as text: it reads them anew under every session's search path and
//! settings, and so they are read here as the session means them that calls them, or that made the definition that does.

use super::session::AnalysisSession;
use super::statement::{Failure, has_moment_constant, may_hold_a_moment};
use std::collections::BTreeSet;
use weir_planner::catalog::{Catalog, RelationKind};
use weir_planner::tree::{Tree, parse, references};

/// Functions in functions that are read before giving up.
const MOST_BODIES: usize = 32;

/// Functions that Postgres puts in the place of their calls if the body allows it (`inline_function`,
/// `inline_set_returning_function`), with arguments that go in only; behind them, columns of RETURNS TABLE.
const TEXTS: &str =
    "SELECT p.oid, p.proname::pg_catalog.text, p.prosrc, p.proargtypes::pg_catalog.oid[], p.proargnames, p.prorettype,
        p.proisstrict, p.provolatile::pg_catalog.text, p.proretset
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang
    WHERE p.oid OPERATOR(pg_catalog.=) ANY ($1) AND l.lanname OPERATOR(pg_catalog.=) 'sql' AND p.prosqlbody IS NULL
    AND (p.proargmodes IS NULL OR p.proretset
        AND pg_catalog.array_to_string(p.proargmodes, '') OPERATOR(pg_catalog.~) '^i*t+$')
    AND p.proconfig IS NULL AND NOT p.prosecdef
    AND p.prokind OPERATOR(pg_catalog.=) 'f' ORDER BY p.oid";

const READ_BODY: &str = "SELECT p.prosqlbody::pg_catalog.text FROM pg_catalog.pg_proc p
    WHERE p.pronamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()
    AND p.proname OPERATOR(pg_catalog.<>) 'weir_analysis' AND p.prosqlbody IS NOT NULL";

/// First OID of objects that users made (`FirstNormalObjectId`).
const FIRST_USER_OID: u32 = 16_384;

/// What one session means by a function whose body is text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TextBody {
    pub function: u32,
    /// As `pg_proc.prosqlbody` would have it.
    pub tree: String,
    strict: bool,
    volatility: String,
}

/// What is called by a definition, or by several, and what is meant by that. Two sessions mean the same where these are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// Functions with a body of text, in order: those that are called outright.
    pub functions: Vec<u32>,
    /// Their bodies, and those of such functions that these call, in the order of their OIDs. What cannot stand in a call's place
    /// has none.
    pub bodies: Vec<TextBody>,
}

impl Texts {
    /// Adds what another definition means; false where one function means different things to the two.
    #[must_use]
    pub fn join(&mut self, other: &Texts) -> bool {
        let mut shared = other.functions.iter().chain(other.bodies.iter().map(|body| &body.function));
        let agree = shared.all(|function| match (self.meaning(*function), other.meaning(*function)) {
            (Some(own), Some(others)) => own == others,
            _ => true,
        });
        self.functions.extend(&other.functions);
        self.functions.sort_unstable();
        self.functions.dedup();
        self.bodies.extend(other.bodies.iter().cloned());
        self.bodies.sort_unstable();
        self.bodies.dedup();
        agree
    }

    /// The function's body, if it is one of these; within, None of one that has none.
    fn meaning(&self, function: u32) -> Option<Option<&TextBody>> {
        let body = self.bodies.iter().find(|body| body.function == function);
        (body.is_some() || self.functions.contains(&function)).then_some(body)
    }
}

/// Functions in SQL with a body of text that a tree calls, or an ordinary view that it reads, or an analysed body that either
/// calls; in order. All that these name has been read into the catalogue.
pub(super) fn text_functions(catalog: &Catalog, tree: &Tree) -> Vec<u32> {
    let (mut found, mut functions, mut views) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut open = vec![references(tree)];
    while let Some(named) = open.pop() {
        let mut within = Vec::new();
        for function in named.functions.into_iter().filter(|oid| *oid >= FIRST_USER_OID) {
            match catalog.functions.get(&function) {
                Some(entry) if entry.language == "sql" && functions.insert(function) => match &entry.body {
                    Some(body) => within.push(body),
                    None => drop(found.insert(function)),
                },
                _ => {}
            }
        }
        for relation in named.relations {
            match catalog.relations.get(&relation).map(|entry| &entry.kind) {
                Some(RelationKind::View { tree }) if views.insert(relation) => within.push(tree),
                _ => {}
            }
        }
        // What cannot be read is not lowered either.
        open.extend(within.into_iter().filter_map(|text| parse(text).ok()).map(|tree| references(&tree)));
    }
    found.into_iter().collect()
}

/// Whether bodies that read tables are wanted. Nothing in the catalogue says which tables a text reads, so nobody would notice what
/// happens to those of a definition; a statement is analysed anew with every change of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfTables {
    Wanted,
    LeftOut,
}

impl AnalysisSession {
    /// What is meant by these functions in a session of which `settings` are the values ([`super::session::settings`]).
    pub async fn texts(
        &mut self,
        functions: Vec<u32>,
        settings: &[Option<String>],
        of_tables: OfTables,
    ) -> Result<Texts, Failure> {
        if functions.is_empty() {
            return Ok(Texts::default());
        }
        self.run("BEGIN").await?;
        let bodies = match self.enter(settings).await {
            Ok(()) => self.bodies(&functions, of_tables).await,
            Err(failure) => Err(failure),
        };
        self.leave().await?;
        Ok(Texts { functions, bodies: bodies? })
    }

    /// The analysed bodies of these functions, and of those that they call; a body that Postgres does not take, or that means a
    /// moment, is left out.
    async fn bodies(&mut self, functions: &[u32], of_tables: OfTables) -> Result<Vec<TextBody>, Failure> {
        let mut found = Vec::new();
        let mut seen: BTreeSet<u32> = functions.iter().copied().collect();
        let mut open: Vec<u32> = seen.iter().copied().collect();
        while !open.is_empty() {
            let rows = self.client().query(TEXTS, &[&open]).await.map_err(Failure::of)?;
            open.clear();
            for row in rows {
                let oid: u32 = row.try_get(0).map_err(Failure::of)?;
                let source: String = row.try_get(2).map_err(Failure::of)?;
                if found.len() >= MOST_BODIES {
                    break;
                }
                let Some(wrapped) = self.wrapped(&row, &source)? else { continue };
                let Some(body) = self.read_body(&wrapped).await? else { continue };
                let is_kept = parse(&body).is_ok_and(|tree| {
                    (of_tables == OfTables::Wanted || references(&tree).relations.is_empty())
                        && !(may_hold_a_moment(&source) && has_moment_constant(&tree))
                });
                if !is_kept {
                    continue;
                }
                open.extend(called(&body).into_iter().filter(|function| seen.insert(*function)));
                let strict = row.try_get(6).map_err(Failure::of)?;
                let volatility = row.try_get(7).map_err(Failure::of)?;
                found.push(TextBody { function: oid, tree: body, strict, volatility });
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The function with its body as Postgres is to analyse it; None where a type is not known.
    fn wrapped(&self, row: &tokio_postgres::Row, source: &str) -> Result<Option<String>, Failure> {
        let name: String = row.try_get(1).map_err(Failure::of)?;
        let types: Vec<u32> = row.try_get(3).map_err(Failure::of)?;
        let names: Option<Vec<String>> = row.try_get(4).map_err(Failure::of)?;
        let returns: u32 = row.try_get(5).map_err(Failure::of)?;
        let returns_set: bool = row.try_get(8).map_err(Failure::of)?;
        let mut arguments = Vec::with_capacity(types.len());
        for (at, oid) in types.iter().enumerate() {
            let Ok(kind) = self.type_name(*oid) else { return Ok(None) };
            let named = names.as_ref().and_then(|names| names.get(at)).filter(|name| !name.is_empty());
            arguments.push(named.map_or(kind.clone(), |name| format!("{} {kind}", quoted(name))));
        }
        let returns = match self.type_name(returns) {
            _ if returns_set => "SETOF pg_catalog.record".to_owned(),
            Ok(name) => name,
            Err(_) => return Ok(None),
        };
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

/// Users' functions that a tree calls.
fn called(tree: &str) -> Vec<u32> {
    let named = parse(tree).map(|tree: Tree| references(&tree).functions).unwrap_or_default();
    named.into_iter().filter(|oid| *oid >= FIRST_USER_OID).collect()
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}
