//! What is known of a session's state upstream. It is never tracked from what the client sends, because functions change
//! it unseen: it is what the last probe said, for as long as nothing was forwarded and nothing came unasked.

use crate::analysis::Environment;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use weir_cache::Position;
use weir_planner::eval::EvalContext;
use weir_planner::render::Renderer;

/// How fresh a read from memory must be (`weir.consistency`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Consistency {
    /// The last scheduled refresh.
    Scheduled,
    /// At least everything this session wrote or saw.
    #[default]
    Session,
    /// At least everything visible anywhere in Postgres before the read arrived.
    Latest,
}

/// A probe's answer.
#[derive(Clone, Debug)]
pub(super) struct Probed {
    pub(super) environment: Arc<Environment>,
    pub(super) session_user: String,
    pub(super) utf8: bool,
    pub(super) read_committed: bool,
    pub(super) temporary_objects: bool,
    /// `quote_all_identifiers`, which functions' results depend on.
    pub(super) quotes_all: bool,
    /// `None`: the setting holds something else.
    pub(super) consistency: Option<Consistency>,
    /// Zero: none.
    pub(super) statement_timeout: Duration,
    pub(super) idle_session_timeout: Duration,
    /// `idle_in_transaction_session_timeout` or `transaction_timeout` is set.
    pub(super) transaction_timeouts: bool,
    /// Server clock minus local clock in microseconds, estimated not to be behind.
    pub(super) clock_offset_micros: i64,
    /// `server_version_num`.
    pub(super) server_version: u32,
    pub(super) taken: Instant,
    /// The settings, resolved for output.
    pub(super) renderer: Arc<Renderer>,
}

/// Postgres counts time from 2000-01-01, Unix from 1970-01-01.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

impl Probed {
    /// A backslash in a plain literal is a character like any other.
    pub(super) fn has_conforming_strings(&self) -> bool {
        self.environment.parser_settings.first().is_some_and(|setting| setting == "on")
    }

    /// The server's clock now, microseconds from 2000-01-01 UTC.
    pub(super) fn now_micros(&self) -> i64 {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64);
        unix + self.clock_offset_micros - POSTGRES_EPOCH_MICROS
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Transaction status of the last ReadyForQuery (`I`, `T`, `E`); 0 before the first.
    pub(super) status: u8,
    /// Nothing was forwarded and nothing came unasked since the last probe.
    known: bool,
    pub(super) probed: Option<Arc<Probed>>,
    /// Counts changes of `probed`'s environment or user, so that decisions made under it can be kept while it lasts.
    pub(super) generation: u64,
    /// Evaluation under those settings; kept so that a read allocates none of it.
    pub(super) evaluation: EvalContext,
    /// Registry epoch at the last probe.
    epoch: u64,
    /// The next read must have reached this position.
    pub(super) bookmark: Position,
    /// The maintenance functions were called in this block: its end is held back.
    pub(super) hold_at_block_end: bool,
    /// Replies did not match: never answer from memory again.
    pub(super) distrusted: bool,
    /// The session has asked for a stream table: a BEGIN is worth a probe.
    pub(super) reads_stream_tables: bool,
    /// A read was answered from memory in the present block; upstream has not seen a query in it.
    pub(super) read_in_block: bool,
    /// The last time upstream heard of this session, when it matters (idle timeouts).
    pub(super) upstream_heard: Option<Instant>,
}

impl State {
    pub(super) fn is_known(&self, epoch: u64) -> bool {
        self.known && self.epoch == epoch
    }

    /// Something happened upstream that this session has caused or seen.
    #[inline]
    pub(super) fn forget(&mut self) {
        self.known = false;
    }

    /// Takes over a probe's answer.
    pub(super) fn learn(&mut self, probed: Probed, bookmark: Position, epoch: u64) {
        let same = self
            .probed
            .as_ref()
            .is_some_and(|old| old.environment == probed.environment && old.session_user == probed.session_user);
        let mut probed = probed;
        match &self.probed {
            // The same allocation, so that comparing keys stays a pointer comparison in the common case.
            Some(old) if same => {
                probed.environment = old.environment.clone();
                probed.renderer = old.renderer.clone();
            }
            _ => {
                self.evaluation.settings = probed.environment.settings.clone();
                self.generation += 1;
            }
        }
        self.probed = Some(Arc::new(probed));
        self.bookmark = self.bookmark.max(bookmark);
        self.epoch = epoch;
        self.known = true;
    }
}
