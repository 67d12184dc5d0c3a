//! A whole playlist in one piece: every row in its place, all of one state. Bounded, and never of a list that cannot be
//! read or kept changing meanwhile. What was read a moment ago is not read again while the playlist is in that state.

use futures_util::future::try_join_all;

use super::super::super::upstream::Session;
use super::super::{Context, ToolError};
use crate::spotify::models::Playlist;
use crate::spotify::quota::PAGE;
pub(in crate::mcp::tools) use crate::spotify::rows::Row;
use crate::spotify::uri::PlaylistId;

/// Longest title that is shown.
const LONGEST: usize = 100;
/// Most rows of a playlist (spotify.md 1.8), with some to spare.
const MOST_ROWS: u64 = 12_000;
/// Pages that are read at the same time.
const TOGETHER: usize = 4;
/// How often a list that changed meanwhile is read again.
const ATTEMPTS: u32 = 2;

/// A playlist with all its rows, of one state.
#[derive(Clone, Debug)]
pub(in crate::mcp::tools) struct Contents {
    /// What it says of itself.
    pub(in crate::mcp::tools) playlist: Playlist,
    /// The name of its state.
    pub(in crate::mcp::tools) snapshot: String,
    /// In order.
    pub(in crate::mcp::tools) rows: Vec<Row>,
}

impl Contents {
    /// The URIs in order.
    pub(in crate::mcp::tools) fn uris(&self) -> Vec<String> {
        self.rows.iter().map(|row| row.uri.clone()).collect()
    }

    /// The title as it may be shown.
    pub(in crate::mcp::tools) fn title(&self) -> String {
        title(&self.playlist)
    }
}

/// A playlist's title as it may be shown.
pub(in crate::mcp::tools) fn title(playlist: &Playlist) -> String {
    let title = playlist.name.as_ref().map(|name| name.clean(LONGEST)).unwrap_or_default();
    if title.is_empty() { "(untitled)".to_owned() } else { title }
}

/// How many requests reading so many rows takes at most, where nothing changes meanwhile.
pub(in crate::mcp::tools) fn requests(rows: usize) -> u32 {
    let pages = u32::try_from(rows.div_ceil(PAGE as usize)).unwrap_or(u32::MAX);
    // Twice the playlist itself: before the rows and after them.
    pages.saturating_add(2)
}

/// What a playlist says of itself, and the name of its state.
pub(in crate::mcp::tools) async fn head(
    session: &Session<'_>,
    id: &PlaylistId,
) -> Result<(Playlist, String), ToolError> {
    let api = session.api;
    let playlist = session.call(|token| async move { api.playlist(&token, id).await }).await?;
    let snapshot = playlist.snapshot_id.clone().filter(|snapshot| super::super::items::is_snapshot(snapshot));
    let snapshot = snapshot.ok_or_else(|| {
        ToolError::new(
            "UPSTREAM_ERROR",
            "Spotify did not say in which state the playlist is. Try again in a moment.",
        )
    })?;
    Ok((playlist, snapshot))
}

/// Whether a session's account made a playlist; `None` where Spotify does not say whose it is.
pub(in crate::mcp::tools) async fn is_own(
    context: Context<'_>,
    session: &Session<'_>,
    playlist: &Playlist,
) -> Result<Option<bool>, ToolError> {
    let Some(owner) = playlist.owner.as_ref().and_then(|owner| owner.id.as_deref()) else { return Ok(None) };
    let links = context.links().await?;
    let own = links.iter().find(|link| link.id == session.link);
    Ok(own.map(|link| link.spotify_user_id == owner))
}

/// Somebody else's playlist, known before anything is planned that Spotify would refuse.
pub(in crate::mcp::tools) fn somebody_elses() -> ToolError {
    ToolError::new(
        "FORBIDDEN",
        "That playlist is somebody else's, and Spotify lets nobody but its owner change that. Nothing was changed. \
         copy_playlist makes a copy that the person can change.",
    )
}

/// Reads a whole playlist.
///
/// # Errors
/// Where it cannot be read with this account, is too long, or keeps changing.
pub(in crate::mcp::tools) async fn read(
    session: &Session<'_>,
    id: &PlaylistId,
) -> Result<Contents, ToolError> {
    for _ in 0..ATTEMPTS {
        let mark = session.api.mark(session.link.as_str());
        let (playlist, snapshot) = head(session, id).await?;
        let total = playlist.total().ok_or_else(forbidden)?;
        if let Some(contents) = known(session, id, &playlist) {
            return Ok(contents);
        }
        if total > MOST_ROWS {
            return Err(ToolError::invalid(format!("The playlist has more than {MOST_ROWS} tracks.")));
        }
        let rows = rows(session, id, total).await?;
        let same = match u64::try_from(rows.len()) {
            Ok(read) if read == total => head(session, id).await?.1 == snapshot,
            _ => false,
        };
        if same {
            session.api.keep_rows((session.link.as_str(), mark), (id.as_str(), &snapshot), &rows);
            return Ok(Contents { playlist, snapshot, rows });
        }
    }
    Err(ToolError::new(
        "UPSTREAM_ERROR",
        "The playlist kept changing while it was read. Nothing was done. Try again in a moment.",
    ))
}

/// A whole playlist as it was read with this account a moment ago, where it is in the same state still.
pub(in crate::mcp::tools) fn known(
    session: &Session<'_>,
    id: &PlaylistId,
    playlist: &Playlist,
) -> Option<Contents> {
    let snapshot = playlist.snapshot_id.clone()?;
    let rows = session.api.kept_rows(session.link.as_str(), (id.as_str(), &snapshot))?;
    let same = playlist.total() == u64::try_from(rows.len()).ok();
    same.then(|| Contents { playlist: playlist.clone(), snapshot, rows: rows.to_vec() })
}

fn forbidden() -> ToolError {
    ToolError::new(
        "FORBIDDEN",
        "Spotify does not let this account read the tracks of that playlist, because it is somebody else's. That does not \
         mean that it is empty. Choose a playlist that the person owns or collaborates on.",
    )
}

async fn rows(session: &Session<'_>, id: &PlaylistId, total: u64) -> Result<Vec<Row>, ToolError> {
    let total = u32::try_from(total).unwrap_or(u32::MAX);
    let offsets: Vec<u32> = (0..total).step_by(PAGE as usize).collect();
    let mut rows = Vec::with_capacity(total as usize);
    let api = session.api;
    for group in offsets.chunks(TOGETHER) {
        let page = |at: u32| {
            session.call(move |token| async move { api.playlist_items(&token, id, PAGE, at, None).await })
        };
        for page in try_join_all(group.iter().map(|at| page(*at))).await? {
            rows.extend(page.items.iter().map(Row::of));
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_requests_of_reading_are_counted_beforehand() {
        assert_eq!([0, 1, 50, 51, 11_000].map(requests), [2, 3, 3, 4, 222]);
    }
}
