//! Each audit event once more in the operational log (target `security`, its code in `event=`, ids only) and counted.
//!
//! The log is for watching, the trail is the evidence: the address and the details stay in the trail.

use crate::domain::event::{Event, EventCode, Outcome, Severity};
use crate::domain::ids::EventId;
use crate::telemetry::metrics;

/// Counts the event, and logs it at the level of its severity; what every call causes goes to `debug`.
pub(super) fn log(event: &Event, uid: &EventId) {
    metrics::count_event(event.code());
    macro_rules! say {
        ($level:ident) => {
            tracing::event!(
                target: "security",
                tracing::Level::$level,
                event = event.code().name(),
                outcome = event.outcome().name(),
                audit = uid.as_str(),
                user = event.user_id(),
                request = event.request_id(),
                "{}",
                event.code().meaning()
            )
        };
    }
    match (event.code(), event.code().severity()) {
        (EventCode::ToolCalled | EventCode::TokenRefreshedUpstream, _)
            if event.outcome() == Outcome::Success =>
        {
            say!(DEBUG);
        }
        (_, Severity::Informational | Severity::Low) => say!(INFO),
        (_, Severity::Medium) => say!(WARN),
        (_, Severity::High | Severity::Critical) => say!(ERROR),
    }
}
