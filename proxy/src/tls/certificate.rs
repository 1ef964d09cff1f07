//! Certificates and keys in files, and the hash of a certificate that SCRAM binds a login to.

use super::TlsError;
use sha2::{Digest, Sha256, Sha384, Sha512};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The certificates of a PEM file, at least one.
pub fn load_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |reason: String| TlsError::File { path: path.into(), reason };
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?.collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(failed("no certificate in it".to_owned())),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// The private key of a PEM file that nobody else may read. Encrypted keys are refused: there is nobody to ask.
pub fn load_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    check_permissions(path)?;
    PrivateKeyDer::from_pem_file(path)
        .map_err(|error| TlsError::File { path: path.into(), reason: format!("no usable private key: {error}") })
}

/// Bits of a mode: what group and others may do.
const GROUP_AND_OTHERS: u32 = 0o077;
/// What must be off in a key file of root's: group may read it, as Debian's group `ssl-cert` does.
const GROUP_WRITE_EXECUTE_AND_OTHERS: u32 = 0o037;

/// The rules of `check_ssl_key_file_permissions` (`src/backend/libpq/be-secure-common.c`).
fn check_permissions(path: &Path) -> Result<(), TlsError> {
    let refuse = |problem| Err(TlsError::KeyFile { path: path.into(), problem });
    let metadata = std::fs::metadata(path).map_err(TlsError::io(path))?;
    // The owner of /proc/self is the effective user.
    let me = std::fs::metadata("/proc/self").map_err(TlsError::io("/proc/self"))?.uid();
    if !metadata.is_file() {
        return refuse("is not a regular file");
    }
    if metadata.uid() != me && metadata.uid() != 0 {
        return refuse("must be owned by the user that runs Weir or by root");
    }
    let forbidden = if metadata.uid() == me { GROUP_AND_OTHERS } else { GROUP_WRITE_EXECUTE_AND_OTHERS };
    if metadata.mode() & forbidden != 0 {
        return refuse(
            "has group or world access: it must have permissions u=rw (0600) or less if owned by the user that runs \
             Weir, or permissions u=rw,g=r (0640) or less if owned by root",
        );
    }
    Ok(())
}

/// `tls-server-end-point` (RFC 5929, section 4.1): the certificate's hash under the hash function of its own signature,
/// SHA-256 in the place of MD5 and SHA-1. `None` where the signature has no single hash function (Ed25519) or one that
/// is not known here: then channel binding is not offered.
pub fn end_point_hash(certificate: &[u8]) -> Option<Vec<u8>> {
    match signature_algorithm(certificate)? {
        // md5WithRSAEncryption, sha1WithRSAEncryption, sha256WithRSAEncryption; ecdsa-with-SHA1, ecdsa-with-SHA256
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 4 | 5 | 11]
        | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01]
        | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 2] => Some(Sha256::digest(certificate).to_vec()),
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 12] | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 3] => {
            Some(Sha384::digest(certificate).to_vec())
        }
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 13] | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 4] => {
            Some(Sha512::digest(certificate).to_vec())
        }
        _ => None,
    }
}

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// The object identifier's bytes in `Certificate.signatureAlgorithm` (RFC 5280, section 4.1): the second element of the
/// outer sequence.
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (outer, _) = element(certificate, SEQUENCE)?;
    let (_to_be_signed, rest) = element(outer, SEQUENCE)?;
    let (algorithm, _) = element(rest, SEQUENCE)?;
    Some(element(algorithm, OBJECT_IDENTIFIER)?.0)
}

/// The content of the DER element at the start of `bytes`, which must have this tag, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = bytes.split_first_chunk::<2>()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An outer sequence of an empty body and an algorithm with this identifier.
    fn certificate(identifier: &[u8]) -> Vec<u8> {
        let mut algorithm = vec![OBJECT_IDENTIFIER, identifier.len() as u8];
        algorithm.extend(identifier);
        let mut inner = vec![SEQUENCE, 0x81, 0, SEQUENCE, algorithm.len() as u8];
        inner.extend(algorithm);
        let mut outer = vec![SEQUENCE, 0x82, 0, inner.len() as u8];
        outer.extend(inner);
        outer
    }

    #[test]
    fn the_hash_is_the_signatures() {
        let rsa = |last| certificate(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, last]);
        for (algorithm, bytes) in [(4, 32), (5, 32), (11, 32), (12, 48), (13, 64)] {
            assert_eq!(end_point_hash(&rsa(algorithm)).map(|hash| hash.len()), Some(bytes));
        }
        let sha1 = certificate(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01]);
        assert_eq!(end_point_hash(&sha1), Some(Sha256::digest(&sha1).to_vec()));
        // Ed25519
        assert_eq!(end_point_hash(&certificate(&[0x2b, 0x65, 0x70])), None);
    }

    #[test]
    fn no_cut_of_a_certificate_panics() {
        let whole = certificate(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 2]);
        for cut in 0..whole.len() {
            assert_eq!(end_point_hash(&whole[..cut]), None);
        }
        assert_eq!(end_point_hash(&[SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff, 0]), None);
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let path = std::env::temp_dir().join(format!("weir-key-{}", std::process::id()));
        std::fs::write(&path, "").unwrap();
        for (mode, allowed) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(check_permissions(&path).is_ok(), allowed, "{mode:o}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(load_key(&path), Err(TlsError::File { .. })));
    }
}
