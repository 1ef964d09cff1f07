//! Opens a replication connection: socket, StartupMessage with `replication=database`, authentication (trust, cleartext,
//! md5, SCRAM-SHA-256 without channel binding). Takes the same configuration as the control connections.

use super::client::{Connection, Frame};
use super::error::CaptureError;
use bytes::Buf;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;
use std::io;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// libpq's default port.
const DEFAULT_PORT: u16 = 5432;

/// A server that accepts the socket but does not finish authentication in this time is taken for dead, unless the
/// configuration names its own connect timeout.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(10);

/// Connects to the first host that accepts, as the control connections do.
pub(super) async fn connect(config: &Config) -> Result<Connection, CaptureError> {
    if config.get_ssl_mode() == SslMode::Require {
        return Err(CaptureError::Protocol("TLS to the upstream is not supported".into()));
    }
    let timeout = config.get_connect_timeout().copied().unwrap_or(STARTUP_TIMEOUT);
    let mut last = CaptureError::Protocol("no upstream host is configured".into());
    for index in 0..config.get_hosts().len().max(config.get_hostaddrs().len()) {
        let attempt = async {
            let mut connection = open(config, index).await?;
            authenticate(&mut connection, config).await?;
            Ok(connection)
        };
        match tokio::time::timeout(timeout, attempt).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => last = error,
            Err(_elapsed) => last = io::Error::new(io::ErrorKind::TimedOut, "no answer at start-up").into(),
        }
    }
    Err(last)
}

/// Opens the socket of the configuration's host number `index`.
async fn open(config: &Config, index: usize) -> Result<Connection, CaptureError> {
    let port = match config.get_ports() {
        [] => DEFAULT_PORT,
        [port] => *port,
        ports => ports.get(index).copied().unwrap_or(DEFAULT_PORT),
    };
    let stream = match (config.get_hostaddrs().get(index), config.get_hosts().get(index)) {
        (Some(address), _) => TcpStream::connect((*address, port)).await?,
        (None, Some(Host::Tcp(name))) => TcpStream::connect((name.as_str(), port)).await?,
        (None, Some(Host::Unix(directory))) => {
            let stream = UnixStream::connect(directory.join(format!(".s.PGSQL.{port}"))).await?;
            return Ok(Connection::new(Box::new(stream)));
        }
        (None, None) => return Err(CaptureError::Protocol("no upstream host is configured".into())),
    };
    stream.set_nodelay(true)?;
    Ok(Connection::new(Box::new(stream)))
}

/// Start-up and authentication up to the first ReadyForQuery.
async fn authenticate(connection: &mut Connection, config: &Config) -> Result<(), CaptureError> {
    let user = config
        .get_user()
        .ok_or_else(|| CaptureError::Authentication("the upstream configuration names no user".into()))?;
    let mut parameters = vec![
        ("user", user),
        ("database", config.get_dbname().unwrap_or(user)),
        ("replication", "database"),
        ("application_name", "weir capture"),
        ("client_encoding", "UTF8"),
    ];
    if let Some(options) = config.get_options() {
        parameters.push(("options", options));
    }
    connection.send(|output| frontend::startup_message(parameters, output)).await?;
    loop {
        let Frame { tag, mut body } = connection.frame().await?;
        match tag {
            b'R' if body.len() >= 4 => match body.get_u32() {
                0 => {}
                3 => {
                    let password = password(config)?.to_vec();
                    connection.send(|output| frontend::password_message(&password, output)).await?;
                }
                5 => {
                    let salt = body.first_chunk::<4>().copied();
                    let salt = salt.ok_or_else(|| CaptureError::Protocol("md5 request without salt".into()))?;
                    let hash = md5_hash(user.as_bytes(), password(config)?, salt);
                    connection.send(|output| frontend::password_message(hash.as_bytes(), output)).await?;
                }
                10 => scram(connection, password(config)?, &body).await?,
                method => return Err(CaptureError::Authentication(format!("method {method} is not supported"))),
            },
            b'K' if body.len() >= 8 => connection.process_id = body.get_i32(),
            b'Z' => return Ok(()),
            tag => return Err(CaptureError::Protocol(format!("message {:?} at start-up", tag as char))),
        }
    }
}

fn password(config: &Config) -> Result<&[u8], CaptureError> {
    config
        .get_password()
        .ok_or_else(|| CaptureError::Authentication("the server asks for a password; none given".into()))
}

/// The SASL exchange (RFC 5802) after AuthenticationSASL, up to its final message.
async fn scram(connection: &mut Connection, password: &[u8], mechanisms: &[u8]) -> Result<(), CaptureError> {
    if !mechanisms.split(|&byte| byte == 0).any(|name| name == SCRAM_SHA_256.as_bytes()) {
        return Err(CaptureError::Authentication("the server offers no SCRAM-SHA-256".into()));
    }
    let refused = |error: io::Error| CaptureError::Authentication(error.to_string());
    let mut exchange = ScramSha256::new(password, ChannelBinding::unsupported());
    let first = exchange.message().to_vec();
    connection.send(|output| frontend::sasl_initial_response(SCRAM_SHA_256, &first, output)).await?;
    exchange.update(&sasl_step(connection, 11).await?).map_err(refused)?;
    let proof = exchange.message().to_vec();
    connection.send(|output| frontend::sasl_response(&proof, output)).await?;
    exchange.finish(&sasl_step(connection, 12).await?).map_err(refused)
}

/// The data of the expected SASL step: 11 continue, 12 final.
async fn sasl_step(connection: &mut Connection, expected: u32) -> Result<Vec<u8>, CaptureError> {
    let Frame { tag, mut body } = connection.frame().await?;
    if tag == b'R' && body.len() >= 4 && body.get_u32() == expected {
        return Ok(body.to_vec());
    }
    Err(CaptureError::Protocol("the SASL exchange broke off".into()))
}
