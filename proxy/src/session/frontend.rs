//! What the client says, looked at by its headers on the way to Postgres. Statements of interest are told from the rest,
//! reads that memory may answer are collected up to their Sync, everything else is passed on as it arrives.

use super::expected::{Expected, ParseOutcome};
use super::reason::{self, Route};
use super::relay::Relay;
use super::scan::{self, Kind};
use super::statements::{Statement, Unnamed};
use crate::wire::buffer::Buffer;
use crate::wire::frame::{self, HEADER_BYTES, Header};
use crate::wire::frontend;
use bytes::BytesMut;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Statements longer than this are forwarded without being looked at: generated monsters that memory would rarely
/// answer, and the bound on what is buffered before a decision.
pub(super) const MAX_STATEMENT_BYTES: usize = 64 * 1024;

/// A batch that has not reached its Sync within this many bytes is forwarded.
const MAX_BATCH_BYTES: usize = 256 * 1024;

/// Portal and statement name at the start of a Bind are looked for in so many bytes; names are identifiers of at most
/// 63 bytes by custom, though the protocol does not bound them.
const MAX_NAMES_BYTES: usize = 4096;

/// `PQ_SMALL_MESSAGE_LIMIT` of `src/include/libpq/libpq.h`, for messages that hold no text or values of the client's.
const MAX_SHORT_MESSAGE_BYTES: usize = 10_000;

/// Where the client's stream of messages stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Between batches.
    Open,
    /// The first `bytes` of the input belong to a batch that may be answered from memory.
    Collecting { bytes: usize },
    /// Within a batch that is forwarded; `hold`: its ReadyForQuery is to be held back.
    Forwarding { hold: bool },
    /// As `Open`, but the next query has been tried and is to be forwarded for this reason.
    Declined { reason: &'static str },
    /// As `Open`, but what had to precede the next message upstream has been done.
    Prepared,
}

/// What to do next with the client's input.
pub(super) enum ClientStep {
    /// Wait for more.
    Wait,
    /// Wait until Postgres has answered what is outstanding; the input holds a whole message.
    Later,
    /// So many bytes at the start of the input are one candidate: a Query, or a batch with its Sync.
    Attempt(usize),
    /// Before the next message, the session's state must be known or upstream must see a query; then look again.
    ProbeFirst,
}

/// What to do with one message.
enum Verdict {
    Pass,
    /// Say this upstream first, then pass.
    PassAfter(BytesMut),
    /// More bytes of it are needed for the decision; at least so many in all.
    Need(usize),
    /// Postgres must have answered everything first.
    Later,
    Collect,
    Attempt,
    ProbeFirst,
}

impl Relay {
    pub(super) fn look_at_client(&mut self) -> ClientStep {
        let mut input = std::mem::replace(&mut self.client.input, Buffer::unallocated());
        let mut pass = 0;
        let step = if self.raw {
            pass = input.len();
            ClientStep::Wait
        } else {
            self.walk(&mut input, &mut pass)
        };
        input.move_to(pass, &mut self.upstream.output);
        self.client.input = input;
        step
    }

    /// Decides message by message; `pass` counts the bytes at the start of `input` that are to be forwarded.
    fn walk(&mut self, input: &mut Buffer, pass: &mut usize) -> ClientStep {
        loop {
            let n = self.client_body_left.min(input.len() - *pass);
            *pass += n;
            self.client_body_left -= n;
            if self.client_body_left > 0 {
                return ClientStep::Wait;
            }
            let collected = if let Mode::Collecting { bytes } = self.mode { bytes } else { 0 };
            let rest = &input.filled()[*pass + collected..];
            let header = match frame::header(rest) {
                Ok(Some(header)) => header,
                Ok(None) => return ClientStep::Wait,
                Err(_) => {
                    // Postgres ends the session with 08P01; nothing behind this can be told apart.
                    self.raw = true;
                    *pass = input.len();
                    return ClientStep::Wait;
                }
            };
            if let Mode::Collecting { bytes } = self.mode {
                let total = bytes + header.total;
                let member = matches!(header.tag, b'P' | b'B' | b'D' | b'E' | b'C' | b'S');
                // Postgres ends the session at the header of a short message that says it is long.
                let fits = matches!(header.tag, b'P' | b'B') || header.total <= MAX_SHORT_MESSAGE_BYTES;
                if !member || !fits || total > MAX_BATCH_BYTES {
                    self.decline(reason::BATCH, true);
                } else if rest.len() < header.total {
                    input.make_room(header.total - rest.len());
                    return ClientStep::Wait;
                } else if header.tag == b'S' {
                    return ClientStep::Attempt(total);
                } else {
                    self.mode = Mode::Collecting { bytes: total };
                }
                continue;
            }
            match self.judge(header, rest) {
                Verdict::Need(total) => {
                    let missing = total.saturating_sub(rest.len());
                    input.make_room(missing);
                    return ClientStep::Wait;
                }
                Verdict::Later => return ClientStep::Later,
                Verdict::ProbeFirst => return ClientStep::ProbeFirst,
                Verdict::Attempt => return ClientStep::Attempt(header.total),
                Verdict::Collect => self.mode = Mode::Collecting { bytes: 0 },
                Verdict::Pass => {
                    let present = header.total.min(rest.len());
                    *pass += present;
                    self.client_body_left = header.total - present;
                }
                Verdict::PassAfter(first) => {
                    let present = header.total.min(rest.len());
                    input.move_to(*pass, &mut self.upstream.output);
                    self.upstream.output.extend(&first);
                    *pass = present;
                    self.client_body_left = header.total - present;
                }
            }
        }
    }

    /// Memory does not answer what lies at the start of the input: it is forwarded from there on.
    pub(super) fn decline(&mut self, reason: &'static str, batch: bool) {
        self.declined = reason;
        self.mode = if batch { Mode::Forwarding { hold: false } } else { Mode::Declined { reason } };
    }

    /// Nothing is outstanding upstream, and nothing of a batch has been forwarded.
    pub(super) fn is_idle(&self) -> bool {
        self.expected.is_idle()
            && !self.raw
            && !matches!(self.mode, Mode::Forwarding { .. })
            && self.state.status != 0
            // An asynchronous message on its way must not be cut in two.
            && self.upstream_body_left == 0
    }

    fn judge(&mut self, header: Header, rest: &[u8]) -> Verdict {
        let whole = rest.get(HEADER_BYTES..header.total);
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
                    self.statements.forget_named();
                    self.forward_parse(ParseOutcome::Nothing)
                }
            },
            (b'B', _) => self.judge_bind(header, &rest[HEADER_BYTES..rest.len().min(header.total)]),
            (b'D' | b'C', None) if header.total <= MAX_NAMES_BYTES => Verdict::Need(header.total),
            (b'D', body) => self.judge_describe(body),
            (b'C', body) => self.judge_close(body),
            (b'S', _) => {
                let hold = matches!(self.mode, Mode::Forwarding { hold: true });
                self.expected.push(Expected::Sync { hold });
                self.mode = Mode::Open;
                self.declined = "";
                self.statements.unnamed_is_settled = false;
                Verdict::Pass
            }
            (b'F', _) => {
                self.expected.push(Expected::FunctionCall);
                self.touch();
                self.mode = Mode::Open;
                self.statements.unnamed_is_settled = false;
                Verdict::Pass
            }
            (b'c' | b'f', _) => {
                self.expected.push(Expected::CopyEnd);
                Verdict::Pass
            }
            (b'E', None) if self.statements.portal_lacking.is_some() && header.total <= MAX_NAMES_BYTES => {
                Verdict::Need(header.total)
            }
            (b'E', body) => self.judge_execute(body),
            (b'H', _) => {
                self.within_batch(false);
                if header.total > HEADER_BYTES {
                    self.expected.push(Expected::Failing);
                }
                Verdict::Pass
            }
            _ => Verdict::Pass,
        }
    }

    fn judge_query(&mut self, body: &[u8]) -> Verdict {
        let text = frontend::query(body).ok().and_then(|text| std::str::from_utf8(text).ok());
        // In another encoding than UTF8 it may be readable; its results will tell.
        let Some(text) = text else { return self.forward_query(Kind::Plain, false) };
        let kind = scan::classify(text, &self.context.registry.tables());
        let tried = matches!(self.mode, Mode::Declined { .. } | Mode::Prepared);
        if !tried {
            match kind {
                Kind::Read | Kind::Show(_) if self.is_idle() => return Verdict::Attempt,
                Kind::Show(_) if self.mode == Mode::Open && self.state.status != 0 => return Verdict::Later,
                Kind::Begin | Kind::Set if self.needs_prelude(kind) => return Verdict::ProbeFirst,
                _ => {}
            }
        }
        self.forward_query(kind, true)
    }

    /// A BEGIN is worth a probe when reads may follow in its block; a SET after a read from memory must find a
    /// transaction that has seen a query.
    fn needs_prelude(&self, kind: Kind) -> bool {
        self.is_idle()
            && match kind {
                Kind::Begin => {
                    self.state.status == b'I'
                        && self.state.reads_stream_tables
                        && !self.state.is_known(self.context.registry.epoch())
                }
                Kind::Set => self.state.status == b'T' && self.state.read_in_block,
                _ => false,
            }
    }

    fn forward_query(&mut self, kind: Kind, readable: bool) -> Verdict {
        self.count(kind);
        self.expected.push(Expected::Query { hold: kind == Kind::Maintenance, readable });
        self.mode = Mode::Open;
        self.statements.unnamed_is_settled = false;
        Verdict::Pass
    }

    fn judge_parse(&mut self, body: &[u8]) -> Verdict {
        let Ok(parse) = frontend::parse(body) else { return self.forward_parse(ParseOutcome::Nothing) };
        let text = std::str::from_utf8(parse.text);
        let kind = text.map_or(Kind::Plain, |text| scan::classify(text, &self.context.registry.tables()));
        if self.mode == Mode::Open {
            match kind {
                Kind::Read if parse.name.is_empty() && self.is_idle() => return Verdict::Collect,
                Kind::Show(_) if self.is_idle() => return Verdict::Collect,
                Kind::Show(_) if self.state.status != 0 => return Verdict::Later,
                Kind::Begin | Kind::Set if self.needs_prelude(kind) => return Verdict::ProbeFirst,
                _ => {}
            }
        }
        let statement = match (kind, text) {
            (Kind::Plain | Kind::NotARead | Kind::Show(_), _) | (_, Err(_)) => None,
            (_, Ok(text)) => Some(Arc::new(Statement::new(text, parse.types, kind))),
        };
        let known =
            self.statements.get(parse.name).is_some() || self.expected.statement_under_way(parse.name).is_some();
        let outcome = match statement {
            None if !known && !parse.name.is_empty() => ParseOutcome::Nothing,
            statement => ParseOutcome::Named(parse.name.into(), statement),
        };
        self.forward_parse(outcome)
    }

    fn forward_parse(&mut self, outcome: ParseOutcome) -> Verdict {
        self.statements.unnamed_is_settled |= matches!(&outcome, ParseOutcome::Named(name, _) if name.is_empty());
        self.expected.push(Expected::Parse { injected: false, outcome });
        self.within_batch(false);
        Verdict::Pass
    }

    fn judge_bind(&mut self, header: Header, prefix: &[u8]) -> Verdict {
        let interesting = !self.statements.is_empty()
            || self.expected.names_under_way()
            || self.statements.unnamed_upstream != Unnamed::Same
            || self.statements.portal_lacking.is_some();
        if !interesting {
            return self.forward_bind(Kind::Plain);
        }
        let Some((portal, name)) = frontend::bind_names(prefix) else {
            if prefix.len() + HEADER_BYTES < header.total.min(MAX_NAMES_BYTES) {
                return Verdict::Need(header.total.min(MAX_NAMES_BYTES));
            }
            return self.forward_bind(Kind::Plain);
        };
        let statement = match self.expected.statement_under_way(name) {
            Some(under_way) => under_way,
            None => self.statements.get(name),
        };
        let kind = statement.map_or(Kind::Plain, |statement| statement.kind);
        if self.mode == Mode::Open {
            match kind {
                Kind::Read if portal.is_empty() && self.is_idle() => return Verdict::Collect,
                Kind::Show(_) if self.is_idle() => return Verdict::Collect,
                Kind::Show(_) => return Verdict::Later,
                Kind::Begin | Kind::Set if self.needs_prelude(kind) => return Verdict::ProbeFirst,
                _ => {}
            }
        }
        if name.is_empty() && self.must_wait_for_unnamed() {
            return Verdict::Later;
        }
        let first = if name.is_empty() { self.mend_unnamed() } else { None };
        if portal.is_empty() {
            // Replaced; should the Bind fail, the block fails with it, and no portal can be run.
            self.statements.portal_lacking = None;
        }
        match (first, self.forward_bind(kind)) {
            (Some(first), Verdict::Pass) => Verdict::PassAfter(first),
            (_, verdict) => verdict,
        }
    }

    fn forward_bind(&mut self, kind: Kind) -> Verdict {
        self.count(kind);
        self.within_batch(kind == Kind::Maintenance);
        self.expected.push(Expected::Bind { injected: false });
        Verdict::Pass
    }

    fn judge_execute(&mut self, body: Option<&[u8]>) -> Verdict {
        let of_unnamed = |body| frontend::execute(body).is_ok_and(|execute| execute.portal.is_empty());
        let first = if body.is_some_and(of_unnamed) { self.mend_portal() } else { None };
        self.within_batch(false);
        self.expected.push(Expected::Execute { injected: false });
        first.map_or(Verdict::Pass, Verdict::PassAfter)
    }

    fn judge_describe(&mut self, body: Option<&[u8]>) -> Verdict {
        let first = match body.map(frontend::target) {
            Some(Ok(target)) if target.kind == b'S' && target.name.is_empty() => {
                if self.must_wait_for_unnamed() {
                    return Verdict::Later;
                }
                self.mend_unnamed()
            }
            Some(Ok(target)) if target.kind == b'P' && target.name.is_empty() => self.mend_portal(),
            _ => None,
        };
        self.within_batch(false);
        self.expected.push(Expected::Describe);
        first.map_or(Verdict::Pass, Verdict::PassAfter)
    }

    fn judge_close(&mut self, body: Option<&[u8]>) -> Verdict {
        self.within_batch(false);
        let target = body.map(frontend::target);
        let mut unnamed_statement = false;
        match target {
            Some(Ok(target)) if target.kind == b'S' => {
                unnamed_statement = target.name.is_empty();
                self.statements.unnamed_is_settled |= unnamed_statement;
                if !unnamed_statement {
                    self.statements.set(target.name, None);
                }
            }
            Some(Ok(target)) if target.name.is_empty() => self.statements.portal_lacking = None,
            Some(_) => {}
            None => self.statements.forget_named(),
        }
        self.expected.push(Expected::Close { injected: false, unnamed_statement });
        Verdict::Pass
    }

    /// Upstream's unnamed statement is not the client's, and what is under way may change either of them.
    fn must_wait_for_unnamed(&self) -> bool {
        self.statements.unnamed_upstream != Unnamed::Same
            && !self.statements.unnamed_is_settled
            && !self.expected.is_copying_in()
            && self.expected.may_change_unnamed()
    }

    /// What must be said so that upstream's unnamed statement is the one the client believes in. That it is so is known
    /// when the reply comes: behind an error it would be skipped.
    fn mend_unnamed(&mut self) -> Option<BytesMut> {
        if self.expected.is_copying_in() {
            // Anything but COPY's own messages ends the session, with an error that names the first.
            return None;
        }
        if std::mem::replace(&mut self.statements.unnamed_is_settled, true) {
            return None;
        }
        let mut out = BytesMut::new();
        match (self.statements.unnamed_upstream, self.statements.get(b"")) {
            (Unnamed::Same, _) => return None,
            (Unnamed::Lacking, Some(statement)) => {
                frontend::say_parse(&mut out, "", &statement.text, &statement.types);
                self.expected.push(Expected::Parse { injected: true, outcome: ParseOutcome::Nothing });
            }
            (Unnamed::Lacking | Unnamed::Stale, _) => {
                frontend::say_close_statement(&mut out, "");
                self.expected.push(Expected::Close { injected: true, unnamed_statement: true });
            }
        }
        Some(out)
    }

    /// What must be said so that upstream has the unnamed portal that memory ran to its end in this block.
    fn mend_portal(&mut self) -> Option<BytesMut> {
        const STATEMENT: &str = "weir_portal";
        if self.state.status != b'T' || self.expected.is_copying_in() {
            return None;
        }
        let lacking = self.statements.portal_lacking.take()?;
        // From here on the portals of this block are upstream's.
        self.touch();
        let mut out = BytesMut::new();
        frontend::say_parse(&mut out, STATEMENT, &lacking.statement.text, &lacking.statement.types);
        frontend::say_bound(&mut out, STATEMENT, &lacking.bound);
        frontend::say_execute(&mut out);
        frontend::say_close_statement(&mut out, STATEMENT);
        let outcome = ParseOutcome::Named(STATEMENT.as_bytes().into(), None);
        self.expected.push(Expected::Parse { injected: true, outcome });
        self.expected.push(Expected::Bind { injected: true });
        self.expected.push(Expected::Execute { injected: true });
        self.expected.push(Expected::Close { injected: true, unnamed_statement: false });
        Some(out)
    }

    fn within_batch(&mut self, hold: bool) {
        let before = matches!(self.mode, Mode::Forwarding { hold: true });
        self.mode = Mode::Forwarding { hold: hold || before };
    }

    /// Something that may change or show anything goes upstream.
    fn touch(&mut self) {
        self.state.forget();
        self.state.read_in_block = false;
    }

    /// Accounts for a statement that is being forwarded, and forgets what it may change.
    fn count(&mut self, kind: Kind) {
        let reason = match kind {
            Kind::Begin | Kind::Finish => {
                self.state.read_in_block = false;
                return;
            }
            Kind::Read => {
                self.state.reads_stream_tables = true;
                if self.declined.is_empty() { reason::PIPELINED } else { self.declined }
            }
            Kind::NotARead => reason::NOT_A_READ,
            Kind::Plain | Kind::Set | Kind::Maintenance | Kind::Show(_) => reason::NO_STREAM_TABLE,
        };
        self.touch();
        self.declined = "";
        self.route = Route::Forwarded(reason);
        if reason == reason::NO_STREAM_TABLE {
            self.context.metrics.passed_through.fetch_add(1, Ordering::Relaxed);
        } else {
            self.context.metrics.forwarded(reason);
        }
    }
}
