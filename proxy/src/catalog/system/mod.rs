//! The system catalogue as the planner needs it, read from the live server over a control connection.
//!
//! Built-in functions, operators, types and collations are read once; relations and user-defined objects when a tree
//! names them. What was read is forgotten with [`SystemCatalog::forget_relations`] when DDL may have changed it.

mod builtin;
mod letters;
mod relations;

use crate::analysis::TextBody;
use std::collections::{BTreeSet, HashSet};
use tokio_postgres::Client;
use weir_planner::RelationId;
use weir_planner::catalog::{Catalog, RelationKind};
use weir_planner::expand::expand;
use weir_planner::tree::{ParseError, References, Tree, parse, references};

/// First OID of objects that users made (`src/include/access/transam.h`).
const FIRST_USER_OID: u32 = 16384;

#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    #[error("reading the system catalogue: {0}")]
    Postgres(#[from] tokio_postgres::Error),
    #[error("a view's stored tree: {0}")]
    Tree(#[from] ParseError),
    #[error("the server says it is version {0:?}")]
    Version(String),
}

/// What has been read so far. One per control connection user; not shared between tasks.
#[derive(Debug)]
pub struct SystemCatalog {
    catalog: Catalog,
    stream_tables: HashSet<u32>,
}

impl SystemCatalog {
    /// Reads what does not depend on users' objects.
    pub async fn load(client: &Client) -> Result<SystemCatalog, CatalogError> {
        Ok(SystemCatalog { catalog: builtin::load(client).await?, stream_tables: HashSet::new() })
    }

    pub fn planner(&self) -> &Catalog {
        &self.catalog
    }

    /// Says which views are stream tables: they are scanned, not expanded. Relations read so far are forgotten.
    pub fn set_stream_tables(&mut self, tables: impl IntoIterator<Item = RelationId>) {
        self.stream_tables = tables.into_iter().map(|id| id.0).collect();
        self.forget_relations();
    }

    pub fn is_stream_table(&self, relation: RelationId) -> bool {
        self.stream_tables.contains(&relation.0)
    }

    /// Forgets everything that DDL can change.
    pub fn forget_relations(&mut self) {
        self.catalog.relations.clear();
        self.catalog.functions.retain(|oid, _| *oid < FIRST_USER_OID);
        self.catalog.operators.retain(|oid, _| *oid < FIRST_USER_OID);
        self.catalog.types.retain(|oid, _| *oid < FIRST_USER_OID);
        self.catalog.labels.clear();
        self.catalog.collations.retain(|oid, _| *oid < FIRST_USER_OID);
        self.catalog.letters.retain(|oid, _| *oid < FIRST_USER_OID);
    }

    /// Reads all enums, so that parameters may be of their types before a tree names them.
    pub async fn read_enums(&mut self, client: &Client) -> Result<(), CatalogError> {
        builtin::enums(client, &mut self.catalog).await
    }

    /// Reads everything the tree names and has not been read yet: through views, and bodies of functions in FROM, down to tables
    /// and stream tables.
    pub async fn require(&mut self, client: &Client, tree: &Tree) -> Result<(), CatalogError> {
        let mut below: Vec<Tree> = Vec::new();
        let mut of_columns = References::default();
        let mut read = References::default();
        // A relation that is gone by now stays missing; lowering reports it.
        let mut gone: BTreeSet<u32> = BTreeSet::new();
        loop {
            let mut named = of_columns.clone();
            for tree in std::iter::once(tree).chain(&below) {
                named.extend(references(&expand(tree, &self.catalog).tree));
            }
            self.require_objects(client, &named).await?;
            let is_missing = |oid: &&u32| !self.catalog.relations.contains_key(oid) && !gone.contains(*oid);
            let missing: Vec<u32> = named.relations.iter().filter(is_missing).copied().collect();
            // With the bodies of functions that have just been read, it may name more.
            if missing.is_empty() && named == read {
                return Ok(());
            }
            read = named;
            gone.extend(&missing);
            for (oid, entry) in relations::load(client, &missing, &self.stream_tables).await? {
                gone.remove(&oid);
                for column in &entry.columns {
                    of_columns.types.insert(column.type_oid);
                    of_columns.collations.insert(column.collation);
                }
                for (_, tree) in &entry.generated {
                    below.push(parse(tree)?);
                }
                match &entry.kind {
                    RelationKind::View { tree } => below.push(parse(tree)?),
                    // Not expanded, but what its columns may be is of interest (`modifiers_may_change`).
                    RelationKind::StreamTable { tree } => below.extend(parse(tree).ok()),
                    RelationKind::Partitioned { leaves: tables } | RelationKind::Parent { tables } => {
                        of_columns.relations.extend(tables)
                    }
                    RelationKind::Table | RelationKind::Other { .. } => {}
                }
                self.catalog.relations.insert(oid, entry);
            }
        }
    }

    /// Puts in the bodies of functions, as one session means them, and reads what they name. They go with
    /// [`SystemCatalog::forget_bodies`].
    pub async fn require_bodies(&mut self, client: &Client, bodies: &[TextBody]) -> Result<(), CatalogError> {
        for body in bodies {
            let mut named = references(&parse(&body.tree)?);
            named.relations.clear();
            named.functions.insert(body.function);
            self.require_objects(client, &named).await?;
            if let Some(entry) = self.catalog.functions.get_mut(&body.function) {
                entry.body = Some(body.tree.clone());
            }
        }
        // What they read, too: a view that calls one may have been read before, without it.
        for body in bodies {
            self.require(client, &parse(&body.tree)?).await?;
        }
        Ok(())
    }

    /// Takes out again what [`SystemCatalog::require_bodies`] has put in.
    pub fn forget_bodies(&mut self, bodies: &[TextBody]) {
        for body in bodies {
            if let Some(entry) = self.catalog.functions.get_mut(&body.function) {
                entry.body = None;
            }
        }
    }

    /// Reads these objects, and what the bodies of functions and the constraints of domains among them name.
    async fn require_objects(&mut self, client: &Client, named: &References) -> Result<(), CatalogError> {
        let mut named = named.clone();
        loop {
            let read = self.read_objects(client, &named).await?;
            named = References::default();
            for tree in &read {
                // What cannot be read is not lowered either.
                if let Ok(tree) = parse(tree) {
                    named.extend(references(&tree));
                }
            }
            if named == References::default() {
                return Ok(());
            }
        }
    }

    /// Bodies and constraints that were not known before.
    async fn read_objects(&mut self, client: &Client, named: &References) -> Result<Vec<String>, CatalogError> {
        let unknown = |set: &BTreeSet<u32>, known: &dyn Fn(&u32) -> bool| -> Vec<u32> {
            set.iter().copied().filter(|oid| *oid >= FIRST_USER_OID && !known(oid)).collect()
        };
        let operators = unknown(&named.operators, &|oid| self.catalog.operators.contains_key(oid));
        builtin::operators(client, &mut self.catalog, &operators).await?;
        let functions = unknown(&named.functions, &|oid| self.catalog.functions.contains_key(oid));
        builtin::functions(client, &mut self.catalog, &functions).await?;
        let mut types = named.types.clone();
        for function in &functions {
            if let Some(entry) = self.catalog.functions.get(function) {
                types.extend(&entry.argument_types);
            }
        }
        let mut types = unknown(&types, &|oid| self.catalog.types.contains_key(oid));
        let mut trees = Vec::new();
        while !types.is_empty() {
            builtin::types(client, &mut self.catalog, &types).await?;
            let constraints =
                types.iter().filter_map(|oid| self.catalog.types.get(oid)).flat_map(|entry| &entry.checks);
            trees.extend(constraints.map(|(_, tree)| tree.clone()));
            // Below domains.
            let below = types.iter().filter_map(|oid| Some(self.catalog.types.get(oid)?.base)).collect();
            types = unknown(&below, &|oid| self.catalog.types.contains_key(oid));
        }
        builtin::labels(client, &mut self.catalog).await?;
        let collations = unknown(&named.collations, &|oid| self.catalog.collations.contains_key(oid));
        builtin::collations(client, &mut self.catalog, &collations).await?;
        letters::require(client, &mut self.catalog, named).await?;
        trees.extend(functions.iter().filter_map(|oid| self.catalog.functions.get(oid)?.body.clone()));
        Ok(trees)
    }
}
