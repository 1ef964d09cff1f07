//! Accepting clients.

use super::context::SessionContext;
use super::relay::SessionError;
use super::startup;
use super::workers::Workers;
use crate::wire::stream::Stream;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// More sessions than this are refused with 53300: each costs two sockets and about 64 KiB of buffers, and Postgres'
/// own `max_connections` is nearly always far lower.
pub(super) const MAX_CLIENTS: usize = 10_000;

/// After a failed accept (out of descriptors, usually) the listener waits this long instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

pub struct Listener {
    listener: TcpListener,
}

impl Listener {
    pub async fn bind(address: SocketAddr) -> io::Result<Listener> {
        Ok(Listener { listener: TcpListener::bind(address).await? })
    }

    /// The address in use; differs from the configured one when that had port 0.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Serves clients until the future is dropped; each is a task on one of the workers.
pub async fn serve(listener: Listener, context: Arc<SessionContext>, workers: Workers) {
    loop {
        match listener.listener.accept().await {
            Ok((socket, peer)) => {
                context.metrics.connections.fetch_add(1, Ordering::Relaxed);
                // Out of this thread's reactor, to be registered with the worker's.
                let socket = match socket.set_nodelay(true).and_then(|()| socket.into_std()) {
                    Ok(socket) => socket,
                    Err(error) => {
                        tracing::debug!(%error, %peer, "client socket");
                        continue;
                    }
                };
                let context = context.clone();
                workers.spawn(async move {
                    context.clients.fetch_add(1, Ordering::Relaxed);
                    if let Err(error) = session(socket, &context).await {
                        tracing::debug!(%error, %peer, "session ended");
                    }
                    context.clients.fetch_sub(1, Ordering::Relaxed);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn session(socket: std::net::TcpStream, context: &Arc<SessionContext>) -> Result<(), SessionError> {
    startup::accept(Stream::Tcp(TcpStream::from_std(socket)?), context).await
}
