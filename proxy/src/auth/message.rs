//! The texts of an exchange (RFC 5802, section 5), as strictly as Postgres reads them (`read_client_first_message`,
//! `read_client_final_message` in `src/backend/libpq/auth-scram.c`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Not a message of this protocol; says what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed SCRAM message: {0}")]
pub struct Malformed(pub &'static str);

/// What a client says of channel binding before anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gs2 {
    /// `n`: the client cannot.
    Unsupported,
    /// `y`: the client could, and believes that the server cannot.
    Unused,
    /// `p=tls-server-end-point`
    EndPoint,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFirst<'a> {
    pub binding: Gs2,
    /// Flag and authorisation identity with their commas: `n,,`.
    pub header: &'a str,
    /// Everything behind the header.
    pub bare: &'a str,
    pub nonce: &'a str,
}

impl<'a> ClientFirst<'a> {
    pub fn parse(text: &'a [u8]) -> Result<ClientFirst<'a>, Malformed> {
        let text = std::str::from_utf8(text).map_err(|_| Malformed("not a text"))?;
        let (flag, rest) = text.split_once(',').ok_or(Malformed("comma expected"))?;
        let binding = match flag {
            "n" => Gs2::Unsupported,
            "y" => Gs2::Unused,
            "p=tls-server-end-point" => Gs2::EndPoint,
            _ if flag.starts_with("p=") => return Err(Malformed("unsupported SCRAM channel-binding type")),
            _ => return Err(Malformed("unexpected channel-binding flag")),
        };
        let bare = rest.strip_prefix(',').ok_or(Malformed("authorization identity is not supported"))?;
        let rest = bare.strip_prefix("n=").ok_or(Malformed("attribute \"n\" expected"))?;
        let (_name, rest) = rest.split_once(',').ok_or(Malformed("comma expected"))?;
        let nonce = nonce(rest)?;
        Ok(ClientFirst { binding, header: &text[..text.len() - bare.len()], bare, nonce })
    }
}

/// The value of the attribute `r` at the start of `text`: printable ASCII but a comma.
fn nonce(text: &str) -> Result<&str, Malformed> {
    let value = text.strip_prefix("r=").ok_or(Malformed("attribute \"r\" expected"))?;
    let nonce = value.split(',').next().unwrap_or_default();
    if nonce.is_empty() || !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Malformed("non-printable characters in SCRAM nonce"));
    }
    Ok(nonce)
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFirst<'a> {
    pub nonce: &'a str,
    pub salt: Vec<u8>,
    pub iterations: u32,
}

impl<'a> ServerFirst<'a> {
    pub fn parse(text: &'a [u8]) -> Result<ServerFirst<'a>, Malformed> {
        let text = std::str::from_utf8(text).map_err(|_| Malformed("not a text"))?;
        let nonce = nonce(text)?;
        let mut attributes = text.split(',').skip(1);
        let salt = attributes.next().and_then(|salt| STANDARD.decode(salt.strip_prefix("s=")?).ok());
        let iterations = attributes.next().and_then(|count| count.strip_prefix("i=")?.parse().ok());
        Ok(ServerFirst {
            nonce,
            salt: salt.ok_or(Malformed("attribute \"s\" expected"))?,
            iterations: iterations.filter(|count| *count > 0).ok_or(Malformed("attribute \"i\" expected"))?,
        })
    }

    pub fn say(&self) -> String {
        format!("r={},s={},i={}", self.nonce, STANDARD.encode(&self.salt), self.iterations)
    }
}

/// Bytes of a SHA-256 hash, and so of keys, signatures and proofs.
pub(super) const KEY_BYTES: usize = 32;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFinal<'a> {
    pub binding: Vec<u8>,
    pub nonce: &'a str,
    pub proof: [u8; KEY_BYTES],
    /// What the proof is about: the message up to it.
    pub without_proof: &'a str,
}

impl<'a> ClientFinal<'a> {
    pub fn parse(text: &'a [u8]) -> Result<ClientFinal<'a>, Malformed> {
        let text = std::str::from_utf8(text).map_err(|_| Malformed("not a text"))?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(Malformed("attribute \"p\" expected"))?;
        let (binding, rest) = without_proof.split_once(',').ok_or(Malformed("comma expected"))?;
        let binding = binding.strip_prefix("c=").and_then(|binding| STANDARD.decode(binding).ok());
        let proof = STANDARD.decode(proof).ok().and_then(|proof| proof.try_into().ok());
        Ok(ClientFinal {
            binding: binding.ok_or(Malformed("attribute \"c\" expected"))?,
            nonce: nonce(rest)?,
            proof: proof.ok_or(Malformed("malformed proof in client-final-message"))?,
            without_proof,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drivers_send_is_read() {
        let libpq = ClientFirst::parse(b"p=tls-server-end-point,,n=,r=abc").unwrap();
        assert_eq!((libpq.binding, libpq.header, libpq.nonce), (Gs2::EndPoint, "p=tls-server-end-point,,", "abc"));
        assert_eq!(libpq.bare, "n=,r=abc");
        let other = ClientFirst::parse(b"n,,n=user,r=x!y,ext=1").unwrap();
        assert_eq!((other.binding, other.nonce, other.bare), (Gs2::Unsupported, "x!y", "n=user,r=x!y,ext=1"));
    }

    #[test]
    fn what_postgres_refuses_is_refused() {
        let refused: [&[u8]; 9] = [
            b"",
            b"n",
            b"z,,n=,r=a",
            b"p=tls-unique,,n=,r=a",
            b"n,a=me,n=,r=a",
            b"n,,m=x,n=,r=a",
            b"n,,n=,r=",
            b"n,,n=,r=a\x01b",
            b"n,,n=,r=\xff",
        ];
        for text in refused {
            assert!(ClientFirst::parse(text).is_err(), "{text:?}");
        }
        let refused: [&[u8]; 6] =
            [b"", b"c=biws", b"c=biws,r=a", b"c=biws,r=a,p=AAAA", b"c=!,r=a,p=", b"r=a,c=biws,p=AAAA"];
        for text in refused {
            assert!(ClientFinal::parse(text).is_err(), "{text:?}");
        }
        for text in [&b"r=a,s=AAAA,i=0"[..], b"r=a,s=?,i=1", b"s=AAAA,i=1", b"r=a,i=1", b"e=other-error"] {
            assert!(ServerFirst::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_server_first_message_is_said_as_it_is_read() {
        let text = "r=abcdef,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        assert_eq!(ServerFirst::parse(text.as_bytes()).unwrap().say(), text);
    }

    #[test]
    fn damaged_messages_are_errors() {
        let proof = STANDARD.encode([7; KEY_BYTES]);
        let last = format!("c=biws,r=abcdef,p={proof}");
        let secret = format!("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==${proof}:{proof}");
        let recorded: [&[u8]; 5] = [
            b"p=tls-server-end-point,,n=,r=abc",
            b"n,,n=user,r=x!y,ext=1",
            b"r=abcdef,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            last.as_bytes(),
            secret.as_bytes(),
        ];
        weir_tests::hostile::hammer("SCRAM", &recorded, |bytes| {
            let secret =
                std::str::from_utf8(bytes).is_ok_and(|text| super::super::scram::Secret::parse(text).is_some());
            let server = ServerFirst::parse(bytes);
            if let Ok(server) = &server {
                let said = server.say();
                assert_eq!(ServerFirst::parse(said.as_bytes()).as_ref(), Ok(server), "said otherwise than read");
            }
            secret || server.is_ok() || ClientFirst::parse(bytes).is_ok() || ClientFinal::parse(bytes).is_ok()
        });
    }
}
