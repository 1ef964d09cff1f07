//! What the client says, looked at by its headers on the way to Postgres. Statements of interest are told from the rest,
//! reads that memory may answer are collected up to their Sync, everything else is passed on as it arrives.

use super::batch;
use super::judge::Verdict;
use super::reason;
use super::relay::Relay;
use crate::wire::buffer::Buffer;
use crate::wire::frame::{self, HEADER_BYTES, Header, MAX_SHORT_MESSAGE_BYTES};

/// A batch that has not reached its Sync within this many bytes is forwarded.
const MAX_BATCH_BYTES: usize = 256 * 1024;

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
    /// The batch has failed, and Weir has ended it upstream: the rest of it is dropped.
    Skipping,
}

/// What to do next with the client's input.
pub(super) enum ClientStep {
    /// Wait for more.
    Wait,
    /// Wait until Postgres has answered what is outstanding; the input holds a whole message.
    Later,
    /// So many bytes at the start of the input are one candidate: a Query, a batch with its Sync, or the beginning of one
    /// that parses and describes, with its Flush.
    Attempt(usize),
    /// Before the next message, the session's state must be known or upstream must see a query; then look again.
    ProbeFirst,
    /// Before the next message, upstream's cursors must be moved to where the client's are; then look again.
    SettleFirst,
    /// Before the next message, upstream must be given its unnamed statement; then look again.
    MendFirst,
    /// Before the next message, upstream must be asked for its unnamed portal; then look again.
    AskPortalFirst,
}

impl Relay {
    pub(super) fn look_at_client(&mut self) -> ClientStep {
        let mut input = std::mem::take(&mut self.client.input);
        let mut pass = 0;
        let step = if self.raw || self.client_is_garbled {
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
            self.client_body_left -= n;
            if self.client_body_dropped {
                input.move_to(*pass, &mut self.upstream.output);
                input.consume(n);
                *pass = 0;
            } else {
                *pass += n;
            }
            if self.client_body_left > 0 {
                return ClientStep::Wait;
            }
            let collected = if let Mode::Collecting { bytes } = self.mode { bytes } else { 0 };
            let rest = &input.filled()[*pass + collected..];
            let header = match frame::header(rest) {
                Ok(Some(header)) => header,
                Ok(None) => return ClientStep::Wait,
                Err(_) if matches!(self.mode, Mode::Collecting { .. }) => {
                    // What came before is forwarded like any batch: with what upstream lacks for it.
                    self.decline(reason::BATCH, true);
                    continue;
                }
                Err(_) => {
                    // Postgres ends the session with 08P01; nothing behind this can be told apart.
                    self.client_is_garbled = true;
                    *pass = input.len();
                    return ClientStep::Wait;
                }
            };
            if let Mode::Collecting { bytes } = self.mode {
                let total = bytes + header.total;
                // Where the Sync is there already, everything is answered at once and a Flush asks for nothing more. A client
                // that waits may be told of its statement: some drivers describe before they bind.
                let flush = header.tag == b'H' && header.total == HEADER_BYTES;
                let asks_for_description = flush && batch::is_description(&input.filled()[*pass..*pass + bytes]);
                let sync_follows = flush && frame::messages(&rest[HEADER_BYTES..]).any(|(tag, _)| tag == b'S');
                let member = matches!(header.tag, b'P' | b'B' | b'D' | b'E' | b'C' | b'S')
                    || sync_follows
                    || asks_for_description;
                // Postgres ends the session at the header of a short message that says it is long.
                let fits = matches!(header.tag, b'P' | b'B') || header.total <= MAX_SHORT_MESSAGE_BYTES;
                if !member || !fits || total > MAX_BATCH_BYTES {
                    self.decline(reason::BATCH, true);
                } else if rest.len() < header.total {
                    input.make_room(header.total - rest.len());
                    return ClientStep::Wait;
                } else if header.tag == b'S' || (asks_for_description && !sync_follows) {
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
                Verdict::LaterAfter(first) => {
                    input.move_to(*pass, &mut self.upstream.output);
                    self.upstream.output.extend(&first);
                    *pass = 0;
                    return ClientStep::Later;
                }
                Verdict::ProbeFirst => return ClientStep::ProbeFirst,
                Verdict::SettleFirst => return ClientStep::SettleFirst,
                Verdict::MendFirst => return ClientStep::MendFirst,
                Verdict::AskPortalFirst => return ClientStep::AskPortalFirst,
                Verdict::Answer(said) => {
                    input.move_to(*pass, &mut self.upstream.output);
                    *pass = 0;
                    self.client.output.extend(&said);
                    self.drop_message(header, input);
                }
                Verdict::Attempt => return ClientStep::Attempt(header.total),
                Verdict::Collect => self.mode = Mode::Collecting { bytes: 0 },
                Verdict::Drop => {
                    input.move_to(*pass, &mut self.upstream.output);
                    *pass = 0;
                    self.drop_message(header, input);
                }
                Verdict::Instead(other) => {
                    input.move_to(*pass, &mut self.upstream.output);
                    self.upstream.output.extend(&other);
                    *pass = 0;
                    self.drop_message(header, input);
                }
                Verdict::Pass => {
                    self.client_body_dropped = false;
                    let present = header.total.min(rest.len());
                    *pass += present;
                    self.client_body_left = header.total - present;
                }
                Verdict::PassAfter(first) => {
                    self.client_body_dropped = false;
                    let present = header.total.min(rest.len());
                    input.move_to(*pass, &mut self.upstream.output);
                    self.upstream.output.extend(&first);
                    *pass = present;
                    self.client_body_left = header.total - present;
                }
            }
        }
    }

    /// The message at the start of the input is not for upstream, nor is what of it has not arrived.
    fn drop_message(&mut self, header: Header, input: &mut Buffer) {
        let present = header.total.min(input.len());
        input.consume(present);
        self.client_body_left = header.total - present;
        self.client_body_dropped = true;
    }

    /// Memory does not answer what lies at the start of the input: it is forwarded from there on.
    pub(super) fn decline(&mut self, reason: &'static str, batch: bool) {
        self.declined = reason;
        self.mode = if batch { Mode::Forwarding { hold: false } } else { Mode::Declined { reason } };
    }

    /// Nothing is outstanding upstream, and nothing of a batch has been forwarded.
    pub(super) fn is_idle(&self) -> bool {
        self.owed.is_idle()
            && !self.raw
            && !self.client_is_garbled
            && !matches!(self.mode, Mode::Forwarding { .. })
            && self.state.status != 0
            // An asynchronous message on its way must not be cut in two.
            && self.upstream_body_left == 0
    }
}
