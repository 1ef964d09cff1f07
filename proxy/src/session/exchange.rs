//! Weir's own questions on the client's upstream connection, asked only while it is idle: the replies are swallowed,
//! what Postgres says to the client meanwhile is passed on.

use super::relay::{Relay, SessionError};
use crate::wire::frame;

/// Fields of ErrorResponse that decide what happens next.
#[derive(Debug, Default)]
pub(super) struct ServerError {
    pub(super) sqlstate: String,
    fatal: bool,
}

impl ServerError {
    pub(super) fn read(body: &[u8]) -> ServerError {
        let mut error = ServerError::default();
        for field in body.split(|b| *b == 0) {
            match field.split_first() {
                Some((b'C', code)) => error.sqlstate = String::from_utf8_lossy(code).into_owned(),
                Some((b'V', severity)) => error.fatal = severity != b"ERROR",
                _ => {}
            }
        }
        error
    }
}

impl Relay {
    /// Sends `request` (which ends in one Sync) and hands every reply to `visit` until ReadyForQuery. `Err`: the
    /// connection is gone; what Postgres said about it has been passed to the client.
    pub(super) async fn exchange(
        &mut self,
        request: &[u8],
        mut visit: impl FnMut(u8, &[u8]),
    ) -> Result<(), SessionError> {
        debug_assert!(self.owed.is_idle(), "an exchange while replies are outstanding");
        self.upstream.output.extend(request);
        loop {
            self.upstream.flush().await?;
            while let Some((tag, body)) = frame::message(self.upstream.input.filled())? {
                let total = frame::HEADER_BYTES + body.len();
                match tag {
                    // Asynchronous: for the client. A notice within the exchange answers Weir's own statement.
                    b'A' | b'S' => {
                        self.state.forget();
                        self.upstream.input.move_to(total, &mut self.client.output);
                        continue;
                    }
                    b'E' if ServerError::read(body).fatal => {
                        self.upstream.input.move_to(total, &mut self.client.output);
                        self.client.flush().await?;
                        return Err(SessionError::UpstreamGone);
                    }
                    b'Z' => {
                        self.state.status = body.first().copied().unwrap_or(b'E');
                        self.upstream.input.consume(total);
                        return Ok(());
                    }
                    b'N' => {}
                    _ => visit(tag, body),
                }
                self.upstream.input.consume(total);
            }
            if let Some(header) = frame::header(self.upstream.input.filled())? {
                let missing = header.total - self.upstream.input.len();
                self.upstream.input.make_room(missing);
            }
            if self.upstream.ended {
                return Err(SessionError::UpstreamGone);
            }
            self.upstream.fill().await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_by_their_untranslated_severity() {
        let error = ServerError::read(b"SFEHLER\0VERROR\x00C26000\0Mgone\0\0");
        assert_eq!((error.sqlstate.as_str(), error.fatal), ("26000", false));
        assert!(ServerError::read(b"SFATAL\0VFATAL\0C57P01\0Mbye\0\0").fatal);
    }
}
