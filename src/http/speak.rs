//! How one connection is spoken with: HTTP/1.1 or HTTP/2 with bounds on everything that a client decides.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::{Request, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tower::Service;

use super::connections::Place;
use super::line::{Ending, Line, Watched};
use super::pieces::Answer;
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
    Ok(response.map(|body| Answer::new(body, busy, on_stream)))
}
