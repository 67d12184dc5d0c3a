//! Adding rows to a playlist, written down before: where they come to stand is what undoing needs.

use super::super::super::upstream::Session;
use super::super::add_tracks::{Added, Plan, add_in_order};
use super::super::amount::{amount, share};
use super::super::{Context, ToolError};
use super::journal::{About, Noted};
use super::outcome::Status;
use crate::domain::change::PreImage;
use crate::spotify::models::Playlist;
use crate::spotify::uri::PlaylistId;

/// Adds what is planned, written down before.
pub(in crate::mcp::tools) async fn add_noted(
    context: Context<'_>,
    session: &Session<'_>,
    (id, playlist): (&PlaylistId, &Playlist),
    (tool, plan): (&'static str, &Plan),
) -> Result<Added, ToolError> {
    let at = plan.position.or(plan.rows_before.and_then(|rows| u32::try_from(rows).ok()));
    // Without knowing where they come to stand, they could not be told from others.
    let Some(at) = at.filter(|_| !plan.items.is_empty()) else {
        return Ok(add_in_order(session, id, plan).await);
    };
    let rows = plan.items.iter().map(|(_, uri)| uri.to_string()).collect();
    let total = plan.rows_before.and_then(|rows| u32::try_from(rows).ok());
    let pre_image = PreImage::Added { at, rows, total, there: plan.there.clone() };
    let done = format!("{} added from position {at} on", amount(plan.items.len(), "track"));
    let about = About { tool, id, playlist, done };
    let mut noted = Noted::begin(context, session, about, &pre_image).await?;
    let mut added = add_in_order(session, id, plan).await;
    noted.added(added.added);
    if added.added == 0 && added.status == Status::Partial {
        noted.forget().await;
        return Ok(added);
    }
    if added.added < plan.items.len() {
        noted.did(format!(
            "{} {} added from position {at} on",
            if added.status == Status::Ambiguous { "at least" } else { "only" },
            share(added.added, u64::try_from(plan.items.len()).ok(), "track"),
        ));
    }
    added.change_id = noted.id();
    // A batch that is not settled may come to stand there after all: what is there now is not known.
    let after = added.snapshot_id.clone().filter(|_| added.status != Status::Ambiguous);
    noted.finish(added.status, after).await;
    Ok(added)
}
