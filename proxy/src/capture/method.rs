//! How changes of base tables are captured: from the write-ahead log, or by triggers.

use std::fmt;
use std::str::FromStr;
use tokio_postgres::Client;

/// The way that is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Method {
    /// A logical replication stream.
    #[default]
    Wal,
    /// Statement triggers with transition tables, drained by snapshots.
    Trigger,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Method::Wal => "wal",
            Method::Trigger => "trigger",
        })
    }
}

/// The way that is wanted (`capture = auto | wal | trigger`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Preference {
    /// From the WAL where the server and Weir's role allow it, else by triggers.
    #[default]
    Auto,
    Wal,
    Trigger,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a way of capturing changes: {0:?} (auto, wal or trigger)")]
pub struct ParsePreferenceError(String);

impl FromStr for Preference {
    type Err = ParsePreferenceError;

    fn from_str(text: &str) -> Result<Preference, ParsePreferenceError> {
        match text {
            "auto" => Ok(Preference::Auto),
            "wal" => Ok(Preference::Wal),
            "trigger" => Ok(Preference::Trigger),
            other => Err(ParsePreferenceError(other.to_owned())),
        }
    }
}

impl Preference {
    /// What this comes to on that server, for the connected role.
    pub async fn resolve(self, client: &Client) -> Result<Method, tokio_postgres::Error> {
        match self {
            Preference::Wal => Ok(Method::Wal),
            Preference::Trigger => Ok(Method::Trigger),
            Preference::Auto => {
                let possible = "SELECT current_setting('wal_level') = 'logical' AND (rolsuper OR rolreplication) \
                     FROM pg_catalog.pg_roles WHERE rolname = current_user";
                let possible: bool = client.query_one(possible, &[]).await?.try_get(0)?;
                Ok(if possible { Method::Wal } else { Method::Trigger })
            }
        }
    }
}
