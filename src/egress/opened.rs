//! Connections for protocols other than HTTP, through the same judgement: the list, every address, TLS as elsewhere.
//!
//! Never reads more than whoever opened it allowed, and never goes on without TLS where TLS was asked for.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Uri;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::gate::{find, handshake};
use super::{EgressError, Gate, Limits};

/// A connection to a host that the gate allows.
pub struct Opened {
    stream: Stream,
    host: String,
    address: SocketAddr,
    deadline: Instant,
    limit: usize,
    left: usize,
}

enum Stream {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

impl Gate {
    /// Opens a connection to a target of the list, `https://host:port/` where TLS is to follow by [`Gate::secure`]. Of
    /// the limits, `max_body` bounds all that is ever read. Whoever opened it says how it ended: [`Gate::ended`].
    ///
    /// # Errors
    /// [`EgressError`]; nothing was sent.
    pub async fn open(&self, target: &Uri, limits: Limits) -> Result<Opened, EgressError> {
        self.connector.ledger.requested();
        self.judge(target)?;
        let host = target.host().ok_or(EgressError::NoTarget)?.to_owned();
        let connected = timeout_at(limits.deadline, self.connector.connect(target)).await;
        let stream = connected.unwrap_or(Err(EgressError::Timeout))?;
        let address = stream.peer_addr().map_err(|_| EgressError::Connect)?;
        let (deadline, limit) = (limits.deadline, limits.max_body);
        Ok(Opened { stream: Stream::Plain(stream), host, address, deadline, limit, left: limit })
    }

    /// Begins TLS on an open connection, with the host's certificate judged as everywhere.
    ///
    /// # Errors
    /// [`EgressError::Tls`], or that the time was over.
    pub async fn secure(&self, opened: Opened) -> Result<Opened, EgressError> {
        let plain = match opened.stream {
            Stream::Plain(stream) => stream,
            stream @ Stream::Secure(_) => return Ok(Opened { stream, ..opened }),
        };
        // An IPv6 literal stands in brackets in a URI alone.
        let name = opened.host.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(name).map_err(|_| EgressError::NoTarget)?;
        let begun = TlsConnector::from(self.tls.clone()).connect(name, plain);
        let begun = timeout_at(opened.deadline, begun).await.map_err(|_| EgressError::Timeout)?;
        let stream = Stream::Secure(Box::new(begun.map_err(|error| handshake(&error))?));
        Ok(Opened { stream, ..opened })
    }

    /// Counts how a connection of [`Gate::open`] ended: with the whole of what was asked, or why not.
    pub fn ended(&self, how: Result<(), &EgressError>) {
        match how {
            Ok(()) => self.connector.ledger.answered(0),
            Err(error) => self.connector.ledger.failed(error),
        }
    }
}

impl Opened {
    /// Where it leads.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// When everything must be over.
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }
}

impl EgressError {
    /// What an error of reading or writing such a connection means.
    pub fn of_connection(error: &(dyn std::error::Error + 'static)) -> Self {
        find::<Self>(error).cloned().unwrap_or(Self::Broken)
    }
}

impl AsyncRead for Opened {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other(EgressError::TooLarge { limit: self.limit })));
        }
        let before = buffer.filled().len();
        let read = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Secure(stream) => Pin::new(stream).poll_read(cx, buffer),
        };
        self.left = self.left.saturating_sub(buffer.filled().len() - before);
        read
    }
}

impl AsyncWrite for Opened {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Secure(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Secure(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Secure(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Opened").field("host", &self.host).finish_non_exhaustive()
    }
}
