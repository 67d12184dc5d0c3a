//! The accept loop: bounded connections, bounded headers and patience, and a drain that lets calls finish.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{Peer, leftover};

/// A client that has not sent its headers after this long is not served (product.md 7).
const HEADERS_WITHIN: Duration = Duration::from_secs(10);

/// Calls in flight may take this long after the drain began (product.md 7).
const FINISH_WITHIN: Duration = Duration::from_secs(25);

/// How HTTP/2 begins (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Between two looks at a beginning that is still too short to tell.
const BETWEEN_PEEKS: Duration = Duration::from_millis(50);

/// Wait after a failed accept (out of file descriptors), so that the loop does not spin.
const PAUSE: Duration = Duration::from_millis(100);

/// Why the address cannot be listened on.
#[derive(Debug)]
pub struct ServeError {
    /// The address.
    pub address: SocketAddr,
    /// The system's reason.
    pub cause: std::io::Error,
}

/// A bound listener.
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
}

/// Binds an address; port 0 takes a free one.
pub async fn listen(address: SocketAddr) -> Result<Listening, ServeError> {
    let failed = |cause| ServeError { address, cause };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Listening { listener, address })
}

impl Listening {
    /// The bound address.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`, then lets what is in flight finish.
    pub async fn serve(self, router: Router, connections: u32, stop: CancellationToken) {
        let most = if connections == 0 { Semaphore::MAX_PERMITS } else { connections as usize };
        let slots = Arc::new(Semaphore::new(most));
        let builder = Arc::new(builder());
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.accept(&slots) => accepted,
            };
            match accepted {
                Ok((stream, peer, slot)) => {
                    let speaking = speak(stream, peer, router.clone(), builder.clone(), graceful.watcher());
                    tokio::spawn(async move {
                        speaking.await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::error!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        drop(self.listener);
        if tokio::time::timeout(FINISH_WITHIN, graceful.shutdown()).await.is_err() {
            tracing::warn!("connections were still busy at the end of the drain");
        }
    }

    async fn accept(
        &self,
        slots: &Arc<Semaphore>,
    ) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let slot = slots.clone().acquire_owned().await.map_err(std::io::Error::other)?;
        let (stream, peer) = self.listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok((stream, peer, slot))
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<axum::response::Response, Infallible>> + Send>>;

/// The router for one connection, whose requests know the other end.
fn service(
    router: Router,
    peer: SocketAddr,
) -> impl hyper::service::Service<
    Request<Incoming>,
    Response = axum::response::Response,
    Error = Infallible,
    Future = Answer,
> {
    service_fn(move |mut request: Request<Incoming>| -> Answer {
        request.extensions_mut().insert(Peer(peer));
        let (request, leftover) = leftover::lend(request);
        let answer = router.clone().oneshot(request.map(axum::body::Body::new));
        Box::pin(async move {
            let mut answer = answer.await?;
            leftover.settle(&mut answer).await;
            Ok(answer)
        })
    })
}

/// Serves one connection to its end.
async fn speak(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    builder: Arc<Builder<TokioExecutor>>,
    watcher: Watcher,
) {
    if speaks_in_time(&stream).await {
        let connection = builder.serve_connection(TokioIo::new(stream), service(router, peer));
        // A connection that breaks is the client's affair.
        let _ = watcher.watch(connection.into_owned()).await;
    }
}

/// Whether the other end says within ten seconds which protocol it speaks: until then no other limit holds.
async fn speaks_in_time(stream: &TcpStream) -> bool {
    let told = async {
        let mut first = [0; PREFACE.len()];
        loop {
            match stream.peek(&mut first).await {
                Ok(0) | Err(_) => return false,
                Ok(n) if n == PREFACE.len() || !PREFACE.starts_with(&first[..n]) => return true,
                Ok(_) => tokio::time::sleep(BETWEEN_PEEKS).await,
            }
        }
    };
    tokio::time::timeout(HEADERS_WITHIN, told).await.unwrap_or(false)
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_headers(110)
        .max_buf_size(64 * 1024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(100)
        .max_header_list_size(32 * 1024)
        .max_pending_accept_reset_streams(20)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}
