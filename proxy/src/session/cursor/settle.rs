//! Upstream's cursors are brought to where the client's are, before anything is forwarded that could see them: another
//! FETCH, a function that fetches, `pg_cursors`. From then on they are Postgres'.

use super::held::Cursor;
use crate::session::frontend::Mode;
use crate::session::judge::Verdict;
use crate::session::relay::{Relay, SessionError};
use crate::session::scan::Kind;
use crate::wire::{backend, frame, frontend};
use bytes::BytesMut;

/// The statement and the portal that move a cursor; closed behind it.
const NAME: &str = "weir_move";

impl Relay {
    /// The verdict on a message that is to be forwarded while memory speaks for cursors; `None`: on it goes.
    pub(in crate::session) fn leaves_cursors(&mut self, kind: Kind) -> Option<Verdict> {
        if self.cursors.is_empty() || self.cursors.is_opening() {
            return None;
        }
        if kind == Kind::Finish {
            // They end with their block.
            self.cursors.clear();
            return None;
        }
        if self.owed.is_idle() && self.upstream_body_left == 0 {
            return Some(Verdict::SettleFirst);
        }
        // The reply to DECLARE, or to a Sync.
        Some(Verdict::Later)
    }

    /// Moves upstream's cursors; what follows is judged anew. Where that fails, the client is told why in the place of what
    /// it asked.
    pub(in crate::session) async fn settle_cursors(&mut self) -> Result<(), SessionError> {
        let mut expected = Vec::new();
        let mut request = BytesMut::new();
        for cursor in self.cursors.drain() {
            let Some(text) = movement(&cursor) else { continue };
            expected.push(format!("MOVE {}\0", cursor.told));
            // Still there from a time when that failed.
            frontend::say_close_statement(&mut request, NAME);
            frontend::say_parse(&mut request, NAME, &text, &[]);
            frontend::say_bind_portal(&mut request, NAME, NAME);
            frontend::say_execute_portal(&mut request, NAME);
            frontend::say_close_portal(&mut request, NAME);
            frontend::say_close_statement(&mut request, NAME);
        }
        if expected.is_empty() {
            return Ok(());
        }
        frontend::say_sync(&mut request);
        let mut moved = Vec::new();
        let mut failure = None;
        self.exchange(&request, |tag, body| match tag {
            b'C' => moved.push(String::from_utf8_lossy(body).into_owned()),
            b'E' => failure = Some(body.to_vec()),
            _ => {}
        })
        .await?;
        match failure {
            Some(error) => {
                self.state.forget();
                self.tell_failure(&error);
                Ok(())
            }
            None if moved == expected => Ok(()),
            None => {
                // Memory has told other rows than the cursor has: better no connection than more of them.
                tracing::error!(?expected, ?moved, "a cursor has not the rows that memory told of it");
                Err(SessionError::Io(std::io::Error::other("a cursor has not the rows that memory told of it")))
            }
        }
    }

    fn tell_failure(&mut self, error: &[u8]) {
        let mut out = Vec::new();
        backend::frame(&mut out, b'E', |out| out.extend_from_slice(error));
        let input = self.client.input.filled();
        match frame::header(input) {
            Ok(Some(header)) if header.tag == b'Q' => {
                if input.len() < header.total {
                    // It is longer than what is waited for, and is refused by the block that has failed.
                    return;
                }
                backend::ready_for_query(&mut out, self.state.status);
                self.client.input.consume(header.total);
                self.mode = Mode::Open;
            }
            Ok(Some(header)) if header.tag != b'F' => self.mode = Mode::Skipping,
            _ => return,
        }
        self.client.output.extend(&out);
    }
}

/// From before the first row to where the client has come.
fn movement(cursor: &Cursor) -> Option<String> {
    let name = cursor.name.replace('"', "\"\"");
    match (cursor.is_behind, cursor.told) {
        (true, _) => Some(format!("MOVE FORWARD ALL FROM \"{name}\"")),
        (false, 0) => None,
        (false, told) => Some(format!("MOVE FORWARD {told} FROM \"{name}\"")),
    }
}
