//! The session's loop: bytes in both directions, one task, no lock. Bodies stream through buffers of fixed size;
//! when one side reads slowly, the other is not read from.

use super::cancel::{self, Cancel};
use super::context::SessionContext;
use super::cursor::Cursors;
use super::environment::State;
use super::expected::Expected;
use super::frontend::{ClientStep, Mode};
use super::login::LoggedIn;
use super::miscount::Miscount;
use super::opening::Opening;
use super::owed::Owed;
use super::privilege::Questions;
use super::reason::{self, Route};
use super::statements::Statements;
use super::upstream::UpstreamStep;
use crate::wire::endpoint::Endpoint;
use crate::wire::frame::InvalidLength;
use crate::wire::startup;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::time::Sleep;

/// Why a session ended other than by its client's or server's leave.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Startup(#[from] startup::InvalidLength),
    #[error("TLS handshake: {0}")]
    Handshake(#[source] io::Error),
    #[error("upstream: {0}")]
    Frame(#[from] InvalidLength),
    #[error("upstream closed the connection")]
    UpstreamGone,
    #[error("the client closed the connection during authentication")]
    ClientGone,
}

pub(super) struct Relay {
    pub(super) client: Endpoint,
    pub(super) upstream: Endpoint,
    pub(super) context: Arc<SessionContext>,
    /// Nothing is looked at: replication, or a database Weir does not watch.
    pub(super) raw: bool,
    /// A length that cannot be: what else the client sends is passed on as it comes.
    pub(super) client_is_garbled: bool,
    /// Bytes of the message being streamed that have not arrived yet, per direction.
    pub(super) client_body_left: usize,
    /// That message is not for upstream, which knows nothing of the batch any more.
    pub(super) client_body_dropped: bool,
    pub(super) upstream_body_left: usize,
    /// That message answers something of Weir's own and is not for the client.
    pub(super) upstream_body_swallowed: bool,
    pub(super) mode: Mode,
    pub(super) opening: Opening,
    pub(super) owed: Owed,
    pub(super) statements: Statements,
    pub(super) cursors: Cursors,
    /// The error that comes next is to be told of another statement.
    pub(super) miscount: Option<Miscount>,
    pub(super) state: State,
    pub(super) route: Route,
    /// A description has been answered whose Sync has not come: the client's transaction has taken a snapshot.
    pub(super) is_unsynced: bool,
    /// Privileges that a transaction block kept from being asked.
    pub(super) questions: Questions,
    /// Why the batch being forwarded was not answered from memory; empty when it was not tried.
    pub(super) declined: &'static str,
    pub(super) cancel: Arc<Cancel>,
    cancel_key: Option<Box<[u8]>>,
    /// The probe's statement exists upstream, as far as is known.
    pub(super) probe_prepared: bool,
    /// Reused by every local answer.
    pub(super) answer: Vec<u8>,
    /// Fires when a session that only reads memory must show upstream that it lives; see `idle`.
    pub(super) keepalive: Option<Pin<Box<Sleep>>>,
    client_end_passed_on: bool,
}

impl Relay {
    pub(super) fn new(client: Endpoint, logged_in: LoggedIn, context: Arc<SessionContext>, raw: bool) -> Relay {
        let LoggedIn { upstream, host } = logged_in;
        let mut owed = Owed::default();
        owed.push(Expected::Startup);
        Relay {
            client,
            upstream,
            context,
            raw,
            client_is_garbled: false,
            client_body_left: 0,
            client_body_dropped: false,
            upstream_body_left: 0,
            upstream_body_swallowed: false,
            mode: Mode::Open,
            opening: Opening::default(),
            owed,
            statements: Statements::default(),
            cursors: Cursors::default(),
            miscount: None,
            state: State::default(),
            route: Route::default(),
            is_unsynced: false,
            questions: Questions::default(),
            cancel: Arc::new(Cancel::of_host(host)),
            cancel_key: None,
            probe_prepared: false,
            answer: Vec::new(),
            declined: "",
            keepalive: None,
            client_end_passed_on: false,
        }
    }

    /// Runs until one side leaves. The other is then closed too: a vanished client's transaction ends upstream.
    pub(super) async fn run(mut self) -> Result<(), SessionError> {
        let result = self.relay().await;
        if let Some(key) = self.cancel_key.take() {
            self.context.cancels.remove(&key);
            if result.is_err() && !self.owed.is_idle() {
                cancel::abandon(&self.context, &self.cancel, &key).await;
            }
        }
        result
    }

    async fn relay(&mut self) -> Result<(), SessionError> {
        loop {
            if let UpstreamStep::Held { status } = self.look_at_upstream()? {
                self.release_when_settled(status).await?;
                continue;
            }
            let mut is_waiting = false;
            match self.look_at_client() {
                ClientStep::Wait => {}
                ClientStep::Later => is_waiting = true,
                ClientStep::Attempt(bytes) => {
                    self.attempt(bytes).await?;
                    continue;
                }
                ClientStep::MendFirst => {
                    self.mend_unnamed_apart().await?;
                    continue;
                }
                ClientStep::AskPortalFirst => {
                    self.ask_portal().await?;
                    continue;
                }
                ClientStep::SettleFirst => {
                    self.settle_cursors().await?;
                    continue;
                }
                ClientStep::ProbeFirst => {
                    self.probe_before_block().await?;
                    continue;
                }
            }
            if self.upstream.ended {
                self.client.flush().await?;
                let _ = self.client.shutdown().await;
                return Ok(());
            }
            if self.client.ended && !is_waiting && !self.client_end_passed_on {
                if let Mode::Collecting { .. } = self.mode {
                    // Its Sync will not come.
                    self.decline(reason::BATCH, true);
                    continue;
                }
                // A message cut short: Postgres may have something to say about its beginning.
                let cut = self.client.input.len();
                self.client.input.move_to(cut, &mut self.upstream.output);
                if self.upstream.output.is_empty() {
                    // Half-close: what upstream still says is passed on; it ends by itself when it has read the end.
                    self.client_end_passed_on = true;
                    self.upstream.shutdown().await?;
                }
            }
            if self.transfer(!is_waiting).await? {
                self.keep_alive().await?;
            }
        }
    }

    /// Waits until something moved; true when instead the keep-alive is due. `read_client`: what has come from it has
    /// been dealt with.
    async fn transfer(&mut self, read_client: bool) -> Result<bool, SessionError> {
        poll_fn(|cx| {
            let mut moved = false;
            // Nothing is read from one side before all was written to the other: a slow reader slows the writer instead of
            // filling memory, and what is read can be passed on where it lies.
            if let Poll::Ready(result) = self.client.poll_drain(cx) {
                result?;
                moved = true;
            }
            if let Poll::Ready(result) = self.upstream.poll_drain(cx) {
                result?;
                moved = true;
            }
            if self.client.output.is_empty()
                && let Poll::Ready(result) = self.upstream.poll_fill(cx)
            {
                result?;
                moved = true;
            }
            if read_client
                && self.upstream.output.is_empty()
                && let Poll::Ready(result) = self.client.poll_fill(cx)
            {
                result?;
                moved = true;
            }
            if moved {
                return Poll::Ready(Ok(false));
            }
            match &mut self.keepalive {
                Some(timer) => timer.as_mut().poll(cx).map(|()| Ok(true)),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// BackendKeyData passed by: the key under which this session can be cancelled.
    pub(super) fn register_key(&mut self, key: &[u8]) {
        self.context.cancels.register(key, &self.cancel);
        self.cancel_key = Some(key.into());
    }
}
