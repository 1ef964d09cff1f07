//! The keys and proofs (RFC 5802, section 3): `ClientKey` is what a client derives from its password, `StoredKey` its
//! hash, and the proof is `ClientKey XOR HMAC(StoredKey, everything said)`. Who has `StoredKey` and sees a right proof
//! therefore has `ClientKey`, which is enough to log in and says nothing of the password.

use super::message::{ClientFinal, ClientFirst, Gs2, KEY_BYTES, Malformed, ServerFirst};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

type Key = [u8; KEY_BYTES];

/// Random bytes in a nonce of Weir's (`SCRAM_RAW_NONCE_LEN` in `src/include/common/scram-common.h`).
const NONCE_BYTES: usize = 18;

fn hmac(key: &Key, text: &str) -> Key {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

fn xor(a: &Key, b: &Key) -> Key {
    std::array::from_fn(|i| a[i] ^ b[i])
}

fn fresh_nonce() -> String {
    STANDARD.encode(rand::random::<[u8; NONCE_BYTES]>())
}

/// `pg_authid.rolpassword` of a role with a SCRAM password: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    salt: Vec<u8>,
    iterations: u32,
    stored_key: Key,
    server_key: Key,
}

/// Shows nothing that a log should not hold.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").finish_non_exhaustive()
    }
}

impl Secret {
    pub fn parse(text: &str) -> Option<Secret> {
        let (scheme, keys) = text.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
        let (iterations, salt) = scheme.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let key = |text: &str| STANDARD.decode(text).ok()?.try_into().ok();
        Some(Secret {
            salt: STANDARD.decode(salt).ok()?,
            iterations: iterations.parse().ok()?,
            stored_key: key(stored_key)?,
            server_key: key(server_key)?,
        })
    }
}

/// What a client's right proof contains.
pub struct ClientKey(Key);

/// A client's side of the exchange with Weir, from its first message on.
pub struct Verification {
    bare: String,
    /// What `c=` of the final message must decode to.
    binding: Vec<u8>,
    nonce: String,
    server_first: String,
}

/// What the client's final message shows.
pub enum Shown {
    /// It knows the password: the key, and what Weir says to show that it does too.
    Right {
        key: ClientKey,
        server_final: String,
    },
    Wrong,
}

/// The final message is bound to another connection than this.
#[derive(Debug, PartialEq, Eq)]
pub enum FinalError {
    Malformed(Malformed),
    Binding,
}

impl Verification {
    /// `end_point`: of Weir's certificate on this connection. `salt` and `iterations` are those that Postgres has just
    /// named for this role, or made up for one that has none.
    pub fn begin(first: &ClientFirst<'_>, end_point: Option<&[u8]>, salt: &[u8], iterations: u32) -> Verification {
        let mut binding = first.header.as_bytes().to_vec();
        if first.binding == Gs2::EndPoint {
            binding.extend(end_point.unwrap_or_default());
        }
        let nonce = format!("{}{}", first.nonce, fresh_nonce());
        let server_first = ServerFirst { nonce: &nonce, salt: salt.to_vec(), iterations }.say();
        Verification { bare: first.bare.to_owned(), binding, nonce, server_first }
    }

    /// The message that answers the client's first.
    pub fn server_first(&self) -> &str {
        &self.server_first
    }

    /// Without a secret, or with one that is not what `begin` was told of, nothing is right.
    pub fn finish(&self, text: &[u8], secret: Option<&Secret>) -> Result<Shown, FinalError> {
        let last = ClientFinal::parse(text).map_err(FinalError::Malformed)?;
        if last.binding != self.binding {
            return Err(FinalError::Binding);
        }
        if last.nonce != self.nonce {
            return Err(FinalError::Malformed(Malformed("nonce does not match")));
        }
        let Some(secret) = secret else { return Ok(Shown::Wrong) };
        let said = format!("{},{},{}", self.bare, self.server_first, last.without_proof);
        let key = xor(&last.proof, &hmac(&secret.stored_key, &said));
        if Sha256::digest(key)[..] != secret.stored_key {
            return Ok(Shown::Wrong);
        }
        let server_final = format!("v={}", STANDARD.encode(hmac(&secret.server_key, &said)));
        Ok(Shown::Right { key: ClientKey(key), server_final })
    }
}

/// Weir's side of the exchange with Postgres, for a client.
pub struct Login {
    header: &'static str,
    binding: Vec<u8>,
    bare: String,
    nonce: String,
}

/// What is said last, and what Postgres must answer.
pub struct Proof {
    pub client_final: String,
    server_final: String,
}

impl Proof {
    /// Postgres knows the password too.
    pub fn is_answered_by(&self, text: &[u8]) -> bool {
        text == self.server_final.as_bytes()
    }
}

impl Login {
    /// `binding` with the hash of Postgres' certificate where it is [`Gs2::EndPoint`].
    pub fn begin(binding: Gs2, end_point: &[u8]) -> Login {
        let header = match binding {
            Gs2::Unsupported => "n,,",
            Gs2::Unused => "y,,",
            Gs2::EndPoint => "p=tls-server-end-point,,",
        };
        let mut bound = header.as_bytes().to_vec();
        if binding == Gs2::EndPoint {
            bound.extend(end_point);
        }
        let nonce = fresh_nonce();
        // Postgres takes the name from the start-up packet.
        Login { header, binding: bound, bare: format!("n=,r={nonce}"), nonce }
    }

    pub fn client_first(&self) -> String {
        format!("{}{}", self.header, self.bare)
    }

    /// Reads Postgres' first message; its nonce must begin with Weir's.
    pub fn server_first<'a>(&self, text: &'a [u8]) -> Result<ServerFirst<'a>, Malformed> {
        let first = ServerFirst::parse(text)?;
        if first.nonce.len() <= self.nonce.len() || !first.nonce.starts_with(&self.nonce) {
            return Err(Malformed("nonce does not match"));
        }
        Ok(first)
    }

    /// With a key that logs in.
    pub fn prove(&self, server_first: &str, nonce: &str, key: &ClientKey, secret: &Secret) -> Proof {
        let without_proof = self.without_proof(nonce);
        let said = format!("{},{server_first},{without_proof}", self.bare);
        let proof = xor(&key.0, &hmac(&secret.stored_key, &said));
        Proof {
            client_final: format!("{without_proof},p={}", STANDARD.encode(proof)),
            server_final: format!("v={}", STANDARD.encode(hmac(&secret.server_key, &said))),
        }
    }

    /// A proof that fails, so that Postgres itself refuses the login, in its words and its log.
    pub fn fail(&self, nonce: &str) -> String {
        format!("{},p={}", self.without_proof(nonce), STANDARD.encode(rand::random::<Key>()))
    }

    fn without_proof(&self, nonce: &str) -> String {
        format!("c={},r={nonce}", STANDARD.encode(&self.binding))
    }
}

impl Secret {
    /// Postgres has just named the same salt: this is the secret it will check against.
    pub fn belongs_to(&self, first: &ServerFirst<'_>) -> bool {
        self.salt == first.salt && self.iterations == first.iterations
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

    const SALT: &[u8] = b"0123456789abcdef";
    const ITERATIONS: u32 = 4;

    /// The secret Postgres would store (`scram_build_secret` in `src/common/scram-common.c`).
    fn secret(password: &[u8]) -> Secret {
        let key = |key: &[u8]| Hmac::<Sha256>::new_from_slice(key).unwrap();
        let mut mac = key(password);
        mac.update(SALT);
        mac.update(&1u32.to_be_bytes());
        let mut last: Key = mac.finalize().into_bytes().into();
        let mut salted = last;
        for _ in 1..ITERATIONS {
            let mut mac = key(password);
            mac.update(&last);
            last = mac.finalize().into_bytes().into();
            salted = xor(&salted, &last);
        }
        let stored_key: Key = Sha256::digest(hmac(&salted, "Client Key")).into();
        let server_key = hmac(&salted, "Server Key");
        let text = format!(
            "SCRAM-SHA-256${ITERATIONS}:{}${}:{}",
            STANDARD.encode(SALT),
            STANDARD.encode(stored_key),
            STANDARD.encode(server_key)
        );
        Secret::parse(&text).expect("a secret")
    }

    /// A real client against `Verification`, then `Login` against `Verification` in Postgres' place.
    fn log_in(client: &[u8], weir: Option<&Secret>, postgres: &Secret) -> Option<bool> {
        let end_point = b"hash of Weir's certificate".to_vec();
        let mut driver = ScramSha256::new(client, ChannelBinding::tls_server_end_point(end_point.clone()));
        let first = driver.message().to_vec();
        let first = ClientFirst::parse(&first).unwrap();
        let hop = Verification::begin(&first, Some(&end_point), SALT, ITERATIONS);
        driver.update(hop.server_first().as_bytes()).unwrap();
        let Shown::Right { key, server_final } = hop.finish(driver.message(), weir).unwrap() else { return None };
        driver.finish(server_final.as_bytes()).expect("the driver believes Weir");

        let login = Login::begin(Gs2::EndPoint, b"hash of the server's");
        let first = login.client_first();
        let first = ClientFirst::parse(first.as_bytes()).unwrap();
        let server = Verification::begin(&first, Some(b"hash of the server's"), SALT, ITERATIONS);
        let named = login.server_first(server.server_first().as_bytes()).unwrap();
        let proof = login.prove(server.server_first(), named.nonce, &key, weir?);
        match server.finish(proof.client_final.as_bytes(), Some(postgres)).unwrap() {
            Shown::Right { server_final, .. } => Some(proof.is_answered_by(server_final.as_bytes())),
            Shown::Wrong => Some(false),
        }
    }

    #[test]
    fn a_right_password_logs_in_over_both_hops() {
        let pencil = secret(b"pencil");
        assert_eq!(log_in(b"pencil", Some(&pencil), &pencil), Some(true));
        assert_eq!(log_in(b"Pencil", Some(&pencil), &pencil), None);
        assert_eq!(log_in(b"pencil", None, &pencil), None);
        assert_eq!(log_in(b"pencil", Some(&pencil), &secret(b"changed")), Some(false));
    }

    #[test]
    fn another_connections_binding_is_refused() {
        let pencil = secret(b"pencil");
        let mut driver = ScramSha256::new(b"pencil", ChannelBinding::tls_server_end_point(b"theirs".to_vec()));
        let first = driver.message().to_vec();
        let first = ClientFirst::parse(&first).unwrap();
        let hop = Verification::begin(&first, Some(b"ours"), SALT, ITERATIONS);
        driver.update(hop.server_first().as_bytes()).unwrap();
        assert!(matches!(hop.finish(driver.message(), Some(&pencil)), Err(FinalError::Binding)));
    }

    #[test]
    fn a_made_up_proof_fails() {
        let pencil = secret(b"pencil");
        let login = Login::begin(Gs2::Unsupported, b"");
        let first = login.client_first();
        let server = Verification::begin(&ClientFirst::parse(first.as_bytes()).unwrap(), None, SALT, ITERATIONS);
        let named = login.server_first(server.server_first().as_bytes()).unwrap();
        let failed = server.finish(login.fail(named.nonce).as_bytes(), Some(&pencil));
        assert!(matches!(failed, Ok(Shown::Wrong)));
        assert!(login.server_first(b"r=other,s=AAAA,i=1").is_err());
    }

    #[test]
    fn only_scram_secrets_are_secrets() {
        for text in
            ["md50123456789abcdef0123456789abcdef", "", "SCRAM-SHA-256$4096:c2FsdA==$AAAA:AAAA", "SCRAM-SHA-256$"]
        {
            assert!(Secret::parse(text).is_none(), "{text}");
        }
    }
}
