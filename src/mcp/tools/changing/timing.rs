//! Writes and looks within what is left of a tool call's time: a write that is cut off would be taken for one that was
//! not made, and a look that takes too long must not cost the answer about a write that was.

use std::time::Duration;

use tokio::time::timeout;

use super::super::super::upstream::Session;
use super::super::ToolError;
use super::super::add_tracks::is_ambiguous;
use crate::spotify::{AccessToken, ApiError};

/// No write is begun with less time left.
const LEAST: Duration = Duration::from_secs(2);
/// So much is kept for the answer and the journal.
const SPARE: Duration = Duration::from_secs(1);

/// There is no time left for more within this call; what was done is done.
pub(in crate::mcp::tools) fn out_of_time() -> ToolError {
    ToolError::new("UPSTREAM_TIMEOUT", "The time that one call may take was over before all of it was done.")
}

/// How a write ended.
pub(in crate::mcp::tools) enum Sent<T> {
    /// Spotify confirmed it.
    Confirmed(T),
    /// It may have been done.
    Lost(ToolError),
    /// It was not done.
    Refused(ToolError),
}

/// Sends a write, once.
pub(in crate::mcp::tools) async fn send<T, F, Fut>(session: &Session<'_>, work: F) -> Sent<T>
where
    T: Send,
    F: Fn(AccessToken) -> Fut + Send + Sync,
    Fut: Future<Output = Result<T, ApiError>> + Send,
{
    if session.writing_time_left() < LEAST {
        return Sent::Refused(ToolError::timeout());
    }
    match timeout(session.writing_time_left().saturating_sub(SPARE), session.attempt(work)).await {
        Ok(Ok(answer)) => Sent::Confirmed(answer),
        Ok(Err(error)) if is_ambiguous(&error) => Sent::Lost(session.told(error)),
        Ok(Err(error)) => Sent::Refused(session.told(error)),
        Err(_) => Sent::Lost(ToolError::new(
            "AMBIGUOUS_WRITE",
            "The change was sent, and Spotify did not confirm it in time. Look first whether it is there.",
        )),
    }
}

/// What is seen after a write; `None` where it cannot be seen, or not in time.
pub(in crate::mcp::tools) async fn seen<T>(
    session: &Session<'_>,
    looking: impl Future<Output = Result<T, ToolError>>,
) -> Option<T> {
    timeout(session.writing_time_left().saturating_sub(SPARE), looking).await.ok()?.ok()
}
