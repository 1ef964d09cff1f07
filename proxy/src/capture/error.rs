//! What can go wrong between Weir and the replication stream. Every error but a table's own ends the stream; the
//! supervisor then opens a new one.

use crate::control::ControlError;
use crate::upstream::UpstreamError;
use std::io;

/// Why the stream could not be opened or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    #[error("replication connection: {0}")]
    Io(#[from] io::Error),
    #[error("replication connection: {0}")]
    Upstream(#[from] UpstreamError),
    #[error("replication connection: {0}")]
    Server(#[from] ServerError),
    #[error("replication connection: authentication: {0}")]
    Authentication(String),
    /// The server said something the protocol does not allow at this point.
    #[error("replication connection: protocol violation: {0}")]
    Protocol(String),
    #[error("logical decoding output: {0}")]
    Decode(#[from] super::pgoutput::DecodeError),
    /// What the change table holds is not what the triggers write.
    #[error("change table: {0}")]
    Changes(String),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("the server has been silent for {0} s on the replication connection")]
    Silent(u64),
    #[error("a task of the stream ended: {0}")]
    Task(String),
}

impl From<tokio_postgres::Error> for CaptureError {
    fn from(error: tokio_postgres::Error) -> CaptureError {
        CaptureError::Control(ControlError::Postgres(error))
    }
}

/// An ErrorResponse of the server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{severity} {sqlstate}: {message}")]
pub struct ServerError {
    pub severity: String,
    pub sqlstate: String,
    pub message: String,
}

impl ServerError {
    /// Reads the body of an ErrorResponse or NoticeResponse: fields of one type byte and a C string, then a zero byte.
    pub(super) fn parse(body: &[u8]) -> ServerError {
        let (mut severity, mut sqlstate, mut message) = (String::new(), String::new(), String::new());
        for field in body.split(|&byte| byte == 0) {
            let Some((&kind, text)) = field.split_first() else { break };
            let text = String::from_utf8_lossy(text);
            match kind {
                b'V' => severity = text.into_owned(),
                b'S' if severity.is_empty() => severity = text.into_owned(),
                b'C' => sqlstate = text.into_owned(),
                b'M' => message = text.into_owned(),
                _ => {}
            }
        }
        ServerError { severity, sqlstate, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_fields_are_read() {
        let error = ServerError::parse(b"SFEHLER\0VERROR\0C55006\0Mslot is active\0Fx.c\0\0");
        assert_eq!(error.to_string(), "ERROR 55006: slot is active");
    }
}
