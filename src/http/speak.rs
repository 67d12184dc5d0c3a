//! How one connection is spoken with: HTTP/1.1 or HTTP/2 with bounds on everything that a client decides.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::{Request, Version};
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tower::Service;

use super::answers::Waiting;
use super::connections::Place;
use super::line::{Busy, Ending, Line, Watched};
use super::tls::Tls;
use super::{Peer, leftover};

/// What answers requests: the front of this server, or a router.
pub(super) trait Answers:
    Service<Request<Body>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
}

impl<S> Answers for S where
    S: Service<Request<Body>, Response = Response, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// Speaks with every connection of a listener.
pub(super) struct Speaker<S> {
    service: S,
    builder: Builder<TokioExecutor>,
    tls: Option<Arc<Tls>>,
}

impl<S: Answers> Speaker<S> {
    pub(super) fn new(service: S, tls: Option<Arc<Tls>>) -> Self {
        Self { service, builder: builder(), tls }
    }

    /// Speaks until the connection ends.
    pub(super) async fn speak(&self, stream: TcpStream, peer: SocketAddr, place: &Place) {
        let line = &place.line;
        let stream = Watched { stream, line: line.clone() };
        match &self.tls {
            None => self.converse(stream, peer, line).await,
            Some(tls) => {
                if let Some(secured) = tls.accept(stream, line).await {
                    // The first request has its ten seconds from here.
                    line.expect_head();
                    self.converse(secured, peer, line).await;
                }
            }
        }
    }

    async fn converse(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: SocketAddr,
        line: &Arc<Line>,
    ) {
        let (front, own) = (self.service.clone(), line.clone());
        let service = service_fn(move |request| answer(front.clone(), own.clone(), peer, request));
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(stream), service));
        loop {
            tokio::select! {
                // A connection that breaks is the client's affair.
                _ = connection.as_mut() => return,
                () = line.woken() => {}
            }
            match line.ending() {
                None => {}
                Some(Ending::Broken) => return,
                Some(Ending::Drained | Ending::Shed) => connection.as_mut().graceful_shutdown(),
            }
        }
    }
}

/// The bounds that hyper and h2 keep. Times are kept by [`super::connections`]: no timer per request.
fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().header_read_timeout(None).max_headers(110).max_buf_size(64 * 1024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(100)
        // A body is at most 1 MiB, and so many may be unread on one connection together as fit in this window.
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(256 * 1024)
        .max_send_buf_size(64 * 1024)
        // Counted with 32 bytes for each field (RFC 9113, 6.5.2); the layers count exactly.
        .max_header_list_size(20 * 1024)
        // Streams that the client resets before they are looked at (CVE-2023-44487), and that we reset for its
        // errors: more of them, and the connection is closed.
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(100)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// Answers one request, which knows the other end.
async fn answer(
    mut service: impl Answers,
    line: Arc<Line>,
    peer: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    let on_stream = request.version() == Version::HTTP_2;
    let busy = line.begin(on_stream);
    request.extensions_mut().insert(Peer(peer));
    request.extensions_mut().insert(line.clone());
    let (request, leftover) = leftover::lend(request, &line);
    poll_fn(|context| service.poll_ready(context)).await?;
    let mut response = service.call(request.map(Body::new)).await?;
    leftover.settle(&mut response).await;
    let waits = (on_stream && !hyper::body::Body::is_end_stream(response.body())).then(|| line.answer());
    Ok(response.map(|body| Answer { body, busy, waits }))
}

/// An answer's body: its connection is busy until it has been taken.
struct Answer {
    body: Body,
    busy: Busy,
    /// HTTP/2 asks for a body only while its stream has a window: since when it was not asked.
    waits: Option<Arc<Waiting>>,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Some(waits) = &self.waits {
            self.busy.0.turn(waits, polled.is_ready());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(waits) = &self.waits {
            self.busy.0.answered(waits);
        }
    }
}
