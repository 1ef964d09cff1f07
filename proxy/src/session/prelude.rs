//! What Weir says upstream before a client's BEGIN or SET is forwarded, so that reads from memory around it change
//! nothing of what Postgres makes of it.

use super::frontend::Mode;
use super::relay::{Relay, SessionError};
use super::scan::Kind;
use crate::wire::frontend;
use bytes::BytesMut;

/// The statement that stands for the reads upstream has not seen; closed in the same batch.
const NAME: &str = "weir_query";

impl Relay {
    /// A BEGIN is worth a probe when reads may follow in its block, and is the time to ask what could not be asked in the
    /// block before; a SET after a read from memory must find a transaction that has seen a query.
    pub(super) fn needs_prelude(&self, kind: Kind) -> bool {
        self.is_idle()
            && match kind {
                // In a block it may say READ WRITE, which must come before any query, too.
                Kind::Begin if self.state.status == b'T' => self.state.read_in_block,
                Kind::Begin => {
                    self.state.status == b'I'
                        && self.state.reads_stream_tables
                        && (!self.state.is_known(self.context.registry.epoch()) || !self.questions.is_empty())
                }
                Kind::Set => self.state.status == b'T' && self.state.read_in_block,
                _ => false,
            }
    }

    /// What must precede the next message upstream: a probe before a block whose reads may be answered, a query where
    /// Postgres would have seen one in this block.
    pub(super) async fn probe_before_block(&mut self) -> Result<(), SessionError> {
        if self.state.status == b'I' {
            // A refusal leaves the state unknown, and the block's reads are forwarded.
            if self.probe().await?.is_ok() {
                self.ask_questions().await?;
            }
        } else {
            self.show_a_query().await?;
        }
        self.mode = Mode::Prepared;
        Ok(())
    }

    /// SET TRANSACTION and its like must come before any query of a block (25001). A read answered from memory was such a
    /// query, but upstream has not seen it.
    async fn show_a_query(&mut self) -> Result<(), SessionError> {
        let mut request = BytesMut::new();
        frontend::say_parse(&mut request, NAME, "SELECT 1", &[]);
        frontend::say_bind(&mut request, NAME, 0, vec![]);
        frontend::say_execute(&mut request);
        frontend::say_close_statement(&mut request, NAME);
        frontend::say_sync(&mut request);
        self.state.read_in_block = false;
        self.exchange(&request, |_, _| ()).await
    }
}
