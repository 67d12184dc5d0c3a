//! Limits on whoever is not known yet: failed attempts, registrations, logins. Says 429 with when to come again, or
//! 503 where nodes cannot count together.
//!
//! The trail hears of each failed attempt until they are too many, then once in a window.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::json;

use crate::app::limits::{Limit, Verdict, retry_after, tell};
use crate::domain::ClientId;
use crate::domain::event::{Event, EventCode};
use crate::oauth::Visitor;
use crate::oauth::login::NoDeparture;
use crate::telemetry::metrics::Figure;
use crate::web::Problem;

use super::{Http, reply};

/// Too much, or nobody can tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limited(Option<Limit>);

impl Limited {
    /// As the OAuth endpoints say it.
    pub(super) fn for_oauth(self) -> Response {
        let body = json!({"error": "temporarily_unavailable", "error_description": self.said()});
        self.told((self.status(), Json(body)).into_response())
    }

    /// As the protocol says it. Nothing of the body is read yet, so the error has no id.
    pub(super) fn for_protocol(self) -> Response {
        let error = json!({"code": self.status().as_u16(), "message": self.said()});
        self.told((self.status(), Json(json!({"jsonrpc": "2.0", "error": error}))).into_response())
    }

    /// As a page.
    pub(super) fn page(self, http: &Http, visitor: &Visitor) -> Response {
        let why = if self.0.is_some() { Problem::RateLimited } else { Problem::Unavailable };
        self.told(reply::page(http, why, visitor).into_response())
    }

    const fn status(self) -> StatusCode {
        if self.0.is_some() { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::SERVICE_UNAVAILABLE }
    }

    const fn said(self) -> &'static str {
        if self.0.is_some() {
            "too many from this address; try again when Retry-After says"
        } else {
            "busy; try again in a moment"
        }
    }

    fn told(self, mut response: Response) -> Response {
        match self.0 {
            Some(limit) => tell(&limit, response.headers_mut()),
            None => retry_after(1, response.headers_mut()),
        }
        response
    }
}

/// Counts a credential that nobody knows; `Some` is to be answered instead of the refusal. The credential was looked
/// up before: what is valid never comes here.
pub(super) async fn attempt_failed(
    http: &Http,
    visitor: &Visitor,
    because: &'static str,
    client: Option<&ClientId>,
) -> Option<Limited> {
    Figure::InvalidToken.count();
    let verdict = http.app.limits.attempt_failed(visitor.address).await;
    if verdict == Verdict::Fits {
        let mut event = Event::new(EventCode::AuthenticationFailure).because(because);
        if let Some(client) = client {
            event = event.client(client);
        }
        http.app.audit.note(event.refused().from(visitor.address).request(&visitor.request)).await;
    }
    limited(http, visitor, verdict).await
}

/// Counts a registration; `Some` is to be answered instead.
pub(super) async fn registration(http: &Http, visitor: &Visitor) -> Option<Limited> {
    let verdict = http.app.limits.registration(visitor.address).await;
    limited(http, visitor, verdict).await
}

/// The page where a login cannot begin.
pub(super) async fn no_departure(http: &Http, why: NoDeparture, visitor: &Visitor) -> Response {
    match why {
        NoDeparture::NoApp => reply::page(http, Problem::SpotifyMisconfigured, visitor).into_response(),
        NoDeparture::Limited(verdict) => match limited(http, visitor, verdict).await {
            Some(limited) => limited.page(http, visitor),
            None => Limited(None).page(http, visitor),
        },
    }
}

/// What a verdict means; the first refusal of a window goes to the trail.
async fn limited(http: &Http, visitor: &Visitor, verdict: Verdict) -> Option<Limited> {
    match verdict {
        Verdict::Fits => None,
        Verdict::Unreachable => Some(Limited(None)),
        Verdict::TooMany { limit, first } => {
            if first {
                let event = Event::new(EventCode::ExcessRateLimitExceeded).detail("limit", limit.name);
                http.app.audit.note(event.refused().from(visitor.address).request(&visitor.request)).await;
            }
            Some(Limited(Some(limit)))
        }
    }
}
