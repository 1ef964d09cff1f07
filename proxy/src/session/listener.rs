//! Accepting clients.

use super::context::SessionContext;
use super::relay::SessionError;
use super::startup;
use super::unix::SocketFile;
use super::workers::Workers;
use crate::config::UnixSocket;
use crate::wire::stream::Stream;
use socket2::SockRef;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixStream};

/// After a failed accept (out of descriptors, usually) the listener waits this long instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A client's socket out of this thread's reactor, to be registered with the worker's.
enum Accepted {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

pub struct Listener {
    tcp: TcpListener,
    unix: Option<SocketFile>,
}

impl Listener {
    /// `unix`: also on a Unix socket, whose name carries the port of `address`.
    pub async fn bind(address: SocketAddr, unix: Option<&UnixSocket>) -> io::Result<Listener> {
        let tcp = TcpListener::bind(address).await?;
        let port = tcp.local_addr()?.port();
        let unix = unix.map(|unix| SocketFile::bind(unix, port)).transpose()?;
        Ok(Listener { tcp, unix })
    }

    /// The address in use; differs from the configured one when that had port 0.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    async fn accept(&self) -> io::Result<Accepted> {
        let unix = async {
            match &self.unix {
                Some(unix) => unix.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = self.tcp.accept() => {
                let (socket, _) = accepted?;
                socket.set_nodelay(true)?;
                // As Postgres: a peer whose machine is gone is noticed some day.
                SockRef::from(&socket).set_keepalive(true)?;
                Ok(Accepted::Tcp(socket.into_std()?))
            }
            accepted = unix => Ok(Accepted::Unix(accepted?.into_std()?)),
        }
    }
}

/// Serves clients until the future is dropped; each is a task on one of the workers.
pub async fn serve(listener: Listener, context: Arc<SessionContext>, workers: Workers) {
    loop {
        match listener.accept().await {
            Ok(socket) => {
                context.metrics.connections.fetch_add(1, Ordering::Relaxed);
                let context = context.clone();
                workers.spawn(async move {
                    context.clients.fetch_add(1, Ordering::Relaxed);
                    if let Err(error) = session(socket, &context).await {
                        tracing::debug!(%error, "session ended");
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

async fn session(socket: Accepted, context: &Arc<SessionContext>) -> Result<(), SessionError> {
    let stream = match socket {
        Accepted::Tcp(socket) => Stream::Tcp(TcpStream::from_std(socket)?),
        Accepted::Unix(socket) => Stream::Unix(UnixStream::from_std(socket)?),
    };
    startup::accept(stream, context).await
}
