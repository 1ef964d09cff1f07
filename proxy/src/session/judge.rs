//! The verdict on each message of the client's, told from its header and, where it names or brings a statement, from
//! its body: pass it on, try it, or do something first.

use super::expected::{Closed, Expected, ParseOutcome};
use super::frontend::Mode;
use super::opening::Opening;
use super::relay::Relay;
use super::scan::{self, Kind};
use super::statements::{Statement, Unnamed};
use crate::wire::frame::{HEADER_BYTES, Header, MAX_SHORT_MESSAGE_BYTES};
use crate::wire::frontend;
use bytes::BytesMut;
use std::sync::Arc;

/// Statements longer than this are forwarded without being looked at: generated monsters that memory would rarely
/// answer, and the bound on what is buffered before a decision.
pub(super) const MAX_STATEMENT_BYTES: usize = 64 * 1024;

/// Portal and statement name at the start of a Bind are looked for in so many bytes; names are identifiers of at most
/// 63 bytes by custom, though the protocol does not bound them.
const MAX_NAMES_BYTES: usize = 4096;

/// What to do with one message.
pub(super) enum Verdict {
    Pass,
    /// Say this upstream first, then pass.
    PassAfter(BytesMut),
    /// More bytes of it are needed for the decision; at least so many in all.
    Need(usize),
    /// Postgres must have answered everything first.
    Later,
    /// Say this upstream, and look again when Postgres has answered everything.
    LaterAfter(BytesMut),
    /// Say this upstream in its place.
    Instead(BytesMut),
    Collect,
    Attempt,
    ProbeFirst,
    /// Cursors that memory speaks for must be upstream's first.
    SettleFirst,
    MendFirst,
    /// It must be known first whose the unnamed portal is, upstream's or the client's.
    AskPortalFirst,
    /// Say this to the client in its place; everything before it has been answered.
    Answer(Vec<u8>),
    /// Neither upstream nor Weir has a use for it.
    Drop,
}

impl Relay {
    pub(super) fn judge(&mut self, header: Header, rest: &[u8]) -> Verdict {
        let whole = rest.get(HEADER_BYTES..header.total);
        if self.owed.is_cutting() {
            // Whether the block is open, or what follows is to be skipped, is not known yet.
            return Verdict::Later;
        }
        if self.mode == Mode::Skipping && is_skipped(header) {
            return Verdict::Drop;
        }
        if !matches!(header.tag, b'P' | b'B' | b'E') {
            self.opening = Opening::None;
        }
        if matches!(header.tag, b'Q' | b'P' | b'B') && self.owed.is_ambiguous() && self.mode == Mode::Open {
            if self.owed.should_ask() {
                return Verdict::LaterAfter(self.ask_what_is_owed());
            }
            if self.owed.comes_by_itself() {
                return Verdict::Later;
            }
            if self.owed.is_told_by_flush() {
                return self.later_after_flush();
            }
        }
        if let Some(verdict) = self.judge_beside_cursors(header, whole) {
            return verdict;
        }
        match (header.tag, whole) {
            (b'Q' | b'P', None) if header.total <= MAX_STATEMENT_BYTES => Verdict::Need(header.total),
            (b'Q', Some(body)) => self.judge_query(body),
            (b'Q', None) => self.forward_query(Kind::Plain, true),
            (b'P', Some(body)) => self.judge_parse(body),
            (b'P', None) => match frontend::parse_name(&rest[HEADER_BYTES..]) {
                Some(name) => self.forward_parse(ParseOutcome::Named(name.into(), None)),
                None if rest.len() < MAX_NAMES_BYTES => Verdict::Need(MAX_NAMES_BYTES),
                None => {
                    // Any name may change.
                    self.forget_named();
                    self.forward_parse(ParseOutcome::Nothing)
                }
            },
            (b'B', _) => self.judge_bind(header, &rest[HEADER_BYTES..rest.len().min(header.total)]),
            (b'D' | b'C', None) if header.total <= MAX_NAMES_BYTES => Verdict::Need(header.total),
            (b'D', body) => self.judge_describe(body),
            (b'C', body) => self.judge_close(body),
            (b'S', _) => {
                let hold = matches!(self.mode, Mode::Forwarding { hold: true });
                self.owed.push(Expected::Sync { hold });
                self.mode = Mode::Open;
                self.is_unsynced = false;
                self.declined = "";
                self.statements.unnamed_is_settled = false;
                self.cursors.opened();
                Verdict::Pass
            }
            (b'F', _) => {
                self.owed.push(Expected::FunctionCall);
                self.touch();
                self.mode = Mode::Open;
                self.is_unsynced = false;
                self.statements.unnamed_is_settled = false;
                Verdict::Pass
            }
            (b'c' | b'f', _) => {
                self.owed.push(Expected::CopyEnd);
                Verdict::Pass
            }
            (b'E', None) if !self.statements.unnamed_portal.is_same() && header.total <= MAX_NAMES_BYTES => {
                Verdict::Need(header.total)
            }
            (b'E', body) => self.judge_execute(body),
            // A Flush between batches opens none: drivers in pipeline mode send one behind their last Sync.
            (b'H', _) if header.total == HEADER_BYTES && !matches!(self.mode, Mode::Forwarding { .. }) => Verdict::Pass,
            (b'H', _) => {
                self.within_batch(false);
                if header.total > HEADER_BYTES {
                    self.owed.push(Expected::Failing);
                }
                Verdict::Pass
            }
            _ => Verdict::Pass,
        }
    }

    /// A statement that declares a cursor memory may come to speak for, or has to do with one it speaks for.
    fn is_about_cursors(&self, kind: Kind, text: &str) -> bool {
        let may_be = if kind == Kind::Declare { self.may_open_cursor() } else { !self.cursors.is_empty() };
        may_be && self.is_idle() && self.cursors.are_meant_by(text)
    }

    /// The verdict on what brings no statement to look at, while memory speaks for cursors; `None`: it does not see them, or is
    /// judged by what it says.
    fn judge_beside_cursors(&mut self, header: Header, whole: Option<&[u8]>) -> Option<Verdict> {
        if self.cursors.is_empty() {
            return None;
        }
        match (header.tag, whole) {
            (b'Q' | b'P', None) if header.total > MAX_STATEMENT_BYTES => self.leaves_cursors(Kind::Plain),
            (b'D', Some(body)) if self.mode == Mode::Open && self.is_idle() && self.cursors.are_described_by(body) => {
                Some(Verdict::Collect)
            }
            (b'D', None) if header.total <= MAX_NAMES_BYTES => Some(Verdict::Need(header.total)),
            (b'D' | b'E' | b'C' | b'F', _) => self.leaves_cursors(Kind::Plain),
            _ => None,
        }
    }

    /// What the server has to say is asked for, and waited for.
    pub(super) fn later_after_flush(&mut self) -> Verdict {
        if !self.owed.wants_flush() {
            return Verdict::Later;
        }
        let mut flush = BytesMut::new();
        frontend::say_flush(&mut flush);
        Verdict::LaterAfter(flush)
    }

    fn judge_query(&mut self, body: &[u8]) -> Verdict {
        let text = frontend::query(body).ok().and_then(|text| std::str::from_utf8(text).ok());
        // In another encoding than UTF8 it may be readable; its results will tell.
        let Some(text) = text else { return self.forward_query(Kind::Plain, false) };
        let kind = scan::classify(text, &self.context.registry.peek());
        let tried = matches!(self.mode, Mode::Declined { .. } | Mode::Prepared);
        if !tried {
            match kind {
                Kind::Read | Kind::Copy | Kind::Subscription | Kind::Show(_) if self.is_idle() => {
                    return Verdict::Attempt;
                }
                Kind::Read | Kind::Copy if self.waits_for_closing() => return Verdict::Later,
                Kind::Subscription | Kind::Show(_) if self.mode == Mode::Open && self.may_wait() => {
                    return Verdict::Later;
                }
                Kind::Begin | Kind::Set if self.needs_prelude(kind) => return Verdict::ProbeFirst,
                _ if self.is_about_cursors(kind, text) => return Verdict::Attempt,
                _ => {}
            }
        }
        if let Some(verdict) = self.leaves_cursors(kind) {
            return verdict;
        }
        if self.mends_query_later(kind) {
            return Verdict::Later;
        }
        let mut first = self.mend_query(kind);
        if let Some(close) = self.mend_portal_before_query() {
            first.get_or_insert_default().extend_from_slice(&close);
        }
        match (first, self.forward_query(kind, true)) {
            (Some(first), Verdict::Pass) => Verdict::PassAfter(first),
            (_, verdict) => verdict,
        }
    }

    /// The session will be idle without a further word from the client.
    fn may_wait(&self) -> bool {
        self.state.status != 0 && self.owed.comes_by_itself()
    }

    /// Behind a Close whose end the client did not wait for (drivers that drop a statement and go on), a read is looked at
    /// when the Close has been answered, which is at once; answers come in the order of the questions.
    fn waits_for_closing(&self) -> bool {
        self.mode == Mode::Open && self.state.status != 0 && self.owed.is_closing() && !self.owed.is_idle()
    }

    fn judge_parse(&mut self, body: &[u8]) -> Verdict {
        let Ok(parse) = frontend::parse(body) else {
            self.opening = Opening::None;
            return self.forward_parse(ParseOutcome::Nothing);
        };
        let text = std::str::from_utf8(parse.text);
        let kind = text.map_or(Kind::Plain, |text| scan::classify(text, &self.context.registry.peek()));
        if self.mode == Mode::Open {
            match kind {
                Kind::Read | Kind::Copy | Kind::Subscription if parse.name.is_empty() && self.is_idle() => {
                    return Verdict::Collect;
                }
                Kind::Read | Kind::Copy if parse.name.is_empty() && self.waits_for_closing() => return Verdict::Later,
                Kind::Subscription if parse.name.is_empty() && self.may_wait() => return Verdict::Later,
                Kind::Show(_) if self.is_idle() => return Verdict::Collect,
                Kind::Show(_) if self.may_wait() => return Verdict::Later,
                Kind::Begin | Kind::Set if self.needs_prelude(kind) => return Verdict::ProbeFirst,
                _ if parse.name.is_empty() && text.is_ok_and(|text| self.is_about_cursors(kind, text)) => {
                    return Verdict::Collect;
                }
                _ => {}
            }
        }
        if let Some(verdict) = self.leaves_cursors(kind) {
            return verdict;
        }
        if kind.is_read() && parse.name.is_empty() && self.cuts_before_read() {
            return self.cut();
        }
        self.note_opening(kind);
        let statement = match (kind, text) {
            (Kind::Plain | Kind::Show(_), _) | (_, Err(_)) => None,
            (_, Ok(text)) => Some(Arc::new(Statement::new(text, parse.types, kind))),
        };
        let known = self.statements.get(parse.name).is_some() || self.owed.statement_under_way(parse.name).is_some();
        let outcome = match statement {
            _ if text.is_err() => ParseOutcome::Unreadable(parse.name.into()),
            None if !known && !parse.name.is_empty() => ParseOutcome::Nothing,
            statement => ParseOutcome::Named(parse.name.into(), statement),
        };
        self.forward_parse(outcome)
    }

    fn judge_bind(&mut self, header: Header, prefix: &[u8]) -> Verdict {
        let interesting = !self.statements.is_empty()
            || self.owed.names_under_way()
            || self.statements.unnamed_upstream != Unnamed::Same
            || !self.statements.unnamed_portal.is_same();
        if !interesting {
            return self.leaves_cursors(Kind::Plain).unwrap_or_else(|| self.forward_bind(Kind::Plain, false));
        }
        let Some((portal, name)) = frontend::bind_names(prefix) else {
            if prefix.len() + HEADER_BYTES < header.total.min(MAX_NAMES_BYTES) {
                return Verdict::Need(header.total.min(MAX_NAMES_BYTES));
            }
            return self.leaves_cursors(Kind::Plain).unwrap_or_else(|| self.forward_bind(Kind::Plain, false));
        };
        let statement = match self.owed.statement_under_way(name) {
            Some(under_way) => under_way,
            None => self.statements.get(name),
        };
        let kind = statement.map_or(Kind::Plain, |statement| statement.kind);
        if self.mode == Mode::Open {
            match kind {
                Kind::Read | Kind::Copy | Kind::Subscription if portal.is_empty() && self.is_idle() => {
                    return Verdict::Collect;
                }
                Kind::Subscription if portal.is_empty() && self.may_wait() => return Verdict::Later,
                Kind::Read | Kind::Copy if portal.is_empty() && self.waits_for_closing() => return Verdict::Later,
                Kind::Show(_) if self.is_idle() => return Verdict::Collect,
                Kind::Show(_) if self.may_wait() => return Verdict::Later,
                Kind::Begin | Kind::Set if self.needs_prelude(kind) => return Verdict::ProbeFirst,
                _ => {}
            }
        }
        if let Some(verdict) = self.leaves_cursors(kind) {
            return verdict;
        }
        if kind.is_read() && portal.is_empty() && self.cuts_before_read() {
            return self.cut();
        }
        if name.is_empty() {
            if let Some(verdict) = self.wait_for_unnamed() {
                return verdict;
            }
            if self.cannot_mend_unnamed() && header.total <= MAX_STATEMENT_BYTES {
                return match self.bind_instead(header, prefix) {
                    None => Verdict::Need(header.total),
                    Some(instead) => {
                        self.forward_bind(kind, false);
                        Verdict::Instead(instead)
                    }
                };
            }
        }
        if self.mends_query_later(kind) {
            return Verdict::Later;
        }
        let mut first = self.mend_query(kind);
        if name.is_empty()
            && let Some(unnamed) = self.mend_unnamed()
        {
            first.get_or_insert_default().extend_from_slice(&unnamed);
        }
        // Postgres fails over what is cut short before the values, and then makes no portal.
        let is_whole = prefix.len() + HEADER_BYTES == header.total;
        let is_cut_short = is_whole && frontend::bound(prefix).and_then(frontend::bound_counts).is_err();
        match (first, self.forward_bind(kind, portal.is_empty() && !is_cut_short)) {
            (Some(first), Verdict::Pass) => Verdict::PassAfter(first),
            (_, verdict) => verdict,
        }
    }

    fn judge_execute(&mut self, body: Option<&[u8]>) -> Verdict {
        let of_unnamed = |body| frontend::execute(body).is_ok_and(|execute| execute.portal.is_empty());
        let verdict = if body.is_some_and(of_unnamed) { self.mend_portal(false) } else { Verdict::Pass };
        if matches!(verdict, Verdict::Later | Verdict::LaterAfter(_) | Verdict::AskPortalFirst) {
            return verdict;
        }
        if matches!(verdict, Verdict::Answer(_)) {
            self.within_batch(false);
            return verdict;
        }
        self.opening = if self.opening == Opening::Begun { Opening::Executed } else { Opening::None };
        self.within_batch(false);
        self.owed.push(Expected::Execute { injected: false });
        verdict
    }

    fn judge_describe(&mut self, body: Option<&[u8]>) -> Verdict {
        let verdict = match body.map(frontend::target) {
            Some(Ok(target)) if target.kind == b'S' && target.name.is_empty() => {
                if let Some(verdict) = self.wait_for_unnamed() {
                    return verdict;
                }
                if self.cannot_mend_unnamed() {
                    let verdict = self.describe_instead();
                    self.within_batch(false);
                    if matches!(verdict, Verdict::Instead(_)) {
                        self.owed.push(Expected::Describe);
                    }
                    return verdict;
                }
                if self.mends_unnamed_apart() {
                    return if self.is_idle() { Verdict::MendFirst } else { Verdict::Later };
                }
                self.mend_unnamed().map_or(Verdict::Pass, Verdict::PassAfter)
            }
            Some(Ok(target)) if target.kind == b'P' && target.name.is_empty() => self.mend_portal(true),
            _ => Verdict::Pass,
        };
        if matches!(verdict, Verdict::Later | Verdict::LaterAfter(_) | Verdict::AskPortalFirst) {
            return verdict;
        }
        self.within_batch(false);
        if !matches!(verdict, Verdict::Answer(_)) {
            self.owed.push(Expected::Describe);
        }
        verdict
    }

    fn judge_close(&mut self, body: Option<&[u8]>) -> Verdict {
        self.within_batch(false);
        let target = body.map(frontend::target);
        let mut what = Closed::Other;
        match target {
            Some(Ok(target)) if target.kind == b'S' && target.name.is_empty() => {
                what = Closed::UnnamedStatement;
                self.statements.unnamed_is_settled = true;
            }
            Some(Ok(target)) if target.kind == b'S' => {
                self.statements.set(target.name, None);
                self.owed.forget_under_way(Some(target.name));
            }
            Some(Ok(target)) if target.name.is_empty() => what = Closed::UnnamedPortal,
            Some(_) => {}
            None => self.forget_named(),
        }
        self.owed.push(Expected::Close { injected: false, what });
        Verdict::Pass
    }

    fn forget_named(&mut self) {
        self.statements.forget_named();
        self.owed.forget_under_way(None);
    }
}

/// What the server reads and ignores behind an error, up to the Sync. Anything else ends the session at its header.
fn is_skipped(header: Header) -> bool {
    match header.tag {
        b'P' | b'B' | b'Q' | b'F' | b'd' | b'f' => true,
        b'D' | b'E' | b'C' | b'H' | b'c' => header.total <= MAX_SHORT_MESSAGE_BYTES,
        _ => false,
    }
}
