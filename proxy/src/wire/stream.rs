//! The transport below a connection. One enum, so that a session's code is compiled once for all transports.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::config::Host;

/// A connect attempt to one upstream address may take this long unless `connect_timeout` is configured: longer than
/// any healthy network needs, shorter than a client's patience.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Postgres' own default port, for hosts configured without one.
const DEFAULT_PORT: u16 = 5432;

#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Where one upstream server listens.
#[derive(Clone, Debug)]
enum Address {
    Tcp(String, u16),
    Unix(PathBuf),
}

/// Opens a connection to the first of the configured upstream addresses that answers.
pub async fn connect(config: &tokio_postgres::Config) -> io::Result<Stream> {
    let limit = config.get_connect_timeout().copied().filter(|t| !t.is_zero()).unwrap_or(CONNECT_TIMEOUT);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no upstream host is configured");
    for address in addresses(config) {
        match tokio::time::timeout(limit, open(&address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::Error::new(io::ErrorKind::TimedOut, "timed out"),
        }
    }
    Err(last)
}

async fn open(address: &Address) -> io::Result<Stream> {
    match address {
        Address::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            Ok(Stream::Tcp(stream))
        }
        Address::Unix(path) => Ok(Stream::Unix(UnixStream::connect(path).await?)),
    }
}

fn addresses(config: &tokio_postgres::Config) -> Vec<Address> {
    let ports = config.get_ports();
    let port = |i: usize| ports.get(i).or(ports.first()).copied().unwrap_or(DEFAULT_PORT);
    let hosts = config.get_hosts().len().max(config.get_hostaddrs().len());
    (0..hosts)
        .filter_map(|i| match (config.get_hostaddrs().get(i), config.get_hosts().get(i)) {
            (Some(ip), _) => Some(Address::Tcp(ip.to_string(), port(i))),
            (None, Some(Host::Tcp(host))) => Some(Address::Tcp(host.clone(), port(i))),
            (None, Some(Host::Unix(folder))) => Some(Address::Unix(folder.join(format!(".s.PGSQL.{}", port(i))))),
            (None, None) => None,
        })
        .collect()
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
