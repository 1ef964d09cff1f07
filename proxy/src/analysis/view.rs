//! Planning of a stream table: its stored view tree as a plan to be maintained.

use super::bodies::{Texts, text_functions};
use super::creator::CreatorSession;
use crate::catalog::rows::Pinned;
use crate::catalog::system::{CatalogError, SystemCatalog};
use tokio_postgres::Client;
use weir_planner::catalog::RelationKind;
use weir_planner::expand::expand;
use weir_planner::lower::{LowerError, OutputColumn, Unsupported, lower_view};
use weir_planner::plan::PlanUses;
use weir_planner::settings::SettingSet;
use weir_planner::temporal;
use weir_planner::tree::{Tree, parse, references};
use weir_planner::{Plan, RelationId};

/// A view that the engine can maintain.
#[derive(Clone, Debug)]
pub struct PlannedView {
    pub plan: Plan,
    pub columns: Vec<OutputColumn>,
    pub sources: Sources,
    pub uses: PlanUses,
    /// Bodies of text that stand in it, as its maker means them.
    pub texts: Texts,
}

/// Relations a view reads, ordinary views followed, each once. What functions read inside is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Tables whose changes are captured; of a partitioned one, its leaves; with one that others inherit from, its heirs.
    pub base_tables: Vec<RelationId>,
    pub stream_tables: Vec<RelationId>,
    /// Everything else, with why it cannot be followed ("foreign table").
    pub others: Vec<(RelationId, String)>,
}

#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The engine cannot maintain this view; `sources` says what a re-evaluation depends on.
    #[error("not supported: {reason}")]
    Unsupported { reason: Unsupported, sources: Box<Sources>, texts: Box<Texts> },
    #[error("relation {0:?} is not a view")]
    NotAView(RelationId),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The stored tree is not what this major of Postgres is known to store.
    #[error(transparent)]
    Tree(#[from] LowerError),
}

/// Plans the view `relation` as its creator, with what is pinned, means it. Views that `catalog` knows as stream tables are read, all others expanded.
///
/// After DDL call [`SystemCatalog::forget_relations`] first.
pub async fn plan_view(
    client: &Client,
    catalog: &mut SystemCatalog,
    relation: RelationId,
    pinned: &Pinned,
    creator: &mut CreatorSession,
) -> Result<PlannedView, PlanError> {
    const TREE: &str = "SELECT ev_action::text FROM pg_rewrite WHERE ev_class = $1 AND rulename = '_RETURN'";
    let row = client.query_opt(TREE, &[&relation.0]).await.map_err(CatalogError::from)?;
    let Some(row) = row else { return Err(PlanError::NotAView(relation)) };
    let text: String = row.try_get(0).map_err(CatalogError::from)?;
    let tree = parse(&text).map_err(LowerError::from)?;
    catalog.require(client, &tree).await?;
    let sources = sources(catalog, &tree);
    let texts = creator.texts(text_functions(catalog.planner(), &tree), pinned).await;
    let required = catalog.require_bodies(client, &texts.bodies).await;
    let lowered = required.map(|()| lower_view(&text, catalog.planner()));
    catalog.forget_bodies(&texts.bodies);
    let unsupported =
        |reason| Err(PlanError::Unsupported { reason, sources: sources.clone().into(), texts: texts.clone().into() });
    match lowered? {
        Ok(lowered) => {
            if lowered.uses.settings.contains(SettingSet::CLOCK)
                && let Err(place) = temporal::check(&lowered.plan, &pinned.settings)
            {
                return unsupported(Unsupported::because("now()", place));
            }
            Ok(PlannedView { plan: lowered.plan, columns: lowered.columns, sources, uses: lowered.uses, texts })
        }
        Err(LowerError::Unsupported(reason)) => unsupported(reason),
        Err(LowerError::Parse(weir_planner::tree::ParseError::TooDeep)) => {
            unsupported(Unsupported::new("expression nested too deeply"))
        }
        Err(error) => Err(error.into()),
    }
}

fn sources(catalog: &SystemCatalog, tree: &Tree) -> Sources {
    let mut found = Sources::default();
    let mut seen = std::collections::HashSet::new();
    collect(catalog, tree, &mut found, &mut seen);
    found
}

fn collect(catalog: &SystemCatalog, tree: &Tree, found: &mut Sources, seen: &mut std::collections::HashSet<u32>) {
    for oid in references(&expand(tree, catalog.planner()).tree).relations {
        if !seen.insert(oid) {
            continue;
        }
        let id = RelationId(oid);
        match catalog.planner().relations.get(&oid).map(|entry| &entry.kind) {
            Some(RelationKind::Table) => found.base_tables.push(id),
            Some(RelationKind::Partitioned { leaves: tables } | RelationKind::Parent { tables }) => {
                let new = tables.iter().filter(|table| **table == oid || seen.insert(**table));
                for &table in new {
                    match catalog.planner().relations.get(&table).map(|entry| &entry.kind) {
                        Some(RelationKind::Table | RelationKind::Parent { .. }) => {
                            found.base_tables.push(RelationId(table))
                        }
                        Some(RelationKind::Other { reason }) => found.others.push((RelationId(table), reason.clone())),
                        _ => found.others.push((RelationId(table), "table that is gone".into())),
                    }
                }
            }
            Some(RelationKind::StreamTable { .. }) => found.stream_tables.push(id),
            Some(RelationKind::View { tree }) => {
                if let Ok(tree) = parse(tree) {
                    collect(catalog, &tree, found, seen);
                }
            }
            Some(RelationKind::Other { reason }) => found.others.push((id, reason.clone())),
            None => found.others.push((id, "relation that is gone".into())),
        }
    }
}
