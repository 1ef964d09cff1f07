//! Weir's side of TLS with Postgres: libpq's options and their meaning (documentation, "SSL Support").

use super::certificate::{end_point_hash, load_certificates, load_key};
use super::verify::{Roots, Verifier};
use super::{ALPN_PROTOCOL, TlsError, provider};
use crate::wire::stream::{Secured, Stream};
use arc_swap::ArcSwapOption;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::pki_types::ServerName;

/// libpq's `sslmode`, from the weakest to the strongest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    Disable,
    Allow,
    #[default]
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl FromStr for SslMode {
    type Err = ();
    fn from_str(text: &str) -> Result<SslMode, ()> {
        Ok(match text {
            "disable" => SslMode::Disable,
            "allow" => SslMode::Allow,
            "prefer" => SslMode::Prefer,
            "require" => SslMode::Require,
            "verify-ca" => SslMode::VerifyCa,
            "verify-full" => SslMode::VerifyFull,
            _ => return Err(()),
        })
    }
}

/// libpq's `sslrootcert`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootCertificate {
    /// The operating system's trusted roots.
    System,
    File(PathBuf),
}

/// What the connection string, libpq's variables and libpq's default files say about TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientOptions {
    pub mode: SslMode,
    /// TLS from the first byte (`sslnegotiation=direct`, Postgres 17 and later).
    pub direct: bool,
    pub root: Option<RootCertificate>,
    /// Certificate and key that Weir shows the server.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// Where OpenSSL, and so libpq with `sslrootcert=system`, finds the trusted roots on the usual distributions.
const SYSTEM_ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Opens TLS towards Postgres with the files last loaded.
pub struct ClientTls {
    options: ClientOptions,
    /// `None` only with `sslmode=disable`.
    config: ArcSwapOption<ClientConfig>,
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientTls").field("options", &self.options).finish_non_exhaustive()
    }
}

impl ClientTls {
    pub fn load(options: ClientOptions) -> Result<ClientTls, TlsError> {
        let config = ArcSwapOption::new(build(&options)?.map(Arc::new));
        Ok(ClientTls { options, config })
    }

    /// No TLS, whatever the server offers.
    pub fn disabled() -> ClientTls {
        let options = ClientOptions { mode: SslMode::Disable, ..ClientOptions::default() };
        ClientTls { options, config: ArcSwapOption::empty() }
    }

    /// Reads the files again. On an error the old ones stay in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.config.store(build(&self.options)?.map(Arc::new));
        Ok(())
    }

    pub fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// The handshake with the server known as `name`. `direct`: the server must agree on ALPN.
    pub async fn connect(&self, socket: TcpStream, name: &str, direct: bool) -> io::Result<Stream> {
        let config = self.config.load_full().ok_or_else(|| io::Error::other("TLS is disabled"))?;
        let name = match ServerName::try_from(name.to_owned()) {
            Ok(name) => name,
            Err(error) if self.options.mode == SslMode::VerifyFull => return Err(io::Error::other(error)),
            // Nobody compares it; an address is not sent to the server.
            Err(_) => socket.peer_addr()?.ip().into(),
        };
        let tls = TlsConnector::from(config).connect(name, socket).await?;
        let (_, connection) = tls.get_ref();
        if direct && connection.alpn_protocol() != Some(ALPN_PROTOCOL) {
            return Err(io::Error::other("direct SSL connection was established without ALPN protocol negotiation"));
        }
        let certificate = connection.peer_certificates().and_then(|chain| chain.first());
        let end_point = certificate.and_then(|certificate| end_point_hash(certificate)).map(Arc::from);
        Ok(Stream::Tls(Box::new(Secured { tls: tls.into(), end_point })))
    }
}

fn build(options: &ClientOptions) -> Result<Option<ClientConfig>, TlsError> {
    if options.mode == SslMode::Disable {
        return Ok(None);
    }
    let provider = provider();
    let (roots, name) = roots(options)?;
    let verifier = Arc::new(Verifier::new(provider.clone(), roots, name));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &options.certificate {
        Some((certificate, key)) => builder.with_client_auth_cert(load_certificates(certificate)?, load_key(key)?)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![ALPN_PROTOCOL.to_vec()];
    // Postgres resumes no sessions.
    config.resumption = Resumption::disabled();
    Ok(Some(config))
}

/// The roots to verify against, if any, and whether the name counts. A root certificate that exists is used from
/// `require` up, "for backwards compatibility with earlier versions of PostgreSQL".
fn roots(options: &ClientOptions) -> Result<(Option<Roots>, bool), TlsError> {
    let mandatory = options.mode >= SslMode::VerifyCa;
    let name = options.mode == SslMode::VerifyFull;
    match &options.root {
        Some(RootCertificate::System) => {
            let given = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
            let found = given.or_else(|| SYSTEM_ROOTS.iter().map(PathBuf::from).find(|path| path.exists()));
            let path = found.ok_or_else(|| TlsError::NoRootCertificate(SYSTEM_ROOTS[0].into()))?;
            Ok((Some(Roots::from_bundle(load_certificates(&path)?)), name))
        }
        Some(RootCertificate::File(path)) if options.mode >= SslMode::Require && path.exists() => {
            Ok((Some(Roots::new(load_certificates(path)?)?), name))
        }
        Some(RootCertificate::File(path)) if mandatory => Err(TlsError::NoRootCertificate(path.clone())),
        None if mandatory => Err(TlsError::NoRootCertificate("~/.postgresql/root.crt".into())),
        _ => Ok((None, false)),
    }
}
