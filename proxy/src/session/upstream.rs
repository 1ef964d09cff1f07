//! What Postgres says, looked at by its headers on the way to the client: when it is ready again, which replies belong
//! to messages Weir put in, and whether anything came unasked.

use super::exchange::ServerError;
use super::expected::{Certainty, ParseOutcome, Surprise};
use super::frontend::Mode;
use super::owed::{self, Owed};
use super::relay::{Relay, SessionError};
use super::statements::{Unnamed, UnnamedPortal};
use crate::wire::buffer::Buffer;
use crate::wire::frame::{self, HEADER_BYTES};

/// A text that is none in the client's encoding (`pq_getmsgstring`).
const CHARACTER_NOT_IN_REPERTOIRE: &str = "22021";

/// What to do after upstream's bytes have been passed on.
pub(super) enum UpstreamStep {
    /// Wait for more.
    Wait,
    /// A ReadyForQuery was taken out of the stream and is to be said when the maintenance has settled.
    Held { status: u8 },
}

/// Messages that are looked into, and so must be there whole: all are a few bytes long.
fn is_looked_into(tag: u8) -> bool {
    matches!(tag, b'Z' | b'K')
}

/// The tag of a statement that may have ended the block (ROLLBACK TO has the same one; a portal made behind the savepoint
/// ends with it, too).
fn ends_block(tag: &[u8]) -> bool {
    matches!(tag, b"COMMIT\0" | b"ROLLBACK\0" | b"PREPARE TRANSACTION\0")
}

/// The error of a query or Bind that has left the unnamed portal as it was: the block had failed, a query cannot be read, or
/// Bind names no statement or brings another number of parameters (`exec_bind_message` up to `CreatePortal`).
fn fails_before_a_portal_is_made(error: &[u8]) -> bool {
    let field = |name: u8| error.split(|b| *b == 0).find_map(|field| field.strip_prefix(&[name]));
    matches!(
        (field(b'C'), field(b'R')),
        (Some(b"25P02" | b"26000"), _)
            | (Some(b"08P01"), Some(b"exec_bind_message"))
            | (Some(b"42601"), Some(b"scanner_yyerror"))
    )
}

impl Relay {
    pub(super) fn look_at_upstream(&mut self) -> Result<UpstreamStep, SessionError> {
        if self.raw {
            let n = self.upstream.input.len();
            self.upstream.input.move_to(n, &mut self.client.output);
            return Ok(UpstreamStep::Wait);
        }
        let mut input = std::mem::take(&mut self.upstream.input);
        let step = self.walk_upstream(&mut input);
        self.upstream.input = input;
        self.owed.merge();
        step
    }

    fn walk_upstream(&mut self, buffer: &mut Buffer) -> Result<UpstreamStep, SessionError> {
        // Bytes at the start of the buffer that are to be passed on.
        let mut pass = 0;
        loop {
            let input = buffer.filled();
            if self.upstream_body_left > 0 {
                let n = self.upstream_body_left.min(input.len() - pass);
                self.upstream_body_left -= n;
                if self.upstream_body_swallowed {
                    buffer.move_to(pass, &mut self.client.output);
                    buffer.consume(n);
                    pass = 0;
                } else {
                    pass += n;
                }
                if self.upstream_body_left > 0 {
                    break;
                }
            }
            let input = buffer.filled();
            let rest = &input[pass..];
            let Some(header) = frame::header(rest)? else { break };
            let is_looked_into = is_looked_into(header.tag)
                || (matches!(header.tag, b'C' | b'E') && !self.statements.unnamed_portal.is_same())
                || (header.tag == b'E' && (self.miscount.is_some() || self.owed.is_answering_unreadable()));
            if is_looked_into && rest.len() < header.total {
                let missing = header.total - rest.len();
                buffer.make_room(missing);
                break;
            }
            // Replies to what Weir put in are not for the client; errors and asynchronous messages are.
            let injected = self.owed.arrives(header.tag).unwrap_or_else(|surprise| {
                self.distrust(surprise);
                false
            });
            let mut swallow = injected && !owed::is_for_the_client(header.tag);
            match header.tag {
                b'1' => match self.owed.parse_complete() {
                    Ok((injected, outcome)) => self.parsed(injected, outcome),
                    Err(surprise) => self.distrust(surprise),
                },
                b'2' => match self.owed.bind_complete() {
                    Ok(true) => self.statements.unnamed_portal = UnnamedPortal::Same,
                    Ok(false) => {}
                    Err(surprise) => self.distrust(surprise),
                },
                b'3' => match self.owed.close_complete() {
                    Ok([statement, portal]) => {
                        self.unnamed_is_destroyed(statement);
                        self.unnamed_portal_is_closed(portal);
                    }
                    Err(surprise) => self.distrust(surprise),
                },
                b'T' | b'n' => self.expect(Owed::described),
                b'C' | b's' | b'I' => {
                    // A simple query runs in the unnamed portal, and no portal survives its block.
                    if header.tag == b'C'
                        && !self.statements.unnamed_portal.is_same()
                        && (self.owed.is_answering_query() || ends_block(&rest[HEADER_BYTES..header.total]))
                    {
                        self.statements.unnamed_portal = UnnamedPortal::Same;
                    }
                    self.expect(Owed::completed);
                }
                b'Z' => {
                    let status = rest[HEADER_BYTES];
                    self.state.status = status;
                    if status != b'T' {
                        self.cursors.clear();
                    }
                    if status == b'I' {
                        self.statements.unnamed_portal = UnnamedPortal::Same;
                    }
                    let hold = match self.owed.ready() {
                        Ok(ready) => {
                            self.unnamed_is_destroyed(ready.simple);
                            swallow = ready.cut.is_some();
                            if ready.cut == Some(true) {
                                self.mode = Mode::Skipping;
                            }
                            ready.hold
                        }
                        Err(surprise) => {
                            self.distrust(surprise);
                            false
                        }
                    };
                    // Within a block the effect comes with its end.
                    self.state.hold_at_block_end |= hold && status == b'T';
                    if status == b'I' && (std::mem::take(&mut self.state.hold_at_block_end) || hold) {
                        buffer.move_to(pass, &mut self.client.output);
                        buffer.consume(header.total);
                        return Ok(UpstreamStep::Held { status });
                    }
                }
                b'K' => {
                    let key: Box<[u8]> = rest[HEADER_BYTES..header.total].into();
                    self.register_key(&key);
                }
                b'E' => {
                    if !self.statements.unnamed_portal.is_same()
                        && !fails_before_a_portal_is_made(&rest[HEADER_BYTES..header.total])
                    {
                        self.unnamed_portal_may_be_another();
                    }
                    let is_unread = self.owed.is_answering_unreadable()
                        && ServerError::read(&rest[HEADER_BYTES..header.total]).sqlstate == CHARACTER_NOT_IN_REPERTOIRE;
                    match self.owed.error() {
                        Ok(_) if is_unread => {}
                        Ok(unnamed) => self.unnamed_is_destroyed(unnamed),
                        Err(surprise) => self.distrust(surprise),
                    }
                    self.state.forget();
                    if let Some(miscount) = self.miscount.take()
                        && let Some(told) = miscount.told(&rest[HEADER_BYTES..header.total])
                    {
                        buffer.move_to(pass, &mut self.client.output);
                        self.client.output.extend(&told);
                        buffer.consume(header.total);
                        pass = 0;
                        continue;
                    }
                }
                // Asynchronous messages: something happened that this session has now seen.
                b'A' | b'N' | b'S' => self.state.forget(),
                b'G' => self.owed.copy_in(),
                _ => {}
            }
            let present = header.total.min(buffer.len() - pass);
            self.upstream_body_left = header.total - present;
            self.upstream_body_swallowed = swallow;
            if swallow {
                buffer.move_to(pass, &mut self.client.output);
                buffer.consume(present);
                pass = 0;
            } else {
                pass += present;
            }
        }
        buffer.move_to(pass, &mut self.client.output);
        Ok(UpstreamStep::Wait)
    }

    /// What has failed may have made an unnamed portal first, which stays. A Bind has; of a query it is not known, and where
    /// it has not, the client's is what it was.
    fn unnamed_portal_may_be_another(&mut self) {
        if self.owed.is_making_unnamed_portal() {
            self.statements.unnamed_portal = UnnamedPortal::Same;
        } else if let UnnamedPortal::Lacking(lacking) = &mut self.statements.unnamed_portal {
            lacking.may_be_gone |= self.owed.is_answering_query();
        }
    }

    fn parsed(&mut self, injected: bool, outcome: ParseOutcome) {
        match outcome {
            ParseOutcome::Unreadable(name) => self.parsed(injected, ParseOutcome::Named(name, None)),
            ParseOutcome::Named(name, statement) if name.is_empty() => self.statements.unnamed_is(statement),
            ParseOutcome::Named(name, statement) => self.statements.set(&name, statement),
            // Upstream has been given what the client believed in.
            ParseOutcome::Nothing if injected => self.statements.unnamed_upstream = Unnamed::Same,
            ParseOutcome::Nothing => {}
        }
    }

    /// The unnamed statement's end, if the reply said so.
    fn unnamed_is_destroyed(&mut self, certainty: Certainty) {
        match certainty {
            Certainty::No => {}
            Certainty::Perhaps if self.statements.unnamed_upstream != Unnamed::Same => {
                self.distrust(Surprise("perhaps the end of an unnamed statement that memory answered"));
            }
            // Weir has no interest in it any more, which is right in both cases.
            Certainty::Perhaps | Certainty::Yes => self.statements.unnamed_is(None),
        }
    }

    /// The unnamed portal's end, if the reply said so: of the client's, and of upstream's.
    fn unnamed_portal_is_closed(&mut self, certainty: Certainty) {
        match certainty {
            Certainty::No => {}
            Certainty::Perhaps if !self.statements.unnamed_portal.is_same() => {
                self.distrust(Surprise("perhaps the end of an unnamed portal that memory ran"));
            }
            Certainty::Perhaps | Certainty::Yes => self.statements.unnamed_portal = UnnamedPortal::Same,
        }
    }

    fn expect(&mut self, reply: fn(&mut Owed) -> Result<(), Surprise>) {
        if let Err(surprise) = reply(&mut self.owed) {
            self.distrust(surprise);
        }
    }

    /// The conversation is not understood any more: from here on it is only passed on.
    fn distrust(&mut self, Surprise(reply): Surprise) {
        if self.state.distrusted {
            return;
        }
        tracing::warn!(reply, "upstream's replies do not match the messages forwarded; this session is only forwarded");
        self.state.distrusted = true;
        self.raw = true;
    }
}
