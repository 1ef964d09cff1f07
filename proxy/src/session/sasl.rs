//! A SASL login over two connections. Its messages are relayed where that works; where the client's and Weir's
//! connections both use TLS, a login bound to one of them cannot be valid on the other, and Weir takes the client's
//! place towards Postgres (`auth` says how). Whether a login is right is Postgres' verdict in every case.
//!
//! | client | upstream | offered | relayed | by Weir |
//! |---|---|---|---|---|
//! | plain | plain, Unix | as Postgres offers | always | never |
//! | plain | TLS | without PLUS | always | a client that says `y` |
//! | TLS | plain, Unix | as Postgres offers | always | never |
//! | TLS | TLS | PLUS of Weir's certificate | a client that says `n` | a client that binds |

use super::context::SessionContext;
use super::login::take_message;
use super::relay::SessionError;
use super::startup::Refusal;
use crate::auth::{
    ClientFirst, FinalError, Gs2, Login, Malformed, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, Secret, Shown, Unavailable,
    Verification,
};
use crate::wire::endpoint::Endpoint;
use crate::wire::{backend, frame, frontend};
use bytes::BytesMut;

/// AuthenticationSASL, -Continue and -Final (`src/include/libpq/protocol.h`).
const SASL: u32 = 10;
const SASL_CONTINUE: u32 = 11;
const SASL_FINAL: u32 = 12;

/// A client's message of an exchange that Weir takes part in (`PG_MAX_SASL_MESSAGE_LENGTH` in
/// `src/include/libpq/sasl.h`).
const MAX_SASL_BYTES: usize = 1024;
/// A client's first message, which may be for a mechanism that is relayed: tokens are longer
/// (`PG_MAX_AUTH_TOKEN_LENGTH` in `src/include/libpq/auth.h`).
const MAX_TOKEN_BYTES: usize = 65_535;

/// Said with every login that fails while Weir stands between: the same for all roles, so that it tells nothing of them.
const HINT: &str = "With TLS on both of its connections Weir logs in with the role's SCRAM secret. Its log says what \
     stands against that; channel_binding=disable does without.";

/// The exchange ends here: Postgres' next messages are relayed, or Weir refuses.
type Outcome = Result<(), Refusal>;

/// Answers the request for SASL authentication with these mechanisms, which has been taken out of upstream's input.
pub(super) async fn authenticate(
    client: &mut Endpoint,
    upstream: &mut Endpoint,
    context: &SessionContext,
    role: &str,
    mechanisms: &[&str],
) -> Result<Outcome, SessionError> {
    let bound_by_postgres = mechanisms.contains(&SCRAM_SHA_256_PLUS);
    // Only then may a client's answer be one that cannot be passed on.
    let secret = if bound_by_postgres { context.secrets.of(role).await } else { Ok(None) };
    let end_point = client.stream().end_point().cloned();
    let offers_binding = if client.stream().is_encrypted() && bound_by_postgres {
        secret.is_ok() && end_point.is_some()
    } else {
        bound_by_postgres && client.stream().is_encrypted()
    };
    let offered = mechanisms.iter().copied().filter(|name| *name != SCRAM_SHA_256_PLUS || offers_binding);
    let mut request = Vec::new();
    backend::authentication(&mut request, SASL, |out| {
        offered.for_each(|name| out.extend([name.as_bytes(), b"\0"].concat()));
        out.push(0);
    });
    client.output.extend(&request);
    client.flush().await?;

    let Some((tag, body)) = take_message(client, MAX_TOKEN_BYTES).await? else {
        return Ok(Err(Refusal::new("08P01", "invalid message length")));
    };
    let Some(Initial { mechanism, data }) = Initial::of(tag, &body) else {
        return relay(upstream, tag, &body).await;
    };
    if mechanism != SCRAM_SHA_256 && mechanism != SCRAM_SHA_256_PLUS {
        return relay(upstream, tag, &body).await;
    }
    let first = match ClientFirst::parse(data) {
        Ok(first) => first,
        Err(malformed) => return Ok(Err(violation(malformed))),
    };
    match (first.binding, mechanism == SCRAM_SHA_256_PLUS) {
        (Gs2::Unsupported, false) => return relay(upstream, tag, &body).await,
        (Gs2::Unused, false) if !bound_by_postgres => return relay(upstream, tag, &body).await,
        (Gs2::Unused, false) if offers_binding => {
            // Somebody has taken the offer out of the list on its way to the client.
            let mut refusal = Refusal::new("28000", "SCRAM channel binding negotiation error");
            refusal.detail = Some(
                "The client supports SCRAM channel binding but thinks the server does not.  However, this server does \
                 support channel binding.",
            );
            return Ok(Err(refusal));
        }
        (Gs2::Unused, false) => {}
        (Gs2::EndPoint, true) if offers_binding => {}
        _ => return Ok(Err(violation(Malformed("channel binding flag does not fit the mechanism")))),
    }
    match secret {
        Ok(secret) => terminate(client, upstream, &first, end_point.as_deref(), secret.as_ref()).await,
        Err(unavailable) => Ok(Err(no_secrets(&unavailable))),
    }
}

/// Weir's role may not have the secrets, and this client cannot do without.
fn no_secrets(unavailable: &Unavailable) -> Refusal {
    tracing::warn!(%unavailable, "a login over TLS on both connections was refused");
    let mut refusal = Refusal::new("28000", "SCRAM authentication cannot be relayed between two TLS connections");
    refusal.detail =
        Some("A login that binds to the client's connection is not valid on Weir's connection to Postgres.");
    refusal.hint = Some(
        "Let Weir log in for its clients (\"weir check\" prints the SQL), or connect with channel_binding=disable.",
    );
    refusal
}

fn violation(malformed: Malformed) -> Refusal {
    let mut refusal = Refusal::new("08P01", "malformed SCRAM message");
    refusal.detail = Some(malformed.0);
    refusal
}

/// The client's message is Postgres' to answer.
async fn relay(upstream: &mut Endpoint, tag: u8, body: &[u8]) -> Result<Outcome, SessionError> {
    let mut message = Vec::with_capacity(frame::HEADER_BYTES + body.len());
    backend::frame(&mut message, tag, |out| out.extend_from_slice(body));
    upstream.output.extend(&message);
    upstream.flush().await?;
    Ok(Ok(()))
}

/// Weir verifies the client and logs in upstream in its place.
async fn terminate(
    client: &mut Endpoint,
    upstream: &mut Endpoint,
    first: &ClientFirst<'_>,
    end_point: Option<&[u8]>,
    secret: Option<&Secret>,
) -> Result<Outcome, SessionError> {
    // Postgres' certificate is bound wherever its hash is known here.
    let server_end_point = upstream.stream().end_point().cloned();
    let (mechanism, binding) = match &server_end_point {
        Some(_) => (SCRAM_SHA_256_PLUS, Gs2::EndPoint),
        None => (SCRAM_SHA_256, Gs2::Unsupported),
    };
    let login = Login::begin(binding, server_end_point.as_deref().unwrap_or_default());
    say(upstream, |out| frontend::say_sasl_initial(out, mechanism, &login.client_first())).await?;
    let Some(server_first) = sasl_answer(upstream, SASL_CONTINUE).await? else { return Ok(Ok(())) };
    let named = match login.server_first(&server_first) {
        Ok(named) => named,
        Err(malformed) => return Ok(Err(Refusal::new("08P01", format!("upstream: {malformed}")))),
    };
    // A secret that has just been changed is as good as none: the client tries again.
    let secret = secret.filter(|secret| secret.belongs_to(&named));

    let verification = Verification::begin(first, end_point, &named.salt, named.iterations);
    let mut challenge = Vec::new();
    backend::authentication(&mut challenge, SASL_CONTINUE, |out| out.extend(verification.server_first().as_bytes()));
    client.output.extend(&challenge);
    client.flush().await?;
    let body = match take_message(client, MAX_SASL_BYTES).await? {
        Some((b'p', body)) => body,
        Some((tag, _)) => {
            return Ok(Err(Refusal::new("08P01", format!("expected SASL response, got message type {tag}"))));
        }
        None => return Ok(Err(Refusal::new("08P01", "invalid message length"))),
    };
    let shown = match verification.finish(&body, secret) {
        Ok(shown) => shown,
        Err(FinalError::Malformed(malformed)) => return Ok(Err(violation(malformed))),
        Err(FinalError::Binding) => return Ok(Err(Refusal::new("28000", "SCRAM channel binding check failed"))),
    };
    match (shown, secret) {
        (Shown::Right { key, server_final }, Some(secret)) => {
            let said = String::from_utf8_lossy(&server_first);
            let proof = login.prove(&said, named.nonce, &key, secret);
            say(upstream, |out| frontend::say_sasl_response(out, &proof.client_final)).await?;
            let Some(answer) = sasl_answer(upstream, SASL_FINAL).await? else { return Ok(Ok(())) };
            if !proof.is_answered_by(&answer) {
                return Ok(Err(Refusal::new("08001", "the upstream server does not know the role's password")));
            }
            let mut done = Vec::new();
            backend::authentication(&mut done, SASL_FINAL, |out| out.extend(server_final.as_bytes()));
            client.output.extend(&done);
        }
        _ => {
            say(upstream, |out| frontend::say_sasl_response(out, &login.fail(named.nonce))).await?;
            explain(upstream).await?;
        }
    }
    Ok(Ok(()))
}

async fn say(upstream: &mut Endpoint, build: impl FnOnce(&mut BytesMut)) -> Result<(), SessionError> {
    let mut message = BytesMut::new();
    build(&mut message);
    upstream.output.extend(&message);
    upstream.flush().await?;
    Ok(())
}

/// The data of Postgres' next message of the exchange; `None`, with the message left where it is, when it is another.
async fn sasl_answer(upstream: &mut Endpoint, kind: u32) -> Result<Option<Vec<u8>>, SessionError> {
    loop {
        match frame::message(upstream.input.filled())? {
            Some((b'R', body)) if body.starts_with(&kind.to_be_bytes()) => {
                let (data, total) = (body[4..].to_vec(), frame::HEADER_BYTES + body.len());
                upstream.input.consume(total);
                return Ok(Some(data));
            }
            Some(_) => return Ok(None),
            None if upstream.ended => return Ok(None),
            None => upstream.fill().await?,
        }
    }
}

/// Postgres refuses; its error gets a hint that says where Weir stands.
async fn explain(upstream: &mut Endpoint) -> Result<(), SessionError> {
    loop {
        match frame::message(upstream.input.filled())? {
            Some((b'E', body)) if !body.split(|byte| *byte == 0).any(|field| field.starts_with(b"H")) => {
                let (fields, total) =
                    (body.strip_suffix(&[0]).unwrap_or(body).to_vec(), frame::HEADER_BYTES + body.len());
                let mut message = Vec::new();
                backend::frame(&mut message, b'E', |out| {
                    out.extend(fields);
                    out.extend([b"H", HINT.as_bytes(), b"\0\0"].concat());
                });
                upstream.input.consume(total);
                message.extend_from_slice(upstream.input.filled());
                let rest = upstream.input.len();
                upstream.input.consume(rest);
                upstream.input.extend(&message);
                return Ok(());
            }
            Some(_) => return Ok(()),
            None if upstream.ended => return Ok(()),
            None => upstream.fill().await?,
        }
    }
}

/// SASLInitialResponse.
struct Initial<'a> {
    mechanism: &'a str,
    data: &'a [u8],
}

impl Initial<'_> {
    /// `None`: another message, or laid out wrongly; Postgres complains.
    fn of(tag: u8, body: &[u8]) -> Option<Initial<'_>> {
        let (mechanism, rest) = body.split_at(body.iter().position(|byte| *byte == 0)?);
        let (length, data) = rest.get(1..)?.split_first_chunk::<4>()?;
        let mechanism = std::str::from_utf8(mechanism).ok()?;
        (tag == b'p' && u32::from_be_bytes(*length) as usize == data.len()).then_some(Initial { mechanism, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_initial_response_is_read() {
        let mut message = BytesMut::new();
        frontend::say_sasl_initial(&mut message, SCRAM_SHA_256, "n,,n=,r=x");
        let (tag, body) = frame::message(&message).unwrap().unwrap();
        let initial = Initial::of(tag, body).unwrap();
        assert_eq!((initial.mechanism, initial.data), (SCRAM_SHA_256, &b"n,,n=,r=x"[..]));
        for cut in 0..body.len() {
            assert!(Initial::of(tag, &body[..cut]).is_none());
        }
        assert!(Initial::of(b'Q', body).is_none());
    }
}
