//! Questions to the person within a call of a client of 2025: the answer to the call becomes a stream of events, on which
//! the question goes out; the reply comes as a message of its own, and the call's result ends the stream (2025-11-25,
//! transports and elicitation).
//!
//! Only where the client has a session, in which it said what it can show. A call that asks nothing is answered as ever.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::future::BoxFuture;
use http::{HeaderValue, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::asking::{Question, reply_of};
use super::cancel::Cancellable;
use super::message::{Malformed, Message};
use super::refusal::refuse;
use crate::app::{McpSessions, Questions};
use crate::domain::asking::{Offers, Reply};
use crate::domain::{QuestionId, SessionId, UserId};

/// How often a stream says that it is still there: proxies close what is silent.
const ALIVE: Duration = Duration::from_secs(15);

/// Asks the person behind one call.
pub(super) struct Asker {
    questions: Questions,
    user: UserId,
    session: SessionId,
    offers: Offers,
    out: mpsc::Sender<Bytes>,
}

impl Asker {
    /// For the call of this person in this session; what it asks comes out at the other end.
    pub(super) fn of(
        sessions: &McpSessions,
        (user, session): (UserId, SessionId),
        offers: Offers,
    ) -> (Arc<Self>, mpsc::Receiver<Bytes>) {
        let (out, asked) = mpsc::channel(1);
        (Arc::new(Self { questions: sessions.questions().clone(), user, session, offers, out }), asked)
    }

    /// What the client can show.
    pub(super) const fn offers(&self) -> Offers {
        self.offers
    }

    /// Asks, and waits for the reply. Where nothing can be asked any more, that is none.
    pub(super) async fn ask(&self, question: &Question) -> Reply {
        tokio::select! {
            reply = self.asked(question) => reply,
            // The client has gone.
            () = self.out.closed() => Reply::Closed,
        }
    }

    async fn asked(&self, question: &Question) -> Reply {
        let failed = |failure: crate::failure::Failure| {
            tracing::error!(cause = failure.chain(), "a person could not be asked");
            Reply::Closed
        };
        let id = match self.questions.ask(&self.user, &self.session).await {
            Ok(Some(id)) => id,
            Ok(None) => return Reply::Closed,
            Err(failure) => return failed(failure),
        };
        let mut request = question.request();
        request["jsonrpc"] = json!("2.0");
        request["id"] = json!(id);
        if self.out.send(event(&request.to_string())).await.is_err() {
            return Reply::Closed;
        }
        self.questions.wait(&id).await.unwrap_or_else(failed)
    }
}

/// One message as an event.
fn event(message: &str) -> Bytes {
    Bytes::from(format!("event: message\ndata: {message}\n\n"))
}

/// A call under way that may ask.
pub(super) struct UnderWay {
    answering: BoxFuture<'static, Response>,
    /// What it asks; `None` where it may not.
    asked: Option<mpsc::Receiver<Bytes>>,
    running: Option<Cancellable>,
    /// What its client gets where it cancels.
    cancelled: Bytes,
}

impl UnderWay {
    pub(super) fn new(
        answering: BoxFuture<'static, Response>,
        asked: Option<mpsc::Receiver<Bytes>>,
        (running, message): (Option<Cancellable>, &Message<'_>),
    ) -> Self {
        let cancelled = Malformed::new(Malformed::INTERNAL, "cancelled").to(message.id.clone());
        Self { answering, asked, running, cancelled: cancelled.body().into() }
    }

    /// The answer: the call's own where it asks nothing, or the stream of questions that ends with it.
    pub(super) async fn answer(mut self) -> Response {
        tokio::select! {
            biased;
            Some(first) = next_of(&mut self.asked) => self.stream(first),
            answer = &mut self.answering => answer,
            () = until_cancelled(self.running.as_ref()) => {
                let mut response = Response::new(Body::from(self.cancelled));
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                response
            }
        }
    }

    fn stream(self, first: Bytes) -> Response {
        let events = futures_util::stream::unfold((Some(first), Some(self)), |(first, asking)| async {
            let mut asking = asking?;
            if let Some(first) = first {
                return Some((Ok::<_, std::convert::Infallible>(first), (None, Some(asking))));
            }
            let (event, goes_on) = asking.next().await;
            Some((Ok(event), (None, goes_on.then_some(asking))))
        });
        let mut response = Response::new(Body::from_stream(events));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        response
    }

    /// The next piece of the stream, and whether there is one behind it.
    async fn next(&mut self) -> (Bytes, bool) {
        tokio::select! {
            biased;
            Some(asked) = next_of(&mut self.asked) => (asked, true),
            answer = &mut self.answering => {
                let body = answer.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                (event(&String::from_utf8_lossy(&body)), false)
            }
            () = until_cancelled(self.running.as_ref()) => (event(&String::from_utf8_lossy(&self.cancelled)), false),
            () = tokio::time::sleep(ALIVE) => (Bytes::from_static(b": still there\n\n"), true),
        }
    }
}

async fn next_of(asked: &mut Option<mpsc::Receiver<Bytes>>) -> Option<Bytes> {
    match asked {
        Some(asked) => asked.recv().await,
        None => None,
    }
}

async fn until_cancelled(running: Option<&Cancellable>) {
    match running {
        Some(running) => running.cancelled().await,
        None => std::future::pending().await,
    }
}

/// Takes a reply: 202, or the refusal of an answer that nobody waits for.
pub(super) async fn take(
    sessions: &McpSessions,
    session: &SessionId,
    (id, result): (&QuestionId, &Value),
) -> Response {
    // What is no reply, an error among it, closes the question.
    let reply = reply_of(result).unwrap_or(Reply::Closed);
    match sessions.questions().reply(id, session, reply).await {
        Ok(true) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::ACCEPTED;
            response
        }
        Ok(false) => refuse(StatusCode::BAD_REQUEST, &Malformed::unasked()),
        Err(failure) => {
            tracing::error!(cause = failure.chain(), "a reply could not be taken");
            let later =
                Malformed::new(Malformed::INTERNAL, "replies cannot be taken at the moment: try again");
            refuse(StatusCode::SERVICE_UNAVAILABLE, &later)
        }
    }
}
