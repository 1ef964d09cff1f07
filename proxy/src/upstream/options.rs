//! The connection string: libpq's options about TLS are taken out of it, the rest is `tokio_postgres`'; what it leaves
//! out comes from libpq's variables and default files (documentation, "Parameter Key Words", "Environment Variables").

use super::{DEFAULT_PORT, Upstream};
use crate::tls::TlsError;
use crate::tls::client::{ClientOptions, ClientTls, RootCertificate, SslMode};
use std::path::PathBuf;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::TargetSessionAttrs;

#[derive(Debug, thiserror::Error)]
pub enum OptionError {
    #[error("upstream connection string: {0}")]
    Upstream(#[source] tokio_postgres::Error),
    #[error("upstream connection string: {0} is not well-formed")]
    Malformed(String),
    #[error("{name} is not valid: {value:?}")]
    Value { name: &'static str, value: String },
    #[error("weak sslmode {0:?} may not be used with {1} (use \"require\", \"verify-ca\" or \"verify-full\")")]
    WeakMode(SslMode, &'static str),
    #[error("sslcert and sslkey must be given together")]
    HalfCertificate,
    #[error("target_session_attrs is not supported")]
    TargetSessionAttrs,
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Options that `tokio_postgres` does not know as libpq does.
const TAKEN: [&str; 6] = ["sslmode", "sslrootcert", "sslcert", "sslkey", "sslnegotiation", "gssencmode"];

impl Upstream {
    /// From a connection string (URL or keywords and values), completed as libpq would from `variable`.
    pub fn parse(text: &str, variable: &dyn Fn(&'static str) -> Option<String>) -> Result<Upstream, OptionError> {
        let (rest, taken) = split(text)?;
        let tls = ClientTls::load(tls_options(&taken, variable)?)?;
        Ok(Upstream::new(base_config(&rest, variable)?, tls))
    }
}

fn base_config(text: &str, variable: &dyn Fn(&'static str) -> Option<String>) -> Result<Config, OptionError> {
    let mut config: Config = text.parse().map_err(OptionError::Upstream)?;
    if config.get_target_session_attrs() != TargetSessionAttrs::Any {
        return Err(OptionError::TargetSessionAttrs);
    }
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        match variable("PGHOSTADDR") {
            Some(value) => {
                let address = value.parse().map_err(|_| OptionError::Value { name: "PGHOSTADDR", value })?;
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
            Some(value) => value.parse().map_err(|_| OptionError::Value { name: "PGPORT", value })?,
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
        let seconds = value.parse().map_err(|_| OptionError::Value { name: "PGCONNECT_TIMEOUT", value })?;
        config.connect_timeout(Duration::from_secs(seconds));
    }
    Ok(config)
}

fn tls_options(
    taken: &[(String, String)],
    variable: &dyn Fn(&'static str) -> Option<String>,
) -> Result<ClientOptions, OptionError> {
    let option = |name: &str, fallback| {
        let given = taken.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        given.or_else(|| variable(fallback)).filter(|value| !value.is_empty())
    };
    let home = variable("HOME").map(|home| PathBuf::from(home).join(".postgresql"));
    let default_file = |name: &str| home.as_ref().map(|home| home.join(name));
    if let Some(value) = option("gssencmode", "PGGSSENCMODE").filter(|value| value == "require") {
        return Err(OptionError::Value { name: "gssencmode", value });
    }
    let root = match option("sslrootcert", "PGSSLROOTCERT") {
        Some(value) if value == "system" => Some(RootCertificate::System),
        Some(path) => Some(RootCertificate::File(path.into())),
        None => default_file("root.crt").map(RootCertificate::File),
    };
    let system = root == Some(RootCertificate::System);
    let mode = match option("sslmode", "PGSSLMODE") {
        Some(value) => value.parse().map_err(|()| OptionError::Value { name: "sslmode", value })?,
        None if system => SslMode::VerifyFull,
        None => SslMode::default(),
    };
    if system && mode != SslMode::VerifyFull {
        return Err(OptionError::WeakMode(mode, "sslrootcert=system"));
    }
    let direct = match option("sslnegotiation", "PGSSLNEGOTIATION").as_deref() {
        None | Some("postgres") => false,
        Some("direct") if mode < SslMode::Require => {
            return Err(OptionError::WeakMode(mode, "sslnegotiation=direct"));
        }
        Some("direct") => true,
        Some(value) => return Err(OptionError::Value { name: "sslnegotiation", value: value.to_owned() }),
    };
    let certificate = match (option("sslcert", "PGSSLCERT"), option("sslkey", "PGSSLKEY")) {
        (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
        (None, None) => default_file("postgresql.crt")
            .zip(default_file("postgresql.key"))
            .filter(|(certificate, key)| certificate.exists() && key.exists()),
        (Some(_), None) | (None, Some(_)) => return Err(OptionError::HalfCertificate),
    };
    Ok(ClientOptions { mode, direct, root, certificate })
}

/// The connection string without the options in [`TAKEN`], and those.
fn split(text: &str) -> Result<(String, Vec<(String, String)>), OptionError> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        split_url(text)
    } else {
        split_pairs(text)
    }
}

fn split_url(text: &str) -> Result<(String, Vec<(String, String)>), OptionError> {
    let Some((base, query)) = text.split_once('?') else { return Ok((text.to_owned(), Vec::new())) };
    let (mut kept, mut taken) = (Vec::new(), Vec::new());
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some((key, value)) if TAKEN.contains(&key) => {
                let value = percent_decode(value).ok_or_else(|| OptionError::Malformed(pair.to_owned()))?;
                taken.push((key.to_owned(), value));
            }
            _ => kept.push(pair),
        }
    }
    let rest = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
    Ok((rest, taken))
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'%' {
            let (digits, after) = after.split_first_chunk::<2>()?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

/// `key = value` pairs, values perhaps quoted, with backslash escapes (`conninfo_parse` in libpq's `fe-connect.c`).
fn split_pairs(text: &str) -> Result<(String, Vec<(String, String)>), OptionError> {
    let (mut kept, mut taken) = (Vec::new(), Vec::new());
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or_else(|| OptionError::Malformed(rest.to_owned()))?;
        let key = key.trim_end();
        let (value, after) = pair_value(after.trim_start()).ok_or_else(|| OptionError::Malformed(key.to_owned()))?;
        if TAKEN.contains(&key) {
            taken.push((key.to_owned(), value));
        } else {
            kept.push(format!("{key}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'")));
        }
        rest = after.trim_start();
    }
    Ok((kept.join(" "), taken))
}

/// The value at the start of `text`, and what follows it; `None` when its quotes do not end.
fn pair_value(text: &str) -> Option<(String, &str)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut characters = text.char_indices().skip(usize::from(quoted));
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return Some((value, &text[at + 1..])),
            space if !quoted && space.is_whitespace() => return Some((value, &text[at..])),
            other => value.push(other),
        }
    }
    (!quoted).then_some((value, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_postgres::config::Host;

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

    fn options(text: &str) -> Result<ClientOptions, OptionError> {
        tls_options(&split(text)?.1, &|_| None)
    }

    #[test]
    fn libpq_variables_fill_what_the_string_leaves_out() {
        let upstream = Upstream::parse("", &variables).unwrap();
        let config = upstream.config();
        assert_eq!(config.get_hosts(), [Host::Unix("/run/pg".into())]);
        assert_eq!((config.get_ports(), upstream.user(), upstream.database()), (&[5555][..], "alice", "alice"));
        assert_eq!(config.get_password(), Some(&b"secret"[..]));
    }

    #[test]
    fn the_string_comes_first() {
        let text = "postgres://bob@db.example:6000/shop?sslmode=disable&connect_timeout=3";
        let upstream = Upstream::parse(text, &variables).unwrap();
        let config = upstream.config();
        assert_eq!(config.get_hosts(), [Host::Tcp("db.example".into())]);
        assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(3)));
        assert_eq!((config.get_ports(), upstream.user(), upstream.database()), (&[6000][..], "bob", "shop"));
        assert_eq!(upstream.describe(), "db.example:6000/shop");
    }

    #[test]
    fn a_bad_variable_is_named() {
        let error = Upstream::parse("", &|name| (name == "PGPORT").then(|| "abc".to_owned())).unwrap_err();
        assert!(matches!(error, OptionError::Value { name: "PGPORT", .. }));
    }

    #[test]
    fn both_forms_carry_the_same_options() {
        let expected = ClientOptions {
            mode: SslMode::VerifyFull,
            direct: true,
            root: Some(RootCertificate::File("/a b/root.crt".into())),
            certificate: Some(("/c.crt".into(), "/c.key".into())),
        };
        let url = "postgresql://u@h/d?sslmode=verify-full&sslrootcert=%2Fa%20b%2Froot.crt&sslcert=/c.crt&sslkey=/c.key\
                   &sslnegotiation=direct";
        assert_eq!(options(url).unwrap(), expected);
        let pairs = "host=h sslmode = verify-full sslrootcert='/a b/root.crt' sslcert=/c.crt sslkey=/c.key \
                     sslnegotiation=direct password='it''s'";
        assert!(matches!(options(pairs), Err(OptionError::Malformed(_))), "a quote is escaped by a backslash only");
        let pairs = pairs.replace("it''s", "it\\'s");
        assert_eq!(options(&pairs).unwrap(), expected);
        let (rest, _) = split(&pairs).unwrap();
        assert_eq!(rest, "host='h' password='it\\'s'");
        assert_eq!(rest.parse::<Config>().unwrap().get_password(), Some(&b"it's"[..]));
    }

    #[test]
    fn weak_modes_and_half_pairs_are_refused() {
        assert_eq!(options("").unwrap().mode, SslMode::Prefer);
        assert_eq!(options("sslrootcert=system").unwrap().mode, SslMode::VerifyFull);
        assert!(matches!(options("sslrootcert=system sslmode=require"), Err(OptionError::WeakMode(..))));
        assert!(matches!(options("sslnegotiation=direct sslmode=prefer"), Err(OptionError::WeakMode(..))));
        assert!(matches!(options("sslcert=/x"), Err(OptionError::HalfCertificate)));
        assert!(matches!(options("sslmode=maybe"), Err(OptionError::Value { name: "sslmode", .. })));
    }
}
