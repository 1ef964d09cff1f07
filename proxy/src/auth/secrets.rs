//! The secrets of roles, asked of Postgres for each login that needs one: through a function that gives them to Weir's
//! role alone (`catalog/sql/80_login.sql`), on a control connection whose settings no client can change.

use super::scram::Secret;
use crate::control::{ControlError, Standing};
use crate::upstream::Upstream;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

/// Why no role's secret can be had.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// The function is missing, or not for Weir's role.
    #[error("pgtrickle.login_secret may not be called: {0}")]
    NotInstalled(String),
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// Answers of a function that only Weir's own role may execute.
pub struct Secrets {
    control: Standing,
    /// Also for superusers.
    superusers: bool,
}

const LOGIN_SECRET: &str = "SELECT secret, obstacle FROM pgtrickle.login_secret($1)";
const SUPERUSER_LOGIN_SECRET: &str = "SELECT pgtrickle.superuser_login_secret($1)";

/// What the function calls a superuser (`80_login.sql`).
const SUPERUSER: &str = "superuser";

impl Secrets {
    pub fn new(upstream: Upstream, superusers: bool) -> Secrets {
        Secrets { control: Standing::new(upstream, "login"), superusers }
    }

    /// The role's secret; `None` where it has none that may be used, for a reason that is logged and not told to the
    /// client.
    pub async fn of(&self, role: &str) -> Result<Option<Secret>, Unavailable> {
        let client = self.control.client().await?;
        let rows = client.query_typed(LOGIN_SECRET, &[(&role, Type::TEXT)]).await.map_err(refused)?;
        let Some(row) = rows.first() else {
            tracing::info!(role, "login refused: no such role");
            return Ok(None);
        };
        let (mut secret, mut obstacle): (Option<String>, Option<String>) = (row.get(0), row.get(1));
        if self.superusers && obstacle.as_deref() == Some(SUPERUSER) {
            let rows = client.query_typed(SUPERUSER_LOGIN_SECRET, &[(&role, Type::TEXT)]).await.map_err(refused)?;
            secret = rows.first().and_then(|row| row.get(0));
            obstacle = secret.is_none().then(|| "superuser without a SCRAM password that may be used".to_owned());
        }
        if let Some(obstacle) = obstacle {
            let remedy = remedy(&obstacle);
            tracing::warn!(role, obstacle, remedy, "Weir cannot log in for this role over TLS on both connections");
        }
        Ok(secret.and_then(|text| Secret::parse(&text)))
    }
}

/// What an administrator does about it.
fn remedy(obstacle: &str) -> &'static str {
    match obstacle {
        SUPERUSER => "start Weir with --login-superusers, or connect with channel_binding=disable",
        "md5 password" => "SET password_encryption = 'scram-sha-256', then set the role's password again",
        "password expired" => "ALTER ROLE ... VALID UNTIL",
        _ => "ALTER ROLE ... LOGIN PASSWORD",
    }
}

fn refused(error: tokio_postgres::Error) -> Unavailable {
    match error.as_db_error() {
        Some(db)
            if [SqlState::UNDEFINED_FUNCTION, SqlState::INVALID_SCHEMA_NAME, SqlState::INSUFFICIENT_PRIVILEGE]
                .contains(db.code()) =>
        {
            Unavailable::NotInstalled(db.message().to_owned())
        }
        _ => Unavailable::Control(error.into()),
    }
}
