//! Doing the steps of an edit one after the other, each after the one before it is certain, and proving the end.

use std::time::Duration;

use super::super::super::upstream::Session;
use super::super::ToolError;
use super::super::items::is_snapshot;
use super::contents::{self, Contents};
use super::outcome::{Status, contradicted};
use super::timing::{Sent, seen, send};
use crate::domain::edits::Step;
use crate::spotify::models::Snapshot;
use crate::spotify::uri::PlaylistId;

/// How long Spotify may take to show what it confirmed, before it is read once more.
const SETTLING: Duration = Duration::from_millis(400);

/// What came of the steps.
pub(in crate::mcp::tools) struct Applied {
    /// How certain it is.
    pub(in crate::mcp::tools) status: Status,
    /// How many steps are certain.
    pub(in crate::mcp::tools) done: usize,
    /// The name of the state afterwards, where it is known.
    pub(in crate::mcp::tools) snapshot: Option<String>,
    /// What stopped it, or keeps it uncertain.
    pub(in crate::mcp::tools) failure: Option<ToolError>,
}

impl Applied {
    /// Whether certainly nothing was done.
    pub(in crate::mcp::tools) fn is_nothing(&self) -> bool {
        self.status == Status::Partial && self.done == 0
    }
}

/// Does the steps to a list as it was read, and reads it again at the end.
pub(in crate::mcp::tools) async fn apply(
    session: &Session<'_>,
    id: &PlaylistId,
    (before, steps): (&Contents, &[Step]),
) -> Applied {
    let mut rows = before.uris();
    let mut applied = Applied { status: Status::Accepted, done: 0, snapshot: None, failure: None };
    // Rows that go before they come back must not be left where they went to.
    let puts_back = steps.iter().any(|step| !matches!(step, Step::Delete(_)));
    if puts_back && !session.has_time_to_write(steps.len()) {
        return applied.stopped(Status::Partial, too_slow(steps.len()));
    }
    let has_room = |token| std::future::ready(session.api.has_room(&token, steps.len()));
    if puts_back && let Err(failure) = session.call(has_room).await {
        return applied.stopped(Status::Partial, failure);
    }
    for step in steps {
        match sent(session, id, step).await {
            Sent::Confirmed(answer) => {
                step.done_to(&mut rows);
                applied.snapshot = answer.snapshot_id.filter(|id| is_snapshot(id));
            }
            Sent::Lost(failure) => {
                step.done_to(&mut rows);
                match seen(session, contents::read(session, id)).await {
                    Some(now) if now.uris() == rows => applied.snapshot = Some(now.snapshot),
                    _ => return applied.stopped(Status::Ambiguous, failure),
                }
            }
            Sent::Refused(failure) => return applied.stopped(Status::Partial, failure),
        }
        applied.done += 1;
    }
    prove(session, id, &rows, applied).await
}

fn too_slow(steps: usize) -> ToolError {
    ToolError::new(
        "UPSTREAM_TIMEOUT",
        format!(
            "Nothing was changed: it takes {steps} requests one after the other, and Spotify is so slow at the moment that \
             the playlist might be left half written. Try again later."
        ),
    )
}

impl Applied {
    fn stopped(self, status: Status, failure: ToolError) -> Self {
        Self { status, failure: Some(failure), ..self }
    }
}

/// Reads the list again: verified where it is what it should be. Where it cannot be read, Spotify's word stands.
async fn prove(session: &Session<'_>, id: &PlaylistId, rows: &[String], applied: Applied) -> Applied {
    for wait in [Duration::ZERO, SETTLING] {
        tokio::time::sleep(wait).await;
        match seen(session, contents::read(session, id)).await {
            Some(now) if now.uris() == rows => {
                return Applied { status: Status::Verified, snapshot: Some(now.snapshot), ..applied };
            }
            Some(_) => {}
            // What was read once and is something else is not confirmed by a second look that fails.
            None if wait.is_zero() => return applied,
            None => break,
        }
    }
    Applied { snapshot: None, ..applied }.stopped(Status::Ambiguous, contradicted())
}

async fn sent(session: &Session<'_>, id: &PlaylistId, step: &Step) -> Sent<Snapshot> {
    let api = session.api;
    match step {
        Step::Delete(uris) => {
            send(session, |token| async move { api.remove_items(&token, id, uris).await }).await
        }
        Step::Replace(uris) => {
            send(session, |token| async move { api.replace_items(&token, id, uris).await }).await
        }
        Step::Insert(at, uris) => {
            let at = u32::try_from(*at).unwrap_or(u32::MAX);
            send(session, |token| async move { api.insert_items(&token, id, (at, uris)).await }).await
        }
    }
}
