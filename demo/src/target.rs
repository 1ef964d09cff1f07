//! The Weir that a part of the demo speaks to, when that was started by somebody else.

use std::io;
use std::time::{Duration, Instant};
use tokio_postgres::Config;
use tokio_postgres::config::Host;
use weir_tests::postgres::SUPERUSER;
use weir_tests::scenario::Scenario;
use weir_tests::wire::RawClient;

/// How long services that are started together wait for each other.
const START_WITHIN: Duration = Duration::from_secs(120);
const AGAIN: Duration = Duration::from_secs(1);

/// Where sessions go, and as whom.
#[derive(Clone, Debug)]
pub struct Target {
    /// `host:port`.
    address: String,
    user: String,
    password: String,
    database: String,
}

impl Target {
    /// The superuser's, of a Weir before a private Postgres.
    pub fn private(address: String) -> Target {
        let superuser = || SUPERUSER.to_owned();
        Target { address, user: superuser(), password: superuser(), database: "postgres".to_owned() }
    }

    /// `postgres://user:password@host:port/database`.
    pub fn parse(url: &str) -> Result<Target, String> {
        let config: Config = url.parse().map_err(|error| format!("{url}: {error}"))?;
        let Some(Host::Tcp(host)) = config.get_hosts().first() else { return Err(format!("{url} names no host")) };
        let port = config.get_ports().first().unwrap_or(&5432);
        let user = config.get_user().ok_or_else(|| format!("{url} names no user"))?;
        let password = config.get_password().unwrap_or_default();
        Ok(Target {
            address: format!("{host}:{port}"),
            user: user.to_owned(),
            password: String::from_utf8_lossy(password).into_owned(),
            database: config.get_dbname().unwrap_or(user).to_owned(),
        })
    }

    /// Opens a session under this name.
    pub fn connect(&self, application_name: &str) -> io::Result<RawClient> {
        let parameters = [("user", &*self.user), ("database", &*self.database), ("application_name", application_name)];
        RawClient::connect(&self.address, &parameters, &self.password)
    }

    /// Makes the scenario's tables through Weir, unless there are stream tables already. Blocks until Weir is there, and
    /// Postgres behind it.
    pub fn install(&self, scenario: Scenario) -> Result<(), String> {
        let started = Instant::now();
        loop {
            let found = self.connect("weir-demo").and_then(|mut client| {
                let table = client.try_query("SELECT count(*) FROM pgtrickle.pgt_stream_tables")?;
                table.error.as_ref().map_or(Ok(()), |error| Err(io::Error::other(error.message.clone())))?;
                Ok((table.scalar(), client))
            });
            match found {
                Ok((count, mut client)) if count == "0" => {
                    scenario.install(&mut client);
                    return Ok(());
                }
                Ok(_) => return Ok(()),
                Err(error) if started.elapsed() > START_WITHIN => return Err(format!("{}: {error}", self.address)),
                Err(_) => std::thread::sleep(AGAIN),
            }
        }
    }
}
