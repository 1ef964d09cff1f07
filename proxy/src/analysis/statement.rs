//! One analysis: the client's text, what Postgres made of it, what the planner makes of that.

use super::bodies::{OfTables, Texts, text_functions};
use super::session::{Analysed, AnalysisSession, settings};
use super::{AnalysisKey, Labels, Prepared, ResultColumn};
use crate::registry::Registry;
use std::collections::BTreeSet;
use tokio_postgres::error::SqlState;
use weir_planner::RelationId;
use weir_planner::catalog::RelationKind;
use weir_planner::expand::expand;
use weir_planner::lower::{LowerError, Lowered, has_equality, lower_statement};
use weir_planner::query::modifiers_may_change;
use weir_planner::tree::{Node, ParseError, Tree, parse, references};
use weir_planner::types::oid;
use weir_planner::value::element_type;

/// Longer texts are forwarded: they are loads or generated code, and their trees are a hundred times as long.
const MAX_STATEMENT_BYTES: usize = 64 * 1024;

/// Postgres raises an error for the statement: it will say so itself.
pub const REFUSED: &str = "refused by Postgres";

/// A body of text in the definition of what is read means something else to this session.
pub(super) const MEANING: &str = "function body means something else";

/// Why there is no plan.
#[derive(Debug)]
pub(super) enum Failure {
    /// Stays so until DDL: kept in the cache.
    Unsupported { reason: &'static str, detail: String },
    /// A lock or a timeout; may work next time.
    Transient(String),
    /// The control session is gone or in an unknown state.
    Broken(String),
}

impl Failure {
    pub fn unsupported(reason: &'static str, detail: impl Into<String>) -> Failure {
        Failure::Unsupported { reason, detail: detail.into() }
    }

    /// What Postgres' answer means.
    pub fn of(error: tokio_postgres::Error) -> Failure {
        match error.as_db_error() {
            None => Failure::Broken(error.to_string()),
            Some(answer) if ends_session(answer.code()) => Failure::Broken(error.to_string()),
            Some(answer) if is_transient(answer.code()) => Failure::Transient(error.to_string()),
            Some(answer) => Failure::unsupported(REFUSED, format!("{} {}", answer.code().code(), answer.message())),
        }
    }
}

/// Connection exceptions, and 57P01 to 57P05: shut down, crashed, starting up, database dropped, idle for too long.
fn ends_session(code: &SqlState) -> bool {
    code.code().starts_with("08") || code.code().starts_with("57P0")
}

/// A lock, a timeout, or the classes of insufficient resources (53) and of system errors (58).
fn is_transient(code: &SqlState) -> bool {
    let conflicts = [
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::QUERY_CANCELED,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::T_R_SERIALIZATION_FAILURE,
    ];
    conflicts.contains(code) || code.code().starts_with("53") || code.code().starts_with("58")
}

pub(super) async fn analyse(
    session: &mut AnalysisSession,
    key: &AnalysisKey,
    registry: &Registry,
    epoch: u64,
) -> Result<Prepared, Failure> {
    if key.sql.len() > MAX_STATEMENT_BYTES {
        return Err(Failure::unsupported("too long", format!("{} bytes", key.sql.len())));
    }
    session.follow(registry, epoch).await?;
    let Analysed { statement, tree: text } = session.analyse(&key.sql, &key.declared_params, &key.environment).await?;
    let tree = parse(&text).map_err(|error| match error {
        ParseError::TooDeep => Failure::unsupported("unsupported construct", "expression nested too deeply"),
        other => Failure::unsupported("unknown tree", other.to_string()),
    })?;
    if may_hold_a_moment(&key.sql) && has_moment_constant(&tree) {
        return Err(Failure::unsupported("moment literal", "now, today, tomorrow or yesterday in a literal"));
    }
    session.require(&tree).await?;
    let functions = text_functions(session.catalog.planner(), &tree);
    let mut texts = session.texts(functions, &settings(&key.environment)?, OfTables::Wanted).await?;
    let planned = planned(session, key, (&text, &tree), &mut texts, registry).await;
    // They are this statement's: another session may mean something else by the same text.
    session.catalog.forget_bodies(&texts.bodies);
    let (tables, lowered, may_change) = planned?;
    let lowered = lowered.map_err(|error| match error {
        LowerError::Unsupported(unsupported) => Failure::unsupported("unsupported construct", unsupported.to_string()),
        LowerError::Missing { .. } => Failure::unsupported("catalogue", error.to_string()),
        LowerError::Parse(_) | LowerError::Shape(_) => Failure::unsupported("unknown tree", error.to_string()),
    })?;
    let catalog = session.catalog.planner();
    if may_change {
        let detail = "a CASE, COALESCE or function that stands for values of different type modifiers";
        return Err(Failure::unsupported("result type modifier", detail));
    }
    let params: Vec<u32> = statement.params().iter().map(|parameter| parameter.oid()).collect();
    if lowered.params > params.len() {
        return Err(Failure::unsupported("unknown tree", "a parameter the statement does not have"));
    }
    let labels_of = |oid: &u32| Some((*oid, catalog.labels.get(oid)?.iter().map(|(_, label)| label.clone()).collect()));
    let labels: Labels = params.iter().filter_map(labels_of).collect();
    // What clients send as jsonb is any JSON.
    let is_known = |oid: &u32| {
        *oid != oid::JSONB && has_equality(*oid) || element_type(*oid).is_some() || labels.contains_key(oid)
    };
    if let Some(unknown) = params.iter().find(|oid| !is_known(oid)) {
        return Err(Failure::unsupported("parameter type", format!("no known values of type {unknown}")));
    }
    let mut columns = Vec::with_capacity(lowered.columns.len());
    for column in statement.columns() {
        let type_oid = column.type_().oid();
        let Some(entry) = catalog.types.get(&type_oid) else {
            return Err(Failure::unsupported("result type", format!("type {type_oid} of column {}", column.name())));
        };
        columns.push(ResultColumn {
            name: column.name().to_owned(),
            table_oid: column.table_oid().unwrap_or(0),
            column_number: column.column_id().unwrap_or(0),
            type_oid,
            type_length: entry.length,
            typmod: column.type_modifier(),
        });
    }
    // The description and the tree are of one statement: they must agree.
    let described = columns.iter().map(|column| column.type_oid);
    if !described.eq(lowered.columns.iter().map(|column| column.kind.oid)) {
        return Err(Failure::unsupported("unknown tree", "its columns are not those of the description"));
    }
    let (settings, bodies) = (lowered.uses.settings, lowered.uses.bodies);
    Ok(Prepared { plan: lowered.plan, params, labels, columns, tables, bodies, settings, epoch })
}

/// The stream tables that the statement reads, its plan, and whether the modifiers of its columns may be others. `texts`: what the
/// reader means by the bodies of text that it calls; those in the definitions of the tables are added.
async fn planned(
    session: &mut AnalysisSession,
    key: &AnalysisKey,
    (text, tree): (&str, &Tree),
    texts: &mut Texts,
    registry: &Registry,
) -> Result<(Vec<RelationId>, Result<Lowered, LowerError>, bool), Failure> {
    session.require_bodies(texts).await?;
    let tables = stream_tables(tree, session)?;
    let maintained = meant_alike(session, key, &tables, registry).await?;
    texts.bodies.extend(maintained.bodies.iter().cloned());
    session.require_bodies(&maintained).await?;
    let catalog = session.catalog.planner();
    Ok((tables, lower_statement(text, catalog), modifiers_may_change(tree, catalog)))
}

/// Bodies of text in the definitions of these tables, by which the reader must mean what is maintained.
async fn meant_alike(
    session: &mut AnalysisSession,
    key: &AnalysisKey,
    tables: &[RelationId],
    registry: &Registry,
) -> Result<Texts, Failure> {
    let mut maintained = Texts::default();
    let known = registry.tables();
    let agree = tables.iter().filter_map(|id| known.by_id.get(id)).all(|table| maintained.join(&table.texts));
    let meant = session.texts(maintained.functions.clone(), &settings(&key.environment)?, OfTables::LeftOut).await?;
    if !agree || meant != maintained {
        return Err(Failure::unsupported(MEANING, "in the definition of what is read, a body of text"));
    }
    Ok(meant)
}

/// The stream tables the statement reads, ordinary views followed; anything else makes it Postgres' business.
fn stream_tables(tree: &Tree, session: &AnalysisSession) -> Result<Vec<RelationId>, Failure> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let catalog = session.catalog.planner();
    let below = |tree: &Tree| references(&expand(tree, catalog).tree).relations;
    let mut open: Vec<u32> = below(tree).into_iter().collect();
    while let Some(relation) = open.pop() {
        if !seen.insert(relation) {
            continue;
        }
        let Some(entry) = catalog.relations.get(&relation) else {
            return Err(Failure::unsupported("catalogue", format!("relation {relation} is gone")));
        };
        match &entry.kind {
            RelationKind::StreamTable { .. } => {
                found.insert(RelationId(relation));
            }
            RelationKind::View { tree } => match parse(tree) {
                Ok(tree) => open.extend(below(&tree)),
                Err(error) => return Err(Failure::unsupported("unknown tree", error.to_string())),
            },
            RelationKind::Table | RelationKind::Partitioned { .. } | RelationKind::Parent { .. } => {
                return Err(Failure::unsupported("reads a base table", format!("{}.{}", entry.schema, entry.name)));
            }
            RelationKind::Other { reason } => {
                let detail = format!("{reason} {}.{}", entry.schema, entry.name);
                return Err(Failure::unsupported("reads a base table", detail));
            }
        }
    }
    if found.is_empty() {
        return Err(Failure::unsupported("reads no stream table", ""));
    }
    Ok(found.into_iter().collect())
}

/// A literal of this text could be one of the words that mean the moment of analysis (`'today'::date`). Escapes can
/// hide them.
pub(super) fn may_hold_a_moment(sql: &str) -> bool {
    let lower = sql.to_ascii_lowercase();
    ["now", "today", "tomorrow", "yesterday", "\\", "u&'"].iter().any(|word| lower.contains(word))
}

/// The tree holds a constant of a type whose input knows those words (or of a type not known not to).
pub(super) fn has_moment_constant(tree: &Tree) -> bool {
    const TIMELESS: [u32; 19] = [
        oid::BOOL,
        oid::BYTEA,
        oid::CHAR,
        oid::NAME,
        oid::INT8,
        oid::INT2,
        oid::INT4,
        oid::TEXT,
        oid::OID,
        oid::FLOAT4,
        oid::FLOAT8,
        oid::BPCHAR,
        oid::VARCHAR,
        oid::INTERVAL,
        oid::NUMERIC,
        oid::UUID,
        oid::JSON,
        oid::JSONB,
        oid::JSONPATH,
    ];
    let is_moment = |node: &Node| {
        node.label == "CONST"
            && node.bool("constisnull") != Ok(true)
            && node.oid("consttype").map_or(true, |oid| !TIMELESS.contains(&oid))
    };
    match tree {
        Tree::Node(node) => is_moment(node) || node.fields.iter().any(|(_, value)| has_moment_constant(value)),
        Tree::List(items) => items.iter().any(has_moment_constant),
        _ => false,
    }
}
