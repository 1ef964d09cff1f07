//! TLS on both hops, by rustls: Weir's own certificate towards clients, libpq's `sslmode` towards Postgres. What lives
//! here is files, handshakes and verification; when TLS is asked for is `session::startup`'s and `upstream`'s business,
//! and what a connection is used for nobody's here.

pub mod certificate;
pub mod client;
pub mod server;
mod verify;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_rustls::rustls;
use tokio_rustls::rustls::crypto::CryptoProvider;

/// The protocol's name in ALPN (`PG_ALPN_PROTOCOL` in `src/include/libpq/pqcomm.h`).
pub const ALPN_PROTOCOL: &[u8] = b"postgresql";

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("could not load file \"{path}\": {reason}")]
    File { path: PathBuf, reason: String },
    /// As Postgres refuses it (`check_ssl_key_file_permissions` in `src/backend/libpq/be-secure-common.c`).
    #[error("private key file \"{path}\" {problem}")]
    KeyFile { path: PathBuf, problem: &'static str },
    #[error(
        "root certificate file \"{0}\" does not exist: provide the file, use the system's trusted roots with \
         sslrootcert=system, or change sslmode to disable server certificate verification"
    )]
    NoRootCertificate(PathBuf),
    #[error("TLS configuration: {0}")]
    Configuration(#[from] rustls::Error),
}

impl TlsError {
    fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> TlsError {
        let path = path.into();
        move |error| TlsError::File { path, reason: error.to_string() }
    }
}

/// The cryptography in use, named explicitly so that no process-wide default has to be installed.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
