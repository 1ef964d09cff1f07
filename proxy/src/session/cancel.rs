//! Cancel requests. Clients hold the key Postgres gave to their upstream connection, so a request is passed on as it
//! is; a session that waits inside Weir (for its bookmark) is woken here instead.

use super::context::SessionContext;
use crate::upstream::UpstreamError;
use crate::wire::endpoint::Endpoint;
use dashmap::DashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Postgres closes the connection as soon as it has read a cancel request; past this the request is lost, as it may
/// be without Weir.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

/// `CANCEL_REQUEST_CODE` in `src/include/libpq/pqcomm.h`.
const CANCEL_REQUEST: u32 = (1234 << 16) | 5678;

/// A session's side of cancellation.
#[derive(Debug, Default)]
pub(super) struct Cancel {
    /// Which of the configured upstream hosts its connection leads to.
    host: usize,
    /// The session waits inside Weir with nothing running upstream.
    waiting: AtomicBool,
    notify: Notify,
}

impl Cancel {
    pub(super) fn of_host(host: usize) -> Cancel {
        Cancel { host, ..Cancel::default() }
    }

    /// Runs `wait`; `None` when a cancel request arrived first.
    pub(super) async fn guard<T>(&self, wait: impl Future<Output = T>) -> Option<T> {
        let mut heed = self.heed();
        tokio::select! {
            biased;
            value = wait => Some(value),
            () = heed.heard() => None,
        }
    }

    /// From here on until it is dropped, cancel requests are heard here.
    pub(super) fn heed(&self) -> Heed<'_> {
        // Created first: it hears of every request from here on.
        let cancelled = Box::pin(self.notify.notified());
        self.waiting.store(true, Ordering::Release);
        Heed { cancel: self, cancelled }
    }
}

/// A time in which cancel requests are not passed on.
pub(super) struct Heed<'a> {
    cancel: &'a Cancel,
    cancelled: Pin<Box<Notified<'a>>>,
}

impl Heed<'_> {
    /// Ready when a cancel request has arrived.
    pub(super) async fn heard(&mut self) {
        self.cancelled.as_mut().await;
    }
}

impl Drop for Heed<'_> {
    fn drop(&mut self) {
        self.cancel.waiting.store(false, Ordering::Release);
    }
}

/// Sessions by their key (process id and secret as in BackendKeyData).
#[derive(Debug, Default)]
pub(super) struct Cancels {
    sessions: DashMap<Box<[u8]>, Arc<Cancel>>,
}

impl Cancels {
    pub(super) fn register(&self, key: &[u8], cancel: &Arc<Cancel>) {
        self.sessions.insert(key.into(), cancel.clone());
    }
    pub(super) fn remove(&self, key: &[u8]) {
        self.sessions.remove(key);
    }
}

/// Serves a cancel request. Nothing is reported to its sender, as in Postgres.
pub(super) async fn request(context: &SessionContext, key: &[u8]) {
    let known = context.cancels.sessions.get(key).map(|found| found.value().clone());
    if let Some(cancel) = &known
        && cancel.waiting.load(Ordering::Acquire)
    {
        cancel.notify.notify_waiters();
        return;
    }
    match tokio::time::timeout(CANCEL_TIMEOUT, pass_on(context, known.map(|cancel| cancel.host), key)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "cancel request not delivered"),
        Err(_) => tracing::debug!("cancel request timed out"),
    }
}

/// The client of a session whose statement still runs has vanished: nobody will read its answer, and Postgres would
/// notice only when it writes.
pub(super) async fn abandon(context: &SessionContext, cancel: &Cancel, key: &[u8]) {
    let passed_on = tokio::time::timeout(CANCEL_TIMEOUT, pass_on(context, Some(cancel.host), key)).await;
    if !matches!(passed_on, Ok(Ok(()))) {
        tracing::debug!("an abandoned statement was not cancelled");
    }
}

/// A key that is not known here may be that of a session through another Weir: Postgres knows.
async fn pass_on(context: &SessionContext, host: Option<usize>, key: &[u8]) -> Result<(), UpstreamError> {
    let upstream = &context.config.upstream;
    // Encrypted like the session, as far as that is known before: cancel requests are not subject to pg_hba.conf.
    let encryption = upstream.attempts()[0];
    let stream = match host {
        Some(host) => upstream.open_host(host, encryption).await?,
        None => upstream.open(encryption).await?.stream,
    };
    let mut upstream = Endpoint::new(stream);
    upstream.output.extend(&((key.len() + 8) as u32).to_be_bytes());
    upstream.output.extend(&CANCEL_REQUEST.to_be_bytes());
    upstream.output.extend(key);
    upstream.flush().await?;
    // Postgres closes when the signal is sent; waiting for that keeps the order a client may rely on.
    while !upstream.ended {
        upstream.fill().await?;
        let n = upstream.input.len();
        upstream.input.consume(n);
    }
    Ok(())
}
