//! What a command leaves in the outbox of the audit trail, it writes into the trail itself where no server does.
//!
//! Never: failing the command. Its change is made, and the events of it are safe in the database until they are written.

use std::sync::Arc;

use crate::app::{self, BuildError, Drained};
use crate::audit::is_in_use;

use super::administer::Desk;
use super::output::Output;
use super::serve_start;

/// Writes what waits, and says so where it cannot.
pub(super) async fn settle(desk: &Desk) {
    match desk.store.outbox(1).await {
        Ok(waiting) if waiting.is_empty() => return,
        _ if is_in_use(&desk.config.audit.dir) => return,
        _ => {}
    }
    if let Err(why) = write_down(desk).await {
        desk.output.warn(
            "AUDIT_EVENTS_WAIT",
            &format!("what was done is recorded in the database and not yet in the audit trail: {why}"),
            "nothing is lost; the next start of the server writes it there",
        );
    }
}

/// Does nothing where the keys that sign the trail cannot be had.
async fn write_down(desk: &Desk) -> Result<(), String> {
    let Ok(Some(roots)) = serve_start::roots_at_hand(&desk.config, &Output::silent()) else { return Ok(()) };
    let at = (&desk.clock, &desk.dice);
    let Ok((ring, _)) = serve_start::ring(&desk.store, &roots, at).await else { return Ok(()) };
    match app::drain_if_alone(&desk.config, (&desk.store, &Arc::new(ring)), at).await {
        Ok(Drained::Written(events)) => {
            tracing::debug!(events, "the outbox is written into the audit trail");
            Ok(())
        }
        // It started meanwhile.
        Ok(Drained::ByServer) => Ok(()),
        Err(BuildError::Audit(error)) => Err(error.to_string()),
        Err(BuildError::Failure(failure)) => Err(failure.to_string()),
        Err(_) => Err("the audit trail cannot be opened".to_owned()),
    }
}
