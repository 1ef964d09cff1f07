//! The control session on which statements are analysed, and the transaction each analysis runs in.

use super::Environment;
use super::bodies::Texts;
use super::statement::Failure;
use crate::catalog::rows::Pinned;
use crate::catalog::system::{CatalogError, SystemCatalog};
use crate::control;
use crate::registry::Registry;
use crate::upstream::Upstream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Statement};
use weir_planner::settings::Settings;
use weir_planner::types::oid;

/// A session of Weir's own role with a temporary schema of its own.
pub(super) struct AnalysisSession {
    client: Client,
    /// Notices and warnings that the server has sent.
    notices: Arc<AtomicU64>,
    pub catalog: SystemCatalog,
    /// The registry epoch the catalogue was read at.
    catalog_epoch: u64,
    /// Reading a literal may run a user's function, with this session's role within reach: nothing is analysed then.
    literals_run_code: bool,
    enter: Statement,
    read_tree: Statement,
}

/// Keeps the session's temporary schema alive, so that it is not made and dropped with every analysis.
const STANDING_SCHEMA: &str = "CREATE TEMP TABLE weir_standing_temp_schema ()";

/// What clients are told of a text, unless they have said otherwise (an identifier that is cut, a backslash in a literal).
const WHAT_CLIENTS_HEAR: &str = "SET client_min_messages = notice; SET escape_string_warning = on";

/// One parameter per setting that shapes a tree; see [`settings`]. NULL is what a new session has. The role comes last: what follows runs as the
/// client's role, so that names are looked up with its rights.
///
/// An analysis must not wait for a lock: one locked table would stop all others.
const ENTER: &str = "SELECT set_config('lock_timeout', '100ms', true), set_config('statement_timeout', '2s', true),
    set_config('search_path', $1, true), set_config('TimeZone', $2, true), set_config('DateStyle', $3, true),
    set_config('IntervalStyle', $4, true), set_config('extra_float_digits', $5, true),
    set_config('bytea_output', $6, true), set_config('standard_conforming_strings', $7, true),
    set_config('backslash_quote', $8, true), set_config('transform_null_equals', $9, true),
    set_config('array_nulls', $10, true), set_config('lc_monetary', $11, true),
    set_config('default_text_search_config', $12, true), set_config('xmloption', $13, true),
    set_config('role', $14, true)";

const READ_TREE: &str = "SELECT prosqlbody::text FROM pg_catalog.pg_proc
    WHERE pronamespace = pg_catalog.pg_my_temp_schema() AND proname = 'weir_analysis'";

/// Parsing a literal of an array, range or row with a domain in it evaluates the domain's CHECK. If that calls a function that
/// users wrote, the function could `RESET ROLE` to Weir's own.
const DOMAINS_THAT_RUN_CODE: &str = "SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint c
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objid = c.oid
    WHERE c.contypid <> 0 AND d.refobjid >= 16384
    AND d.refclassid IN ('pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass))";

/// Settings in [`Environment::parser_settings`].
const PARSER_SETTINGS: usize = 7;

/// A statement as Postgres analysed it.
pub(super) struct Analysed {
    /// The client's own statement: parameter types and result columns.
    pub statement: Statement,
    /// `pg_proc.prosqlbody`.
    pub tree: String,
}

impl AnalysisSession {
    pub async fn open(config: &Upstream) -> Result<AnalysisSession, Failure> {
        let (client, notices) = control::connect_counting_notices(config, "analysis")
            .await
            .map_err(|error| Failure::Broken(error.to_string()))?;
        let broken = |error: tokio_postgres::Error| Failure::Broken(error.to_string());
        client.batch_execute(STANDING_SCHEMA).await.map_err(broken)?;
        client.batch_execute(WHAT_CLIENTS_HEAR).await.map_err(broken)?;
        let text = [Type::TEXT; 14];
        let enter = client.prepare_typed(ENTER, &text).await.map_err(broken)?;
        let read_tree = client.prepare(READ_TREE).await.map_err(broken)?;
        let catalog = SystemCatalog::load(&client).await?;
        Ok(AnalysisSession {
            client,
            notices,
            catalog,
            catalog_epoch: u64::MAX,
            literals_run_code: true,
            enter,
            read_tree,
        })
    }

    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Forgets what DDL or a new stream table may have made wrong since it was read.
    pub async fn follow(&mut self, registry: &Registry, epoch: u64) -> Result<(), Failure> {
        if self.catalog_epoch != epoch {
            let row = self.client.query_one(DOMAINS_THAT_RUN_CODE, &[]).await.map_err(Failure::of)?;
            self.literals_run_code = row.try_get(0).map_err(Failure::of)?;
            self.catalog.set_stream_tables(registry.tables().by_id.keys().copied());
            self.catalog.read_enums(&self.client).await?;
            self.catalog_epoch = epoch;
        }
        match self.literals_run_code {
            false => Ok(()),
            true => Err(Failure::unsupported("not analysed", "a domain's CHECK calls a user-defined function")),
        }
    }

    /// Reads what the tree names, as Weir's own role.
    pub async fn require(&mut self, tree: &weir_planner::tree::Tree) -> Result<(), Failure> {
        Ok(self.catalog.require(&self.client, tree).await?)
    }

    /// Puts in these bodies, and reads what they name.
    pub async fn require_bodies(&mut self, texts: &Texts) -> Result<(), Failure> {
        Ok(self.catalog.require_bodies(&self.client, &texts.bodies).await?)
    }

    /// Analyses one statement in a transaction that is rolled back.
    ///
    /// The text goes by extended Parse, alone first: that refuses anything but one statement, and describes it. What
    /// is wrapped afterwards is therefore known to be one statement up to its end. A newline ends a trailing comment.
    pub async fn analyse(
        &mut self,
        sql: &str,
        declared: &[u32],
        environment: &Environment,
    ) -> Result<Analysed, Failure> {
        self.run("BEGIN").await?;
        let analysed = self.inside(sql, declared, environment).await;
        self.leave().await?;
        analysed
    }

    /// Takes on a session's settings, role and search path until the transaction ends.
    pub(super) async fn enter(&self, settings: &[Option<String>]) -> Result<(), Failure> {
        let parameters: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> =
            settings.iter().map(|value| value as &(dyn tokio_postgres::types::ToSql + Sync)).collect();
        self.client.execute(&self.enter, &parameters).await.map_err(Failure::of)?;
        Ok(())
    }

    pub(super) async fn leave(&mut self) -> Result<(), Failure> {
        let left = self.run("ROLLBACK").await;
        left.map_err(|error| Failure::Broken(format!("rollback of an analysis: {error:?}")))
    }

    async fn inside(&mut self, sql: &str, declared: &[u32], environment: &Environment) -> Result<Analysed, Failure> {
        self.enter(&settings(environment)?).await?;
        // Of a parameter that the statement does not use any type is accepted, also one that there is not.
        let known = &self.catalog.planner().types;
        if let Some(oid) = declared.iter().find(|oid| !matches!(**oid, 0 | oid::UNKNOWN) && !known.contains_key(oid)) {
            return Err(Failure::unsupported("parameter type", format!("type {oid} is user-defined, or none")));
        }
        let declared: Vec<Type> = declared.iter().map(|oid| type_of(*oid)).collect();
        let heard = self.notices.load(Ordering::Acquire);
        let statement = self.client.prepare_typed(sql, &declared).await.map_err(Failure::of)?;
        if self.notices.load(Ordering::Acquire) != heard {
            return Err(Failure::unsupported("notice", "Postgres has something to say of the text"));
        }
        let mut signature = Vec::new();
        for parameter in statement.params() {
            signature.push(self.type_name(parameter.oid())?);
        }
        if signature.len() > MAX_FUNCTION_ARGUMENTS {
            let detail = format!("{} parameters, at most {MAX_FUNCTION_ARGUMENTS}", signature.len());
            return Err(Failure::unsupported("too many parameters", detail));
        }
        // By extended Parse too: as a simple query, text that closes the body would run what follows it.
        let wrapped = format!(
            "CREATE FUNCTION pg_temp.weir_analysis({}) RETURNS SETOF record LANGUAGE sql BEGIN ATOMIC {sql}\n; END",
            signature.join(", ")
        );
        self.client.execute(&wrapped, &[]).await.map_err(Failure::of)?;
        let row = self.client.query_opt(&self.read_tree, &[]).await.map_err(Failure::of)?;
        let tree: Option<String> = match row {
            Some(row) => row.try_get(0).map_err(Failure::of)?,
            None => None,
        };
        match tree {
            Some(tree) => Ok(Analysed { statement, tree }),
            None => Err(Failure::unsupported("not analysed", "Postgres stored no tree")),
        }
    }

    /// A parameter's type, so that no search path can mislead.
    pub(super) fn type_name(&self, oid: u32) -> Result<String, Failure> {
        match self.catalog.planner().types.get(&oid) {
            Some(entry) => Ok(format!("{}.{}", quoted(&entry.schema), quoted(&entry.name))),
            None => Err(Failure::unsupported("parameter type", format!("type {oid} is user-defined"))),
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) async fn run(&self, command: &'static str) -> Result<(), Failure> {
        self.client.batch_execute(command).await.map_err(|error| Failure::Broken(error.to_string()))
    }
}

/// `FUNC_MAX_ARGS` of a standard build.
const MAX_FUNCTION_ARGUMENTS: usize = 100;

/// The values of [`ENTER`]'s parameters in a client's session.
pub(super) fn settings(environment: &Environment) -> Result<Vec<Option<String>>, Failure> {
    if environment.schemas.iter().any(|schema| schema.starts_with("pg_temp")) {
        return Err(Failure::unsupported("temporary objects", "a temporary relation could shadow a name"));
    }
    if environment.parser_settings.len() != PARSER_SETTINGS {
        return Err(Failure::unsupported("unknown settings", "the session's parser settings are incomplete"));
    }
    let schemas: Vec<String> = environment.schemas.iter().map(|schema| quoted(schema)).collect();
    let parser = environment.parser_settings.iter().cloned().map(Some);
    Ok(values(Some(schemas.join(", ")), &environment.settings, parser, Some(environment.role.clone())))
}

/// Those of whoever made a definition, as far as they are kept with it; the others are as they are in a new session.
pub(super) fn settings_of_creator(pinned: &Pinned) -> Vec<Option<String>> {
    let parser = std::iter::repeat_n(None, PARSER_SETTINGS);
    values(pinned.search_path.clone(), &pinned.settings, parser, pinned.role.clone())
}

fn values(
    path: Option<String>,
    settings: &Settings,
    parser: impl Iterator<Item = Option<String>>,
    role: Option<String>,
) -> Vec<Option<String>> {
    let rendering = [
        settings.time_zone.clone(),
        settings.date_style.clone(),
        settings.interval_style.clone(),
        settings.extra_float_digits.to_string(),
        settings.bytea_output.clone(),
    ];
    std::iter::once(path).chain(rendering.map(Some)).chain(parser).chain(std::iter::once(role)).collect()
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// A type by OID for Parse; 0 and `unknown` both leave it to the server.
fn type_of(oid: u32) -> Type {
    match Type::from_oid(oid) {
        Some(known) => known,
        None if oid == 0 => Type::UNKNOWN,
        None => Type::new("user-defined".into(), oid, tokio_postgres::types::Kind::Simple, String::new()),
    }
}

impl From<CatalogError> for Failure {
    fn from(error: CatalogError) -> Failure {
        match error {
            CatalogError::Postgres(error) => Failure::of(error),
            other => Failure::unsupported("catalogue", other.to_string()),
        }
    }
}
