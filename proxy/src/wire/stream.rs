//! The transport below a connection. One enum, so that a session's code is compiled once for all transports.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Boxed: a TLS connection's state is ten times the size of a socket.
    Tls(Box<Secured>),
}

/// A TCP connection within TLS, on either side.
#[derive(Debug)]
pub struct Secured {
    pub tls: TlsStream<TcpStream>,
    /// `tls-server-end-point` of the certificate in use, which SCRAM may bind a login to.
    pub end_point: Option<Arc<[u8]>>,
}

impl Stream {
    /// What SCRAM may bind a login on this connection to.
    pub fn end_point(&self) -> Option<&Arc<[u8]>> {
        match self {
            Stream::Tls(secured) => secured.end_point.as_ref(),
            Stream::Tcp(_) | Stream::Unix(_) => None,
        }
    }

    pub fn is_encrypted(&self) -> bool {
        matches!(self, Stream::Tls(_))
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(secured) => match Pin::new(&mut secured.tls).poll_read(cx, buf) {
                // A peer that closes its socket without TLS' close_notify has closed it all the same: the messages
                // inside have lengths of their own, and a vanished client leaves no other way.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
                result => result,
            },
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(secured) => Pin::new(&mut secured.tls).poll_write(cx, buf),
        }
    }
    /// TLS may hold written bytes back; sockets do not.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(_) | Stream::Unix(_) => Poll::Ready(Ok(())),
            Stream::Tls(secured) => Pin::new(&mut secured.tls).poll_flush(cx),
        }
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(secured) => Pin::new(&mut secured.tls).poll_shutdown(cx),
        }
    }
}
