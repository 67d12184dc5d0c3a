//! Asks a live server over HTTP/1.1: one request a connection, bounded in time and size, no redirect followed, no secret
//! sent. Over TLS only where the server is trusted as our own connections to others trust.

use std::time::Duration;

use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::connecting::connect;
use super::tls::{self, Server, Strict, Trust};
use crate::check::finding::{Seen, Unseen};
use crate::egress::Bytes;

/// How long one question may take, connecting included.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer's body that are read.
const LONGEST: usize = 1024 * 1024;

/// Where a live server is.
#[derive(Clone, Debug)]
pub struct Place {
    /// Where to connect to, and how its certificate must name it.
    pub server: Server,
    /// Whether over TLS.
    pub secured: bool,
    /// What `Host` says.
    pub authority: String,
    /// Whom to trust.
    pub trust: Trust,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its whole body.
    pub body: String,
}

impl Reply {
    /// Each line of a header; what is no UTF-8 in it is replaced.
    pub fn lines(&self, name: &str) -> Vec<String> {
        let lines = self.headers.get_all(name).into_iter();
        lines.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    }

    /// A header as one list, where it is there (RFC 9110 section 5.3).
    pub fn header(&self, name: &str) -> Option<String> {
        let lines = self.lines(name);
        (!lines.is_empty()).then(|| lines.join(", "))
    }
}

impl Place {
    /// A question about this path.
    pub fn about(&self, method: &str, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(path).header(header::HOST, &self.authority)
    }

    /// Asks.
    ///
    /// # Errors
    /// Where there is no answer, or nobody that may be trusted with the question.
    pub async fn ask(&self, request: Request<Full<Bytes>>) -> Seen<Reply> {
        let exchange = async {
            if !self.secured {
                return exchange(connect(self.server.address).await?, request).await;
            }
            match tls::handshake(&self.server, &self.trust).await?.0 {
                Ok(stream) => exchange(stream, request).await,
                Err(Strict::Untrusted(fault)) => {
                    Err(Unseen::because(format!("not asked, because {} (see SMC4003)", fault.words())))
                }
                Err(_) => {
                    Err(Unseen::because("not asked, because no TLS connection came about (see SMC4001)"))
                }
            }
        };
        let late = || Unseen::because("no complete answer within 10 seconds");
        timeout(PATIENCE, exchange).await.unwrap_or_else(|_| Err(late()))
    }
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Seen<Reply>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| Unseen::because(format!("no HTTP answer: {error}"));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let driver = tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(broken);
    let reply = match answer {
        Ok(answer) => {
            let (head, body) = answer.into_parts();
            let status = head.status.as_u16();
            let is_stream = head
                .headers
                .get(header::CONTENT_TYPE)
                .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
            // A stream has no end; what is longer is not waited for, and what it holds is not known.
            let body = match is_stream {
                true => Ok(String::new()),
                false => Limited::new(body, LONGEST)
                    .collect()
                    .await
                    .map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()),
            };
            let unread = |error| {
                let what = format!("answered {status} with a body that was not read to its end: {error}");
                Unseen::because(what)
            };
            body.map(|body| Reply { status, headers: head.headers, body }).map_err(unread)
        }
        Err(unseen) => Err(unseen),
    };
    driver.abort();
    reply
}

/// A body of these bytes.
pub fn body(text: &str) -> Full<Bytes> {
    Full::new(Bytes::copy_from_slice(text.as_bytes()))
}
