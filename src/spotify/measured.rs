//! Requests to Spotify by service and outcome, and how long they took. Never what was asked, or for whom.

use std::time::Duration;

use http::{Response, StatusCode};

use crate::egress::{Bytes, EgressError};
use crate::telemetry::exposition::{Exposition, Kind};
use crate::telemetry::metrics::{Counter, Histogram};

/// Which service was asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Service {
    /// The accounts service.
    Accounts,
    /// The Web API.
    Api,
}

const SERVICES: [&str; 2] = ["accounts", "api"];
const OUTCOMES: [&str; 6] = ["success", "rate_limited", "refused", "server_error", "timeout", "no_answer"];

struct Counts {
    outcomes: [Counter; OUTCOMES.len()],
    took: Histogram,
}

static COUNTS: [Counts; SERVICES.len()] =
    [const { Counts { outcomes: [const { Counter::new() }; OUTCOMES.len()], took: Histogram::new() } };
        SERVICES.len()];

/// Counts one request with its answer, or the want of it.
pub(super) fn asked(service: Service, answer: &Result<Response<Bytes>, EgressError>, took: Duration) {
    let outcome = match answer {
        Ok(answer) if answer.status().is_success() => 0,
        Ok(answer) if answer.status() == StatusCode::TOO_MANY_REQUESTS => 1,
        Ok(answer) if answer.status().is_server_error() => 3,
        Ok(_) => 2,
        Err(EgressError::Timeout | EgressError::Busy) => 4,
        Err(_) => 5,
    };
    let counts = &COUNTS[service as usize];
    counts.outcomes[outcome].count();
    counts.took.observe(took);
}

/// Writes what was counted.
pub(crate) fn expose(out: &mut Exposition) {
    let mut requests = out.family(
        "spotify_mcp_upstream_requests_total",
        Kind::Counter,
        "Requests to Spotify by service and outcome; refused is any other status than the outcomes named.",
    );
    for (service, counts) in SERVICES.iter().zip(&COUNTS) {
        for (outcome, count) in OUTCOMES.iter().zip(&counts.outcomes) {
            requests.sample(&[("service", service), ("outcome", outcome)], count.get());
        }
    }
    let mut took = out.family(
        "spotify_mcp_upstream_request_duration_seconds",
        Kind::Histogram,
        "How long requests to Spotify took, waiting for a place included.",
    );
    for (service, counts) in SERVICES.iter().zip(&COUNTS) {
        took.histogram(&[("service", service)], &counts.took);
    }
}
