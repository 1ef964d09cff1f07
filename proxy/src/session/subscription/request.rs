//! The messages that bring a subscription: a simple query, or a batch that binds and executes it and nothing else.

use super::text::{self, Subscription};
use crate::session::relay::Relay;
use crate::session::scan::Kind;
use crate::session::statements::{Statement, Statements, Unnamed, UnnamedPortal};
use crate::wire::backend;
use crate::wire::frame;
use crate::wire::frontend;
use std::sync::Arc;

/// A subscription as a client asks for it.
#[derive(Debug)]
pub(in crate::session) struct Request {
    pub subscription: Subscription,
    /// What is answered to the messages before the Execute.
    pub acknowledged: Vec<u8>,
    /// What the unnamed statement is afterwards, if that is touched.
    unnamed: Option<Option<Arc<Statement>>>,
    pub is_batch: bool,
}

impl Request {
    /// `None`: something else, or a batch that does more; Postgres is left to answer it.
    pub fn read(candidate: &[u8], statements: &Statements) -> Option<Request> {
        let mut acknowledged = Vec::new();
        let mut unnamed = None;
        let mut bound: Option<Arc<Statement>> = None;
        let mut executed = false;
        for (tag, body) in frame::messages(candidate) {
            match tag {
                b'Q' => {
                    let text = std::str::from_utf8(frontend::query(body).ok()?).ok()?;
                    let subscription = text::read(text)?;
                    return Some(Request { subscription, acknowledged, unnamed: Some(None), is_batch: false });
                }
                b'P' if bound.is_none() => {
                    let parse = frontend::parse(body).ok()?;
                    let text = std::str::from_utf8(parse.text).ok()?;
                    if !parse.name.is_empty() || !parse.types.is_empty() || !text::is_subscription(text) {
                        return None;
                    }
                    unnamed = Some(Some(Arc::new(Statement::new(text, vec![], Kind::Subscription))));
                    backend::parse_complete(&mut acknowledged);
                }
                b'B' if bound.is_none() => {
                    let bind = frontend::bind(body).ok()?;
                    if !bind.portal.is_empty() || !bind.values.is_empty() {
                        return None;
                    }
                    let statement = match &unnamed {
                        Some(unnamed) if bind.statement.is_empty() => unnamed.clone(),
                        None if bind.statement.is_empty() && statements.unnamed_upstream == Unnamed::Stale => None,
                        _ => statements.get(bind.statement).cloned(),
                    };
                    bound = Some(statement.filter(|statement| statement.kind == Kind::Subscription)?);
                    backend::bind_complete(&mut acknowledged);
                }
                b'D' if !executed => {
                    let target = frontend::target(body).ok()?;
                    match (target.kind, target.name.is_empty(), bound.is_some()) {
                        (b'P', true, true) => {}
                        (b'S', true, false) if unnamed.is_some() => {
                            backend::parameter_description(&mut acknowledged, &[]);
                        }
                        _ => return None,
                    }
                    backend::no_data(&mut acknowledged);
                }
                b'E' if bound.is_some() && !executed => {
                    executed = frontend::execute(body).ok().filter(|execute| execute.portal.is_empty()).is_some();
                }
                b'H' if body.is_empty() => {}
                b'S' if body.is_empty() && executed => {
                    let subscription = text::read(&bound?.text)?;
                    return Some(Request { subscription, acknowledged, unnamed, is_batch: true });
                }
                _ => return None,
            }
        }
        None
    }
}

impl Relay {
    /// The request is answered here: its names are the session's.
    pub(super) fn adopt_subscription(&mut self, request: &Request) {
        if let Some(unnamed) = &request.unnamed {
            let upstream = if unnamed.is_some() { Unnamed::Lacking } else { Unnamed::Stale };
            self.statements.unnamed_upstream = upstream;
            self.statements.set(b"", unnamed.clone());
        }
        // Outside of a block no portal outlives its batch.
        self.statements.unnamed_portal = UnnamedPortal::Same;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;

    const TEXT: &str = "COPY (SELECT * FROM pgtrickle.subscribe('a')) TO STDOUT";

    fn batch(statement: &str, extra: &[u8]) -> BytesMut {
        let mut out = BytesMut::new();
        if statement.is_empty() {
            frontend::say_parse(&mut out, "", TEXT, &[]);
        }
        frontend::say_bind(&mut out, statement, 0, vec![]);
        out.extend_from_slice(b"D\0\0\0\x06P\0");
        frontend::say_execute(&mut out);
        out.extend_from_slice(extra);
        frontend::say_sync(&mut out);
        out
    }

    #[test]
    fn a_batch_that_binds_and_executes_is_one() {
        let mut statements = Statements::default();
        statements.set(b"s", Some(Arc::new(Statement::new(TEXT, vec![], Kind::Subscription))));
        for name in ["", "s"] {
            let request = Request::read(&batch(name, b""), &statements).expect("it is a subscription");
            assert_eq!((request.is_batch, request.unnamed.is_some()), (true, name.is_empty()));
        }
        assert!(Request::read(&batch("t", b""), &statements).is_none(), "an unknown name");
        let mut twice = BytesMut::new();
        frontend::say_execute(&mut twice);
        assert!(Request::read(&batch("s", &twice), &statements).is_none(), "a second Execute");
    }

    #[test]
    fn a_simple_query_is_one() {
        let mut out = Vec::new();
        backend::frame(&mut out, b'Q', |out| out.extend([TEXT.as_bytes(), b"\0"].concat()));
        let request = Request::read(&out, &Statements::default()).expect("it is a subscription");
        assert_eq!((request.is_batch, matches!(request.unnamed, Some(None))), (false, true));
    }
}
