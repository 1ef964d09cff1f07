//! What Postgres says, looked at by its headers on the way to the client: when it is ready again, which replies belong
//! to messages Weir put in, and whether anything came unasked.

use super::expected::{ParseOutcome, Surprise};
use super::relay::{Relay, SessionError};
use crate::wire::buffer::Buffer;
use crate::wire::frame::{self, HEADER_BYTES};

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

impl Relay {
    pub(super) fn look_at_upstream(&mut self) -> Result<UpstreamStep, SessionError> {
        if self.raw {
            let n = self.upstream.input.len();
            self.upstream.input.move_to(n, &mut self.client.output);
            return Ok(UpstreamStep::Wait);
        }
        let mut input = std::mem::replace(&mut self.upstream.input, Buffer::unallocated());
        let step = self.walk_upstream(&mut input);
        self.upstream.input = input;
        step
    }

    fn walk_upstream(&mut self, buffer: &mut Buffer) -> Result<UpstreamStep, SessionError> {
        // Bytes at the start of the buffer that are to be passed on.
        let mut pass = 0;
        loop {
            let input = buffer.filled();
            if self.upstream_body_left > 0 {
                let n = self.upstream_body_left.min(input.len() - pass);
                pass += n;
                self.upstream_body_left -= n;
                if self.upstream_body_left > 0 {
                    break;
                }
            }
            let rest = &input[pass..];
            let Some(header) = frame::header(rest)? else { break };
            if is_looked_into(header.tag) && rest.len() < header.total {
                let missing = header.total - rest.len();
                buffer.make_room(missing);
                break;
            }
            let mut swallow = false;
            match header.tag {
                b'1' => match self.expected.parse_complete() {
                    Ok((injected, outcome)) => {
                        swallow = injected;
                        self.name(outcome);
                    }
                    Err(surprise) => self.distrust(surprise),
                },
                b'3' => match self.expected.close_complete() {
                    Ok(injected) => swallow = injected,
                    Err(surprise) => self.distrust(surprise),
                },
                b'Z' => {
                    let status = rest[HEADER_BYTES];
                    self.state.status = status;
                    match self.expected.ready() {
                        Ok(true) if status == b'I' => {
                            buffer.move_to(pass, &mut self.client.output);
                            buffer.consume(header.total);
                            return Ok(UpstreamStep::Held { status });
                        }
                        // Within a block the effect comes with its end.
                        Ok(true) => self.state.hold_at_block_end = status == b'T',
                        Ok(false) => {}
                        Err(surprise) => self.distrust(surprise),
                    }
                    if status == b'I' && std::mem::take(&mut self.state.hold_at_block_end) {
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
                    self.expected.error();
                    self.state.forget();
                }
                // Asynchronous messages: something happened that this session has now seen.
                b'A' | b'N' | b'S' => self.state.forget(),
                b'G' => self.expected.copy_in(),
                _ => {}
            }
            if swallow {
                buffer.move_to(pass, &mut self.client.output);
                buffer.consume(header.total);
                pass = 0;
            } else {
                let present = header.total.min(buffer.len() - pass);
                pass += present;
                self.upstream_body_left = header.total - present;
            }
        }
        buffer.move_to(pass, &mut self.client.output);
        Ok(UpstreamStep::Wait)
    }

    fn name(&mut self, outcome: ParseOutcome) {
        match outcome {
            ParseOutcome::Nothing => {}
            ParseOutcome::Named(name, statement) => self.statements.set(&name, statement),
            ParseOutcome::Unknown => {
                self.statements.forget_named();
                self.statements.set(b"", None);
            }
        }
    }

    /// The conversation is not understood any more: from here on it is only passed on.
    fn distrust(&mut self, _: Surprise) {
        tracing::warn!("upstream's replies do not match the messages forwarded; this session is only forwarded");
        self.state.distrusted = true;
    }
}
