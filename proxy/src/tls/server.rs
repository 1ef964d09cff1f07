//! Weir's side of TLS with clients: one certificate, read again on SIGHUP without touching connections that stand.

use super::certificate::{end_point_hash, load_certificates, load_key};
use super::{ALPN_PROTOCOL, TlsError, provider};
use crate::wire::stream::{Secured, Stream};
use arc_swap::ArcSwap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::server::NoServerSessionStorage;

/// Where the certificate chain and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Accepts TLS with the certificate last loaded.
pub struct ServerTls {
    files: ServerFiles,
    identity: ArcSwap<Identity>,
}

struct Identity {
    acceptor: TlsAcceptor,
    end_point: Option<Arc<[u8]>>,
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerTls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl ServerTls {
    pub fn load(files: ServerFiles) -> Result<ServerTls, TlsError> {
        let identity = ArcSwap::from_pointee(Identity::load(&files)?);
        Ok(ServerTls { files, identity })
    }

    /// Reads the files again. On an error the old certificate stays in use, as Postgres does on SIGHUP.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.identity.store(Arc::new(Identity::load(&self.files)?));
        Ok(())
    }

    /// The handshake. `direct`: it came without an SSLRequest and must agree on ALPN (`ProcessSSLStartup` in
    /// `src/backend/tcop/backend_startup.c`), so that no other protocol's client can be led here.
    pub async fn accept(&self, socket: TcpStream, direct: bool) -> io::Result<Stream> {
        let identity = self.identity.load_full();
        let tls = identity.acceptor.accept(socket).await?;
        if direct && tls.get_ref().1.alpn_protocol() != Some(ALPN_PROTOCOL) {
            let message = "received direct SSL connection request without ALPN protocol negotiation extension";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(Stream::Tls(Box::new(Secured { tls: tls.into(), end_point: identity.end_point.clone() })))
    }
}

impl Identity {
    fn load(files: &ServerFiles) -> Result<Identity, TlsError> {
        let chain = load_certificates(&files.certificate)?;
        let end_point = chain.first().and_then(|certificate| end_point_hash(certificate)).map(Arc::from);
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, load_key(&files.key)?)?;
        config.alpn_protocols = vec![ALPN_PROTOCOL.to_vec()];
        // As Postgres: no session is resumed, so nothing is kept for it.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Identity { acceptor: TlsAcceptor::from(Arc::new(config)), end_point })
    }
}
