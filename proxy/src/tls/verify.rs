//! How much of the server's certificate is believed: libpq's three degrees (documentation, "SSL Client Support").

use std::sync::Arc;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use tokio_rustls::rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// Verifies the handshake always, the chain when there are roots, the name when that is asked for.
#[derive(Debug)]
pub(super) struct Verifier {
    provider: Arc<CryptoProvider>,
    roots: Option<Roots>,
    name: bool,
}

#[derive(Debug)]
pub(super) struct Roots {
    store: RootCertStore,
    /// As they are in the file: a self-signed certificate that is trusted itself.
    certificates: Vec<CertificateDer<'static>>,
}

impl Roots {
    pub(super) fn new(certificates: Vec<CertificateDer<'static>>) -> Result<Roots, Error> {
        let mut store = RootCertStore::empty();
        for certificate in &certificates {
            store.add(certificate.clone())?;
        }
        Ok(Roots { store, certificates })
    }

    /// A bundle in which a certificate that rustls cannot read is passed over.
    pub(super) fn from_bundle(certificates: Vec<CertificateDer<'static>>) -> Roots {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(certificates.iter().cloned());
        Roots { store, certificates: Vec::new() }
    }
}

impl Verifier {
    pub(super) fn new(provider: Arc<CryptoProvider>, roots: Option<Roots>, name: bool) -> Verifier {
        Verifier { provider, roots, name }
    }

    fn verify_chain(
        &self,
        roots: &Roots,
        parsed: &ParsedCertificate<'_>,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let algorithms = self.provider.signature_verification_algorithms.all;
        let verified = verify_server_cert_signed_by_trust_anchor(parsed, &roots.store, intermediates, now, algorithms);
        match verified {
            // `openssl req -x509` makes certificates that call themselves CAs, and libpq accepts such a server
            // certificate when it is itself the trusted root. webpki has checked its dates before it says this.
            Err(Error::InvalidCertificate(CertificateError::Other(reason)))
                if roots.certificates.iter().any(|root| root == end_entity)
                    && matches!(reason.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity)) =>
            {
                Ok(())
            }
            result => result,
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(roots) = &self.roots {
            let parsed = ParsedCertificate::try_from(end_entity)?;
            self.verify_chain(roots, &parsed, end_entity, intermediates, now)?;
            if self.name {
                verify_server_name(&parsed, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
