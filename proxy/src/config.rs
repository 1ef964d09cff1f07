//! Configuration. A value comes from the command line, else from `WEIR_*`, else from `weir.toml`; what the upstream's
//! connection string leaves out comes from libpq's `PG*` variables, then from libpq's defaults.

use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_postgres::config::Host;

/// libpq's default port (`DEF_PGPORT`).
const DEFAULT_PORT: u16 = 5432;

/// Read from the working directory when it exists and no other file is named.
const DEFAULT_FILE: &str = "weir.toml";

/// What `weir serve` runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where Postgres is, and the role and database of Weir's own control connections.
    pub upstream: tokio_postgres::Config,
    pub listen: SocketAddr,
    pub http: SocketAddr,
    /// Accounted bytes of base tables and operators above which the largest stream table at work is given up to
    /// Postgres; `None`: no limit. Published rows come on top.
    pub memory_budget_bytes: Option<usize>,
}

/// The options every command takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Options {
    /// Configuration file.
    #[arg(long, env = "WEIR_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Connection string of the upstream Postgres: role and database of Weir's own connections.
    #[arg(long, env = "WEIR_UPSTREAM", value_name = "postgres://…")]
    pub upstream: Option<String>,
    /// Address to serve clients on [default: 127.0.0.1:6432].
    #[arg(long, env = "WEIR_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Address to serve metrics and status on [default: 127.0.0.1:9432].
    #[arg(long, env = "WEIR_HTTP", value_name = "ADDRESS")]
    pub http: Option<SocketAddr>,
    /// Memory for base tables and operators, in MiB; a stream table that exceeds it is left to Postgres
    /// [default: no limit].
    #[arg(long, env = "WEIR_MEMORY_BUDGET_MIB", value_name = "MIB")]
    pub memory_budget_mib: Option<usize>,
}

/// `weir.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    upstream: Option<String>,
    listen: Option<SocketAddr>,
    http: Option<SocketAddr>,
    memory_budget_mib: Option<usize>,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}: {source}")]
    Parse { path: PathBuf, source: Box<toml::de::Error> },
    #[error("upstream connection string: {0}")]
    Upstream(#[source] tokio_postgres::Error),
    #[error("{variable} is not valid: {value:?}")]
    Variable { variable: &'static str, value: String },
}

impl Config {
    pub fn load(options: &Options) -> Result<Config, ConfigError> {
        let file = match &options.config {
            Some(path) => read_file(path)?,
            None if Path::new(DEFAULT_FILE).exists() => read_file(Path::new(DEFAULT_FILE))?,
            None => File::default(),
        };
        let upstream = options.upstream.as_deref().or(file.upstream.as_deref()).unwrap_or_default();
        Ok(Config {
            upstream: upstream_config(upstream, &|name| std::env::var(name).ok().filter(|value| !value.is_empty()))?,
            listen: options.listen.or(file.listen).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 6432))),
            http: options.http.or(file.http).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9432))),
            memory_budget_bytes: options
                .memory_budget_mib
                .or(file.memory_budget_mib)
                .map(|mib| mib.saturating_mul(1024 * 1024)),
        })
    }
}

fn read_file(path: &Path) -> Result<File, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
    toml::from_str(&text).map_err(|source| ConfigError::Parse { path: path.into(), source: Box::new(source) })
}

/// The connection string, completed as libpq would (documentation, "Environment Variables").
fn upstream_config(
    text: &str,
    variable: &dyn Fn(&'static str) -> Option<String>,
) -> Result<tokio_postgres::Config, ConfigError> {
    let mut config: tokio_postgres::Config = text.parse().map_err(ConfigError::Upstream)?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        match variable("PGHOSTADDR") {
            Some(value) => {
                let address = value.parse().map_err(|_| ConfigError::Variable { variable: "PGHOSTADDR", value })?;
                config.hostaddr(address);
            }
            // An absolute path is a socket's folder, as in libpq.
            None => {
                config.host(variable("PGHOST").unwrap_or_else(|| "localhost".to_owned()));
            }
        }
    }
    if config.get_ports().is_empty() {
        let port = match variable("PGPORT") {
            Some(value) => value.parse().map_err(|_| ConfigError::Variable { variable: "PGPORT", value })?,
            None => DEFAULT_PORT,
        };
        config.port(port);
    }
    if config.get_user().is_none() {
        let user = variable("PGUSER").or_else(|| variable("USER")).unwrap_or_else(|| "postgres".to_owned());
        config.user(user);
    }
    if config.get_password().is_none()
        && let Some(password) = variable("PGPASSWORD")
    {
        config.password(password);
    }
    if config.get_dbname().is_none() {
        let user = config.get_user().unwrap_or_default().to_owned();
        config.dbname(variable("PGDATABASE").unwrap_or(user));
    }
    if config.get_connect_timeout().is_none()
        && let Some(value) = variable("PGCONNECT_TIMEOUT")
    {
        let seconds = value.parse().map_err(|_| ConfigError::Variable { variable: "PGCONNECT_TIMEOUT", value })?;
        config.connect_timeout(Duration::from_secs(seconds));
    }
    Ok(config)
}

/// The upstream for people: host, port and database, no secret.
pub fn describe_upstream(config: &tokio_postgres::Config) -> String {
    let host = match (config.get_hosts().first(), config.get_hostaddrs().first()) {
        (Some(Host::Tcp(host)), _) => host.clone(),
        (Some(Host::Unix(folder)), _) => folder.display().to_string(),
        (None, Some(address)) => address.to_string(),
        (None, None) => "?".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(DEFAULT_PORT);
    format!("{host}:{port}/{}", config.get_dbname().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(name: &str) -> Option<String> {
        let value = match name {
            "PGHOST" => "/run/pg",
            "PGPORT" => "5555",
            "PGUSER" => "alice",
            "PGPASSWORD" => "secret",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn libpq_variables_fill_what_the_string_leaves_out() {
        let config = upstream_config("", &variables).unwrap();
        assert_eq!(config.get_hosts(), [Host::Unix("/run/pg".into())]);
        assert_eq!(
            (config.get_ports(), config.get_user(), config.get_dbname()),
            (&[5555][..], Some("alice"), Some("alice"))
        );
        assert_eq!(config.get_password(), Some(&b"secret"[..]));
    }

    #[test]
    fn the_string_comes_first() {
        let config = upstream_config("postgres://bob@db.example:6000/shop", &variables).unwrap();
        assert_eq!(config.get_hosts(), [Host::Tcp("db.example".into())]);
        assert_eq!(
            (config.get_ports(), config.get_user(), config.get_dbname()),
            (&[6000][..], Some("bob"), Some("shop"))
        );
        assert_eq!(describe_upstream(&config), "db.example:6000/shop");
    }

    #[test]
    fn a_bad_variable_is_named() {
        let error = upstream_config("", &|name| (name == "PGPORT").then(|| "abc".to_owned())).unwrap_err();
        assert!(matches!(error, ConfigError::Variable { variable: "PGPORT", .. }));
    }
}
