//! A block that is opened in one flight with its first read: BEGIN and a query up to one Sync, as pgjdbc sends them with
//! autocommit off. BEGIN goes upstream with a Sync of Weir's behind it, and the read finds an open block that has written
//! nothing, as if the client had waited. Within an open block a Sync ends nothing and shows nothing but ReadyForQuery
//! (`finish_xact_command` at TBLOCK_INPROGRESS counts a command), which is kept from the client.

use super::expected::Expected;
use super::frontend::Mode;
use super::judge::Verdict;
use super::relay::Relay;
use super::scan::Kind;
use crate::wire::frontend;
use bytes::BytesMut;

/// How much of a block's opening the present batch consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Opening {
    /// It is something else, or there is none.
    #[default]
    None,
    /// A plain BEGIN has been parsed or bound, and nothing else.
    Begun,
    /// And executed.
    Executed,
}

impl Relay {
    /// A read in the batch's next place: memory may answer it when the block is open before it.
    pub(super) fn cuts_before_read(&self) -> bool {
        self.opening == Opening::Executed && self.state.is_known(self.context.registry.epoch())
    }

    /// Ends the batch upstream behind its BEGIN; the read is looked at again when the block is open.
    pub(super) fn cut(&mut self) -> Verdict {
        self.opening = Opening::None;
        self.owed.push(Expected::Cut { failed: false });
        self.mode = Mode::Open;
        self.statements.unnamed_is_settled = false;
        let mut out = BytesMut::new();
        frontend::say_sync(&mut out);
        Verdict::LaterAfter(out)
    }

    /// A Parse or Bind of this kind is forwarded.
    pub(super) fn note_opening(&mut self, kind: Kind) {
        let first = matches!(self.mode, Mode::Open | Mode::Prepared) && self.is_idle() && self.state.status == b'I';
        let begins = kind == Kind::Begin && (first || self.opening == Opening::Begun);
        self.opening = if begins { Opening::Begun } else { Opening::None };
    }
}
