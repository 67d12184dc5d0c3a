//! What a refusal leaves unread of a request's body: read and thrown away, so that the connection can go on.
//!
//! HTTP/1.1 has the next request behind the rest of this one. A server that answers 401 without reading must close the
//! connection, and a client that did not see it coming loses its next request. Never reads more than a little; where
//! that is not enough, the answer says that the connection closes (RFC 9112, 9.6).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::response::Response;
use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Request, Version};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

use super::line::Line;

/// Most bytes that are read in vain.
const MOST: usize = 256 * 1024;

/// And for how long.
const WITHIN: Duration = Duration::from_secs(2);

/// How long a body may take to come (product.md 7).
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// A request's body that comes back when it is dropped before its end.
pub(super) struct Lent {
    body: Option<Incoming>,
    back: Option<oneshot::Sender<Incoming>>,
    /// Set when the body first has to be waited for.
    deadline: Option<Pin<Box<Sleep>>>,
    /// The connection, which is told whether the body is waited for.
    line: Arc<Line>,
    awaited: bool,
}

/// Where it comes back to.
pub(super) struct Leftover(Option<oneshot::Receiver<Incoming>>);

/// Lends the body of a request to whoever answers it.
pub(super) fn lend(request: Request<Incoming>, line: &Arc<Line>) -> (Request<Lent>, Leftover) {
    // A client that waits for "100 Continue" has not sent its body, and HTTP/2 has streams of their own.
    let lends = request.version() <= Version::HTTP_11 && !request.headers().contains_key(EXPECT);
    let (back, receiver) = oneshot::channel();
    let back = lends.then_some(back);
    let line = line.clone();
    let request = request.map(|body| Lent { body: Some(body), back, deadline: None, line, awaited: false });
    (request, Leftover(lends.then_some(receiver)))
}

impl Leftover {
    /// To be called with the answer, before it is sent.
    pub(super) async fn settle(self, answer: &mut Response) {
        let Some(body) = self.0.and_then(|mut receiver| receiver.try_recv().ok()) else { return };
        if !matches!(tokio::time::timeout(WITHIN, read_in_vain(body)).await, Ok(true)) {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// Whether the end was reached.
async fn read_in_vain(mut body: Incoming) -> bool {
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > MOST {
            return false;
        }
    }
    true
}

impl Lent {
    fn awaits(&mut self, waits: bool) {
        if self.awaited != waits {
            self.awaited = waits;
            self.line.await_body(waits);
        }
    }
}

impl Body for Lent {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(context) {
            self.awaits(false);
            if let Some(Ok(frame)) = &frame {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.line.account_for(u64::try_from(bytes).unwrap_or(u64::MAX));
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        self.awaits(true);
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(BODY_WITHIN)));
        match deadline.as_mut().poll(context) {
            Poll::Ready(()) => {
                // Not lent on: what comes this slowly is not worth waiting for.
                self.back = None;
                Poll::Ready(Some(Err("the body did not come in time".into())))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.awaits(false);
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take())
            && !body.is_end_stream()
        {
            // Nobody waits for it any more where the request was given up.
            drop(back.send(body));
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::post;
    use http::StatusCode;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::http::serve::listen;

    async fn connected() -> TcpStream {
        let listening = listen(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listening.address();
        let router = Router::new().route("/", post(|| async { StatusCode::UNAUTHORIZED }));
        tokio::spawn(listening.serve_with(router, 0, CancellationToken::new(), None));
        TcpStream::connect(address).await.unwrap()
    }

    /// Sends a head, pauses as a slow network does, sends the body; then reads the answer's head.
    async fn ask(stream: &mut TcpStream, length: usize, body: &[u8]) -> String {
        let head = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        sleep(Duration::from_millis(50)).await;
        // A server that has had enough may have closed meanwhile.
        let _ = stream.write_all(body).await;
        let mut answer = vec![0; 4096];
        let read = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..read]).to_lowercase()
    }

    #[tokio::test]
    async fn a_refusal_before_the_body_came_leaves_the_connection_whole() {
        let mut stream = connected().await;
        for _ in 0..3 {
            let answer = ask(&mut stream, 5000, &[b'x'; 5000]).await;
            assert!(answer.starts_with("http/1.1 401"), "{answer}");
            assert!(!answer.contains("connection: close"), "{answer}");
        }
    }

    #[tokio::test]
    async fn a_body_too_large_to_read_in_vain_closes_the_connection_and_says_so() {
        let mut stream = connected().await;
        let answer = ask(&mut stream, 10 * MOST, &vec![b'x'; MOST + 1]).await;
        assert!(answer.starts_with("http/1.1 401") && answer.contains("connection: close"), "{answer}");
    }

    #[tokio::test]
    async fn who_waits_to_be_told_to_continue_is_answered_at_once() {
        let mut stream = connected().await;
        let head = "POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 401");
    }
}
