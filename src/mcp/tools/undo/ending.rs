//! The right to undo a change, and how it ends: each change is undone once, and what was broken off can be undone again.

use std::time::Duration;

use tokio::time::Instant;

use super::super::super::going::GRACE;
use super::super::changing::outcome::Status;
use super::super::{Context, ToolError};
use crate::domain::ChangeId;
use crate::vault::changes::{Changes, Undoing};

/// Nobody else begins to undo a change for so long after the call that does has run out of time.
const SPARE: Duration = Duration::from_secs(30);

/// Undoes where nobody else does or did; an undoing that was refused or broken off can be tried again.
pub(super) async fn once<T>(
    context: Context<'_>,
    (journal, id, broken_off_before): (&Changes, &ChangeId, bool),
    act: impl Future<Output = Result<(Status, T), ToolError>>,
) -> Result<T, ToolError> {
    let of = (id, &context.caller.user);
    // From here on nobody drops it: what is taken is given back.
    context.going.begin();
    // As long as the call may last; where the server dies meanwhile, the right comes back by itself.
    let at_most = context.deadline.saturating_duration_since(Instant::now()) + GRACE + SPARE;
    let claimed = journal.claim_undo(of, at_most).await.map_err(|failure| ToolError::internal(&failure))?;
    if !claimed {
        return Err(ToolError::invalid(
            "That change is being undone already, or was undone before. Look at list_changes in a few minutes.",
        ));
    }
    let done = act.await;
    let undoing = match &done {
        Ok((Status::Verified | Status::Accepted, _)) => Undoing::Done,
        Ok((Status::Partial | Status::Ambiguous, _)) => Undoing::BrokenOff,
        Err(_) if broken_off_before => Undoing::BrokenOff,
        Err(_) => Undoing::NotBegun,
    };
    if let Err(failure) = journal.release_undo(of, undoing).await {
        tracing::error!(cause = failure.chain(), "how undoing a change ended could not be written down");
    }
    done.map(|(_, outcome)| outcome)
}

/// How to begin the sentence about it.
pub(super) const fn begun_or_done(status: Status) -> &'static str {
    match status {
        Status::Verified | Status::Accepted => "Undone",
        Status::Partial | Status::Ambiguous => "Began to undo, and it can be undone again,",
    }
}
