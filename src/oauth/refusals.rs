//! Refusals in the trail that cost whoever causes them nothing: recorded while they are few from an address, then once
//! in a window. Never changes what is answered.

use crate::app::App;
use crate::app::limits::Verdict;
use crate::domain::event::{Event, EventCode};

use super::Visitor;

/// Records a refusal, or that there are too many of them to record each.
pub async fn note(app: &App, visitor: &Visitor, event: Event) {
    let event = match app.limits.refusal(visitor.address).await {
        Verdict::Fits => event,
        Verdict::TooMany { limit, first: true } => {
            Event::new(EventCode::ExcessRateLimitExceeded).detail("limit", limit.name)
        }
        Verdict::TooMany { .. } | Verdict::Unreachable => return,
    };
    app.audit.note(event.refused().from(visitor.address).request(&visitor.request)).await;
}
