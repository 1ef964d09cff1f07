//! Sessions that only read memory look idle to Postgres, whose idle timeouts would end them. Such a session is kept
//! alive by a probe at half the timeout; one that is truly idle is left to its timeout.

use super::relay::{Relay, SessionError};
use std::time::Instant;

impl Relay {
    /// Upstream has just heard of this session.
    pub(super) fn note_upstream_activity(&mut self) {
        let timeout = self.state.probed.as_ref().map(|probed| probed.idle_session_timeout).unwrap_or_default();
        self.state.upstream_heard = (!timeout.is_zero()).then(Instant::now);
        self.keepalive = None;
    }

    /// A read was answered from memory: upstream must hear of the session before its timeout.
    pub(super) fn note_local_read(&mut self) {
        let (Some(probed), Some(heard)) = (&self.state.probed, self.state.upstream_heard) else { return };
        if self.keepalive.is_none() {
            let due = heard + probed.idle_session_timeout / 2;
            self.keepalive = Some(Box::pin(tokio::time::sleep_until(due.into())));
        }
    }

    /// The keep-alive is due.
    pub(super) async fn keep_alive(&mut self) -> Result<(), SessionError> {
        self.keepalive = None;
        // Not inside a batch: its implicit transaction would end with the probe.
        if self.state.status == b'I' && self.is_idle() {
            // A refusal changes nothing here: the next read asks again.
            let _ = self.probe().await?;
        }
        Ok(())
    }
}
