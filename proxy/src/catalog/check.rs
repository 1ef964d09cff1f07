//! `weir check`: what the upstream or Weir's role lacks, each as the SQL that mends it.

use super::capture;
use super::install::{LOGIN, installed_version, version};
use crate::capture::{Method, Preference};
use tokio_postgres::Client;

/// One thing that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What does not work because of it.
    pub problem: String,
    /// SQL (for a role that may) that mends it, or a comment that says what to do.
    pub remedy: String,
    /// Without it nothing is maintained; otherwise only something is lost.
    pub fatal: bool,
}

impl Finding {
    fn fatal(problem: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { problem: problem.into(), remedy: remedy.into(), fatal: true }
    }
    fn minor(problem: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { problem: problem.into(), remedy: remedy.into(), fatal: false }
    }
}

/// Oldest major version with `BEGIN ATOMIC`, which analysis needs, and binary logical streams.
const OLDEST_MAJOR: i32 = 14;

/// Settings and privileges of the connected role. Empty: everything is in place.
pub async fn check(client: &Client, preference: Preference) -> Result<Vec<Finding>, tokio_postgres::Error> {
    let preference = capture::requested(client).await?.unwrap_or(preference);
    let method = preference.resolve(client).await?;
    let mut findings: Vec<Finding> = encoding(client).await?.into_iter().collect();
    findings.extend(settings(client, method).await?);
    findings.extend(privileges(client, method).await?);
    findings.extend(installation(client, method).await?);
    if preference == Preference::Auto && method == Method::Trigger {
        findings.push(Finding::minor(
            "changes are captured by triggers, at a cost to every write: the write-ahead log cannot be followed",
            "-- ALTER SYSTEM SET wal_level = logical and a restart, or REPLICATION for Weir's role, whichever is missing",
        ));
    }
    findings.extend(clients(client).await?);
    findings.extend(logins(client).await?);
    Ok(findings)
}

/// A client's statement is analysed as the client's role, so that names mean what they mean to it.
async fn clients(client: &Client) -> Result<Option<Finding>, tokio_postgres::Error> {
    let strangers = "SELECT string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname), quote_ident(current_user) \
         FROM pg_catalog.pg_roles r WHERE r.rolcanlogin AND NOT r.rolsuper AND NOT pg_has_role(r.oid, 'MEMBER')";
    let row = client.query_one(strangers, &[]).await?;
    let (strangers, role): (Option<String>, String) = (row.get(0), row.get(1));
    Ok(strangers.map(|strangers| {
        let problem = format!("role {role} may not become these roles, whose reads Postgres answers: {strangers}");
        Finding::minor(problem, format!("GRANT {strangers} TO {role};"))
    }))
}

/// Over TLS Weir may have to log in for its clients. (Where its own role is a superuser, the function is installed by
/// `weir serve`.)
async fn logins(client: &Client) -> Result<Option<Finding>, tokio_postgres::Error> {
    let row = client
        .query_one(
            "SELECT quote_ident(current_user), s.ssl, r.rolsuper, \
                 pg_catalog.to_regprocedure('pgtrickle.login_secret(text)') IS NOT NULL, \
                 coalesce(has_function_privilege(pg_catalog.to_regprocedure('pgtrickle.login_secret(text)'), 'EXECUTE'), false) \
             FROM pg_catalog.pg_stat_ssl s, pg_catalog.pg_roles r \
             WHERE s.pid = pg_catalog.pg_backend_pid() AND r.rolname = current_user",
            &[],
        )
        .await?;
    let (role, encrypted, superuser): (String, bool, bool) = (row.get(0), row.get(1), row.get(2));
    let (installed, allowed): (bool, bool) = (row.get(3), row.get(4));
    if !encrypted || superuser || allowed {
        return Ok(None);
    }
    let grant = format!("GRANT EXECUTE ON FUNCTION pgtrickle.login_secret(text) TO {role};");
    let remedy = if installed { grant } else { format!("-- as a superuser:\n{LOGIN}{grant}") };
    let problem =
        "clients that use TLS themselves must connect with channel_binding=disable: Weir may not log in for them";
    Ok(Some(Finding::minor(problem, remedy)))
}

/// The findings as a script: problems as comments, remedies as statements.
pub fn script(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "-- Everything Weir needs is in place.\n".to_owned();
    }
    let line = |finding: &Finding| {
        let weight = if finding.fatal { "needed" } else { "recommended" };
        format!("-- {weight}: {}\n{}\n", finding.problem, finding.remedy)
    };
    findings.iter().map(line).collect()
}

/// Memory counts characters and compares texts in UTF8. In most other encodings Weir's SQL could not be installed anyway.
async fn encoding(client: &Client) -> Result<Option<Finding>, tokio_postgres::Error> {
    let encoding = "SELECT pg_catalog.pg_encoding_to_char(encoding)::text FROM pg_catalog.pg_database \
         WHERE datname = current_database()";
    let encoding: String = client.query_one(encoding, &[]).await?.get(0);
    Ok((encoding != "UTF8").then(|| {
        let problem = format!("the database's encoding is {encoding}, not UTF8: Weir forwards everything");
        Finding::fatal(
            problem,
            "-- dump it and restore it into a database made with ENCODING 'UTF8' TEMPLATE template0",
        )
    }))
}

async fn settings(client: &Client, method: Method) -> Result<Vec<Finding>, tokio_postgres::Error> {
    let row = client
        .query_one(
            "SELECT current_setting('server_version_num')::int / 10000, current_setting('wal_level'), \
                 current_setting('max_replication_slots')::int - (SELECT count(*)::int FROM pg_catalog.pg_replication_slots), \
                 current_setting('max_wal_senders')::int - (SELECT count(*)::int FROM pg_catalog.pg_stat_replication), \
                 pg_catalog.pg_is_in_recovery(), \
                 EXISTS (SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name LIKE 'weir%' AND database = current_database())",
            &[],
        )
        .await?;
    let mut findings = Vec::new();
    if row.get::<_, i32>(0) < OLDEST_MAJOR {
        findings.push(Finding::fatal("Postgres 14 or newer is needed", "-- upgrade the server"));
    }
    let wal_level: String = row.get(1);
    let from_wal = method == Method::Wal;
    if from_wal && wal_level != "logical" {
        let remedy = "ALTER SYSTEM SET wal_level = logical; -- then restart Postgres";
        findings.push(Finding::fatal(format!("wal_level is {wal_level}: changes cannot be followed"), remedy));
    }
    let running: bool = row.get(5);
    if from_wal && row.get::<_, i32>(2) < 1 && !running {
        let remedy = "ALTER SYSTEM SET max_replication_slots = 20; -- then restart Postgres";
        findings.push(Finding::fatal("no replication slot is free", remedy));
    }
    if from_wal && row.get::<_, i32>(3) < 1 && !running {
        let remedy = "ALTER SYSTEM SET max_wal_senders = 20; -- then restart Postgres";
        findings.push(Finding::fatal("no WAL sender is free", remedy));
    }
    if row.get(4) {
        findings.push(Finding::fatal(
            "the server is a standby: Weir forwards everything",
            "-- point --upstream at the primary",
        ));
    }
    Ok(findings)
}

async fn privileges(client: &Client, method: Method) -> Result<Vec<Finding>, tokio_postgres::Error> {
    let row = client
        .query_one(
            "SELECT quote_ident(current_user), quote_ident(current_database()), r.rolsuper, r.rolsuper OR r.rolreplication, \
                 has_database_privilege(current_database(), 'CREATE'), has_database_privilege(current_database(), 'TEMP'), \
                 has_language_privilege('sql', 'USAGE') \
             FROM pg_catalog.pg_roles r WHERE r.rolname = current_user",
            &[],
        )
        .await?;
    let (role, database): (String, String) = (row.get(0), row.get(1));
    let mut findings = Vec::new();
    if method == Method::Wal && !row.get::<_, bool>(3) {
        let remedy = format!("ALTER ROLE {role} REPLICATION;");
        findings.push(Finding::fatal(format!("role {role} may not replicate: changes cannot be followed"), remedy));
    }
    if !row.get::<_, bool>(4) {
        let remedy = format!("GRANT CREATE ON DATABASE {database} TO {role};");
        findings.push(Finding::fatal(
            format!("role {role} may not create the schema pgtrickle and the publication"),
            remedy,
        ));
    }
    if !row.get::<_, bool>(5) {
        let remedy = format!("GRANT TEMP ON DATABASE {database} TO {role};");
        findings.push(Finding::fatal(
            format!("role {role} may not create temporary objects, which analysis needs"),
            remedy,
        ));
    }
    if !row.get::<_, bool>(6) {
        let remedy = format!("GRANT USAGE ON LANGUAGE sql TO {role};");
        findings.push(Finding::fatal(format!("role {role} may not use language sql, which analysis needs"), remedy));
    }
    if !row.get::<_, bool>(2) {
        let remedy = format!(
            "ALTER ROLE {role} SUPERUSER; -- or accept that DDL and revoked privileges take effect after 100 ms"
        );
        findings.push(Finding::minor(format!("role {role} may not install event triggers"), remedy));
    }
    Ok(findings)
}

async fn installation(client: &Client, method: Method) -> Result<Vec<Finding>, tokio_postgres::Error> {
    let Some((installed, _)) = installed_version(client).await? else {
        let remedy = "-- weir serve installs it when the privileges above are there";
        return Ok(vec![Finding::minor("Weir's SQL is not installed", remedy)]);
    };
    let mut findings = Vec::new();
    if installed != version() {
        let remedy = "-- weir serve installs its own version when it starts";
        findings.push(Finding::minor(format!("the installed SQL is of another version ({installed})"), remedy));
    }
    let publication =
        client.query_one("SELECT EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = 'weir')", &[]);
    if method == Method::Wal && !publication.await?.get::<_, bool>(0) {
        findings.push(Finding::fatal("publication weir does not exist", "CREATE PUBLICATION weir;"));
    }
    let unwatched = client
        .query(
            "SELECT c.oid::regclass::text, pgtrickle.watch_obstacle(c.oid), pg_has_role(c.relowner, 'USAGE'), \
                 pg_get_userbyid(c.relowner)::text \
             FROM pg_class c \
             WHERE c.oid IN (SELECT d.source_relid FROM pgtrickle.pgt_dependencies d WHERE d.source_type <> 'STREAM_TABLE') \
               AND NOT pgtrickle.is_watched(c.oid) \
             ORDER BY 1",
            &[],
        )
        .await?;
    for row in unwatched {
        let (table, obstacle): (String, Option<String>) = (row.get(0), row.get(1));
        let finding = match obstacle {
            Some(obstacle) => Finding::minor(
                format!("table {table} cannot be watched: {obstacle}"),
                "-- Postgres evaluates what reads it",
            ),
            None if row.get::<_, bool>(2) => {
                let remedy = format!("SELECT pgtrickle.watch(ARRAY['{}'::regclass]);", table.replace('\'', "''"));
                Finding::minor(format!("table {table} is not watched"), remedy)
            }
            None => {
                let remedy = format!(
                    "GRANT \"{}\" TO CURRENT_USER; -- or run watch() as the owner",
                    row.get::<_, String>(3).replace('"', "\"\"")
                );
                Finding::minor(format!("table {table} is not watched and belongs to another role"), remedy)
            }
        };
        findings.push(finding);
    }
    findings.extend(unreadable(client).await?);
    Ok(findings)
}

/// Rows are copied by Weir's role from each table by its own name: a privilege on a partitioned table does not help with its
/// partitions, which are copied one by one. What Postgres evaluates is read as the view it is.
async fn unreadable(client: &Client) -> Result<Vec<Finding>, tokio_postgres::Error> {
    let unreadable = "WITH needed (relid, root) AS ( \
             SELECT l, d.source_relid FROM pgtrickle.pgt_dependencies d CROSS JOIN LATERAL pgtrickle.tables_shown(d.source_relid) l \
             WHERE d.source_type <> 'STREAM_TABLE' \
             UNION SELECT s.pgt_relid, s.pgt_relid FROM pgtrickle.pgt_stream_tables s) \
         SELECT n.root::regclass::text, n.relid::regclass::text, n.relid = n.root, quote_ident(s.nspname), \
             has_schema_privilege(s.oid, 'USAGE'), has_table_privilege(c.oid, 'SELECT'), quote_ident(current_user) \
         FROM needed n JOIN pg_class c ON c.oid = n.relid JOIN pg_namespace s ON s.oid = c.relnamespace \
         WHERE NOT (has_schema_privilege(s.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')) ORDER BY 1, 2";
    let mut findings: Vec<Finding> = Vec::new();
    let mut last = String::new();
    for row in client.query(unreadable, &[]).await? {
        let (root, name, is_whole): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
        let (schema, may_enter, may_read, role): (String, bool, bool, String) =
            (row.get(3), row.get(4), row.get(5), row.get(6));
        let mut grants = Vec::new();
        if !may_enter {
            grants.push(format!("GRANT USAGE ON SCHEMA {schema} TO {role};"));
        }
        if !may_read {
            grants.push(format!("GRANT SELECT ON {name} TO {role};"));
        }
        match findings.last_mut().filter(|_| last == root) {
            Some(finding) => {
                for grant in grants.into_iter().filter(|grant| !finding.remedy.contains(grant)).collect::<Vec<_>>() {
                    finding.remedy.push('\n');
                    finding.remedy.push_str(&grant);
                }
            }
            None => {
                let what = if is_whole { root.clone() } else { format!("each partition of {root}, one by one") };
                findings.push(Finding::minor(format!("role {role} may not read {what}"), grants.join("\n")));
            }
        }
        last = root;
    }
    Ok(findings)
}
