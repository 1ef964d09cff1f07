//! Configuration: command line, `WEIR_*`, `weir.toml`, and libpq's `PG*` for the upstream.

use std::net::SocketAddr;

/// What `weir serve` runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where Postgres is, and the role and database of Weir's own control connections.
    pub upstream: tokio_postgres::Config,
    pub listen: SocketAddr,
    pub http: SocketAddr,
}
