//! What an egress gate refused, into the trail. Never: more of a target than its host.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::domain::event::{Event, EventCode};
use crate::egress::Refusal;

use super::Audit;

/// Notes every refusal of one gate until `stop`, or until the gate is no more.
pub async fn note_refusals(audit: &Audit, mut refused: mpsc::Receiver<Refusal>, stop: CancellationToken) {
    loop {
        tokio::select! {
            // What was refused before the stop is on record.
            biased;
            refusal = refused.recv() => match refusal {
                None => return,
                Some(refusal) => {
                    let event = Event::new(EventCode::BlockedHost)
                        .refused()
                        .subject(&refusal.host)
                        .because(refusal.reason.to_string());
                    audit.note(event).await;
                }
            },
            () = stop.cancelled() => return,
        }
    }
}
