//! The right to undo a change, and how it ends: each change is undone once, and what was broken off can be undone again.

use std::time::Duration;

use tokio::time::Instant;

use super::super::super::going::GRACE;
use super::super::amount::amount;
use super::super::changing::outcome::Status;
use super::super::{Context, ToolError};
use crate::domain::ChangeId;
use crate::vault::changes::{Changes, Claim, Undoing};

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
    match claimed {
        Claim::Taken => {}
        Claim::Held(at_most) => return Err(held(at_most)),
        Claim::Over => {
            return Err(ToolError::invalid(
                "That change was undone before. The undoing is a change of its own in list_changes.",
            ));
        }
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

/// Another undoing of the change has not said how it ended.
fn held(at_most: Duration) -> ToolError {
    let seconds = at_most.as_secs().max(1);
    let mut error = ToolError::new(
        "RATE_LIMITED",
        format!(
            "Nothing was done: that change is being undone already, or the server that was undoing it has ended. If it has, \
             the change can be undone again in {} at the latest; list_changes tells.",
            amount(seconds.div_ceil(60), "minute")
        ),
    );
    error.retry_after_seconds = Some(seconds);
    error
}

/// How to begin the sentence about it.
pub(super) const fn begun_or_done(status: Status) -> &'static str {
    match status {
        Status::Verified | Status::Accepted => "Undone",
        Status::Partial | Status::Ambiguous => "Began to undo, and it can be undone again,",
    }
}
