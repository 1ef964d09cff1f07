//! Frames of the Postgres wire protocol on a replication connection, and the copy-both messages inside them.
//! Authentication is in `startup`, what the stream says in `pgoutput`.

use super::error::{CaptureError, ServerError};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use postgres_protocol::message::frontend;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use weir_cache::Position;

/// What a replication connection runs over: a stream to the upstream.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

/// One backend message without its length word.
#[derive(Debug)]
pub(super) struct Frame {
    pub tag: u8,
    pub body: Bytes,
}

/// Room asked for at each read: several hundred row changes, or one page of a large one.
const READ_CAPACITY_BYTES: usize = 64 * 1024;

/// Seconds from the Unix epoch to Postgres' (2000-01-01).
const POSTGRES_EPOCH_SECS: u64 = 946_684_800;

pub(super) struct Connection {
    socket: Box<dyn Socket>,
    input: BytesMut,
    output: BytesMut,
    /// The walsender's process id, from BackendKeyData.
    pub process_id: i32,
}

impl Connection {
    pub(super) fn new(socket: Box<dyn Socket>) -> Connection {
        Connection { socket, input: BytesMut::new(), output: BytesMut::new(), process_id: 0 }
    }

    /// A whole frame that has been received already, if there is one.
    pub(super) fn buffered_frame(&mut self) -> Result<Option<Frame>, CaptureError> {
        let Some((tag, length)) = self.input.first_chunk::<5>().map(|h| (h[0], [h[1], h[2], h[3], h[4]])) else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(length) as usize;
        if length < 4 {
            return Err(CaptureError::Protocol(format!("message {:?} of length {length}", tag as char)));
        }
        if self.input.len() < length + 1 {
            self.input.reserve(length + 1 - self.input.len());
            return Ok(None);
        }
        let mut frame = self.input.split_to(length + 1);
        frame.advance(5);
        Ok(Some(Frame { tag, body: frame.freeze() }))
    }

    /// Reads what the server has sent. Cancelling it loses nothing.
    pub(super) async fn fill(&mut self) -> Result<(), CaptureError> {
        self.input.reserve(READ_CAPACITY_BYTES);
        match self.socket.read_buf(&mut self.input).await? {
            0 => Err(CaptureError::Io(io::Error::new(io::ErrorKind::UnexpectedEof, "closed by the server"))),
            _ => Ok(()),
        }
    }

    /// The next frame that is neither a notice nor a parameter; an ErrorResponse becomes an error.
    pub(super) async fn frame(&mut self) -> Result<Frame, CaptureError> {
        loop {
            match self.buffered_frame()? {
                None => self.fill().await?,
                Some(Frame { tag: b'E', body }) => return Err(ServerError::parse(&body).into()),
                Some(Frame { tag: b'N' | b'S' | b'A', .. }) => {}
                Some(frame) => return Ok(frame),
            }
        }
    }

    /// Encodes with one of `postgres_protocol`'s writers and sends.
    pub(super) async fn send(
        &mut self,
        encode: impl FnOnce(&mut BytesMut) -> io::Result<()>,
    ) -> Result<(), CaptureError> {
        self.output.clear();
        encode(&mut self.output)?;
        self.socket.write_all(&self.output).await?;
        self.socket.flush().await?;
        Ok(())
    }

    /// Runs a replication command that ends in ReadyForQuery; its rows are not read.
    pub(super) async fn command(&mut self, text: &str) -> Result<(), CaptureError> {
        self.send(|output| frontend::query(text, output)).await?;
        while self.frame().await?.tag != b'Z' {}
        Ok(())
    }

    /// START_REPLICATION: from here on the connection is in copy-both mode.
    pub(super) async fn start_copy_both(&mut self, text: &str) -> Result<(), CaptureError> {
        self.send(|output| frontend::query(text, output)).await?;
        match self.frame().await?.tag {
            b'W' => Ok(()),
            tag => Err(CaptureError::Protocol(format!("{:?} instead of CopyBothResponse", tag as char))),
        }
    }

    /// Standby status update: everything up to `received` is written, flushed and applied. With `reply`, the server is
    /// asked to say at once how far it is.
    pub(super) async fn send_status(&mut self, received: Position, reply: bool) -> Result<(), CaptureError> {
        let mut body = [0_u8; 34];
        {
            let mut body = &mut body[..];
            body.put_u8(b'r');
            for _written_flushed_applied in 0..3 {
                body.put_u64(received.0);
            }
            body.put_i64(postgres_clock_micros());
            body.put_u8(u8::from(reply));
        }
        self.send(|output| {
            frontend::CopyData::new(&body[..])?.write(output);
            Ok(())
        })
        .await
    }
}

/// What a CopyData frame of a logical walsender holds.
#[derive(Debug)]
pub(super) enum StreamFrame {
    /// One message of the output plugin.
    Data(Bytes),
    /// The server's position: everything up to it has been sent. `reply` asks for a status update at once.
    Keepalive { position: Position, reply: bool },
}

impl StreamFrame {
    pub(super) fn parse(frame: Frame) -> Result<StreamFrame, CaptureError> {
        let mut body = match frame.tag {
            b'd' => frame.body,
            b'E' => return Err(ServerError::parse(&frame.body).into()),
            b'c' | b'C' => return Err(CaptureError::Protocol("the server ended the stream".into())),
            tag => return Err(CaptureError::Protocol(format!("message {:?} in the stream", tag as char))),
        };
        match body.first() {
            // start, end (both the message's own position in logical replication), send time
            Some(b'w') if body.len() >= 25 => {
                body.advance(25);
                Ok(StreamFrame::Data(body))
            }
            Some(b'k') if body.len() >= 18 => {
                body.advance(1);
                let position = Position(body.get_u64());
                body.advance(8);
                Ok(StreamFrame::Keepalive { position, reply: body.get_u8() != 0 })
            }
            _ => Err(CaptureError::Protocol("unknown or short message in the stream".into())),
        }
    }
}

/// Microseconds since 2000-01-01 UTC by the local clock; informative only.
fn postgres_clock_micros() -> i64 {
    let epoch = UNIX_EPOCH + Duration::from_secs(POSTGRES_EPOCH_SECS);
    SystemTime::now().duration_since(epoch).map_or(0, |since| since.as_micros() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_are_cut_at_their_length_wherever_the_bytes_break() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut connection = Connection::new(Box::new(near));
        let bytes = b"N\0\0\0\x05\0Z\0\0\0\x05I";
        tokio::spawn(async move {
            for byte in bytes {
                far.write_all(&[*byte]).await.expect("duplex stays open");
            }
            std::future::pending::<()>().await;
        });
        let frame = connection.frame().await.expect("a notice, then ReadyForQuery");
        assert_eq!((frame.tag, &frame.body[..]), (b'Z', &b"I"[..]));
    }

    #[test]
    fn keepalive_and_data() {
        let mut body = BytesMut::new();
        body.put_u8(b'k');
        body.put_u64(0x1_0000_0010);
        body.put_i64(0);
        body.put_u8(1);
        let frame = StreamFrame::parse(Frame { tag: b'd', body: body.freeze() });
        assert!(matches!(frame, Ok(StreamFrame::Keepalive { position: Position(0x1_0000_0010), reply: true })));
        let mut body = BytesMut::from(&b"w"[..]);
        body.put_bytes(0, 24);
        body.put_slice(b"C...");
        let frame = StreamFrame::parse(Frame { tag: b'd', body: body.freeze() });
        assert!(matches!(frame, Ok(StreamFrame::Data(data)) if &data[..] == b"C..."));
    }

    #[test]
    fn a_length_below_four_is_a_protocol_violation() {
        let (near, _far) = tokio::io::duplex(1);
        let mut connection = Connection::new(Box::new(near));
        connection.input.extend_from_slice(b"Z\0\0\0\x03");
        assert!(matches!(connection.buffered_frame(), Err(CaptureError::Protocol(_))));
    }

    #[test]
    fn damaged_frames_are_errors() {
        let recorded: [&[u8]; 3] = [
            b"dk\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\0\x01",
            b"dw\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\0C",
            b"ESFEHLER\0VERROR\0C55006\0Mslot is active\0Fx.c\0\0",
        ];
        weir_tests::hostile::hammer("stream frames", &recorded, |bytes| {
            let Some((tag, body)) = bytes.split_first() else { return false };
            StreamFrame::parse(Frame { tag: *tag, body: Bytes::copy_from_slice(body) }).is_ok()
        });
    }
}
