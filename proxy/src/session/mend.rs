//! Messages that Weir puts in before a client's, so that upstream has the unnamed statement and portal that memory
//! answered in its place. Their replies are swallowed.

use super::exchange::ServerError;
use super::expected::{Closed, Expected, ParseOutcome};
use super::frontend::Mode;
use super::judge::Verdict;
use super::miscount::Miscount;
use super::probe;
use super::relay::{Relay, SessionError};
use super::scan::Kind;
use super::statements::{Unnamed, UnnamedPortal};
use crate::wire::backend;
use crate::wire::frame::{HEADER_BYTES, Header};
use crate::wire::frontend;
use bytes::BytesMut;

/// `invalid_cursor_name`: there is no such portal.
const UNDEFINED_PORTAL: &str = "34000";

impl Relay {
    /// Upstream's unnamed statement is not the client's, and what is under way may change either of them, or begin a copy, in
    /// which nothing can be put in.
    pub(super) fn wait_for_unnamed(&mut self) -> Option<Verdict> {
        if self.statements.unnamed_upstream == Unnamed::Same || self.statements.unnamed_is_settled {
            return None;
        }
        if self.owed.comes_by_itself() && self.owed.may_change_unnamed() {
            return Some(Verdict::Later);
        }
        if self.state.status == b'E' && self.upstream_body_left > 0 {
            // An asynchronous message on its way must not be cut in two.
            return Some(Verdict::Later);
        }
        if self.owed.is_told_by_flush()
            || (self.state.status == b'E' && !self.owed.is_idle() && self.owed.is_attentive())
        {
            return Some(self.later_after_flush());
        }
        None
    }

    /// In a block that has failed, upstream takes no Parse: it says what it has to say of a statement of Weir's own that is there
    /// already.
    pub(super) fn cannot_mend_unnamed(&self) -> bool {
        self.state.status == b'E'
            && self.probe_prepared
            && self.owed.is_idle()
            && self.statements.unnamed_upstream == Unnamed::Lacking
            && !self.statements.unnamed_is_settled
    }

    /// What is refused as the client's Bind of the unnamed statement would be (`exec_bind_message` up to the block's state); `None`
    /// when more of it is needed.
    pub(super) fn bind_instead(&mut self, header: Header, body: &[u8]) -> Option<BytesMut> {
        let mut out = BytesMut::new();
        let wanted = self.statements.get(b"").map_or(0, |statement| statement.parameters());
        let is_whole = body.len() + HEADER_BYTES >= header.total;
        let bound = frontend::bound(body).ok()?;
        match frontend::bound_counts(bound) {
            Ok((formats, supplied)) if formats <= 1 || formats == supplied => {
                self.miscount = Miscount::new(supplied, wanted);
                let values = self.miscount.map_or(probe::PARAMETERS, Miscount::sent);
                frontend::say_bind(&mut out, probe::NAME, 0, vec![None; values]);
            }
            // What is wrong with it is said of no name.
            _ if is_whole => frontend::say_bound(&mut out, probe::NAME, bound),
            _ => return None,
        }
        Some(out)
    }

    /// What answers a description of the unnamed statement where that cannot be given to upstream: what returns no rows is
    /// described in a failed block, too (`exec_describe_statement_message`).
    pub(super) fn describe_instead(&self) -> Verdict {
        match self.statements.get(b"") {
            Some(statement) if statement.kind == Kind::Copy => {
                let mut said = Vec::new();
                backend::parameter_description(&mut said, &statement.types);
                backend::no_data(&mut said);
                Verdict::Answer(said)
            }
            _ => {
                let mut out = BytesMut::new();
                frontend::say_describe_statement(&mut out, probe::NAME.as_bytes());
                Verdict::Instead(out)
            }
        }
    }

    /// A query has failed in a block that has failed with it: has it left a portal of its own in the place of the client's, which
    /// memory ran? Upstream had none.
    pub(super) async fn ask_portal(&mut self) -> Result<(), SessionError> {
        let mut request = BytesMut::new();
        frontend::say_describe_portal(&mut request, "");
        frontend::say_sync(&mut request);
        let mut is_there = true;
        self.exchange(&request, |tag, body| {
            is_there &= tag != b'E' || ServerError::read(body).sqlstate != UNDEFINED_PORTAL;
        })
        .await?;
        match &mut self.statements.unnamed_portal {
            UnnamedPortal::Lacking(lacking) if !is_there => lacking.may_be_gone = false,
            portal => *portal = UnnamedPortal::Same,
        }
        Ok(())
    }

    /// What must be said so that upstream's unnamed statement is the one the client believes in. That it is so is known
    /// when the reply comes: behind an error it would be skipped.
    pub(super) fn mend_unnamed(&mut self) -> Option<BytesMut> {
        if self.owed.is_copying_in() {
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
                self.owed.push(Expected::Parse { injected: true, outcome: ParseOutcome::Nothing });
            }
            (Unnamed::Lacking | Unnamed::Stale, _) => {
                frontend::say_close_statement(&mut out, "");
                self.owed.push(Expected::Close { injected: true, what: Closed::UnnamedStatement });
            }
        }
        Some(out)
    }

    /// Parse takes a snapshot, where Describe takes none: a SET TRANSACTION pipelined behind it would come too late (25001).
    /// Outside a block upstream is given its unnamed statement in a batch of its own.
    pub(super) fn mends_unnamed_apart(&self) -> bool {
        self.statements.unnamed_upstream == Unnamed::Lacking
            && self.mode == Mode::Open
            && self.state.status == b'I'
            && self.owed.comes_by_itself()
    }

    /// Gives upstream the unnamed statement that memory was given, while nothing is outstanding.
    pub(super) async fn mend_unnamed_apart(&mut self) -> Result<(), SessionError> {
        let Some(statement) = self.statements.get(b"").cloned() else { return Ok(()) };
        let mut request = BytesMut::new();
        frontend::say_parse(&mut request, "", &statement.text, &statement.types);
        frontend::say_sync(&mut request);
        let mut parsed = false;
        self.exchange(&request, |tag, _| parsed |= tag == b'1').await?;
        if parsed {
            self.statements.unnamed_upstream = Unnamed::Same;
        }
        // Refused, it is put in before the client's message, which is refused with it.
        self.mode = Mode::Prepared;
        Ok(())
    }

    /// Asks for a reply that tells what upstream owes, where a failed copy has left that open: Close of a statement that
    /// nobody has made, which is no error and begins no transaction; if need be behind a Parse of nothing, which takes no
    /// snapshot and is allowed in a failed block.
    pub(super) fn ask_what_is_owed(&mut self) -> BytesMut {
        const STATEMENT: &str = "weir_nothing";
        let mut out = BytesMut::new();
        if self.owed.ask(STATEMENT) {
            frontend::say_parse(&mut out, STATEMENT, "", &[]);
        }
        frontend::say_close_statement(&mut out, STATEMENT);
        frontend::say_flush(&mut out);
        out
    }

    /// A SET, or a BEGIN that sets what it is too late for, in the middle of a batch, where nothing can be asked apart: Parse takes
    /// the snapshot that a read from memory in this block would have taken (see `prelude`).
    pub(super) fn mend_query(&mut self, kind: Kind) -> Option<BytesMut> {
        const STATEMENT: &str = "weir_seen";
        if !self.lacks_query(kind) || self.owed.is_copying_in() {
            return None;
        }
        self.state.read_in_block = false;
        let mut out = BytesMut::new();
        frontend::say_parse(&mut out, STATEMENT, "SELECT 1", &[]);
        frontend::say_close_statement(&mut out, STATEMENT);
        let outcome = ParseOutcome::Named(STATEMENT.as_bytes().into(), None);
        self.owed.push(Expected::Parse { injected: true, outcome });
        self.owed.push(Expected::Close { injected: true, what: Closed::Other });
        Some(out)
    }

    fn lacks_query(&self, kind: Kind) -> bool {
        let read_before = (self.state.status == b'T' && self.state.read_in_block) || self.is_unsynced;
        matches!(kind, Kind::Set | Kind::Begin) && read_before
    }

    /// Whether the block still stands will be known without a further word from the client. In one that has failed, what is put
    /// in would be refused, and a query behind it skipped.
    pub(super) fn mends_query_later(&self, kind: Kind) -> bool {
        self.lacks_query(kind) && self.mode == Mode::Open && !self.owed.is_idle() && self.owed.comes_by_itself()
    }

    /// In a block, a query that fails may leave an unnamed portal of its own, or none. Upstream's, where it is not the client's, is
    /// closed before, so that the one there afterwards is known to be the query's.
    pub(super) fn mend_portal_before_query(&mut self) -> Option<BytesMut> {
        if self.state.status != b'T' || self.statements.unnamed_portal.is_same() || !self.owed.is_idle() {
            return None;
        }
        if matches!(self.statements.unnamed_portal, UnnamedPortal::Stale) {
            self.statements.unnamed_portal = UnnamedPortal::Same;
        }
        let mut out = BytesMut::new();
        frontend::say_close_portal(&mut out, "");
        self.owed.push(Expected::Close { injected: true, what: Closed::Other });
        Some(out)
    }

    /// The verdict on a Describe or Execute of the unnamed portal. Where memory ran it to its end in this block, upstream
    /// must have it first; in a block that has failed since, it can only be refused.
    pub(super) fn mend_portal(&mut self, describes: bool) -> Verdict {
        const STATEMENT: &str = "weir_portal";
        // Behind a Bind of its own it is upstream's, or skipped with it.
        if self.statements.unnamed_portal.is_same() || !self.owed.is_attentive() || self.owed.makes_unnamed_portal() {
            return Verdict::Pass;
        }
        if !self.owed.is_idle() {
            // What is under way may end the block, or the portal.
            return self.later_after_flush();
        }
        if self.upstream_body_left > 0 {
            // An asynchronous message on its way must not be cut in two.
            return Verdict::Later;
        }
        match (self.state.status, std::mem::take(&mut self.statements.unnamed_portal)) {
            (b'T' | b'E', UnnamedPortal::Stale) => {
                let mut first = BytesMut::new();
                frontend::say_close_portal(&mut first, "");
                self.owed.push(Expected::Close { injected: true, what: Closed::Other });
                Verdict::PassAfter(first)
            }
            (b'T', UnnamedPortal::Lacking(lacking)) if lacking.fetched.is_some() => {
                let mut said = Vec::new();
                match &lacking.fetched {
                    Some(described) if describes => said.extend_from_slice(described),
                    _ => backend::command_complete(&mut said, "FETCH 0"),
                }
                self.statements.unnamed_portal = UnnamedPortal::Lacking(lacking);
                Verdict::Answer(said)
            }
            (b'T', UnnamedPortal::Lacking(lacking)) => {
                // From here on the portals of this block are upstream's.
                self.touch();
                let mut first = BytesMut::new();
                frontend::say_parse(&mut first, STATEMENT, &lacking.statement.text, &lacking.statement.types);
                frontend::say_bound(&mut first, STATEMENT, &lacking.bound);
                frontend::say_execute(&mut first);
                frontend::say_close_statement(&mut first, STATEMENT);
                let outcome = ParseOutcome::Named(STATEMENT.as_bytes().into(), None);
                self.owed.push(Expected::Parse { injected: true, outcome });
                self.owed.push(Expected::Bind { injected: true, unnamed: false });
                self.owed.push(Expected::Execute { injected: true });
                self.owed.push(Expected::Close { injected: true, what: Closed::Other });
                Verdict::PassAfter(first)
            }
            (b'E', UnnamedPortal::Lacking(lacking)) if lacking.may_be_gone => {
                self.statements.unnamed_portal = UnnamedPortal::Lacking(lacking);
                Verdict::AskPortalFirst
            }
            (b'E', UnnamedPortal::Lacking(lacking)) if describes && lacking.statement.kind == Kind::Copy => {
                // What returns no rows is described in a failed block, too.
                self.statements.unnamed_portal = UnnamedPortal::Lacking(lacking);
                let mut said = Vec::new();
                backend::no_data(&mut said);
                Verdict::Answer(said)
            }
            (b'E', UnnamedPortal::Lacking(lacking)) => {
                // A Parse is refused as it is: 25P02. Upstream's own unnamed portal, if any, is not the client's.
                let mut instead = BytesMut::new();
                frontend::say_parse(&mut instead, STATEMENT, "SELECT 1", &[]);
                self.statements.unnamed_portal = UnnamedPortal::Lacking(lacking);
                Verdict::Instead(instead)
            }
            (_, portal) => {
                self.statements.unnamed_portal = portal;
                Verdict::Pass
            }
        }
    }
}
