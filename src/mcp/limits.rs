//! The limits of calls at the protocol's door: counted before anything runs, refused as an HTTP status that clients
//! know to wait for, with a JSON-RPC error.
//!
//! A tool's answer says RATE_LIMITED only where Spotify limits, or where there is no HTTP (standard input).

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::caller::Caller;
use super::message::Message;
use super::server::{Inner, Server};
use crate::app::limits::{Admission, Budget, CallRefused, retry_after, tell};
use crate::domain::event::{Event, EventCode};
use crate::policy::ToolClass;

impl Server {
    /// Counts a request in that runs something or opens a session; its place is kept in its extensions until it is answered. What is
    /// not counted only learns how its caller stands.
    pub(super) async fn count(&self, parts: &mut Parts, message: &Message<'_>) -> Result<Budget, Response> {
        let Some(caller) = parts.extensions.get::<Arc<Caller>>() else { return Ok(Budget::default()) };
        let Some(class) = self.inner.class_of(message) else {
            return Ok(self.inner.limits.look(&caller.user));
        };
        match self.inner.admit(caller, class).await {
            Ok(Admission { permit, budget }) => {
                parts.extensions.insert(Arc::new(permit));
                Ok(budget)
            }
            Err(refused) => Err(refusal(&refused, message.id.as_ref())),
        }
    }
}

impl Inner {
    /// What a message runs; `None` where it runs nothing and leaves nothing behind.
    fn class_of(&self, message: &Message<'_>) -> Option<ToolClass> {
        if message.reply.is_some() {
            return Some(ToolClass::Look);
        }
        match message.method.as_deref()? {
            "tools/call" => {
                let policy = message.name.as_deref().and_then(|tool| self.policies.of(tool));
                Some(policy.map_or(ToolClass::Look, |policy| policy.class))
            }
            // A session is a row and a record.
            "resources/read" | "initialize" => Some(ToolClass::Look),
            _ => None,
        }
    }

    /// Counts a call in, or says why it has to wait; the first refusal of a minute goes to the trail.
    pub(super) async fn admit(&self, caller: &Caller, class: ToolClass) -> Result<Admission, CallRefused> {
        let refused = match self.limits.call(&caller.user, &caller.client, class).await {
            Ok(admission) => return Ok(admission),
            Err(refused) => refused,
        };
        let (limit, first) = match &refused {
            CallRefused::Rate { limit, first } => (limit.name, *first),
            CallRefused::Concurrency { first } => ("concurrent_calls_per_user", *first),
            CallRefused::Overload { first } => ("concurrent_calls", *first),
        };
        if first {
            let event = Event::new(EventCode::ExcessRateLimitExceeded)
                .by(&caller.user)
                .client(&caller.client)
                .from(caller.address)
                .request(&caller.request_id)
                .refused()
                .status("RATE_LIMITED")
                .detail("limit", limit);
            self.audit.note(event).await;
        }
        Err(refused)
    }
}

/// What a person is told, without HTTP.
pub(super) const fn said(refused: &CallRefused) -> &'static str {
    match refused {
        CallRefused::Rate { .. } => "You have made too many calls in this minute.",
        CallRefused::Concurrency { .. } => "You have too many calls running at once. Wait for one to finish.",
        CallRefused::Overload { .. } => "The server is busy. Try again in a moment.",
    }
}

/// In how many seconds to try again.
pub(super) fn wait(refused: &CallRefused) -> u32 {
    match refused {
        CallRefused::Rate { limit, .. } => limit.standing.resets_in,
        CallRefused::Concurrency { .. } | CallRefused::Overload { .. } => 1,
    }
}

/// 429 or 503 with a JSON-RPC error. Its code is the status: it lies outside what JSON-RPC and MCP reserve.
fn refusal(refused: &CallRefused, id: Option<&Value>) -> Response {
    let status = match refused {
        CallRefused::Overload { .. } => StatusCode::SERVICE_UNAVAILABLE,
        CallRefused::Rate { .. } | CallRefused::Concurrency { .. } => StatusCode::TOO_MANY_REQUESTS,
    };
    let data = json!({"code": "RATE_LIMITED", "retry_after_seconds": wait(refused)});
    // A model may see the message alone.
    let message = match refused {
        CallRefused::Rate { .. } => format!("{} Try again in {} s.", said(refused), wait(refused)),
        CallRefused::Concurrency { .. } | CallRefused::Overload { .. } => said(refused).to_owned(),
    };
    let error = json!({"code": status.as_u16(), "message": message, "data": data});
    let mut body = json!({"jsonrpc": "2.0", "error": error});
    if let Some(id) = id {
        body["id"] = id.clone();
    }
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    match refused {
        CallRefused::Rate { limit, .. } => tell(limit, headers),
        CallRefused::Concurrency { .. } | CallRefused::Overload { .. } => retry_after(wait(refused), headers),
    }
    response
}
