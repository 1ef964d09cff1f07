//! The messages that declare a cursor, fetch from one or ask for its description: a simple query, or a batch as drivers send
//! them, with nothing else in it.

use super::held::Cursors;
use super::text::{self, Close, Declare, Fetch};
use crate::wire::{frame, frontend};

/// What is asked.
#[derive(Debug)]
pub(super) enum What {
    Declare(Declare),
    Fetch(Fetch),
    Close(Close),
    /// The description of a cursor's portal.
    Describe(String),
}

/// In which messages.
#[derive(Debug)]
pub(super) enum Form {
    Simple,
    Batch {
        result_formats: Vec<i16>,
        /// The portal is described before it is executed.
        describes: bool,
    },
}

#[derive(Debug)]
pub(in crate::session) struct Spoken {
    pub(super) what: What,
    pub(super) form: Form,
    pub(super) text: String,
}

impl Spoken {
    /// `None`: it has nothing to do with a cursor that memory speaks for, or more.
    pub(in crate::session) fn read(candidate: &[u8], cursors: &Cursors) -> Option<Spoken> {
        let mut messages = frame::messages(candidate);
        let (tag, body) = messages.next()?;
        match tag {
            b'Q' => {
                let text = std::str::from_utf8(frontend::query(body).ok()?).ok()?;
                let what = what(text, cursors)?;
                Some(Spoken { what, form: Form::Simple, text: text.to_owned() })
            }
            b'P' => {
                let parse = frontend::parse(body).ok()?;
                let text = std::str::from_utf8(parse.text).ok()?;
                let what = what(text, cursors)?;
                if !parse.name.is_empty() || !parse.types.is_empty() {
                    return None;
                }
                let form = batch(messages)?;
                Some(Spoken { what, form, text: text.to_owned() })
            }
            b'D' => {
                let target = frontend::target(body).ok()?;
                let is_alone = matches!(messages.next(), Some((b'S', [])));
                if target.kind != b'P' || !cursors.holds(target.name) || !is_alone {
                    return None;
                }
                let name = std::str::from_utf8(target.name).ok()?.to_owned();
                let form = Form::Batch { result_formats: Vec::new(), describes: true };
                Some(Spoken { what: What::Describe(name), form, text: String::new() })
            }
            _ => None,
        }
    }
}

impl Cursors {
    /// The statement declares one, fetches from one of them, or closes some.
    pub(in crate::session) fn are_meant_by(&self, text: &str) -> bool {
        what(text, self).is_some()
    }

    pub(in crate::session) fn are_described_by(&self, body: &[u8]) -> bool {
        let target = frontend::target(body);
        target.is_ok_and(|target| target.kind == b'P' && self.holds(target.name))
    }
}

fn what(text: &str, cursors: &Cursors) -> Option<What> {
    if text::begins_with(text, "declare")
        && let Some(declare) = text::declare(text)
    {
        return Some(What::Declare(declare));
    }
    if cursors.is_empty() {
        return None;
    }
    if text::begins_with(text, "fetch")
        && let Some(fetch) = text::fetch(text)
    {
        return cursors.holds(fetch.name.as_bytes()).then_some(What::Fetch(fetch));
    }
    if text::begins_with(text, "close")
        && let Some(close) = text::close(text)
    {
        let holds = close.name.as_ref().is_none_or(|name| cursors.holds(name.as_bytes()));
        return holds.then_some(What::Close(close));
    }
    None
}

/// What follows Parse: Bind without values, Describe of the portal perhaps, Execute without a limit, Sync.
fn batch<'a>(mut messages: impl Iterator<Item = (u8, &'a [u8])>) -> Option<Form> {
    let (b'B', body) = messages.next()? else { return None };
    let bind = frontend::bind(body).ok()?;
    if !bind.portal.is_empty() || !bind.statement.is_empty() || !bind.values.is_empty() || bind.formats.len() > 1 {
        return None;
    }
    let (mut tag, mut body) = messages.next()?;
    let describes = tag == b'D';
    if describes {
        let target = frontend::target(body).ok()?;
        if target.kind != b'P' || !target.name.is_empty() {
            return None;
        }
        (tag, body) = messages.next()?;
    }
    let execute = frontend::execute(body).ok().filter(|_| tag == b'E')?;
    let is_whole = execute.portal.is_empty() && execute.max_rows == 0;
    let ends = matches!(messages.next(), Some((b'S', [])));
    (is_whole && ends).then_some(Form::Batch { result_formats: bind.result_formats, describes })
}
