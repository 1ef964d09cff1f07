//! One side of a session: a transport with a queue of bytes that came in and a queue of bytes to go out.

use super::buffer::Buffer;
use super::stream::Stream;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub struct Endpoint {
    stream: Stream,
    pub input: Buffer,
    pub output: Buffer,
    /// The peer has closed its sending half.
    pub ended: bool,
    /// Written bytes may still be held back by TLS.
    unflushed: bool,
}

impl Endpoint {
    pub fn new(stream: Stream) -> Endpoint {
        Endpoint { stream, input: Buffer::default(), output: Buffer::default(), ended: false, unflushed: false }
    }

    /// Reads once. Ready when something (or the end) arrived.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ended {
            return Poll::Pending;
        }
        let mut space = ReadBuf::new(self.input.space());
        let polled = Pin::new(&mut self.stream).poll_read(cx, &mut space);
        let n = space.filled().len();
        self.input.advance(n);
        // While nothing comes, no storage is held.
        self.input.release_if_empty();
        std::task::ready!(polled)?;
        self.ended = n == 0;
        Poll::Ready(Ok(()))
    }

    /// Writes once. Ready when some output has left; pending also when there is none.
    pub fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.output.is_empty() {
            if self.unflushed {
                std::task::ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
                self.unflushed = false;
            }
            return Poll::Pending;
        }
        let n = std::task::ready!(Pin::new(&mut self.stream).poll_write(cx, self.output.filled()))?;
        if n == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.output.consume(n);
        self.unflushed = self.stream.is_encrypted();
        Poll::Ready(Ok(()))
    }

    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// The transport alone, for a handshake on it. What has been read must have been dealt with.
    pub fn into_stream(self) -> Stream {
        debug_assert!(self.input.is_empty() && self.output.is_empty(), "bytes would be lost");
        self.stream
    }

    pub async fn fill(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    /// Writes all output.
    pub async fn flush(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            poll_fn(|cx| self.poll_drain(cx)).await?;
        }
        if self.unflushed {
            poll_fn(|cx| Pin::new(&mut self.stream).poll_flush(cx)).await?;
            self.unflushed = false;
        }
        Ok(())
    }

    /// Closes the sending half; the peer reads the end after what was written.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx)).await
    }
}
