//! Opening a connection to the upstream: the hosts in order, TCP or Unix socket, and TLS as `sslmode` and
//! `sslnegotiation` say (libpq's `PQconnectPoll`, `select_next_encryption_method` in `src/interfaces/libpq/fe-connect.c`).

use super::{DEFAULT_PORT, Upstream};
use crate::tls::client::SslMode;
use crate::wire::startup::SSL_REQUEST_PACKET;
use crate::wire::stream::Stream;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::config::Host;

/// An attempt to reach one host (connection and TLS handshake) may take this long unless `connect_timeout` is
/// configured: longer than any healthy network needs, shorter than a client's patience.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What one attempt does about TLS. On a Unix socket none is used, as in libpq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    Never,
    /// Where the server offers it.
    IfOffered,
    Always,
}

/// A connection on which nothing but encryption has been agreed.
#[derive(Debug)]
pub struct Opened {
    pub stream: Stream,
    /// Which of the configured hosts it leads to.
    pub host: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("no upstream host is configured")]
    NoHost,
    #[error("timed out")]
    Timeout,
    #[error("server does not support SSL, but SSL was required")]
    TlsRefused,
    #[error("TLS: {0}")]
    Handshake(#[source] io::Error),
    #[error("unexpected answer {0:#04x} to a request for TLS")]
    Negotiation(u8),
}

impl UpstreamError {
    /// The SQLSTATE a client is told: 57P03 while Postgres cannot be reached, 08001 where it can but not as configured.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            UpstreamError::Io(_) | UpstreamError::Timeout => "57P03",
            UpstreamError::NoHost
            | UpstreamError::TlsRefused
            | UpstreamError::Handshake(_)
            | UpstreamError::Negotiation(_) => "08001",
        }
    }
}

/// Where one upstream server listens, and the name its certificate must have.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Address {
    Tcp { address: String, port: u16, name: String },
    Unix(PathBuf),
}

impl Upstream {
    /// What `sslmode` has tried, in this order: the next when the server refuses the login before it asks for a
    /// password, as servers do whose pg_hba.conf has no line for such a connection.
    pub fn attempts(&self) -> &'static [Encryption] {
        match self.tls.options().mode {
            SslMode::Disable => &[Encryption::Never],
            SslMode::Allow => &[Encryption::Never, Encryption::Always],
            SslMode::Prefer => &[Encryption::IfOffered, Encryption::Never],
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[Encryption::Always],
        }
    }

    /// Opens a connection to the first host that answers.
    pub async fn open(&self, encryption: Encryption) -> Result<Opened, UpstreamError> {
        let mut last = UpstreamError::NoHost;
        for host in 0..self.addresses().len() {
            match self.open_host(host, encryption).await {
                Ok(stream) => return Ok(Opened { stream, host }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Opens a connection to one of the configured hosts.
    pub async fn open_host(&self, host: usize, encryption: Encryption) -> Result<Stream, UpstreamError> {
        let address = self.addresses().into_iter().nth(host).ok_or(UpstreamError::NoHost)?;
        let limit = self.config.get_connect_timeout().copied().filter(|limit| !limit.is_zero());
        let attempt = self.reach(&address, encryption);
        tokio::time::timeout(limit.unwrap_or(CONNECT_TIMEOUT), attempt).await.unwrap_or(Err(UpstreamError::Timeout))
    }

    async fn reach(&self, address: &Address, encryption: Encryption) -> Result<Stream, UpstreamError> {
        let (socket, name) = match address {
            Address::Unix(path) => return Ok(Stream::Unix(UnixStream::connect(path).await?)),
            Address::Tcp { address, port, name } => (self.dial(address, *port).await?, name),
        };
        match (encryption, self.secure(socket, name, encryption).await) {
            // As libpq with `prefer`: once more, without.
            (Encryption::IfOffered, Err(UpstreamError::Handshake(error))) => {
                tracing::debug!(%error, "TLS to the upstream failed; sslmode=prefer goes on without");
                let Address::Tcp { address, port, .. } = address else { unreachable!("a handshake is over TCP") };
                Ok(Stream::Tcp(self.dial(address, *port).await?))
            }
            (_, result) => result,
        }
    }

    async fn dial(&self, address: &str, port: u16) -> io::Result<TcpStream> {
        let socket = TcpStream::connect((address, port)).await?;
        socket.set_nodelay(true)?;
        if self.config.get_keepalives() {
            let keepalive = TcpKeepalive::new().with_time(self.config.get_keepalives_idle());
            SockRef::from(&socket).set_tcp_keepalive(&keepalive)?;
        }
        Ok(socket)
    }

    async fn secure(&self, mut socket: TcpStream, name: &str, encryption: Encryption) -> Result<Stream, UpstreamError> {
        if encryption == Encryption::Never {
            return Ok(Stream::Tcp(socket));
        }
        let direct = self.tls.options().direct;
        if !direct {
            socket.write_all(&SSL_REQUEST_PACKET).await?;
            // One byte and no more: whatever came behind it in the clear would be read as part of the handshake.
            match socket.read_u8().await? {
                b'S' => {}
                b'N' if encryption == Encryption::IfOffered => return Ok(Stream::Tcp(socket)),
                b'N' => return Err(UpstreamError::TlsRefused),
                other => return Err(UpstreamError::Negotiation(other)),
            }
        }
        self.tls.connect(socket, name, direct).await.map_err(UpstreamError::Handshake)
    }

    fn addresses(&self) -> Vec<Address> {
        let (hosts, numbers, ports) = (self.config.get_hosts(), self.config.get_hostaddrs(), self.config.get_ports());
        let port = |i: usize| ports.get(i).or(ports.first()).copied().unwrap_or(DEFAULT_PORT);
        (0..hosts.len().max(numbers.len()))
            .filter_map(|i| match (numbers.get(i), hosts.get(i)) {
                (None, Some(Host::Unix(folder))) => Some(Address::Unix(folder.join(format!(".s.PGSQL.{}", port(i))))),
                (Some(number), host) => {
                    let address = number.to_string();
                    let name = match host {
                        Some(Host::Tcp(name)) => name.clone(),
                        _ => address.clone(),
                    };
                    Some(Address::Tcp { address, port: port(i), name })
                }
                (None, Some(Host::Tcp(name))) => {
                    Some(Address::Tcp { address: name.clone(), port: port(i), name: name.clone() })
                }
                (None, None) => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::client::{ClientOptions, ClientTls};

    #[test]
    fn a_host_is_reached_by_its_address_and_known_by_its_name() {
        let config: tokio_postgres::Config =
            "host=db.example,/run/pg hostaddr=10.0.0.1 port=6000,6001".parse().unwrap();
        let expected = [
            Address::Tcp { address: "10.0.0.1".into(), port: 6000, name: "db.example".into() },
            Address::Unix("/run/pg/.s.PGSQL.6001".into()),
        ];
        assert_eq!(Upstream::from(config).addresses(), expected);
    }

    #[test]
    fn weak_modes_have_a_second_attempt() {
        let attempts = |mode| {
            let tls = ClientTls::load(ClientOptions { mode, ..ClientOptions::default() }).unwrap();
            Upstream::new(tokio_postgres::Config::new(), tls).attempts()
        };
        assert_eq!(attempts(SslMode::Allow), [Encryption::Never, Encryption::Always]);
        assert_eq!(attempts(SslMode::Prefer), [Encryption::IfOffered, Encryption::Never]);
        assert_eq!(attempts(SslMode::Require), [Encryption::Always]);
    }
}
