//! Configuration. A value comes from the command line, else from `WEIR_*`, else from `weir.toml`; what the upstream's
//! connection string leaves out comes from libpq's `PG*` variables, then from libpq's defaults (`upstream::options`).

use crate::capture::Preference;
use crate::tls::TlsError;
use crate::tls::server::{ServerFiles, ServerTls};
use crate::upstream::{OptionError, Upstream};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Read from the working directory when it exists and no other file is named.
const DEFAULT_FILE: &str = "weir.toml";

/// What `weir serve` runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where Postgres is, and the role and database of Weir's own control connections.
    pub upstream: Upstream,
    pub listen: SocketAddr,
    /// The Unix socket to serve clients on as well.
    pub unix: Option<UnixSocket>,
    pub http: SocketAddr,
    /// Weir's certificate towards clients; `None`: TLS is not offered.
    pub tls: Option<Arc<ServerTls>>,
    /// Clients on TCP must use TLS.
    pub tls_required: bool,
    /// Where both connections use TLS, Weir also logs in for superusers with their secrets.
    pub login_superusers: bool,
    pub max_clients: usize,
    /// From the first byte to the end of authentication.
    pub authentication_timeout: Duration,
    /// Accounted bytes of base tables and operators above which the largest stream table at work is given up to
    /// Postgres; `None`: no limit. Published rows come on top.
    pub memory_budget_bytes: Option<usize>,
    /// The rows of a base table are let go when nothing has needed them for so long; `None`: never.
    pub let_go_after: Option<Duration>,
    /// How changes of base tables are captured, unless `pgtrickle.set_capture_mode` says otherwise.
    pub capture: Preference,
}

/// Where the Unix socket is and who may use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixSocket {
    /// Its folder; the socket is `.s.PGSQL.<port>` in it, so that libpq finds it by folder and port.
    pub folder: PathBuf,
    /// Permission bits.
    pub mode: u32,
}

/// More sessions than this are refused with 53300 unless `max_clients` says otherwise: each costs two sockets and some
/// tens of KiB, and Postgres' own `max_connections` is nearly always far lower.
const DEFAULT_MAX_CLIENTS: usize = 10_000;

/// Postgres' own default (`authentication_timeout`).
const DEFAULT_AUTHENTICATION_TIMEOUT_S: u64 = 60;
/// A minute: who makes one stream table after another has the base tables copied once.
const DEFAULT_LET_GO_AFTER_MS: u64 = 60_000;

/// Postgres' own default (`unix_socket_permissions`): whoever can reach the folder may connect and must log in.
const DEFAULT_UNIX_MODE: u32 = 0o777;

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
    /// Folder of a Unix socket to serve clients on as well; its name carries the port of --listen.
    #[arg(long, env = "WEIR_LISTEN_UNIX", value_name = "FOLDER")]
    pub listen_unix: Option<PathBuf>,
    /// Permissions of that socket, in octal [default: 0777].
    #[arg(long, env = "WEIR_UNIX_SOCKET_PERMISSIONS", value_name = "MODE")]
    pub unix_socket_permissions: Option<String>,
    /// Certificate chain (PEM) to offer clients TLS with; read again on SIGHUP.
    #[arg(long, env = "WEIR_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key (PEM, unencrypted, readable by nobody else).
    #[arg(long, env = "WEIR_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Refuse clients on TCP that do not use TLS.
    #[arg(long, env = "WEIR_TLS_REQUIRED", num_args = 0..=1, default_missing_value = "true")]
    pub tls_required: Option<bool>,
    /// Where both connections use TLS, log in for superusers too (Weir then handles their secrets).
    #[arg(long, env = "WEIR_LOGIN_SUPERUSERS", num_args = 0..=1, default_missing_value = "true")]
    pub login_superusers: Option<bool>,
    /// Client connections above which new ones are refused with 53300 [default: 10000].
    #[arg(long, env = "WEIR_MAX_CLIENTS", value_name = "N")]
    pub max_clients: Option<usize>,
    /// Seconds from the first byte to the end of authentication [default: 60].
    #[arg(long, env = "WEIR_AUTHENTICATION_TIMEOUT_S", value_name = "SECONDS")]
    pub authentication_timeout_s: Option<u64>,
    /// Memory for base tables and operators, in MiB; a stream table that exceeds it is left to Postgres
    /// [default: no limit].
    #[arg(long, env = "WEIR_MEMORY_BUDGET_MIB", value_name = "MIB")]
    pub memory_budget_mib: Option<usize>,
    /// Milliseconds after which the rows of a base table are let go, if no operator looks them up; when they are needed
    /// again, the table is copied again. 0: never [default: 60000].
    #[arg(long, env = "WEIR_LET_GO_AFTER_MS", value_name = "MILLISECONDS")]
    pub let_go_after_ms: Option<u64>,
    /// How changes of base tables are captured: from the write-ahead log, by triggers, or (auto) from the log where the
    /// server and Weir's role allow it [default: auto].
    #[arg(long, env = "WEIR_CAPTURE", value_name = "MODE")]
    pub capture: Option<Preference>,
}

/// `weir.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    upstream: Option<String>,
    listen: Option<SocketAddr>,
    http: Option<SocketAddr>,
    listen_unix: Option<PathBuf>,
    unix_socket_permissions: Option<String>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    tls_required: Option<bool>,
    login_superusers: Option<bool>,
    max_clients: Option<usize>,
    authentication_timeout_s: Option<u64>,
    memory_budget_mib: Option<usize>,
    let_go_after_ms: Option<u64>,
    capture: Option<Preference>,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}: {source}")]
    Parse { path: PathBuf, source: Box<toml::de::Error> },
    #[error(transparent)]
    Upstream(#[from] OptionError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("tls_cert and tls_key must be given together")]
    HalfCertificate,
    #[error("tls_required needs tls_cert and tls_key")]
    RequiredWithoutCertificate,
    #[error("unix_socket_permissions is not an octal mode: {0:?}")]
    UnixMode(String),
}

impl Config {
    pub fn load(options: &Options) -> Result<Config, ConfigError> {
        let file = match &options.config {
            Some(path) => read_file(path)?,
            None if Path::new(DEFAULT_FILE).exists() => read_file(Path::new(DEFAULT_FILE))?,
            None => File::default(),
        };
        let upstream = options.upstream.as_deref().or(file.upstream.as_deref()).unwrap_or_default();
        let tls = server_tls(options.tls_cert.clone().or(file.tls_cert), options.tls_key.clone().or(file.tls_key))?;
        let tls_required = options.tls_required.or(file.tls_required).unwrap_or(false);
        if tls_required && tls.is_none() {
            return Err(ConfigError::RequiredWithoutCertificate);
        }
        let mode = options.unix_socket_permissions.clone().or(file.unix_socket_permissions);
        let mode = mode.map_or(Ok(DEFAULT_UNIX_MODE), |text| octal(&text).ok_or(ConfigError::UnixMode(text)))?;
        let timeout = options.authentication_timeout_s.or(file.authentication_timeout_s);
        Ok(Config {
            upstream: Upstream::parse(upstream, &|name| std::env::var(name).ok().filter(|value| !value.is_empty()))?,
            unix: options.listen_unix.clone().or(file.listen_unix).map(|folder| UnixSocket { folder, mode }),
            tls,
            tls_required,
            login_superusers: options.login_superusers.or(file.login_superusers).unwrap_or(false),
            max_clients: options.max_clients.or(file.max_clients).unwrap_or(DEFAULT_MAX_CLIENTS),
            authentication_timeout: Duration::from_secs(timeout.unwrap_or(DEFAULT_AUTHENTICATION_TIMEOUT_S)),
            listen: options.listen.or(file.listen).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 6432))),
            http: options.http.or(file.http).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9432))),
            memory_budget_bytes: options
                .memory_budget_mib
                .or(file.memory_budget_mib)
                .map(|mib| mib.saturating_mul(1024 * 1024)),
            let_go_after: Some(options.let_go_after_ms.or(file.let_go_after_ms).unwrap_or(DEFAULT_LET_GO_AFTER_MS))
                .filter(|after| *after > 0)
                .map(Duration::from_millis),
            capture: options.capture.or(file.capture).unwrap_or_default(),
        })
    }
}

impl Config {
    /// Connects to `upstream` and serves on these addresses; everything else as by default.
    pub fn new(upstream: Upstream, listen: SocketAddr, http: SocketAddr) -> Config {
        Config {
            upstream,
            listen,
            unix: None,
            http,
            tls: None,
            tls_required: false,
            login_superusers: false,
            max_clients: DEFAULT_MAX_CLIENTS,
            authentication_timeout: Duration::from_secs(DEFAULT_AUTHENTICATION_TIMEOUT_S),
            memory_budget_bytes: None,
            let_go_after: Some(Duration::from_millis(DEFAULT_LET_GO_AFTER_MS)),
            capture: Preference::default(),
        }
    }
}

fn server_tls(certificate: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<Arc<ServerTls>>, ConfigError> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some(Arc::new(ServerTls::load(ServerFiles { certificate, key })?))),
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => Err(ConfigError::HalfCertificate),
    }
}

fn octal(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777)
}

fn read_file(path: &Path) -> Result<File, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
    toml::from_str(&text).map_err(|source| ConfigError::Parse { path: path.into(), source: Box::new(source) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal_permission_bits() {
        assert_eq!((octal("0770"), octal("0o770"), octal("1777"), octal("8")), (Some(0o770), None, None, None));
    }

    #[test]
    fn a_certificate_needs_its_key() {
        assert!(matches!(server_tls(Some("/c".into()), None), Err(ConfigError::HalfCertificate)));
        assert!(matches!(server_tls(None, None), Ok(None)));
        let missing = server_tls(Some("/nowhere/c".into()), Some("/nowhere/k".into()));
        assert!(matches!(missing, Err(ConfigError::Tls(TlsError::File { .. }))));
    }
}
