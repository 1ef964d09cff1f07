//! Calls of the maintenance functions: their effect belongs to what the client may expect when the call returns, so
//! their ReadyForQuery is held back until Weir has done what they asked.

use super::relay::{Relay, SessionError};
use crate::wire::backend;
use std::time::Duration;

/// How long a reply is held back at most: enough to populate ordinary tables; past it the client goes on and reads are
/// forwarded until the table is live.
const SETTLE_WAIT: Duration = Duration::from_secs(5);

impl Relay {
    pub(super) async fn release_when_settled(&mut self, status: u8) -> Result<(), SessionError> {
        // What came before the ReadyForQuery is the client's already.
        self.client.flush().await?;
        let context = self.context.clone();
        let settled = self.cancel.guard(async {
            let position = context.visible_position().await?;
            context.maintain.settled(position, SETTLE_WAIT).await.ok()
        });
        let settled = settled.await.flatten();
        self.answer.clear();
        if settled.is_none() {
            let message = "the stream table is still being brought up to date; until then Postgres answers";
            backend::notice(&mut self.answer, "00000", message);
        }
        backend::ready_for_query(&mut self.answer, status);
        self.client.output.extend(&self.answer);
        Ok(())
    }
}
