//! What a client says, read in place: the messages that may be answered from memory, or that change what the session's
//! names mean. And the same messages as Weir says them to Postgres.

use bytes::{BufMut, BytesMut};
use pgwire::messages::Message;
use pgwire::messages::extendedquery as extended;

/// `Parse`.
#[derive(Debug, PartialEq, Eq)]
pub struct Parse<'a> {
    pub name: &'a [u8],
    pub text: &'a [u8],
    pub types: Vec<u32>,
}

/// `Bind`.
#[derive(Debug, PartialEq, Eq)]
pub struct Bind<'a> {
    pub portal: &'a [u8],
    pub statement: &'a [u8],
    /// 0 text, 1 binary; none: all text; one: for all.
    pub formats: Vec<i16>,
    /// `None` is NULL.
    pub values: Vec<Option<&'a [u8]>>,
    pub result_formats: Vec<i16>,
}

/// `Describe` and `Close`: a kind (`S` statement, `P` portal) and a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    pub kind: u8,
    pub name: &'a [u8],
}

/// `Execute`.
#[derive(Debug, PartialEq, Eq)]
pub struct Execute<'a> {
    pub portal: &'a [u8],
    /// 0: all.
    pub max_rows: i32,
}

/// The message is not laid out as the protocol says; Postgres is left to complain.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed message")]
pub struct Malformed;

/// A cursor over a message body.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }
    fn text(&mut self) -> Result<&'a [u8], Malformed> {
        let end = self.0.iter().position(|b| *b == 0).ok_or(Malformed)?;
        let text = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Ok(text)
    }
    fn count(&mut self) -> Result<usize, Malformed> {
        // Counts are unsigned in practice: Postgres reads up to 65535 parameters (pq_getmsgint(…, 2)).
        Ok(u16::from_be_bytes(self.array()?).into())
    }
    fn formats(&mut self) -> Result<Vec<i16>, Malformed> {
        (0..self.count()?).map(|_| Ok(i16::from_be_bytes(self.array()?))).collect()
    }
    fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// `Query`: the text without its terminator.
pub fn query(body: &[u8]) -> Result<&[u8], Malformed> {
    let mut body = Body(body);
    let text = body.text()?;
    body.end()?;
    Ok(text)
}

pub fn parse(body: &[u8]) -> Result<Parse<'_>, Malformed> {
    let mut body = Body(body);
    let (name, text) = (body.text()?, body.text()?);
    let types = (0..body.count()?).map(|_| Ok(u32::from_be_bytes(body.array()?))).collect::<Result<_, _>>()?;
    body.end()?;
    Ok(Parse { name, text, types })
}

pub fn bind(body: &[u8]) -> Result<Bind<'_>, Malformed> {
    let mut body = Body(body);
    let (portal, statement, formats) = (body.text()?, body.text()?, body.formats()?);
    let values = (0..body.count()?)
        .map(|_| match i32::from_be_bytes(body.array()?) {
            -1 => Ok(None),
            n => Ok(Some(body.take(usize::try_from(n).map_err(|_| Malformed)?)?)),
        })
        .collect::<Result<_, _>>()?;
    let result_formats = body.formats()?;
    body.end()?;
    Ok(Bind { portal, statement, formats, values, result_formats })
}

/// The names a Bind begins with, readable before the rest has arrived: (portal, statement).
pub fn bind_names(prefix: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut body = Body(prefix);
    Some((body.text().ok()?, body.text().ok()?))
}

/// The name a Parse begins with, readable before the rest has arrived.
pub fn parse_name(prefix: &[u8]) -> Option<&[u8]> {
    Body(prefix).text().ok()
}

/// What stands in a Bind behind its names: formats, values, result formats.
pub fn bound(body: &[u8]) -> Result<&[u8], Malformed> {
    let mut body = Body(body);
    body.text()?;
    body.text()?;
    Ok(body.0)
}

/// How many formats and values a Bind brings, from what stands behind its names; the values themselves may be missing.
pub fn bound_counts(bound: &[u8]) -> Result<(usize, usize), Malformed> {
    let mut bound = Body(bound);
    let formats = bound.formats()?.len();
    Ok((formats, bound.count()?))
}

pub fn target(body: &[u8]) -> Result<Target<'_>, Malformed> {
    let mut body = Body(body);
    let [kind] = body.array()?;
    let name = body.text()?;
    body.end()?;
    Ok(Target { kind, name })
}

pub fn execute(body: &[u8]) -> Result<Execute<'_>, Malformed> {
    let mut body = Body(body);
    let (portal, max_rows) = (body.text()?, i32::from_be_bytes(body.array()?));
    body.end()?;
    Ok(Execute { portal, max_rows })
}

/// Appends a message of Weir's own. Encoding fails only for bodies beyond the protocol's length word, which nothing
/// Weir says comes near.
fn say(out: &mut BytesMut, message: impl Message) {
    message.encode(out).expect("a message of Weir's own fits the protocol's length word");
}

pub fn say_parse(out: &mut BytesMut, name: &str, text: &str, types: &[u32]) {
    say(out, extended::Parse::new(Some(name.to_owned()), text.to_owned(), types.to_vec()));
}

/// Binds to the unnamed portal; values in text or binary as `format` says, results all in text.
pub fn say_bind(out: &mut BytesMut, statement: &str, format: i16, values: Vec<Option<bytes::Bytes>>) {
    say(out, extended::Bind::new(None, Some(statement.to_owned()), vec![format], values, vec![]));
}

/// Binds to the unnamed portal what a client's Bind held behind its names.
pub fn say_bound(out: &mut BytesMut, statement: &str, bound: &[u8]) {
    let length = 4 + 1 + statement.len() + 1 + bound.len();
    out.put_u8(b'B');
    out.put_u32(u32::try_from(length).expect("a Bind that was read fits the protocol's length word"));
    out.put_u8(0);
    out.put_slice(statement.as_bytes());
    out.put_u8(0);
    out.put_slice(bound);
}

/// Binds a statement without parameters to a portal of this name; results in text.
pub fn say_bind_portal(out: &mut BytesMut, portal: &str, statement: &str) {
    say(out, extended::Bind::new(Some(portal.to_owned()), Some(statement.to_owned()), vec![], vec![], vec![]));
}

pub fn say_execute(out: &mut BytesMut) {
    say(out, extended::Execute::new(None, 0));
}

pub fn say_execute_portal(out: &mut BytesMut, portal: &str) {
    say(out, extended::Execute::new(Some(portal.to_owned()), 0));
}

pub fn say_describe_statement(out: &mut BytesMut, name: &[u8]) {
    let length = 4 + 1 + name.len() + 1;
    out.put_u8(b'D');
    out.put_u32(u32::try_from(length).expect("a name that was read fits the protocol's length word"));
    out.put_u8(b'S');
    out.put_slice(name);
    out.put_u8(0);
}

pub fn say_describe_portal(out: &mut BytesMut, name: &str) {
    say(out, extended::Describe::new(b'P', Some(name.to_owned())));
}

pub fn say_close_statement(out: &mut BytesMut, name: &str) {
    say(out, extended::Close::new(b'S', Some(name.to_owned())));
}

pub fn say_close_portal(out: &mut BytesMut, name: &str) {
    say(out, extended::Close::new(b'P', Some(name.to_owned())));
}

pub fn say_flush(out: &mut BytesMut) {
    out.extend_from_slice(b"H\0\0\0\x04");
}

pub fn say_sync(out: &mut BytesMut) {
    say(out, extended::Sync::new());
}

/// SASLInitialResponse.
pub fn say_sasl_initial(out: &mut BytesMut, mechanism: &str, data: &str) {
    say_password(out, &[mechanism.as_bytes(), b"\0", &(data.len() as u32).to_be_bytes(), data.as_bytes()]);
}

/// SASLResponse.
pub fn say_sasl_response(out: &mut BytesMut, data: &str) {
    say_password(out, &[data.as_bytes()]);
}

/// The one message type of a client that authenticates itself.
fn say_password(out: &mut BytesMut, parts: &[&[u8]]) {
    let length = parts.iter().map(|part| part.len()).sum::<usize>() + 4;
    out.put_u8(b'p');
    out.put_u32(length as u32);
    parts.iter().for_each(|part| out.put_slice(part));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_weir_says_is_read_back() {
        let mut out = BytesMut::new();
        say_parse(&mut out, "p", "select $1", &[23]);
        say_bind(&mut out, "p", 1, vec![Some(bytes::Bytes::from_static(b"\0\0\0\x05")), None]);
        say_execute(&mut out);
        say_close_statement(&mut out, "");
        say_sync(&mut out);
        let said: Vec<_> = crate::wire::frame::messages(&out).collect();
        assert_eq!(said.iter().map(|(tag, _)| *tag).collect::<Vec<_>>(), b"PBECS");
        assert_eq!(parse(said[0].1), Ok(Parse { name: b"p", text: b"select $1", types: vec![23] }));
        let bind = bind(said[1].1).unwrap();
        assert_eq!((bind.portal, bind.statement, bind.formats), (&b""[..], &b"p"[..], vec![1]));
        assert_eq!(bind.values, vec![Some(&b"\0\0\0\x05"[..]), None]);
        assert_eq!(execute(said[2].1), Ok(Execute { portal: b"", max_rows: 0 }));
        assert_eq!(target(said[3].1), Ok(Target { kind: b'S', name: b"" }));
    }

    #[test]
    fn cut_messages_are_malformed_and_never_panic() {
        let whole = b"\0p\0\0\x01\0\x01\0\x01\0\0\0\x04\0\0\0\x05\0\0";
        assert!(bind(whole).is_ok());
        for cut in 0..whole.len() {
            assert_eq!(bind(&whole[..cut]), Err(Malformed));
            let _ = (parse(&whole[..cut]), execute(&whole[..cut]), target(&whole[..cut]), query(&whole[..cut]));
        }
        assert_eq!(bind_names(&whole[..4]), Some((&b""[..], &b"p"[..])));
        assert_eq!(bind_names(&whole[..2]), None);
    }
}
